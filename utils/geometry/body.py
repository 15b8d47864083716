"""A body: a skinned mesh on a tree of joints; and its motion. What fits, writers, renderers and pages hand to each other.

Metres, y up, right-handed. In the rest pose all rotations are the identity, people stand in a T facing +z, their left
side on +x, and the axes of all joints are those of the world. Skinning is linear (LBS):
v = sum_k w_k (G_k (v_rest - rest_k) + p_k), with world rotations G and joint positions p.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.geometry.kinematics import forward


@dataclass(frozen=True)
class Body:
    """Vertices [V, 3], faces [F, 3] (counter-clockwise seen from outside), weights [V, K] (rows sum to 1) in rest.

    `rest` [K, 3] is where the joints stand in rest, in the frame of the vertices: the root need not be at the origin.
    `pose_directions` [V, 3, 9 (K - 1)], where a model has them, move the vertices of rest by the pose:
    the entries of R_1 - I, ..., R_(K-1) - I, row by row (Loper et al. 2015, SMPL, section 3.2).
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    rest: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    pose_directions: np.ndarray | None = None

    @property
    def offsets(self) -> np.ndarray:
        """The way [K, 3] from each joint's parent to the joint in rest; 0 for the root."""
        start = [joint if parent < 0 else parent for joint, parent in enumerate(self.parents)]
        return self.rest - self.rest[start]


@dataclass(frozen=True)
class BodyMotion:
    """A clip of a body: local rotations [T, K, 3, 3] and the position of the root joint in the world [T, 3].

    `contacts` bool [T, K] says which joints stand on the floor, y = 0, where that is known. In `meta`, where there are:
    `betas` (the shape that the body was given), `targets` [T, J, 3] (the joints that it was fitted to), `report` (how
    well, by name), `mesh` False for a body that is there only to be seen as a skeleton.
    """

    body: Body
    rotations: np.ndarray
    root: np.ndarray
    fps: float
    name: str = ""
    text: str = ""
    contacts: np.ndarray | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def translation(self) -> np.ndarray:
        """The `transl` [T, 3] of SMPL: the way of the root from where it stands in rest."""
        return self.root - self.body.rest[0]


def joints_of(motion: BodyMotion) -> tuple[np.ndarray, np.ndarray]:
    """Positions [T, K, 3] and world rotations [T, K, 3, 3] of the joints."""
    body = motion.body
    rotations, offsets, root = (
        torch.as_tensor(np.asarray(values, np.float64)) for values in (motion.rotations, body.offsets, motion.root)
    )
    positions, turned = forward(rotations, offsets, body.parents, root)
    return positions.float().numpy(), turned.float().numpy()


def vertices_of(motion: BodyMotion, block: int = 32) -> np.ndarray:
    """Vertices [T, V, 3] of all frames, a few frames at a time."""
    parts = [
        skinned(
            motion.body,
            torch.as_tensor(motion.rotations[first : first + block]),
            torch.as_tensor(motion.root[first : first + block]),
        )
        for first in range(0, len(motion.root), block)
    ]
    return torch.cat(parts).numpy()


def skinned(body: Body, rotations: Tensor, root: Tensor) -> Tensor:
    """Vertices [..., V, 3] of local rotations [..., K, 3, 3] and root positions [..., 3]; in their dtype."""
    vertices, weights, rest, offsets = (
        torch.as_tensor(values).to(rotations) for values in (body.vertices, body.weights, body.rest, body.offsets)
    )
    positions, turned = forward(rotations, offsets, body.parents, root)
    if body.pose_directions is not None:
        feature = (rotations[..., 1:, :, :] - torch.eye(3).to(rotations)).flatten(-3)
        directions = torch.as_tensor(body.pose_directions).to(rotations)
        vertices = vertices + (feature @ directions.flatten(0, 1).mT).unflatten(-1, vertices.shape)
    moved = torch.cat([turned, (positions - (turned @ rest[..., None]).squeeze(-1))[..., None]], -1)  # [..., K, 3, 4]
    blended = (weights @ moved.flatten(-2)).unflatten(-1, (3, 4))  # [..., V, 3, 4]
    return (blended[..., :3] @ vertices[..., None]).squeeze(-1) + blended[..., 3]
