"""Many motions on one picture: a row a sample, figures equally spaced over its time."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from utils.geometry.skeleton import Skeleton
from utils.run.errors import DataError
from utils.run.files import atomic_write
from visualize.sticks import lettering
from visualize.sticks.figures import INK, PAPER, THREE_QUARTER, draw_2d, draw_3d, draw_world

CELL = 180
MARGIN = 160  # left of the figures, for captions


def write_contact_sheet(
    path: str | Path,
    motions: Sequence[np.ndarray],
    skeleton: Skeleton,
    columns: int = 8,
    labels: Sequence[str] | None = None,
    fps: float = 30.0,
    trajectory_joints: Sequence[int] = (),
) -> None:
    """Write a PNG of motions [T, J, 2] or [T, J, 3] (each of its own length), with the seconds under each figure.

    The first and the last frame are always there; 3D motion, in the camera frame of MAS, is seen from one three-quarter
    camera. A row is named by its label, or by its number. Raises DataError and NumericError.
    """
    _check(motions, columns, labels)
    names = [f"{row}" for row in range(len(motions))] if labels is None else labels

    def cells(motion: np.ndarray, frames: list[int]) -> Iterator[np.ndarray]:
        if motion.ndim == 3 and motion.shape[-1] == 3:
            return draw_3d(motion, skeleton, "", CELL, trajectory_joints, 1, THREE_QUARTER, frames=frames)
        reach = 1.15 * np.abs(motion).max(initial=1e-6) * skeleton.metres_per_unit
        return draw_2d(motion, skeleton, "", CELL, extent=reach, frames=frames)

    rows = []
    for motion, name in zip(map(np.asarray, motions), names, strict=True):
        frames = _spread(len(motion), columns)
        rows.append(_row(cells(motion, frames), frames, fps))
        lettering.write(rows[-1], lettering.drawable(name), (8, 18), INK, 13, 500)
    _write(path, rows)


def write_world_sheet(
    path: str | Path,
    motions: Sequence[np.ndarray],
    skeleton: Skeleton,
    captions: Sequence[str],
    columns: int = 8,
    fps: float = 20.0,
    given: Sequence[np.ndarray] | None = None,
) -> None:
    """Write a PNG of right-handed motions [T, J, 3] that go through space, each with its caption at the left.

    Each figure stands in the middle of its cell and on its way over the floor, as `figures.draw_world` shows it; so
    does `given` (one array [T] or [T, J] a motion). Raises DataError and NumericError.
    """

    def draw(index: int, frames: list[int]) -> Iterator[np.ndarray]:
        shown = None if given is None else given[index]
        return draw_world(np.asarray(motions[index]), skeleton, "", CELL, shown, frames=frames)

    write_drawn_sheet(path, draw, [len(motion) for motion in motions], captions, columns, [fps] * len(motions))


def write_drawn_sheet(
    path: str | Path,
    draw: Callable[[int, list[int]], Iterator[np.ndarray]],
    lengths: Sequence[int],
    captions: Sequence[str],
    columns: int,
    fps: Sequence[float],
    notes: Callable[[int, int], str] | None = None,
) -> None:
    """Write a PNG of motions of some `lengths`, in frames: a row each, its caption at the left.

    `draw(index, frames)` yields those frames of a motion, RGB uint8 [CELL, CELL, 3]; `notes(index, frame)` is what
    stands under a figure, else its second. Raises DataError, and what it raises.
    """
    _check(lengths, columns, captions)
    rows = []
    for index, caption in enumerate(captions):
        frames = _spread(lengths[index], columns)
        under = None if notes is None else [notes(index, frame) for frame in frames]
        row = _row(draw(index, frames), frames, fps[index], under)
        rows.append(np.concatenate([_caption(caption), row], axis=1))
    _write(path, rows)


def _check(motions: Sequence, columns: int, labels: Sequence[str] | None) -> None:
    """Raise DataError for nothing to draw, or another number of labels."""
    if not motions or columns < 1 or (labels is not None and len(labels) != len(motions)):
        raise DataError(f"a contact sheet of {len(motions)} motions, {columns} columns and {labels=} cannot be drawn")


def _spread(length: int, columns: int) -> list[int]:
    """The frames to draw."""
    return np.rint(np.linspace(0, length - 1, columns)).astype(int).tolist()


def _row(
    cells: Iterator[np.ndarray], frames: Sequence[int], fps: float, under: Sequence[str] | None = None
) -> np.ndarray:
    """Cells from left to right [CELL, columns * CELL, 3] with what stands under each, its second, and a line below."""
    row = np.concatenate(list(cells), axis=1)
    font = cv2.FontFace("sans")
    for column, note in enumerate(under or [f"{frame / fps:.1f} s" for frame in frames]):
        width = cv2.getTextSize((CELL, CELL), note, (0, 0), font, 11, 400)[2]
        cv2.putText(row, note, (column * CELL + CELL - width - 8, CELL - 8), INK, font, 11, 400)
    row[-1:] = np.array(PAPER) - 24
    return row


def _caption(text: str) -> np.ndarray:
    """A caption [CELL, MARGIN, 3], wrapped, its middle at the middle of the row."""
    image = np.full((CELL, MARGIN, 3), PAPER, np.uint8)
    lines = lettering.wrapped(text, 21, 8)
    for row, line in enumerate(lines):
        lettering.write(image, line, (10, round(CELL / 2 + 17 * (row - len(lines) / 2 + 0.75))), INK, 13, 400)
    image[-1:] = np.array(PAPER) - 24
    return image


def _write(path: str | Path, rows: Sequence[np.ndarray]) -> None:
    """Rows of one width as a PNG file. Raises DataError where there are too many."""
    done, png = cv2.imencode(".png", cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    if not done:
        raise DataError(f"the contact sheet {path} of {len(rows)} rows is too large for a PNG file")
    with atomic_write(path) as handle:
        handle.write(png.tobytes())
