"""TRC: points that cameras tracked or triangulated, one line of positions a frame (Motion Analysis, OpenSim, Pose2Sim).

Cells are parted by tabs: three lines of what the file holds, the names of the points, one to three columns, their
axes, then frame, seconds and positions. A cell without a number stands for a point that was not seen. The format does
not say which way is up; Pose2Sim and OpenSim write y.
"""

import math
from pathlib import Path

import numpy as np

from utils.formats.lines import Refused
from utils.geometry.motion import Motion
from utils.run.errors import DataError
from utils.run.files import read_text

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "meters": 1.0, "centimeters": 0.01, "millimeters": 0.001}
_OFF = 0.01  # of a frame rate that times contradict


def read(path: str | Path) -> Motion:
    """The points of a TRC file in metres, those that know no parents; NaN where one was not seen.

    Each person has a file. `unit` is that of the file, `note` says where it does not hold what it announces.
    Raises MissingFileError or DataError.
    """
    path = Path(path)
    lines = read_text(path, otherwise="latin-1").split("\n")
    try:
        told = _told(lines)
        names = _names(lines)
        unit, rate = _unit(told.get("Units", "")), _rate(told.get("DataRate", ""))
        rows = [(number, line) for number, line in enumerate(lines[5:], 6) if line.strip()]
        if not rows:
            raise Refused(len(lines), "the file has no frames")
        table = np.array([_row(line, 2 + 3 * len(names), number) for number, line in rows])
    except Refused as refused:
        raise DataError(f"{path}, {refused}") from refused
    positions = table[:, 2:].reshape(len(table), -1, 3) * unit
    if np.abs(positions[np.isfinite(positions)]).max(initial=0) > np.finfo(np.float32).max:
        raise DataError(f"{path} holds numbers too large for a position")
    note = "; ".join(filter(None, (_frames_note(told.get("NumFrames", ""), len(table)), _rate_note(table[:, 1], rate))))
    seen = positions.astype(np.float32)
    return Motion(seen, rate, names, (-1,) * len(names), None, path.stem, unit=unit, source=str(path), note=note)


def _cells(line: str) -> list[str]:
    """The cells of a line; a line without a tab is one whose tabs became spaces."""
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()


def _told(lines: list[str]) -> dict[str, str]:
    """What the second and third line say: names of values, and the values."""
    if len(lines) < 5 or not lines[0].startswith("PathFileType"):
        raise Refused(1, "'PathFileType' was expected, with which a TRC file begins")
    return dict(zip(_cells(lines[1]), _cells(lines[2]), strict=False))


def _names(lines: list[str]) -> tuple[str, ...]:
    """The names of the points."""
    cells = _cells(lines[3])
    if len(cells) < 3 or not cells[0].startswith("Frame") or not cells[1].startswith("Time"):
        raise Refused(4, "'Frame#', 'Time' and the names of points were expected")
    names = tuple(cell for cell in cells[2:] if cell)
    axes = [cell for cell in _cells(lines[4]) if cell]
    if not names or len(set(names)) < len(names):
        raise Refused(4, "two points have one name" if names else "no point has a name")
    if len(axes) != 3 * len(names) or any(cell[0].upper() != "XYZ"[k % 3] for k, cell in enumerate(axes)):
        raise Refused(5, f"the axes X, Y, Z of {len(names)} points were expected")
    return names


def _unit(text: str) -> float:
    """Metres in a unit."""
    if text.lower() not in UNITS:
        raise Refused(3, f"Units is {text[:20]!r} (known: {', '.join(list(UNITS)[:3])})")
    return UNITS[text.lower()]


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 1e-6 <= rate <= 1e6:
        raise Refused(3, f"DataRate {text[:20]!r} is no frame rate")
    return rate


def _row(line: str, count: int, number: int) -> list[float]:
    """The numbers of a frame, NaN for empty cells."""
    cells = _cells(line)
    while len(cells) > count and not cells[-1]:
        cells.pop()
    if len(cells) != count:
        raise Refused(number, f"{count} cells were expected and {len(cells)} are there")
    try:
        values = [float(cell) if cell else math.nan for cell in cells]
    except ValueError as error:
        raise Refused(number, str(error)[:80]) from error
    if any(map(math.isinf, values)):
        raise Refused(number, "a number is infinite")
    return values


def _frames_note(announced: str, count: int) -> str:
    return "" if announced in ("", str(count)) else f"{announced[:20]} frames are announced and {count} are there"


def _rate_note(seconds: np.ndarray, rate: float) -> str:
    """What to say where the times of the frames are not those of the rate."""
    steps = np.diff(seconds)
    step = float(np.median(steps)) if len(steps) and np.isfinite(steps).all() else 1 / rate
    if abs(step * rate - 1) <= _OFF:
        return ""
    return f"the file states {rate:g} frames a second, and its times go on by {step:g} s"
