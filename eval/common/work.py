"""Long evaluations as units of work: each is done once, kept at once, and shared out over the ranks of torchrun.

A unit is a name and a function that returns arrays; what it returns depends on its name and the settings alone, so it
does not matter which rank does it, or in which order, or after how many interruptions.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from utils.run.errors import UsageError
from utils.run.files import atomic_write, read_json, write_json
from utils.run.folders import LOCK, locked
from utils.run.parallel import is_first, ranks, wait_for_ranks
from utils.run.progress import Callback, ProgressLine, duration, ignored

SETTINGS = "settings.json"
Arrays = dict[str, np.ndarray]
Unit = Callable[[], Arrays]


@contextlib.contextmanager
def unit_folder(folder: Path, settings: Mapping[str, Any], resume: bool) -> Iterator[None]:
    """Hold the folder of units that these settings decide; with `resume` what an earlier run left there stays.

    The first rank makes and locks it, the others wait. Raises UsageError if it holds units of other settings, naming
    the first that differs, or anything else of a user's, or if another run holds it.
    """
    with contextlib.ExitStack() as held:
        if is_first():
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder))
            _make_folder(folder, settings, resume)
        wait_for_ranks()
        yield


def _make_folder(folder: Path, settings: Mapping[str, Any], resume: bool) -> None:
    kept = folder / SETTINGS
    if not kept.is_file() and any(path.name != LOCK for path in folder.iterdir()):
        raise UsageError(f"{folder} is not a folder of evaluation samples; choose another --samples_dir")
    if kept.is_file() and resume:
        before = read_json(kept)
        for name, value in settings.items():
            if before.get(name) != value:
                raise UsageError(
                    f"--resume: {folder} was made with {name} {before.get(name)}, now it is {value}; leave --resume "
                    "out to begin anew"
                )
        return
    _remove_units(folder)
    write_json(kept, dict(settings))


def _remove_units(folder: Path) -> None:
    """Remove the units and settings of an earlier evaluation, and of folders inside it; everything else stays."""
    for path in list(folder.iterdir()) if (folder / SETTINGS).is_file() else ():
        if path.is_dir() and not path.is_symlink():
            _remove_units(path)
            with contextlib.suppress(OSError):
                path.rmdir()
        elif path.suffix == ".npz" or path.name == SETTINGS:
            path.unlink()


def run_units(folder: Path, units: Mapping[str, Unit], what: str = "units") -> None:
    """Do all units that are not in `folder` yet, this rank its share of them, and wait for the other ranks.

    Called inside `utils.run.parallel.group` and `unit_folder`; `path_of` says where each lies.
    """
    rank, world = ranks()
    names = [name for k, name in enumerate(units) if k % world == rank]
    missing = [name for name in names if not path_of(folder, name).is_file()]
    if found := len(names) - len(missing):
        say(f"{found} of {len(names)} {what} were there already")
    started = time.monotonic()
    for done, name in enumerate(missing, start=1):
        made = units[name]()
        with atomic_write(path_of(folder, name)) as handle:
            np.savez(handle, **made)  # type: ignore[arg-type]
        seconds = time.monotonic() - started
        left = seconds / done * (len(missing) - done)
        say(f"{what}: {done} of {len(missing)} ({name}), {duration(seconds)}, {duration(left)} left")
    wait_for_ranks()


def steps_shown() -> Callback:
    """A callback that shows the steps of sampling a unit, once whatever the number of ranks."""
    return ProgressLine("sampling") if is_first() else ignored


def path_of(folder: Path, name: str) -> Path:
    """Where a unit is kept."""
    return folder / f"{name}.npz"


def parts(count: int, size: int) -> Iterable[slice]:
    """`count` rows in parts of at most `size`."""
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def say(text: str) -> None:
    """Tell the user how far it is, once whatever the number of ranks."""
    if is_first():
        print(text, file=sys.stderr, flush=True)
