"""What a training loop needs of a subject: batches and a loss. The subject here is a diffusion model of motion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from data_loaders.order import batch_indices
from diffusion.losses import loss_weights, masked_error, velocity_error
from diffusion.process import Process, gather
from model.conditions import hide_actions
from utils.run.randomness import numpy_rng, torch_generator


class Task(Protocol):
    """A thing that can be trained: `batch` is a function of the step alone, so a resumed run sees the same data."""

    def batch(self, step: int) -> Mapping[str, Tensor]:
        """The batch of an update, and every random draw that its loss needs."""
        ...

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """A scalar."""
        ...


@dataclass(frozen=True)
class DiffusionTask:
    """Denoise motion (Ho et al. 2020): the network predicts x_0 or the noise, as `target` says.

    `dataset` gives `batch(indices, rng_of)`, `weights` and `len`; `hide` is the share of conditions hidden.
    """

    dataset: Any
    process: Process
    batch_size: int
    seed: int
    target: str = "x_start"
    weighting: str = "uniform"
    lambda_vel: float = 0.0
    hide: float = 0.1

    def batch(self, step: int) -> dict[str, Tensor]:
        """Motion [B, T, J, C], mask, lengths, action, and the draws: timesteps t [B] and noise like the motion."""
        indices, _ = batch_indices(self.seed, step, len(self.dataset), self.batch_size, self.dataset.weights)
        batch = self.dataset.batch(indices, lambda position: numpy_rng(self.seed, "data", step, position))
        draws = torch_generator(self.seed, "diffusion", step)
        batch["t"] = torch.randint(self.process.steps, (len(indices),), generator=draws)
        batch["noise"] = torch.randn(batch["motion"].shape, generator=draws)
        return batch | {"action": hide_actions(batch["action"], self.hide, draws)}

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Weighted mean over the samples of position error + lambda_vel * velocity error."""
        return self.errors(model, batch).mean()

    def errors(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The same of each sample [B]."""
        motion, noise, t, mask = (batch[name] for name in ("motion", "noise", "t", "mask"))
        noisy = self.process.q_sample(motion, t, noise).flatten(2)
        step = torch.as_tensor(self.process.timestep_map, device=t.device)[t]
        output = model(noisy, step, batch["lengths"], batch["action"]).view_as(motion)
        target = noise if self.target == "epsilon" else motion
        error = masked_error(output, target, mask)
        if self.lambda_vel:
            error = error + self.lambda_vel * velocity_error(output, target, mask)
        if self.weighting == "uniform":
            return error
        return error * gather(loss_weights(self.weighting, self.process), t, error)
