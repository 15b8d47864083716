"""Pose-NDF (Tiwari et al. 2022): how far a pose is from plausible ones, a number that is learned.

A pose is the rotations of SMPL's 21 joints without the root (joints 1 to 21) against their parents, as quaternions
(w, x, y, z) of length 1, [N, 21, 4]. A small network a joint reads its quaternion and what its parent's network said;
what all of them say goes through layers to one number of at least 0. q and -q, the same rotation, are the same pose:
the network reads the one with w >= 0.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from model.options import PoseNDFOptions
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import UsageError

JOINTS = SKELETONS["smpl22"].joints[1:]
FEATURE, HIDDEN = 6, 10  # numbers that a joint's network says, and those between its two layers
# The parent of each joint, -1 where that is the root. The published list was made for 22 joints with the root and is
# used for 21 without it, so that the left knee hears of the right hip; published weights were trained with it.
PARENTS: dict[str, tuple[int, ...]] = {
    "published": (-1, -1, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19),
    "right": tuple(max(parent - 1, -1) for parent in SKELETONS["smpl22"].parents[1:]),
}


def canonical(quaternions: Tensor) -> Tensor:
    """The same rotations [..., 4] with w >= 0; lengths stay."""
    return torch.where(quaternions[..., :1] < 0, -quaternions, quaternions)


class PoseNDF(nn.Module):
    """Quaternions [N, 21, 4] of length 1, of either sign -> distances [N] >= 0. Its weights have the published names.

    Raises UsageError for widths that are none.
    """

    def __init__(self, options: PoseNDFOptions):
        super().__init__()
        encoder = _activations(options.encoder_act or options.act, options.encoder_beta or options.beta)[0]
        self.enc = StructureEncoder(PARENTS[options.parents], encoder)
        self.dfnet = DistanceLayers(_widths(options.dims), *_activations(options.act, options.beta))

    def forward(self, quaternions: Tensor) -> Tensor:
        return self.dfnet(self.enc(canonical(quaternions)))


class BoneMLP(nn.Module):
    """The weights of one joint's network; `StructureEncoder` uses them, many joints at once."""

    def __init__(self, inputs: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.Identity(), nn.Linear(HIDDEN, FEATURE))

    def layers(self) -> tuple[nn.Linear, nn.Linear]:
        """Both layers."""
        first, _, second = self.net
        return cast(nn.Linear, first), cast(nn.Linear, second)


class StructureEncoder(nn.Module):
    """Quaternions [N, 21, 4] -> features [N, 126] of the joints in their order.

    Joints that are as far from the root as each other are computed together: 7 products of batches instead of 21
    networks one after the other.
    """

    def __init__(self, parents: Sequence[int], activation: nn.Module):
        super().__init__()
        self.net = nn.ModuleList(BoneMLP(4 if parent < 0 else 4 + FEATURE) for parent in parents)
        self.activation = activation
        self.levels = _levels(parents)
        order = [joint for level in self.levels for joint in level]
        place = {joint: row for row, joint in enumerate(order)}
        self.order, self.back = order, [place[joint] for joint in range(len(parents))]
        self.above = [[place[parents[joint]] for joint in level] for level in self.levels[1:]]

    def forward(self, quaternions: Tensor) -> Tensor:
        joints = quaternions.transpose(0, 1)[self.order]  # [21, N, 4], a level after the other
        weights = self._weights()
        features = self._level(joints[: len(self.levels[0])], weights[0])
        start = len(self.levels[0])
        for above, weight in zip(self.above, weights[1:], strict=True):
            shown = torch.cat((joints[start : start + len(above)], features[above]), -1)
            features = torch.cat((features, self._level(shown, weight)))
            start += len(above)
        return features[self.back].transpose(0, 1).flatten(1)

    def _weights(self) -> list[list[Tensor]]:
        """Of each level the weights and biases [J, ...] of both layers, ready to be multiplied from the right."""
        found = []
        for level in self.levels:
            first, second = zip(*(cast(BoneMLP, self.net[joint]).layers() for joint in level), strict=True)
            found.append(
                [
                    value
                    for layers in (first, second)
                    for value in (
                        torch.stack([layer.weight for layer in layers]).mT,
                        torch.stack([layer.bias for layer in layers])[:, None],
                    )
                ]
            )
        return found

    def _level(self, shown: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Features [J, N, 6] of the joints of a level from what they are shown [J, N, 4 or 10]."""
        first, first_bias, second, second_bias = weights
        hidden = self.activation(torch.baddbmm(first_bias, shown, first))
        return self.activation(torch.baddbmm(second_bias, hidden, second))


class DistanceLayers(nn.Module):
    """Features [N, 126] -> distances [N]."""

    def __init__(self, widths: Sequence[int], activation: nn.Module, last: nn.Module):
        super().__init__()
        sizes = [len(JOINTS) * FEATURE, *widths, 1]
        self.count = len(sizes) - 1
        for layer in range(self.count):
            self.add_module(f"lin{layer}", nn.Linear(sizes[layer], sizes[layer + 1]))
        self.activation, self.last = activation, last

    def forward(self, features: Tensor) -> Tensor:
        for layer in range(self.count):
            features = getattr(self, f"lin{layer}")(features)
            features = (self.activation if layer < self.count - 1 else self.last)(features)
        return features[:, 0]


def value_and_gradient(network: nn.Module, quaternions: Tensor) -> tuple[Tensor, Tensor]:
    """Distances [N] of poses [N, 21, 4] and their gradients [N, 21, 4], both without a graph."""
    with torch.enable_grad():
        poses = quaternions.detach().requires_grad_()
        distances = network(poses)
        (gradient,) = torch.autograd.grad(distances.sum(), poses)
    return distances.detach(), gradient


def _activations(name: str, beta: float) -> tuple[nn.Module, nn.Module]:
    """What is between the layers, and what makes the last number one of at least 0."""
    if name == "softplus":
        return nn.Softplus(beta), nn.Softplus(beta)
    return (nn.LeakyReLU(0.01) if name == "lrelu" else nn.ReLU()), nn.ReLU()


def _levels(parents: Sequence[int]) -> list[list[int]]:
    """The joints by how far they are from the root. A parent comes before its children."""
    depth: list[int] = []
    for parent in parents:
        depth.append(depth[parent] + 1 if parent >= 0 else 0)
    return [[joint for joint, deep in enumerate(depth) if deep == level] for level in range(max(depth) + 1)]


def _widths(dims: str) -> list[int]:
    """The widths that `--dims` names. Raises UsageError."""
    words = [word.strip() for word in dims.split(",")]
    if not all(word.isdigit() and 0 < int(word) <= 1 << 14 for word in words):
        raise UsageError(f"--dims {dims}: it takes widths with commas between them, as 256,512,64")
    return [int(word) for word in words]
