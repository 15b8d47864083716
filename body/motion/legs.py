"""Legs by joint names, and the bend of hip and knee that brings an ankle to a place (two-bone inverse kinematics)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from utils.geometry.human import plain_name
from utils.geometry.joint_maps import known_joints
from utils.geometry.rotations import about_axis, between_vectors

_STRAIGHT = 1e-3  # sine of the angle at the knee below which the bend has no direction of its own


@dataclass(frozen=True)
class Leg:
    """Joints of a leg: each is the parent of the next; `toe` is None where the foot has no joint."""

    hip: int
    knee: int
    ankle: int
    toe: int | None

    @property
    def foot(self) -> tuple[int, ...]:
        """What may stand on the floor: ankle and toe, or the ankle alone."""
        return (self.ankle,) if self.toe is None else (self.ankle, self.toe)


def legs_of(joints: Sequence[str], parents: Sequence[int]) -> list[Leg]:
    """The legs whose joints, from the foot up, hang on each other; none where names tell nothing of feet."""
    legs = []
    for ankle, *toes in feet_of(joints):
        knee = parents[ankle]
        hip = parents[knee] if knee >= 0 else -1
        if hip >= 0:
            legs.append(Leg(hip, knee, ankle, next((toe for toe in toes if parents[toe] == ankle), None)))
    return legs


def feet_of(joints: Sequence[str]) -> list[tuple[int, ...]]:
    """What may stand on the floor: (ankle, toe) of each foot, (ankle,) where toes have no joint, (hoof,) of animals."""
    at, feet = known_joints(joints), []
    for side in ("left", "right"):
        toes = [at[name] for name in (f"{side}_foot", f"{side}_toe", f"{side}_big_toe") if name in at]
        if f"{side}_ankle" in at:
            feet.append((at[f"{side}_ankle"], *toes[:1]))
    return feet + [(joint,) for joint, name in enumerate(joints) if "hoof" in plain_name(name)]


def bend_legs(
    hip: Tensor, knee: Tensor, ankle: Tensor, goal: Tensor, thigh: Tensor, shin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """World rotations of thigh and shin that bring the ankle to `goal` [T, 3], or as near as they reach, and where.

    The leg, joints [T, 3] and world rotations [T, 3, 3], swings as a whole the shortest way towards the goal and then
    bends or stretches in the plane that it lies in, so a knee keeps the side to which it points; a straight one bends
    about the axis that the others show, or the x axis of the thigh (law of cosines; closed form).
    """
    upper = torch.linalg.vector_norm(knee - hip, dim=-1)
    lower = torch.linalg.vector_norm(ankle - knee, dim=-1)
    before = torch.linalg.vector_norm(ankle - hip, dim=-1)
    way = goal - hip
    least, most = (upper - lower).abs() + 1e-6, torch.maximum(0.9999 * (upper + lower), before)
    length = torch.linalg.vector_norm(way, dim=-1).clamp_min(1e-9)
    reached = torch.minimum(torch.maximum(length, least), most)
    swing = between_vectors(ankle - hip, way)
    axis = (swing @ _bend_axis(hip, knee, ankle, thigh)[..., None]).squeeze(-1)
    at_hip = _angle(upper, reached, lower) - _angle(upper, before, lower)
    at_knee = _angle(upper, lower, reached) - _angle(upper, lower, before)
    thigh = about_axis(axis, -at_hip) @ swing @ thigh
    shin = about_axis(axis, -at_hip - at_knee) @ swing @ shin
    return thigh, shin, hip + way / length[..., None] * reached[..., None]


def _bend_axis(hip: Tensor, knee: Tensor, ankle: Tensor, thigh: Tensor) -> Tensor:
    """Unit axes [T, 3] about which a positive turn of the shin bends the knee."""
    across = torch.linalg.cross(knee - hip, ankle - knee)
    size = torch.linalg.vector_norm(knee - hip, dim=-1) * torch.linalg.vector_norm(ankle - knee, dim=-1)
    sine = torch.linalg.vector_norm(across, dim=-1) / size.clamp_min(1e-12)
    own = (thigh.mT @ across[..., None]).squeeze(-1).mean(0)
    usual = own / own.norm() if own.norm() > 1e-9 else torch.eye(3).to(own)[0]
    usual = (thigh @ usual[..., None]).squeeze(-1)
    bone = (knee - hip) / torch.linalg.vector_norm(knee - hip, dim=-1, keepdim=True).clamp_min(1e-12)
    usual = usual - (usual * bone).sum(-1, keepdim=True) * bone
    axis = torch.where((sine > _STRAIGHT)[..., None], across, usual)
    return torch.nn.functional.normalize(axis, dim=-1)


def _angle(first: Tensor, second: Tensor, opposite: Tensor) -> Tensor:
    """The angle between two sides of a triangle."""
    cosine = (first**2 + second**2 - opposite**2) / (2 * first * second).clamp_min(1e-12)
    return torch.arccos(cosine.clamp(-1, 1))
