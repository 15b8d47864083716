"""A clock that jumps, and files from the future: nothing depends on what time it is."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.faults import forked
from tests.reliability.outputs import export, sample, seen
from tests.reliability.test_kills import killed, timed
from tests.reliability.trainings import Place, assert_finished, leftovers

YEAR = 365 * 86400.0


def jumping(work: Callable[[], None], seed: int) -> Callable[[], None]:
    """Work during which the clock of the system is set anew each time that somebody looks at it."""

    def run() -> None:
        chance, real = random.Random(seed), time.time
        time.time = lambda: real() + chance.uniform(-30, 30) * YEAR
        work()

    return run


def set_times(folder: Path, chance: random.Random) -> None:
    """Give everything in a folder times of change of some years before and after now."""
    for path in folder.rglob("*"):
        at = time.time() + chance.uniform(-30, 30) * YEAR
        os.utime(path, (at, at), follow_symlinks=False)


@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.reliability)])
def test_a_training(count: int, origin: Path, work: Path, tally):
    chance = random.Random(count)
    longest = timed(jumping(Place(origin / "data", work / "run").begin(), 0), work)
    for number in range(count):
        place = Place(origin / "data", work / f"run{number}")
        ended = killed(jumping(place.begin("--overwrite_model"), number), work, chance.uniform(0.2, 1) * longest)
        assert ended.code in (0, -9), ended.said
        set_times(work, chance)
        ended = forked(jumping(place.go_on(), number), work)
        assert ended.code == 0, ended.said
        assert_finished(place.folder, origin / "whole")
    tally("clock", "train.train_mdm", count)


@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.reliability)])
def test_outputs(count: int, origin: Path, work: Path, tally):
    chance, out = random.Random(count), work / "out"
    for line, made in ((export(origin, "short", out), "short_files"), (sample(origin, 2, work / "samples"), "new")):
        longest = timed(line, work)
        for number in range(count):
            ended = killed(jumping(line, number), work, chance.uniform(0.2, 1) * longest)
            assert ended.code in (0, -9), ended.said
            set_times(work, chance)
            ended = forked(jumping(line, number), work)
            assert ended.code == 0, ended.said
            assert seen(out if made == "short_files" else work / "samples") == seen(origin / made)
            assert leftovers(work) == []
    tally("clock", "visualize.export, sample.mas", 2 * count)
