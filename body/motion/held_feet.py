"""Feet that stand are held where they stand, in motion that is joints alone (`foot_lock` does it for a posed body).

What holds is the same: while a foot stands, its toe keeps its place on the floor, or its ankle while only the heel is
down; hip and knee make up for it (`legs.bend_legs`), the foot keeps how it is turned, and between stands what was
added goes over smoothly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from body.motion.foot_lock import moved_feet, sinking
from body.motion.legs import Leg, bend_legs, legs_of
from utils.geometry.contacts import feet_contacts, sliding
from utils.geometry.rotations import about_axis
from utils.geometry.skeleton import Skeleton
from utils.run.errors import DataError


@dataclass(frozen=True)
class Held:
    """A clip whose feet are held: `positions` [T, J, 3], and `turned` [T, J, 3, 3], by which rotation in the world the
    bone that ends at each joint was turned."""

    positions: np.ndarray
    turned: np.ndarray


def hold_feet(clip: np.ndarray, fps: float, skeleton: Skeleton) -> Held:
    """The clip [T, J, 3] (metres, y up) with standing feet held, and out of the floor y = 0.

    Bones keep their lengths in each frame. Where feet would slide more than before, or nothing stands, the clip is as
    it came. Raises DataError for a skeleton without legs.
    """
    legs = legs_of(skeleton.joints, skeleton.parents)
    if not legs:
        raise DataError(f"the joints of {skeleton.name} do not name legs (hip, knee, ankle), so feet cannot be held")
    positions = torch.from_numpy(np.asarray(clip, np.float64))
    contacts = feet_contacts(positions.numpy(), fps, [leg.foot for leg in legs])
    soles = {joint: 0.0 for leg in legs for joint in leg.foot}
    moved = [moved_feet(positions, contacts, leg, soles, fps) for leg in legs]
    facing = _facing(positions, legs[0].hip, legs[-1].hip)
    held, turned = with_feet_moved(positions, torch.stack(moved), legs, facing, fps)
    feet = [(leg.foot[0], leg.foot[-1]) for leg in legs]
    if sliding(held.numpy(), fps, feet) > sliding(positions.numpy(), fps, feet):
        held, turned = positions, torch.eye(3).double().expand_as(turned)
    return Held(held.numpy().astype(clip.dtype), turned.numpy().astype(clip.dtype))


def with_feet_moved(
    positions: torch.Tensor, moved: torch.Tensor, legs: Sequence[Leg], facing: torch.Tensor, fps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions [T, J, 3] with their feet moved by `moved` [legs, T, 3], and what turned [T, J, 3, 3], as in `Held`.

    Where legs are too short for it the body sinks. `facing` [T, 3, 3]: a straight knee bends about their x axis.
    """
    held, turned = positions.clone(), torch.eye(3).double().repeat(*positions.shape[:2], 1, 1)
    held[..., 1] -= sinking(positions, moved, legs, fps)[:, None]
    for leg, way in zip(legs, moved, strict=True):
        _bend(held, turned, positions[:, leg.ankle] + way, leg, facing)
        if leg.toe is not None:
            held[:, leg.toe] = held[:, leg.ankle] + positions[:, leg.toe] - positions[:, leg.ankle]
    return held, turned


def _bend(held: torch.Tensor, turned: torch.Tensor, goal: torch.Tensor, leg: Leg, facing: torch.Tensor) -> None:
    """Bend a leg of positions [T, J, 3] in place so that its ankle comes to `goal` [T, 3], and note the turns."""
    hip, knee, ankle = (held[:, joint].clone() for joint in (leg.hip, leg.knee, leg.ankle))
    thigh, shin, _ = bend_legs(hip, knee, ankle, goal, facing, facing)
    turned[:, leg.knee], turned[:, leg.ankle] = thigh @ facing.mT, shin @ facing.mT
    held[:, leg.knee] = hip + (turned[:, leg.knee] @ (knee - hip)[..., None]).squeeze(-1)
    held[:, leg.ankle] = held[:, leg.knee] + (turned[:, leg.ankle] @ (ankle - knee)[..., None]).squeeze(-1)


def _facing(positions: torch.Tensor, left: int, right: int) -> torch.Tensor:
    """Frames [T, 3, 3] turned about y as hips are, x to the left: a straight knee bends about their x axis."""
    across = positions[:, left] - positions[:, right]
    return about_axis("Y", torch.atan2(-across[:, 2], across[:, 0]))
