"""What the fit takes from recorded rotations: world rotations along the person's bones, and those of the ends."""

import torch
from torch import Tensor

from utils.geometry.kinematics import bone_vectors, global_rotations
from utils.geometry.motion import Motion
from utils.geometry.rest import offsets_of
from utils.geometry.rotations import between_vectors
from utils.geometry.skeleton import SKELETONS
from utils.geometry.spans import over_spans

_SMPL22 = SKELETONS["smpl22"]
_SMPL24 = SKELETONS["smpl24"]
_AT = {name: joint for joint, name in enumerate(_SMPL24.joints)}
_TIPS = [_AT[name] for name in ("head", "left_foot", "right_foot", "left_wrist", "right_wrist")]
_HANDS_ON = [_AT["left_wrist"], _AT["right_wrist"]]  # what hands go with
_TINY = 1e-4  # metres: a shorter bone points nowhere


def world_rotations(motion: Motion, kept: torch.dtype) -> Tensor | None:
    """World rotations [T, 22, 3, 3] of a clip on `smpl22`, if any are recorded."""
    if motion.rotations is None:
        return None
    local = torch.as_tensor(motion.rotations)
    return over_spans(lambda local: global_rotations(local.double(), _SMPL22.parents).to(kept), local)


def along_bones(recorded: Tensor, targets: Tensor, rest: Tensor) -> Tensor:
    """World rotations [T, 24, 3, 3] of recorded ones [T, 22, 3, 3], each turned the shortest way along its bone.

    So they agree with the targets [T, 22, 3] on rest joints [24, 3], whose bones differ a little from the source's.
    """
    offsets = offsets_of(rest)

    def turned(recorded: Tensor, targets: Tensor) -> Tensor:
        world, bones = recorded.to(targets, copy=True), bone_vectors(targets, _SMPL22.parents)
        for joint in range(22):
            children = [child for child in range(22) if _SMPL22.parents[child] == joint]
            if len(children) == 1:
                bone = bones[:, children[0]]
                swing = between_vectors(world[:, joint] @ offsets[children[0]], bone)
                known = bone.norm(dim=-1) > _TINY
                world[known, joint] = swing[known] @ world[known, joint]
        return world[:, [*range(22), *_HANDS_ON]].to(recorded)

    return over_spans(turned, recorded, targets)


def with_tips(rotations: Tensor, recorded: Tensor) -> Tensor:
    """Local rotations [T, 24, 3, 3] whose ends, which move no joint, are turned in the world as they were recorded."""
    kept, rotations, recorded = rotations.dtype, rotations.to(torch.float64, copy=True), recorded.double()
    turned = global_rotations(rotations, _SMPL24.parents)
    for joint in _TIPS:
        rotations[:, joint] = turned[:, _SMPL24.parents[joint]].mT @ recorded[:, joint]
    return rotations.to(kept)
