"""Poses of recorded clips: which rotations count, which frames are taken, and which part of the data they are of.

A pose is the rotations of SMPL's joints 1 to 21 against their parents, zero in a T that faces +z, as quaternions
[21, 4], w >= 0; the root's, which say where a person faces, are kept beside it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_loaders.common.splits import part_by_name
from utils.geometry.human import to_smpl22
from utils.geometry.motion import Motion
from utils.geometry.rotations import matrix_to_quaternion
from utils.geometry.skeleton import SKELETONS

# The datasets of AMASS by part, as published (Tiwari et al. 2022); the rest are trained on.
AMASS_PARTS = {
    "val": ("HumanEva", "MPI_HDM05", "SFU", "MPI_mosh"),
    "test": ("Transitions_mocap", "SSM_synced"),
    "train": (
        "CMU", "MPI_Limits", "TotalCapture", "Eyes_Japan_Dataset", "KIT", "BioMotionLab_NTroje", "BMLhandball",
        "BMLmovi", "EKUT", "TCD_handMocap", "ACCAD",
    ),
}  # fmt: skip
PARTS = ("train", "val", "test")
_SHARE, _START, _END = 0.3 * 0.8, 0.1, 0.9  # published: frames that are drawn, of those between these parts of a clip
_AT_ONCE = 1500  # frames compared with each other
_MIRROR = [joint - 1 for joint in SKELETONS["smpl22"].mirror[1:]]


@dataclass(frozen=True)
class Poses:
    """Poses of one clip [T, 21, 4], its root's quaternions [T, 4] and joints [T, 22, 3]; where it is from."""

    quaternions: Tensor
    roots: Tensor
    positions: np.ndarray
    name: str
    group: str
    part: str
    told_test: bool
    licence: str = ""


def poses_in(motion: Motion, path: Path, several: bool, shares: tuple[float, float]) -> Poses | None:
    """All poses of a clip, or None where it has no rotations that are SMPL's. Raises DataError for no known person.

    `several`: the file holds more clips than this one. `shares` are those of `part_of`.
    """
    body = to_smpl22(motion)
    if body.rotations is None or not np.isfinite(body.rotations).all():
        return None
    quaternions = matrix_to_quaternion(torch.from_numpy(np.ascontiguousarray(body.rotations))).float()
    said = motion.meta.get("split")
    return Poses(
        quaternions[:, 1:].contiguous(), quaternions[:, 0].contiguous(), body.positions, motion.name,
        group_of(path, several), part_of(motion.name, said, path, shares),
        said == "test" or amass_part(path) == "test", str(motion.meta.get("licence") or ""),
    )  # fmt: skip


def group_of(path: Path, several: bool) -> str:
    """What poses are kept together under: the file of many clips, else the folder; AMASS' dataset and subject."""
    if several:
        return path.stem
    above = path.absolute().parent
    return f"{above.parent.name}_{above.name}" if amass_part(path) else above.name


def amass_part(path: Path) -> str:
    """The published part of a file in a folder of AMASS, `<dataset>/<subject>/<clip>.npz`; empty for others."""
    dataset = path.absolute().parent.parent.name
    return next((part for part, names in AMASS_PARTS.items() if dataset in names and path.suffix == ".npz"), "")


def part_of(name: str, said: str | None, path: Path, shares: tuple[float, float]) -> str:
    """`train`, `val` or `test`: as the source or the published lists of AMASS say, else by a hash of the name.

    `shares` are those of `test` among clips that no source speaks of, and of `val` among those that are not test.
    """
    return amass_part(path) or part_by_name(name, said, *shares)


def published_frames(count: int, rng: np.random.RandomState) -> np.ndarray:
    """30 % of 80 % of a clip's frames, drawn without replacement between its first and its last tenth."""
    inside = np.arange(int(_START * count), max(int(_END * count), int(_START * count)))
    return np.sort(rng.choice(inside, min(int(_SHARE * count), len(inside)), replace=False))


def thinned_frames(poses: Tensor, least: float) -> np.ndarray:
    """Frames of a clip [T, 21, 4] none of which is nearer than `least` (geodesic) to one before: the first of each."""
    found = []
    for begin in range(0, len(poses), _AT_ONCE):
        some = poses[begin : begin + _AT_ONCE]
        products = torch.bmm(some.transpose(0, 1), some.permute(1, 2, 0)).abs_().mean(0)
        near = (1 - products < least).numpy()
        kept = np.zeros(len(some), bool)
        for frame in range(len(some)):
            kept[frame] = not (near[frame] & kept).any()
        found.append(begin + kept.nonzero()[0])
    return np.concatenate(found) if found else np.array([], int)


def mirrored(poses: Tensor) -> Tensor:
    """The mirror images [N, 21, 4]: left and right change places, and turns about y and z their direction."""
    return poses[:, _MIRROR] * torch.tensor((1.0, 1.0, -1.0, -1.0))


def mirrored_roots(roots: Tensor) -> Tensor:
    """The roots [N, 4] of mirror images."""
    return roots * torch.tensor((1.0, 1.0, -1.0, -1.0))
