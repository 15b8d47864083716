"""The files of one command: made under a temporary name, given theirs together; what killed runs left is cleared."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from utils.run.errors import PolykineError
from utils.run.files import is_left, read_json, sync_files, sync_folder, write_json

_GIVEN = "given.json"  # beside a staging folder's content: all is made, and what stood in the places of its names


@contextlib.contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """Yield an empty folder; what is in it when the block ends well moves into `folder`, in place of what has its name.

    Nothing in `folder` changes before the block has ended, and errors speak of the names that files would have had.
    Killed while names change, some are old and some new, each of them whole, and the next run there gives the others
    theirs. What else runs that were killed left there under temporary names is removed first.
    """
    folder = Path(folder)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder)
    work = Path(tempfile.mkdtemp(prefix=f".tmp-{os.getpid()}-", dir=folder))
    staging = work / "files"
    try:
        staging.mkdir()
        yield staging
        sync_files(filter(Path.is_file, staging.rglob("*")))
        names = sorted(entry.name for entry in staging.iterdir())
        write_json(work / _GIVEN, {name: _state(folder / name) for name in names})
        for name in names:
            _give_name(staging / name, folder / name)
        sync_folder(folder)
    except PolykineError as error:
        raise type(error)(str(error).replace(str(staging), str(folder))) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):  # it is no longer empty where all went well
                folder.rmdir()


def clear_leftovers(folder: Path) -> None:
    """Remove what dead processes of this machine left in a folder under temporary names.

    Where one of them had begun to give names, the others are given first. What one had put aside to replace it gets its
    name back where nothing has it.
    """
    left = sorted((entry for entry in folder.iterdir() if is_left(entry)), key=lambda entry: entry.name, reverse=True)
    for entry in left:  # .tmp before .old
        name = entry.name.split("-", 2)[2]
        if entry.name.startswith(".old") and not os.path.lexists(entry.with_name(name)):
            os.replace(entry, entry.with_name(name))
        else:
            _give_the_rest(entry, folder)
            _remove(entry)


def _give_the_rest(work: Path, folder: Path) -> None:
    """Give the names that a killed process did not come to, but where something else stands there since."""
    if not (work / _GIVEN).is_file() or not (work / "files").is_dir():
        return
    before = read_json(work / _GIVEN)
    for entry in sorted((work / "files").iterdir()):  # the names of a folder cannot lead out of it
        if entry.name in before and _state(folder / entry.name) in (None, before[entry.name]):
            _give_name(entry, folder / entry.name)


def _state(path: Path) -> list[int] | None:
    """What tells whether a file or folder is the same as before; None without one."""
    if not os.path.lexists(path):
        return None
    found = path.lstat()
    return [found.st_ino, found.st_mtime_ns]


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
