"""Folders that appear whole or not at all, what may be replaced in one that is there, and the lock of one.

A folder that a command makes holds a record, `RECORD`: the command, and the size and SHA-256 of each file written.
Writing the folder again removes what the record lists and nothing else: a file that it does not list stays, and one
that was changed since, or that is in the way, is refused.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from utils.run.errors import DataError, UsageError
from utils.run.files import digest, read_json, sync_files, sync_folder, temporary_name, write_json
from utils.run.program import command_line, command_name

LOCK = "run.lock"  # in a folder that a process holds
LONGEST_NAME = 255  # bytes of a name, on the file systems of today
RECORD = ".written.json"  # in a folder that a command made: what it wrote there
_LEFT = re.compile(r"\.tmp-\d+-.+", re.DOTALL)  # see `temporary_name`
Entry = Mapping[str, Any]  # `bytes` and `sha256` of a file


def refuse_existing(
    folder: str | Path,
    overwrite: bool,
    flag: str = "--overwrite",
    sure: Iterable[str] = (),
    later: Collection[str] = (),
) -> None:
    """Raise UsageError if `folder` is there and may not be written: called before any work is done.

    `sure` are names that the command is going to write there for certain; `later` is that of `atomic_folder`. With
    `overwrite` refused are a file in the place of the folder, the work of another command, files that were changed
    since they were written, and foreign ones that have a name of `sure`. Raises DataError for a damaged record.
    """
    folder = Path(folder)
    refuse_unwritable(folder)
    if not _may_write(folder, overwrite, flag):
        return
    own = _own(folder, later)
    for name in sure:
        if name not in own and os.path.lexists(folder / name):
            raise UsageError(
                f"{folder / name} has no record of {command_name()} (older versions kept none), so {flag} does not "
                "replace it; choose another folder, or move it away"
            )


def refuse_unwritable(folder: str | Path) -> None:
    """Raise UsageError if nothing can be written into `folder`, or where it shall be made: called before any work."""
    folder = Path(folder).absolute()
    above = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    reason = ""
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in folder.parts):
        reason = f"a name in it is longer than {LONGEST_NAME} bytes"
    elif not above.is_dir():
        if above == folder:
            raise UsageError(f"{folder} exists already and is no folder; choose another name")
        reason = f"{above} is no folder"
    elif not os.access(above, os.W_OK | os.X_OK):
        reason = f"{above} is read-only for you"
    if reason:
        raise UsageError(f"{folder} cannot be written: {reason}; choose another folder")


def _may_write(folder: Path, overwrite: bool, flag: str = "--overwrite") -> bool:
    """Whether there is such a folder, which may be written. Raises UsageError if it may not, or is none."""
    if not os.path.lexists(folder):
        return False
    if not folder.is_dir():
        raise UsageError(f"{folder} exists already and is no folder; choose another name")
    if not overwrite:
        raise UsageError(f"{folder} exists already; choose another folder or add {flag} to replace it")
    return True


@contextlib.contextmanager
def atomic_folder(folder: str | Path, overwrite: bool = False, later: Collection[str] = ()) -> Iterator[Path]:
    """Yield a temporary folder that becomes `folder` when the block ends well.

    If `folder` exists, `overwrite` must be set; then at the very end the files that the same command wrote there go,
    the new ones come, each at once, and everything else stays. Killed in that moment, both are in the record, so that
    the next run puts it right. `later` are patterns (regular expressions of whole names) of what the command adds
    afterwards. Raises UsageError as `refuse_existing` does; where a foreign file turns out to be in the way, all that
    was made is kept in a new folder inside.
    """
    folder = Path(folder)
    refuse_existing(folder, overwrite, later=later)
    place = folder.resolve()  # a link stays a link, and what it points to is on its own disk
    temporary = temporary_name(place / "new" if place.exists() else place)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(temporary.parent, temporary.name.split("-", 2)[2])
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        with _mark(temporary):
            yield temporary
            _may_write(folder, overwrite)
            made = {name: _entry(temporary / name) for name in _files(temporary)}
            sync_files(temporary / name for name in made)
            if place.exists():
                _replace(folder, temporary, made, _own(place, later))
            else:
                _write_record(temporary, made)
                os.replace(temporary, place)
            sync_folder(place.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def claim(folder: str | Path, names: Iterable[str]) -> None:
    """Enter files of a folder that this command wrote again, after the folder was there, into its record."""
    folder = Path(folder)
    record = _read_record(folder)
    if record.get("command", command_name()) == command_name():
        _write_record(folder, record.get("files", {}) | {name: _entry(folder / name) for name in names})


def _replace(folder: Path, temporary: Path, made: Mapping[str, Entry], own: Mapping[str, Entry | None]) -> None:
    """Put new files into a folder in place of its own, or beside all if another's is in the way (UsageError)."""
    if blocked := next((name for name in made if _blocked(folder, name, own)), None):
        kept = next(path for path in (folder / f"new_{k}" for k in range(1000)) if not os.path.lexists(path))
        os.replace(temporary, kept)
        raise UsageError(f"{folder / blocked} is not from an earlier run, so it stays; what was made is in {kept}")
    _write_record(folder, made, {name: entry for name, entry in own.items() if entry})
    for name in own.keys() - made.keys():
        (folder / name).unlink(missing_ok=True)
        _remove_empty(folder, name)
    for name in made:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary / name, folder / name)
    _write_record(folder, made)


