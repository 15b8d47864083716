"""Poses moved off the manifold: quaternions [N, 21, 4], w >= 0, at the published levels of noise and clean.

Three kinds, each of a `level` in units of the quaternion (a unit vector in four dimensions):
- published: q + level U, U uniform in [0, 1), one draw [21, 4] a level, which all rows share;
- gaussian: q + level N, N standard normal; both are made unit vectors again;
- tangent: along the sphere, by level N at right angles to q, which turns the joint by twice that angle in radians.
"""

import numpy as np
import torch
from torch import Tensor

from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_multiply, quaternion_normalise
from utils.run.randomness import numpy_rng

KINDS = ("published", "gaussian", "tangent")
LEVELS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5)
_BLOCK = 256  # rows that share a generator: a row's draw depends on its number alone, and blocks are quick


def drawn(count: int, rows: np.ndarray, *key: int | str, normal: bool = True) -> np.ndarray:
    """Numbers [R, count] of the `rows` [R] of an endless table: standard normal ones, or uniform in [0, 1).

    A row is the same whatever other rows are asked for.
    """
    table = np.empty((len(rows), count))
    for block in np.unique(rows // _BLOCK):
        rng = numpy_rng(*key, int(block))
        values = rng.standard_normal((_BLOCK, count)) if normal else rng.random_sample((_BLOCK, count))
        inside = rows // _BLOCK == block
        table[inside] = values[rows[inside] % _BLOCK]
    return table


def perturbed(poses: Tensor, levels: Tensor, kind: str, rows: np.ndarray, *key: int | str) -> Tensor:
    """Poses [N, 21, 4] with noise of `levels` [N], the draw of each by its number in `rows` [N] and the `key`.

    A level of 0 leaves a pose as it is, but for the sign that makes w >= 0.
    """
    level = levels.to(poses)[:, None, None]
    if kind == "published":
        shared = {value: numpy_rng(*key, f"{value:g}").random_sample(poses.shape[1:]) for value in set(levels.tolist())}
        step = torch.from_numpy(np.stack([shared[value] for value in levels.tolist()])).to(poses)
        return _moved(poses, level, level * step)
    if kind == "gaussian":
        step = torch.from_numpy(drawn(poses[0].numel(), rows, *key)).to(poses).view_as(poses)
        return _moved(poses, level, level * step)
    turn = torch.from_numpy(drawn(3 * poses.shape[1], rows, *key)).to(poses).view(*poses.shape[:2], 3)
    return quaternion_normalise(quaternion_multiply(poses, axis_angle_to_quaternion(2 * level * turn)))


def _moved(poses: Tensor, level: Tensor, step: Tensor) -> Tensor:
    """Unit quaternions of w >= 0; where nothing moves them, the same to the bit."""
    upper = torch.where(poses[..., :1] < 0, -poses, poses)
    return torch.where(level > 0, quaternion_normalise(poses + step), upper)


def turned(poses: Tensor, angle: float, rows: np.ndarray, *key: int | str) -> Tensor:
    """Poses [N, 21, 4] some of whose joints, each with a chance of a half and one at least, turn by `angle` radians.

    The axes are uniform; what a real pose is told from (see `train.tasks.poses`).
    """
    joints = poses.shape[1]
    axes = torch.from_numpy(drawn(3 * joints, rows, *key, "axes")).to(poses).view(-1, joints, 3)
    chance = torch.from_numpy(drawn(joints, rows, *key, "joints", normal=False))
    chosen = (chance < 0.5) | (chance == chance.amin(-1, keepdim=True))
    axes = torch.nn.functional.normalize(axes, dim=-1) * chosen[..., None] * angle
    return quaternion_normalise(quaternion_multiply(poses, axis_angle_to_quaternion(axes.to(poses))))
