"""What the captioner measures of a body: its size, floor, heading, path and speed. Pure functions of positions.

Positions are [T, 22, 3] of SKELETONS["smpl22"], metres, y up. All is the person's own: forward is where hips and
shoulders face, left is the person's left, and lengths are shares of the body where the table of thresholds says so.
"""

from dataclasses import dataclass

import numpy as np

from data_loaders.captioner import thresholds as at
from utils.geometry.contacts import runs
from utils.geometry.skeleton import SKELETONS
from utils.geometry.smoothing import gaussian, gaussian_over_time

JOINT = {name: index for index, name in enumerate(SKELETONS["smpl22"].joints)}
SIDES = ("left", "right")
HIPS, KNEES, ANKLES, TOES = ([JOINT[f"{side}_{name}"] for side in SIDES] for name in ("hip", "knee", "ankle", "foot"))
SHOULDERS, ELBOWS, WRISTS = ([JOINT[f"{side}_{name}"] for side in SIDES] for name in ("shoulder", "elbow", "wrist"))
PELVIS, NECK, HEAD = JOINT["pelvis"], JOINT["neck"], JOINT["head"]


@dataclass(frozen=True)
class Body:
    """A smoothed motion and what is measured of it.

    `joints` [T, 22, 3] stand on a floor of y = 0; `leg` and `arm` are the length (m) of a limb, `size` is the body's
    against an adult's; `heading` [T] (radians, continuous, positive to the left), `velocity` [T, 2] of the root over
    the floor, forward and left (m/s), `path` [T, 2] its place (x, z); `hips` [T] the height of the hips against that
    of a person who stands upright; `upright` [T] the cosine between trunk and vertical, `lean` [T] the angle (degrees)
    by which the trunk leans forward; `knees` [T, 2] the angle (degrees) by which they are bent.
    """

    fps: float
    joints: np.ndarray
    leg: float
    arm: float
    size: float
    heading: np.ndarray
    velocity: np.ndarray
    path: np.ndarray
    hips: np.ndarray
    upright: np.ndarray
    lean: np.ndarray
    knees: np.ndarray

    @property
    def frames(self) -> int:
        """How many frames."""
        return len(self.joints)

    @property
    def speed(self) -> np.ndarray:
        """Speed [T] of the root over the floor (m/s)."""
        return np.hypot(self.velocity[:, 0], self.velocity[:, 1])


def measure(positions: np.ndarray, fps: float) -> Body:
    """What the captioner needs of positions [T, 22, 3]."""
    joints = smoothed(np.asarray(positions, np.float64), at.SMOOTH * fps)
    joints = joints - [0, np.percentile(joints[:, :, 1].min(1), 5), 0]
    leg = _length(joints, HIPS, KNEES) + _length(joints, KNEES, ANKLES)
    arm = _length(joints, SHOULDERS, ELBOWS) + _length(joints, ELBOWS, WRISTS)
    trunk = _length(joints, [PELVIS], [NECK])
    size = (leg + trunk) / (at.LEG + at.TRUNK)
    path = smoothed(joints[:, PELVIS][:, [0, 2]], at.SMOOTH_PATH * fps)
    heading = _heading(joints, fps)
    spine = joints[:, NECK] - joints[:, PELVIS]
    spine = spine / np.maximum(np.linalg.norm(spine, axis=-1, keepdims=True), 1e-8)
    ahead = spine[:, 0] * np.sin(heading) + spine[:, 2] * np.cos(heading)
    return Body(
        fps=fps,
        joints=joints,
        leg=leg,
        arm=arm,
        size=size,
        heading=heading,
        velocity=own(rates(path, fps), heading),
        path=path,
        hips=joints[:, HIPS, 1].mean(1) / (leg + _foot_height(joints, size)),
        upright=spine[:, 1],
        lean=np.degrees(np.arctan2(ahead, spine[:, 1])),
        knees=_bent(joints),
    )


def own(vectors: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Vectors (x, z) [T, 2] of the world as (forward, left) [T, 2] of a person with that heading [T]."""
    sin, cos = np.sin(heading), np.cos(heading)
    x, z = vectors[:, 0], vectors[:, 1]
    return np.stack([sin * x + cos * z, cos * x - sin * z], -1)


def rates(values: np.ndarray, fps: float) -> np.ndarray:
    """Change a second of values [T, ...]; 0 for a single frame."""
    return np.gradient(values, 1 / fps, axis=0) if len(values) > 1 else np.zeros_like(values)


def smoothed(values: np.ndarray, width: float) -> np.ndarray:
    """`gaussian_over_time` of values [T, ...], as a sum of shifted copies: quicker than its product for a window."""
    reach = max(1, round(3 * width))
    if len(values) <= reach:
        return gaussian_over_time(values, width)
    before, after = 2 * values[0] - values[reach:0:-1], 2 * values[-1] - values[-2 : -reach - 2 : -1]
    padded = np.concatenate([before, values, after])
    total = np.zeros_like(values)
    for shift, weight in enumerate(gaussian(width, reach).tolist()):
        total += weight * padded[shift : shift + len(values)]
    return total


def latched(values: np.ndarray, on: float, off: float) -> np.ndarray:
    """Where values [T] are above `off`, in runs that come above `on` at least once; bool [T]."""
    flags = values > off
    for first, end in runs(flags):
        flags[first:end] = values[first:end].max() > on
    return flags


def without_short(flags: np.ndarray, value: bool, length: float) -> np.ndarray:
    """Flags [T] without runs of `value` of fewer than `length` frames, unless they touch an end of the motion."""
    flags = flags.copy()
    for first, end in runs(flags == value):
        if end - first < length and first > 0 and end < len(flags):
            flags[first:end] = not value
    return flags


def _length(joints: np.ndarray, first: list[int], second: list[int]) -> float:
    """Median over time and sides of the distance between joints (m)."""
    return float(np.median(np.linalg.norm(joints[:, first] - joints[:, second], axis=-1)))


def _foot_height(joints: np.ndarray, size: float) -> float:
    """How high (m) the ankle is above the floor on which the foot stands."""
    lowest, highest = (height * size for height in at.FOOT)
    return float(np.clip(np.percentile(joints[:, ANKLES, 1].min(1), 5), lowest, highest))


def _bent(joints: np.ndarray) -> np.ndarray:
    """The angle [T, 2] (degrees) between thigh and shin, 0 for a straight leg."""
    thigh, shin = joints[:, HIPS] - joints[:, KNEES], joints[:, KNEES] - joints[:, ANKLES]
    lengths = np.linalg.norm(thigh, axis=-1) * np.linalg.norm(shin, axis=-1)
    return np.degrees(np.arccos(np.clip((thigh * shin).sum(-1) / np.maximum(lengths, 1e-8), -1, 1)))


def _heading(joints: np.ndarray, fps: float) -> np.ndarray:
    """The angle [T] about y from z to where hips and shoulders face, smoothed and continuous."""
    across = joints[:, [HIPS[0], SHOULDERS[0]]] - joints[:, [HIPS[1], SHOULDERS[1]]]
    across = across[..., [0, 2]] / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-8)
    across = smoothed(across.sum(1), at.SMOOTH_PATH / 2 * fps)
    return np.unwrap(np.arctan2(-across[:, 1], across[:, 0]))
