"""Folders of recorded motion as they come: which files hold clips, and what to do about those that cannot be read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from utils.formats.reading import READERS
from utils.run.errors import MissingFileError, PolykineError, UsageError

Clip = TypeVar("Clip")
_TABLES = (".csv",)  # which lie beside motion and are none, unless they are named themselves


def find_files(sources: Sequence[str]) -> list[Path]:
    """All motion files under `sources`, each once, sorted source by source. Raises MissingFileError or UsageError."""
    kinds = [kind for kind in READERS if kind not in _TABLES]
    if not sources:
        raise UsageError("name at least one file or folder: --sources FILE_OR_FOLDER ...")
    found: list[Path] = []
    for source in map(Path, sources):
        if not source.exists():
            raise MissingFileError(f"{source} does not exist")
        found += (
            [path for path in sorted(source.rglob("*")) if path.suffix.lower() in kinds]
            if source.is_dir()
            else [source] * (source.suffix.lower() in READERS)
        )
    if not found:
        *most, last = kinds
        raise MissingFileError(f"no {', '.join(most)} or {last} file under {', '.join(sources)}")
    return list(dict.fromkeys(found))


def read_each(
    files: Sequence[Path], sources: Sequence[str], read: Callable[[Path], Iterable[Clip]], say: Callable[[str], None]
) -> Iterator[tuple[Path, list[Clip]]]:
    """Each of the files that `sources` led to, with what `read` makes of it.

    One in a folder that cannot be read is told, and passed over; a file that was named itself is an error, and so is
    the first fault where no file is left.
    """
    named, fault, left = set(map(Path, sources)), None, 0
    for path in files:
        try:
            clips = list(read(path))
        except PolykineError as error:
            if path in named:
                raise
            fault = fault or error
            say(f"note: passed over: {error}")
            continue
        left += 1
        yield path, clips
    if fault and not left:
        raise fault
