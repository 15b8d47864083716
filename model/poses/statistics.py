"""Normal distributions of poses: what joints that are not seen are likely to do, given those that are.

Joint j is told by x_j = log(m_j^-1 q_j) in R^3 about its mean rotation m_j, so that a pose [21, 4] is 63 numbers. Poses
fall in K groups (k-means), each of weight w, mean u and covariance C. In a group, unseen numbers a, given seen ones b,
have the mean u_a + C_ab C_bb^-1 (x_b - u_b) and the covariance C_aa - C_ab C_bb^-1 C_ba. Groups count by
w N(x_b; u_b, C_bb)^(1/2): the whole likelihood would nearly always choose one, also for poses that no group is sure of.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from utils.geometry.rotations import (
    axis_angle_to_quaternion,
    quaternion_conjugate,
    quaternion_multiply,
    quaternion_normalise,
    quaternion_to_axis_angle,
)
from utils.run.arrays import load_archive
from utils.run.errors import DataError
from utils.run.randomness import torch_generator

GROUPS = 128
BESIDE = "pose_statistics.npz"  # what the file beside a checkpoint is called
_JOINTS = 21
_SIZE = 3 * _JOINTS
_LOOSE = 1e-2  # radians^2 of every number that no other tells of
_TEMPER = 0.5  # power of the likelihood
_SPREAD = 0.75  # of drawn poses: with the whole they are twice as far from real ones
_MEMBERS = 200  # poses of a group at least, on average: fewer tell no covariance
_DRAWN, _ROUNDS = 40_000, 8  # poses that groups are found from, and rounds of k-means
_SHARED = 5  # poses that each group shares with all others in its covariance


@dataclass(frozen=True)
class PoseStatistics:
    """Mean rotations [21, 4]; weights [K], means [K, 63], covariances [K, 63, 63] of the turns from there, radians."""

    rotations: Tensor
    weights: Tensor
    means: Tensor
    covariances: Tensor

    def turns(self, poses: Tensor) -> Tensor:
        """The numbers [N, 63] of poses [N, 21, 4]."""
        turned = quaternion_multiply(quaternion_conjugate(self.rotations), poses.double())
        return quaternion_to_axis_angle(turned).flatten(1)

    def poses(self, turns: Tensor) -> Tensor:
        """The poses [N, 21, 4], w >= 0, of numbers [N, 63]."""
        turned = axis_angle_to_quaternion(turns.unflatten(1, (_JOINTS, 3)))
        return quaternion_normalise(quaternion_multiply(self.rotations, turned))

    def expected(self, turns: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers [N, 63] whose unseen are as expected, `known` bool [21] being seen; a factor [A, A] of the spread.

        The spread is that within the groups and between them, on average over the N poses.
        """
        seen = known.repeat_interleave(3)
        spread = self.covariances + _LOOSE * torch.eye(_SIZE).to(self.covariances)
        of_seen = torch.linalg.cholesky(spread[:, seen][:, :, seen])
        across = torch.cholesky_solve(spread[:, seen][:, :, ~seen], of_seen)  # C_bb^-1 C_ba [K, B, A]
        off = turns[:, seen] - self.means[:, None, seen]  # [K, N, B]
        told = self.means[:, None, ~seen] + off @ across
        shares = self._shares(of_seen, off)
        mean = (shares[..., None] * told).sum(0)
        left = spread[:, ~seen][:, :, ~seen] - spread[:, ~seen][:, :, seen] @ across
        apart = shares.sqrt()[..., None] * (told - mean)
        whole = (shares.mean(1)[:, None, None] * left).sum(0) + torch.einsum("kna,knb->ab", apart, apart) / len(turns)
        found = turns.clone()
        found[:, ~seen] = mean
        return found, torch.linalg.cholesky((whole + whole.mT) / 2)

    def drawn(self, chances: Tensor, normals: Tensor) -> Tensor:
        """Poses [N, 21, 4] of groups by `chances` [N] from 0 to 1, about whose means `normals` [N, 63] lead.

        By `_SPREAD` of the spread: in 63 dimensions nearly all of a normal distribution is in its tails, where
        the poses of the group are not.
        """
        groups = torch.searchsorted(self.weights.cumsum(0), chances.double()).clamp_max(len(self.weights) - 1)
        nothing = 1e-6 * torch.eye(_SIZE).to(self.covariances)
        factors = torch.linalg.cholesky(self.covariances[groups] + nothing)
        turns = self.means[groups] + _SPREAD * (factors @ normals.double()[..., None])[..., 0]
        return self.poses(turns).float()

    def _shares(self, of_seen: Tensor, off: Tensor) -> Tensor:
        """How much each group counts [K, N], by Cholesky factors [K, B, B] of what is seen and by [K, N, B] off it."""
        scaled = torch.linalg.solve_triangular(of_seen, off.mT, upper=False)
        size = of_seen.diagonal(dim1=1, dim2=2).log().sum(1)
        likely = -scaled.square().sum(1) / 2 - size[:, None]
        return (self.weights.log()[:, None] + _TEMPER * likely).softmax(0)


