"""Many motions on one picture: a row a sample, figures equally spaced over its time."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from utils.geometry.skeleton import Skeleton
from utils.run.errors import DataError
from utils.run.files import atomic_write
from visualize.figures import INK, PAPER, draw_2d, draw_3d

CELL = 180
THREE_QUARTER = np.radians(35.0)


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

    The first and the last frame are always there; 3D motion is seen from one three-quarter camera. A row is named by
    its label, or by its number. Raises DataError and NumericError.
    """
    if not motions or columns < 1 or (labels is not None and len(labels) != len(motions)):
        raise DataError(f"a contact sheet of {len(motions)} motions, {columns} columns and {labels=} cannot be drawn")
    names = [f"{row}" for row in range(len(motions))] if labels is None else labels
    rows = [
        _row(np.asarray(motion), skeleton, columns, name, fps, trajectory_joints)
        for motion, name in zip(motions, names, strict=True)
    ]
    done, png = cv2.imencode(".png", cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    if not done:
        raise DataError(f"the contact sheet {path} of {len(rows)} rows is too large for a PNG file")
    with atomic_write(path) as handle:
        handle.write(png.tobytes())


def _row(
    motion: np.ndarray, skeleton: Skeleton, columns: int, name: str, fps: float, trajectory_joints: Sequence[int]
) -> np.ndarray:
    """One motion [CELL, columns * CELL, 3]: its cells from left to right, and its name in the upper left corner."""
    frames = np.rint(np.linspace(0, len(motion) - 1, columns)).astype(int)
    if motion.ndim == 3 and motion.shape[-1] == 3:
        cells = draw_3d(
            motion, skeleton, "", CELL, trajectory_joints, turns=1, azimuth=THREE_QUARTER, frames=frames.tolist()
        )
    else:
        reach = 1.15 * np.abs(motion).max(initial=1e-6) * skeleton.metres_per_unit
        cells = draw_2d(motion, skeleton, "", CELL, extent=reach, frames=frames.tolist())
    row = np.concatenate(list(cells), axis=1)
    font = cv2.FontFace("sans")
    for column, frame in enumerate(frames):
        seconds = f"{frame / fps:.1f} s"
        width = cv2.getTextSize((CELL, CELL), seconds, (0, 0), font, 11, 400)[2]
        cv2.putText(row, seconds, (column * CELL + CELL - width - 8, CELL - 8), INK, font, 11, 400)
    cv2.putText(row, name, (8, 18), INK, font, 13, 500)
    row[-1:] = np.array(PAPER) - 24
    return row
