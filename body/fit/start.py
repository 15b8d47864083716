"""Where the fit of a body begins: a shape from bone lengths and rigid segments, a pose from the directions of bones.

The root's axes come from hips and trunk, the chest's from shoulders and trunk; what lies between them is shared by the
three joints of the spine. Limbs turn by the shortest way to where their bones point, and about themselves so that
knees and elbows bend in the plane in which they are seen to bend. A straight limb shows no such plane: between the
frames that do it spins as little as can be, for the shortest way from the rest pose is no steady one: it spins an arm
that circles once about itself. Nothing depends on which way the person faces.
"""

import numpy as np
import torch
from torch import Tensor

from body.fit.pose_prior import HINGE_AXES
from utils.geometry.kinematics import bone_lengths, forward, global_rotations
from utils.geometry.rest import offsets_of
from utils.geometry.rotations import (
    about_axis,
    axis_angle_to_matrix,
    between_vectors,
    matrix_to_axis_angle,
    nearest_rotations,
)
from utils.geometry.skeleton import SKELETONS
from utils.geometry.smoothing import tridiagonal
from utils.geometry.spans import over_spans, spans

_SMPL22 = SKELETONS["smpl22"]
_SMPL24 = SKELETONS["smpl24"]
_AT = {name: joint for joint, name in enumerate(_SMPL24.joints)}
_SPINE = ("spine1", "spine2", "spine3")
_LIMBS = (("hip", "knee", "ankle", "foot"), ("shoulder", "elbow", "wrist", ""))
_MOST = np.deg2rad(35)  # by which a bone is turned at most when the rest pose is bent as the skeleton is
_BEND = 0.05  # sine of a bend below which the plane of bending says little
_CLEAR = 0.15  # sine of a bend that noise does not hide
_SPIN = 0.1  # of a limb between two frames, against the square of that sine


def start_pose(targets: Tensor, seen: Tensor, rest: Tensor) -> Tensor:
    """Local rotations [T, 24, 3, 3] that turn the bones of rest joints [24, 3] towards targets [T, 22, 3].

    `seen` [22] says which joints have targets; without them a joint keeps its rest pose. Hips and the neck or both
    shoulders must be seen.
    """
    local = torch.eye(3, dtype=targets.dtype).repeat(len(targets), 24, 1, 1)
    limbs = [
        ([side + part if part else "" for part in limb], above)
        for side in ("left_", "right_")
        for limb, above in zip(_LIMBS, ("pelvis", f"{side}collar"), strict=True)
        if seen[_AT[side + limb[0]]] and seen[_AT[side + limb[1]]]
    ]
    says = [targets.new_zeros(len(targets), 2) for _ in limbs]
    for span in spans(len(targets)):
        _place_trunk(local[span], targets[span], seen, rest)
        turned = global_rotations(local[span], _SMPL24.parents)
        for shown, (limb, above) in zip(says, limbs, strict=True):
            shown[span] = _swing_limb(local[span], targets[span], seen, rest, turned[:, _AT[above]], limb)
    for shown, (limb, _) in zip(says, limbs, strict=True):
        if seen[_AT[limb[2]]]:
            upper, bone = _AT[limb[0]], _rest_bone(rest, limb[1])
            local[:, upper] = local[:, upper] @ about_axis(bone, _steady_twist(bone, local[:, upper], shown))
    for span in spans(len(targets)):
        turned = global_rotations(local[span], _SMPL24.parents)
        for limb, _ in limbs:
            _place_ends(local[span], targets[span], seen, rest, turned[:, _AT[limb[0]]], limb)
    return local


def _place_trunk(local: Tensor, targets: Tensor, seen: Tensor, rest: Tensor) -> None:
    """Turn pelvis, spine, neck and collars of local rotations [T, 24, 3, 3]."""
    pelvis = _axes(targets, seen, "hip") @ _axes(rest[None, :22], seen, "hip").mT
    chest = _axes(targets, seen, "shoulder") @ _axes(rest[None, :22], seen, "shoulder").mT
    local[:, 0] = pelvis
    local[:, [_AT[name] for name in _SPINE]] = axis_angle_to_matrix(matrix_to_axis_angle(pelvis.mT @ chest) / 3)[
        :, None
    ]
    for name, child in (("neck", "head"), ("left_collar", "left_shoulder"), ("right_collar", "right_shoulder")):
        if seen[_AT[name]] and seen[_AT[child]]:
            local[:, _AT[name]] = between_vectors(_rest_bone(rest, child), _bone(targets, chest, child))


