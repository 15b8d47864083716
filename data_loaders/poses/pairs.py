"""Training pairs of a pose prior: poses with noise, and how far each is from the nearest poses of the train part.

What row i of a file is depends on (seed, the file's name, i) and on the references alone: so neither the number of
processes nor the shard that it is made in changes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_loaders.poses.folder import Pairs
from data_loaders.poses.neighbours import Index, build_index, distances_of, nearest, nearest_of
from data_loaders.poses.noise import drawn, perturbed


@dataclass(frozen=True)
class PairRule:
    """How pairs are made: their number, the kind of noise and its levels, k nearest poses, and by which distance."""

    per_pose: float
    noise: str
    levels: tuple[float, ...]
    k: int
    metric: str
    seed: int


@dataclass(frozen=True)
class References:
    """Poses [M, 21, 4] of the train part, and what finds the nearest among them (None: all are compared)."""

    poses: Tensor
    index: Index | None


def references_of(poses: Tensor, metric: str) -> References:
    """The references, ready to be searched."""
    return References(poses, None if metric == "euclidean" else build_index(poses, metric))


def make_pairs(samples: Tensor, name: str, references: References, rule: PairRule) -> Pairs:
    """The pairs of a file of samples [M, 21, 4]: as many rows as `rule` has of them, at levels drawn alike.

    The poses come in turn, each as often as another.
    """
    rows = np.arange(round(rule.per_pose * len(samples)))
    levels = _levels(rows, rule.levels, rule.seed, name)
    poses = perturbed(samples[rows % len(samples)], levels, rule.noise, rows, rule.seed, "noise", *_key(rule, name))
    if references.index is None:
        distances, numbers = nearest_of(poses, references.poses, rule.k, rule.metric)
    else:
        numbers = nearest(poses, references.index, rule.k)
        distances = distances_of(poses, references.poses[numbers], rule.metric)
    return Pairs(poses, distances, references.poses[numbers], levels)


def _key(rule: PairRule, name: str) -> tuple[str, ...]:
    """What the noise is drawn by beside the seed: published, one draw a level for all."""
    return () if rule.noise == "published" else (name,)


def _levels(rows: np.ndarray, levels: Sequence[float], seed: int, name: str) -> Tensor:
    """The level of each row [N]."""
    chance = drawn(1, rows, seed, "level", name, normal=False)[:, 0]
    return torch.tensor(levels)[torch.from_numpy((chance * len(levels)).astype(int))]
