"""What a denoiser is trained on: masked squared errors of positions and of their differences over time."""

import numpy as np
import torch
from torch import Tensor

from diffusion.process import Process


def loss_weights(kind: str, process: Process) -> np.ndarray:
    """Weight of each timestep [N]: `uniform` 1, `inv_sqrt_noise` 1/sqrt(1 - abar), `inv_noise` 1/(1 - abar)."""
    power = {"uniform": 0.0, "inv_sqrt_noise": 0.5, "inv_noise": 1.0}[kind]
    return (1 - process.abar) ** -power


def masked_error(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the seen coordinates of each sample [B]; 0 where nothing is seen.

    output, target [B, T, J, C]; mask [B, T, J, 1 or C], counted per coordinate.
    """
    mask = mask.expand_as(target)
    squared = (target - output).square() * mask
    return squared.flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1)


def velocity_error(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """`masked_error` of the differences between neighbouring frames, both of which must be seen [B]."""
    if target.shape[1] < 2:
        return torch.zeros(len(target), device=target.device)
    return masked_error(output.diff(dim=1), target.diff(dim=1), mask[:, 1:] * mask[:, :-1])
