"""What the training loop needs of a pose prior: poses with their distances, and the three terms of Pose-NDF.

Tiwari et al. 2022, section 4: the distance d of a pose (l1 or l2), nothing on the manifold, and the eikonal term, which
holds the slope of d to that of a distance. The published form of that asks each joint's quaternion in R^4 for a
gradient of length 1, which contradicts the distances: d = 1/21 sum_j (1 - |q_j . r_j|) has the gradient
-(r_j -+ (q_j . r_j) q_j) / 21 along the spheres, of length sin(a_j) / 21 for an angle a_j. The right forms know it from
the nearest pose: `slope` holds the length over all joints to it, `direction` the whole gradient. Both are multiplied by
21, so that they are means over the joints of squares of sines.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from data_loaders.common.order import batch_indices
from data_loaders.poses.dataset import PosePairs, rows
from data_loaders.poses.folder import Pairs
from data_loaders.poses.noise import turned
from model.poses.pose_ndf import PoseNDF
from model.poses.reading import DEAD, is_dead
from train.options import PoseLossOptions
from train.tasks.diffusion import Batch
from utils.run.errors import NumericError
from utils.run.randomness import numpy_rng

ANGLES = (0.1, 0.25, 0.5)  # radians by which real poses are turned, for telling them apart
_MOST = 20_000  # held-out rows that are measured at a milestone
_AT_ONCE = 4096


@dataclass(frozen=True)
class PoseTask:
    """Learn how far poses are from the manifold; `options` are the weights and the forms of the terms."""

    dataset: PosePairs
    batch_size: int
    seed: int
    options: PoseLossOptions

    def batch(self, step: int) -> dict[str, Tensor]:
        """Poses [B, 21, 4], distances [B], the nearest [B, k, 21, 4], and as many poses of the manifold."""
        chosen, _ = batch_indices(self.seed, step, len(self.dataset), self.batch_size)
        pairs = rows(self.dataset.pairs, chosen)
        k = self.options.neighbours or pairs.distances.shape[1]
        drawn = numpy_rng(self.seed, "manifold", step).randint(len(self.dataset.manifold), size=self.batch_size)
        return {
            "pose": pairs.poses, "distance": pairs.distances[:, :k].mean(1), "nearest": pairs.nearest[:, :k],
            "manifold": self.dataset.manifold[torch.from_numpy(drawn)],
        }  # fmt: skip

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The sum and its terms, those of weight 0 left out. Raises NumericError for a network that is dead."""
        found = terms(model, batch, self.options)
        weights = {"dist": self.options.dist, "man": self.options.man_loss, "eikonal": self.options.eikonal}
        return {"loss": torch.stack([weights[name] * value for name, value in found.items()]).sum(), **found}


def terms(model: nn.Module, batch: Batch, options: PoseLossOptions) -> dict[str, Tensor]:
    """`dist`, `man` and `eikonal`, those whose weight is not 0. Raises NumericError for a network that is dead."""
    slope = options.eikonal > 0
    poses = batch["pose"].detach().requires_grad_(slope)
    distances = model(poses).float()
    if not bool((distances > DEAD).any()) and is_dead(cast(PoseNDF, model)):
        raise NumericError(
            "the network says about 0 for every pose, so it has no gradient to learn by, as is often the case "
            "with --act lrelu and relu from the beginning, and later with a high --man_loss; take --act softplus, a "
            "lower --man_loss or --lr, or another --seed"
        )
    found = {}
    if options.dist:
        apart = distances - batch["distance"]
        found["dist"] = apart.abs().mean() if options.loss_type == "l1" else apart.square().mean()
    if options.man_loss:
        found["man"] = model(batch["manifold"]).float().abs().mean()
    if slope:
        (gradient,) = torch.autograd.grad(distances.sum(), poses, create_graph=True)
        found["eikonal"] = eikonal(gradient, poses, batch["nearest"], options.eikonal_form)
    return found