def length_ratios(targets: Tensor, trust: Tensor, rest: Tensor) -> Tensor:
    """How much longer the bone to each joint is in the targets than in rest [22]; NaN where it is not seen.

    Medians over the frames in which both ends are observed (`trust` [T, 22] 1), equal on both sides.
    """
    parents = torch.tensor([max(parent, 0) for parent in _SMPL22.parents])
    lengths = bone_lengths(targets, _SMPL22.parents)
    lengths = lengths.masked_fill((trust < 1) | (trust[:, parents] < 1), torch.nan)
    wanted = lengths.nanmedian(0).values
    ratios = wanted / bone_lengths(rest[:22], _SMPL22.parents)
    ratios[0] = torch.nan
    return torch.stack([ratios, ratios[list(_SMPL22.mirror)]]).nanmean(0)


def start_rest(
    targets: Tensor, trust: Tensor, standing: Tensor, rest: Tensor, recorded: Tensor | None = None
) -> Tensor:
    """Rest joints [24, 3] of the size and the proportions of the targets, otherwise those of the body `rest` [24, 3].

    The body is scaled as a whole; bones whose ends are observed get their length; hips and the foot of the spine, neck
    and collars get their places as rigid segments (the mean of the frames, each laid on the body's own segment by the
    best rotation). `standing` [T, 22] says which joints rest on the floor, `recorded` [T, 22, 3, 3] how joints are
    turned in the world, where that is known. Left and right come out alike. What is not observed keeps the proportions
    of the body.
    """
    ratios = length_ratios(targets, trust, rest)
    mirror = list(_SMPL24.mirror)
    rest = (rest + rest[mirror] * torch.tensor([-1.0, 1.0, 1.0]).to(rest)) / 2
    offsets = rest - rest[[max(parent, 0) for parent in _SMPL24.parents]]
    scale = _scale(targets, trust, rest)
    scales = torch.full((24,), scale, dtype=rest.dtype)
    scales[:22] = torch.where(ratios.isnan(), scales[:22], ratios)
    scales[22:] = scales[20:22]
    _scale_gaps(targets, trust, rest, ratios, scales)
    resized = offsets * scales[:, None]
    for root, points in (
        ("pelvis", ("left_hip", "right_hip", "spine1")),
        ("spine3", ("neck", "left_collar", "right_collar")),
    ):
        places = _rigid_segment(targets, trust, scale * offsets, _AT[root], [_AT[name] for name in points])
        if places is not None:
            resized[[_AT[name] for name in points]] = places
    resized = (resized + resized[mirror] * torch.tensor([-1.0, 1.0, 1.0]).to(rest)) / 2
    placed = placed_by(resized, rest[0])
    return placed_by(_bent_as_seen(targets, trust, standing, placed, recorded), rest[0])


def placed_by(offsets: Tensor, root: Tensor) -> Tensor:
    """Rest joints [24, 3] of offsets [24, 3] and the place [3] of the root."""
    still = torch.eye(3, dtype=offsets.dtype).expand(24, 3, 3)
    return forward(still, offsets, _SMPL24.parents, root)[0]


def _bent_as_seen(targets: Tensor, trust: Tensor, standing: Tensor, rest: Tensor, recorded: Tensor | None) -> Tensor:
    """Offsets [24, 3] of rest joints [24, 3] whose trunk and feet have the bends that belong to the skeleton.

    Skeletons differ in where along the spine and in the skull their joints lie: bones of spine and neck point in rest
    as they do on average (in the axes of pelvis and chest), feet as they do when they stand on the floor. Where
    rotations are recorded, all of them point as they do in the axes of their own joints.
    """
    offsets, bones = offsets_of(rest), [("spine1", "spine2"), ("spine2", "spine3"), ("spine3", "head")]
    if recorded is None:
        turned = over_spans(lambda points: _trunk_rotations(points, (trust > 0).any(0), rest), targets)
    else:
        turned = recorded
        bones = [*bones[:2], ("neck", "head"), ("left_ankle", "left_foot"), ("right_ankle", "right_foot")]
    for axes, name in bones:
        above = _SMPL24.parents[_AT[name]]
        observed = (trust[:, above] >= 1) & (trust[:, _AT[name]] >= 1)
        if observed.any():
            mean = _bone(targets[observed], turned[:, _AT[axes]][observed].to(targets), name).mean(0)
            offsets[_AT[name]] = _turned_to(offsets[_AT[name]], mean)
    flat = [_drops_of_flat_foot(targets, trust, standing, side) for side in ("left", "right")]
    drops = torch.cat(flat)
    for name in ("left_foot", "right_foot") if len(drops) and recorded is None else ():
        down = -(drops.median() / offsets[_AT[name]].norm()).clamp(0.1, 0.85)
        along = torch.nn.functional.normalize(offsets[_AT[name], [0, 2]], dim=0) * (1 - down**2).sqrt()
        offsets[_AT[name]] = _turned_to(offsets[_AT[name]], torch.stack([along[0], down, along[1]]))
    return offsets


