"""`<stem>_smpl_params.npy`: a pickled dict of arrays, the published layout of SMPL parameters and vertices.

L frames, 24 joints in SMPL's order; y up, right-handed, metres, the floor where the motion has it.

- `motion` float32 [25, 6, L]: the joints' local rotations, each the first two ROWS of its matrix one after the other
  (not columns, as in HumanML3D); row 24 is [x, y, z, 0, 0, 0], where the pelvis stands
- `thetas` [24, 6, L]: rows 0 to 23 of it; `root_translation` [3, L]: the pelvis again (SMPL's `transl` plus its place
  in rest)
- `vertices` float32 [V, 3, L] in the world, `faces` uint32 [F, 3], `text` a string, `length` L
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.formats.checks import check_motion
from utils.formats.export_format import Format, Look, single
from utils.formats.smpl_motion import smpl_rotations
from utils.geometry.body import BodyMotion, vertices_of
from utils.geometry.kinematics import forward
from utils.geometry.motion import Motion
from utils.geometry.rest import rest_joints, rest_offsets
from utils.geometry.rotations import matrix_to_rotation_6d, rotation_6d_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.run.arrays import load_array, save_dict
from utils.run.errors import DataError, NumericError

_ARRAYS = ("motion", "thetas", "root_translation", "vertices", "faces")


def write(path: str | Path, motion: BodyMotion) -> None:
    """Write a clip, atomically. Raises UsageError for a body without SMPL's joints, DataError or NumericError."""
    check_motion(motion, path)
    vertices = vertices_of(motion).transpose(1, 2, 0)
    if not np.isfinite(vertices).all():
        raise NumericError(f"the mesh of {motion.name or motion.body.name} is not finite, so {path} was not written")
    rows = parameters(motion)
    content = {
        "motion": np.ascontiguousarray(rows),
        "thetas": np.ascontiguousarray(rows[:24]),
        "root_translation": np.ascontiguousarray(rows[24, :3]),
        "vertices": np.ascontiguousarray(vertices),
        "faces": np.asarray(motion.body.faces, np.uint32),
        "text": motion.text,
        "length": len(motion.root),
    }
    save_dict(path, content)


def parameters(motion: BodyMotion) -> np.ndarray:
    """Rotations and pelvis [25, 6, T]: rows 0 to 23 as the first two ROWS of their matrices, row 24 [x, y, z, 0, 0, 0].

    Raises UsageError for a body without SMPL's joints.
    """
    rows = matrix_to_rotation_6d(torch.from_numpy(smpl_rotations(motion)).mT).numpy()  # [T, 24, 6]
    root = np.pad(motion.root.astype(np.float32), ((0, 0), (0, 3)))
    return np.concatenate([rows, root[:, None]], 1).transpose(1, 2, 0)


def read(path: str | Path) -> dict[str, Any]:
    """The content of such a file, its shapes and numbers checked. Raises MissingFileError or DataError."""
    return _checked(load_array(path), path)


def _checked(holder: np.ndarray, path: str | Path) -> dict[str, Any]:
    """What `read` returns of the array that a file holds. Raises DataError."""
    content = holder.item() if holder.dtype == object and holder.ndim == 0 else None
    if not isinstance(content, dict) or not all(isinstance(content.get(name), np.ndarray) for name in _ARRAYS):
        raise DataError(f"{path} does not hold the arrays {', '.join(_ARRAYS)} of SMPL parameters")
    length, vertices, faces = content.get("length"), content["vertices"], content["faces"]
    if not isinstance(length, int | np.integer) or length < 1 or not isinstance(content.get("text"), str):
        raise DataError(f"{path} says no text and no length of at least 1")
    shapes = {name: content[name].shape for name in _ARRAYS}
    wanted = {
        "motion": (25, 6, length),
        "thetas": (24, 6, length),
        "root_translation": (3, length),
        "vertices": (*vertices.shape[:1], 3, length),
        "faces": (*faces.shape[:1], 3),
    }
    if shapes != wanted:
        name = next(name for name in _ARRAYS if shapes[name] != wanted[name])
        raise DataError(f"{path} has {name} {shapes[name]} for {length} frames, where {wanted[name]} was expected")
    for name in _ARRAYS[:4]:
        if content[name].dtype.kind != "f" or not np.isfinite(content[name]).all():
            raise DataError(f"{path}: {name} is {content[name].dtype} and not made of finite numbers")
    if faces.dtype.kind not in "iu" or (len(faces) and (faces.min() < 0 or faces.max() >= len(vertices))):
        raise DataError(f"{path} has faces of vertices that it does not hold ({len(vertices)})")
    return content


def clip_of(holder: np.ndarray, path: str | Path, fps: float) -> Motion:
    """The clip of the array that such a file holds, as joints and rotations.

    It says no rate, so `fps` does, and no bones: they are a mean body's. Raises DataError.
    """
    content, skeleton = _checked(holder, path), SKELETONS["smpl24"]
    rows = torch.from_numpy(content["thetas"].transpose(2, 0, 1).astype(np.float64))
    rotations = rotation_6d_to_matrix(rows).mT
    root = torch.from_numpy(content["root_translation"].T.astype(np.float64))
    positions, _ = forward(rotations, rest_offsets().double(), skeleton.parents, root)
    text = content["text"]
    return Motion(
        positions.float().numpy(), fps, skeleton.joints, skeleton.parents, rotations.float().numpy(), Path(path).stem,
        rest=rest_joints().numpy(), texts=(text,) if text else (), source=str(path),
        note=f"its bones got the lengths of a mean body; it names no rate: {fps:g} frames a second were taken",
    )  # fmt: skip


def _look(found: dict[str, Any], motion: BodyMotion, number: int) -> Look:
    vertices = found["vertices"].transpose(2, 0, 1)
    return len(vertices), vertices, vertices_of(motion)


FORMAT = Format("_smpl_params.npy", single(write), read, _look, need=smpl_rotations)
