"""Cost of a drawn frame of a video of the free body, with floor and soft shadow, encoding apart and included.

Run by hand: `python -m tests.benchmarks.mesh_video [runs]`. OpenGL and the painter beside the published way, pyrender,
where it is installed (`pip install pyrender`; else its 61 ms of another machine stand there). One thread each, of Mesa
too. On one core, medians over the runs; CPU time counts this process and its ffmpeg, which a busy machine disturbs less
than the clock on the wall.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from body.models import load_body
from tests.benchmarks.video import cpu_seconds
from utils.formats.video import frame_count, write_video
from utils.geometry.body import Body, BodyMotion, vertices_of
from utils.geometry.rotations import axis_angle_to_matrix
from utils.run.errors import MissingFileError
from visualize.meshes.raster import open_renderer
from visualize.meshes.video import draw_body

FRAMES, FPS, SIZE = 96, 20, 512
SWING = {"left_hip": 0.5, "right_hip": -0.5, "left_shoulder": -0.4, "right_shoulder": 0.4}  # radians, about x
BEND = {"left_knee": 0.5, "right_knee": -0.5}
Frames = Iterator[np.ndarray]


def walk(body: Body) -> BodyMotion:
    """A made-up walk along a bend, arms down."""
    phase = torch.linspace(0, 6 * 2 * torch.pi, FRAMES, dtype=torch.float32)
    turns = torch.zeros(FRAMES, len(body.joints), 3)
    for name, size in SWING.items():
        turns[:, body.joints.index(name), 0] = -size * phase.sin()
    for name, side in BEND.items():
        turns[:, body.joints.index(name), 0] = 0.6 + side * phase.cos()
    rotations = axis_angle_to_matrix(turns)
    for name, side in (("left_collar", -1.0), ("right_collar", 1.0)):
        down = torch.tensor([0.0, 0.0, side * 1.1]).expand(FRAMES, 3)
        rotations[:, body.joints.index(name)] = axis_angle_to_matrix(down)
    root = np.stack([0.5 * (phase / 12).sin(), np.full(FRAMES, 0.93), 0.2 * phase], axis=1).astype(np.float32)
    return BodyMotion(body, rotations.numpy(), root, FPS, "walk")


def with_pyrender(motion: BodyMotion) -> Frames:
    """A scene with a floor, a lamp that casts shadows and the mesh made anew for each frame, drawn offscreen by EGL."""
    os.environ["PYOPENGL_PLATFORM"] = "egl"
    setattr(np, "infty", np.inf)  # noqa: B010, which it still says
    import pyrender  # pyright: ignore[reportMissingImports]
    import trimesh  # pyright: ignore[reportMissingImports]

    scene = pyrender.Scene(bg_color=[0.97, 0.97, 0.98], ambient_light=[0.35] * 3)
    skin = pyrender.MetallicRoughnessMaterial(baseColorFactor=[0.6, 0.74, 0.8, 1.0], metallicFactor=0.0)
    floor = trimesh.creation.box((8, 0.01, 8))
    scene.add(pyrender.Mesh.from_trimesh(floor))
    look = np.eye(4)
    look[:3, 3] = 0, 1.0, 3.4
    eye = scene.add(pyrender.PerspectiveCamera(yfov=0.7), pose=look)
    lamp = np.eye(4)
    lamp[:3, :3] = [[1, 0, 0], [0, 0.5, 0.866], [0, -0.866, 0.5]]
    lamp[:3, 3] = 0, 3, 2
    scene.add(pyrender.DirectionalLight(intensity=3.0), pose=lamp)
    renderer = pyrender.OffscreenRenderer(SIZE, SIZE)
    body = None
    for place, vertices in zip(motion.root, vertices_of(motion), strict=True):
        if body is not None:
            scene.remove_node(body)
        mesh = pyrender.Mesh.from_trimesh(trimesh.Trimesh(vertices, motion.body.faces, process=False), material=skin)
        body = scene.add(mesh)
        look[:3, 3] = place + (0, 0.1, 3.4)
        scene.set_pose(eye, look)
        yield renderer.render(scene, flags=pyrender.RenderFlags.SHADOWS_DIRECTIONAL)[0].copy()
    renderer.delete()


def measure(draw: Callable[[], Frames], runs: int) -> np.ndarray:
    """Median milliseconds a frame: CPU and wall, drawn alone, then drawn and encoded."""
    costs = []
    for _ in range(runs):
        marks = [(cpu_seconds(), time.perf_counter())]
        assert sum(1 for _ in draw()) == FRAMES
        marks.append((cpu_seconds(), time.perf_counter()))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "walk.mp4"
            write_video(path, draw(), FPS)
            marks.append((cpu_seconds(), time.perf_counter()))
            assert frame_count(path) == FRAMES
        costs.append(np.diff(marks, axis=0).ravel())
    return np.median(costs, axis=0) * 1000 / FRAMES


def main(argv: list[str]) -> None:
    """Print the costs."""
    runs = int(argv[0]) if argv else 5
    os.environ["LP_NUM_THREADS"] = "1"  # of Mesa's renderer, before it is loaded
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    body = load_body("free").shaped()
    motion = walk(body)
    print(f"{FRAMES} frames of {SIZE} x {SIZE}, {len(body.vertices)} vertices, {len(body.faces)} faces, one thread;")
    print(f"ms a frame, median of {runs} runs: CPU (wall in brackets)   drawn   drawn and encoded")

    def show(name: str, draw: Callable[[], Frames]) -> None:
        sum(1 for _ in draw())
        cpu, wall, cpu_mp4, wall_mp4 = measure(draw, runs)
        print(f"{name:10} {cpu:8.1f}  ({wall:.1f}) {cpu_mp4:16.1f}  ({wall_mp4:.1f})")

    try:  # first, as it ends what else is open on the display
        show("pyrender", lambda: with_pyrender(motion))
    except Exception as error:  # it and its drivers raise what they like
        print(f"pyrender   {type(error).__name__}: {error}; on another machine 61 (6974 vertices, not encoded)")
    for kind in ("opengl", "painter"):
        try:
            renderer, _ = open_renderer(kind)
        except MissingFileError as error:
            print(f"{kind:10} {error}")
            continue
        show(kind, lambda renderer=renderer: draw_body(motion, "a walk", SIZE, renderer=renderer))
        renderer.close()


if __name__ == "__main__":
    main(sys.argv[1:])
