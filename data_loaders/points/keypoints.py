"""2D keypoint motions of one folder: read, checked, masked, normalised, and handed out in batches.

On disk: `<datapath>/motions/<name>.npy`, [frames, J, 3] = x, y (up), confidence. In memory: (xy - mean) / std, per
joint and coordinate, and a mask that is 1 where a joint was seen (MAS, Kapon et al. 2023, section 4 and its loaders).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from data_loaders.common.splits import names_of_part
from data_loaders.options import DataOptions
from data_loaders.points.augment import crop_window, scaled, shifted
from data_loaders.registry import DatasetSpec
from utils.run.arrays import load_array
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.project import ROOT

Points = TypeVar("Points", np.ndarray, torch.Tensor)
AUGMENTATIONS = ("length_aug", "scale_aug", "shift_aug")
LARGEST = 1e12  # of numbers in motion: what is larger is damage, and leads to infinity


def _like(x: Points, value: Any) -> Any:
    return torch.as_tensor(value, dtype=x.dtype, device=x.device) if isinstance(x, torch.Tensor) else value


def normalise(x: Points, mean: Any, std: Any) -> Points:
    """(x - mean) / std for points [..., J, 2] or features [..., F] in data units; numpy or torch, in and out."""
    return (x - _like(x, mean)) / _like(x, std)


def denormalise(x: Points, mean: Any, std: Any) -> Points:
    """x * std + mean: normalised points or features back in data units; numpy or torch, in and out."""
    return x * _like(x, std) + _like(x, mean)


def trajectory(motion: Any, spec: DatasetSpec) -> Any:
    """The (x, z) path [..., T, 2] of a 3D motion [..., T, J, 3]: the mean over the joints in `spec.trajectory`."""
    return motion[..., list(spec.trajectory), :][..., [0, 2]].mean(-2)


def load_stats(spec: DatasetSpec, datapath: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and Std, [J, 2] in data units or [F]: those of the folder, else the published ones.

    Where the family needs none they are 0 and 1. Raises MissingFileError or DataError.
    """
    shape = spec.family.frame_shape(len(spec.skeleton.joints))
    folder = Path(datapath)
    if not any((folder / name).is_file() for name in ("Mean.npy", "Std.npy")):
        if not spec.family.standardised:
            return np.zeros(shape, np.float32), np.ones(shape, np.float32)
        folder = ROOT / "data_loaders" / "stats" / spec.name
        if not folder.is_dir():
            raise MissingFileError(f"Mean.npy and Std.npy of {spec.name} are needed: put them into {datapath}")
    return read_stats(folder, shape)


