"""Folders appear whole or not at all; one run holds a folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from utils.run import folders
from utils.run.errors import DataError, UsageError
from utils.run.folders import RECORD, refuse_existing

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_folder_appears_whole(tmp_path):
    out = tmp_path / "deep" / "out"
    with folders.atomic_folder(out) as made:
        (made / "a").write_text("1")
        assert not out.exists()
    assert names(out) == [RECORD, "a"]
    with pytest.raises(RuntimeError), folders.atomic_folder(out, overwrite=True) as made:
        (made / "b").write_text("2")
        raise RuntimeError
    assert names(out) == [RECORD, "a"]
    with folders.atomic_folder(out, overwrite=True) as made:
        (made / "b").write_text("2")
    assert names(out) == [RECORD, "b"] and names(out.parent) == ["out"]


def test_a_folder_that_is_there_is_refused_first_and_last(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="out exists already; choose another folder or add --overwrite"):  # noqa: SIM117
        with folders.atomic_folder(tmp_path / "out"):
            pytest.fail("nothing may be done before the refusal")
    with pytest.raises(UsageError, match="exists already"), folders.atomic_folder(tmp_path / "new"):
        (tmp_path / "new").mkdir()  # another process was faster
        (tmp_path / "new" / "theirs").write_text("")
    assert names(tmp_path) == ["new", "out"] and names(tmp_path / "new") == ["theirs"]


def test_one_run_holds_a_folder(tmp_path):
    (tmp_path / ".tmp-1-checkpoint_5.pth").write_text("left by a killed run")
    with folders.locked(tmp_path):
        assert names(tmp_path) == ["run.lock"]
        with pytest.raises(UsageError, match="is in use by another run"), folders.locked(tmp_path):
            pytest.fail("two hold it")
    assert names(tmp_path) == []
    with folders.locked(tmp_path):
        pass


def test_a_killed_run_holds_nothing(tmp_path):
    code = f"from utils.run.folders import locked\nwith locked({str(tmp_path)!r}): print('held', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match="is in use"), folders.locked(tmp_path):
        pytest.fail("two hold it")
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert names(tmp_path) == ["run.lock"]
    with folders.locked(tmp_path):
        pass


def test_without_locks_nothing_is_held(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with folders.locked(tmp_path), folders.locked(tmp_path):
        pass


def write(folder: Path, **files: str) -> None:
    """What a command does with a folder that it may replace."""
    with folders.atomic_folder(folder, overwrite=True, later=(r"save_\d+", r"part_\d+")) as made:
        for name, text in files.items():
            path = made / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def texts(folder: Path) -> dict[str, str]:
    """The content of every file below a folder, but for records."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def test_what_a_command_wrote_is_replaced_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    write(out, a="1", sub__b="1", gone__c="1")
    (out / "notes.txt").write_text("mine")
    (out / "sub" / "mine").write_text("mine")
    (out / ".git").mkdir()
    inode = out.stat().st_ino
    write(out, a="2", sub__d="2")
    assert texts(out) == {"a": "2", "sub/d": "2", "notes.txt": "mine", "sub/mine": "mine"}
    assert names(out) == [".git", RECORD, "a", "notes.txt", "sub"] and out.stat().st_ino == inode
    assert names(tmp_path) == ["out"]


def test_a_folder_of_somebody_keeps_all_that_it_holds(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    write(Path("."), a="1")
    assert texts(tmp_path) == {"notes.txt": "mine", "a": "1"}
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    write(Path("link"), a="2")
    assert (tmp_path / "link").is_symlink() and texts(tmp_path / "disk") == {"a": "2"}


def test_what_is_in_the_way_is_refused_before_any_work(tmp_path, monkeypatch):
    def refused(match: str, **checks) -> None:
        before = texts(tmp_path)
        with pytest.raises(UsageError, match=match):
            folders.refuse_existing(tmp_path / "out", True, **checks)
        assert texts(tmp_path) == before

    (tmp_path / "out").write_text("a file")
    refused("out exists already and is no folder")
    (tmp_path / "out").unlink()
    (tmp_path / "out").symlink_to("nowhere")
    refused("out exists already and is no folder")
    (tmp_path / "out").unlink()
    write(tmp_path / "out", a="1")
    (tmp_path / "out" / "results").write_text("by an older version")
    folders.refuse_existing(tmp_path / "out", True, sure=("a",))
    refused("out/results has no record of .* choose another folder", sure=("results",))
    (tmp_path / "out" / "a").write_text("edited")
    refused("out/a was changed since .* choose another folder")
    (tmp_path / "out" / "a").unlink()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "out" / "results")
    refused("out/a was changed since")
    (tmp_path / "out" / "a").unlink()
    folders.refuse_existing(tmp_path / "out", True)
    monkeypatch.setattr(folders, "command_name", lambda: "sample.mas")
    refused("out holds what .* wrote; choose another folder")


