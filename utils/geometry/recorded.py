"""Rotations that a file has recorded, told against a T that faces +z, whatever the file's own rest pose looks like.

A joint's world rotation W is the identity in the rest pose of its source; G, that of SMPL's joint, is it in the T. They
differ by a turn that stays the same for the whole clip, G = W C: the axes of the person's part in the joint's own. C is
read off the rest pose. The pelvis has its left and up from the hips and the spine, the chest from collars and neck;
limbs swing from the T to their bones by the shortest way, each part from the axes of the one before it.

Some files have no rest pose to speak of: all offsets of a limb lie along one axis, or legs point up. What their rest
pose leaves open is read off the motion: knees and elbows show about which axis they bend, and on average the head looks
where the chest does, hands and feet follow their limbs. Rotations pass by joints that the person does not have
(further spine and neck bones, twist bones), for only world rotations are compared.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from utils.geometry.kinematics import bone_vectors, forward, global_rotations, local_rotations
from utils.geometry.motion import Motion
from utils.geometry.rotations import (
    about_axis,
    axis_angle_to_matrix,
    between_vectors,
    matrix_to_axis_angle,
    nearest_rotations,
)
from utils.geometry.skeleton import SKELETONS

_SMPL22 = SKELETONS["smpl22"]
_SEEN = 2000  # frames at most that the constant turns are read off
_AT_ONCE = 4096  # frames turned at a time
_OWN = 0.1  # between unit vectors: rotations that miss their bones by more do not move these joints
_SHORT = 1e-2  # of the trunk: what is shorter points nowhere
_BENT = np.deg2rad(45)  # a trunk or a foot that differs less from the T's has another shape, not another pose
_FOLDED = np.deg2rad(150)  # there is no shortest way to a bone that points so far from the T's
_TWISTED = np.deg2rad(60)  # a rest pose that contradicts the motion by more says nothing of the limb
_SKEWED = np.deg2rad(30)  # by which an upper arm or a thigh may contradict the axis about which its next joint bends
_ALIKE = np.deg2rad(30)  # a rest pose whose parts differ less from the T is one
_BEND = np.sin(np.deg2rad(20))  # a bend that shows its axis
_AGREED = 0.8  # how far the axes of all frames agree: the length of their mean
_TWISTLESS = ((251,), (263,))  # features that hold the turns of bones that end at the joints, and no twist
_FOOT = (0.0, -0.5, 0.87)  # where a foot points in the T
_Turns = dict[str, Tensor]


def recorded_rotations(motion: Motion, sources: Sequence[Sequence[int]]) -> np.ndarray | None:
    """Local rotations [T, 22, 3, 3] of the joints of `smpl22`, which are the joints `sources` of a clip; T-pose: zero.

    They are those of the clip to the bit where it has these joints in a T. None where the clip has none, where they do
    not move the clip's joints (other conventions, such as that of HumanML3D's features), or where hips or trunk have no
    direction in the rest pose.
    """
    if motion.rotations is None or not np.isfinite(motion.rotations).all():
        return None
    if np.shape(motion.meta.get("features", ()))[1:] in _TWISTLESS:
        return None
    frames = np.unique(np.linspace(0, len(motion.positions) - 1, _SEEN).round().astype(int))
    positions = torch.as_tensor(motion.positions[frames], dtype=torch.float64)
    world = global_rotations(torch.as_tensor(motion.rotations[frames], dtype=torch.float64), motion.parents)
    rest = _rest_pose(motion, positions, world)
    if rest is None:
        return None
    first = [source[0] for source in sources]
    turns = _constant_turns(
        {name: rest[list(source)].mean(0) for name, source in zip(_SMPL22.joints, sources, strict=True)},
        {name: positions[:, list(source)].mean(1) for name, source in zip(_SMPL22.joints, sources, strict=True)},
        {name: world[:, joint] for name, joint in zip(_SMPL22.joints, first, strict=True)},
    )
    if turns is None:
        return None
    constant = torch.stack([turns[name] for name in _SMPL22.joints])
    if motion.joints == _SMPL22.joints and matrix_to_axis_angle(constant).norm(dim=-1).max() < _ALIKE:
        return motion.rotations
    parts = []
    for begin in range(0, len(motion.rotations), _AT_ONCE):
        some = torch.as_tensor(motion.rotations[begin : begin + _AT_ONCE], dtype=torch.float64)
        turned = global_rotations(some, motion.parents)[:, first] @ constant
        parts.append(local_rotations(turned, _SMPL22.parents).float())
    return torch.cat(parts).numpy()


def axes_of(across: Tensor, up: Tensor) -> Tensor:
    """Left, up and forward as the columns of [..., 3, 3]: exactly `up` [..., 3], as near as can be to `across`."""
    up = torch.nn.functional.normalize(up, dim=-1)
    left = torch.nn.functional.normalize(across - (across * up).sum(-1, keepdim=True) * up, dim=-1)
    return torch.stack([left, up, torch.linalg.cross(left, up)], -1)


def _rest_pose(motion: Motion, positions: Tensor, world: Tensor) -> Tensor | None:
    """Joints [J, 3] of the source with all rotations zero, or None where these rotations do not move these joints."""
    start = [joint if parent < 0 else parent for joint, parent in enumerate(motion.parents)]
    own = (world[:, start].mT @ bone_vectors(positions, motion.parents)[..., None]).squeeze(-1)  # [N, J, 3]
    offsets = own.mean(0)
    if motion.rest is not None:
        offsets = bone_vectors(torch.as_tensor(motion.rest, dtype=torch.float64), motion.parents)
    lengths = offsets.norm(dim=-1)
    whole = lengths > _SHORT * lengths.sum()
    if not whole.any():
        return None
    unit = torch.nn.functional.normalize
    if (unit(own[:, whole], dim=-1) - unit(offsets[whole], dim=-1)).norm(dim=-1).median() > _OWN:
        return None
    still = torch.eye(3, dtype=torch.float64).repeat(len(start), 1, 1)
    return forward(still, offsets, motion.parents, torch.zeros(3, dtype=torch.float64))[0]


def _constant_turns(rest: _Turns, at: _Turns, world: _Turns) -> _Turns | None:
    """C of each of the 22 joints [3, 3]; see the head of this file.

    `rest` are the joints [3] in the rest pose, `at` [N, 3] those of some frames and `world` [N, 3, 3] their rotations.
    """
    hips = (rest["left_hip"] + rest["right_hip"]) / 2
    trunk = rest["neck"] - hips
    least = _SHORT * trunk.norm()
    low = (rest["spine1"] + rest["spine2"]) / 2 - hips
    up = low if low.norm() > least and _angle(low, trunk) > _BENT else trunk
    across = rest["left_hip"] - rest["right_hip"]
    shoulders = rest["left_shoulder"] - rest["right_shoulder"]
    if _angle(up, trunk) <= _BENT and _angle(across, shoulders) <= _BENT:
        across = across + shoulders
    if torch.linalg.cross(across, up).norm() <= least * up.norm():
        return None
    turns = {"pelvis": axes_of(across, up)}
    odd = _turn_trunk(turns, rest, world, least)
    for side in ("left_", "right_"):
        odd = _turn_limb(turns, rest, at, world, [side + part for part in ("hip", "knee", "ankle")], "pelvis") or odd
        _turn_foot(turns, rest, side)
        _turn_collar(turns, rest, world, side, least)
        arm = [side + part for part in ("shoulder", "elbow", "wrist")]
        odd = _turn_limb(turns, rest, at, world, arm, f"{side}collar") or odd
        turns[f"{side}wrist"] = turns[f"{side}elbow"]
    pairs = [("neck", "spine3"), ("head", "spine3")]
    pairs += [(side + end, side + limb) for side in ("left_", "right_") for end, limb in (("wrist", "elbow"),)]
    for name, above in pairs if odd else ():
        mean = _mean(world[name], world[above] @ turns[above])
        if _turn_between(mean, turns[name]) > _TWISTED:
            turns[name] = mean
    return turns


def _turn_trunk(turns: _Turns, rest: _Turns, world: _Turns, least: Tensor) -> bool:
    """Enter the joints of the trunk; whether the chest has other axes than the pelvis in the rest pose."""
    across = rest["left_collar"] - rest["right_collar"]
    if across.norm() <= 5 * least:
        across = rest["left_shoulder"] - rest["right_shoulder"]
    up = rest["neck"] - rest["spine3"]
    chest = axes_of(across, up)
    whole = min(across.norm(), up.norm()) > least and torch.linalg.det(chest) > 0.5
    odd = bool(whole) and _turn_between(chest, turns["pelvis"]) > _BENT
    turns["spine3"] = chest if odd else turns["pelvis"]
    turns["neck"] = turns["head"] = turns["spine3"]
    below, above = (world[name] @ turns[name] for name in ("pelvis", "spine3"))
    for name, share in (("spine1", 1 / 3), ("spine2", 2 / 3)):
        part = axis_angle_to_matrix(share * matrix_to_axis_angle(below.mT @ above))
        turns[name] = _mean(world[name], below @ part) if odd else turns["pelvis"]
    return odd


def _turn_limb(turns: _Turns, rest: _Turns, at: _Turns, world: _Turns, limb: Sequence[str], above: str) -> bool:
    """Enter the two long bones of an arm or a leg; whether the motion has contradicted the rest pose."""
    upper, hinge, end = limb
    out = 1.0 if upper.startswith("left") else -1.0
    leg = upper.endswith("hip")
    straight = torch.tensor((0.0, -1.0, 0.0) if leg else (out, 0.0, 0.0), dtype=torch.float64)
    axis = torch.tensor((1.0, 0.0, 0.0) if leg else (0.0, -out, 0.0), dtype=torch.float64)
    bone = rest[hinge] - rest[upper]
    turn = turns[above] @ between_vectors(straight, turns[above].T @ bone)
    folded = _angle(straight, turns[above].T @ bone) > _FOLDED
    seen = _bend_axis(at, world[upper], limb)
    if seen is None and folded:  # nothing bends: as if it hung on the body without a twist
        hung = world[above] @ turns[above]
        swing = between_vectors(straight, (hung.mT @ (at[hinge] - at[upper])[..., None]).squeeze(-1))
        seen = _mean(world[upper], hung @ swing) @ axis
    twist = torch.zeros(()).to(bone) if seen is None else _about(bone, turn @ axis, seen)
    contradicted = seen is not None and bool(folded or twist.abs() > _TWISTED)
    bent = about_axis(bone, twist) @ turn
    turns[upper] = bent if contradicted or twist.abs() > _SKEWED else turn
    turn = bent if contradicted else turn  # a forearm turns about itself, so of it a bend says less
    turns[hinge] = turn @ between_vectors(straight, turn.T @ (rest[end] - rest[hinge]))
    return contradicted


def _turn_foot(turns: _Turns, rest: _Turns, side: str) -> None:
    """Enter ankle and foot: the floor of the pelvis where the shin hangs as in the T, else that of the shin."""
    shin, pelvis = turns[f"{side}knee"], turns["pelvis"]
    level = pelvis if _turn_between(shin, pelvis) <= _BENT else shin
    usual = torch.tensor(_FOOT, dtype=torch.float64)
    foot = level.T @ (rest[f"{side}foot"] - rest[f"{side}ankle"])
    swing = between_vectors(usual, foot) if _angle(usual, foot) > _BENT else torch.eye(3, dtype=torch.float64)
    turns[f"{side}ankle"] = turns[f"{side}foot"] = level @ swing


def _turn_collar(turns: _Turns, rest: _Turns, world: _Turns, side: str, least: Tensor) -> None:
    """Enter a collar: as the chest, unless its bone lies another way."""
    out = torch.tensor((1.0 if side == "left_" else -1.0, 0.0, 0.0), dtype=torch.float64)
    bone = turns["spine3"].T @ (rest[f"{side}shoulder"] - rest[f"{side}collar"])
    name, chest = f"{side}collar", world["spine3"] @ turns["spine3"]
    usual = bone.norm() <= least or _angle(out, bone) <= _TWISTED
    turns[name] = turns["spine3"] if usual else _mean(world[name], chest)


def _bend_axis(at: _Turns, turned: Tensor, limb: Sequence[str]) -> Tensor | None:
    """The axis [3] in a joint's own axes about which the next joint bends, or None where too little is bent."""
    upper, hinge, end = limb
    one, other = (torch.nn.functional.normalize(at[b] - at[a], dim=-1) for a, b in ((upper, hinge), (hinge, end)))
    axes = (turned.mT @ torch.linalg.cross(one, other)[..., None]).squeeze(-1)
    sine = axes.norm(dim=-1)
    bent = sine > _BEND
    if bent.sum() < max(1, 0.02 * len(axes)):
        return None
    mean = (axes[bent] * sine[bent, None]).sum(0) / (sine[bent] ** 2).sum()
    return mean if mean.norm() > _AGREED else None


def _mean(world: Tensor, wanted: Tensor) -> Tensor:
    """The turn C [3, 3] with which rotations [N, 3, 3], world C, are nearest to those that are wanted."""
    return nearest_rotations((world.mT @ wanted).mean(0))


def _about(bone: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The angle about a bone [3] from one direction to another."""
    bone = torch.nn.functional.normalize(bone, dim=-1)
    start, end = (vector - (vector @ bone) * bone for vector in (start, end))
    return torch.atan2(torch.linalg.cross(start, end) @ bone, start @ end)


def _angle(one: Tensor, other: Tensor) -> float:
    return float(torch.atan2(torch.linalg.cross(one, other).norm(), one @ other))


def _turn_between(one: Tensor, other: Tensor) -> float:
    return float(matrix_to_axis_angle(one.mT @ other).norm(dim=-1))
