"""AdamW, its learning rate over time, and the running average of the weights."""

import math

import torch
from torch import Tensor, nn

from train.options import TrainingOptions

FINAL_SHARE = 0.02  # of the learning rate, at the end of the cosine


def build_optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.AdamW:
    """AdamW over all parameters in their order, which is the published one (Loshchilov & Hutter 2019)."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=options.lr,
        betas=(0.9, options.adam_beta2),
        weight_decay=options.weight_decay,
        fused=True,
    )


def final_step(options: TrainingOptions) -> int:
    """How many updates there are: `num_steps`, or fewer where the learning rate is 0 before."""
    return min(options.num_steps, options.lr_anneal_steps or options.num_steps)


def learning_rate(options: TrainingOptions, step: int) -> float:
    """Learning rate of update `step` (from 0).

    A linear rise; then constant, or half a cosine down to 2 %; with `lr_anneal_steps` times a line down to 0.
    """
    rate = options.lr * min(1.0, (step + 1) / (options.warmup_steps + 1))
    if options.lr_anneal_steps:
        rate *= max(0.0, 1 - step / options.lr_anneal_steps)
    if options.lr_schedule == "constant":
        return rate
    progress = min(1.0, step / max(1, options.num_steps))
    return rate * (FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * progress)) / 2)


def average_decay(options: TrainingOptions, step: int) -> float:
    """Decay of the averaged weights at update `step` (from 0): with `ema_warmup` early on a smaller one."""
    return min(options.avg_model_beta, (1 + step) / (10 + step)) if options.ema_warmup else options.avg_model_beta


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the model's: decay * average + (1 - decay) * weights."""
    for name, value in model.state_dict().items():
        average[name].lerp_(value, 1 - decay)
