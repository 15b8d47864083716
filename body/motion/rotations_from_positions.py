"""A tree of joints posed from the positions of its joints alone: rigid bones, a rest pose and local rotations.

A joint with one child turns with its parent and then swings the shortest way onto its bone; so no twist gathers along
a limb. A joint with several children turns so that all of them are met best (least squares; Kabsch 1976), and what they
are missed by, since they are a rigid fan now, the bones that follow make up in part. A joint without any turns with
its parent.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from utils.geometry.kinematics import bone_lengths, bone_vectors, forward, local_rotations, main_root, rigid_bones, walk
from utils.geometry.motion import Motion
from utils.geometry.rest import rest_joints
from utils.geometry.rotations import about_axis, between_vectors, nearest_rotations
from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.errors import DataError

_LEAN = 1e-8  # what children leave open (a turn about their common line) is settled by how the parent turns
_REPRODUCED = 0.01  # metres that rotations of a source may be off its positions, in the mean, to be kept
_MADE_UP = 0.2  # of a bone's length: the most that it makes up for the bones before it


@dataclass(frozen=True)
class Posed:
    """A clip as rest joints [K, 3], local rotations [T, K, 3, 3] and the place of the root [T, 3]: what bodies need.

    Joints are in an order in which parents come first, the root as number 0. In rest the figure faces +z where its
    joints have sides, and its lowest joint lies on y = 0. `error` [K] is how far (metres, mean over frames) forward
    kinematics is from the positions that were given; `note` says which joints were left out.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    rest: np.ndarray
    rotations: np.ndarray
    root: np.ndarray
    error: np.ndarray
    note: str = ""


def pose_skeleton(motion: Motion) -> Posed:
    """Rest pose, local rotations and root of any skeleton's clip [T, J, 3], or [T, J, 2] raised to z = 0.

    Bones get one length each for the clip. The rest pose is a T for the joints of SMPL; for others the mean direction
    of each bone in the frame of the body, made symmetric where names tell left from right. Local rotations that the
    motion brings along are kept, with the rest pose of their source, where they agree with the positions. The tree
    below the first root that has children is posed; other roots, such as a ball, are left out and named in `note`.
    Raises DataError for positions that are not finite.
    """
    points = torch.as_tensor(np.asarray(motion.positions, np.float64))
    if points.shape[-1] == 2:
        points = torch.cat([points, torch.zeros_like(points[..., :1])], -1)
    if not points.isfinite().all():
        raise DataError(f"{motion.name or 'the motion'} has positions that are not finite: fill them first")
    order, note = _one_tree(motion)
    joints = tuple(motion.joints[joint] for joint in order)
    parents = tuple(order.index(motion.parents[joint]) if motion.parents[joint] in order else -1 for joint in order)
    points = points[:, order]
    told = None if motion.rotations is None else torch.as_tensor(np.asarray(motion.rotations, np.float64))[:, order]
    kept = None if told is None else _as_told(points, told, parents)
    if kept is not None and told is not None:
        offsets, rotations = kept, told
    else:
        rigid = rigid_bones(points, Skeleton(motion.name, joints, (), parents))
        lengths = bone_lengths(rigid, parents).median(0).values
        common, turns = _common_pose(rigid - rigid[:, :1])
        offsets = _rest_directions(common, turns, joints, parents) * lengths[:, None]
        offsets = _measured_fans(rigid, offsets, parents)
        rotations = local_rotations(_turns(rigid, offsets, parents), parents)
    placed = forward(rotations, offsets, parents, points[:, 0])[0]
    error = torch.linalg.vector_norm(placed - points, dim=-1).mean(0)
    rest = forward(torch.eye(3).double().expand(len(parents), 3, 3), offsets, parents, torch.zeros(3).double())[0]
    rest[:, 1] -= rest[:, 1].min()
    rest, rotations, root, error = (value.float().numpy() for value in (rest, rotations, points[:, 0], error))
    return Posed(joints, parents, rest, rotations, root, error, note)


def _one_tree(motion: Motion) -> tuple[list[int], str]:
    """The joints of one tree, parents first, and a sentence about those left out."""
    order = [main_root(motion.parents)]
    for joint in order:
        order += [child for child, parent in enumerate(motion.parents) if parent == joint]
    left_out = [name for joint, name in enumerate(motion.joints) if joint not in order]
    return order, f"left out, since they hang on nothing: {', '.join(left_out)}" if left_out else ""


def _as_told(points: Tensor, rotations: Tensor, parents: tuple[int, ...]) -> Tensor | None:
    """The rest offsets [K, 3] that a source's own rotations speak of, or None where these do not fit the positions."""
    turned = forward(rotations, torch.zeros_like(points[0]), parents, points[:, 0])[1]
    start = [max(parent, 0) for parent in parents]
    offsets = (turned[:, start].mT @ (points - points[:, start])[..., None]).squeeze(-1).mean(0)
    placed = forward(rotations, offsets, parents, points[:, 0])[0]
    return offsets if torch.linalg.vector_norm(placed - points, dim=-1).mean() <= _REPRODUCED else None


