"""Long clips a part at a time, so that what is computed on the way to a result does not grow with the clip."""

from collections.abc import Callable

import torch
from torch import Tensor

SPAN = 2048  # frames


def spans(frames: int, size: int = SPAN) -> list[slice]:
    """The parts of so many frames, in order; one where they are no more than `size`."""
    return [slice(first, min(first + size, frames)) for first in range(0, frames, size)] or [slice(0, 0)]


def over_spans(function: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """A function of frames [T, ...] that looks at no neighbours, a part at a time."""
    return torch.cat([function(*(value[span] for value in values)) for span in spans(len(values[0]))])
