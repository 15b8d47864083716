"""Keypoints of people in pictures, whichever detector wrote them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.run.errors import DataError

SURE = 0.05  # confidence below which a keypoint counts as not seen


@dataclass(frozen=True)
class Track:
    """One person: keypoints [T, J, 3], x to the right and y downwards in pixels, and a confidence from 0 to 1.

    The middle of the first pixel is at (0, 0). What was not seen has the confidence 0. `size` is the width and the
    height of the picture, where the file says or was told.
    """

    name: str
    joints: tuple[str, ...]
    points: np.ndarray
    size: tuple[int, int] | None = None

    @property
    def seen(self) -> np.ndarray:
        """Which keypoints were seen at all, bool [T, J]."""
        return self.points[..., 2] > SURE


def track_of(
    name: str, joints: Sequence[str], numbers: np.ndarray, path: object, size: tuple[int, int] | None = None
) -> Track:
    """A person of keypoints [J, 3] or [T, J, 3] as a file has them; what is not finite, or lies at (0, 0), is not seen.

    Raises DataError for other numbers.
    """
    points = np.array(numbers, np.float64)
    points = points[None] if points.ndim == 2 else points
    if points.ndim != 3 or points.shape[1:] != (len(joints), 3):
        raise DataError(f"{path}: {name} has keypoints {numbers.shape}, not [{len(joints)}, 3]")
    lost = ~np.isfinite(points).all(-1) | (points[..., :2] == 0).all(-1)
    points[lost] = 0
    points[..., 2] = points[..., 2].clip(0, 1)
    return Track(name, tuple(joints), points, size)
