"""Bodies in motion as shaded pictures: the floor, camera and way of `figures.draw_world`, with flesh on the bones.

The body stands in the middle, the floor passes below, and its grid, path and shadow are drawn as for stick figures.
Only the body itself is left to a renderer (`visualize.meshes.raster`), which gets it projected and lit.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from utils.formats.checks import check_motion
from utils.formats.export_format import Format, Look
from utils.formats.video import frame_count, write_video
from utils.geometry.body import Body, BodyMotion, outline, vertices_of
from utils.geometry.mesh import vertex_normals
from utils.run.errors import DataError, NumericError
from visualize.meshes.light import SKIN, body_shadow, lit, openness, surface_points
from visualize.meshes.raster import open_renderer
from visualize.meshes.renderer import Renderer
from visualize.sticks.contact_sheet import CELL, write_drawn_sheet
from visualize.sticks.figures import (
    ELEVATION,
    LOOSE,
    THREE_QUARTER,
    behind,
    fitted_camera,
    title_height,
    write_title,
)
from visualize.sticks.floor import empty_floor, floor_painter, turned

_BLOCK = 16  # frames whose vertices are held at once
_SUNK, _AFLOAT = 0.1, 0.6  # of a body's height: how far below or above y = 0 it may stay and still have its floor there
_TINT = 0.75  # how much of the colour of contact the flesh takes on


def draw_body(
    motion: BodyMotion,
    title: str = "",
    size: int = 512,
    azimuth: float = THREE_QUARTER,
    elevation: float = ELEVATION,
    frames: Sequence[int] | None = None,
    colour: tuple[int, int, int] = SKIN,
    contacts: bool = False,
    renderer: Renderer | None = None,
) -> Iterator[np.ndarray]:
    """Yield RGB uint8 pictures [size, size, 3] of a body that moves through space.

    The viewer stands at `azimuth` (radians, from +z towards +x: 0 sees the front of who faces +z, pi / 2 the left side)
    and follows the root smoothly. The floor is y = 0, or the lowest point of a clip that stays well below or above it,
    as one that is centred on its root. `frames` picks which frames to draw; `contacts` tints the flesh of joints that
    stand on the floor, where the motion tells. A `renderer` serves many drawings and stays open; without one, the best
    there is is opened and closed. Raises DataError, and NumericError for what is not finite.
    """
    _check(motion, size)
    body, angles = motion.body, np.full(len(motion.root), azimuth, np.float32)
    reach = vertices_of(dataclasses.replace(motion, body=outline(body)))
    followed, floor = _stand(motion, reach)
    held = _before_camera(reach, followed, floor)
    camera = fitted_camera(held, angles, elevation, size, title_height(title, size))
    stage, fade = empty_floor(camera, size)
    write_title(stage, title)
    (corners, shares, area), extent = surface_points(body.vertices, body.faces), np.ptp(body.vertices, axis=0).max()
    shown = np.arange(len(motion.root)) if frames is None else np.asarray(frames)
    touching = motion.contacts if contacts else None
    with _at_hand(renderer) as own:
        for block in np.split(shown, range(_BLOCK, len(shown), _BLOCK)):
            part = dataclasses.replace(motion, rotations=motion.rotations[block], root=motion.root[block])
            placed = _before_camera(vertices_of(part), followed[block], floor)
            seen = np.stack(turned(placed, angles[block], 0.0), axis=-1)  # viewer's axes: right, up, away
            points = np.stack([np.einsum("pc,pcx->px", shares, vertices[corners]) for vertices in seen])
            shade = body_shadow(points, area, camera, fade)
            paint_floor = floor_painter(followed, block, angles[block], camera, fade, shade)
            for f, frame in enumerate(block):
                image = stage.copy()
                paint_floor(image, f)
                flesh = np.array(colour) if touching is None else _tinted(body, touching[frame], colour)
                normals = -vertex_normals(seen[f], body.faces)  # the viewer's axes are left-handed
                colours = lit(normals, flesh, openness(points[f], area, seen[f], normals, extent))
                pixels, nearness = camera.project(seen[f : f + 1], np.zeros(1))
                own.paint(image, pixels[0], nearness[0], colours, body.faces)
                yield image


def write_body_sheet(
    path: str | Path,
    motions: Sequence[BodyMotion],
    captions: Sequence[str] | None = None,
    columns: int = 8,
    azimuth: float = THREE_QUARTER,
    renderer: Renderer | None = None,
) -> None:
    """Write a PNG with a row of bodies a motion, equally spaced over its time, and its caption at the left.

    The captions are the motions' texts, or names, unless told. Raises DataError and NumericError.
    """
    told = [motion.text or motion.name for motion in motions] if captions is None else captions
    for motion in motions:
        _check(motion, CELL)
    lengths, rates = [len(motion.root) for motion in motions], [motion.fps for motion in motions]
    with _at_hand(renderer) as own:

        def draw(index: int, frames: list[int]) -> Iterator[np.ndarray]:
            return draw_body(motions[index], "", CELL, azimuth, frames=frames, renderer=own)

        write_drawn_sheet(path, draw, lengths, told, columns, rates)


@contextlib.contextmanager
def _at_hand(renderer: Renderer | None) -> Iterator[Renderer]:
    """The renderer; the best there is, for a while, where there is none."""
    own = open_renderer()[0] if renderer is None else renderer
    try:
        yield own
    finally:
        if renderer is None:
            own.close()


def _stand(motion: BodyMotion, reach: np.ndarray) -> tuple[np.ndarray, float]:
    """The way [T, 2] of the camera, x and -z, and the height of the floor, for the outermost points [T, P, 3]."""
    height = float(np.median(np.ptp(reach[..., 1], axis=1)))
    followed = behind(motion.root[:, [0, 2]].astype(np.float64) * (1, -1), height)
    lowest = float(reach[..., 1].min())
    return followed, 0.0 if -_SUNK * height < lowest < _AFLOAT * height else lowest


def _before_camera(points: np.ndarray, followed: np.ndarray, floor: float) -> np.ndarray:
    """Points [F, P, 3] in the axes of `figures`: over the middle of the picture, z away from a viewer at azimuth 0."""
    shift = np.stack([followed[:, 0], np.full(len(followed), floor), followed[:, 1]], axis=1)
    return points * np.array((1, 1, -1), np.float32) - shift[:, None].astype(np.float32)


def _tinted(body: Body, touching: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Colours [V, 3] of flesh whose joints `touching` [K] stand on the floor."""
    share = _TINT * (body.weights @ touching.astype(np.float32))[:, None]
    return (1 - share) * colour + share * LOOSE


