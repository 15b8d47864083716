"""A closed surface whose vertices hang on several joints, and a motion that turns round, for files with skins."""

from dataclasses import replace

import numpy as np
import torch

from tests.bodies import walking
from utils.geometry.body import Body, BodyMotion
from utils.geometry.rotations import about_axis

JOINTS = ("hips", "spine", "left_arm", "right_arm", "left_leg", "right_leg", "left_foot", "head")
PARENTS = (-1, 0, 1, 1, 0, 0, 4, 1)
REST = (
    (0.0, 0.9, 0.0), (0.0, 1.2, 0.02), (0.2, 1.4, 0.0), (-0.2, 1.4, 0.0), (0.1, 0.8, 0.0), (-0.1, 0.8, 0.0),
    (0.1, 0.1, 0.05), (0.0, 1.5, 0.0),
)  # fmt: skip


def ball(rows: int = 12, columns: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces, counter-clockwise seen from outside, of a sphere of radius 1."""
    down, around = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) * 2 * np.pi / columns, indexing="ij")
    grid = np.stack([np.sin(down) * np.sin(around), np.cos(down), np.sin(down) * np.cos(around)], -1)
    keep = [0, *range(columns, (rows - 1) * columns + 1)]  # one vertex at either pole
    number = np.arange(rows * columns).reshape(rows, columns) - columns + 1
    number[0], number[-1] = 0, (rows - 2) * columns + 1
    upper, lower, turned = number[:-1], number[1:], np.roll(number, -1, 1)
    quads = np.stack([upper, lower, turned[1:], turned[:-1]], -1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    faces = faces[[len(set(face)) == 3 for face in faces.tolist()]]
    return grid.reshape(-1, 3)[keep].astype(np.float32), faces


def body(influences: int = 4, seed: int = 0) -> Body:
    """An egg around eight joints whose vertices hang on so many of them, nearest first."""
    vertices, faces = ball()
    vertices = vertices * np.array([0.35, 0.8, 0.2], np.float32) + np.array([0, 0.8, 0], np.float32)
    rest = np.array(REST, np.float32)
    apart = np.linalg.norm(vertices[:, None] - rest, axis=-1) + 0.05
    near = np.argsort(apart, 1)[:, :influences]
    weights = np.zeros(apart.shape, np.float32)
    shares = np.random.default_rng(seed).uniform(0.1, 1, near.shape) / np.take_along_axis(apart, near, 1)
    np.put_along_axis(weights, near, (shares / shares.sum(1, keepdims=True)).astype(np.float32), 1)
    return Body("egg", JOINTS, PARENTS, rest, vertices, faces, weights)


def dance(model: Body, frames: int = 40, fps: float = 20.0, seed: int = 1, name: str = "dance") -> BodyMotion:
    """Every joint swings while the root walks and turns round more than once; two joints stand now and then."""
    clip = walking(frames, fps, model, seed)
    rotations, contacts = clip.rotations.copy(), np.zeros((frames, len(model.joints)), bool)
    rotations[:, 0] = about_axis("Y", torch.arange(frames) * 4 / fps).numpy()
    contacts[2:5, -3:-2] = contacts[: frames // 2, -2:-1] = contacts[-1:, -2:-1] = True
    text = "someone dances — “round”"
    return replace(clip, rotations=rotations, contacts=contacts, name=name, text=text)
