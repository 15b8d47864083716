"""What writers of motion ask before they write."""

import math
from pathlib import Path

import numpy as np

from utils.geometry.body import BodyMotion
from utils.run.errors import DataError, NumericError


def check_motion(motion: BodyMotion, path: str | Path) -> None:
    """Raise DataError for a motion without frames or whose parts do not fit, NumericError for NaN or infinity."""
    frames, joints, name = len(motion.root), len(motion.body.joints), motion.name or motion.body.name
    if not frames or motion.root.shape != (frames, 3) or motion.rotations.shape != (frames, joints, 3, 3):
        raise DataError(
            f"{name} has rotations {motion.rotations.shape} and a path {motion.root.shape} for {joints} joints, so "
            f"{path} was not written"
        )
    if not 0 < motion.fps < math.inf:
        raise DataError(f"{name} has {motion.fps} frames a second, so {path} was not written")
    parts = {"rotations": motion.rotations, "path": motion.root, "body": motion.body.vertices, "rest": motion.body.rest}
    for part, values in parts.items():
        if not np.isfinite(values).all():
            raise NumericError(f"the {part} of {name} holds NaN or infinity, so {path} was not written")
