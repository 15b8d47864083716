"""The conversion of MAS: keypoints to the 22 joints of AMASS, facing +z, as `visualize.convert_skeleton` publishes it.

It knows no confidence: feet are the ankles once more, the head is its top (gymnastics: the nose). What fits a body
asks `joint_maps.to_smpl` in its place. Frames are those of the 2D family: x right, y up, z away (left-handed).
"""

import numpy as np

from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, UsageError

_JOINTS = SKELETONS["smpl22"].joints
_ANKLES = {"left_foot": "left_ankle", "right_foot": "right_ankle"}
_LIMBS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
_MIDDLE = {"nba": {"pelvis": "Hip", "neck": "Neck", "head": "Head"}, "gymnastics": {"head": "Nose"}}
ESTIMATORS = ("motionbert", "elepose")  # their files are one array [T, 17, 3] of Human3.6M's joints at 60 fps
_EVERY = 3  # of their frames, so 20 a second
_TORSO = 7  # the joint of theirs that nba has not
SOURCES = ("nba", "gymnastics", *ESTIMATORS)


def every_third(estimate: np.ndarray, source: str) -> np.ndarray:
    """A pose estimator's [T, 17, 3] at 60 fps as [ceil(T / 3), 17, 3] at 20, y up. Raises DataError."""
    if estimate.ndim != 3 or estimate.shape[1:] != (17, 3) or not len(estimate):
        raise DataError(f"an array of shape {estimate.shape} is no motion of {source}, which has shape (frames, 17, 3)")
    return estimate[::_EVERY] * np.array((2, -2, 2) if source == "motionbert" else (1, 1, 1), estimate.dtype)


def estimate_to_nba(estimate: np.ndarray, source: str) -> np.ndarray:
    """The same on the joints of nba, [ceil(T / 3), 16, 3]."""
    return np.delete(every_third(estimate, source), _TORSO, axis=1)


def to_22(motion: np.ndarray, source: str) -> np.ndarray:
    """Motion [..., T, J, 3] of nba or gymnastics on the 22 joints, a ball after them as number 22. Raises errors."""
    skeleton = SKELETONS["nba" if source in ESTIMATORS else source] if source in SOURCES else None
    if skeleton is None:
        raise UsageError(f"no conversion from {source!r} to 22 joints: choose from {', '.join(SOURCES)}")
    if motion.shape[-2:] != (len(skeleton.joints), 3):
        raise DataError(f"motion of shape {motion.shape} is not of {source}, which has {len(skeleton.joints)} joints")
    words = ("L", "R") if skeleton.name == "nba" else ("Left", "Right")
    wanted = _MIDDLE[skeleton.name] | {
        f"{side}_{limb}": word + limb.title()
        for side, word in zip(("left", "right"), words, strict=True)
        for limb in _LIMBS
    }
    at = {joint: motion[..., skeleton.index(name), :] for joint, name in wanted.items()}
    at |= {foot: at[ankle] for foot, ankle in _ANKLES.items()}
    at.setdefault("pelvis", (at["left_hip"] + at["right_hip"]) / 2)
    at.setdefault("neck", (at["left_shoulder"] + at["right_shoulder"]) / 2)
    for joint, share in (("spine1", 0.25), ("spine2", 0.5), ("spine3", 0.75)):
        at[joint] = at["pelvis"] + share * (at["neck"] - at["pelvis"])
    for side in ("left", "right"):
        at[f"{side}_collar"] = 0.25 * at[f"{side}_shoulder"] + 0.75 * at["neck"]
    balls = [motion[..., skeleton.index("Ball"), :]] if "Ball" in skeleton.joints else []
    return np.stack([at[joint] for joint in _JOINTS] + balls, -2)


def facing_z(motion: np.ndarray) -> np.ndarray:
    """Motion [T, 22 or 23, 3] rotated about y so that its first frame faces +z, in the right-handed frame (-z).

    The published turn is the shortest one between two directions, which fails for who faces exactly away; here it is
    the angle between them. Where the shoulders stand above each other the hips tell, else the next frame.
    """
    across = np.concatenate([_across(motion, "shoulder")[:, None], _across(motion, "hip")[:, None]], 1).reshape(-1, 2)
    known = np.flatnonzero(np.hypot(*across.T) > 1e-6)
    x, z = across[known[0]] if len(known) else (1.0, 0.0)
    c, s = np.array((x, z), np.float64) / np.hypot(x, z)
    turn = np.array(((c, 0, s), (0, 1, 0), (-s, 0, c)))  # brings `across` to +x
    return (motion @ turn.T * (1, 1, -1)).astype(motion.dtype)


def _across(motion: np.ndarray, limb: str) -> np.ndarray:
    """The way [T, 2] over the floor from the right to the left joint of a pair."""
    right, left = (motion[:, _JOINTS.index(f"{side}_{limb}")] for side in ("right", "left"))
    return (left - right)[:, [0, 2]]
