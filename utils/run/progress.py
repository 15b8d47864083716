"""How far a long piece of work is: a bar that moves on a terminal, a line every ten seconds elsewhere.

Work knows nothing of this: it calls a callback `(done, total)` after each step, and a command hands one in.
"""

import sys
import time
from collections.abc import Callable
from typing import TextIO

Callback = Callable[[int, int], None]  # steps done, of how many

EVERY = 10.0  # seconds between two lines where there is no terminal
REDRAWN = 0.1  # seconds between two states of the bar
WIDTH = 24  # letters of the bar


def ignored(done: int, total: int) -> None:
    """The callback of work that nobody watches."""


def part_of(callback: Callback, part: int, parts: int) -> Callback:
    """The callback of part `part` (from 0) of work that has so many equal `parts`."""
    return lambda done, total: callback(part * total + done, parts * total)


class ProgressLine:
    """A callback that shows steps and the time left on `stream` (stderr); as a context it clears its bar at the end.

    `what` is being done, `then` what follows the last step. A stream that is closed or broken is left alone: what is
    shown decides nothing.
    """

    def __init__(self, what: str, then: str = "", stream: TextIO | None = None):
        self.what, self.then, self.stream = what, then, stream or sys.stderr
        self.start = self.shown = time.monotonic()
        self.drawn = 0
        try:
            self.moving = self.stream is not None and self.stream.isatty()
        except ValueError:  # closed
            self.stream, self.moving = None, False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.shown < (REDRAWN if self.moving else EVERY) and not (self.drawn and done == total):
            return
        self.shown = now
        left = (now - self.start) / done * (total - done) if done else 0.0
        said = f"{self.what}: step {done} of {total}, {duration(left)} left"
        if done == total and self.then:
            said = self.then
        if self.moving:
            full = WIDTH * done // total
            self._write(f"\r[{'#' * full}{'.' * (WIDTH - full)}] {said}".ljust(self.drawn))
            self.drawn = WIDTH + 3 + len(said)
        else:
            self._write(f"{said}\n")

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self.drawn:
            self._write(f"\r{' ' * self.drawn}\r")

    def _write(self, text: str) -> None:
        if self.stream is None:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):
            self.stream, self.drawn = None, 0


def duration(seconds: float) -> str:
    """Seconds in words: 42 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
