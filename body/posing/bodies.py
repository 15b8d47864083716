"""Poses on a body, to be written, drawn and looked at."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from body.from_joints import lowest
from body.models import load_body
from utils.geometry.body import Body, BodyMotion
from utils.geometry.rotations import quaternion_to_matrix


def standing_bodies(poses: Tensor, name: str, fps: float, body: str = "") -> BodyMotion:
    """Poses [T, 21, 4], a frame each, of the body that `body` names; see `standing`."""
    return standing(load_body(body).shaped(), poses, name, fps)


def standing(shaped: Body, poses: Tensor, name: str, fps: float) -> BodyMotion:
    """Poses [T, 21, 4], a frame each, of a body that faces +z and has its lowest point on the floor, over one place."""
    rotations = np.tile(np.eye(3, dtype=np.float32), (len(poses), len(shaped.joints), 1, 1))
    root = np.zeros((len(poses), 3), np.float32)
    motion = posed(BodyMotion(shaped, rotations, root, fps, name), poses)
    root[:, 1] = -lowest(motion)
    return replace(motion, root=root)


def posed(motion: BodyMotion, poses: Tensor) -> BodyMotion:
    """A clip of a body with other poses [T, 21, 4]; its root, its hands and its contacts stay."""
    rotations = motion.rotations.copy()
    rotations[:, 1:22] = quaternion_to_matrix(poses.double()).float().numpy()
    return replace(motion, rotations=rotations)


def joint_degrees(one: Tensor, other: Tensor) -> Tensor:
    """The angle [T] in degrees by which joints differ between poses [T, 21, 4], on average over the joints."""
    chord = torch.minimum((one - other).norm(dim=-1), (one + other).norm(dim=-1))
    return torch.rad2deg(4 * torch.asin((chord / 2).clamp(max=1))).mean(-1)
