"""Several prompts one after another in one motion, for models that are shown no prefix.

The motion is cut into overlapping segments, each is denoised under its own prompt, and the estimates of x_0 are
cross-faded where two meet; since one motion is sampled, neighbours agree more at every step (Shafir et al. 2024, the
first take of DoubleTake). Features must not depend on where a segment begins; root-relative ones do not.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from utils.run.errors import UsageError


def total_frames(lengths: Sequence[int], overlap: int) -> int:
    """Frames of the motion that segments of these lengths make, each sharing `overlap` frames with the next.

    Raises UsageError where a segment has no frame of its own.
    """
    shared = [overlap * ((i > 0) + (i + 1 < len(lengths))) for i in range(len(lengths))]
    for length, with_others in zip(lengths, shared, strict=True):
        if length <= with_others:
            raise UsageError(f"a segment of {length} frames shares {with_others} with its neighbours: make it longer")
    return sum(lengths) - overlap * (len(lengths) - 1)


def joined(
    denoise_segments: Callable[[Tensor, int], Tensor], lengths: Sequence[int], overlap: int
) -> Callable[[Tensor, int], Tensor]:
    """A denoiser of whole motions [B, `total_frames`, ...] from one of their segments, whose overlaps it cross-fades.

    `denoise_segments(x, t)` gets [S * B, the longest length, ...], segments leading as views do elsewhere; row
    s * B + b is segment s of sample b, of which `lengths[s]` frames count and the rest is 0.
    """
    frames = total_frames(lengths, overlap)
    starts = [0, *accumulate(length - overlap for length in lengths[:-1])]

    def denoise(x: Tensor, t: int) -> Tensor:
        if x.shape[1] != frames:
            raise UsageError(f"a motion of {x.shape[1]} frames does not fit segments that make {frames}")
        segments = x.new_zeros(len(lengths), len(x), max(lengths), *x.shape[2:])
        for segment, start, length in zip(segments, starts, lengths, strict=True):
            segment[:, :length] = x[:, start : start + length]
        estimates = denoise_segments(segments.flatten(0, 1), t).unflatten(0, (len(lengths), -1))
        parts = [segment[:, :length] for segment, length in zip(estimates, lengths, strict=True)]
        return cross_faded(parts, overlap)

    return denoise


def cross_faded(parts: Sequence[Tensor], overlap: int) -> Tensor:
    """One motion of parts [B, L, ...], each sharing `overlap` frames with the next, whose weight rises evenly there."""
    whole = parts[0]
    for part in parts[1:]:
        rise = torch.arange(1, overlap + 1, device=part.device, dtype=part.dtype) / (overlap + 1)
        before, fading = whole.split((whole.shape[1] - overlap, overlap), dim=1)
        coming, after = part.split((overlap, part.shape[1] - overlap), dim=1)
        # lerp gives back what both agree on, to the bit.
        meeting = torch.lerp(fading, coming, rise.view(-1, *(1,) * (part.dim() - 2)))
        whole = torch.cat((before, meeting, after), dim=1)
    return whole
