"""A normal distribution of poses: what joints that are not seen are likely to do, given those that are.

Joint j is told by x_j = log(m_j^-1 q_j) in R^3 about its mean rotation m_j, so that a pose [21, 4] is 63 numbers of
mean u and covariance C. Of unseen numbers a, given seen ones b, the mean is u_a + C_ab C_bb^-1 (x_b - u_b) and the
covariance C_aa - C_ab C_bb^-1 C_ba.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from utils.geometry.rotations import (
    axis_angle_to_quaternion,
    quaternion_conjugate,
    quaternion_multiply,
    quaternion_normalise,
    quaternion_to_axis_angle,
)
from utils.run.errors import DataError

_JOINTS = 21
_LOOSE = 1e-3  # radians^2 of every number that no other tells of


@dataclass(frozen=True)
class PoseStatistics:
    """Mean rotations [21, 4], and mean [63] and covariance [63, 63] of the turns from there, radians."""

    rotations: Tensor
    mean: Tensor
    covariance: Tensor

    def turns(self, poses: Tensor) -> Tensor:
        """The numbers [N, 63] of poses [N, 21, 4]."""
        turned = quaternion_multiply(quaternion_conjugate(self.rotations), poses.double())
        return quaternion_to_axis_angle(turned).flatten(1)

    def poses(self, turns: Tensor) -> Tensor:
        """The poses [N, 21, 4], w >= 0, of numbers [N, 63]."""
        turned = axis_angle_to_quaternion(turns.unflatten(1, (_JOINTS, 3)))
        return quaternion_normalise(quaternion_multiply(self.rotations, turned))

    def expected(self, turns: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers [N, 63] whose unseen are as expected, `known` bool [21] being seen; a factor [A, A] of the spread."""
        seen = known.repeat_interleave(3)
        spread = self.covariance + _LOOSE * torch.eye(len(self.covariance)).to(self.covariance)
        of_seen = torch.linalg.cholesky(spread[seen][:, seen])
        across = torch.cholesky_solve(spread[seen][:, ~seen], of_seen)  # C_bb^-1 C_ba
        found = turns.clone()
        found[:, ~seen] = self.mean[~seen] + (turns[:, seen] - self.mean[seen]) @ across
        left = spread[~seen][:, ~seen] - spread[~seen][:, seen] @ across
        return found, torch.linalg.cholesky((left + left.mT) / 2)


def statistics_of(poses: Tensor) -> PoseStatistics:
    """Those of poses [N, 21, 4]. Raises DataError for fewer than two."""
    if len(poses) < 2:
        raise DataError(f"{len(poses)} poses tell no spread: two or more are needed")
    poses = poses.double()
    outer = torch.einsum("njk,njl->jkl", poses, poses)
    rotations = quaternion_normalise(torch.linalg.eigh(outer)[1][..., -1])
    flat = PoseStatistics(rotations, torch.zeros(3 * _JOINTS).double(), torch.zeros(0).double())
    turns = flat.turns(poses)
    mean = turns.mean(0)
    return PoseStatistics(rotations, mean, (turns - mean).mT @ (turns - mean) / len(turns))


def no_statistics(spread: float = 0.4) -> PoseStatistics:
    """Where nothing is known: joints about the T by `spread` radians, each by itself."""
    rotations = torch.tensor([1.0, 0, 0, 0]).double().expand(_JOINTS, 4)
    size = 3 * _JOINTS
    return PoseStatistics(rotations, torch.zeros(size).double(), spread**2 * torch.eye(size).double())
