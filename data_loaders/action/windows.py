"""Labelled clips of joint rotations, as windows of one length: what HumanAct12 and UESTC share (Petrovich et al. 2021).

A window is `frames` frames in a row from a random place; a shorter clip is followed by its last frame. The translation
counts from the window's first frame. Features are those of `representations.rot6d`, not normalised, and stand as the
files do: in the frame of a camera (y down, z away).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.options import DataOptions
from data_loaders.points.keypoints import chosen_augmentations
from data_loaders.registry import DatasetSpec
from data_loaders.representations import rot6d
from utils.run.errors import DataError, MissingFileError

AUGMENTATIONS = ()


@dataclass(frozen=True)
class Clip:
    """One recording: poses [T, 24, 3] (axis-angle), the root's path [T, 3] (metres), both float32, and its label."""

    poses: np.ndarray
    path: np.ndarray
    label: int


@dataclass(frozen=True)
class ActionDataset:
    """Windows of `frames` frames of labelled clips; `mean` 0 and `std` 1 [F]: the features are not normalised."""

    spec: DatasetSpec
    clips: list[Clip]
    frames: int
    actions: tuple[str, ...]
    weights: np.ndarray | None = None
    captions: list[str] = field(default_factory=list)

    @property
    def mean(self) -> np.ndarray:
        """What was subtracted from the features [F]: nothing."""
        return np.zeros(self.spec.features, np.float32)

    @property
    def std(self) -> np.ndarray:
        """What the features were divided by [F]: 1."""
        return np.ones(self.spec.features, np.float32)

    def __len__(self) -> int:
        return len(self.clips)

    def window(self, index: int, rng: np.random.RandomState) -> np.ndarray:
        """The frames [frames] of clip `index` that make a sample: in a row, from a place drawn from `rng`."""
        length = len(self.clips[index].poses)
        start = rng.randint(length - self.frames + 1) if length > self.frames else 0
        return np.minimum(start + np.arange(self.frames), length - 1)

    def batch(self, indices: Sequence[int], rng_of: Callable[[int], np.random.RandomState]) -> dict[str, Tensor]:
        """The samples `indices` as one batch; sample k of it (0 .. B-1) is cut where `rng_of(k)` says.

        Returns motion [B, T, 150] and mask [B, T, 1] of ones, float32; lengths [B], action [B] and caption [B] (-1:
        none), int64.
        """
        windows = [self.window(int(index), rng_of(k)) for k, index in enumerate(indices)]
        clips = [self.clips[int(index)] for index in indices]
        poses = np.stack([clip.poses[window] for clip, window in zip(clips, windows, strict=True)])
        path = np.stack([clip.path[window] for clip, window in zip(clips, windows, strict=True)])
        count = (len(clips),)
        return {
            "motion": rot6d.encode(torch.from_numpy(poses), torch.from_numpy(path - path[:, :1])),
            "mask": torch.ones(*count, self.frames, 1),
            "lengths": torch.full(count, self.frames, dtype=torch.int64),
            "action": torch.tensor([clip.label for clip in clips], dtype=torch.int64),
            "caption": torch.full(count, -1, dtype=torch.int64),
        }


def window_frames(spec: DatasetSpec, options: DataOptions) -> int:
    """Frames of a window. Raises UsageError where the options ask for variations, of which there are none."""
    chosen_augmentations(spec, options, AUGMENTATIONS)
    return options.num_frames or spec.max_frames


def dataset_file(spec: DatasetSpec, options: DataOptions, name: str) -> Path:
    """A file of the dataset's folder. Raises MissingFileError."""
    path = spec.folder(options.datapath) / name
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; dataset/README.md says where the {spec.name} motions are found")
    return path


def columns(path: Path, content: Any, arrays: Sequence[str], numbers: Sequence[str] = ()) -> list[list[Any]]:
    """The lists `arrays` and `numbers` of a file's dict, one entry a clip; raises DataError unless they are that."""
    names = [*arrays, *numbers]
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list | np.ndarray) for name in names):
        raise DataError(f"{path} must hold a dict of the lists {', '.join(names)}")
    lists = [list(content[name]) for name in names]
    if len({len(entries) for entries in lists}) > 1:
        sizes = ", ".join(f"{len(entries)} {name}" for name, entries in zip(names, lists, strict=True))
        raise DataError(f"{path} holds lists of different lengths: {sizes}")
    for name, entries in zip(arrays, lists, strict=False):
        if wrong := [i for i, entry in enumerate(entries) if not isinstance(entry, np.ndarray) or not entry.ndim]:
            raise DataError(f"{path}: {name} of clip {wrong[0]} is not an array but {type(entries[wrong[0]]).__name__}")
    return lists


def root_path(where: str, joints: np.ndarray, root: int) -> np.ndarray:
    """The path [T, 3] of joint `root` of joints [T, J, 3]. Raises DataError, which begins with `where`."""
    if joints.ndim != 3 or joints.shape[1] <= root or joints.shape[2] != 3:
        raise DataError(f"{where}: the joints are [frames, {root + 1} or more, 3], not {joints.shape}")
    return joints[:, root]


def checked_clip(where: str, spec: DatasetSpec, poses: np.ndarray, path: np.ndarray, label: Any) -> Clip:
    """A clip from poses [T, 72] and a path [T, 3]. Raises DataError, which begins with `where`, for anything else."""
    for name, value, width in (("poses are", poses, 72), ("path of the root is", path, 3)):
        if value.dtype.kind != "f" or value.shape[1:] != (width,):
            raise DataError(f"{where}: the {name} [frames, {width}] floats, not {value.dtype} {value.shape}")
        if not np.isfinite(value).all():
            raise DataError(f"{where}: the {name} not finite")
    if not len(poses) or len(poses) != len(path):
        raise DataError(f"{where} has {len(poses)} frames of poses and {len(path)} of the root's path")
    if not isinstance(label, int | np.integer) or not 0 <= label < len(spec.actions):
        raise DataError(f"{where}: the action is {label!r}, not a number from 0 to {len(spec.actions) - 1}")
    return Clip(poses.reshape(-1, 24, 3).astype(np.float32), path.astype(np.float32), int(label))


def chosen(count: int, data_size: int | None) -> list[int]:
    """Which of `count` clips to take where at most `data_size` are wanted: spread evenly, as clips lie by action."""
    size = min(count, data_size or count)
    return [i * count // size for i in range(size)]
