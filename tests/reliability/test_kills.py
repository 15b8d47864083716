"""Commands killed at random instants: a training is then that which was not, results and exports are whole."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.faults import Ended, forked, start
from tests.reliability.outputs import content, export, sample, seen
from tests.reliability.trainings import Place, assert_finished, assert_said, leftovers, newest


def killed(work: Callable[[], None], folder: Path, seconds: float, number: int = signal.SIGKILL) -> Ended:
    """Start work and send it a signal after so many seconds."""
    process = start(work, folder / "said")
    time.sleep(seconds)
    os.kill(process, number)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return Ended(code, (folder / "said").read_text() if (folder / "said").exists() else "", [])


def timed(work: Callable[[], None], folder: Path) -> float:
    """The seconds that work takes."""
    begin = time.perf_counter()
    ended = forked(work, folder)
    assert ended.code == 0, ended.said
    return time.perf_counter() - begin


COUNTS = pytest.mark.parametrize("count", [2, pytest.param(100, marks=pytest.mark.reliability)])


@COUNTS
def test_trainings(count: int, origin: Path, work: Path, tally):
    folder, chance, hit, runs = work, random.Random(count), 0, 0
    longest = timed(Place(origin / "data", folder / "run").begin(), folder)
    while hit < count:
        place = Place(origin / "data", folder / "run")
        shutil.rmtree(place.folder)
        runs += 1
        for _ in range(4):
            before = newest(place.folder)
            ended = killed(place.go_on(), folder, chance.uniform(0.1, 1) * longest)
            hit += ended.code == -signal.SIGKILL
            assert ended.code in (0, -signal.SIGKILL), ended.said
            assert newest(place.folder) >= before, "no save is lost"
        ended = forked(place.go_on(), folder)
        assert ended.code == 0, ended.said
        assert_finished(place.folder, origin / "whole")
    tally("kills", "train.train_mdm", hit, finished=runs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.reliability)])
def test_trainings_that_are_asked_to_stop(count: int, number: int, origin: Path, work: Path, tally):
    """They save, say how to go on, and leave with 128 and the signal."""
    folder, chance, hit = work, random.Random(count), 0
    longest = timed(Place(origin / "data", folder / "run").begin(), folder)
    while hit < count:
        place = Place(origin / "data", folder / "run")
        shutil.rmtree(place.folder)
        ended = killed(place.begin(), folder, chance.uniform(0.3, 1) * longest, number)
        if ended.code == 128 + number and "continue with" in ended.said:
            hit += 1
            assert newest(place.folder) and f"--resume_checkpoint {place.folder}" in ended.said
        else:  # before its first step, or after the last
            assert ended.code in (0, -number, 130), ended.said
        assert forked(place.go_on(), folder).code == 0
        assert_finished(place.folder, origin / "whole")
    tally("kills", f"train.train_mdm: {signal.Signals(number).name}", hit)


def test_a_training_whose_reader_is_gone(origin: Path, work: Path, tally):
    """`train | head -1`: it goes on, and saves."""
    place = Place(origin / "data", work / "run")
    reading, writing = os.pipe()
    os.close(reading)

    def unread() -> None:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        place.begin()()

    ended = forked(unread, place.folder.parent)
    os.close(writing)
    assert ended.code == 0, ended.said
    assert_finished(place.folder, origin / "whole")
    tally("kills", "train.train_mdm: broken pipe", 1)


@pytest.mark.parametrize("count", [2, pytest.param(50, marks=pytest.mark.reliability)])
def test_exports(count: int, origin: Path, work: Path, tally):
    folder, chance, hit = work, random.Random(count), 0
    out = folder / "out"

    longest = timed(export(origin, "long", out), folder)
    versions = [content(origin / f"{name}_files") for name in ("long", "short")]
    while hit < count:
        name = ("short", "long")[hit % 2]
        ended = killed(export(origin, name, out), folder, chance.uniform(0.02, 1) * longest)
        hit += ended.code == -signal.SIGKILL
        for path, data in seen(out).items():
            assert data in [version.get(path) for version in versions], f"{path} is neither old nor new"
        if chance.random() < 0.5:
            ended = forked(export(origin, "short", out), folder)
            assert ended.code == 0, ended.said
            assert content(out) == versions[1] and leftovers(folder) == []
    tally("kills", "visualize.export", hit)


@pytest.mark.parametrize("count", [2, pytest.param(50, marks=pytest.mark.reliability)])
def test_results(count: int, origin: Path, work: Path, tally):
    folder, chance, hit = work, random.Random(count), 0
    out = folder / "out"
    longest = timed(sample(origin, 1, out), folder)
    versions = [content(origin / name) for name in ("old", "new")]
    while hit < count:
        ended = killed(sample(origin, 1 + hit % 2, out), folder, chance.uniform(0.02, 1) * longest)
        hit += ended.code == -signal.SIGKILL
        for path, data in seen(out).items():
            assert data in [version.get(path) for version in versions], path
        ended = forked(sample(origin, 2, out), folder)
        assert_said(ended.code, ended.said, (0,))
        assert content(out) == versions[1] and leftovers(folder) == []
    tally("kills", "sample.mas", hit)
