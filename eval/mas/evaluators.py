"""Evaluators of 2D motion, and of 3D motion beside real 3D motion: a trained `MotionVAE` with its identity."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_loaders.options import DataOptions
from data_loaders.points.keypoints import denormalise, load_stats, normalise, read_stats
from data_loaders.registry import DatasetSpec, dataset_spec
from model.evaluators.motion_vae import MotionVAE, from_published
from model.options import EvaluatorOptions
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError
from utils.run.options import read_saved

# A CPU goes through a large batch in parts whose activations stay near the core; a GPU wants all that fits.
CPU_FRAMES_AT_ONCE, GPU_FRAMES_AT_ONCE = 2048, 262_144
CHANNELS = {"2d": 2, "3d": 3}


@dataclass(frozen=True)
class Evaluator:
    """A trained evaluator of `truth` 2d or 3d; `mean` and `std` [J, C] are in data units."""

    model: MotionVAE
    mean: Tensor
    std: Tensor
    spec: DatasetSpec
    truth: str
    path: Path
    sha256: str
    device: torch.device
    options: EvaluatorOptions

    @property
    def identity(self) -> dict[str, str]:
        """Who it is: metrics of different evaluators, which differ in `sha256`, are not to be compared."""
        name = f"{self.path.parent.name}/{self.path.stem}"
        return {"name": name, "path": str(self.path), "sha256": self.sha256, "truth": self.truth}

    @torch.no_grad()
    def encode(self, motions: Tensor, lengths: Tensor) -> np.ndarray:
        """The embeddings [N, d], float32, of motions [N, T, J, C] in data units, frames beyond `lengths` [N] ignored.

        Each motion is encoded once, beside others of about its length; the order is kept, and what it is encoded
        beside changes no more than the last bits. Raises DataError for a wrong shape, NumericError for NaN.
        """
        motions, lengths = torch.as_tensor(motions).float().cpu(), torch.as_tensor(lengths).cpu()
        self._check(motions, lengths)
        embeddings = torch.empty(len(motions), self.model.encoder.mu_query.shape[0])
        frames = CPU_FRAMES_AT_ONCE if self.device.type == "cpu" else GPU_FRAMES_AT_ONCE
        for rows in parts_of_like_length(lengths, frames):
            longest = int(lengths[rows].max())
            valid = torch.arange(longest) < lengths[rows, None]
            normalised = normalise(motions[rows, :longest], self.mean, self.std).flatten(2)
            normalised = torch.where(valid[..., None], normalised, 0.0)  # what lies beyond may be anything, NaN too
            mu, _ = self.model.encoder(normalised.to(self.device), lengths[rows].to(self.device))
            embeddings[rows] = mu.float().cpu()
        return embeddings.numpy()

    @torch.no_grad()
    def decode(self, latents: Tensor, lengths: Tensor) -> Tensor:
        """The motions [N, T, J, C] in data units, on the CPU, of latents [N, d], zero beyond `lengths` [N]."""
        longest = int(lengths.max())
        decoded = self.model.decoder(latents.float().to(self.device), longest, lengths.to(self.device)).float().cpu()
        valid = torch.arange(longest) < lengths[:, None]
        points = denormalise(decoded.unflatten(-1, tuple(self.mean.shape)), self.mean, self.std)
        return points * valid[..., None, None]

    def _check(self, motions: Tensor, lengths: Tensor) -> None:
        wanted = tuple(self.mean.shape)
        if motions.dim() != 4 or tuple(motions.shape[2:]) != wanted or len(lengths) != len(motions):
            raise DataError(
                f"motions of shape {tuple(motions.shape)} with {len(lengths)} lengths do not fit {self.path}, "
                f"which takes [N, T, {wanted[0]}, {wanted[1]}] ({self.spec.name}, {self.truth})"
            )
        if len(lengths) and not 1 <= int(lengths.min()) <= int(lengths.max()) <= motions.shape[1]:
            raise DataError(
                f"lengths from {int(lengths.min())} to {int(lengths.max())} frames do not fit motions of "
                f"{motions.shape[1]} frames: 1 to {motions.shape[1]} are allowed"
            )
        valid = torch.arange(motions.shape[1]) < lengths[:, None]
        bad = (~torch.isfinite(motions)).flatten(2).any(-1) & valid
        if bad.any():
            motion, frame = bad.nonzero()[0].tolist()
            raise NumericError(f"motion {motion} holds NaN or infinity in frame {frame}: it cannot be evaluated")


def parts_of_like_length(lengths: Tensor, frames: int) -> list[Tensor]:
    """The indices of `lengths` [N] in parts of at most so many frames, each as long as its longest; one at least.

    The longest come first.
    """
    order = torch.argsort(lengths, descending=True, stable=True)
    parts, first = [], 0
    while first < len(order):
        count = max(1, frames // int(lengths[order[first]]))
        parts.append(order[first : first + count])
        first += count
    return parts


def saved_options(path: str | Path) -> tuple[EvaluatorOptions, str]:
    """The size of an evaluator, what it evaluates, and the dataset that it was trained for, from its `args.json`.

    Raises MissingFileError or DataError.
    """
    wanted = {*EvaluatorOptions.__dataclass_fields__, "dataset"}
    saved = read_saved(path, (EvaluatorOptions, DataOptions), wanted, ())
    if "dataset" not in saved:
        raise DataError(f"the args.json beside {path} names no dataset: it is not that of an evaluator")
    if "e_latent_dim" not in saved:
        raise DataError(f"{path} is not an evaluator: the args.json beside it has no --e_latent_dim")
    dataset = saved.pop("dataset")
    return EvaluatorOptions(**saved), dataset


def training_command(spec: DatasetSpec, truth: str) -> str:
    """The command that makes an evaluator."""
    kind = " --truth 3d" if truth == "3d" else ""
    return f"`python -m eval.train_evaluator --dataset {spec.name}{kind} --save_dir FOLDER`"


def load_evaluator(path: str | Path, spec: DatasetSpec, truth: str, device: torch.device) -> Evaluator:
    """The evaluator in a checkpoint file, or in a folder its newest, for motion of `spec`, 2d or 3d.

    Raises MissingFileError (with the command that makes one), UsageError for an evaluator of something else, DataError.
    """
    try:
        found = checkpoint.resolve(path)
        if not found.is_file():
            raise MissingFileError(f"evaluator {found} does not exist")
        options, dataset = saved_options(found)
    except MissingFileError as error:
        raise MissingFileError(f"{error}; {training_command(spec, truth)} makes an evaluator") from error
    if dataset != spec.name:
        other = dataset_spec(dataset)
        raise UsageError(
            f"evaluator {found} was trained for {dataset} ({len(other.skeleton.joints)} joints), the model is of "
            f"{spec.name} ({len(spec.skeleton.joints)}); {training_command(spec, truth)} makes one for it"
        )
    if options.truth != truth:
        raise UsageError(
            f"evaluator {found} is for {options.truth.upper()} motion, not {truth.upper()} as --truth {truth} asks; "
            f"{training_command(spec, truth)} makes one that is"
        )
    mean, std = _stats(found.parent, spec, truth)
    network = MotionVAE(mean.size, options)
    try:
        network.load_state_dict(from_published(checkpoint.weights(checkpoint.load(found))))
    except (RuntimeError, DataError) as error:
        reason = str(error).strip().splitlines()[-1].strip()[:160]
        raise DataError(f"{found} does not fit the evaluator that its args.json describes: {reason}") from error
    return Evaluator(
        network.to(device).eval(), torch.from_numpy(mean).float(), torch.from_numpy(std).float(), spec, truth, found,
        checkpoint.digest(found), device, options,
    )  # fmt: skip


def _stats(beside: Path, spec: DatasetSpec, truth: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and Std [J, C]: those beside the checkpoint, else (2D) the published ones, else the dataset's own."""
    if truth == "3d":
        return read_stats(beside, (len(spec.skeleton.joints), CHANNELS[truth]))
    try:
        return load_stats(spec, beside)
    except MissingFileError:
        return load_stats(spec, spec.folder(""))
