"""Classifier-free guidance (Ho & Salimans 2022): follow the condition more than the model would by itself."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Condition = Mapping[str, Tensor]


def guided(
    predict: Callable[[Tensor, Condition], Tensor],
    x: Tensor,
    condition: Condition,
    hidden: Condition,
    scale: float,
    together: bool = True,
) -> Tensor:
    """Without the condition + scale * (with - without), of the network `predict(x [B, ...], condition)`.

    `condition` and `hidden` hold the same entries, batch leading. Both are run in one batch of twice the size unless
    the network's samples depend on each other (`together` False); one run where the mixture is one of the two.
    """
    if scale in (0, 1):
        return predict(x, condition if scale else hidden)
    if together:
        both = {name: torch.cat((hidden[name], condition[name])) for name in condition}
        without, given = predict(torch.cat((x, x)), both).chunk(2)
    else:
        without, given = predict(x, hidden), predict(x, condition)
    return without + scale * (given - without)
