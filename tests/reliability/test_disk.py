"""A disk that is really full: one sentence, no half file, and on from there once there is room.

The disk is a small file system in memory, in a namespace of its own (Linux); where that may not be, a limit on the size
of files stands in.
"""

import ctypes
import functools
import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.faults import forked
from tests.reliability.outputs import export, sample, seen
from tests.reliability.trainings import Place, assert_finished, assert_said, command, leftovers, newest

KILOBYTES = 8192
NAMESPACES = 0x10000000 | 0x00020000  # of users and of mounts: CLONE_NEWUSER | CLONE_NEWNS


def mount(folder: Path) -> None:
    """Go into a namespace of one's own, in which a small file system lies at `folder`."""
    libc, user, group = ctypes.CDLL(None, use_errno=True), os.getuid(), os.getgid()
    if libc.unshare(NAMESPACES):
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={KILOBYTES}k", "tmpfs", str(folder)], check=True)


@functools.cache
def may_mount() -> bool:
    """Whether this user may mount a file system of their own."""
    folder = Path("/dev/shm")
    return folder.is_dir() and forked(lambda: mount(folder), folder).code == 0


def leave(folder: Path, kilobytes: int) -> None:
    """Fill a disk but for so much."""
    (folder / "ballast").unlink(missing_ok=True)
    with open(folder / "ballast", "wb", buffering=0) as handle:
        room = shutil.disk_usage(folder).free - 1024 * kilobytes
        handle.write(bytes(max(0, room)))


def used(folder: Path) -> int:
    """Kilobytes of a disk."""
    return shutil.disk_usage(folder).used // 1024


def training(origin: Path, disk: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """A training, and what to do after it failed, which must end well."""
    place = Place(origin / "data", disk / "run")

    def again() -> None:
        ended = forked(place.go_on(), disk)
        assert ended.code == 0, ended.said
        assert_finished(place.folder, origin / "whole")

    return place.begin("--overwrite_model"), again


def once_more(work: Callable[[], None], disk: Path, made: Path) -> Callable[[], None]:
    """That a command, run again where there is room, makes what it makes anywhere."""

    def again() -> None:
        ended = forked(work, disk)
        assert ended.code == 0, ended.said
        assert seen(disk / "out") == seen(made)

    return again


def exporting(origin: Path, disk: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    work = export(origin, "short", disk / "out")
    return work, once_more(work, disk, origin / "short_files")


def sampling(origin: Path, disk: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    work = sample(origin, 2, disk / "out")
    return work, once_more(work, disk, origin / "new")


def preparing(module: str, *flags: object) -> Callable[[Path, Path], tuple[Callable[[], None], Callable[[], None]]]:
    def prepare(origin: Path, disk: Path) -> tuple[Callable[[], None], Callable[[], None]]:
        told = [origin / str(flag)[1:] if str(flag).startswith("/") else flag for flag in flags]
        made = origin / f"made_{module}_{len(str(flags))}"
        if not made.exists():
            assert forked(command(module, *told, "--output_dir", made), origin).code == 0
        work = command(module, *told, "--output_dir", disk / "out")
        return work, once_more(work, disk, made)

    return prepare


def statistics(origin: Path, disk: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    if not (disk / "out").exists():
        shutil.copytree(origin / "data", disk / "out")
    if not (origin / "counted").exists():
        shutil.copytree(origin / "data", origin / "counted")
        line = ("--dataset nba", "--datapath", origin / "counted", "--overwrite")
        assert forked(command("prepare.motion_stats", *line), origin).code == 0
    work = command("prepare.motion_stats", "--dataset nba", "--datapath", disk / "out", "--overwrite")
    return work, once_more(work, disk, origin / "counted")


CASES = {
    "train.train_mdm": training,
    "visualize.export": exporting,
    "sample.mas": sampling,
    "prepare.toy_motion": preparing("prepare.toy_motion", "--dataset nba --num_motions 8"),
    "prepare.toy_motion (text)": preparing("prepare.toy_motion", "--dataset humanml --num_motions 3"),
    "prepare.mocap": preparing("prepare.mocap", "--sources", "/short_files/sample00_rep00.bvh", "/long_files"),
    "prepare.motion_stats": statistics,
    "prepare.ship": preparing("prepare.ship", "--model_path", "/once"),
}  # fmt: skip


def scenario(case: Callable, origin: Path, disk: Path, places: int) -> None:
    """Run a command with more and more room on a small disk, until there is enough."""
    mount(disk)
    work, again = case(origin, disk)
    before = used(disk)
    ended = forked(work, disk)
    assert ended.code == 0, ended.said
    needed = used(disk) - before + 64
    for number in range(places):
        for path in disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        work, again = case(origin, disk)
        there = sorted(path for path in disk.rglob("*"))
        leave(disk, number * needed // places)
        ended = forked(work, disk)
        assert_said(ended.code, ended.said, (0, 4))
        if ended.code:
            assert "No space left on device" in ended.said, ended.said
            if case is training:
                assert newest(disk / "run") >= 0
            else:
                assert sorted(path for path in disk.rglob("*") if path.name != "ballast") == there, ended.said
                assert leftovers(disk) == []
        (disk / "ballast").unlink()
        if ended.code:
            again()


@pytest.mark.parametrize("places", [1, pytest.param(20, marks=pytest.mark.reliability)])
@pytest.mark.parametrize("name", CASES)
def test_a_small_disk(name: str, places: int, origin: Path, work: Path, tally):
    if not may_mount():
        pytest.skip("needs leave to mount a tmpfs in a namespace of its own")
    ended = forked(lambda: scenario(CASES[name], origin, work, places), work)
    assert ended.code == 0, ended.said
    tally("full disk", name, places)


@pytest.mark.parametrize("module", ["sample.mas", "visualize.export", "train.train_mdm"])
def test_a_disk_that_cannot_be_written_is_found_before_any_work(module: str, origin: Path, work: Path):
    if not may_mount():
        pytest.skip("needs leave to mount a tmpfs in a namespace of its own")

    def command_on_it() -> None:
        mount(work)
        subprocess.run(["mount", "-o", "remount,ro", str(work)], check=True)
        CASES[module](origin, work)[0]()

    ended = forked(command_on_it, work)
    assert_said(ended.code, ended.said, (2,))
    assert "is read-only for you; choose another folder" in ended.said and "sampling" not in ended.said, ended.said


def limited(work: Callable[[], None], size: int) -> Callable[[], None]:
    """Work whose files may have so many bytes, as where a user's share of a disk is used up."""

    def run() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        work()

    return run


@pytest.mark.parametrize("places", [1, pytest.param(20, marks=pytest.mark.reliability)])
@pytest.mark.parametrize("name", ["train.train_mdm", "visualize.export", "prepare.toy_motion (text)"])
def test_files_that_may_not_be_large(name: str, places: int, origin: Path, work: Path, tally):
    line, again = CASES[name](origin, work)
    for number in range(places):
        ended = forked(limited(line, 1000 + number * 100_000 // places), work)
        assert_said(ended.code, ended.said, (0, 4))
        assert ended.code == 0 or any(text in ended.said for text in ("File too large", "No space")), ended.said
        if ended.code:
            again()
        shutil.rmtree(work / ("run" if name == "train.train_mdm" else "out"))
    tally("full disk", f"{name}: largest file", places)
