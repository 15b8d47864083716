"""Joint rotations as features: what a frame of HumanAct12 and UESTC is made of (Petrovich et al. 2021; MDM).

150 numbers a frame, 25 rows of 6: for each of the 24 SMPL joints the first two ROWS of its rotation matrix (as
published; `utils.geometry.rotations` takes columns), then x, y, z of the translation and three zeros. Rotations are
relative to the parent, the root's to the world.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from utils.geometry.kinematics import forward
from utils.geometry.rest import rest_offsets
from utils.geometry.rotations import axis_angle_to_matrix, matrix_to_rotation_6d, rotation_6d_to_matrix
from utils.geometry.skeleton import SKELETONS, Skeleton

JOINTS = len(SKELETONS["smpl24"].joints)
ROW = 6  # numbers of a joint, and of the translation


def encode(poses: Tensor, translation: Tensor) -> Tensor:
    """Features [..., T, 150] of poses [..., T, 24, 3] (axis-angle, radians) and translations [..., T, 3] (metres)."""
    rotations = matrix_to_rotation_6d(axis_angle_to_matrix(poses).mT)
    last = torch.cat([translation, torch.zeros_like(translation)], -1)
    return torch.cat([rotations, last[..., None, :]], -2).flatten(-2)


def rotations(features: Tensor) -> Tensor:
    """Rotation matrices [..., T, 24, 3, 3] relative to the parents of features [..., T, 150]."""
    return rotation_6d_to_matrix(features[..., : JOINTS * ROW].unflatten(-1, (JOINTS, ROW))).mT


def translation(features: Tensor) -> Tensor:
    """Where the body has moved since the first frame [..., T, 3], of features [..., T, 150]."""
    path = features[..., JOINTS * ROW : JOINTS * ROW + 3]
    return path - path[..., :1, :]


def decode(features: Tensor, offsets: Tensor, root: str = "moving") -> Tensor:
    """Joints [..., T, 24, 3] of features [..., T, 150] on a body of rest `offsets` [24, 3] (`utils.geometry.rest`).

    `root` says where the pelvis is: `moving`, the translation since the first frame, or `centred`, the origin in
    every frame.
    """
    place = translation(features) if root == "moving" else torch.zeros_like(features[..., :3])
    return forward(rotations(features), offsets.to(features), SKELETONS["smpl24"].parents, place)[0]


def upright(joints: Tensor) -> Tensor:
    """Points [..., 3] of the published data, which stand in the frame of their camera (y down, z away), with y up."""
    return joints * joints.new_tensor((1, -1, -1))


def joints_of(skeleton: Skeleton, centred: bool = False) -> Callable[[Tensor], Tensor]:
    """The function from features [..., T, 150] to joints [..., T, 24, 3], y up.

    `centred` leaves the pelvis at the origin and the axes the data's, as the published losses do.
    """
    offsets = rest_offsets()
    if centred:
        return partial(decode, offsets=offsets, root="centred")
    return lambda features: upright(decode(features, offsets))


def rotations_of(skeleton: Skeleton) -> Callable[[Tensor], Tensor]:
    """`rotations`, which are those of SMPL's skeleton."""
    return rotations


def joint_features(skeleton: Skeleton, joints: Tensor) -> Tensor:
    """The features [150] of `joints`, bool [24]; the translation belongs to the pelvis."""
    return torch.cat((joints, joints[:1])).repeat_interleave(ROW)
