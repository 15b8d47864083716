"""Work in a forked process whose operations on files are counted, and one of which fails.

Nothing in the project knows of this: `os` and `open` are put in place of the real ones in the fork. Counted is what
changes files below one folder: opening to write, each write, sync, rename, removal, new folder.
"""

import builtins
import contextlib
import errno
import io
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

FAULTS = ("error", "kill", "torn")
_CALLS = ("replace", "rename", "unlink", "remove", "rmdir", "mkdir", "fsync", "open")
_ENDS_BADLY = 70  # the exit code of a fork that ended in an exception


class Fault(NamedTuple):
    """What happens to operation number `at` (from 0).

    error: it says that the disk is full. kill: the process is killed before it. torn: power fails; of a write one half
    is done, and of files that were written and not synced since, one half is lost.
    """

    kind: str
    at: int


class Ended(NamedTuple):
    """How a fork ended: its exit code (minus a signal), what it printed, and the operations that it began."""

    code: int
    said: str
    operations: list[str]


class _Disk:
    """Counts the operations below a folder and makes one of them fail."""

    def __init__(self, root: Path, fault: Fault | None, log: int):
        self.root, self.fault, self.log = os.path.realpath(root), fault, log
        self.count, self.real = itertools.count(), {name: getattr(os, name) for name in _CALLS}
        self.synced: dict[str, int] = {}  # of files that were opened to write: the bytes that are surely on the disk
        self.open = builtins.open

    def holds(self, path: Any, settings: dict[str, Any]) -> bool:
        """Whether a path is below the folder; one that is relative to an open folder is taken to be."""
        if isinstance(path, int):
            return os.path.realpath(f"/proc/self/fd/{path}").startswith(self.root)
        return settings.get("dir_fd") is not None or os.path.abspath(os.fspath(path)).startswith(self.root)

    def operation(self, name: str, torn: Callable[[], object] = lambda: None) -> None:
        """Note an operation, and let it fail if it is its turn."""
        os.write(self.log, f"{name}\n".encode())
        if self.fault is None or next(self.count) != self.fault.at:
            return
        if self.fault.kind == "error":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.root)
        if self.fault.kind == "torn":
            torn()
            for path in filter(os.path.isfile, self.synced):
                os.truncate(path, (self.synced[path] + os.path.getsize(path)) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    def call(self, name: str) -> Callable[..., Any]:
        """What stands in for a function of `os`."""
        real = self.real[name]

        def stand_in(path: Any, *arguments: Any, **settings: Any) -> Any:
            reads = name == "open" and not (arguments and arguments[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            if reads or not self.holds(path, settings):
                return real(path, *arguments, **settings)
            self.operation(name)
            if name == "fsync":
                self.sync(os.path.realpath(f"/proc/self/fd/{path}"))
            done = real(path, *arguments, **settings)
            if name in ("replace", "rename"):
                self.moved(os.path.abspath(path), os.path.abspath(arguments[0]))
            return done

        return stand_in

    def moved(self, before: str, after: str) -> None:
        """Files that were not synced have other names."""
        self.synced.pop(after, None)
        for path in [path for path in self.synced if path == before or path.startswith(before + os.sep)]:
            self.synced[after + path[len(before) :]] = self.synced.pop(path)

    def sync(self, path: str) -> None:
        """What a file holds now is on the disk."""
        if path in self.synced:
            self.synced[path] = os.path.getsize(path)

    def opened(self, file: Any, mode: str = "r", buffering: int = -1, *texts: Any, **settings: Any) -> Any:
        """What stands in for `open`: files that are written get their bytes through `operation`."""
        if not set(mode) & set("wax+") or isinstance(file, int) or not self.holds(file, {}):
            return self.open(file, mode, buffering, *texts, **settings)
        self.operation("open")
        path = os.path.abspath(file)
        raw = _Raw(file, mode.replace("b", "").replace("t", ""))
        raw.disk = self
        self.synced[path] = os.path.getsize(path) if path not in self.synced or "a" not in mode else self.synced[path]
        if "b" in mode and buffering == 0:
            return raw
        held = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
        if "b" in mode:
            return held
        text = io.TextIOWrapper(held, *texts, **{k: v for k, v in settings.items() if k != "closefd"})
        text.mode = mode
        return text

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Stand in for the real functions."""
        for name in _CALLS:
            setattr(os, name, self.call(name))
        builtins.open = io.open = self.opened
        yield


class _Raw(io.FileIO):
    disk: _Disk

    def write(self, data: Any) -> int:
        half = bytes(data)[: len(bytes(data)) // 2]
        self.disk.operation("write", lambda: super(_Raw, self).write(half))
        return super().write(data)


def forked(work: Callable[[], object], root: Path, fault: Fault | None = None, delay: float | None = None) -> Ended:
    """Do work in a fork, with operations below `root` counted and the fault among them; `delay`: seconds to a kill."""
    said, log = root.parent / f".said-{os.getpid()}", root.parent / f".log-{os.getpid()}"
    process = start(work, said, lambda: _Disk(root, fault, os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)))
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    operations = log.read_text().split()
    text = said.read_text(errors="replace")
    said.unlink()
    log.unlink()
    return Ended(code, text, operations)


def start(work: Callable[[], object], said: Path, disk: Callable[[], _Disk] | None = None) -> int:
    """Begin work in a fork, what it prints going to a file; its number. SystemExit gives its exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    if process := os.fork():
        return process
    code = _ENDS_BADLY
    try:
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = sys.__stderr__ = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
        with disk().in_place() if disk else contextlib.nullcontext():
            work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
