"""Keypoints that a camera sees: a frame is points [J, 2] as they are; of several views come 3D points [J, 3] (MAS).

Those lie in the camera frame of MAS: x right, y up, z away from the viewer (left-handed).
"""

from collections.abc import Callable

from torch import Tensor

from utils.geometry.skeleton import Skeleton


def joints_of(skeleton: Skeleton, centred: bool = False) -> Callable[[Tensor], Tensor]:
    """The function from 3D points [..., T, J, 3] in the camera frame to right-handed joints: z changes its sign."""
    return lambda points: points * points.new_tensor((1, 1, -1))


def joint_features(skeleton: Skeleton, joints: Tensor) -> Tensor:
    """The entries of a frame that belong to `joints`, bool [J]: the joints themselves."""
    return joints
