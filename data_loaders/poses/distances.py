"""How far poses are apart: quaternions [..., 21, 4] (w, x, y, z) of SMPL's body joints 1 to 21, one number a pair.

geodesic: mean over the joints of 1 - |q . r| (Tiwari et al. 2022, section 4); a turn of one joint by the angle a costs
(1 - |cos(a / 2)|) / 21, whatever the signs. weighted: the same, joints near the trunk counting more, a sum. euclidean:
mean length of q - r, which a change of sign does change: the published pipeline keeps w >= 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor

JOINTS = 21
METRICS = ("geodesic", "weighted", "euclidean")
# The published weights: hips and first spine joint 7, down to 1 for the wrists; of length 1 as a vector.
_RANKS = (7, 7, 7, 6, 6, 6, 5, 5, 5, 4, 4, 4, 4, 4, 3, 3, 3, 2, 2, 1, 1)
WEIGHTS = tuple(rank / sum(each * each for each in _RANKS) ** 0.5 for rank in _RANKS)


def geodesic(one: Tensor, other: Tensor) -> Tensor:
    """Mean over the joints of 1 - |q . r| [...], from 0 to 1."""
    return (1 - (one * other).sum(-1).abs()).mean(-1)


def weighted(one: Tensor, other: Tensor) -> Tensor:
    """Sum over the joints of w (1 - |q . r|) [...] with the published weights."""
    weights = torch.tensor(WEIGHTS, dtype=one.dtype, device=one.device)
    return ((1 - (one * other).sum(-1).abs()) * weights).sum(-1)


def euclidean(one: Tensor, other: Tensor) -> Tensor:
    """Mean over the joints of |q - r| [...]."""
    return torch.linalg.vector_norm(one - other, dim=-1).mean(-1)


def distance_of(metric: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The function of one of `METRICS`."""
    return {"geodesic": geodesic, "weighted": weighted, "euclidean": euclidean}[metric]
