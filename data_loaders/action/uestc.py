"""UESTC (Ji et al. 2018) in the VIBE poses of Petrovich et al. (2021): 40 actions, 51 training and 67 test subjects.

On disk, in `<datapath>`: `vibe_cache_refined.pkl`, a dict of lists with one entry a clip: `pose` [T, 72] (axis-angle of
24 SMPL joints), `joints3d` [T, 49, 3] (metres) and `orig_cam` [T, 4]; `info/names.txt`, the clips' names
`a<action>_d<view>_p<subject>_c<side>_color.avi`; `info/num_frames_min.txt`, how many frames of each count;
`info/action_classes.txt`, the names of the actions. Clips of side 1 were seen from the front; the others are turned by
the angle of their view, view 8 of theirs has none and is left out.
"""

import contextlib
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_loaders.action import windows as actions
from data_loaders.action.windows import ActionDataset, Clip
from data_loaders.options import DataOptions
from data_loaders.registry import DatasetSpec
from utils.geometry.rotations import about_axis, axis_angle_to_matrix, matrix_to_axis_angle
from utils.run.arrays import load_pickle
from utils.run.errors import DataError, UsageError
from utils.run.files import atomic_write, read_text

AUGMENTATIONS = actions.AUGMENTATIONS
TRAIN_SUBJECTS = frozenset((
    1, 2, 6, 12, 13, 16, 21, 24, 28, 29, 30, 31, 33, 35, 39, 41, 42, 45, 47, 50, 52, 54, 55, 57, 59, 61, 63, 64, 67, 69,
    70, 71, 73, 77, 81, 84, 86, 87, 88, 90, 91, 93, 96, 99, 102, 103, 104, 107, 108, 112, 113,
))  # fmt: skip
SUBJECTS = 118
SHORTEST = 0.75  # part of a window that a clip of training must fill
ROOT = 8  # the middle of the hips among VIBE's joints
FOCAL, IMAGE = 500, 540  # pixels: focal length and image size that the depth is taken from
_NAME = re.compile(r"a(\d+)_d(\d+)_p(\d+)_c(\d+)(_|$)")


def load(spec: DatasetSpec, options: DataOptions, compat: str = "none", seed: int = 0, **extra: Any) -> ActionDataset:
    """The clips of the part `options.data_split` (train or test) as windows of `options.num_frames`.

    Training clips that fill less than three quarters of a window are passed over, as are clips without frames. Raises
    MissingFileError, DataError or UsageError with the file and the value in question.
    """
    if options.data_split == "val":
        raise UsageError("--data_split val: uestc has none; choose from train, test")
    frames = actions.window_frames(spec, options)
    path = actions.dataset_file(spec, options, "vibe_cache_refined.pkl")
    names, counts = _lines(spec, options, "names.txt"), _frame_counts(spec, options)
    poses, joints, cameras = actions.columns(path, load_pickle(path), ("pose", "joints3d", "orig_cam"))
    if not len(names) == len(counts) == len(poses):
        raise DataError(
            f"{path} holds {len(poses)} clips, info/names.txt {len(names)} and info/num_frames_min.txt {len(counts)}"
        )
    paths = camera_paths(path.parent, cameras)
    counts = [min(count, len(pose)) for count, pose in zip(counts, poses, strict=True)]
    clips = []
    for i in _part(names, counts, frames, options):
        action, view, _, side = _parsed(names[i])
        where = f"{path}: {names[i]}"
        root = actions.root_path(where, joints[i], ROOT)
        if np.shape(paths[i]) != root.shape:
            raise DataError(f"{where}: the joints have {len(root)} frames, the camera's path is {np.shape(paths[i])}")
        clip = actions.checked_clip(where, spec, poses[i][: counts[i]], (root + paths[i])[: counts[i]], action)
        clips.append(clip if side == 1 else rotate_to_front(clip, view))
    return ActionDataset(spec, clips, frames, _action_names(spec, options))


