"""Feet of a person of 22 joints known by positions alone: brought to places by the bend of the legs, and held there.

Positions are [T, 22, 3] in metres, y up. Bones keep their lengths, feet how they are turned in the world.
"""

import numpy as np
import torch

from body.motion.foot_lock import moved_feet
from body.motion.held_feet import with_feet_moved
from body.motion.legs import legs_of
from data_loaders.representations import hml
from utils.geometry.contacts import feet_contacts
from utils.geometry.rotations import about_axis
from utils.geometry.skeleton import SKELETONS

BODY = SKELETONS["smpl22"]
LAYOUT = hml.layout_of(BODY)
LEGS = legs_of(BODY.joints, BODY.parents)
FEET = tuple((leg.foot[0], leg.foot[-1]) for leg in LEGS)  # (ankle, toe)


def contacts_of(points: np.ndarray, fps: float) -> np.ndarray:
    """Which joints rest on the floor, bool [T, 22]."""
    return feet_contacts(points, fps, FEET)


def with_feet_at(points: np.ndarray, moved: np.ndarray, fps: float) -> np.ndarray:
    """The motion with its feet moved by `moved` [legs, T, 3]; where legs are too short for that the body sinks."""
    before = torch.from_numpy(np.asarray(points, np.float64))
    facing = about_axis("Y", hml.heading(before, LAYOUT))
    return with_feet_moved(before, torch.from_numpy(moved), LEGS, facing, fps)[0].numpy()


def with_feet_held(points: np.ndarray, contacts: np.ndarray, fps: float) -> np.ndarray:
    """The motion with feet that rest (`contacts` bool [T, 22]) held where they stand, and none below y = 0."""
    positions = torch.from_numpy(np.asarray(points, np.float64))
    soles = dict.fromkeys((joint for foot in FEET for joint in foot), 0.0)
    moved = torch.stack([moved_feet(positions, contacts, leg, soles, fps) for leg in LEGS])
    return with_feet_at(points, moved.numpy(), fps)


def rigid(points: torch.Tensor) -> np.ndarray:
    """The positions [T, 22, 3] with bones as long as the layout's, their directions as they are."""
    return hml.with_lengths(points, torch.tensor(LAYOUT.lengths), points[:, 0], BODY).numpy()


def turned(flat: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Vectors (x, z) [..., 2] turned to the left, from z towards x, by angles [...]."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, z = flat[..., 0], flat[..., 1]
    return np.stack([cos * x + sin * z, cos * z - sin * x], -1)


def turned_about_y(places: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Places [..., 3] turned to the left about y by angles [...]."""
    flat = turned(places[..., ::2], angle)
    return np.stack([flat[..., 0], places[..., 1], flat[..., 1]], -1)
