"""The rig in a BVH file, and motion of it in the file's own hierarchy: its names, offsets and channels.

The rest pose of BVH, in which all rotations are zero, need not be one in which a person stands; the first frame of the
file's own motion often is, or a later one. All are offered.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from body.retarget.rig import Rig
from body.retarget.transfer import RigMotion
from utils.formats import bvh
from utils.geometry.kinematics import forward

_FRAMES = 32  # of a motion that are looked at for one in which the figure stands


@dataclass(frozen=True)
class BvhFile:
    """A BVH file that a character comes in."""

    layout: bvh.Layout
    ending: str = ".bvh"

    def write(self, path: str | Path, motion: RigMotion, fps: float, name: str) -> None:
        """Write a motion in the file's hierarchy."""
        bvh.write_layout(path, self.layout, motion.rotations, motion.moved, fps)

    def read(self, path: str | Path) -> np.ndarray:
        """Where the joints of a file that was written are [T, K, 3]."""
        return bvh.read(path).positions


def open_bvh(path: str | Path) -> tuple[BvhFile, list[Rig]]:
    """A BVH file, and its rig in the rest pose and in some frames. Raises MissingFileError or DataError."""
    layout, motion = bvh.read_layout(path), bvh.read(path)
    count, start = len(layout.joints), [max(parent, 0) for parent in layout.parents]
    if motion.rest is not None:  # position channels of joints below the root count, not their OFFSET
        ways = motion.rest.astype(np.float64) - motion.rest[start]
        below = np.array([parent >= 0 and len(layout.places[joint]) > 0 for joint, parent in enumerate(layout.parents)])
        layout = layout._replace(offsets=np.where(below[:, None], ways, layout.offsets))
    rotations = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
    poses = [rotations]
    if motion.rotations is not None:
        some = np.unique(np.linspace(0, len(motion.rotations) - 1, _FRAMES).astype(int))
        poses += [torch.from_numpy(motion.rotations[frame].astype(np.float64)) for frame in some]
    bones = np.array([len(order) > 0 for order in layout.orders])
    movable = np.array([len(places) == 3 for places in layout.places])
    rigs = []
    for pose in poses:
        offsets = torch.from_numpy(layout.offsets)
        places, axes = forward(pose, offsets, layout.parents, offsets[layout.parents.index(-1)])
        rigs.append(
            Rig(
                Path(path).name,
                layout.joints,
                layout.parents,
                places.numpy(),
                axes.numpy(),
                np.ones(count),
                bones,
                movable,
                weights=np.zeros((0, count)),
            )
        )
    return BvhFile(layout), rigs
