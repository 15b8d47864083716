"""Files that appear whole or not at all, and readers that never run what they read."""

import contextlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from utils.run.errors import DataError, MissingFileError, UsageError

LOCK = "run.lock"  # in a folder that a process holds


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable (a no-op on file systems that do not support it, and on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary_name(path: Path) -> Path:
    """A sibling name of `path` for a file in the making: same folder, hence the same file system."""
    return path.with_name(f".tmp-{os.getpid()}-{path.name}")


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it is synced and renamed over `path`, else removed."""
    path = Path(path)
    temporary = temporary_name(path)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `path` when the block ends well, and leaves no trace when it does not."""
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        yield handle


def write_json(path: str | Path, content: Any) -> None:
    """Write strict JSON (no NaN) with sorted keys and an indent of 4, atomically."""
    text = json.dumps(content, indent=4, sort_keys=True, allow_nan=False)
    with atomic_write(path) as handle:
        handle.write(text.encode())


def read_json(path: str | Path) -> Any:
    """The content of a JSON file. Raises MissingFileError or DataError."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist") from error
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error


def refuse_existing(folder: str | Path, overwrite: bool, flag: str = "--overwrite") -> None:
    """Raise UsageError if `folder` exists and may not be replaced: called before any work is done."""
    if Path(folder).exists() and not overwrite:
        raise UsageError(f"{folder} exists already; choose another folder or add {flag} to replace it")


@contextlib.contextmanager
def atomic_folder(folder: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes `folder` when the block ends well.

    Raises UsageError if `folder` exists and `overwrite` is not set; the old one is removed only at the very end.
    """
    folder = Path(folder)
    refuse_existing(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        refuse_existing(folder, overwrite)
        if folder.exists():
            retired = folder.with_name(f".old-{os.getpid()}-{folder.name}")
            os.replace(folder, retired)
            os.replace(temporary, folder)
            shutil.rmtree(retired)
        else:
            os.replace(temporary, folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold `folder` (which exists) for one process; what a killed one left in the making is removed.

    The system frees the lock of a process however that ends. Without fcntl (Windows), or on a file system that has no
    locks, nothing is held. Raises UsageError if another process holds it.
    """
    path = Path(folder) / LOCK
    with open(path, "ab") as handle:
        held = _lock(handle)
        for leftover in Path(folder).glob(".tmp-*") if held else ():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        try:
            yield
        finally:
            if held:
                path.unlink(missing_ok=True)


def _lock(handle: IO[bytes]) -> bool:
    """Take the lock of an open file; False where there are no locks. Raises UsageError if it is taken."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        folder = Path(handle.name).parent
        raise UsageError(f"{folder} is in use by another run; wait for its end, or choose another folder") from None
    except (ImportError, OSError):
        return False
    return True


StandIn = Callable[[str, str], Any]  # what a pickle gets for a class, by module and name; None: it is refused


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles numpy arrays and plain containers; anything else is refused before it can run."""

    _ALLOWED = {
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
    } | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}

    def __init__(self, handle: IO[bytes], stand_in: StandIn = lambda module, name: None, encoding: str = "ASCII"):
        super().__init__(handle, encoding=encoding)
        self._stand_in = stand_in

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            if (replacement := self._stand_in(module, name)) is not None:
                return replacement
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no motion file needs")
        return super().find_class(module, name)


def save_dict(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a dict of arrays as `.npy` (a 0-d object array), as the published programs do, atomically."""
    with atomic_write(path) as handle:
        np.save(handle, np.array(dict(content), dtype=object), allow_pickle=True)


def load_array(path: str | Path) -> np.ndarray:
    """A `.npy` array, object arrays (dicts of arrays, as in `results.npy`) through the restricted unpickler.

    Raises MissingFileError or DataError; opening a file never runs code.
    """
    with _reading(path, "array file") as handle:
        return _read_array(handle)


def load_archive(path: str | Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name, or those of `names` that it has. Raises MissingFileError or DataError."""
    with _reading(path, ".npz file") as handle, np.load(handle, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if names is None or name in names}


def load_pickle(path: str | Path, stand_in: StandIn = lambda module, name: None, encoding: str = "ASCII") -> Any:
    """What a pickle of arrays, numbers, strings and plain containers holds, through the same unpickler.

    `stand_in` gives harmless classes for those that a format's pickles name; Python 2's need the encoding `latin1`.
    Raises MissingFileError or DataError; opening a file never runs code.
    """
    with _reading(path, "pickle") as handle:
        return _ArrayUnpickler(handle, stand_in, encoding).load()


@contextlib.contextmanager
def _reading(path: str | Path, kind: str) -> Iterator[IO[bytes]]:
    """The open file; whatever its parser stumbles over becomes a MissingFileError or a DataError."""
    try:
        with open(path, "rb") as handle:
            yield handle
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist") from error
    except OSError:
        raise
    except Exception as error:  # numpy's and pickle's parsers end in a dozen ways on bytes that are no array
        raise DataError(f"{path} is not a readable {kind}: {str(error) or type(error).__name__}") from error


def _read_array(handle: IO[bytes]) -> np.ndarray:
    version = np.lib.format.read_magic(handle)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(handle)
    if not dtype.hasobject:
        handle.seek(0)
        return np.load(handle, allow_pickle=False)
    content = _ArrayUnpickler(handle).load()
    return content if isinstance(content, np.ndarray) else np.array(content, dtype=object).reshape(shape)
