"""The standard streams of a command whose terminal, pipe or file may be missing or break while it works."""

import io
import os
import sys
from typing import Any


class _Outlet(io.FileIO):
    """A stream that fails once at most: from then on what is said goes nowhere."""

    fails = False

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if self.fails:
                raise
            return len(data)


def secure_streams(whoever_reads: bool = True) -> None:
    """Make standard input, output and error usable, however the process was started.

    A closed one becomes the empty device, lest the next file that is opened takes its number. Names of files that are
    no UTF-8 are printed with escapes. With `whoever_reads`, output that nobody takes (`| head -1`, a full disk) costs
    nothing but itself; without, it is an OSError, once. Streams that a caller has put in place of the real ones are
    left alone.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is not None and (stream is not getattr(sys, f"__{name}__") or stream.fileno() != number):
            continue
        raw = _Outlet(number, "w", closefd=False)
        raw.fails = not whoever_reads
        by_line = number == 2 or raw.isatty()
        encoding = stream.encoding if stream is not None else "utf-8"
        out = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=by_line
        )
        setattr(sys, name, out)