def read_stats(folder: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean.npy and Std.npy of a folder, of this shape. Raises MissingFileError or DataError."""
    mean, std = load_array(folder / "Mean.npy"), load_array(folder / "Std.npy")
    for name, value in (("Mean.npy", mean), ("Std.npy", std)):
        if value.shape != shape or value.dtype.kind not in "fiu" or not np.isfinite(value).all():
            raise DataError(
                f"{folder / name} must hold finite numbers of shape {shape}, not {value.dtype} {value.shape}"
            )
    if std.min() <= 0:
        raise DataError(f"{folder / 'Std.npy'} must be positive; its smallest value is {std.min():g}")
    if std.min() < 1 / LARGEST or max(np.abs(mean).max(), std.max()) > LARGEST:
        raise DataError(f"{folder} holds a Mean.npy or Std.npy with numbers too large, or too small, for motion")
    return mean, std


def chosen_augmentations(spec: DatasetSpec, options: DataOptions, known: Sequence[str]) -> tuple[str, ...]:
    """The variations that the options name. Raises UsageError for one that is not `known` to the dataset's loader."""
    chosen = tuple(name for name in options.data_augmentations if name)
    for name in chosen:
        if name not in known:
            raise UsageError(f"{spec.name} cannot be varied by {name}; choose from {', '.join(known)}")
    return chosen


def motion_files(spec: DatasetSpec, datapath: str | Path) -> dict[str, Path]:
    """The motion files of a dataset folder by name (the file name up to its first dot), sorted.

    Raises MissingFileError if there are none, DataError if two share a name.
    """
    folder = Path(datapath) / "motions"
    paths = sorted(path for path in folder.glob("*.npy") if not path.name.startswith("."))
    if not paths:
        state = "holds no .npy files" if folder.is_dir() else "does not exist"
        raise MissingFileError(
            f"{folder} {state}; dataset/README.md says where the {spec.name} motions are found, `python -m "
            "prepare.check` what is wrong with a folder, `python -m prepare.toy_motion` makes a small dataset to try"
        )
    files: dict[str, Path] = {}
    for path in paths:
        name = path.name.split(".")[0]
        if name in files:
            raise DataError(f"{files[name]} and {path.name} share the name {name!r} (a name ends at its first dot)")
        files[name] = path
    return files


def read_points(path: Path, spec: DatasetSpec) -> np.ndarray:
    """One motion file as stored, [frames, J, 3] x, y, confidence. Raises DataError unless it is whole and finite."""
    points = load_array(path)
    joints = len(spec.skeleton.joints)
    if points.dtype.kind not in "fiu":
        raise DataError(f"{path} holds {points.dtype} values, not numbers")
    if points.ndim != 3 or points.shape[2] != 3:
        raise DataError(f"{path} has shape {points.shape}; a motion is [frames, {joints}, 3] (x, y, confidence)")
    if points.shape[1] != joints:
        raise DataError(f"{path} has {points.shape[1]} joints; {spec.name} has {joints}")
    if not len(points):
        raise DataError(f"{path} holds no frames")
    if not np.isfinite(points).all():
        frame, joint, channel = np.argwhere(~np.isfinite(points))[0]
        where = f"{'xyc'[channel]} of joint {spec.skeleton.joints[joint]} in frame {frame}"
        raise DataError(f"{path} is not finite: {where} is {points[frame, joint, channel]}")
    if np.abs(points).max() > LARGEST:
        raise DataError(f"{path} holds numbers up to {np.abs(points).max():g}, too large for a position")
    return points


def seen_points(points: np.ndarray, spec: DatasetSpec) -> tuple[np.ndarray, np.ndarray]:
    """Positions [T, J, 2] at the dataset's frame rate and mask [T, J] (1: seen) of a stored motion [frames, J, 3]."""
    stride = round(spec.source_fps / spec.fps) if spec.source_fps else 1
    points = points[::stride]
    xy = points[..., :2]
    mask = (points[..., 2] >= spec.confidence_threshold).astype(np.float32)
    if spec.ball >= 0:
        centre = np.delete(xy, spec.ball, axis=1).mean(1)
        mask[:, spec.ball] *= np.linalg.norm(xy[:, spec.ball] - centre, axis=-1) < spec.ball_distance
    return xy, mask


@dataclass(frozen=True)
class PointDataset:
    """Motions [T, J, 2], normalised, and masks [T, J], both float32; `mean`, `std` [J, 2] lead back to data units."""

    spec: DatasetSpec
    names: list[str]
    motions: list[np.ndarray]
    masks: list[np.ndarray]
    mean: np.ndarray
    std: np.ndarray
    augmentations: tuple[str, ...] = ()
    scale_aug_std: float = 0.0
    shift_aug_std: float = 0.0
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.motions)

    def item(self, index: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Motion [T, J, 2] and mask [T, J] of one sample, varied by draws from `rng`: length, scale, shift."""
        motion, mask = self.motions[index], self.masks[index]
        if "length_aug" in self.augmentations:
            window = crop_window(len(motion), self.spec.crop, rng)
            motion, mask = motion[window], mask[window]
        if "scale_aug" in self.augmentations or "shift_aug" in self.augmentations:
            motion = denormalise(motion, self.mean, self.std)
            if "scale_aug" in self.augmentations:
                motion = scaled(motion, self.scale_aug_std, rng)
            if "shift_aug" in self.augmentations:
                motion = shifted(motion, self.shift_aug_std, rng)
            motion = normalise(motion, self.mean, self.std).astype(np.float32)
        return motion, mask

    def batch(self, indices: Sequence[int], rng_of: Callable[[int], np.random.RandomState]) -> dict[str, torch.Tensor]:
        """The samples `indices` as one batch; sample k of it (0 .. B-1) is varied by draws from `rng_of(k)`.

        Returns motion [B, T, J, 2] (zero after each sample's end), mask [B, T, J, 1] (1 where a frame exists and its
        joint was seen), both float32, lengths [B] and action [B] (-1: none), both int64.
        """
        items = [self.item(int(index), rng_of(k)) for k, index in enumerate(indices)]
        lengths = [len(motion) for motion, _ in items]
        shape = (len(items), max(lengths), len(self.spec.skeleton.joints))
        motions, masks = np.zeros((*shape, 2), np.float32), np.zeros((*shape, 1), np.float32)
        for k, (motion, mask) in enumerate(items):
            motions[k, : len(motion)] = motion
            masks[k, : len(motion), :, 0] = mask
        return {
            "motion": torch.from_numpy(motions),
            "mask": torch.from_numpy(masks),
            "lengths": torch.tensor(lengths, dtype=torch.int64),
            "action": torch.full((len(items),), -1, dtype=torch.int64),
        }


def load(
    spec: DatasetSpec, options: DataOptions, compat: str = "none", seed: int = 0, stats: Path | None = None
) -> PointDataset:
    """The part `options.data_split` of a 2D dataset, normalised by the Mean and Std of the folder `stats` (its own).

    `compat="published"` takes the published split, and its shuffled order by `seed`; the default order is that of the
    names. Raises MissingFileError, DataError or UsageError with the file and the value in question.
    """
    augmentations = chosen_augmentations(spec, options, AUGMENTATIONS)
    datapath = spec.folder(options.datapath)
    mean, std = load_stats(spec, stats or datapath)
    motions, masks = {}, {}
    for name, xy, mask in read_part(spec, datapath, options.data_split, options.data_size, compat, seed):
        motions[name] = normalise(xy, mean, std).astype(np.float32)
        masks[name] = mask
    names = list(motions) if compat == "published" else sorted(motions)
    return PointDataset(
        spec=spec,
        names=names,
        motions=[motions[name] for name in names],
        masks=[masks[name] for name in names],
        mean=mean.astype(np.float32),
        std=std.astype(np.float32),
        augmentations=augmentations,
        scale_aug_std=options.scale_aug_std,
        shift_aug_std=options.shift_aug_std,
    )


def read_part(
    spec: DatasetSpec, datapath: Path, split: str, data_size: int | None = None, compat: str = "none", seed: int = 0
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(name, positions [T, J, 2] in data units, mask [T, J]) of at most `data_size` motions of a part, in load order.

    Motions shorter than the dataset's minimum are passed over. Raises DataError if none is left.
    """
    if data_size is not None and data_size < 1:
        raise UsageError(f"--data_size must be at least 1, not {data_size}")
    files = motion_files(spec, datapath)
    part = names_of_part(list(files), datapath, split, seed if compat == "published" else None)
    motions: list[tuple[str, np.ndarray, np.ndarray]] = []
    for name in part:
        if len(motions) == data_size:
            break
        points = read_points(files[name], spec)
        if len(points) >= spec.minimum_length:
            motions.append((name, *seen_points(points, spec)))
    if not motions:
        short = f", {len(part)} of them too short (< {spec.minimum_length} frames)" if part else ""
        raise DataError(
            f"the {split} part of {datapath} is empty: {len(files)} motions in all{short}; add motions, or choose the "
            "parts in split.json (dataset/README.md)"
        )
    return motions
