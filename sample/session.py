"""From a checkpoint's path to everything that sampling needs: data facts, process, network, and what to sample."""

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_loaders.base import denormalise, load_stats, normalise
from data_loaders.options import DataOptions
from data_loaders.order import epoch_order
from data_loaders.registry import DatasetSpec, dataset_spec, load_dataset
from diffusion.guidance import UNCONDITIONAL, guided
from diffusion.options import DiffusionOptions
from diffusion.process import Process, build_process
from diffusion.samplers import SAMPLERS
from model.denoiser import build_denoiser, file_layout
from model.options import ModelOptions
from sample.options import DRAWN, SamplingOptions
from utils.run import checkpoint
from utils.run.device import arithmetic, pick_device
from utils.run.errors import DataError, UsageError
from utils.run.options import RunOptions
from utils.run.randomness import numpy_rng

DEFAULT_SECONDS = 6.0
# An estimate of x_0 from predicted noise is divided by sqrt(abar), 1e-5 at the noisy end: no pose lies further out.
FARTHEST_X0 = 6.0


@dataclass(frozen=True)
class Request:
    """The motions to make: `lengths` [B] frames, `action` [B] (-1: any), and the data they were taken from, if any."""

    lengths: Tensor
    action: Tensor
    inputs: dict[str, Tensor] | None = None

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

    @property
    def published(self) -> bool:
        """Whether the published programs' numbers are wanted."""
        return self.run.compat == "published"

    def to_data(self, x: Tensor) -> Tensor:
        """Normalised points [..., J, 2] in data units."""
        return denormalise(x, self.mean, self.std)

    def to_model(self, x: Tensor) -> Tensor:
        """Points [..., J, 2] in data units, normalised."""
        return normalise(x, self.mean, self.std)

    def denoiser(self, request: Request, views: int = 1) -> Callable[[Tensor, int], Tensor]:
        """The function (x_t [V * B, T, J, 2], t) -> estimate of x_0, guidance inside; views lead."""
        lengths, action = (value.repeat(views).to(self.device) for value in (request.lengths, request.action))
        # A GRU that recurs over the batch must see the batch whole.
        most = len(lengths) if self.model_options.recurrence == "batch" else self.sampling.max_batch or len(lengths)

        @torch.no_grad()
        def denoise(x: Tensor, t: int) -> Tensor:
            parts = [
                self._estimate(*part, t)
                for part in zip(x.split(most), lengths.split(most), action.split(most), strict=True)
            ]
            return torch.cat(parts)

        return denoise

    def _estimate(self, x: Tensor, lengths: Tensor, action: Tensor, t: int) -> Tensor:
        step = torch.full((len(x),), int(self.process.timestep_map[t]), device=self.device)

        def predict(shown: Tensor) -> Tensor:
            with arithmetic(self.device, self.run.precision):
                return self.model(x.to(self.device).flatten(2), step, lengths, shown).float()

        output = guided(predict, action, self.sampling.guidance_param).view_as(x).to(x.device)
        if self.diffusion.model_mean_type == "x_start" or self.published:
            return output
        return self.process.x0_from_noise(x, t, output).clamp(-FARTHEST_X0, FARTHEST_X0)

    def stepper(self, noise: Callable[[], Tensor]) -> Callable[[Tensor, Tensor, int], Tensor]:
        """The function (x0, x_t, t) -> x_{t-1} of the chosen sampler."""
        step = SAMPLERS[self.sampling.sampler]
        extra = {"sigma_small": self.published or self.diffusion.sigma_small} if self.sampling.sampler == "ddpm" else {}
        return lambda x0, x, t: step(self.process, x0, x, t, noise, **extra)


