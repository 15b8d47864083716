"""What was read from thousands of small files, kept as one file beside them until one of those changes.

`<folder>/cache/<part>-<key>.npz` holds plain arrays, uncompressed, so that the large ones are mapped into memory
instead of read. The key is a hash of what the files are called, how large they are and when they were changed.
"""

import contextlib
import hashlib
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from utils.run.arrays import check_sizes, read_header, read_member
from utils.run.files import atomic_path

MAPPED = 1 << 20  # bytes from which an array is mapped and not read
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, struct.error, zipfile.BadZipFile)


def key_of(files: Iterable[Path], *parts: object) -> str:
    """A key of the files, which may be absent, and of anything else that decides what is read from them."""
    digest = hashlib.sha256(repr(parts).encode())
    for path in files:
        try:
            state = path.stat()
            digest.update(f"\n{path.name} {state.st_size} {state.st_mtime_ns}".encode())
        except OSError:
            digest.update(f"\n{path.name} absent".encode())
    return digest.hexdigest()[:20]


def read(folder: Path, part: str, key: str) -> dict[str, np.ndarray] | None:
    """The arrays kept under a key, large ones mapped read-only; None if there are none or they cannot be read."""
    path = folder / "cache" / f"{part}-{key}.npz"
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            check_sizes(archive.infolist(), path.stat().st_size)
            return {entry.filename.removesuffix(".npy"): _array(archive, entry, path) for entry in archive.infolist()}
    except _UNREADABLE:
        return None


def write(folder: Path, part: str, key: str, arrays: Mapping[str, Any]) -> None:
    """Keep plain arrays under a key in place of the part's older ones; nothing where the folder cannot be written."""
    with contextlib.suppress(OSError):
        kept = folder / "cache"
        kept.mkdir(exist_ok=True)
        path = kept / f"{part}-{key}.npz"
        with atomic_path(path) as temporary, open(temporary, "wb") as handle:
            np.savez(handle, **arrays)
        for old in kept.glob(f"{part}-*.npz"):
            if old != path:
                old.unlink()


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """One array of the archive. Raises one of _UNREADABLE."""
    with archive.open(entry) as handle:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size < MAPPED:
            return read_member(archive, entry)
        shape, in_columns, dtype = read_header(handle)
        begins = _offset(path, entry) + handle.tell()
    if dtype.hasobject or in_columns:
        raise ValueError(f"{path}: {entry.filename} is not a plain array of rows")
    return np.memmap(path, dtype, "r", begins, shape)


def _offset(path: Path, entry: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored entry begin: after its own header, whose last fields are lengths of what follows."""
    with open(path, "rb") as handle:
        handle.seek(entry.header_offset)
        name, extra = struct.unpack("<HH", handle.read(30)[26:])
    return entry.header_offset + 30 + name + extra
