"""A small skinned person for the tests of bodies and of the files that hold them: y up, facing +z, in metres."""

import numpy as np
import torch

from utils.geometry.body import Body, BodyMotion
from utils.geometry.rest import rest_joints
from utils.geometry.rotations import axis_angle_to_matrix
from utils.geometry.skeleton import SKELETONS

SMPL24 = SKELETONS["smpl24"]
PELVIS = np.array([0.01, -0.22, 0.03], np.float32)


def small_body(name: str = "free", joints: tuple[str, ...] = SMPL24.joints) -> Body:
    """A tetrahedron on each joint, in a T; the pelvis is not at the origin, as in SMPL. `joints` are in any order."""
    known = [SMPL24.joints.index(joint) for joint in joints]
    parents = [SMPL24.parents[joint] for joint in known]
    parents = tuple(-1 if parent < 0 else known.index(parent) for parent in parents)
    rest = (rest_joints().numpy()[known] + PELVIS).astype(np.float32)
    corners = np.array([[-1, -1, -1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]], np.float32) * 0.03
    vertices = (rest[:, None] + corners).reshape(-1, 3)
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], np.int32)
    faces = (np.arange(len(joints))[:, None, None] * 4 + faces).reshape(-1, 3)
    weights = 0.7 * np.repeat(np.eye(len(joints), dtype=np.float32), 4, 0)
    for joint, parent in enumerate(parents):
        weights[4 * joint : 4 * joint + 4, max(parent, 0)] += 0.3
    return Body(name, joints, parents, rest, vertices, faces, weights)


def walking(frames: int = 12, fps: float = 20.0, body: Body | None = None, seed: int = 0, **told) -> BodyMotion:
    """A body that goes along +z at 1 m/s, 0.95 m high, while all its joints swing on their own."""
    body, rng = body or small_body(), np.random.RandomState(seed)
    seconds = np.arange(frames) / fps
    swing, phase = rng.uniform(-0.6, 0.6, (len(body.joints), 3)), rng.uniform(0, 6, (len(body.joints), 3))
    angles = swing * np.sin(3 * seconds[:, None, None] + phase)
    rotations = axis_angle_to_matrix(torch.from_numpy(angles)).float().numpy()
    root = np.stack([0 * seconds, 0 * seconds + 0.95, seconds], -1).astype(np.float32)
    return BodyMotion(body, rotations, root, fps, "walk", "a person walks", **told)


def angle_between(one: np.ndarray, other: np.ndarray) -> float:
    """The largest angle, in degrees, between rotation matrices [..., 3, 3]."""
    apart = np.linalg.norm(one.astype(np.float64) - other, axis=(-1, -2)) / np.sqrt(8)
    return float(np.degrees(2 * np.arcsin(np.clip(apart, 0, 1))).max())


def chain(joints: int, frames: int = 4) -> BodyMotion:
    """A rope of 10 cm links that turns at every joint."""
    rest = np.zeros((joints, 3), np.float32)
    rest[:, 1] = -0.1 * np.arange(joints)
    nothing = np.zeros((0, 3), np.float32)
    names, parents = tuple(f"j{k}" for k in range(joints)), tuple(range(-1, joints - 1))
    body = Body("rope", names, parents, rest, nothing, nothing.astype(int), np.zeros((0, joints)))
    angles = torch.from_numpy(np.random.RandomState(0).normal(0, 0.02, (frames, joints, 3)))
    return BodyMotion(body, axis_angle_to_matrix(angles).float().numpy(), np.zeros((frames, 3), np.float32), 20.0)