def statistics_of(poses: Tensor, groups: int = GROUPS) -> PoseStatistics:
    """Those of poses [N, 21, 4], in fewer groups where there are few. Raises DataError for fewer than two."""
    if len(poses) < 2:
        raise DataError(f"{len(poses)} poses tell no spread: two or more are needed")
    outer = torch.einsum("njk,njl->jkl", poses.double(), poses.double())
    rotations = quaternion_normalise(torch.linalg.eigh(outer)[1][..., -1])
    nothing = torch.zeros(0).double()
    turns = PoseStatistics(rotations, nothing, nothing, nothing).turns(poses)
    owner = _grouped(turns, max(1, min(groups, len(turns) // _MEMBERS)))
    whole = _covariance(turns)
    members = [turns[owner == group] for group in owner.unique().tolist()]
    shared = _SHARED if len(members) > 1 else 0
    covariances = [(len(each) * _covariance(each) + shared * whole) / (len(each) + shared) for each in members]
    counts = torch.tensor([len(each) for each in members]).double()
    means = torch.stack([each.mean(0) for each in members])
    return PoseStatistics(rotations, counts / counts.sum(), means, torch.stack(covariances))


def _covariance(turns: Tensor) -> Tensor:
    off = turns - turns.mean(0)
    return off.mT @ off / len(turns)


def _grouped(turns: Tensor, groups: int) -> Tensor:
    """The group [N] of each of the numbers [N, 63], by k-means of some of them."""
    draws = torch_generator(0, "groups of poses")
    some = turns[torch.randperm(len(turns), generator=draws)[:_DRAWN]].float()
    centres = some[:groups]
    for _ in range(_ROUNDS):
        owner = torch.cdist(some, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, owner, some)
        counts = owner.bincount(minlength=groups)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
    return torch.cat([torch.cdist(part.float(), centres).argmin(1) for part in turns.split(_DRAWN)])


def write_statistics(path: Path, statistics: PoseStatistics) -> None:
    """Write them in half precision, of the covariances what is on and below the diagonal."""
    low = torch.tril_indices(_SIZE, _SIZE)
    arrays = {
        "rotations": statistics.rotations, "weights": statistics.weights, "means": statistics.means,
        "covariances": statistics.covariances[:, low[0], low[1]],
    }  # fmt: skip
    halves = {name: values.numpy().astype(np.float16) for name, values in arrays.items()}
    np.savez_compressed(path, **(halves | {"rotations": arrays["rotations"].float().numpy()}))  # type: ignore[arg-type]


def read_statistics(path: Path) -> PoseStatistics:
    """The statistics that `write_statistics` wrote. Raises DataError for another file."""
    content = load_archive(path)
    groups = len(content.get("weights", ()))
    shapes = {
        "rotations": (_JOINTS, 4), "weights": (groups,), "means": (groups, _SIZE),
        "covariances": (groups, _SIZE * (_SIZE + 1) // 2),
    }  # fmt: skip
    if not groups or any(name not in content or content[name].shape != shape for name, shape in shapes.items()):
        raise DataError(f"{path} holds no statistics of poses: {', '.join(shapes)}")
    rotations, weights, means, lower = (torch.from_numpy(content[name]).double() for name in shapes)
    low = torch.tril_indices(_SIZE, _SIZE)
    covariances = torch.zeros(groups, _SIZE, _SIZE).double()
    covariances[:, low[0], low[1]] = lower
    covariances[:, low[1], low[0]] = lower
    return PoseStatistics(quaternion_normalise(rotations), weights / weights.sum(), means, covariances)


def no_statistics(spread: float = 0.4) -> PoseStatistics:
    """Where nothing is known: joints about the T by `spread` radians, each by itself."""
    rotations = torch.tensor([1.0, 0, 0, 0]).double().expand(_JOINTS, 4)
    covariance = spread**2 * torch.eye(_SIZE).double()
    return PoseStatistics(rotations, torch.ones(1).double(), torch.zeros(1, _SIZE).double(), covariance[None])