def rotate_to_front(clip: Clip, view: int) -> Clip:
    """The clip as if it had been seen from the front: rotated about y by -45 degrees times its view."""
    turn = about_axis("Y", torch.tensor(-view * torch.pi / 4))
    poses, path = torch.from_numpy(clip.poses.copy()), torch.from_numpy(clip.path)
    poses[:, 0] = matrix_to_axis_angle(turn @ axis_angle_to_matrix(poses[:, 0]))
    return Clip(poses.numpy(), (path @ turn.T).numpy(), clip.label)


def camera_paths(folder: Path, cameras: list[np.ndarray]) -> list[np.ndarray]:
    """How the body moves before its camera, [T, 3] a clip: `globtrans_usez.pkl`, which is made where it is missing.

    Raises DataError if the file and the clips disagree.
    """
    path = folder / "globtrans_usez.pkl"
    if not path.is_file():
        paths = [camera_path(camera) for camera in cameras]
        # A folder that may not be written to is no reason to stop: the file saves a few seconds.
        with contextlib.suppress(OSError), atomic_write(path) as handle:
            pickle.dump(paths, handle)
        return paths
    paths = load_pickle(path)
    if not isinstance(paths, list) or len(paths) != len(cameras):
        raise DataError(f"{path} does not hold one path for each of {len(cameras)} clips; remove it, it is made anew")
    return paths


def camera_path(camera: np.ndarray) -> np.ndarray:
    """The way [T, 3] since the first frame from a weak-perspective camera [T, 4] (scale x, scale y, x, y).

    The depth is the one at which a camera of focal length `FOCAL` shows the body as large (pixels of the image).
    """
    if camera.ndim != 2 or camera.shape[1] != 4 or camera.dtype.kind != "f":
        raise DataError(f"orig_cam of a clip is {camera.dtype} {camera.shape}, not [frames, 4] floats")
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is refused with its clip
        path = np.stack([camera[:, 2], camera[:, 3], FOCAL / (camera[:, 0] * IMAGE / 2)], -1)
        return path - path[:1]


def _parsed(name: str) -> tuple[int, int, int, int]:
    """Action, view, subject and side of a clip's name. Raises DataError."""
    match = _NAME.match(name)
    if match is None:
        raise DataError(f"info/names.txt: {name!r} is not a<action>_d<view>_p<subject>_c<side>_color.avi")
    action, view, subject, side = (int(number) for number in match.groups()[:4])
    if not 1 <= subject <= SUBJECTS or not 0 <= view <= 8:
        raise DataError(f"info/names.txt: {name!r}: subjects go from 1 to {SUBJECTS}, views from 0 to 8")
    return action, view, subject, side


def _part(names: list[str], counts: list[int], frames: int, options: DataOptions) -> list[int]:
    """The clips of a part: their subject is in it, they can be turned to the front and are long enough.

    Raises DataError if there are none.
    """
    training = options.data_split == "train"
    least = max(1, SHORTEST * frames) if training else 1
    part = []
    for i, (name, count) in enumerate(zip(names, counts, strict=True)):
        _, view, subject, side = _parsed(name)
        if (subject in TRAIN_SUBJECTS) == training and (side == 1 or view != 8) and count >= least:
            part.append(i)
    if not part:
        raise DataError(f"the {options.data_split} part of uestc has no clip of at least {least:g} frames")
    return [part[k] for k in actions.chosen(len(part), options.data_size)]


def _lines(spec: DatasetSpec, options: DataOptions, name: str) -> list[str]:
    return read_text(actions.dataset_file(spec, options, f"info/{name}"), otherwise="latin-1").splitlines()


def _frame_counts(spec: DatasetSpec, options: DataOptions) -> list[int]:
    lines = _lines(spec, options, "num_frames_min.txt")
    if wrong := [line for line in lines if not line.strip().isdecimal()]:
        raise DataError(f"info/num_frames_min.txt holds {wrong[0]!r}, which is no number of frames")
    return [int(line) for line in lines]


def _action_names(spec: DatasetSpec, options: DataOptions) -> tuple[str, ...]:
    """The actions as the folder spells them. Raises DataError if it has another number of them."""
    names = tuple(_lines(spec, options, "action_classes.txt"))
    if len(names) != len(spec.actions):
        raise DataError(f"info/action_classes.txt names {len(names)} actions; uestc has {len(spec.actions)}")
    return names
