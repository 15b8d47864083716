"""The files of one command: made under a temporary name, given theirs together; what killed runs left is cleared."""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from utils.run.errors import PolykineError
from utils.run.files import sync_folder

_LEFT = re.compile(r"\.(tmp|old)-(\d{1,10})-(.+)")  # names of what a process makes, or has put aside, for a while
_STARTED = time.time()  # what bears the number of this process and is older was left by another one of that number


@contextlib.contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """Yield an empty folder; what is in it when the block ends well moves into `folder`, in place of what has its name.

    Nothing in `folder` changes before the block has ended, and errors speak of the names that files would have had.
    Killed while names change, some are old and some new, each of them whole. What runs that were killed left there
    under temporary names is removed first.
    """
    folder = Path(folder)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder)
    staging = Path(tempfile.mkdtemp(prefix=f".tmp-{os.getpid()}-", dir=folder))
    try:
        yield staging
        for entry in sorted(staging.iterdir()):
            _give_name(entry, folder / entry.name)
        sync_folder(folder)
    except PolykineError as error:
        raise type(error)(str(error).replace(str(staging), str(folder))) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):  # it is no longer empty where all went well
                folder.rmdir()


def clear_leftovers(folder: Path) -> None:
    """Remove what dead processes of this machine left in a folder under temporary names.

    What one of them had put aside to replace it gets its name back where nothing has it.
    """
    for entry in list(folder.iterdir()):
        found = _LEFT.fullmatch(entry.name)
        if found is None or _lives(int(found[2]), entry):
            continue
        if found[1] == "old" and not os.path.lexists(entry.with_name(found[3])):
            os.replace(entry, entry.with_name(found[3]))
        else:
            _remove(entry)


def _give_name(made: Path, path: Path) -> None:
    """Move a file or a folder to `path`; a folder cannot replace another in one step, so that one is put aside."""
    aside = path.with_name(f".old-{os.getpid()}-{path.name}")
    folders = any(entry.is_dir() and not entry.is_symlink() for entry in (made, path))
    if folders and os.path.lexists(path):
        os.replace(path, aside)
    os.replace(made, path)
    if os.path.lexists(aside):
        _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _lives(number: int, entry: Path) -> bool:
    """Whether the process of that number runs; where the system cannot say, it does."""
    if number == os.getpid():
        return entry.lstat().st_mtime >= _STARTED
    if os.name == "nt":
        return True
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
