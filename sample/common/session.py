"""From a checkpoint's path to everything that sampling needs: data facts, process, network, and what to sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_loaders.options import DataOptions
from data_loaders.points.keypoints import denormalise, load_stats, normalise
from data_loaders.registry import DatasetSpec
from data_loaders.representations import hml, joints_of
from diffusion.guidance import guided
from diffusion.options import DiffusionOptions
from diffusion.process import Process, build_process
from diffusion.samplers import stepper
from model.denoisers.build import build_denoiser, file_layout
from model.denoisers.conditions import hidden
from model.denoisers.dit import DiT
from model.options import TEXT_WIDTHS, ModelOptions
from model.text.encoders import TextEncoder, load_text_encoder
from sample.common.compat import Compat, compat_of
from sample.common.paths import FREE, held_path
from sample.common.plans import SentencePlanner, as_condition, load_planner
from sample.options import SamplingLine, SamplingOptions
from utils.run import checkpoint
from utils.run.device import arithmetic, device_of
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.options import RunOptions
from utils.run.progress import Callback, ignored

# An estimate of x_0 from predicted noise is divided by sqrt(abar), 1e-5 at the noisy end: no pose lies further out.
FARTHEST_X0 = 6.0


@dataclass(frozen=True)
class Request:
    """The motions to sample: `lengths` [B] frames, the condition of each, and what is written above each.

    `condition` has its entries batch leading (see model/denoisers/conditions.py); `inputs` is the data they were taken
    from, if any.
    Motions of several prompts are made of `segments`, rows segment leading, of which each shares `overlap` frames with
    the next; their titles are one a frame. `first` is the number of the first motion among all that are sampled: motion
    i draws its noise by (seed, first + i), and with another `candidate` than 0 by (seed, first + i, candidate).
    """

    lengths: Tensor
    condition: dict[str, Tensor] = field(default_factory=dict)
    titles: Sequence[str | Sequence[str]] = ()
    inputs: dict[str, Tensor] | None = None
    segments: "Request | None" = None
    overlap: int = 0
    first: int = 0
    candidate: int = 0

    def part(self, rows: slice) -> "Request":
        """Some of the motions, which come out as they would among all (not for motions of several prompts)."""
        condition = {name: value[rows] for name, value in self.condition.items()}
        first = self.first + rows.start
        return Request(self.lengths[rows], condition, self.titles[rows], first=first, candidate=self.candidate)

    def stream(self, name: str) -> str:
        """The name of a stream of draws, another for each candidate."""
        return f"{name}/candidate {self.candidate}" if self.candidate else name

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
    """A trained model, ready to be sampled. `callback(done, total)` is called after each step of sampling."""

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
    planner: SentencePlanner | None = None
    callback: Callback = ignored

    @property
    def compat(self) -> Compat:
        """What is drawn and finished as the published programs do it."""
        return compat_of(self.run.compat, self.spec)

    @property
    def last(self) -> int:
        """The step at which sampling stops: MDM's goes to 0, that of MAS to the first whose timestep is 1 or more."""
        return self.process.last if self.spec.family.last_timestep else 0

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
        """Right-handed positions [B, T, J, 3] of features [B, T, F], or 3D points of views, in data units."""
        return joints_of(self.spec.representation, self.spec.skeleton)(features)

    def text_condition(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """The condition of motions with these sentences; nothing if the model reads none."""
        if not self.encode:
            return {}
        text, visible = self.encode(texts)
        return {"text": text, "text_visible": visible}

    def told(self, texts: Sequence[str], frames: Sequence[int]) -> dict[str, Tensor]:
        """The condition of motions with these sentences and lengths: their text, and their plan where one is told."""
        return self.text_condition(texts) | self.plan_condition(texts, frames)

    def plan_condition(self, texts: Sequence[str], frames: Sequence[int]) -> dict[str, Tensor]:
        """What motions with these sentences and lengths are told of what is done when; nothing where none is told."""
        if not self.planner:
            return {}
        fps = self.spec.fps
        plans = self.planner(texts, [count / fps for count in frames], self.run.seed)
        return {"plan": as_condition(plans, frames, fps)}

    def denoiser(self, request: Request, views: int = 1) -> Callable[[Tensor, int], Tensor]:
        """The function (x_t [V * B, T, ...], t) -> estimate of x_0, guidance and the plan's path inside; views lead."""
        condition = {
            name: value.repeat(views, *(1,) * (value.dim() - 1)).to(self.device)
            for name, value in (request.condition | {"lengths": request.lengths}).items()
        }
        without, rows = hidden(condition), len(condition["lengths"])
        if isinstance(self.model, DiT):
            with torch.no_grad(), arithmetic(self.device, self.run.precision):
                condition, without = (dict(self.model.with_words(each, rows)) for each in (condition, without))
        nothing = all(torch.equal(condition[name], without[name]) for name in condition)
        scale = 0.0 if nothing else 1.0 if self.model_options.cond_mask_prob == 0 else self.sampling.guidance_param
        # A GRU that recurs over the batch must see the batch whole.
        size = rows if self.model_options.over_batch else self.sampling.max_batch or rows

        unguided = round((1 - self.sampling.guided_share) * self.process.steps)
        hold = self._path(request)

        @torch.no_grad()
        def denoise(x: Tensor, t: int) -> Tensor:
            parts = []
            for first in range(0, rows, size):
                part = slice(first, first + size)
                given, hid = ({name: value[part] for name, value in each.items()} for each in (condition, without))
                followed = scale if t >= unguided else min(scale, 1.0)
                parts.append(self._estimate(x[part], given, hid, followed, t))
            return hold(torch.cat(parts), t)

        return denoise

    def _path(self, request: Request) -> Callable[[Tensor, int], Tensor]:
        """What holds estimates of x_0 to the path that the plans of a request tell, if they have any."""
        plan = request.condition.get("plan")
        if plan is None:
            return lambda x0, _: x0
        free = round(FREE * self.process.steps)
        return held_path(plan, self.spec.fps, hml.layout_of(self.spec.skeleton), self.mean, self.std, free)

    def _estimate(
        self, x: Tensor, condition: dict[str, Tensor], without: dict[str, Tensor], scale: float, t: int
    ) -> Tensor:
        timestep = int(self.process.timestep_map[t])

        def predict(noisy: Tensor, condition: Any) -> Tensor:
            step = torch.full((len(noisy),), timestep, device=self.device)
            with arithmetic(self.device, self.run.precision):
                return self.model(noisy, step, condition).float()

        noisy = x.to(self.device).flatten(2)
        output = guided(predict, noisy, condition, without, scale, together=not self.model_options.over_batch)
        output = output.view_as(x).to(x.device)
        if self.diffusion.model_mean_type == "x_start" or self.compat.predicts_x0:
            return output
        return self.process.x0_from_noise(x, t, output).clamp(-FARTHEST_X0, FARTHEST_X0)

    def stepper(self, noise: Callable[[], Tensor]) -> Callable[[Tensor, Tensor, int], Tensor]:
        """The function (x0, x_t, t) -> x_{t-1} of the chosen sampler."""
        small = self.compat.sigma_small or self.diffusion.sigma_small
        return stepper(self.sampling.sampler, self.process, noise, sigma_small=small)


def open_session(line: SamplingLine, callback: Callback = ignored) -> Session:
    """Load the checkpoint and all that belongs to it. Raises the errors that a user should see as one sentence.

    `callback(done, total)` is called after each step of sampling.
    """
    run, sampling, data, model = line.run, line.sampling, line.data, line.model
    if run.threads:
        torch.set_num_threads(run.threads)
    spec = line.spec
    check_conditions(line)
    device = device_of(run)
    path = checkpoint.resolve(sampling.model_path)
    content = checkpoint.load(path)
    width = TEXT_WIDTHS[model.text_encoder_type] if data.cond == "text" else 0
    hides = spec.family.encoder_hides
    network = build_denoiser(model, spec.features, spec.num_actions(data.cond), width, encoder_hides=hides)
    compat_of(run.compat, spec).seed(line)
    _, from_file = file_layout(model)
    try:
        network.load_state_dict(from_file(checkpoint.weights(content)))
    except (RuntimeError, DataError) as error:
        reason = str(error).strip().splitlines()[-1].strip()[:160]
        raise DataError(
            f"{path} does not fit {model.arch} for {data.dataset} ({len(spec.skeleton.joints)} joints): {reason}"
        ) from error
    mean, std = _stats(spec, path.parent, data)
    encode = load_text_encoder(model.text_encoder_type, data.text_encoder_path) if width else None
    diffusion, steps = line.diffusion, [sampling.sampling_steps] if sampling.sampling_steps else None
    return Session(
        run, sampling, data, model, diffusion, spec,
        build_process(diffusion.noise_schedule, diffusion.diffusion_steps, steps),
        network.to(device).eval(), torch.from_numpy(mean).float(), torch.from_numpy(std).float(), device, path,
        encode, load_planner(sampling.planner_path, encode) if model.plan and encode else None, callback,
    )  # fmt: skip


def check_conditions(line: SamplingLine) -> None:
    """Refuse conditions, words and steps that a model has no use for, before it is loaded. Raises UsageError."""
    sampling, data, spec = line.sampling, line.data, line.spec
    if (data.cond == "action" and not spec.actions) or (data.cond == "text" and not spec.sentences):
        raise UsageError(f"--cond {data.cond}: no model of {data.dataset} is told that; choose no_cond")
    if sampling.sampling_steps == 1 and spec.family.last_timestep:
        raise UsageError("--sampling_steps 1: it takes at least 2 (0: all)")
    requested = {
        "text": "--text_prompt" if sampling.text_prompt else "--input_text" if sampling.input_text else "",
        "action": "--action_name" if sampling.action_name else "--action_file" if sampling.action_file else "",
    }
    kinds = {"text": "with sentences", "action": "with kinds of motion (--action_name)", "no_cond": "unconditionally"}
    for cond, flag in requested.items():
        title = cond == "text" and data.cond == "no_cond" and spec.family.titles
        if flag and data.cond != cond and not title:
            raise UsageError(f"{flag}: {sampling.model_path} was trained {kinds[data.cond]}, not with {cond}")
    if sampling.text_prompt and sampling.input_text or sampling.action_name and sampling.action_file:
        raise UsageError("give either a prompt or a file of prompts, not both")
    if sampling.show_input_motions and not sampling.use_data:
        raise UsageError("--show_input_motions draws the motions that --use_data takes: add that flag")


def _stats(spec: DatasetSpec, beside: Path, data: DataOptions) -> tuple[np.ndarray, np.ndarray]:
    """Mean and Std: those beside the checkpoint, else the published ones, else the dataset's own."""
    try:
        return load_stats(spec, beside)
    except MissingFileError:
        datapath = spec.folder(data.datapath)
        if not (datapath / "Mean.npy").is_file():
            raise
        return load_stats(spec, datapath)
