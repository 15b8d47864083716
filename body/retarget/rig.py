"""A rig: the joints of somebody's character as its file has them, in an upright pose, and the axes it stands in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

_SNAP = np.cos(np.radians(10))  # a person who faces an axis within this faces it exactly


@dataclass(frozen=True)
class Rig:
    """Joints of a character in the pose that it is bound in, or that its file rests in; units and axes of the file.

    `places` [K, 3] and `axes` [K, 3, 3] are where its joints stand and how they are turned in the world, `scales` [K]
    the scale of the world that a joint stands in (a child is moved by `axes` times `scales` times its translation).
    `bones` tells which joints may be turned, `movable` which may be moved; others are nodes above the skeleton.
    `said` are roles that the file itself names (VRM), by joint. A mesh: vertices [V, 3] in the same pose, faces [F, 3]
    and weights [V, K]; empty where there is none.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    places: np.ndarray
    axes: np.ndarray
    scales: np.ndarray
    bones: np.ndarray
    movable: np.ndarray
    vertices: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    faces: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    weights: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    said: dict[str, int] = field(default_factory=dict)


def above(parents: Sequence[int], joint: int) -> list[int]:
    """A joint and all above it, upwards."""
    chain = []
    while joint >= 0:
        chain.append(joint)
        joint = parents[joint]
    return chain


def between(parents: Sequence[int], top: int, joint: int) -> list[int]:
    """The joints on the way down from `top` (not among them) to `joint` (the last); none where it is not below."""
    chain = above(parents, joint)
    return chain[: chain.index(top)][::-1] if top in chain else []


def meeting(parents: Sequence[int], joints: Iterable[int]) -> int:
    """The lowest joint that all joints hang on, -1 where they hang on nothing in common."""
    chains = [above(parents, joint) for joint in joints]
    return next((joint for joint in chains[0] if all(joint in chain for chain in chains)), -1)


def children_of(parents: Sequence[int]) -> list[list[int]]:
    """The children of each joint."""
    children: list[list[int]] = [[] for _ in parents]
    for joint, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(joint)
    return children


def standing_axes(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Left, up and forward (columns) of a person: up is an axis of the file, and so is left where it nearly is one.

    `across` [3] leads from the right side to the left, `up` [3] from the feet to the head.
    """
    upright = np.zeros(3)
    upright[np.abs(up).argmax()] = np.sign(up[np.abs(up).argmax()])
    left = across - across @ upright * upright
    left = left / np.linalg.norm(left)
    if np.abs(left).max() > _SNAP:
        left = np.where(np.abs(left) == np.abs(left).max(), np.sign(left), 0.0)
    return np.stack([left, upright, np.cross(left, upright)], -1)
