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


def learning_rate(options: TrainingOptions, step: int) -> float:
    """Learning rate of update `step` (from 0): a linear rise, then constant or half a cosine down to 2 %."""
    rate = options.lr * min(1.0, (step + 1) / (options.warmup_steps + 1))
    if options.lr_schedule == "constant":
        return rate
    progress = min(1.0, step / max(1, options.num_steps))
    return rate * (FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * progress)) / 2)


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards the model's; early on with the smaller decay (1 + step) / (10 + step)."""
    share = 1 - min(decay, (1 + step) / (10 + step))
    for name, value in model.state_dict().items():
        average[name].lerp_(value, share)
