"""Cost of the videos of ten generated motions of 120 frames, with the grids that show them three at a time.

Run by hand: `python -m tests.benchmarks.grid [runs]`. On one core, medians over the runs; CPU time counts this process
and its ffmpeg, which a busy machine disturbs less than the clock on the wall.
"""

import os
import sys
import tempfile
import time

import cv2
import numpy as np

from tests.benchmarks.video import SKELETON, cpu_seconds, walk
from visualize.sticks.figures import draw_world
from visualize.sticks.grid import grids_of, write_grid

SAMPLES, FRAMES, FPS = 10, 120, 20


def main(argv: list[str]) -> None:
    """Print the seconds."""
    runs = int(argv[0]) if argv else 3
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    motion, costs = walk()[:FRAMES] * (1, 1, -1), []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            cpu, wall = cpu_seconds(), time.perf_counter()
            drawings = [[draw_world(motion, SKELETON, f"a person walks, number {i}")] for i in range(SAMPLES)]
            names = [
                name
                for part in grids_of(SAMPLES)
                for name in write_grid(folder, part, drawings[part.start : part.stop], FPS)
            ]
            costs.append((cpu_seconds() - cpu, time.perf_counter() - wall))
    cpu, wall = np.median(costs, axis=0)
    print(f"{SAMPLES} videos of {FRAMES} frames and {len(names) - SAMPLES} grids, median of {runs} runs")
    print(f"CPU {cpu:.2f} s, wall {wall:.2f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
