"""Arrays and pickles of arrays are read, damaged ones refused; reading one never runs code."""

import contextlib
import os
import pickle
import subprocess
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from utils.run import arrays
from utils.run.errors import DataError, MissingFileError


def save(path: Path, content: object) -> Path:
    with open(path, "wb") as handle:
        np.save(handle, content, allow_pickle=True)
    return path


def test_arrays_and_dicts_of_arrays_are_read(tmp_path):
    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(arrays.load_array(save(tmp_path / "a.npy", plain)), plain)
    assert np.array_equal(arrays.load_array(save(tmp_path / "a.npy", np.asfortranarray(plain))), plain)
    content = {"motions": plain, "y": {"lengths": np.array([2, 3]), "text": ["a", None], "share": np.float32(0.5)}}
    loaded = arrays.load_array(save(tmp_path / "b.npy", np.array(content, dtype=object))).item()
    assert np.array_equal(loaded["motions"], plain) and loaded["y"]["text"] == ["a", None]
    assert loaded["y"]["share"] == np.float32(0.5) and loaded["y"]["lengths"].tolist() == [2, 3]
    several = np.array([plain, plain[:1]], dtype=object)
    assert [part.shape for part in arrays.load_array(save(tmp_path / "c.npy", several))] == [(2, 3), (1, 3)]


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
            arrays.load_array(tmp_path / "a.npy")
        assert not bait.exists()
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Hostile(os.mkdir, str(bait))))
    with pytest.raises(DataError, match="is not a readable array file"):
        arrays.load_array(tmp_path / "b.npy")
    assert not bait.exists()


def test_pickles_of_arrays_are_read(tmp_path):
    path = tmp_path / "a.pkl"
    content = {"pose": [np.ones((2, 72)), np.zeros((3, 72), np.float32)], "y": [np.int64(3), 4], "names": ("a", b"b")}
    for protocol in range(2, 6):
        path.write_bytes(pickle.dumps(content, protocol))
        loaded = arrays.load_pickle(path)
        assert [part.dtype for part in loaded["pose"]] == [np.float64, np.float32] and loaded["pose"][0].all()
        assert loaded["y"] == [3, 4] and loaded["names"] == ("a", b"b")
    with pytest.raises(MissingFileError, match=r"b\.pkl does not exist"):
        arrays.load_pickle(tmp_path / "b.pkl")
    for raw in (b"", b"junk", path.read_bytes()[:-20]):
        path.write_bytes(raw)
        with pytest.raises(DataError, match=r"a\.pkl is not a readable pickle"):
            arrays.load_pickle(path)


