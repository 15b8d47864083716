"""Trees of joints: forward kinematics, bone lengths, rigid bones, mirror images.

Forward kinematics: G_j = G_parent L_j and p_j = p_parent + G_parent o_j, with local rotations L and rest offsets o.
Positions are [..., J, 3], rotations [..., J, 3, 3]; `parents` holds -1 for a root and may come in any order.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from utils.geometry.skeleton import Skeleton


def walk(parents: Sequence[int]) -> list[int]:
    """Joints in an order in which parents come before their children."""
    children: dict[int, list[int]] = {}
    for joint, parent in enumerate(parents):
        children.setdefault(max(parent, -1), []).append(joint)
    order = list(children[-1])
    for joint in order:
        order.extend(children.get(joint, ()))
    return order


def main_root(parents: Sequence[int]) -> int:
    """The root of the tree that counts: the first that has children, for others may be a ball; else the first."""
    roots = [joint for joint, parent in enumerate(parents) if parent < 0]
    return next((joint for joint in roots if joint in parents), roots[0])


def global_rotations(local_rotations: Tensor, parents: Sequence[int]) -> Tensor:
    """World rotations [..., J, 3, 3] of rotations relative to the parents."""
    world: dict[int, Tensor] = {}
    for joint in walk(parents):
        local = local_rotations[..., joint, :, :]
        world[joint] = local if parents[joint] < 0 else world[parents[joint]] @ local
    return torch.stack([world[joint] for joint in range(len(parents))], -3)


def local_rotations(world: Tensor, parents: Sequence[int]) -> Tensor:
    """Rotations relative to the parents of world rotations [..., J, 3, 3], the inverse of `global_rotations`."""
    roots = torch.tensor([parent < 0 for parent in parents], device=world.device)
    start = [joint if parent < 0 else parent for joint, parent in enumerate(parents)]
    return torch.where(roots[:, None, None], world, world[..., start, :, :].mT @ world)


def forward(
    local_rotations: Tensor, offsets: Tensor, parents: Sequence[int], root_position: Tensor
) -> tuple[Tensor, Tensor]:
    """Positions [..., J, 3] and world rotations [..., J, 3, 3] of a posed tree.

    `offsets` [J, 3] or [..., J, 3] lead from each parent to the joint in the rest pose; a root stands at
    `root_position` [..., 3] and its own offset is not used.
    """
    world = global_rotations(local_rotations, parents)
    root_position = root_position.expand(*local_rotations.shape[:-3], 3)
    placed: dict[int, Tensor] = {}
    for joint in walk(parents):
        parent = parents[joint]
        if parent < 0:
            placed[joint] = root_position
        else:
            placed[joint] = placed[parent] + (world[..., parent, :, :] @ offsets[..., joint, :, None]).squeeze(-1)
    return torch.stack([placed[joint] for joint in range(len(parents))], -2), world


def bone_lengths(positions: Tensor, parents: Sequence[int]) -> Tensor:
    """Distance [..., J] of each joint from its parent; 0 for roots."""
    return torch.linalg.vector_norm(bone_vectors(positions, parents), dim=-1)


def rigid_bones(positions: Tensor, skeleton: Skeleton, lengths: Tensor | None = None) -> Tensor:
    """Positions [..., T, J, 3] whose bones keep their directions and get one length each for the whole clip.

    That length is the median over the first `lengths` [...] frames (all frames when None), averaged over left and
    right where the tree itself is symmetric. Roots stay; a bone of length 0 in some frame has no direction and stays 0.
    """
    bones = bone_vectors(positions, skeleton.parents)
    measured = torch.linalg.vector_norm(bones, dim=-1)
    valid = measured
    if lengths is not None:
        frames = torch.arange(positions.shape[-3], device=positions.device)
        valid = measured.masked_fill((frames >= lengths[..., None])[..., None], torch.nan)
    wanted = (valid.nanmedian(-2, keepdim=True).values)[..., _symmetric_pairs(skeleton)].mean(-1)
    scaled = bones * torch.where(measured > 0, wanted / measured.clamp_min(1e-12), 0.0)[..., None]
    placed: dict[int, Tensor] = {}
    for joint in walk(skeleton.parents):
        parent = skeleton.parents[joint]
        placed[joint] = positions[..., joint, :] if parent < 0 else placed[parent] + scaled[..., joint, :]
    return torch.stack([placed[joint] for joint in range(len(skeleton.parents))], -2)


def mirror(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """The mirror image of motion [..., J, 2|3]: x changes sign and left and right change places."""
    swapped = positions[..., list(skeleton.mirror), :]
    return torch.cat([-swapped[..., :1], swapped[..., 1:]], -1)


def bone_vectors(positions: Tensor, parents: Sequence[int]) -> Tensor:
    """Vectors [..., J, 3] from each parent to the joint; 0 for roots."""
    start = [joint if parent < 0 else parent for joint, parent in enumerate(parents)]
    return positions - positions[..., start, :]


def _symmetric_pairs(skeleton: Skeleton) -> list[list[int]]:
    """Each joint with the joint whose bone must be as long: its mirror image, or itself where the tree is lopsided."""
    mirrored, parents = skeleton.mirror, skeleton.parents
    pairs = []
    for joint, other in enumerate(mirrored):
        parent = parents[joint]
        alike = parents[other] == (parent if parent < 0 else mirrored[parent])
        pairs.append([joint, other if alike else joint])
    return pairs