def test_what_turns_out_to_be_in_the_way_stays_and_so_does_the_work(tmp_path):
    out = tmp_path / "out"
    write(out, a="1")
    (out / "b").write_text("mine")
    (out / "sub").write_text("mine")
    for number, name in enumerate(("b", "sub__c")):
        with pytest.raises(UsageError, match=f"is not from an earlier run.*what was made is in .*/new_{number}"):
            write(out, a="2", **{name: "2"})
    made = {"new_0/a": "2", "new_0/b": "2", "new_1/a": "2", "new_1/sub/c": "2"}
    assert texts(out) == {"a": "1", "b": "mine", "sub": "mine", **made}


def test_what_a_command_adds_later_is_its_own(tmp_path):
    out = tmp_path / "out"
    write(out, a="1")
    (out / "save_12").write_text("later")
    (out / "save_best").write_text("mine")
    write(out / "part_3", film="1")
    (out / "part_3" / "notes").write_text("mine")
    write(out / "part_4", film="1")
    write(out, a="2")
    assert texts(out) == {"a": "2", "save_best": "mine", "part_3/notes": "mine"} and not (out / "part_4").exists()
    (out / "a").write_text("3")
    folders.claim(out, ["a"])
    write(out, a="4")
    assert texts(out)["a"] == "4"


def test_a_kill_between_two_files_leaves_what_the_next_run_puts_right(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write(out, a="1", b="1", c="1")
    real, moved = os.replace, []

    def killed(source, target) -> None:
        moved.append(target)
        if Path(target).name == "b":
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(folders.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write(out, a="2", b="2", d="2")
    monkeypatch.undo()
    assert texts(out) == {"a": "2", "b": "1"} and len(moved) > 1
    write(out, d="3")
    assert texts(out) == {"d": "3"}


def test_what_a_killed_process_left_in_the_making_is_removed(tmp_path):
    code = (
        f"from utils.run.folders import atomic_folder\nwith atomic_folder({str(tmp_path / 'out')!r}) as made:\n"
        "    print('made', flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdout.readline() == "made\n"
    (tmp_path / ".tmp-1-other").mkdir()
    (tmp_path / ".tmp-mine-out").mkdir()
    left = f".tmp-{other.pid}-out"
    write(tmp_path / "out", a="1")
    assert left in names(tmp_path), "the other process is still at work"
    other.send_signal(signal.SIGKILL)
    other.wait()
    write(tmp_path / "out2", a="1")
    assert left in names(tmp_path)
    (tmp_path / "out" / "a").rename(tmp_path / "a")
    (tmp_path / "out" / RECORD).unlink()
    (tmp_path / "out").rmdir()
    write(tmp_path / "out", a="2")
    assert names(tmp_path) == [".tmp-1-other", ".tmp-mine-out", "a", "out", "out2"]


@pytest.mark.parametrize(
    "raw",
    ["[]", "{}", '{"command": "a"}', '{"command": 3, "files": {}, "before": {}}', "junk",
     '{"command": "a", "files": {"../a": {"bytes": 1, "sha256": ""}}, "before": {}}',
     '{"command": "a", "files": {"/a": {"bytes": 1, "sha256": ""}}, "before": {}}',
     '{"command": "a", "files": {"b": 3}, "before": {}}'],
)  # fmt: skip
def test_a_damaged_record(tmp_path, raw):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RECORD).write_text(raw)
    (tmp_path / "a").write_text("a")
    with pytest.raises(DataError, match=r"\.written\.json"):
        folders.refuse_existing(tmp_path / "out", True)
    assert texts(tmp_path) == {"a": "a"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("file/out", "file is no folder"), ("a/" + "b" * 256, "longer than 255 bytes"), ("é" * 128, "longer than 255")],
)
def test_a_place_where_no_folder_can_be_is_refused_before_any_work(tmp_path, name, said):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match=said):
        refuse_existing(tmp_path / name, overwrite=True)
    with pytest.raises(UsageError, match="file exists already and is no folder"):
        folders.refuse_unwritable(tmp_path / "file")
    refuse_existing(tmp_path / "a" / "b" / "c", overwrite=False)
    assert names(tmp_path) == ["file"]


def test_a_folder_that_may_not_be_written_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != str(tmp_path / "shut"))
    (tmp_path / "shut").mkdir()
    for folder in (tmp_path / "shut", tmp_path / "shut" / "new" / "out"):
        with pytest.raises(UsageError, match="shut is read-only for you"):
            refuse_existing(folder, overwrite=True)
    refuse_existing(tmp_path / "open", overwrite=True)
