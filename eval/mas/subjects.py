"""What is compared: real motion, predictions of other programs, a 2D model, MAS and its ablations, and a clip put flat.

A set of motions is [N, T, J, 2 or 3] in the units of the dataset with lengths [N]; 3D in the camera frame, or rotated.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.common.order import epoch_order
from data_loaders.options import DataOptions
from data_loaders.points.keypoints import denormalise
from data_loaders.points.projections import ProjectedDataset, drawn_windows, rotate_y, see
from data_loaders.registry import DatasetSpec, load_dataset
from eval.common.held_out import held_out_part
from eval.common.work import Arrays
from eval.options import PREDICTIONS
from sample.common.plain import sample_plain
from sample.common.session import Request, Session
from sample.multiview.sampling import sample_3d
from sample.options import MasOptions
from utils.run.arrays import load_array
from utils.run.errors import DataError, MissingFileError, NumericError
from utils.run.randomness import key_of, numpy_rng, seeded

ANGLES = {"uniform": (-math.pi, math.pi), "side": (math.pi / 2, math.pi / 2), "hybrid": (math.pi / 4, 3 * math.pi / 4)}
TORSO = 7  # of the 17 joints of the predictions; the dataset has the others
PREDICTED_STRIDE = 2
# How the programs' frames become the dataset's: what y and all lengths are multiplied by.
PREDICTED_SIGN_AND_SCALE = {"motionBert": (-1.0, 1.7), "ElePose": (1.0, 1.0)}


@dataclass(frozen=True)
class Motions:
    """A set: `points` [N, T, J, 2 or 3], zero beyond `lengths` [N]."""

    points: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)


def load_real(spec: DatasetSpec, data: DataOptions, split: str, count: int, compat: str, seed: int) -> Any:
    """The real motions of a part, unvaried but for their views. Raises DataError if they are too few."""
    views = ("facing_aug",) if spec.seen_from_3d else ()
    data = dataclasses.replace(data, data_split=split, data_augmentations=views, data_size=None)
    with held_out_part(spec, data.datapath) if split == "test" else contextlib.nullcontext():
        dataset = load_dataset(spec, data, compat, seed)
    if not isinstance(dataset, ProjectedDataset) and len(dataset) < count:
        raise DataError(
            f"the {split} part of {spec.folder(data.datapath)} holds {len(dataset)} motions, fewer than "
            f"--eval_num_samples {count}: lower that"
        )
    return dataset


def real_motions(dataset: Any, count: int, seed: int, truth: str, longest: int | None) -> Motions:
    """`count` real motions by the draws of `seed`: 2D as the dataset has them, or with `truth` 3d as they are.

    Of 3D clips these are windows, drawn by the clips' shares of an epoch; else each motion comes once.
    """
    if isinstance(dataset, ProjectedDataset):
        windows = drawn_windows(dataset, count, seed)
        view = functools.partial(see, spec=dataset.spec) if truth == "2d" else rotate_y
        return cut(view(windows["points"], windows["azimuth"]), windows["lengths"], longest)
    chosen = epoch_order(seed, 0, len(dataset))[:count].tolist()
    batch = dataset.batch(chosen, lambda position: numpy_rng(seed, "real", position))
    frames = min(longest or math.inf, dataset.spec.crop[1] if dataset.spec.crop else math.inf)
    return cut(denormalise(batch["motion"], dataset.mean, dataset.std), batch["lengths"], frames)


def cut(points: Tensor, lengths: Tensor, longest: float | None = None) -> Motions:
    """Motions of at most `longest` frames, zero beyond their lengths."""
    lengths = lengths.clamp(max=int(min(longest or math.inf, points.shape[1])))
    points = points[:, : int(lengths.max())]
    return Motions(points * (torch.arange(points.shape[1]) < lengths[:, None])[..., None, None], lengths)


def load_predictions(spec: DatasetSpec, subject: str, datapath: str, count: int) -> list[Tensor]:
    """A program's predictions, each [T, J, 3] as the dataset has its joints, in the order of their names.

    Raises MissingFileError if they are not there, DataError if they are fewer than `count` or something else.
    """
    folder = spec.folder(datapath) / PREDICTIONS[subject]
    files = sorted(folder.glob("*.npy"))
    if not files:
        raise MissingFileError(
            f"{folder} holds no predictions [frames, 17, 3] of {subject} (.npy): put them there, or leave "
            f"{subject} out of --subjects"
        )
    if len(files) < count:
        raise DataError(f"{folder} holds {len(files)} predictions, fewer than --eval_num_samples {count}: lower that")
    return [_prediction(path, subject) for path in files]


def _prediction(path: Path, subject: str) -> Tensor:
    sign, scale = PREDICTED_SIGN_AND_SCALE[subject]
    points = load_array(path)
    if points.ndim != 3 or points.shape[1:] != (17, 3) or not len(points) or points.dtype.kind not in "fiu":
        raise DataError(f"{path} must hold numbers [frames, 17, 3], not {points.dtype} {points.shape}")
    if not np.isfinite(points).all():
        raise DataError(f"{path} holds NaN or infinity in frame {np.argwhere(~np.isfinite(points))[0][0]}")
    points = np.delete(points[::PREDICTED_STRIDE], TORSO, axis=1).astype(np.float32)
    return torch.from_numpy(points * np.array([scale, sign * scale, scale], np.float32))


def predicted(clips: Sequence[Tensor], count: int, seed: int) -> Motions:
    """`count` of the predictions by the draws of `seed`."""
    chosen = [clips[k] for k in numpy_rng(seed, "predictions").permutation(len(clips))[:count]]
    lengths = torch.tensor([len(clip) for clip in chosen])
    return Motions(torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True), lengths)


def generate(session: Session, request: Request, subject: str, options: MasOptions) -> Arrays:
    """Samples of the model (`model`: 2D), of MAS or of an ablation of it (3D) for a request: `points` and `lengths`.

    Raises NumericError for what is not finite.
    """
    if session.compat.global_draws:
        seed = key_of(session.run.seed, subject, request.first) % 2**32
        np.random.seed(seed)  # noqa: NPY002
        with seeded(seed):
            points = _sampled(session, request, subject, options)
    else:
        points = _sampled(session, request, subject, options)
    if not torch.isfinite(points).all():
        raise NumericError(f"{subject} made motions that hold NaN or infinity")
    return {"points": points.numpy().astype(np.float32), "lengths": request.lengths.numpy()}


def _sampled(session: Session, request: Request, subject: str, options: MasOptions) -> Tensor:
    if subject == "model":
        return sample_plain(session, request)
    if subject.startswith("dreamfusion"):
        # As published: a distillation looks from one view at a time.
        options = dataclasses.replace(options, num_views=1)
    return sample_3d(session, request, options, subject)


def flat(motions: Motions, spec: DatasetSpec) -> Motions:
    """2D motions as 3D ones in the plane of the picture: what lifting must beat."""
    points = torch.nn.functional.pad(motions.points * spec.visualization_scale, (0, 1))
    return Motions(points, motions.lengths)


def projected(motions: Motions, spec: DatasetSpec, seed: int, truth: str, angle_mode: str) -> Motions:
    """3D motions as the evaluator takes them: each projected, or with `truth` 3d rotated, by an angle of its own."""
    low, high = ANGLES["uniform" if truth == "3d" else angle_mode]
    azimuth = torch.from_numpy(numpy_rng(seed, "angles").uniform(low, high, len(motions))).float()
    view: Callable[[Tensor, Tensor], Tensor] = functools.partial(see, spec=spec) if truth == "2d" else rotate_y
    return cut(view(motions.points, azimuth), motions.lengths)
