"""Files that appear whole or not at all, text and JSON, and digests. Folders: `utils.run.folders`."""

import codecs
import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from utils.run.errors import DataError, MissingFileError

SYNCED_AT_ONCE = 16


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable (a no-op on file systems that do not support it, and on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Have what a file holds on the disk."""
    with open(path, "rb") as written:
        os.fsync(written.fileno())


def sync_files(paths: Iterable[Path]) -> None:
    """Have what many files hold on the disk: it writes many in about the time of one."""
    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
        list(pool.map(sync_file, paths))


def temporary_name(path: Path) -> Path:
    """A sibling name of `path` for a file in the making: same folder, hence the same file system."""
    return path.with_name(f".tmp-{os.getpid()}-{path.name}")


LEFT = re.compile(r"\.(tmp|old)-(\d{1,10})-(.+)", re.DOTALL)  # names of what a process makes, or put aside, for a while
_STARTED = time.time()  # what bears the number of this process and is older was left by another one of that number
_swept = set[str]()


def is_left(path: Path) -> bool:
    """Whether a process of this machine that is dead left a thing in the making, or put aside, under this name."""
    found = LEFT.fullmatch(path.name)
    return found is not None and not _lives(int(found[2]), path)


def _lives(number: int, path: Path) -> bool:
    """Whether the process of that number runs; where the system cannot say, it does."""
    if number == os.getpid():
        return path.lstat().st_mtime >= _STARTED
    if os.name == "nt":
        return True
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _sweep(folder: Path) -> None:
    """Remove the files that dead processes left in the making in a folder, where it is the first time here."""
    if str(folder) in _swept:
        return
    _swept.add(str(folder))
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".tmp-") and entry.is_file(follow_symlinks=False) and is_left(Path(entry)):
                os.unlink(entry)


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it is synced and renamed over `path`, else removed.

    Files that killed processes left in the making in that folder are removed first.
    """
    path = Path(path)
    _sweep(path.parent)
    temporary = temporary_name(path)
    try:
        yield temporary
        sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `path` when the block ends well, and leaves no trace when it does not."""
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        yield handle


def digest(path: str | Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_json(path: str | Path, content: Any) -> None:
    """Write strict JSON (no NaN) with sorted keys and an indent of 4, atomically."""
    text = json.dumps(content, indent=4, sort_keys=True, allow_nan=False)
    with atomic_write(path) as handle:
        handle.write(text.encode())


def read_text(path: str | Path, otherwise: str = "") -> str:
    """The text of a file: UTF-8, or UTF-16 where its byte-order mark says so; the mark is no part of it.

    Line ends of all systems are one newline. Bytes that are no such text are read in the encoding `otherwise`, if one
    is named. Raises MissingFileError or DataError.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist") from error
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        if not otherwise:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise DataError(f"{path} is not UTF-8 text (line {line}): save it as UTF-8") from error
        text = content.removeprefix(codecs.BOM_UTF8).decode(otherwise)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | Path) -> Any:
    """The content of a JSON file. Raises MissingFileError or DataError."""
    try:
        return json.loads(read_text(path))
    except (ValueError, DataError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file of plain values: one with tags of Python's is refused, and nothing in it is run.

    As in YAML 1.1, `1e-5` without a point is text. Raises MissingFileError or DataError.
    """
    try:
        import yaml  # needed for files of other programs only
    except ImportError as error:
        raise MissingFileError(f"{path} is read with PyYAML, which is missing", "pip install PyYAML") from error
    try:
        return yaml.safe_load(read_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or (str(error).splitlines() or [type(error).__name__])[0]
        where = f", line {mark.line + 1}" if mark else ""
        raise DataError(f"{path} is not plain YAML{where}: {reason}") from error
