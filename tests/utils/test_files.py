"""Files and folders appear whole or not at all; reading one never runs code; one run holds a folder."""

import json
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
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


def save(path: Path, content: object) -> Path:
    with open(path, "wb") as handle:
        np.save(handle, content, allow_pickle=True)
    return path


def test_arrays_and_dicts_of_arrays_are_read(tmp_path):
    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(files.load_array(save(tmp_path / "a.npy", plain)), plain)
    assert np.array_equal(files.load_array(save(tmp_path / "a.npy", np.asfortranarray(plain))), plain)
    content = {"motions": plain, "y": {"lengths": np.array([2, 3]), "text": ["a", None], "share": np.float32(0.5)}}
    loaded = files.load_array(save(tmp_path / "b.npy", np.array(content, dtype=object))).item()
    assert np.array_equal(loaded["motions"], plain) and loaded["y"]["text"] == ["a", None]
    assert loaded["y"]["share"] == np.float32(0.5) and loaded["y"]["lengths"].tolist() == [2, 3]
    several = np.array([plain, plain[:1]], dtype=object)
    assert [part.shape for part in files.load_array(save(tmp_path / "c.npy", several))] == [(2, 3), (1, 3)]


class Hostile:
    def __init__(self, call, *arguments):
        self.reduced = (call, arguments)

    def __reduce__(self):
        return self.reduced


def test_opening_an_array_runs_nothing(tmp_path):
    bait = tmp_path / "touched"
    for call in (
        (os.mkdir, str(bait)),
        (eval, f"open({str(bait)!r}, 'w')"),
        (subprocess.call, ["touch", str(bait)]),
        (np.save, str(bait), 1),
        (np.ndarray.tofile, np.zeros(3), str(bait)),
    ):
        save(tmp_path / "a.npy", np.array({"motions": np.ones(2), "extra": Hostile(*call)}, dtype=object))
        with pytest.raises(DataError, match="is not a readable array file: it asks for"):
            files.load_array(tmp_path / "a.npy")
        assert not bait.exists()
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Hostile(os.mkdir, str(bait))))
    with pytest.raises(DataError, match="is not a readable array file"):
        files.load_array(tmp_path / "b.npy")
    assert not bait.exists()


def test_pickles_of_arrays_are_read(tmp_path):
    path = tmp_path / "a.pkl"
    content = {"pose": [np.ones((2, 72)), np.zeros((3, 72), np.float32)], "y": [np.int64(3), 4], "names": ("a", b"b")}
    for protocol in range(2, 6):
        path.write_bytes(pickle.dumps(content, protocol))
        loaded = files.load_pickle(path)
        assert [part.dtype for part in loaded["pose"]] == [np.float64, np.float32] and loaded["pose"][0].all()
        assert loaded["y"] == [3, 4] and loaded["names"] == ("a", b"b")
    with pytest.raises(MissingFileError, match=r"b\.pkl does not exist"):
        files.load_pickle(tmp_path / "b.pkl")
    for raw in (b"", b"junk", path.read_bytes()[:-20]):
        path.write_bytes(raw)
        with pytest.raises(DataError, match=r"a\.pkl is not a readable pickle"):
            files.load_pickle(path)


def test_opening_a_pickle_runs_nothing(tmp_path):
    bait = tmp_path / "touched"
    for call in ((os.mkdir, str(bait)), (eval, f"open({str(bait)!r}, 'w')"), (np.save, str(bait), 1)):
        for content in (Hostile(*call), {"poses": [np.ones(2)], "y": Hostile(*call)}):
            (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
            with pytest.raises(DataError, match=r"a\.pkl is not a readable pickle: it asks for"):
                files.load_pickle(tmp_path / "a.pkl")
            assert not bait.exists()


def test_foreign_arrays(tmp_path):
    path = tmp_path / "a.npy"
    with pytest.raises(MissingFileError, match="does not exist"):
        files.load_array(path)
    np.savez(tmp_path / "z.npz", a=np.ones(3))
    for raw in (b"", b"\x93NUMPY", b"PK\x03\x04xxxx", b"junk", (tmp_path / "z.npz").read_bytes()):
        path.write_bytes(raw)
        with pytest.raises(DataError, match="is not a readable array file"):
            files.load_array(path)


@pytest.mark.parametrize("plain", [True, False])
def test_damaged_arrays_end_in_a_data_error_or_an_array(tmp_path, plain):
    content = np.ones((4, 3)) if plain else np.array({"motions": np.ones((4, 3)), "fps": 30.0}, dtype=object)
    whole = save(tmp_path / "whole.npy", content).read_bytes()
    chance = np.random.RandomState(0)
    for case in range(400):
        raw = bytearray(whole)
        for place in chance.randint(0, len(raw), 1 + case % 3):
            raw[place] = chance.randint(256)
        (tmp_path / "a.npy").write_bytes(raw if case % 2 else raw[: chance.randint(len(raw))])
        try:
            assert isinstance(files.load_array(tmp_path / "a.npy"), np.ndarray)
        except DataError as error:
            assert "a.npy" in str(error)


def test_args_survive_the_round_trip(tmp_path):
    files.write_json(tmp_path / "args.json", {"lr": 1e-5, "words": ("a", "b")})
    assert json.loads((tmp_path / "args.json").read_text()) == {"lr": 1e-5, "words": ["a", "b"]}
