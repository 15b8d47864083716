"""Classifier-free guidance (Ho & Salimans 2022): follow the condition more than the model would by itself."""

from collections.abc import Callable

import torch
from torch import Tensor

UNCONDITIONAL = -1


def guided(predict: Callable[[Tensor], Tensor], action: Tensor, scale: float) -> Tensor:
    """Without condition + scale * (with - without); `predict(action [B])` runs the network.

    One run where the two would be mixed 0 or 1 to 1, or where no sample has a condition.
    """
    hidden = torch.full_like(action, UNCONDITIONAL)
    if scale == 0 or bool((action == UNCONDITIONAL).all()):
        return predict(hidden)
    if scale == 1:
        return predict(action)
    without = predict(hidden)
    return without + scale * (predict(action) - without)
