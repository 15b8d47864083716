"""Folders appear whole or not at all; one run holds a folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from utils.run import folders
from utils.run.errors import UsageError

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_folder_appears_whole(tmp_path):
    out = tmp_path / "deep" / "out"
    with folders.atomic_folder(out) as made:
        (made / "a").write_text("1")
        assert not out.exists()
    assert names(out) == ["a"]
    with pytest.raises(RuntimeError), folders.atomic_folder(out, overwrite=True) as made:
        (made / "b").write_text("2")
        raise RuntimeError
    assert names(out) == ["a"]
    with folders.atomic_folder(out, overwrite=True) as made:
        (made / "b").write_text("2")
    assert names(out) == ["b"] and names(out.parent) == ["out"]


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
