"""Meshes into pictures: OpenGL where a machine has it, with or without a screen; numpy where it has none.

Both get triangles that are already projected and lit (`visualize.meshes.video`), so that they draw the same picture:
they only say which triangle is nearest at each pixel, with smooth edges.
"""

import sys
from typing import Any

import cv2
import numpy as np

from utils.run.errors import MissingFileError, UsageError
from visualize.meshes.painter import Painter
from visualize.meshes.renderer import ProjectedMesh, Renderer

RENDERERS = ("auto", "opengl", "painter")
_SAMPLES = 4  # a pixel
_STEP = 64  # pixels: sides of the buffers are multiples of it, so that a few serve all frames
_KEPT = 12  # sizes of buffers

_VERTEX = """
#version 330
uniform vec4 window;
uniform vec2 depths;
in vec2 pixel;
in float nearness;
in vec3 colour;
centroid out vec3 shade;
void main() {
    gl_Position = vec4((pixel - window.xy) * window.zw - 1.0, (nearness - depths.x) * depths.y, 1.0);
    shade = colour;
}
"""
_FRAGMENT = """
#version 330
centroid in vec3 shade;
out vec4 painted;
void main() { painted = vec4(shade, 1.0); }
"""


def open_renderer(kind: str = "auto") -> tuple[Renderer, str]:
    """A renderer, one of `RENDERERS`, and a note: why "auto" gave the painter, or nothing.

    Raises UsageError for another kind, MissingFileError where "opengl" is asked for by name and is not there.
    """
    if kind not in RENDERERS:
        raise UsageError(f"there is no renderer {kind!r}: choose {', '.join(RENDERERS)}")
    if kind == "painter":
        return Painter(), ""
    try:
        return OpenGL(), ""
    except Exception as error:  # moderngl and the drivers raise what they like, and any of it means: not here
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        if kind == "opengl":
            mend = "pip install moderngl, and on Debian apt install libegl1 libgl1-mesa-dri"
            raise MissingFileError(f"OpenGL cannot be opened ({reason}): {mend}") from error
        return Painter(), f"OpenGL cannot be opened ({reason}), so meshes are painted without it, which is slower"


class OpenGL(Renderer):
    """The renderer of OpenGL 3.3, 4 samples a pixel. Raises what moderngl does where there is none."""

    name = "opengl"

    def __init__(self) -> None:
        import moderngl

        # Without a screen, and by the names that libraries have without the packages of developers.
        linux: dict[str, Any] = dict(backend="egl", libgl="libGL.so.1", libegl="libEGL.so.1")
        self._context: Any = moderngl.create_context(standalone=True, **(linux if sys.platform == "linux" else {}))
        with self._context:
            self._program = self._context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
            self._context.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
            self._context.front_face = "cw"  # rows count downwards here, from outside the faces run the other way
        self._framebuffers: dict[tuple[int, int], tuple[Any, Any]] = {}
        self._mesh: tuple[np.ndarray, int, tuple[Any, ...]] = (np.empty(0), 0, ())

    def fill(self, box: np.ndarray, corner: tuple[int, int], mesh: ProjectedMesh) -> None:
        """See Renderer."""
        high, wide, _ = box.shape
        far, near = float(mesh.nearness.min()), float(mesh.nearness.max())
        with self._context:
            samples, picture = self._framebuffers_for(wide, high)
            corners, places, shades = self._buffers_for(mesh.faces, len(mesh.pixels))
            places.write(np.concatenate([mesh.pixels, mesh.nearness[:, None]], axis=1).astype(np.float32))
            shades.write(np.pad(np.clip(np.rint(mesh.colours), 0, 255).astype(np.uint8), ((0, 0), (0, 1))))
            scale = 2 / samples.width, 2 / samples.height
            self._program["window"].value = (corner[0] - 0.5, corner[1] - 0.5, *scale)
            self._program["depths"].value = ((far + near) / 2, -1.9 / max(near - far, 1e-9))
            samples.use()
            samples.clear()
            corners.render()
            self._context.copy_framebuffer(picture, samples)
            drawn = picture.read(viewport=(0, 0, wide, high), components=4)
        _lay_over(box, np.frombuffer(drawn, np.uint8).reshape(high, wide, 4))

    def close(self) -> None:
        """Give the context back, and with it all that lives in it."""
        self._context.release()

    def _framebuffers_for(self, wide: int, high: int) -> tuple[Any, Any]:
        """Where the samples are drawn, and their means: at least so large, and by the size alone, not by the past."""
        size = (-(-wide // _STEP) * _STEP, -(-high // _STEP) * _STEP)
        if size not in self._framebuffers:
            while len(self._framebuffers) >= _KEPT:
                for old in self._framebuffers.pop(next(iter(self._framebuffers))):
                    old.release()
            several, depths = (
                make(size, samples=_SAMPLES) for make in (self._renderbuffer, self._context.depth_renderbuffer)
            )
            samples = self._context.framebuffer([several], depths)
            self._framebuffers[size] = samples, self._context.framebuffer([self._renderbuffer(size)])
        return self._framebuffers[size]

    def _renderbuffer(self, size: tuple[int, int], samples: int = 0) -> Any:
        return self._context.renderbuffer(size, 4, samples=samples)

    def _buffers_for(self, faces: np.ndarray, count: int) -> tuple[Any, ...]:
        """The vertex array of a mesh, and the buffers of places and colours of its vertices."""
        if self._mesh[0] is not faces or self._mesh[1] != count:
            for old in self._mesh[2]:
                old.release()
            places, shades = (self._context.buffer(reserve=size * count, dynamic=True) for size in (12, 4))
            layout = [(places, "2f 1f", "pixel", "nearness"), (shades, "3f1 x1", "colour")]
            corners = self._context.vertex_array(self._program, layout, self._context.buffer(faces.astype(np.int32)))
            self._mesh = faces, count, (corners, places, shades)
        return self._mesh[2]


def _lay_over(image: np.ndarray, drawn: np.ndarray) -> None:
    """Lay a picture with premultiplied opacity [H, W, 4] over another [H, W, 3], in place."""
    clear = cv2.cvtColor(255 - drawn[..., 3], cv2.COLOR_GRAY2RGB)
    image[:] = cv2.add(cv2.multiply(image, clear, scale=1 / 255), cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB))
