"""A body: a skinned mesh on a tree of joints, and its motion: what fits, writers, renderers and pages hand on.

Metres, y up, right-handed. In the rest pose all rotations are the identity, people stand in a T facing +z, their left
side on +x, and the axes of all joints are those of the world. Skinning is linear (LBS):
v = sum_k w_k (G_k (v_rest - rest_k) + p_k), with world rotations G and joint positions p.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.geometry.kinematics import forward
from utils.geometry.rotations import between_vectors
from utils.geometry.spans import spans
from utils.run.errors import DataError

_CHAINS = (("hip", "knee", "ankle", "foot"), ("shoulder", "elbow", "wrist", "hand"))
_MEASURED = ("neck", "head", *(f"{side}_{name}" for side in ("left", "right") for chain in _CHAINS for name in chain))
_Places = dict[str, tuple[np.ndarray, np.ndarray]]  # of each joint: where it stood, and where it will stand
_FLOOR = np.array([1.0, 0.0, 1.0])
_ANKLE_HEIGHT = (0.7, 1.5)  # bounds of how much higher an ankle becomes, beside the rest of the body


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
    well, by name), `mesh` False for a body that is there only to be seen as a skeleton. `root_bone`: files that hold
    bones get one on the floor that carries path and heading (`utils.geometry.root_bone`).
    """

    body: Body
    rotations: np.ndarray
    root: np.ndarray
    fps: float
    name: str = ""
    text: str = ""
    contacts: np.ndarray | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    root_bone: bool = False

    @property
    def translation(self) -> np.ndarray:
        """The `transl` [T, 3] of SMPL: the way of the root from where it stands in rest."""
        return self.root - self.body.rest[0]


def joints_of(motion: BodyMotion) -> tuple[np.ndarray, np.ndarray]:
    """Positions [T, K, 3] and world rotations [T, K, 3, 3] of the joints."""
    body, offsets = motion.body, torch.as_tensor(motion.body.offsets.astype(np.float64))
    positions = np.empty((*motion.rotations.shape[:2], 3), np.float32)
    world = np.empty(motion.rotations.shape, np.float32)
    for span in spans(len(motion.root)):
        rotations, root = (
            torch.as_tensor(np.asarray(values[span], np.float64)) for values in (motion.rotations, motion.root)
        )
        found, turned = forward(rotations, offsets, body.parents, root)
        positions[span], world[span] = found.float().numpy(), turned.float().numpy()
    return positions, world


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
    positions, world = forward(rotations, offsets, body.parents, root)
    if body.pose_directions is not None:
        feature = (rotations[..., 1:, :, :] - torch.eye(3).to(rotations)).flatten(-3)
        directions = torch.as_tensor(body.pose_directions).to(rotations)
        vertices = vertices + (feature @ directions.flatten(0, 1).mT).unflatten(-1, vertices.shape)
    moved = torch.cat([world, (positions - (world @ rest[..., None]).squeeze(-1))[..., None]], -1)  # [..., K, 3, 4]
    blended = (weights @ moved.flatten(-2)).unflatten(-1, (3, 4))  # [..., V, 3, 4]
    return (blended[..., :3] @ vertices[..., None]).squeeze(-1) + blended[..., 3]


def resized(body: Body, rest: np.ndarray) -> Body:
    """The body whose joints stand at `rest` [K, 3] in rest, its flesh moved along: what `smpl24` joints it needs.

    Limbs are turned and stretched along their bones, blended by the skinning weights; feet are stretched along the
    floor and upwards, so that soles stay level. The trunk is stretched from the hips to the neck and widened as hips
    and shoulders are; the pivots of spine and collars are centres of rotation only and drag no flesh. What no bone
    measures (girth, head) is scaled as most bones are. Raises DataError for another set of joints, NaN, or a
    limb without length.
    """
    rest = np.asarray(rest, np.float64)
    if missing := sorted(set(_MEASURED) - set(body.joints)):
        raise DataError(f"the body {body.name} has no {missing[0]}: only bodies with SMPL's joints can be resized")
    if rest.shape != body.rest.shape or not np.isfinite(rest).all():
        raise DataError(f"a body of {len(body.rest)} joints needs as many finite places, not {rest.shape} or NaN")
    old = body.rest.astype(np.float64)
    place = {name: (old[joint], rest[joint]) for joint, name in enumerate(body.joints)}
    size = _size(place)
    trunk = _trunk_map(place, size)
    maps = _limb_maps(place, size)
    vertices = body.vertices.astype(np.float64)
    moved = np.zeros_like(vertices)
    in_trunk = trunk(vertices)
    for joint, name in enumerate(body.joints):
        weight = body.weights[:, joint, None]
        if name in maps:
            moved += weight * (rest[joint] + (vertices - old[joint]) @ maps[name].T)
        elif name.endswith("_collar"):  # as the trunk, but ending where the shoulder is
            start, end = place[name.replace("collar", "shoulder")]
            moved += weight * (in_trunk + end - trunk(start[None]))
        else:
            moved += weight * in_trunk
    return replace(body, rest=rest.astype(np.float32), vertices=moved.astype(np.float32))


