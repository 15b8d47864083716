"""Arrays, archives of arrays and pickles of both: one reader of each, which never runs what it reads.

Every size that a file announces is held against the bytes that are there before anything is made for it.
"""

import contextlib
import errno
import os
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from utils.run import pickles
from utils.run.errors import DataError, MissingFileError
from utils.run.files import atomic_write

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # bytes, numpy's own limit
_FIELD = re.compile(r"'(descr|fortran_order|shape)'\s*:\s*('[^']*'|True|False|\((?:\d+L?, ?)*(?:\d+L?)?\))\s*,?\s*")
_FREE, _SHARE = 256 << 20, 64  # bytes that any archive may unpack to, and that a byte of it may unpack to besides
_PIECE = 1 << 20  # bytes that are unpacked at once


def save_dict(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a dict of arrays as `.npy` (a 0-d object array), as the published programs do, atomically."""
    with atomic_write(path) as handle:
        np.save(handle, np.array(dict(content), dtype=object), allow_pickle=True)


def load_array(path: str | Path) -> np.ndarray:
    """A `.npy` array; object arrays (dicts of arrays, as in `results.npy`) as plain data (`utils/run/pickles.py`).

    Raises MissingFileError or DataError; opening a file never runs code.
    """
    with _reading(path, "array file") as handle:
        shape, in_columns, dtype = read_header(handle)
        if not dtype.hasobject:
            return _read_values(handle, shape, in_columns, dtype, os.fstat(handle.fileno()).st_size - handle.tell())
        content = pickles.load(handle)
        if not isinstance(content, np.ndarray):
            raise ValueError(f"it holds a {type(content).__name__}")
        return content


def load_archive(path: str | Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name, or those of `names` that it has. Raises MissingFileError or DataError."""
    with _reading(path, ".npz file") as handle, zipfile.ZipFile(handle) as archive:
        members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist() if _is_array(entry)}
        chosen = {name: entry for name, entry in members.items() if names is None or name in names}
        check_sizes(chosen.values(), os.fstat(handle.fileno()).st_size)
        return {name: read_member(archive, entry) for name, entry in chosen.items()}


def load_pickle(
    path: str | Path, stand_in: pickles.StandIn = lambda module, name: None, encoding: str = "ASCII"
) -> Any:
    """What a pickle of arrays, numbers, strings and plain containers holds, as plain data.

    `stand_in` gives harmless classes for those that a format's pickles name; Python 2's need the encoding `latin1`.
    Raises MissingFileError or DataError; opening a file never runs code.
    """
    with _reading(path, "pickle") as handle:
        return pickles.load(handle, stand_in, encoding)


def array_names(path: str | Path) -> set[str]:
    """The arrays that an `.npz` file holds; none if it is no archive. Raises MissingFileError."""
    with contextlib.suppress(DataError), _reading(path, ".npz file") as handle, zipfile.ZipFile(handle) as archive:
        return {entry.filename.removesuffix(".npy") for entry in archive.infolist() if _is_array(entry)}
    return set()


def array_shape(path: str | Path) -> tuple[int, ...]:
    """The shape of the array in a `.npy` file, from its header. Raises MissingFileError or DataError."""
    with _reading(path, "array file") as handle:
        return read_header(handle)[0]


def read_header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is stored column by column, and type of the array that follows. Raises ValueError.

    What numpy writes is read word by word: its own reader hands the text to Python's parser, which deep brackets stall.
    """
    start = handle.read(8)
    if start[:6] != _MAGIC or len(start) < 8 or start[6] not in (1, 2, 3):
        raise ValueError("it does not begin as an array of numpy's does")
    length = int.from_bytes(handle.read(2 if start[6] == 1 else 4), "little")
    header = handle.read(min(length, _LONGEST_HEADER + 1))
    text = header.decode("utf-8" if start[6] == 3 else "latin-1").strip()
    fields = {found[1]: found[2] for found in _FIELD.finditer(text)}
    if len(header) != length or len(fields) != 3 or _FIELD.sub("", text).replace(" ", "") != "{}":
        raise ValueError(f"its header is not that of a plain array: {text[:80]}")
    if "'" not in fields["descr"] or fields["fortran_order"] not in ("True", "False") or "(" not in fields["shape"]:
        raise ValueError(f"its header is not that of a plain array: {text[:80]}")
    shape = tuple(int(number) for number in re.findall(r"\d+", fields["shape"]))
    pickles.elements(shape)
    return shape, fields["fortran_order"] == "True", pickles.plain_dtype(fields["descr"].strip("'"))


def check_sizes(entries: Collection[zipfile.ZipInfo], size: int) -> None:
    """Raise ValueError if entries of an archive of `size` bytes would unpack to more than motion does."""
    whole = sum(entry.file_size for entry in entries)
    if whole > _FREE + _SHARE * size:
        raise ValueError(f"{size} bytes of it would unpack to {whole}, which no motion file does")


def read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """One plain array of an archive. Raises ValueError or its like."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is packed in a way that numpy does not know")
    with archive.open(entry) as handle:
        shape, in_columns, dtype = read_header(handle)
        values = _read_values(handle, shape, in_columns, dtype, entry.file_size - handle.tell())
        handle.read(1)  # at the end the checksum is looked at
    return values


def _is_array(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith(".npy")


def _read_values(handle: IO[bytes], shape: tuple[int, ...], in_columns: bool, dtype: np.dtype, left: int) -> np.ndarray:
    """The array that follows a header in the `left` bytes. Raises ValueError."""
    if dtype.hasobject:
        raise ValueError("it holds objects, which are only read from .npy files")
    wanted = pickles.elements(shape) * dtype.itemsize
    if wanted > left:
        raise ValueError(f"it announces an array of shape {shape}, {wanted} bytes, and has {left}")
    raw = np.empty(wanted, np.uint8)
    view, place = raw.data, 0
    while place < wanted:
        count = handle.readinto(view[place : place + _PIECE])  # type: ignore[attr-defined]
        if not count:
            raise ValueError("it ends too early")
        place += count
    values = pickles.sound(raw.view(dtype))
    return values.reshape(shape[::-1]).T if in_columns else values.reshape(shape)


@contextlib.contextmanager
def _reading(path: str | Path, kind: str) -> Iterator[IO[bytes]]:
    """The open file; whatever its parser stumbles over becomes a MissingFileError or a DataError."""
    try:
        with open(path, "rb") as handle:
            yield handle
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist") from error
    except Exception as error:  # the parsers end in a dozen ways on bytes that are no array
        # zipfile seeks where a damaged archive points to; any other complaint of the system is about the disk.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise DataError(f"{path} is not a readable {kind}: {str(error) or type(error).__name__}") from error
