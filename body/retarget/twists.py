"""Twist bones: joints along a limb that share its twist, so that skin does not wring at one place.

Of an upper arm or a thigh it is the twist against the trunk, none at its beginning and all of it at its end; of a
forearm or a shin that of hand or foot. A joint that hangs aside takes what belongs to its place along the bone, and
the bones of a chain from the limb's one joint to the next what belongs to their middles.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from body.retarget.figure import Figure
from body.retarget.names import LIMBS, SIDES
from body.retarget.rig import between
from utils.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix


def share_twists(figure: Figure, world: np.ndarray) -> None:
    """Turn the twist bones of a rig in `world` [T, K, 3, 3], the rotations of its joints against the T, in place."""
    for side in SIDES:
        for upper, middle, end in LIMBS:
            top, bend, tip = (figure.roles.joints[f"{side}_{name}"] for name in (upper, middle, end))
            above = world[:, max(figure.rig.parents[top], 0)].copy()
            first, second = world[:, top].copy(), world[:, bend].copy()
            for joint, share in _sharing(figure, top, bend, f"{side}_{upper}"):
                local = above.swapaxes(1, 2) @ first
                axis = figure.rest[bend] - figure.rest[top]
                world[:, joint] = above @ local @ _twist(local, axis, share - 1)
            for joint, share in _sharing(figure, bend, tip, f"{side}_{middle}"):
                local = second.swapaxes(1, 2) @ world[:, tip]
                world[:, joint] = second @ _twist(local, figure.rest[tip] - figure.rest[bend], share)


def _sharing(figure: Figure, start: int, end: int, role: str) -> Iterator[tuple[int, float]]:
    """The joints that share the twist of the bone between two joints, each with the part of it that is behind it."""
    chain = [start, *between(figure.rig.parents, start, end)[:-1]]
    if len(chain) > 1:
        yield from ((joint, (number + 0.5) / len(chain)) for number, joint in enumerate(chain))
    bone = figure.rest[end] - figure.rest[start]
    for joint, limb in figure.roles.twists.items():
        if limb == role:
            along = (figure.rest[joint] - figure.rest[start]) @ bone / (bone @ bone)
            yield joint, float(np.clip(along, 0, 1))


def _twist(local: np.ndarray, axis: np.ndarray, share: float) -> np.ndarray:
    """The part `share` of the turn about `axis` [3] that rotations [T, 3, 3] begin with (swing after twist)."""
    axis = axis / np.linalg.norm(axis)
    quaternion = matrix_to_quaternion(torch.from_numpy(local))
    half = torch.atan2(quaternion[:, 1:] @ torch.from_numpy(axis), quaternion[:, 0])
    half = torch.from_numpy(np.unwrap(half.numpy(), period=np.pi)) * share
    return quaternion_to_matrix(_about(axis, half)).numpy()


def _about(axis: np.ndarray, half: Tensor) -> Tensor:
    return torch.cat([half.cos()[:, None], half.sin()[:, None] * torch.from_numpy(axis)], -1)
