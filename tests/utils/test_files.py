"""Files and folders appear whole or not at all; one run holds a folder."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from utils.run import files
from utils.run.errors import DataError, MissingFileError, UsageError

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_file_replaces_the_old_one_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_write(path) as handle:
        handle.write(b"half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]
    with files.atomic_write(path) as handle:
        handle.write(b"new")
    assert path.read_text() == "new" and names(tmp_path) == ["a.txt"]


def test_json_is_strict(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [True, None]})
    assert (tmp_path / "a.json").read_text() == '{\n    "a": [\n        true,\n        null\n    ],\n    "b": 1\n}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert files.read_json(tmp_path / "a.json") == {"b": 1, "a": [True, None]} and names(tmp_path) == ["a.json"]
    with pytest.raises(MissingFileError, match=r"b\.json does not exist"):
        files.read_json(tmp_path / "b.json")
    for raw in (b"{", b"", b"\xff\xfe\x00"):
        (tmp_path / "c.json").write_bytes(raw)
        with pytest.raises(DataError, match=r"c\.json is not valid JSON"):
            files.read_json(tmp_path / "c.json")


def test_a_folder_appears_whole(tmp_path):
    out = tmp_path / "deep" / "out"
    with files.atomic_folder(out) as made:
        (made / "a").write_text("1")
        assert not out.exists()
    assert names(out) == ["a"]
    with pytest.raises(RuntimeError), files.atomic_folder(out, overwrite=True) as made:
        (made / "b").write_text("2")
        raise RuntimeError
    assert names(out) == ["a"]
    with files.atomic_folder(out, overwrite=True) as made:
        (made / "b").write_text("2")
    assert names(out) == ["b"] and names(out.parent) == ["out"]


def test_a_folder_that_is_there_is_refused_first_and_last(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="out exists already; choose another folder or add --overwrite"):  # noqa: SIM117
        with files.atomic_folder(tmp_path / "out"):
            pytest.fail("nothing may be done before the refusal")
    with pytest.raises(UsageError, match="exists already"), files.atomic_folder(tmp_path / "new"):
        (tmp_path / "new").mkdir()  # another process was faster
        (tmp_path / "new" / "theirs").write_text("")
    assert names(tmp_path) == ["new", "out"] and names(tmp_path / "new") == ["theirs"]


@pytest.mark.parametrize("room", [0, 5])
def test_a_full_disk_leaves_no_trace(tmp_path, full_disk, room):
    (tmp_path / "a.json").write_text("1")
    with full_disk(room), pytest.raises(OSError, match="No space left"):
        files.write_json(tmp_path / "a.json", {"a": "long"})
    assert (tmp_path / "a.json").read_text() == "1" and names(tmp_path) == ["a.json"]


def test_one_run_holds_a_folder(tmp_path):
    (tmp_path / ".tmp-1-checkpoint_5.pth").write_text("left by a killed run")
    with files.locked(tmp_path):
        assert names(tmp_path) == ["run.lock"]
        with pytest.raises(UsageError, match="is in use by another run"), files.locked(tmp_path):
            pytest.fail("two hold it")
    assert names(tmp_path) == []
    with files.locked(tmp_path):
        pass


def test_a_killed_run_holds_nothing(tmp_path):
    code = f"from utils.run.files import locked\nwith locked({str(tmp_path)!r}): print('held', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match="is in use"), files.locked(tmp_path):
        pytest.fail("two hold it")
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert names(tmp_path) == ["run.lock"]
    with files.locked(tmp_path):
        pass


def test_without_locks_nothing_is_held(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with files.locked(tmp_path), files.locked(tmp_path):
        pass


def test_args_survive_the_round_trip(tmp_path):
    files.write_json(tmp_path / "args.json", {"lr": 1e-5, "words": ("a", "b")})
    assert json.loads((tmp_path / "args.json").read_text()) == {"lr": 1e-5, "words": ["a", "b"]}