def test_opening_a_pickle_runs_nothing(tmp_path):
    bait = tmp_path / "touched"
    for call in ((os.mkdir, str(bait)), (eval, f"open({str(bait)!r}, 'w')"), (np.save, str(bait), 1)):
        for content in (Hostile(*call), {"poses": [np.ones(2)], "y": Hostile(*call)}):
            (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
            with pytest.raises(DataError, match=r"a\.pkl is not a readable pickle: it asks for"):
                arrays.load_pickle(tmp_path / "a.pkl")
            assert not bait.exists()


def test_foreign_arrays(tmp_path):
    path = tmp_path / "a.npy"
    with pytest.raises(MissingFileError, match="does not exist"):
        arrays.load_array(path)
    np.savez(tmp_path / "z.npz", a=np.ones(3))
    for raw in (b"", b"\x93NUMPY", b"PK\x03\x04xxxx", b"junk", (tmp_path / "z.npz").read_bytes()):
        path.write_bytes(raw)
        with pytest.raises(DataError, match="is not a readable array file"):
            arrays.load_array(path)


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
            assert isinstance(arrays.load_array(tmp_path / "a.npy"), np.ndarray)
        except DataError as error:
            assert "a.npy" in str(error)


def npy(descr: str = "'<f4'", shape: str = "(4, 3)", content: bytes = bytes(48), version: bytes = b"\x01\x00") -> bytes:
    """An array file with a header of one's own."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = len(header).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + length + header + content


@contextlib.contextmanager
def little_memory(limit: int = 64 << 20) -> Iterator[None]:
    """A block that takes no more than `limit` bytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "whole",
    [
        npy(shape="(1024, 1024, 1024)"),
        npy(shape="(0, 99999999999999999999)"),
        npy(shape="(0, 1000000000000000000)"),
        npy(shape="(5, 3)"),
        npy(shape="(-4, -3)"),
        npy(shape="(" + "1, " * 40 + ")"),
        npy(shape="(" + "9" * 5000 + ",)"),
        npy(descr="[" * 900 + "]" * 900),
        npy(descr="(" * 900),
        npy(descr="[('a', '<f4'), ('b', '|O')]"),
        npy(descr="'|V16'", shape="(3,)"),
        npy(descr="'<U0'", shape="(1000000000000,)"),
        npy(descr="'<f16'", shape="(3,)"),
        npy(descr="'<M8[s]'", shape="(6,)"),
        npy(descr="'<U12'", shape="(1,)", content=b"\xff" * 48),
        npy(version=b"\x02\x00")[:8] + b"\xff\xff\xff\xff" + npy()[10:],
        npy(version=b"\x09\x00"),
    ],
)
def test_what_a_header_announces_is_held_against_the_bytes(tmp_path, whole):
    (tmp_path / "a.npy").write_bytes(whole)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", whole)
    begin = time.perf_counter()
    with little_memory(), pytest.raises(DataError, match="is not a readable array file") as said:
        arrays.load_array(tmp_path / "a.npy")
    with little_memory(), pytest.raises(DataError, match=r"is not a readable .npz file"):
        arrays.load_archive(tmp_path / "a.npz")
    assert time.perf_counter() - begin < 1 and len(str(said.value)) <= 300


@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00"])
def test_headers_as_others_write_them(tmp_path, version):
    for shape in ("(4, 3)", "(4L, 3L)", "(12,)", "(4,3)"):
        (tmp_path / "a.npy").write_bytes(npy(shape=shape, version=version))
        assert arrays.load_array(tmp_path / "a.npy").size == 12
    (tmp_path / "a.npy").write_bytes(npy(descr="'>f4'", shape="()", content=b"\x3f\x80\x00\x00"))
    assert arrays.load_array(tmp_path / "a.npy") == 1 and arrays.array_shape(tmp_path / "a.npy") == ()


def test_a_small_archive_stays_small(tmp_path):
    """Zeros of 3 GB take 3 MB packed."""
    header = npy(shape="(800000000,)", content=b"")
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("a.npy", "w") as member:
            member.write(header)
            for _ in range(400):
                member.write(bytes(1 << 20))
        archive.writestr("b.npy", npy())
    with little_memory(), pytest.raises(DataError, match="would unpack to 419430"):
        arrays.load_archive(path)
    with little_memory():
        assert arrays.load_archive(path, ["b"])["b"].shape == (4, 3) and arrays.array_names(path) == {"a", "b"}


def damaged_archive(path: Path, old: bytes, new: bytes) -> Path:
    np.savez(path, a=np.ones((4, 3)), b=np.arange(3))
    whole = path.read_bytes()
    assert old in whole
    path.write_bytes(whole.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (np.ones(1).tobytes(), b"\x00" * 8),  # the checksum is another
        (b"PK\x05\x06", b"PK\x00\x00"),
        (b"PK\x03\x04", b"PK\x00\x00"),
        (b"\x93NUMPY", b"\x93NUMPX"),
        (b"'<f8'", b"'|O' "),
    ],
)
def test_damaged_archives(tmp_path, old, new):
    with pytest.raises(DataError, match=r"a.npz is not a readable .npz file"):
        arrays.load_archive(damaged_archive(tmp_path / "a.npz", old, new))


def test_archives_that_numpy_does_not_write(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", npy())
    with pytest.raises(DataError, match="packed in a way that numpy does not know"):
        arrays.load_archive(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("README", "hello")
        archive.writestr("a.npy", npy())
    assert arrays.load_archive(tmp_path / "a.npz").keys() == {"a"}
    assert arrays.array_names(tmp_path / "a.npz") == {"a"}
