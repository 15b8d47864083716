"""The rest pose of the SMPL joints: where each of the 24 stands, and how far it is from its parent, in metres.

All callers get their offsets from `rest_offsets`: the place where those of a body model of the user's own belong.
"""

import torch
from torch import Tensor

from utils.geometry.skeleton import SKELETONS

# A neutral body of 1.66 m from the free MakeHuman mesh (CC0) in a T-pose; the right side is the mirror image.
_REST = {
    "pelvis": (0, 0, 0), "left_hip": (0.101, -0.008, -0.008), "left_knee": (0.137, -0.401, -0.012),
    "left_ankle": (0.125, -0.806, -0.057), "left_foot": (0.130, -0.866, 0.060), "spine1": (0, 0.080, -0.039),
    "spine2": (0, 0.146, -0.023), "spine3": (0, 0.221, -0.022), "neck": (0, 0.540, -0.008), "head": (0, 0.641, 0.031),
    "left_collar": (0.023, 0.469, 0.008), "left_shoulder": (0.170, 0.446, 0.006), "left_elbow": (0.412, 0.446, 0.006),
    "left_wrist": (0.651, 0.446, 0.006), "left_hand": (0.753, 0.446, 0.006),
}  # fmt: skip


def rest_joints() -> Tensor:
    """Positions [24, 3] of the joints of `smpl24`: pelvis at the origin, y up, facing +z, the left side on +x."""
    places = []
    for name in SKELETONS["smpl24"].joints:
        x, y, z = _REST[name.replace("right_", "left_")]
        places.append((-x if name.startswith("right_") else x, y, z))
    return torch.tensor(places, dtype=torch.float32)


def rest_offsets() -> Tensor:
    """The way [24, 3] from each joint's parent to the joint in the rest pose; 0 for the pelvis."""
    return offsets_of(rest_joints())


def offsets_of(joints: Tensor) -> Tensor:
    """The same of any rest positions [24, 3] of `smpl24`."""
    start = [joint if parent < 0 else parent for joint, parent in enumerate(SKELETONS["smpl24"].parents)]
    return joints - joints[start]