def _trunk_rotations(targets: Tensor, seen: Tensor, rest: Tensor) -> Tensor:
    """World rotations [T, 10, 3, 3] up to the last joint of the spine where `start_pose` would begin."""
    local = torch.eye(3, dtype=targets.dtype).repeat(len(targets), 24, 1, 1)
    _place_trunk(local, targets, seen, rest)
    return global_rotations(local[:, : _AT["spine3"] + 1], _SMPL24.parents[: _AT["spine3"] + 1])


def _drops_of_flat_foot(targets: Tensor, trust: Tensor, standing: Tensor, side: str) -> Tensor:
    """How far the toe is below the ankle [N], in the frames in which both rest on the floor."""
    ankle, toe = _AT[f"{side}_ankle"], _AT[f"{side}_foot"]
    flat = standing[:, ankle] & standing[:, toe] & (trust[:, ankle] >= 1) & (trust[:, toe] >= 1)
    return (targets[:, ankle, 1] - targets[:, toe, 1])[flat]


def _turned_to(bone: Tensor, wanted: Tensor) -> Tensor:
    """A bone [3] of the midline or a foot turned towards a direction [3], forwards or backwards and not too far."""
    start = torch.nn.functional.normalize(bone, dim=0)
    middle = torch.tensor([float(start[0].abs() > 1e-3), 1.0, 1.0]).to(bone)
    wanted = torch.nn.functional.normalize(wanted * middle, dim=0)
    turn = matrix_to_axis_angle(between_vectors(start, wanted))
    turn = turn * (_MOST / turn.norm().clamp_min(1e-9)).clamp_max(1.0)
    return axis_angle_to_matrix(turn) @ bone


def _scale(targets: Tensor, trust: Tensor, rest: Tensor) -> float:
    """Size of the person against the body's: bones that both have, by their summed length."""
    ratios = length_ratios(targets, trust, rest)
    lengths = bone_lengths(rest[:22], _SMPL22.parents)
    known = ~ratios.isnan()
    for name in (
        "left_hip",
        "right_hip",
        "spine1",
        "left_collar",
        "right_collar",
        "neck",
        "left_shoulder",
        "right_shoulder",
    ):
        known[_AT[name]] = False  # conventions about where these joints lie differ more than people do
    if not known.any():
        return 1.0
    return float((ratios[known] * lengths[known]).sum() / lengths[known].sum())


def _scale_gaps(targets: Tensor, trust: Tensor, rest: Tensor, ratios: Tensor, scales: Tensor) -> None:
    """Scale chains whose inner joints are not observed by the distance between their ends."""
    for low, high, inner in (
        ("pelvis", "neck", (*_SPINE, "neck")),
        ("left_shoulder", "right_shoulder", ("left_collar", "left_shoulder")),
    ):
        both = (trust[:, _AT[low]] > 0) & (trust[:, _AT[high]] > 0)
        open_joints = [_AT[name] for name in inner if ratios[_AT[name]].isnan()]
        if not both.any() or len(open_joints) < len(inner):
            continue
        distance = (targets[both, _AT[high]] - targets[both, _AT[low]]).norm(dim=-1).median()
        scales[open_joints] = distance / (rest[_AT[high]] - rest[_AT[low]]).norm()
        scales[[_SMPL24.mirror[joint] for joint in open_joints]] = scales[open_joints]


def _rigid_segment(targets: Tensor, trust: Tensor, offsets: Tensor, root: int, points: list[int]) -> Tensor | None:
    """Mean places [P, 3] of points against a root, in the axes of the body; None where they are never all observed."""
    observed = (trust[:, [root, *points]] >= 1).all(1)
    if not observed.any():
        return None
    local = targets[observed][:, points] - targets[observed][:, root, None]
    turn = nearest_rotations(local.mT @ offsets[points])
    return (local @ turn).mean(0)  # rows: turn^T applied to each


def _axes(points: Tensor, seen: Tensor, across: str) -> Tensor:
    """Axes [T, 3, 3] (left, up, forward as columns) of pelvis ("hip") or chest ("shoulder") from points [T, 22, 3]."""
    at = {name: points[:, joint] for name, joint in _AT.items() if joint < 22}
    hips = (at["left_hip"] + at["right_hip"]) / 2
    shoulders = seen[_AT["left_shoulder"]] and seen[_AT["right_shoulder"]]
    top = at["neck"] if seen[_AT["neck"]] else (at["left_shoulder"] + at["right_shoulder"]) / 2
    spine = [at[name] for name in _SPINE if seen[_AT[name]]]
    middle = torch.stack(spine).mean(0) if spine else None
    pelvis = across == "hip" or not shoulders
    left = at["left_hip"] - at["right_hip"] if pelvis else at["left_shoulder"] - at["right_shoulder"]
    low, high = (
        (hips, top if middle is None else middle) if across == "hip" else (hips if middle is None else middle, top)
    )
    up = high - low
    up = torch.nn.functional.normalize(up, dim=-1)
    left = torch.nn.functional.normalize(left, dim=-1)
    if across == "hip":  # the line between the hips is the truer one
        up = torch.nn.functional.normalize(up - (up * left).sum(-1, keepdim=True) * left, dim=-1)
    else:
        left = torch.nn.functional.normalize(left - (left * up).sum(-1, keepdim=True) * up, dim=-1)
    axes = torch.stack([left, up, torch.linalg.cross(left, up)], -1)
    whole = torch.linalg.det(axes)[:, None, None] > 0.5  # not where joints coincide
    return torch.where(whole, axes, torch.eye(3).to(axes))


