"""Motion without end, window after window: each is made to follow the last frames of what came before it.

This is how models that are shown a prefix are sampled (DiP, Tevet et al. 2025). Features of a window must not depend
on where it begins; root-relative ones do not.
"""

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from utils.run.errors import UsageError

MakeWindow = Callable[[Tensor, int], Tensor]


def continued(make_window: MakeWindow, prefix: Tensor, context: int) -> Iterator[Tensor]:
    """Windows [B, P, F] for ever, the one of index i being `make_window(last `context` frames [B, context, F], i)`.

    `prefix` [B, at least `context`, F] is what the first one follows; the context may be longer than a window.
    Raises UsageError for a shorter prefix.
    """
    if prefix.shape[1] < context:
        raise UsageError(f"the motion to continue has {prefix.shape[1]} frames; the model is shown {context}")
    history = _latest(prefix, context)
    for index in itertools.count():
        window = make_window(history, index)
        yield window
        history = _latest(torch.cat((history, window), dim=1), context)


def generate(
    make_window: MakeWindow, prefix: Tensor, context: int, frames: int, include_prefix: bool = False
) -> Tensor:
    """The first `frames` frames [B, frames, F] of `continued`, which begin with `prefix` itself if it is included."""
    parts, have = ([prefix], prefix.shape[1]) if include_prefix else ([], 0)
    windows = continued(make_window, prefix, context)
    while have < frames:
        parts.append(next(windows))
        have += parts[-1].shape[1]
    return torch.cat(parts, dim=1)[:, :frames]


def _latest(motion: Tensor, frames: int) -> Tensor:
    """The last `frames` frames, of which there may be 0."""
    return motion[:, motion.shape[1] - frames :]
