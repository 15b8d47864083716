"""Cost of a drawn frame of a 3D video, encoding included, ours against matplotlib as the published program uses it.

Run by hand: `python -m tests.benchmarks.video [runs]`. Both ways in one process on one core; the cost is CPU time of
this process and of its ffmpeg, which a busy machine disturbs less than the clock on the wall; medians over the runs.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import imageio_ffmpeg
import matplotlib
import numpy as np

from utils.formats.video import frame_count, write_video
from utils.geometry.skeleton import SKELETONS
from visualize.sticks.figures import draw_3d

FRAMES, TURNS, FPS = 180, 2, 30
SKELETON = SKELETONS["nba"]
COLOURS = ("#4D84AA", "#5B9965", "#61CEB9", "#34C1E2", "#80B79A")
Way = Callable[[Path, np.ndarray], None]


def walk() -> np.ndarray:
    """A made-up walk [T, 16, 3] in metres along a bend."""
    phase = np.linspace(0, 6 * 2 * np.pi, FRAMES)
    x = dict.fromkeys(SKELETON.joints, 0.0) | {"RHip": -0.1, "RKnee": -0.1, "RAnkle": -0.1}
    x |= {"LHip": 0.1, "LKnee": 0.1, "LAnkle": 0.1, "LShoulder": 0.2, "LElbow": 0.25, "LWrist": 0.27}
    x |= {"RShoulder": -0.2, "RElbow": -0.25, "RWrist": -0.27}
    y = dict(Hip=0.95, RHip=0.93, LHip=0.93, RKnee=0.5, LKnee=0.5, RAnkle=0.1, LAnkle=0.1, Neck=1.45, Nose=1.55)
    y |= dict(Head=1.7, LShoulder=1.4, RShoulder=1.4, LElbow=1.15, RElbow=1.15, LWrist=0.9, RWrist=0.9)
    swing = dict(RKnee=0.15, RAnkle=0.3, LKnee=-0.15, LAnkle=-0.3, RElbow=-0.1, RWrist=-0.25, LElbow=0.1, LWrist=0.25)
    motion = np.zeros((FRAMES, len(SKELETON.joints), 3))
    for joint, name in enumerate(SKELETON.joints):
        motion[:, joint, 0] = x[name] + 0.5 * np.sin(phase / 12)
        motion[:, joint, 1] = y[name] + 0.02 * np.cos(2 * phase)
        motion[:, joint, 2] = swing.get(name, 0.0) * np.sin(phase) - 0.2 * phase
    return motion


def ours(path: Path, motion: np.ndarray) -> None:
    """Our raster and pipe."""
    write_video(path, draw_3d(motion, SKELETON, "a walk", trajectory_joints=(0,), turns=TURNS), FPS)


def with_matplotlib(path: Path, motion: np.ndarray) -> None:
    """3D axes of 5 x 5 inches whose lines, dots and ground are drawn anew for each frame, and the ffmpeg writer."""
    import matplotlib.pyplot as plt
    from matplotlib.animation import FFMpegWriter, FuncAnimation
    from mpl_toolkits.mplot3d import Axes3D
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    figure = plt.figure(figsize=(5, 5))
    axes = Axes3D(figure)
    figure.add_axes(axes)
    motion = np.concatenate([motion] * TURNS)
    motion[..., 1] -= motion[..., 1].min()
    low, high = motion.min((0, 1)), motion.max((0, 1))
    trajectory = motion[:, 0, [0, 2]]

    def update(frame: int) -> None:
        axes.clear()
        axes.set(xlim3d=(-1.5, 1.5), ylim3d=(-1, 1), zlim3d=(0, 3))
        axes.set_axis_off()
        axes.grid(False)
        axes.set(xticklabels=[], yticklabels=[], zticklabels=[])
        axes.view_init(elev=30, azim=frame / 300 * 360)
        figure.suptitle("a walk", fontsize=10)
        x, z = trajectory[frame]
        sides = (low[0] - x, high[0] - x), (low[2] - z, high[2] - z)
        ground = [(sides[0][i], sides[1][j], 0.0) for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))]
        axes.add_collection3d(Poly3DCollection([ground], facecolor=(0.5, 0.5, 0.5, 0.5)))
        joints = motion[frame] - (x, 0, z)
        axes.scatter(joints[:, 0], joints[:, 2], zs=joints[:, 1], s=3, c=(COLOURS * 4)[: joints.shape[0]])
        for chain, colour in zip(SKELETON.chains, COLOURS, strict=True):
            xs, ys, zs = joints[list(chain)].T
            axes.plot3D(xs, zs, ys, color=colour, linewidth=1.0)

    animation = FuncAnimation(figure, update, frames=len(motion), interval=1000 / FPS, repeat=False)
    animation.save(path, writer=FFMpegWriter(fps=FPS))
    plt.close(figure)


def cpu_seconds() -> float:
    """User and system time of this process and of the children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(way: Way, motion: np.ndarray, runs: int) -> tuple[float, float]:
    """Median CPU and wall milliseconds a drawn frame."""
    costs = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "walk.mp4"
            cpu, wall = cpu_seconds(), time.perf_counter()
            way(path, motion)
            costs.append((cpu_seconds() - cpu, time.perf_counter() - wall))
            assert frame_count(path) == FRAMES * TURNS
    cpu, wall = np.median(costs, axis=0) * 1000 / (FRAMES * TURNS)
    return float(cpu), float(wall)


def main(argv: list[str]) -> None:
    """Print the costs and their ratio."""
    runs = int(argv[0]) if argv else 3
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    matplotlib.use("Agg")
    matplotlib.rcParams["animation.ffmpeg_path"] = imageio_ffmpeg.get_ffmpeg_exe()
    motion = walk()
    with tempfile.TemporaryDirectory() as folder:
        for way in (ours, with_matplotlib):
            way(Path(folder) / "warm.mp4", motion[:2])
    ours_ms, ours_wall = measure(ours, motion, runs)
    theirs_ms, theirs_wall = measure(with_matplotlib, motion, runs)
    print(
        f"{FRAMES * TURNS} drawn frames, median of {runs} runs, ms a drawn frame with encoding (CPU; wall in brackets)"
    )
    print(f"matplotlib  {theirs_ms:8.2f}  ({theirs_wall:.2f})")
    print(f"ours        {ours_ms:8.2f}  ({ours_wall:.2f})")
    print(f"ratio       {theirs_ms / ours_ms:8.1f}  ({theirs_wall / ours_wall:.1f})")


if __name__ == "__main__":
    main(sys.argv[1:])
