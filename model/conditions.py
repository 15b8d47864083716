"""Conditions of a denoiser: how an action label [B] becomes a vector, and how training hides it for guidance.

A label of -1 is hidden: it embeds as zeros, as a sample without a condition does (Ho & Salimans 2022, section 3.2).
"""

import torch
from torch import Tensor, nn

HIDDEN = -1


def action_vector(table: nn.Embedding, action: Tensor) -> Tensor:
    """The embedding [B, d] of actions [B]; zeros where hidden."""
    return table(action.clamp(min=0)) * (action != HIDDEN)[:, None]


def hide_actions(action: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A copy of actions [B] in which each is hidden with probability `share`."""
    hidden = torch.rand(action.shape, generator=generator, device=action.device) < share
    return action.masked_fill(hidden, HIDDEN)
