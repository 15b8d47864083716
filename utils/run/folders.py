"""Folders that appear whole or not at all, and the lock of a folder that a process holds."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from utils.run.errors import UsageError
from utils.run.files import sync_folder, temporary_name

LOCK = "run.lock"  # in a folder that a process holds


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
