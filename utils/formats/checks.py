"""What writers of motion ask before they write, and readers before they hand on."""

import math
from pathlib import Path

import numpy as np

from utils.geometry.body import BodyMotion, joints_of
from utils.run.errors import DataError, NumericError


def check_motion(motion: BodyMotion, path: str | Path) -> None:
    """Raise DataError for a motion without frames or whose parts do not fit.

    Raises NumericError for NaN or infinity in what it is made of, or in where that leads its joints.
    """
    frames, joints, name = len(motion.root), len(motion.body.joints), motion.name or motion.body.name
    if not frames or motion.root.shape != (frames, 3) or motion.rotations.shape != (frames, joints, 3, 3):
        raise DataError(
            f"{name} has rotations {motion.rotations.shape} and a path {motion.root.shape} for {joints} joints, so "
            f"{path} was not written"
        )
    if not 0 < motion.fps < math.inf:
        raise DataError(f"{name} has {motion.fps} frames a second, so {path} was not written")
    if part := next((part for part, values in _parts(motion).items() if not np.isfinite(values).all()), ""):
        raise NumericError(f"the {part} of {name} holds NaN or infinity, so {path} was not written")
    if not np.isfinite(joints_of(motion)[0]).all():
        raise NumericError(f"{name} leads to infinite positions, so {path} was not written")


def check_read(motion: BodyMotion) -> BodyMotion:
    """A motion that was read, as it is. Raises ValueError for NaN or infinity in it."""
    if part := next((part for part, values in _parts(motion).items() if not np.isfinite(values).all()), ""):
        raise ValueError(f"its {part} holds NaN or infinity")
    return motion


def _parts(motion: BodyMotion) -> dict[str, np.ndarray]:
    """The numbers that a motion is made of."""
    body = motion.body
    parts = {"rotations": motion.rotations, "path": motion.root, "body": body.vertices, "rest": body.rest}
    parts["weights"] = body.weights
    return parts if body.pose_directions is None else parts | {"pose directions": body.pose_directions}
