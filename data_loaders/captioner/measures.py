"""What the captioner measures of a body: its size, floor, heading, path and speed. Pure functions of positions.

Positions are [T, 22, 3] of SKELETONS["smpl22"], metres, y up. All is the person's own: forward is where hips and
shoulders face, left is the person's left, and lengths are shares of the body where the table of thresholds says so.
"""

from dataclasses import dataclass

import numpy as np

from data_loaders.captioner import thresholds as at
from data_loaders.captioner.signals import rates, smoothed
from utils.geometry.skeleton import SKELETONS

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
    the floor, forward and left (m/s), `path` [T, 2] its place (x, z); `hips` [T] their height over the lower ankle, in
    lengths of the leg; `upright` [T] the cosine between trunk and vertical, `lean` [T] the angle (degrees) by which the
    trunk leans forward; `knees` [T, 2] the angle (degrees) by which they are bent.
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
        hips=(joints[:, HIPS, 1].mean(1) - joints[:, ANKLES, 1].min(1)) / leg,
        upright=spine[:, 1],
        lean=np.degrees(np.arctan2(ahead, spine[:, 1])),
        knees=_bent(joints),
    )


def own(vectors: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Vectors (x, z) [T, 2] of the world as (forward, left) [T, 2] of a person with that heading [T]."""
    sin, cos = np.sin(heading), np.cos(heading)
    x, z = vectors[:, 0], vectors[:, 1]
    return np.stack([sin * x + cos * z, cos * x - sin * z], -1)


def _length(joints: np.ndarray, first: list[int], second: list[int]) -> float:
    """Median over time and sides of the distance between joints (m)."""
    return float(np.median(np.linalg.norm(joints[:, first] - joints[:, second], axis=-1)))


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