def _common_pose(points: Tensor) -> tuple[Tensor, Tensor]:
    """The pose [K, 3] that all frames [T, K, 3] are nearest to when turned, and their turns [T, 3, 3] from it.

    Generalised Procrustes analysis (Gower 1975) without scaling, started from the first frame.
    """
    common = points[0]
    turns = torch.eye(3).to(points).expand(len(points), 3, 3)
    for _ in range(10):
        turns = nearest_rotations(points.mT @ common)
        common = (turns.mT @ points.mT).mT.mean(0)
    return common, turns


def _rest_directions(common: Tensor, turns: Tensor, joints: tuple[str, ...], parents: tuple[int, ...]) -> Tensor:
    """Unit vectors [K, 3] of the bones in rest, for a figure upright on y and facing +z."""
    known = next((SKELETONS[name] for name in ("smpl22", "smpl24") if set(joints) <= set(SKELETONS[name].joints)), None)
    if known is not None:
        table = rest_joints()[[SKELETONS["smpl24"].index(joint) for joint in joints]].to(common)
        return _bone_directions(table, parents)
    tree = Skeleton("", joints, (), parents)
    up = (turns.mT @ turns.new_tensor((0.0, 1.0, 0.0))).mean(0)
    if up.norm() < 0.2:
        up = turns[0].mT @ turns.new_tensor((0.0, 1.0, 0.0))
    stood = common @ between_vectors(up, up.new_tensor((0.0, 1.0, 0.0))).mT
    left = [joint for joint in range(len(joints)) if tree.side(joint) == "left"]
    across = (stood[left] - stood[[tree.mirror[joint] for joint in left]]).sum(0) if left else torch.zeros_like(up)
    if torch.hypot(across[0], across[2]) > 1e-6:
        stood = stood @ about_axis("Y", torch.atan2(across[2], across[0])).mT  # brings left to +x
        stood = (stood + stood[list(tree.mirror)] * stood.new_tensor((-1.0, 1.0, 1.0))) / 2
    return _bone_directions(stood, parents)


def _measured_fans(points: Tensor, offsets: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Offsets [K, 3] in which the children of a joint stand to each other as they do in the clip [T, K, 3]."""
    offsets = offsets.clone()
    for joint in set(parents) - {-1}:
        fan = [child for child, parent in enumerate(parents) if parent == joint]
        if len(fan) > 1:
            measured = _common_pose(points[:, fan] - points[:, joint, None])[0]
            lengths = torch.linalg.vector_norm(offsets[fan], dim=-1, keepdim=True)
            measured = torch.nn.functional.normalize(measured, dim=-1) * lengths
            offsets[fan] = measured @ nearest_rotations(offsets[fan].T @ measured).T
    return offsets


def _bone_directions(points: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Directions [K, 3] from the parents, upward where a bone has no length; 0 for the root."""
    bones = bone_vectors(points, parents)
    length = torch.linalg.vector_norm(bones, dim=-1, keepdim=True)
    upward = bones.new_tensor((0.0, 1.0, 0.0)) * (torch.tensor(parents) >= 0)[:, None]
    return torch.where(length > 1e-9, bones / length.clamp_min(1e-9), upward)


def _turns(points: Tensor, offsets: Tensor, parents: tuple[int, ...]) -> Tensor:
    """World rotations [T, K, 3, 3] that bring the offsets onto the bones between rigid positions [T, K, 3]."""
    rest = forward(torch.eye(3).to(offsets).expand(len(parents), 3, 3), offsets, parents, offsets[0])[0]
    whole = nearest_rotations((points - points[:, :1]).mT @ (rest - rest[0]))
    turned: dict[int, Tensor] = {}
    missed = {joint: torch.zeros_like(points[:, 0]) for joint, parent in enumerate(parents) if parent < 0}
    for joint in walk(parents):
        before = whole if parents[joint] < 0 else turned[parents[joint]]
        children = [child for child, parent in enumerate(parents) if parent == joint]
        long = [child for child in children if offsets[child].norm() > 1e-6]
        bones = points[:, long] - points[:, joint, None]
        if not long:
            turned[joint] = before
        elif len(long) == 1:
            most = _MADE_UP * offsets[long[0]].norm()
            far = torch.linalg.vector_norm(missed[joint], dim=-1, keepdim=True)
            aim = bones[:, 0] + missed[joint] * (most / far.clamp_min(1e-9)).clamp_max(1)
            turned[joint] = between_vectors(before @ offsets[long[0]], aim) @ before
        else:
            size = offsets[long].square().sum()
            turned[joint] = nearest_rotations(bones.mT @ offsets[long] + _LEAN * size * before)
        for child in children:
            missed[child] = missed[joint] + points[:, child] - points[:, joint] - turned[joint] @ offsets[child]
    return torch.stack([turned[joint] for joint in range(len(parents))], -3)
