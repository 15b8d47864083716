"""How far a long piece of work is: a bar that moves on a terminal, a line every ten seconds elsewhere.

Work knows nothing of this: it calls a callback `(done, total)` after each step, and a command hands one in.
"""

import sys
import time
from collections.abc import Callable
from typing import TextIO

Callback = Callable[[int, int], None]  # steps done (from 1), of how many

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

    `what` is being done, `then` what follows the last step; without that the bar goes with it. Where steps are counted
    anew, so is the time. A stream that is closed or broken is left alone: what is shown decides nothing.
    """

    def __init__(self, what: str, then: str = "", stream: TextIO | None = None):
        self.what, self.then, self.stream = what, then, stream or sys.stderr
        self.start = self.shown = self.called = time.monotonic()
        self.drawn = self.before = 0
        try:
            self.moving = self.stream is not None and self.stream.isatty()
        except ValueError:  # closed
            self.stream, self.moving = None, False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done <= self.before:
            self.start = self.called
        self.before, self.called, ended = done, now, done == total
        if now - self.shown < (REDRAWN if self.moving else EVERY) and not (self.drawn and ended):
            return
        self.shown = now
        left = duration((now - self.start) / done * (total - done))
        if not ended:
            self._show(f"{self.what}: step {done} of {total}, {left} left", done / total)
        elif self.then:
            self._show(self.then, 1.0)
        else:
            self.clear()

    def _show(self, text: str, share: float) -> None:
        if self.moving:
            full = int(WIDTH * share)
            self._write(f"\r[{'#' * full}{'.' * (WIDTH - full)}] {text}".ljust(self.drawn))
            self.drawn = WIDTH + 3 + len(text)
        else:
            self._write(f"{text}\n")

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Leave the line empty."""
        if self.drawn:
            self._write(f"\r{' ' * self.drawn}\r")
            self.drawn = 0

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
