"""A learned pose prior (Pose-NDF) as a term of least squares: its distance, which way that falls, how it bends.

The distance d is taught as that to the nearest plausible pose r, the mean over 21 joints of 1 - |q.r| = |q - r|^2 / 2.
While r stays the same, turning one joint by w (its local rotation becomes R exp(w), so its quaternion moves by |w| / 2)
gives d a second derivative of 1 / 84 along each axis, and less where another pose becomes the nearest, for the least of
several such bowls is under each of them. So d + slope . w + |w|^2 / 168 is a bound from above that touches it: what a
step by Gauss and Newton needs, without the second derivatives of the network.
"""

import torch
from torch import Tensor, nn

from model.poses.pose_ndf import JOINTS, value_and_gradient
from utils.geometry.rotations import matrix_to_quaternion

BEND = 1 / (4 * len(JOINTS))  # second derivative of the distance by the turn of a joint, 1 / radian^2
_BODY = slice(1, 1 + len(JOINTS))  # of the 24 joints


def distance_and_slope(network: nn.Module, rotations: Tensor) -> tuple[Tensor, Tensor]:
    """Distances [T] of local rotations [T, 24, 3, 3] from plausible ones, and their slopes [T, 24, 3].

    A slope is the derivative by w in R exp(w), radians; root and hands, which the prior does not know, have none.
    """
    quaternions = matrix_to_quaternion(rotations[:, _BODY])
    weight = next(network.parameters())
    distances, gradient = value_and_gradient(network, quaternions.to(weight))
    slopes = torch.zeros_like(rotations[..., 0])
    slopes[:, _BODY] = _by_turns(quaternions, gradient.to(quaternions))
    return distances.to(rotations), slopes


def _by_turns(quaternions: Tensor, gradient: Tensor) -> Tensor:
    """Derivatives [..., 3] by w in q * (1, w / 2) of what has the gradient [..., 4] by the numbers of q [..., 4]."""
    w, x, y, z = quaternions.unbind(-1)
    moves = torch.stack([-x, w, z, -y, -y, -z, w, x, -z, y, -x, w], -1).unflatten(-1, (3, 4))
    return (moves @ gradient[..., None]).squeeze(-1) / 2
