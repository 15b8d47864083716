"""Forged pickles are refused, whatever they say; none crashes, runs anything or fills the memory."""

import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utils.run import arrays

ROOT = Path(__file__).parents[2]
NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
RECONSTRUCT = b"cnumpy._core.multiarray\n_reconstruct\n"
SCALAR = b"cnumpy._core.multiarray\nscalar\n"
HEADER = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def data(value: bytes) -> bytes:
    return b"B" + len(value).to_bytes(4, "little") + value


def number(value: int) -> bytes:
    return b"I%d\n" % value


def dtype(code: str, order: str = "<", rest: bytes = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00") -> bytes:
    """The instructions that make a numpy type and give it a state."""
    return DTYPE + text(code) + b"\x89\x88\x87R(K\x03" + text(order) + rest + b"tb"


def array(shape: bytes, kind: bytes, content: bytes) -> bytes:
    """The instructions that make an array of a shape, a type and a content."""
    return RECONSTRUCT + NDARRAY + b"K\x00\x85" + data(b"b") + b"\x87R(K\x01" + shape + kind + b"\x89" + content + b"tb"


def wrapped(content: bytes) -> bytes:
    """Instructions as the `motions` of a results file's dict, whole pickle."""
    inner = b"]}" + text("motions") + content + b"sa"
    return b"\x80\x04" + array(b")", OBJECTS, inner) + b"."


def laughs(kind: bytes) -> bytes:
    """A list (or tuple) of ten, ten times the one before, thirty times."""
    step = {b"l": b"(" + b"h\x00" * 10 + b"l", b"t": b"(" + b"h\x00" * 10 + b"t"}[kind]
    return b"]q\x00" + (step + b"q\x00") * 30


FLOATS, OBJECTS = dtype("f8"), dtype("O8", "|", b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3f")
POINTERS = np.full(4, 0x4141414141414141, np.int64).tobytes()
FORGED: dict[str, bytes] = {
    "objects by address": array(number(4) + b"\x85", OBJECTS, data(POINTERS)),
    "a plain type said to hold objects": array(
        number(4) + b"\x85", dtype("f8", "<", b"NNNJ\x08\x00\x00\x00J\x08\x00\x00\x00K\x3f") + b"0" + dtype("V8", "|"),
        data(POINTERS),
    ),
    "a structure": array(
        number(1) + b"\x85",
        dtype("V8", "|", b"N" + text("a") + b"\x85}" + text("a") + FLOATS + b"K\x00\x86sK\x08K\x08K\x3f"),
        data(POINTERS[:8]),
    ),
    "an array as element": array(
        number(1) + b"\x85", dtype("V8", "|", FLOATS + number(2) + b"\x85\x86NNK\x08K\x08K\x00"), data(b"0" * 8)
    ),
    "a negative length": array(number(-4) + b"\x85", FLOATS, data(b"0" * 32)),
    "two negative lengths": array(number(-2) + number(-2) + b"\x86", FLOATS, data(b"0" * 32)),
    "more bytes than its shape": array(number(2) + b"\x85", FLOATS, data(b"0" * 32)),
    "fewer bytes than its shape": array(number(2**40) + b"\x85", FLOATS, data(b"0" * 32)),
    "a shape that overflows": array((number(2**40) + number(2**40)) + b"\x86", FLOATS, data(b"")),
    "an endless empty shape": array(number(0) + number(2**62) + b"\x86", FLOATS, data(b"")),
    "a shape of words": array(text("a") + b"\x85", FLOATS, data(b"0" * 8)),
    "a shape of a deep tuple": array(b")" + b"\x85" * 300_000, FLOATS, data(b"0" * 8)),
    "seventy axes": array(b"(" + number(1) * 70 + b"t", FLOATS, data(b"0" * 8)),
    "no element of a huge text": array(number(2**50) + b"\x85", dtype("U0"), data(b"")),
    "a text of no letters": array(number(1) + b"\x85", dtype("U1"), data(b"\xff\xff\xff\x7f")),
    "a date": array(number(1) + b"\x85", dtype("M8"), data(b"0" * 8)),
    "a long double": array(number(1) + b"\x85", dtype("f16"), data(b"0" * 16)),
    "an order that is none": array(number(1) + b"\x85", dtype("f8", "ab"), data(b"0" * 8)),
    "a state twice": array(b")", FLOATS, data(b"0" * 8)) + b"(K\x01)" + FLOATS + b"\x89" + data(b"0" * 8) + b"tb",
    "an object by address, alone": SCALAR + dtype("O8", "|") + data(POINTERS[:8]) + b"\x86R",
    "a number of too few bytes": SCALAR + FLOATS + data(b"0") + b"\x86R",
    "a buffer of objects": (
        b"cnumpy._core.numeric\n_frombuffer\n(" + data(POINTERS) + OBJECTS + number(4) + b"\x85" + text("C") + b"tR"
    ),
    "a class of its own": RECONSTRUCT + b"cnumpy\nmatrix\nK\x00\x85" + data(b"b") + b"\x87R",
    "ndarray itself": NDARRAY + number(10**9) + b"\x85\x85R",
    "ndarray in place": NDARRAY + number(10**9) + b"\x85\x81",
    "a type": FLOATS,
    "a function": RECONSTRUCT,
    "a state for a function": RECONSTRUCT + b"}" + text("__defaults__") + b")sb",
    "a state for a class": NDARRAY + b"}" + text("__doc__") + b"Nsb",
    "an instruction of a registry": b"\x82\x01",
    "a persistent name": b"Pabc\n",
    "a deep tuple": b")" + b"\x85" * 300_000,
    "a deep tuple as key": b"}" + b")" + b"\x85" * 300_000 + b"Ns",
    "a deep tuple as name": b")" + b"\x85" * 300_000 + text("a") + b"\x93",
    "a deep list": b"]" * 300_000 + b"a" * 299_999,
    "arrays of objects within each other": array(b")", OBJECTS, b"]" + array(b")", OBJECTS, b"]Na") + b"a"),
    "an array of objects that is filled too late": (
        RECONSTRUCT + NDARRAY + b"K\x00\x85" + data(b"b") + b"\x87Rq\x00" + array(b")", OBJECTS, b"]h\x00a")
        + b"0h\x00(K\x01)" + OBJECTS + b"\x89]Natb"
    ),
    "a list in itself": b"]q\x00h\x00a",
    "a list of lists of lists": laughs(b"l"),
    "a tuple of tuples of tuples": laughs(b"t"),
    "a far place of the memory": b"Nr\xff\xff\xff\x7f" + b"j\xfe\xff\xff\x7f",
    "a long string": b"\x8d" + (2**40).to_bytes(8, "little"),
    "long bytes": b"\x8e" + (2**62).to_bytes(8, "little"),
    "a long buffer": b"\x96" + (2**33).to_bytes(8, "little"),
    "a large number": b"\x8b" + (2**20).to_bytes(4, "little") + b"\x7f" * 2**20,
    "a lone surrogate": b"X\x03\x00\x00\x00\xed\xa0\x80",
    "nothing on the stack": b"tttt",
    "a name without a name": text("os") + number(3) + b"\x93",
}  # fmt: skip


def results_file(path: Path, whole: bytes) -> Path:
    """A `.npy` file of one object that holds a pickle."""
    path.write_bytes(b"\x93NUMPY\x01\x00" + (len(HEADER) + 1).to_bytes(2, "little") + HEADER + b"\n" + whole)
    return path


def in_a_process(code: str, *arguments: str) -> None:
    """Run code where a crash is seen as one, in two gigabytes of memory."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    line = [sys.executable, "-X", "faulthandler", "-c", code, *arguments]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 0, done.stderr[-2000:]


READ_ALL = """
import sys
from pathlib import Path
from utils.run import arrays
from utils.run.errors import DataError
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        arrays.load_array(path) if path.suffix == ".npy" else arrays.load_pickle(path, encoding="latin1")
    except DataError as error:
        assert len(str(error)) <= 300, path
    else:
        raise SystemExit(f"{path} was taken")
"""


def test_forged_files_are_refused(tmp_path: Path):
    for place, content in enumerate(FORGED.values()):
        results_file(tmp_path / f"{place}.npy", wrapped(content))
        (tmp_path / f"{place}.pkl").write_bytes(b"\x80\x04" + content + b".")
    in_a_process(READ_ALL, str(tmp_path))


def test_the_forger_can_write_what_is_right(tmp_path: Path):
    """The same instructions with nothing wrong are read, so that it is the forgery that is refused."""
    whole = wrapped(array(number(2) + b"\x85", FLOATS, data(np.array([1.0, 2.0]).tobytes())))
    assert arrays.load_array(results_file(tmp_path / "a.npy", whole)).item()["motions"].tolist() == [1, 2]


def test_truth_is_zero_or_one(tmp_path: Path):
    """numpy counts a mask by adding its bytes up: one of 2 made it write past the end."""
    whole = wrapped(array(number(3) + b"\x85", dtype("b1", "|"), data(b"\x02\x00\xff")))
    mask = arrays.load_array(results_file(tmp_path / "a.npy", whole)).item()["motions"]
    assert mask.view(np.uint8).tolist() == [1, 0, 1] and np.arange(3)[mask].tolist() == [0, 2]
    np.save(tmp_path / "b.npy", np.array([2, 0, 255], np.uint8).view(bool))
    assert arrays.load_array(tmp_path / "b.npy").view(np.uint8).tolist() == [1, 0, 1]


KINDS: list[Any] = [
    np.arange(6, dtype=">f4").reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(True),
    np.array(["a", "böse", ""]), np.array([b"a", b"bc"]), np.zeros((0, 3), np.uint8), np.arange(500) + 1j,
    np.float32(2.5), np.str_("é"), np.str_(""), np.bool_(True), np.array([np.ones(2), None, "a"], dtype=object),
    {"a": (1, 2.5, -(2**63)), "b": [b"\xff", None, True], ("x", 1): {"c", 3}, "d": b""},
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", KINDS, ids=lambda value: type(value).__name__)
def test_what_numpy_writes_is_read(tmp_path: Path, protocol: int, value: Any):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, protocol))
    found = arrays.load_pickle(tmp_path / "a.pkl", encoding="latin1")
    assert type(found) is type(value)
    if isinstance(value, np.ndarray | np.generic):
        assert found.dtype == value.dtype.newbyteorder("=") and found.shape == value.shape
        assert np.asarray(found).flags.c_contiguous == np.asarray(value).flags.c_contiguous
        assert repr(found.tolist()) == repr(value.tolist())
    else:
        assert found == value


def changed(whole: bytes, chance: np.random.RandomState) -> bytes:
    """A pickle with one to three bytes changed, or a piece of it put elsewhere."""
    raw = bytearray(whole)
    if chance.randint(3):
        for place in chance.randint(0, len(raw), chance.randint(1, 4)):
            raw[place] = chance.randint(256)
    else:
        start, end, target = sorted(chance.randint(0, len(raw), 2)) + [chance.randint(len(raw))]
        raw[target:target] = raw[start:end]
    return bytes(raw)


MUTATE = """
import pickle, sys
import numpy as np
from pathlib import Path
from tests.utils.test_pickles import changed
from utils.formats import results
from utils.run import arrays
from utils.run.errors import DataError
path, count = Path(sys.argv[1]), int(sys.argv[2])
content = {"motions": np.ones((1, 2, 3, 3), np.float32), "fps": 30.0, "joint_names": np.array(["a", "b"]),
    "parents": [-1, 0], "model_kwargs": {"y": {"lengths": np.array([3]), "mask": np.array([[True]])}},
    "notes": np.array([None, "a", np.float64(2)], dtype=object)}
chance, refused = np.random.RandomState(0), 0
for case in range(count):
    path.write_bytes(changed(pickle.dumps(content, case % 6), chance))
    try:
        found = arrays.load_pickle(path, encoding="latin1")
        repr(found)
    except DataError as error:
        refused += 1
        assert len(str(error)) <= 300, case
assert refused > count // 3, refused
"""


@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=pytest.mark.slow)])
def test_changed_pickles(tmp_path: Path, count: int, tally):
    in_a_process(MUTATE, str(tmp_path / "a.pkl"), str(count))
    tally("mutations", "pickles", count)
