"""What a training loop needs of a subject: batches and a loss. The subject here is a diffusion model of motion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from data_loaders.common.order import batch_indices
from diffusion.losses import loss_weights, masked_error
from diffusion.process import Process, gather
from model.denoisers.conditions import KEYS, drop
from utils.run.randomness import numpy_rng, torch_generator

Batch = Mapping[str, Tensor]
NOISIEST = 0.12  # share of the diffusion steps


class Task(Protocol):
    """A thing that can be trained: `batch` is a function of the step alone, so a resumed run sees the same data."""

    def batch(self, step: int) -> Batch:
        """The batch of an update, every entry [B, ...], and every random draw that its loss needs."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Scalars: `loss` is what falls, the others are what it is made of."""
        ...


def noisy_text(text: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Vectors [B, L, E] with noise of this deviation, of the length that they had."""
    noisy = text + noise * torch.randn(text.shape, generator=generator)
    return noisy * (text.norm(dim=-1, keepdim=True) / noisy.norm(dim=-1, keepdim=True).clamp(min=1e-6))


def steps_of(steps: int, count: int, noisiest: float, generator: torch.Generator) -> Tensor:
    """Diffusion steps [count]: uniform ones, but for a share `noisiest` of them from the noisiest `NOISIEST` of all.

    Of motion most is seen through little noise, whatever the sentence: a model of 50 steps is told by it in the last
    six alone (the error without it is 0.5 % larger at step 40, 2 % at 45, 25 % at 49).
    """
    drawn = torch.randint(steps, (count,), generator=generator)
    if not noisiest:
        return drawn
    late = steps - 1 - torch.randint(max(1, round(NOISIEST * steps)), (count,), generator=generator)
    return torch.where(torch.rand(count, generator=generator) < noisiest, late, drawn)


def plain_error(output: Tensor, target: Tensor, batch: Batch) -> dict[str, Tensor]:
    """The error of x_0 [B] and nothing else."""
    return {"loss": masked_error(output, target, batch["mask"])}


@dataclass(frozen=True)
class DiffusionTask:
    """Denoise motion (Ho et al. 2020): the network predicts x_0 or the noise, as `target` says.

    `dataset` gives `batch(indices, rng_of)`, `weights`, `captions` and `len`; `encode` turns sentences into vectors
    [N, L, E] and says which are real [N, L]. `hide` is the share of conditions hidden, `context` the number of first
    frames that the network is shown instead of predicting them, `aim` what adds where joints shall be to a batch,
    `text_noise` is added to the first of a text's vectors, that of the sentence, `terms` is what gives the loss of each
    sample [B], and each term of it. `noisiest` is the share of samples that get the noisiest steps (`steps_of`).
    """

    dataset: Any
    process: Process
    batch_size: int
    seed: int
    target: str = "x_start"
    weighting: str = "uniform"
    terms: Callable[[Tensor, Tensor, Batch], dict[str, Tensor]] = plain_error
    hide: float = 0.1
    encode: Callable[[Sequence[str]], tuple[Tensor, Tensor]] | None = None
    text_noise: float = 0.0
    context: int = 0
    noisiest: float = 0.0
    aim: Callable[[dict[str, Tensor], torch.Generator], dict[str, Tensor]] | None = None

    def batch(self, step: int) -> dict[str, Tensor]:
        """Motion [B, T, ...], mask, the condition, and the draws: t [B] and noise like the motion."""
        indices, _ = batch_indices(self.seed, step, len(self.dataset), self.batch_size, self.dataset.weights)
        batch = self.dataset.batch(indices, lambda position: numpy_rng(self.seed, "data", step, position))
        captions = batch.pop("caption", None)
        if self.encode:
            batch["text"], batch["text_visible"] = self.encode([self.dataset.captions[i] for i in captions])
        if self.context:
            batch["prefix"] = batch["motion"][:, : self.context]
            batch |= {name: batch[name][:, self.context :] for name in ("motion", "mask", "plan") if name in batch}
            batch["lengths"] = batch["lengths"] - self.context
        draws = torch_generator(self.seed, "diffusion", step)
        if self.text_noise:
            sentence, words = batch["text"].split((1, batch["text"].shape[1] - 1), dim=1)
            batch["text"] = torch.cat((noisy_text(sentence, self.text_noise, draws), words), dim=1)
        batch["t"] = steps_of(self.process.steps, len(indices), self.noisiest, draws)
        batch["noise"] = torch.randn(batch["motion"].shape, generator=draws)
        if self.aim:
            batch = self.aim(batch, draws)
        return drop(batch, self.hide, draws)

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The mean over the samples of each error, and of their weighted sum."""
        return {name: error.mean() for name, error in self.errors(model, batch).items()}

    def errors(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The same of each sample [B]."""
        motion, noise, t = (batch[name] for name in ("motion", "noise", "t"))
        noisy = self.process.q_sample(motion, t, noise).flatten(2)
        step = torch.as_tensor(self.process.timestep_map, device=t.device)[t]
        output = model(noisy, step, {name: batch[name] for name in KEYS if name in batch}).view_as(motion)
        target = noise if self.target == "epsilon" else motion
        errors = self.terms(output, target, batch)
        if self.weighting != "uniform":
            errors |= {"loss": errors["loss"] * gather(loss_weights(self.weighting, self.process), t, errors["loss"])}
        return errors
