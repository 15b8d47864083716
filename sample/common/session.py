"""From a checkpoint's path to everything that sampling needs: data facts, process, network, and what to sample."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_loaders.options import DataOptions
from data_loaders.points.keypoints import denormalise, load_stats, normalise
from data_loaders.registry import DatasetSpec, dataset_spec
from data_loaders.representations import joints_of
from diffusion.guidance import guided
from diffusion.options import DiffusionOptions
from diffusion.process import Process, build_process
from diffusion.samplers import stepper
from model.denoisers.build import build_denoiser, file_layout
from model.denoisers.conditions import hidden
from model.options import TEXT_WIDTHS, ModelOptions
from model.text.encoders import TextEncoder, load_text_encoder
from sample.options import SamplingOptions
from utils.run import checkpoint
from utils.run.device import arithmetic, device_of
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.options import RunOptions

# An estimate of x_0 from predicted noise is divided by sqrt(abar), 1e-5 at the noisy end: no pose lies further out.
FARTHEST_X0 = 6.0


@dataclass(frozen=True)
class Request:
    """The motions to make: `lengths` [B] frames, what the model is told of each, and what is written above each.

    `told` has its entries batch leading (see model/denoisers/conditions.py); `inputs` is the data they were taken from,
    if any.
    Motions of several prompts are made of `segments`, rows segment leading, of which each shares `overlap` frames with
    the next; their titles are one a frame. `first` is the number of the first motion among all that are made: motion i
    draws its noise by (seed, first + i).
    """

    lengths: Tensor
    told: dict[str, Tensor] = field(default_factory=dict)
    titles: Sequence[str | Sequence[str]] = ()
    inputs: dict[str, Tensor] | None = None
    segments: "Request | None" = None
    overlap: int = 0
    first: int = 0

    def part(self, rows: slice) -> "Request":
        """Some of the motions, which come out as they would among all (not for motions of several prompts)."""
        told = {name: value[rows] for name, value in self.told.items()}
        return Request(self.lengths[rows], told, self.titles[rows], first=self.first + rows.start)

    @property
    def frames(self) -> int:
        """Frames of the longest."""
        return int(self.lengths.max())

    @property
    def valid(self) -> Tensor:
        """[B, T], true inside each length."""
        return torch.arange(self.frames) < self.lengths[:, None]


@dataclass(frozen=True)
class Session:
    """A trained model, ready to be sampled."""

    run: RunOptions
    sampling: SamplingOptions
    data: DataOptions
    model_options: ModelOptions
    diffusion: DiffusionOptions
    spec: DatasetSpec
    process: Process
    model: nn.Module
    mean: Tensor
    std: Tensor
    device: torch.device
    path: Path
    encode: TextEncoder | None = None

    @property
    def published(self) -> bool:
        """Whether the published MAS programs' numbers are wanted."""
        return self.run.compat == "published" and not self.spec.is_3d

    @property
    def last(self) -> int:
        """The step at which sampling stops: MDM's goes to 0, that of MAS to the first whose timestep is 1 or more."""
        return 0 if self.spec.is_3d else self.process.last

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """The shape of a frame of a motion: [J, 2], or [F] features."""
        return tuple(self.mean.shape)

    def to_data(self, x: Tensor) -> Tensor:
        """Normalised points [..., J, 2] or features [..., F] in data units."""
        return denormalise(x, self.mean, self.std)

    def to_model(self, x: Tensor) -> Tensor:
        """Points [..., J, 2] or features [..., F] in data units, normalised."""
        return normalise(x, self.mean, self.std)

    def joints(self, features: Tensor) -> Tensor:
        """World positions [B, T, J, 3] of features [B, T, F] in data units (models of 3D motion)."""
        return joints_of(self.spec.representation, self.spec.skeleton)(features)

    def told_text(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """What the model is told of motions with these sentences; nothing if it reads none."""
        if not self.encode:
            return {}
        text, visible = self.encode(texts)
        return {"text": text, "text_visible": visible}

    def denoiser(self, request: Request, views: int = 1) -> Callable[[Tensor, int], Tensor]:
        """The function (x_t [V * B, T, ...], t) -> estimate of x_0, guidance inside; views lead."""
        told = {
            name: value.repeat(views, *(1,) * (value.dim() - 1)).to(self.device)
            for name, value in (request.told | {"lengths": request.lengths}).items()
        }
        without, rows = hidden(told), len(told["lengths"])
        nothing = all(torch.equal(told[name], without[name]) for name in told)
        scale = 0.0 if nothing else 1.0 if self.model_options.cond_mask_prob == 0 else self.sampling.guidance_param
        # A GRU that recurs over the batch must see the batch whole.
        most = rows if self.model_options.over_batch else self.sampling.max_batch or rows

        unguided = round((1 - self.sampling.guided_share) * self.process.steps)

        @torch.no_grad()
        def denoise(x: Tensor, t: int) -> Tensor:
            parts = []
            for first in range(0, rows, most):
                part = slice(first, first + most)
                given, not_given = ({name: value[part] for name, value in each.items()} for each in (told, without))
                followed = scale if t >= unguided else min(scale, 1.0)
                parts.append(self._estimate(x[part], given, not_given, followed, t))
            return torch.cat(parts)

        return denoise

    def _estimate(self, x: Tensor, told: dict[str, Tensor], without: dict[str, Tensor], scale: float, t: int) -> Tensor:
        timestep = int(self.process.timestep_map[t])

        def predict(shown: Tensor, condition: Any) -> Tensor:
            step = torch.full((len(shown),), timestep, device=self.device)
            with arithmetic(self.device, self.run.precision):
                return self.model(shown, step, condition).float()

        shown = x.to(self.device).flatten(2)
        output = guided(predict, shown, told, without, scale, together=not self.model_options.over_batch)
        output = output.view_as(x).to(x.device)
        if self.diffusion.model_mean_type == "x_start" or self.published:
            return output
        return self.process.x0_from_noise(x, t, output).clamp(-FARTHEST_X0, FARTHEST_X0)

    def stepper(self, noise: Callable[[], Tensor]) -> Callable[[Tensor, Tensor, int], Tensor]:
        """The function (x0, x_t, t) -> x_{t-1} of the chosen sampler."""
        small = self.published or self.diffusion.sigma_small
        return stepper(self.sampling.sampler, self.process, noise, sigma_small=small)


def open_session(
    run: RunOptions, sampling: SamplingOptions, data: DataOptions, model: ModelOptions, diffusion: DiffusionOptions
) -> Session:
    """Load the checkpoint and all that belongs to it. Raises the errors that a user should see as one sentence."""
    if run.threads:
        torch.set_num_threads(run.threads)
    spec = dataset_spec(data.dataset)
    if (data.cond == "action" and not spec.actions) or (data.cond == "text" and not spec.sentences):
        raise UsageError(f"--cond {data.cond}: no model of {data.dataset} is told that; choose no_cond")
    if sampling.sampling_steps == 1 and not spec.is_3d:
        raise UsageError("--sampling_steps 1: it takes at least 2 (0: all)")
    check_prompts(sampling, data, spec)
    device = device_of(run)
    path = checkpoint.resolve(sampling.model_path)
    content = checkpoint.load(path)
    width = TEXT_WIDTHS[model.text_encoder_type] if data.cond == "text" else 0
    network = build_denoiser(model, spec.features, spec.num_actions(data.cond), width, encoder_hides=not spec.is_3d)
    if run.compat == "published" and not spec.is_3d:
        _seed_as_published(run.seed, model, spec, data)
    _, from_file = file_layout(model)
    try:
        network.load_state_dict(from_file(checkpoint.weights(content)))
    except (RuntimeError, DataError) as error:
        reason = str(error).strip().splitlines()[-1].strip()[:160]
        raise DataError(
            f"{path} does not fit {model.arch} for {data.dataset} ({len(spec.skeleton.joints)} joints): {reason}"
        ) from error
    mean, std = _stats(spec, path.parent, data)
    kept = [sampling.sampling_steps] if sampling.sampling_steps else None
    return Session(
        run, sampling, data, model, diffusion, spec,
        build_process(diffusion.noise_schedule, diffusion.diffusion_steps, kept),
        network.to(device).eval(), torch.from_numpy(mean).float(), torch.from_numpy(std).float(), device, path,
        load_text_encoder(model.text_encoder_type, data.text_encoder_path) if width else None,
    )  # fmt: skip


def check_prompts(sampling: SamplingOptions, data: DataOptions, spec: DatasetSpec) -> None:
    """Refuse words for a model that reads none, and kinds for one that knows none. Raises UsageError."""
    asked = {
        "text": "--text_prompt" if sampling.text_prompt else "--input_text" if sampling.input_text else "",
        "action": "--action_name" if sampling.action_name else "--action_file" if sampling.action_file else "",
    }
    kinds = {"text": "sentences", "action": "kinds of motion (--action_name)", "no_cond": "nothing"}
    for cond, flag in asked.items():
        if flag and data.cond != cond and not (cond == "text" and data.cond == "no_cond" and not spec.is_3d):
            raise UsageError(f"{flag}: {sampling.model_path} was trained to be told {kinds[data.cond]}, not {cond}")
    if sampling.text_prompt and sampling.input_text or sampling.action_name and sampling.action_file:
        raise UsageError("give either a prompt or a file of prompts, not both")


def _stats(spec: DatasetSpec, beside: Path, data: DataOptions) -> tuple[np.ndarray, np.ndarray]:
    """Mean and Std: those beside the checkpoint, else the published ones, else the dataset's own."""
    try:
        return load_stats(spec, beside)
    except MissingFileError:
        datapath = spec.folder(data.datapath)
        if not (datapath / "Mean.npy").is_file():
            raise
        return load_stats(spec, datapath)


def _seed_as_published(seed: int, model: ModelOptions, spec: DatasetSpec, data: DataOptions) -> None:
    """Bring the global generators to where the published programs have them once the model is built."""
    from model.denoisers.published import consume_construction

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    consume_construction(model, spec.features, spec.num_actions(data.cond))
