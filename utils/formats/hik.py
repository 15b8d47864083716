"""Joint angles for HumanIK, the skeleton of Maya and MotionBuilder, as JSON in the published layout.

`joint_map`: the 22 names; `thetas` [repetition][frame][24 joints of SMPL][3]: degrees a, b, c of the local rotation
R = X(a) Y(b) Z(c) (intrinsic); `root_translation` [repetition][frame][3]: where the pelvis stands, metres, y up. The
two hands at the end of the 24 have no name in the map. Ours besides: `fps`, of all repetitions.
Maya writes orders the other way round: its rotate order for these angles is zyx (derived, not tried in Maya).
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.formats.checks import check_motion
from utils.formats.export_format import Format, Look
from utils.formats.smpl_motion import smpl_rotations
from utils.geometry.body import BodyMotion
from utils.geometry.rotations import matrix_to_euler
from utils.run.errors import DataError, UsageError
from utils.run.files import atomic_write, read_json

# The joints of `smpl22` by their names in HumanIK.
JOINT_MAP = (
    "Hips", "LeftUpLeg", "RightUpLeg", "Spine", "LeftLeg", "RightLeg", "Spine1", "LeftFoot", "RightFoot", "Spine2",
    "LeftToeBase", "RightToeBase", "Neck", "LeftShoulder", "RightShoulder", "Head", "LeftArm", "RightArm",
    "LeftForeArm", "RightForeArm", "LeftHand", "RightHand",
)  # fmt: skip
_DIGITS = 6


def content(motions: Sequence[BodyMotion]) -> dict[str, Any]:
    """What the JSON of some clips (repetitions of one question) holds.

    Raises UsageError for a body without SMPL's joints or clips of several rates.
    """
    rates = sorted({motion.fps for motion in motions})
    if len(rates) != 1:
        raise UsageError(f"a file of joint angles holds clips of one rate, not of {rates or 'none'}")
    turned = [torch.from_numpy(smpl_rotations(motion)).double() for motion in motions]
    angles = [np.degrees(matrix_to_euler(matrices, "XYZ").numpy()) for matrices in turned]
    return {
        "joint_map": list(JOINT_MAP),
        "thetas": [np.round(repetition, _DIGITS).tolist() for repetition in angles],
        "root_translation": [np.round(motion.root.astype(np.float64), _DIGITS).tolist() for motion in motions],
        "fps": rates[0],
    }


def write(path: str | Path, motions: Sequence[BodyMotion]) -> None:
    """Write the JSON of some clips, atomically. Raises what `content` raises, DataError or NumericError."""
    for motion in motions:
        check_motion(motion, path)
    text = json.dumps(content(motions), allow_nan=False)
    with atomic_write(path) as handle:
        handle.write(text.encode())


def read(path: str | Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Angles in degrees [T, 24, 3] and pelvis [T, 3] of each repetition. Raises MissingFileError or DataError."""
    found = read_json(path)
    if not isinstance(found, dict) or found.get("joint_map") != list(JOINT_MAP):
        raise DataError(f"{path} has no joint_map of the {len(JOINT_MAP)} joints of HumanIK")
    fps = found.get("fps", 20.0)
    if not isinstance(fps, int | float) or not 0 < fps < math.inf:
        raise DataError(f"{path} says fps {fps!r}, which is no frame rate")
    try:
        thetas, roots = (
            [np.array(part, np.float64) for part in found[name]] for name in ("thetas", "root_translation")
        )
        fits = [
            angles.shape == (len(root), 24, 3) and root.shape == (len(root), 3) and len(root)
            for angles, root in zip(thetas, roots, strict=True)
        ]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: thetas and root_translation are no lists of numbers: {error}") from error
    if not fits or not all(fits) or not all(np.isfinite(part).all() for part in (*thetas, *roots)):
        raise DataError(
            f"{path}: thetas are not finite [repetitions][T][24][3] with root_translation [repetitions][T][3]"
        )
    return list(zip(thetas, roots, strict=True))


def _look(found: list[tuple[np.ndarray, np.ndarray]], motion: BodyMotion, number: int) -> Look:
    """Angles beside angles, with the place of the pelvis."""
    angles, root = found[number]
    wanted = np.concatenate([*content([motion])["thetas"], motion.root[:, None]], axis=1)
    return len(angles), np.concatenate([angles, root[:, None]], axis=1), wanted


FORMAT = Format("_hik.json", write, read, _look, need=smpl_rotations)
