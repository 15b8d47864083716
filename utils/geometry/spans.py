"""Long clips a part at a time, so that what is computed on the way to a result does not grow with the clip."""

from collections.abc import Callable

from torch import Tensor

SPAN = 2048  # frames


def spans(frames: int, size: int = SPAN) -> list[slice]:
    """The parts of so many frames, in order; one where they are no more than `size`."""
    return [slice(first, min(first + size, frames)) for first in range(0, frames, size)] or [slice(0, 0)]


def over_spans(function: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """A function of frames [T, ...] that looks at no neighbours, a part at a time."""
    frames = len(values[0])
    if frames <= SPAN:
        return function(*values)
    found = None
    for span in spans(frames):
        part = function(*(value[span] for value in values))
        found = part.new_empty(frames, *part.shape[1:]) if found is None else found
        found[span] = part
    assert found is not None
    return found
