"""A table for spreadsheets and pandas: one row a frame, positions of the joints in metres, y up.

Columns: `time` in seconds; `<joint>_x`, `<joint>_y`, `<joint>_z` of every joint; where contacts are known,
`<joint>_contact`, 1 while the joint stands on the floor, else 0. Commas between, names in the first row; one that
begins as a formula does (= + - @) stands behind a '.
"""

import csv
import io
from pathlib import Path

import numpy as np

from utils.formats.checks import check_motion
from utils.formats.export_format import Format, look_at_points, single
from utils.formats.lines import Refused, numbers
from utils.formats.rates import rate_of
from utils.geometry.body import BodyMotion, joints_of
from utils.geometry.motion import Motion
from utils.run.errors import DataError
from utils.run.files import atomic_write, read_text

_MARKED = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def write(path: str | Path, motion: BodyMotion) -> None:
    """Write the joints of a clip, to the micrometre, atomically. Raises DataError or NumericError."""
    check_motion(motion, path)
    positions = joints_of(motion)[0]
    header = _header(motion.body.joints, motion.contacts is not None)
    columns = [np.arange(len(positions))[:, None] / motion.fps, positions.reshape(len(positions), -1)]
    columns += [] if motion.contacts is None else [motion.contacts]
    pattern = ",".join(["%.9f"] + ["%.6f"] * positions[0].size + ["%d"] * (len(header) - 1 - positions[0].size))
    first = io.StringIO()
    csv.writer(first, lineterminator="\n").writerow(header)
    rows = "\n".join(pattern % tuple(row) for row in np.concatenate(columns, 1).tolist())
    with atomic_write(path) as handle:
        handle.write((first.getvalue() + rows + "\n").encode())


def read(path: str | Path) -> Motion:
    """The clip of such a table: joints that know no parents, `meta["contacts"]` bool [T, J] where there are any.

    A table of one frame does not tell its rate: 1. Raises MissingFileError or DataError.
    """
    path = Path(path)
    try:
        rows = list(csv.reader(io.StringIO(read_text(path))))
    except csv.Error as error:
        raise DataError(f"{path} is no table of numbers: {error}") from error
    try:
        header = rows[0] if rows else []
        names = tuple(column.removeprefix("'").removesuffix("_x") for column in header if column.endswith("_x"))
        told = len(header) > 1 + 3 * len(names)
        if not names or len(set(names)) < len(names) or header != _header(names, told):
            raise Refused(1, "the columns are time, <joint>_x, <joint>_y, <joint>_z of each joint, then any contacts")
        table = np.array([numbers(row, len(header), number) for number, row in enumerate(rows[1:], 2)])
        fps = _rate(table)
    except Refused as refused:
        raise DataError(f"{path}, {refused}") from refused
    positions, contacts = np.split(table[:, 1:], [3 * len(names)], axis=1)
    if np.abs(positions).max() > np.finfo(np.float32).max:
        raise DataError(f"{path} holds numbers too large for a position")
    meta = {"contacts": contacts > 0.5} if told else {}
    placed = positions.reshape(len(table), -1, 3).astype(np.float32)
    return Motion(placed, fps, names, (-1,) * len(names), None, path.stem, meta)


def _header(names: tuple[str, ...], contacts: bool) -> list[str]:
    """The names of the columns."""
    points = [f"{name}_{axis}" for name in names for axis in "xyz"]
    return ["time", *map(_plain, [*points, *(name + "_contact" for name in names if contacts)])]


def _plain(cell: str) -> str:
    """A text that spreadsheets take for one: a ' before what they would run as a formula, and before another '."""
    return f"'{cell}" if cell.startswith(_MARKED) else cell


def _rate(table: np.ndarray) -> float:
    """Frames a second of the column of times, a whole number where it is one but for rounding. Raises Refused."""
    if not len(table):
        raise Refused(2, "the table has no frames")
    steps = np.diff(table[:, 0])
    if not len(steps):
        return 1.0
    if not steps.min() > 0 or steps.max() - steps.min() > 1e-6 + 1e-3 * steps.mean():
        raise Refused(2, "the times do not go on in even steps")
    seconds = float(steps.mean())
    if not 1e-6 <= seconds <= 1e6:
        raise Refused(2, f"{1 / seconds:g} frames a second is no frame rate")
    return rate_of(seconds, 1e-4 * seconds)


FORMAT = Format(".csv", single(write), read, look_at_points, by_name=True)