def open_session(
    run: RunOptions, sampling: SamplingOptions, data: DataOptions, model: ModelOptions, diffusion: DiffusionOptions
) -> Session:
    """Load the checkpoint and all that belongs to it. Raises the errors that a user should see as one sentence."""
    if run.threads:
        torch.set_num_threads(run.threads)
    if data.cond == "text" or (data.cond == "action" and not dataset_spec(data.dataset).actions):
        raise UsageError(f"--cond {data.cond}: no model of {data.dataset} is told that; choose no_cond")
    if sampling.sampling_steps == 1:
        raise UsageError("--sampling_steps 1: it takes at least 2 (0: all)")
    device = pick_device(run.device)
    spec = dataset_spec(data.dataset)
    path = checkpoint.resolve(sampling.model_path)
    content = checkpoint.load(path)
    network = build_denoiser(model, spec.features, spec.num_actions(data.cond))
    if run.compat == "published":
        _seed_as_published(run.seed, model, spec, data)
    _, from_file = file_layout(model)
    try:
        network.load_state_dict(from_file(checkpoint.weights(content)))
    except (RuntimeError, DataError) as error:
        reason = str(error).strip().splitlines()[-1].strip()[:160]
        raise DataError(
            f"{path} does not fit {model.arch} for {data.dataset} ({len(spec.skeleton.joints)} joints): {reason}"
        ) from error
    mean, std = load_stats(spec, path.parent)
    kept = [sampling.sampling_steps] if sampling.sampling_steps else None
    return Session(
        run, sampling, data, model, diffusion, spec,
        build_process(diffusion.noise_schedule, diffusion.diffusion_steps, kept),
        network.to(device).eval(), torch.from_numpy(mean).float(), torch.from_numpy(std).float(), device, path,
    )  # fmt: skip


def _seed_as_published(seed: int, model: ModelOptions, spec: DatasetSpec, data: DataOptions) -> None:
    """Bring the global generators to where the published programs have them once the model is built."""
    from model.published import consume_construction

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    consume_construction(model, spec.features, spec.num_actions(data.cond))


def make_request(session: Session) -> Request:
    """What to sample, from the options: fixed lengths, or those of motions of the dataset."""
    sampling, spec = session.sampling, session.spec
    action = choose_actions(session, sampling.num_samples)
    inputs = _take_motions(session) if sampling.use_data else None
    seconds = sampling.motion_length
    if inputs is None or seconds is not None:
        frames = int((DEFAULT_SECONDS if seconds is None else seconds) * spec.fps)
        if frames < 1:
            raise UsageError(f"--motion_length {seconds} s is less than a frame at {spec.fps:g} frames a second")
        lengths = torch.full((sampling.num_samples,), frames)
    else:
        lengths = inputs["lengths"]
    return Request(lengths, action, inputs)


def choose_actions(session: Session, count: int) -> Tensor:
    """The label [count] of each sample that `--action_name` asks for; -1 (any) without it. Raises UsageError.

    `drawn` draws sample i's from (seed, i) by the shares that the kinds have in training.
    """
    name, spec = session.sampling.action_name, session.spec
    if not name:
        return torch.full((count,), UNCONDITIONAL)
    if session.data.cond != "action":
        raise UsageError(f"--action_name: {session.path} was not trained with --cond action")
    if name == DRAWN:
        shares = np.cumsum(spec.action_shares)
        drawn = [numpy_rng(session.run.seed, "action", i).uniform(0, shares[-1]) for i in range(count)]
        return torch.from_numpy(np.searchsorted(shares, drawn, side="right"))
    if name not in spec.actions:
        raise UsageError(f"--action_name {name!r}: choose from {DRAWN}, {', '.join(spec.actions)}")
    return torch.full((count,), spec.actions.index(name))


def _take_motions(session: Session) -> dict[str, Any]:
    """The first motions of the dataset's order, as the published loader shuffles them or by (seed, epoch 0).

    Raises DataError where there are fewer than samples are asked for.
    """
    count, seed, data = session.sampling.num_samples, session.run.seed, session.data
    if session.published:
        data = dataclasses.replace(data, data_size=count)
    dataset = load_dataset(session.spec, data, session.run.compat, seed)
    if len(dataset) < count:
        raise DataError(f"--use_data: the {data.data_split} part holds {len(dataset)} motions; --num_samples {count}")
    if session.published:
        order = torch.utils.data.DataLoader(range(count), batch_size=count, shuffle=True)  # type: ignore[arg-type]
        return dataset.batch(next(iter(order)).tolist(), lambda _: np.random.mtrand._rand)  # type: ignore[attr-defined]
    indices = epoch_order(seed, 0, len(dataset), dataset.weights)[:count]
    return dataset.batch(indices.tolist(), lambda position: numpy_rng(seed, "data", 0, position))