def _blocked(folder: Path, name: str, own: Collection[str]) -> bool:
    """Whether something that is not this command's holds the place of a new file, or of a folder above it."""

    def is_taken(each: str, by_folder: bool) -> bool:
        path = folder / each
        return each not in own and os.path.lexists(path) and not (by_folder and path.is_dir() and not path.is_symlink())

    return is_taken(name, False) or any(is_taken(each, True) for each in _above(name))


def _remove_empty(folder: Path, name: str) -> None:
    """Remove the folders above a file that is gone, up to `folder`, which stays, as long as they are empty."""
    with contextlib.suppress(OSError):
        for parent in _above(name):
            (folder / parent).rmdir()


def _own(folder: Path, later: Collection[str] = ()) -> dict[str, Entry | None]:
    """The files of a folder that this command wrote, with their entries (None: of `later`).

    Raises UsageError for the folder of another command and for files that were changed, DataError for a damaged record.
    """
    record = _read_record(folder)
    if not record:
        return {}
    if record["command"] != command_name():
        raise UsageError(f"{folder} holds what {record['command']} wrote; choose another folder")
    own: dict[str, Entry | None] = {}
    there = [name for name in {**record["before"], **record["files"]} if os.path.lexists(folder / name)]
    for name in there:
        entries = [part[name] for part in (record["before"], record["files"]) if name in part]
        if (entry := _matching(folder, name, entries)) is None:
            raise UsageError(
                f"{folder / name} was changed since {record['command']} wrote it, so it is not replaced; choose "
                "another folder, or move it away"
            )
        own[name] = entry
    for path in folder.iterdir():
        if path.name not in own and not path.is_symlink() and any(re.fullmatch(each, path.name) for each in later):
            inner = {f"{path.name}/{name}": None for name in (*_own(path), RECORD)} if path.is_dir() else {}
            own |= inner or {path.name: None}
    return own


def _matching(folder: Path, name: str, entries: Iterable[Entry]) -> Entry | None:
    """The entry that a file, reached through no link, still has the content of."""
    path = folder / name
    if any((folder / part).is_symlink() for part in (name, *_above(name))) or not path.is_file():
        return None
    alike = [entry for entry in entries if entry["bytes"] == path.stat().st_size]
    found = digest(path) if alike else ""
    return next((entry for entry in alike if entry["sha256"] == found), None)


def _above(name: str) -> list[str]:
    """The folders above a file, the nearest first, without the one that its name starts from."""
    return [str(parent) for parent in PurePosixPath(name).parents][:-1]


def _read_record(folder: Path) -> dict[str, Any]:
    """The record of a folder, empty where there is none. Raises DataError for anything else in its place."""
    path = folder / RECORD
    if not path.is_file():
        return {}
    record = read_json(path)
    parts = [record.get(part) if isinstance(record, dict) else None for part in ("files", "before")]
    right = all(
        isinstance(part, dict)
        and all(isinstance(entry, dict) and {"bytes", "sha256"} <= entry.keys() for entry in part.values())
        and not any(not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in part)
        for part in parts
    )
    if not right or not isinstance(record["command"], str):
        raise DataError(f"{path} is no record of what was written there; choose another folder")
    return record


def _write_record(folder: Path, files: Mapping[str, Entry], before: Mapping[str, Entry] | None = None) -> None:
    """Write the record of a folder; `before` are files that are being replaced."""
    content = {"command": command_name(), "line": command_line(), "files": files, "before": before or {}}
    write_json(folder / RECORD, content)


def _files(folder: Path) -> list[str]:
    """The names of all files below a folder, but not its record."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for name in found if name != RECORD)


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": digest(path)}


@contextlib.contextmanager
def _mark(folder: Path) -> Iterator[None]:
    """Show others that a folder in the making is being worked on, where the file system can."""
    handle = _flocked(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _flocked(folder: Path) -> int | None:
    """The open handle of a folder with its lock, or None if another process holds it or there are no locks."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove what killed processes left in the making in a folder: all of it, or folders of one name."""
    for path in folder.iterdir():
        if not _LEFT.fullmatch(path.name) or (name and path.name.split("-", 2)[2] != name):
            continue
        if not path.is_dir():
            if not name:
                path.unlink(missing_ok=True)
        elif (handle := _flocked(path)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(handle)


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold `folder` (which exists) for one process; what a killed one left in the making is removed.

    The system frees the lock of a process however that ends. Without fcntl (Windows), or on a file system that has no
    locks, nothing is held. Raises UsageError if another process holds it.
    """
    path = Path(folder) / LOCK
    with open(path, "ab") as handle:
        held = _lock(handle)
        if held:
            _remove_leftovers(Path(folder))
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
