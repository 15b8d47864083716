"""Files and folders appear whole or not at all; one run holds a folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils.run import files
from utils.run.errors import DataError, MissingFileError

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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_of_all_systems(tmp_path, encoding, end):
    (tmp_path / "a.txt").write_bytes(f"für{end}zwei\u2028{end}".encode(encoding))
    assert files.read_text(tmp_path / "a.txt") == "für\nzwei\u2028\n"
    (tmp_path / "a.json").write_bytes(f'{{"a":{end}1}}'.encode(encoding))
    assert files.read_json(tmp_path / "a.json") == {"a": 1}


def test_what_is_no_text(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(MissingFileError, match=r"a\.txt does not exist"):
        files.read_text(path)
    for raw in (b"one\nf\xfcr", b"\xef\xbb\xbfone\nf\xfcr"):
        path.write_bytes(raw)
        with pytest.raises(DataError, match=r"a\.txt is not UTF-8 text \(line 2\)"):
            files.read_text(path)
        assert files.read_text(path, otherwise="latin-1") == "one\nfür"
    path.write_bytes(b"\xff\xfea")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        files.read_text(path)


@pytest.mark.parametrize("room", [0, 5])
def test_a_full_disk_leaves_no_trace(tmp_path, full_disk, room):
    (tmp_path / "a.json").write_text("1")
    with full_disk(room), pytest.raises(OSError, match="No space left"):
        files.write_json(tmp_path / "a.json", {"a": "long"})
    assert (tmp_path / "a.json").read_text() == "1" and names(tmp_path) == ["a.json"]


def test_args_survive_the_round_trip(tmp_path):
    files.write_json(tmp_path / "args.json", {"lr": 1e-5, "words": ("a", "b")})
    assert json.loads((tmp_path / "args.json").read_text()) == {"lr": 1e-5, "words": ["a", "b"]}


def test_files_that_dead_processes_left_in_the_making_go_with_the_next_write(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = [f".tmp-{os.getppid()}-a.json", ".tmp-notes", f".old-{ended.pid}-b.json"]
    for name in (f".tmp-{ended.pid}-a.json", f".tmp-{ended.pid}-other.json", *kept):
        (tmp_path / name).write_text("{")
    (tmp_path / f".tmp-{ended.pid}-folder").mkdir()
    files.write_json(tmp_path / "a.json", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.json", f".tmp-{ended.pid}-folder", *kept])


def test_yaml_is_read_as_plain_values(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: {b: [1, 2.5, x], c: True}\nd: 1e-5\n")
    assert files.read_yaml(path) == {"a": {"b": [1, 2.5, "x"], "c": True}, "d": "1e-5"}
    for bad, said in (("a: !!python/name:os.system x", "line 1"), ("a: [", "line 1"), ("[" * 9999, "plain YAML")):
        path.write_text(bad)
        with pytest.raises(DataError, match=said) as refusal:
            files.read_yaml(path)
        assert "\n" not in str(refusal.value)
    with pytest.raises(MissingFileError):
        files.read_yaml(tmp_path / "b.yaml")
