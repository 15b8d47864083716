"""Where the tests of this folder work, in memory where there is such a disk (they sync files by the thousand), and
what they begin from."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.commands import run, toy, train
from tests.reliability.faults import forked
from tests.reliability.outputs import export, sample
from tests.reliability.trainings import MILESTONE, Place
from utils.formats import results
from utils.run import checkpoint

MEMORY = Path("/dev/shm")


@pytest.fixture
def work() -> Iterator[Path]:
    """An empty folder."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def origin() -> Iterator[Path]:
    """Data, trainings and results.

    `once`: a model; `whole`: a training to its end, `half`: the same at its milestone; `other`: one at another rate,
    `branch`: one that goes on at that rate from the milestone. `old` and `new`: results; `long` and `short`: others,
    exported to `long_files` and `short_files`. What commands import is there in the forks afterwards.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        train(folder / "once", toy(folder / "data"))
        make_trainings(folder)
        for seed, made in ((1, "old"), (2, "new")):
            sample(folder, seed, folder / made, run)
        for frames, made in ((9, "long"), (6, "short")):
            write_clip(folder / made, frames)
            export(folder, made, folder / f"{made}_files", run)
        yield folder


def make_trainings(folder: Path) -> None:
    """Make the trainings of the origin."""
    for name, flags in (("whole", ""), ("other", "--lr 0.01")):
        ended = forked(Place(folder / "data", folder / name, flags).begin(), folder)
        assert ended.code == 0, ended.said
    for name in ("half", "branch"):
        shutil.copytree(folder / "whole", folder / name)
    for path in (folder / "half").glob("checkpoint_*.pth"):
        if checkpoint.step_of(path) > MILESTONE:
            path.unlink()
    branch = Place(folder / "data", folder / "branch", "--lr 0.01")
    ended = forked(branch.resume(branch.folder / f"checkpoint_{MILESTONE}.pth"), folder)
    assert ended.code == 0, ended.said


def write_clip(folder: Path, frames: int) -> None:
    """Results of one motion of 22 joints."""
    clip = np.random.RandomState(frames).normal(0, 0.3, (frames, 22, 3)).cumsum(0).astype(np.float32)
    content = {"motion": clip[None].transpose(0, 2, 3, 1), "text": ["a"], "lengths": np.array([frames])}
    folder.mkdir()
    results.write(folder / "results.npy", content | {"num_samples": 1, "num_repetitions": 1})
