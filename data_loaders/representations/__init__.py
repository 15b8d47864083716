"""What a frame of 3D motion is made of for a network: features from positions and back, one module a representation.

A module named after its representation has what is looked up here: `joints_of`, `joint_features`, and where rotations
are known `rotations_of`.
"""

from collections.abc import Callable
from importlib import import_module

from torch import Tensor

from utils.geometry.skeleton import Skeleton


def joints_of(representation: str, skeleton: Skeleton, centred: bool = False) -> Callable[[Tensor], Tensor]:
    """The function from features [..., T, F] in data units to joints [..., T, J, 3], y up.

    `centred`, for rotations, leaves the pelvis at the origin and the axes the data's, as the published losses do.
    """
    return import_module(f"{__name__}.{representation}").joints_of(skeleton, centred)


def rotations_of(representation: str, skeleton: Skeleton) -> Callable[[Tensor], Tensor]:
    """The function from features [..., T, F] in data units to rotations [..., T, J, 3, 3] relative to the parents."""
    return import_module(f"{__name__}.{representation}").rotations_of(skeleton)


def joint_features(representation: str, skeleton: Skeleton, joints: Tensor) -> Tensor:
    """The entries of a frame, bool, that belong to `joints`, bool [J]; the root's path, turn and height to the root."""
    return import_module(f"{__name__}.{representation}").joint_features(skeleton, joints)
