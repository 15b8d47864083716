"""Cost of an export of a long clip: the fit of the body, the foot lock, and each file with its read-back check.

Run by hand: `python -m tests.benchmarks.export [-h]`. A recorded clip is repeated until it is long enough. One process,
one thread; CPU time, which a busy machine disturbs less than the clock on the wall. The peak of memory is that of the
process so far, so the order of the rows counts.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from body.from_joints import make_body
from body.models import load_body
from body.motion.foot_lock import lock_feet
from body.options import BodyOptions
from utils.formats.reading import read_motion
from utils.geometry.motion import Motion
from utils.run.errors import run_command
from utils.run.options import option, parse
from visualize.files.exporting import export
from visualize.options import FORMATS

T = TypeVar("T")


@dataclass(frozen=True)
class LongExportOptions:
    """Size of the measurement."""

    clip: str = option("../shared/data/more/bvh/JL_mm_run.bvh", "a motion file of a person")
    frames: int = option(12000, "length that its first motion is repeated to", min=1)
    body: str = option("free", "free, smpl or a SMPL file")
    format: tuple[str, ...] = option(("glb", "bvh", "html", "csv", "npz"), "files", tuple(FORMATS), many=True)


def repeated(path: str, frames: int) -> Motion:
    """The first motion of a file, over and over, its joints alone."""
    motion = read_motion(path)[0]
    again = -(-frames // len(motion.positions))
    return replace(motion, positions=np.concatenate([motion.positions] * again)[:frames], rotations=None)


def timed(name: str, work: Callable[[], T]) -> T:
    """Do the work, and print its row."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name:10s} {cpu:7.2f}   {wall:7.2f}   {peak:7.2f}", flush=True)
    return result


def main(argv: list[str]) -> None:
    """Print what each stage costs."""
    (size,) = parse("tests.benchmarks.export", "Time the export of a long clip.", (LongExportOptions,), argv)
    torch.set_num_threads(1)
    clip, model = repeated(size.clip, size.frames), load_body(size.body)
    print(f"{len(clip.positions)} frames at {clip.fps:g} a second, body {model.name}, one thread")
    print("stage        CPU s    wall s   peak GB")
    motion, _ = timed("fit", lambda: make_body(clip, BodyOptions(), model))
    timed("foot lock", lambda: lock_feet(motion))
    with tempfile.TemporaryDirectory() as folder:
        for name in size.format:
            timed(name, lambda name=name: export([motion], [name], Path(folder), "results"))


if __name__ == "__main__":
    run_command(main)
