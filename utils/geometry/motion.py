"""The record in which motion travels between file formats, skeletons and datasets."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Motion:
    """One clip, and what its file tells of it.

    `positions` [T, J, 3] in metres, y up, right-handed; `parents` holds -1 for a root. `rotations` [T, J, 3, 3], where
    the file has them, are relative to the parent (the root's to the world), and the identity in the rest pose, whose
    joints stand at `rest` [J, 3], in the axes of the world: a joint moves its child by R_world (rest_child - rest).

    `betas` and `gender` are those of a body model; `texts` sentences; `unit` metres per unit of the file and `up` its
    axis that points up, as found; `source` the file; `note` what was concluded where the file leaves it open. `meta`
    holds what only some sources know: the labels of a shard, `features` and the name of their `skeleton`, `flat`.
    """

    positions: np.ndarray
    fps: float
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    rotations: np.ndarray | None = None
    name: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    rest: np.ndarray | None = None
    betas: np.ndarray | None = None
    gender: str = ""
    texts: tuple[str, ...] = ()
    unit: float = 1.0
    up: str = "y"
    source: str = ""
    note: str = ""
