"""Every file operation of save, purge, resume, export and results fails in turn: it errs, is killed, loses power."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.faults import FAULTS, Fault, forked
from tests.reliability.outputs import content, export, sample, seen
from tests.reliability.trainings import (
    MILESTONE,
    STEPS,
    Place,
    assert_finished,
    assert_said,
    leftovers,
    newest,
)
from utils.run import checkpoint

SOME = 2  # faults of each kind in the quick set


def chosen(count: int, every: bool) -> list[int]:
    """The operations that fail: all, or some that are spread over all."""
    return list(range(count)) if every else sorted({round(k * (count - 1) / (SOME - 1)) for k in range(SOME)})


def begun(origin: Path, tmp: Path) -> tuple[Place, Callable[[], None], Path]:
    place = Place(origin / "data", tmp / "run")
    return place, place.begin("--overwrite_model"), origin / "whole"


def resumed(origin: Path, tmp: Path) -> tuple[Place, Callable[[], None], Path]:
    place = Place(origin / "data", tmp / "run")
    shutil.copytree(origin / "half", place.folder)
    return place, place.resume(), origin / "whole"


def restarted(origin: Path, tmp: Path) -> tuple[Place, Callable[[], None], Path]:
    place = Place(origin / "data", tmp / "run", "--lr 0.01")
    shutil.copytree(origin / "whole", place.folder)
    return place, place.begin("--overwrite_model"), origin / "other"


def branched(origin: Path, tmp: Path) -> tuple[Place, Callable[[], None], Path]:
    place = Place(origin / "data", tmp / "run", "--lr 0.01")
    shutil.copytree(origin / "whole", place.folder)
    return place, place.resume(place.folder / f"checkpoint_{MILESTONE}.pth"), origin / "branch"


TRAININGS = {"save and purge": begun, "resume": resumed, "train anew": restarted, "resume an older save": branched}


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.reliability)])
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training(name: str, kind: str, every: bool, origin: Path, work: Path, tally):
    place, line, _ = TRAININGS[name](origin, work)
    ended = forked(line, work)
    assert ended.code == 0, ended.said
    shutil.rmtree(place.folder)
    places = chosen(len(ended.operations), every)[:: 3 if name == "train anew" else 1]  # most are those of another case
    for at in places:
        place, line, whole = TRAININGS[name](origin, work)
        before = newest(place.folder)
        failed = forked(line, work, Fault(kind, at))
        where = f"operation {at} of {len(ended.operations)}: {failed.operations[-1]}"
        if kind == "error":
            assert_said(failed.code, failed.said, (0, 4))
        else:
            assert failed.code == -9, where
        if name == "resume":
            assert newest(place.folder) >= before, where
        if name == "resume an older save":
            kept = [path for path in place.folder.rglob(f"checkpoint_{STEPS}.pth") if checkpoint.verify(path)]
            assert kept, f"{where}: the later save is lost"
        again = forked(line if name in ("train anew", "resume an older save") else place.go_on(), work)
        assert again.code == 0, f"{where}: {again.said}"
        assert_finished(place.folder, whole)
        shutil.rmtree(place.folder)
    tally("faults", f"{name}: {kind}", len(places))


def exported(origin: Path, folder: Path) -> tuple[Callable[[], None], Path, Path]:
    shutil.copytree(origin / "long_files", folder / "out")
    return export(origin, "short", folder / "out"), origin / "long_files", origin / "short_files"


def sampled(origin: Path, folder: Path) -> tuple[Callable[[], None], Path, Path]:
    shutil.copytree(origin / "old", folder / "out")
    return sample(origin, 2, folder / "out"), origin / "old", origin / "new"


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.reliability)])
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("case", [exported, sampled])
def test_what_replaces_something(case: Callable, kind: str, every: bool, origin: Path, work: Path, tally):
    """Each file that is seen is the old or the new one, whole; the same command once more puts all right."""
    line, old, new = case(origin, work)
    ended = forked(line, work)
    assert ended.code == 0 and seen(work / "out") == seen(new), ended.said
    places = chosen(len(ended.operations), every)
    for at in places:
        shutil.rmtree(work / "out")
        line, old, new = case(origin, work)
        failed = forked(line, work, Fault(kind, at))
        where = f"operation {at} of {len(ended.operations)}: {failed.operations[-1]}"
        if kind == "error":
            assert_said(failed.code, failed.said, (0, 4))
        else:
            assert failed.code == -9, where
        versions = [content(folder) for folder in (old, new)]
        for path, data in seen(work / "out").items():
            assert data in [version.get(path) for version in versions], f"{where}: {path} is neither old nor new"
        again = forked(line, work)
        assert again.code == 0, f"{where}: {again.said}"
        assert seen(work / "out") == seen(new) and leftovers(work) == [], where
    tally("faults", f"{case.__name__}: {kind}", len(places))
