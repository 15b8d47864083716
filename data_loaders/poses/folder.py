"""A folder of poses to train a pose prior on: sampled poses and training pairs, in files with the published keys.

`samples/<part>/<file>.npz`: `pose_body` [M, 69] axis-angles of SMPL's 23 body joints, hands 0; `root_orient` [M, 3];
`betas` [10]. `pairs/<part>/<file>.npz`: `pose` [N, 21, 4], `dist` [N, k] to the nearest poses of the train part,
`nn_pose` [N, k, 21, 4] these; `level` [N] of noise. The parts are train, val and test; a pairs file goes with the
samples file of its name. `index.json` lists the files and how they were made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.poses.distances import JOINTS
from data_loaders.poses.sampling import PARTS
from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_to_axis_angle
from utils.run.arrays import load_archive
from utils.run.errors import DataError, MissingFileError
from utils.run.files import read_json

INDEX = "index.json"
BODY = 69  # numbers of SMPL's 23 body joints, the last two of which are hands
_OF_POSES = 3 * JOINTS


@dataclass(frozen=True)
class Pairs:
    """Poses [N, 21, 4], distances [N, k] to the nearest, those [N, k, 21, 4], and levels of noise [N]."""

    poses: Tensor
    distances: Tensor
    nearest: Tensor
    levels: Tensor


def write_samples(path: Path, poses: Tensor, roots: Tensor) -> None:
    """Write poses [M, 21, 4] and roots [M, 4] with the keys of the published samples."""
    body = np.zeros((len(poses), BODY), np.float32)
    body[:, :_OF_POSES] = quaternion_to_axis_angle(poses).flatten(1).numpy()
    root = quaternion_to_axis_angle(roots).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, pose_body=body, root_orient=root, betas=np.zeros(10, np.float32))


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write training pairs with the published keys, and the level of each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path, pose=pairs.poses.numpy(), dist=pairs.distances.numpy(), nn_pose=pairs.nearest.numpy(),
        level=pairs.levels.numpy(),
    )  # fmt: skip


def read_index(folder: str | Path) -> dict[str, Any]:
    """The index of a folder of poses. Raises MissingFileError or DataError."""
    path = Path(folder) / INDEX
    if not path.is_file():
        raise MissingFileError(
            f"{folder} holds no {INDEX}: make it with `python -m prepare.poses --output_dir {folder} --sources ...`"
        )
    content = read_json(path)
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, list) or not all(_is_file(each) for each in files):
        raise DataError(f"{path} does not list files of poses, each with its name and part")
    return content


def _is_file(record: Any) -> bool:
    """Whether a record of the index names a file, whose name leads nowhere else, and its part."""
    if not isinstance(record, Mapping) or record.get("part") not in PARTS or not isinstance(record.get("name"), str):
        return False
    return Path(record["name"]).name == record["name"] not in ("", "..")


def read_samples(path: Path) -> Tensor:
    """Poses [M, 21, 4], w >= 0, of a samples file, ours or a published one. Raises MissingFileError or DataError."""
    body = load_archive(path).get("pose_body")
    if body is None or body.dtype.kind != "f" or body.ndim != 2 or body.shape[1] < _OF_POSES:
        raise DataError(f"{path} holds no pose_body [M, 69], axis-angles of SMPL's body joints")
    if not np.isfinite(body).all():
        raise DataError(f"{path} holds NaN or infinite angles")
    turns = torch.from_numpy(body[:, :_OF_POSES].astype(np.float32)).view(-1, JOINTS, 3)
    quaternions = axis_angle_to_quaternion(turns)
    return torch.where(quaternions[..., :1] < 0, -quaternions, quaternions)


def read_pairs(path: Path) -> Pairs:
    """The training pairs of a file; levels are NaN in a published one. Raises MissingFileError or DataError."""
    content = load_archive(path)
    poses, distances, found = (_values(content, name, path) for name in ("pose", "dist", "nn_pose"))
    levels = content.get("level", np.full(len(poses), np.nan, np.float32))
    k = distances.shape[1] if distances.ndim == 2 else 0
    shapes = (poses.shape[1:], found.shape[1:])
    if not k or shapes != ((JOINTS, 4), (k, JOINTS, 4)) or levels.shape != (len(poses),):
        raise DataError(f"{path} holds no pose [N, {JOINTS}, 4], dist [N, k] and nn_pose [N, k, {JOINTS}, 4]")
    if not len(poses) == len(distances) == len(found):
        raise DataError(f"{path}: pose, dist and nn_pose are not of the same number of rows")
    return Pairs(poses, distances, found, torch.from_numpy(levels.astype(np.float32)))


def _values(content: Mapping[str, np.ndarray], name: str, path: Path) -> Tensor:
    """An array of finite numbers of an archive. Raises DataError."""
    values = content.get(name)
    if values is None or values.dtype.kind != "f" or not values.ndim:
        raise DataError(f"{path} holds no numbers called {name}")
    if not np.isfinite(values).all():
        raise DataError(f"{path} holds NaN or infinite numbers in {name}")
    return torch.from_numpy(values.astype(np.float32))