def _swing_limb(local: Tensor, targets: Tensor, seen: Tensor, rest: Tensor, turned: Tensor, limb: list[str]) -> Tensor:
    """Swing an arm or a leg to its first bone, and say how it is seen to be turned about that [T, 2].

    `turned` [T, 3, 3] is the world rotation of the joint that it hangs on.
    """
    upper, hinge, end, tip = limb
    bone = _rest_bone(rest, hinge)
    swing = between_vectors(bone, _bone(targets, turned, hinge))
    local[:, _AT[upper]] = swing
    if not seen[_AT[end]]:
        return targets.new_zeros(len(targets), 2)
    flexed = torch.linalg.cross(torch.tensor(HINGE_AXES[hinge]).to(bone), bone)
    says = _around(_bone(targets, turned @ swing, end), bone, flexed)
    if tip and seen[_AT[tip]]:
        says = says - 0.5 * _around(_bone(targets, turned @ swing, tip), bone, flexed)
    return says


def _place_ends(local: Tensor, targets: Tensor, seen: Tensor, rest: Tensor, turned: Tensor, limb: list[str]) -> None:
    """Turn what hangs on the first bone of an arm or a leg, whose world rotation `turned` [T, 3, 3] is."""
    _, hinge, end, tip = limb
    for joint, child in ((hinge, end), (end, tip)):
        if child and seen[_AT[joint]] and seen[_AT[child]]:
            local[:, _AT[joint]] = between_vectors(_rest_bone(rest, child), _bone(targets, turned, child))
        turned = turned @ local[:, _AT[joint]]


def _steady_twist(bone: Tensor, swing: Tensor, says: Tensor) -> Tensor:
    """Angles [T] by which a limb is turned about its bone [3] before its swings [T, 3, 3].

    `says` [T, 2] is the direction, counted about the bone, in which the next bone is seen, as long as the sine of the
    bend. The sum of |says|^2 (angle - seen)^2 and of `_SPIN` (spin to the next frame)^2 is made small, where the spin
    is that of the swings about the bone and the change of the angle.
    """
    axis = torch.nn.functional.normalize(bone, dim=-1)
    steps = matrix_to_axis_angle(swing[:-1].mT @ swing[1:]) @ axis
    spun = torch.nn.functional.pad(steps.cumsum(0), (1, 0)).numpy()
    size = says.norm(dim=-1).numpy()
    seen = torch.atan2(says[:, 1], says[:, 0]).numpy() + spun
    neighbours = np.minimum(np.arange(len(size)), 1) + np.minimum(np.arange(len(size))[::-1], 1)
    turned = np.full(len(size), np.angle(np.exp(1j * spun).mean()))  # as if it hung there without a twist
    clear = np.flatnonzero(size > _CLEAR)
    seen[clear] = np.unwrap(seen[clear])
    for least in (_CLEAR, _BEND):  # what is clear decides how often it has gone round
        shows = size > least
        if shows.any():
            seen = np.where(size > _CLEAR, seen, seen - 2 * np.pi * np.round((seen - turned) / (2 * np.pi)))
            weights = np.where(shows, size**2, 0.0)
            turned = tridiagonal(weights + _SPIN * neighbours, _SPIN, weights * seen)
    return torch.from_numpy(turned - spun)


def _around(direction: Tensor, bone: Tensor, zero: Tensor) -> Tensor:
    """The part of directions [T, 3] across a bone [3], counted from `zero` to the right about it: [T, 2]."""
    return torch.stack([direction @ zero, direction @ torch.linalg.cross(bone, zero)], -1)


def _rest_bone(rest: Tensor, child: str) -> Tensor:
    return torch.nn.functional.normalize(rest[_AT[child]] - rest[_SMPL24.parents[_AT[child]]], dim=-1)


def _bone(targets: Tensor, turned: Tensor, child: str) -> Tensor:
    """Direction [T, 3] of the bone to a joint, in axes `turned` [T, 3, 3]."""
    bone = targets[:, _AT[child]] - targets[:, _SMPL24.parents[_AT[child]]]
    return torch.nn.functional.normalize((turned.mT @ bone[..., None]).squeeze(-1), dim=-1)
