"""A bone on the floor below the root, as game engines want it: it carries the path and the heading, the hips the rest.

The heading is the turn about y in the root's rotation (swing and twist; Dobrowolski 2015, "Swing-twist decomposition in
Clifford algebra"), without jumps; where the root is upside down it has none and goes on between the frames that have.
"""

from dataclasses import dataclass

import numpy as np
import torch

from utils.geometry.body import BodyMotion
from utils.geometry.rotations import about_axis, matrix_to_quaternion

NAME = "Root"
_UPRIGHT = 0.2  # length of the part of a unit quaternion that tells the heading, below which it tells none


@dataclass(frozen=True)
class RootBone:
    """Path [T, 3] on y = 0 and heading [T, 3, 3] of the bone; place [T, 3] and rotation [T, 3, 3] of the hips in it."""

    path: np.ndarray
    heading: np.ndarray
    hips: np.ndarray
    turned: np.ndarray


def split_root(motion: BodyMotion) -> RootBone:
    """What the root bone of a motion carries, and what is left to its hips."""
    top = motion.body.parents.index(-1)
    rotations = torch.as_tensor(np.asarray(motion.rotations[:, top], np.float64))
    w, _, y, _ = matrix_to_quaternion(rotations).numpy().T
    frames, told = np.arange(len(w)), np.hypot(w, y) > _UPRIGHT
    angle = np.zeros(len(w))
    if told.any():  # w and y mean the same as -w and -y: half angles are continued modulo half a turn
        angle = 2 * np.interp(frames, frames[told], np.unwrap(np.arctan2(y[told], w[told]), period=np.pi))
    heading = about_axis("Y", torch.from_numpy(angle)).numpy()
    path = motion.root * np.array((1, 0, 1), motion.root.dtype)
    return RootBone(path, heading, motion.root - path, heading.swapaxes(1, 2) @ rotations.numpy())


def joined_root(bone: RootBone) -> tuple[np.ndarray, np.ndarray]:
    """Root positions [T, 3] and root rotations [T, 3, 3] float32 of what `split_root` has taken apart."""
    root = bone.path + (bone.heading @ bone.hips[..., None]).squeeze(-1)
    return root.astype(np.float32), (bone.heading @ bone.turned).astype(np.float32)