def eikonal(gradient: Tensor, poses: Tensor, nearest: Tensor, form: str) -> Tensor:
    """How far gradients [B, 21, 4] of d at unit quaternions are from those of a distance: see the head of this file.

    `nearest` [B, k, 21, 4] are the poses to which the distance is, the mean of them where there are several.
    """
    if form == "published":
        return (gradient.norm(dim=-1) - 1).square().mean()
    along = gradient - (gradient * poses).sum(-1, keepdim=True) * poses
    wanted = slope_of(poses.detach(), nearest)
    joints = poses.shape[1]
    if form == "direction":
        return joints * (along - wanted).square().sum((1, 2)).mean()
    length = (along.square().sum((1, 2)) + 1e-12).sqrt()
    return joints * (length - wanted.flatten(1).norm(dim=1)).square().mean()


def slope_of(poses: Tensor, nearest: Tensor) -> Tensor:
    """The gradient [B, 21, 4] along the spheres of the mean distance from poses [B, k, 21, 4]."""
    cosine = (poses[:, None] * nearest).sum(-1, keepdim=True)
    toward = cosine.sign() * (nearest - cosine * poses[:, None])
    return -toward.mean(1) / poses.shape[1]


@torch.no_grad()
def distances_of(model: nn.Module, poses: Tensor) -> Tensor:
    """What a network says of poses [N, 21, 4]: [N]."""
    device = next(model.parameters()).device
    return torch.cat([model(part.to(device)).float().cpu() for part in poses.split(_AT_ONCE)])


def measure(model: nn.Module, held_out: PosePairs, k: int, seed: int) -> tuple[dict[str, float], list[str]]:
    """How right a network is on held-out pairs, and a table of that by level of noise.

    The correlation of predicted and true distance over all pairs, `clean`: what it says of real poses, `auc_<angle>`:
    the chance that a real pose is said to be nearer than another one some of whose joints are turned by so many
    radians, and `pair_<angle>` than its own turned self.
    """
    pairs = rows(held_out.pairs, chosen_of(len(held_out), seed, "pairs"))
    true, said = pairs.distances[:, : k or None].mean(1), distances_of(model, pairs.poses)
    real = held_out.manifold[chosen_of(len(held_out.manifold), seed, "real")]
    of_real = distances_of(model, real)
    found = {"correlation": correlation(said, true), "error": float((said - true).abs().mean())}
    found["clean"] = float(of_real.mean())
    for angle in ANGLES:
        moved = turned(real, angle, numpy_rng(seed, "rows").permutation(len(real)), seed, "turned", f"{angle:g}")
        of_moved = distances_of(model, moved)
        found[f"auc_{angle:g}"] = auc(of_real, of_moved)
        found[f"pair_{angle:g}"] = float((of_moved > of_real).double().mean())
    return found, by_level(pairs, true, said)


def chosen_of(count: int, seed: int, what: str) -> Tensor:
    """The rows that are measured: all, or a draw of the most."""
    if count <= _MOST:
        return torch.arange(count)
    return torch.from_numpy(numpy_rng(seed, "held out", what).permutation(count)[:_MOST])


def by_level(pairs: Pairs, true: Tensor, said: Tensor) -> list[str]:
    """A line for each level of noise: rows, true and predicted distance, error, correlation."""
    lines = ["  level   rows     true  predicted    error  correlation"]
    for level in sorted(set(pairs.levels[~pairs.levels.isnan()].tolist())):
        own = pairs.levels == level
        of, there = said[own], true[own]
        lines.append(
            f"{level:7.3g} {len(of):6d} {there.mean():8.4f}   {of.mean():8.4f} {(of - there).abs().mean():8.4f}"
            f"  {correlation(of, there):11.3f}"
        )
    return lines


def correlation(one: Tensor, other: Tensor) -> float:
    """Pearson's of two sets of numbers [N]; 0 where one of them does not vary."""
    one, other = one.double() - one.double().mean(), other.double() - other.double().mean()
    size = one.norm() * other.norm()
    return float((one @ other) / size) if size > 0 else 0.0


def auc(low: Tensor, high: Tensor) -> float:
    """The chance that one of `low` [N] is less than one of `high` [M], equal ones counting half (Mann-Whitney)."""
    values = torch.cat([low, high]).double()
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[place]
    total = ranks[len(low) :].sum() - len(high) * (len(high) + 1) / 2
    return float(total / (len(low) * len(high)))