def _size(place: _Places) -> float:
    """How much larger a body becomes: the median over the lengths of its limbs, its trunk and its widths."""
    pairs = [
        ("left_hip", "right_hip"),
        ("left_shoulder", "right_shoulder"),
        ("left_hip", "neck"),
        ("right_hip", "neck"),
    ]
    for side in ("left", "right"):
        pairs += [(f"{side}_{chain[i]}", f"{side}_{chain[i + 1]}") for chain in _CHAINS for i in (0, 1)]
    lengths = [[np.linalg.norm(place[a][which] - place[b][which]) for a, b in pairs] for which in (0, 1)]
    if min(map(min, lengths)) <= 0:
        raise DataError("a body that has a bone without length cannot be resized")
    return float(np.median(np.divide(lengths[1], lengths[0])))


def _trunk_map(place: _Places, size: float) -> Callable[[np.ndarray], np.ndarray]:
    """What moves points [N, 3] of the trunk: stretched from hips to neck, widened as hips and shoulders are."""

    def ends(which: int) -> tuple[np.ndarray, np.ndarray, list[float]]:
        hips, shoulders = (
            [place[f"{side}_{name}"][which] for side in ("left", "right")] for name in ("hip", "shoulder")
        )
        middle = (hips[0] + hips[1]) / 2
        return middle, place["neck"][which] - middle, [float(np.linalg.norm(a - b)) for a, b in (hips, shoulders)]

    (low, way, wide), (new_low, new_way, new_wide) = ends(0), ends(1)
    widening = [new / old for new, old in zip(new_wide, wide, strict=True)]
    shoulders = (place["left_shoulder"][0] + place["right_shoulder"][0]) / 2
    height = (shoulders - low) @ way / (way @ way)
    turn = _between(way, new_way)

    def move(points: np.ndarray) -> np.ndarray:
        along = (points - low) @ way / (way @ way)
        aside = (points - low - along[:, None] * way) * size
        aside[:, 0] *= np.interp(along / height, (0, 1), widening) / size
        return new_low + along[:, None] * new_way + aside @ turn.T

    return move


def _limb_maps(place: _Places, size: float) -> dict[str, np.ndarray]:
    """The linear map [3, 3] of the flesh about each joint of arms, legs, neck and head."""
    maps = {"head": size * np.eye(3), "neck": _stretch(place, "neck", "head", size)}
    for side in ("left", "right"):
        for chain in _CHAINS:
            for name, child in zip(chain[:-1], chain[1:], strict=True):
                fit = _stretch_level if name == "ankle" else _stretch
                maps[f"{side}_{name}"] = fit(place, f"{side}_{name}", f"{side}_{child}", size)
            maps[f"{side}_{chain[-1]}"] = maps[f"{side}_{chain[-2]}"]
    return maps


def _stretch(place: _Places, joint: str, child: str, size: float) -> np.ndarray:
    """Turns a bone's old direction to its new one, stretches along it, and scales across it."""
    bone, new = (place[child][which] - place[joint][which] for which in (0, 1))
    length = float(np.linalg.norm(bone))
    if length <= 0 or not new.any():
        raise DataError(f"the bone from {joint} to {child} has no length")
    along = np.outer(bone, bone) / length**2
    return _between(bone, new) @ (size * np.eye(3) + (float(np.linalg.norm(new)) / length - size) * along)


def _stretch_level(place: _Places, joint: str, child: str, size: float) -> np.ndarray:
    """The same along the floor; upwards within bounds, as it is short."""
    bone, new = (place[child][which] - place[joint][which] for which in (0, 1))
    flat = {name: (places[0] * _FLOOR, places[1] * _FLOOR) for name, places in place.items()}
    level = _stretch(flat, joint, child, size)
    level[1, 1] = size * np.clip(new[1] / bone[1] / size if bone[1] else 1, *_ANKLE_HEIGHT)
    return level


def _between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    return between_vectors(torch.from_numpy(start), torch.from_numpy(end)).numpy()


def on_floor(body: Body) -> Body:
    """The body moved so that its lowest vertex stands at y = 0 in rest; one without a mesh as it is.

    A motion of it stays what it is: positions of the root are those in the world.
    """
    if not len(body.vertices):
        return body
    lift = np.array((0, -body.vertices[:, 1].min(), 0), body.vertices.dtype)
    return replace(body, rest=body.rest + lift, vertices=body.vertices + lift)


def outline(body: Body) -> Body:
    """The body without all but the outermost vertices around each joint: enough to see how far it reaches."""
    corners = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), -1).reshape(-1, 3)
    owners, kept = body.weights.argmax(1), set()
    for joint in range(len(body.joints)):
        mine = np.flatnonzero(owners == joint)
        if len(mine):
            kept.update(mine[(body.vertices[mine] @ corners.T).argmax(0)].tolist())
    some = sorted(kept)
    poses = None if body.pose_directions is None else body.pose_directions[some]
    return replace(
        body, vertices=body.vertices[some], faces=body.faces[:0], weights=body.weights[some], pose_directions=poses
    )
