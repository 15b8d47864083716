"""The record in which motion travels between file formats, skeletons and datasets."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Motion:
    """One clip: positions [T, J, 3] (y up, right-handed), local rotation matrices [T, J, 3, 3] or None, and names.

    `rotations` are relative to the parent (the root's to the world); `parents` holds -1 for a root.
    """

    positions: np.ndarray
    fps: float
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    rotations: np.ndarray | None = None
    name: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