def _check(motion: BodyMotion, size: int) -> None:
    """Raise DataError or NumericError for a motion that cannot be drawn."""
    frames, joints = len(motion.root), len(motion.body.joints)
    if frames == 0 or motion.root.shape != (frames, 3) or motion.rotations.shape != (frames, joints, 3, 3):
        raise DataError(
            f"cannot draw a body with rotations {motion.rotations.shape} and root {motion.root.shape}: "
            f"{motion.body.name} needs (frames, {joints}, 3, 3) and (frames, 3)"
        )
    if size < 16:
        raise DataError(f"cannot draw a body in {size} pixels: 16 is the least")
    finite = np.isfinite(motion.root).all(-1) & np.isfinite(motion.rotations).all((1, 2, 3))
    if not finite.all():
        raise NumericError(f"{motion.name or 'the motion'} is not finite at frame {finite.argmin()}: cannot be drawn")


def _film(path: Path, motions: Sequence[BodyMotion]) -> None:
    check_motion(motions[0], path)
    write_video(path, draw_body(motions[0], motions[0].text), motions[0].fps)


def _look(frames: int, motion: BodyMotion, number: int) -> Look:
    """Of a video only its frames are counted."""
    return frames, motion.root, motion.root


FORMAT = Format("_mesh.mp4", _film, frame_count, _look)
