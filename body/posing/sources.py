"""Poses as files hold them: arrays of quaternions or axis-angles, clips of AMASS, and motion of any other reader.

Quaternions: `.npz` with `pose_body` or `pose` [N, 21, 4] (Pose-NDF's), `.npy` [N, 21, 4]; axis-angles: `pose_body`
[N, 63 or 69] (Pose-NDF's samples, HuMoR's observations). Anything else is read as motion; its own local rotations count
where it has any that are told against SMPL's T, else those of a body that is fitted to its joints.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from body.from_joints import Say, bodies_of, read_clips
from body.models import load_body
from body.options import BodyOptions
from body.posing.bodies import standing_bodies
from model.poses.pose_ndf import JOINTS, canonical
from model.poses.projection import unit_quaternions
from utils.formats import smpl_motion
from utils.formats.reading import READERS
from utils.geometry.body import BodyMotion
from utils.geometry.human import to_smpl22
from utils.geometry.motion import Motion
from utils.geometry.rotations import axis_angle_to_quaternion, matrix_to_quaternion
from utils.geometry.skeleton import SKELETONS
from utils.run.arrays import array_names, load_archive, load_array
from utils.run.errors import DataError, MissingFileError, PolykineError, UsageError

KEYS = ("pose_body", "pose")
_LEAST = 0.1  # length of a quaternion that points somewhere
_LONGER, _ROUNDED = 0.02, 1e-4  # by which lengths may differ from 1 in files, and by which it is rounding
_SWAPPED = 0.2  # by which the last numbers are larger than the first where files say them in the other order


@dataclass(frozen=True)
class Poses:
    """Poses [T, 21, 4] of one clip, w >= 0 and of length 1, and where they come from.

    `kind`: `quaternions` or `axis_angles` under `key` in an archive ("" of a .npy file), `amass`, or `motion`, whose
    `clip` it is, `body` being fitted to it where its rotations had to be. `fps` is 0 where the poses are no clip.
    `known` [T, 21] says which joints the file has, where it may lack some as NaN.
    """

    poses: Tensor
    name: str
    kind: str
    path: Path
    key: str = ""
    fps: float = 0.0
    clip: Motion | None = None
    body: BodyMotion | None = None
    known: Tensor | None = None


def read_folder(folder: Path, options: BodyOptions, order: str = "", say: Say = lambda note: None) -> list[Poses]:
    """The poses of all files of motion in a folder and below it, clips named by file; `say` is told what is left out.

    Raises MissingFileError where there are none.
    """
    found, files = list[Poses](), 0
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in READERS):
        try:
            clips = read_poses(replace(options, input_path=str(path)), order)
        except PolykineError as error:
            say(f"note: left out: {error}")
            continue
        stem, files = path.relative_to(folder).with_suffix("").as_posix(), files + 1
        found += [replace(each, name=stem if len(clips) == 1 else f"{stem}: {each.name}") for each in clips]
    if not files:
        raise MissingFileError(f"{folder} holds no file of motion or poses that can be read")
    return found


def read_poses(options: BodyOptions, order: str = "", say: Say = lambda note: None, holes: bool = False) -> list[Poses]:
    """The poses of a file, clip by clip; with `holes` joints of quaternions and axis-angles may be missing, as NaN.

    Raises UsageError, MissingFileError and DataError.
    """
    path = Path(options.input_path)
    if not options.input_path:
        raise UsageError("name the poses with --input_path: a file of quaternions, AMASS or any file of motion")
    names = array_names(path) if path.suffix.lower() == ".npz" else set()
    if path.suffix.lower() == ".npy" and (array := _plain_array(path)) is not None:
        array, known = _mended(array, holes, order)
        return [Poses(unit_poses(array, path, order), path.stem, "quaternions", path, known=known)]
    if not {"poses", "trans", "betas"} <= names and (key := next((key for key in KEYS if key in names), "")):
        return [of_archive(path, key, order, holes)]
    if order:
        raise UsageError(f"--order {order}: {path} is no file of quaternions")
    if {"poses", "trans", "betas"} <= names:
        clip = smpl_motion.read(path, options.input_fps)
        turned = axis_angle_to_quaternion(torch.from_numpy(clip.poses[:, 1:22]).double()).float()
        return [Poses(canonical(turned), path.stem, "amass", path, fps=clip.fps)]
    return [_of_clip(clip, path, options, say) for clip in read_clips(options)]


def body_of(found: Poses, options: BodyOptions, fps: float, say: Say = lambda note: None) -> BodyMotion:
    """A clip on a body, where it was; poses that are no clip stand in one place at `fps`. Raises DataError."""
    if found.kind == "amass":
        return smpl_motion.to_motion(smpl_motion.read(found.path, options.input_fps), load_body(options.body).shaped())
    if found.clip is None:
        return standing_bodies(found.poses, found.name, fps, options.body)
    return found.body or _fitted(found.clip, options, say)


def unit_poses(values: np.ndarray, path: Path, order: str = "") -> Tensor:
    """Quaternions [N, 21, 4] of a file as (w, x, y, z) of length 1. Raises DataError for what are none.

    Where no order is told, numbers that look like x, y, z, w are refused, with the flag that says either.
    """
    if values.dtype.kind not in "fiu" or values.ndim != 3 or values.shape[2] != 4:
        raise DataError(f"{path} holds {values.dtype} {values.shape}; poses are quaternions [N, 21, 4]")
    if values.shape[1] != len(JOINTS):
        raise DataError(
            f"{path} holds poses of {values.shape[1]} joints; a pose is the 21 joints of SMPL from left_hip to "
            "right_wrist, without the pelvis and the hands"
        )
    if not len(values):
        raise DataError(f"{path} holds no poses")
    with np.errstate(over="ignore"):
        poses = torch.from_numpy(values.astype(np.float32))
    lengths = torch.linalg.vector_norm(poses.double(), dim=-1)
    if (wrong := ~(lengths > _LEAST) | ~lengths.isfinite()).any():
        pose, joint = wrong.nonzero()[0].tolist()
        raise DataError(f"{path}: {JOINTS[joint]} of pose {pose} has a quaternion that is zero or not finite")
    if ((lengths - 1).abs() > _LONGER).any():
        pose, joint = ((lengths - 1).abs() > _LONGER).nonzero()[0].tolist()
        raise DataError(
            f"{path}: {JOINTS[joint]} of pose {pose} has a quaternion of length {lengths[pose, joint]:.3g}, not 1, so "
            "it is no rotation"
        )
    first, last = (float(poses[..., part].abs().mean()) for part in (0, 3))
    if not order and last > first + _SWAPPED:
        raise DataError(
            f"{path}: its quaternions look like x, y, z, w (the last number is {last:.2f} on average, the first "
            f"{first:.2f}): say --order xyzw, or --order wxyz if they are as they should be"
        )
    if order == "xyzw":
        poses = poses.roll(1, -1)
    rough = (lengths - 1).abs()[..., None] > _ROUNDED
    return unit_quaternions(torch.where(rough, normalize(poses, dim=-1), poses))


def _plain_array(path: Path) -> np.ndarray | None:
    """The array of a .npy file if it is one of quaternions; None for other files of motion."""
    array = load_array(path)
    return array if array.dtype != object and array.ndim == 3 and array.shape[-1] == 4 else None


def of_archive(path: Path, key: str, order: str, holes: bool = False) -> Poses:
    """Poses under a key of an .npz file."""
    values = load_archive(path, [key])[key]
    if values.ndim == 2 and values.shape[1] in (63, 69) and values.dtype.kind in "fiu":
        turned, known = _mended(values[:, :63].astype(np.float64).reshape(-1, len(JOINTS), 3), holes)
        turns = torch.from_numpy(turned)
        if not turns.isfinite().all() or not len(turns):
            raise DataError(f"{path}: {key} holds no poses, or NaN or infinite numbers")
        poses = canonical(axis_angle_to_quaternion(turns).float())
        return Poses(poses, path.stem, "axis_angles", path, key, known=known)
    values, known = _mended(values, holes, order)
    return Poses(unit_poses(values, path, order), path.stem, "quaternions", path, key, known=known)


def _mended(values: np.ndarray, holes: bool, order: str = "") -> tuple[np.ndarray, Tensor | None]:
    """Rotations [T, 21, 3 or 4] with no turn where joints are missing as NaN, and which are there [T, 21]."""
    if not holes or values.ndim != 3 or values.shape[1] != len(JOINTS) or values.dtype.kind != "f":
        return values, None
    still = np.zeros(values.shape[2], values.dtype)
    if len(still) == 4:
        still[3 if order == "xyzw" else 0] = 1
    missing = np.atleast_2d(np.isnan(values).any(-1))
    return np.where(missing[..., None], still, values), torch.from_numpy(~missing)


def _of_clip(clip: Motion, path: Path, options: BodyOptions, say: Say) -> Poses:
    """The poses of a clip: as recorded, else of a fitted body."""
    try:
        recorded = to_smpl22(clip).rotations if clip.rotations is not None else None
    except DataError:
        recorded = None
    body = _fitted(clip, options, say) if recorded is None else None
    local = recorded if body is None else body.rotations
    poses = matrix_to_quaternion(torch.from_numpy(np.asarray(local, np.float64)[:, 1:22])).float()
    return Poses(poses, clip.name, "motion", path, fps=clip.fps, clip=clip, body=body)


def _fitted(clip: Motion, options: BodyOptions, say: Say) -> BodyMotion:
    """A clip on a body with SMPL's joints. Raises DataError for whoever is no person."""
    motion = bodies_of([clip], options, say)[0]
    if motion.body.joints[:22] != SKELETONS["smpl24"].joints[:22]:
        raise DataError(f"{clip.name} is no person with SMPL's joints, so the pose prior knows nothing of it")
    return motion
