"""Where noise comes from: a callable that returns the next draw each time it is called."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from utils.geometry.cameras import orthographic
from utils.run.randomness import torch_generator

Noise = Callable[[], Tensor]


def per_sample(seed: int, lengths: Sequence[int], shape: Sequence[int], first: int = 0, stream: str = "noise") -> Noise:
    """Draws [B, T, *shape], T the longest of `lengths`; sample i draws its own frames from (seed, first + i).

    So neither the number of samples nor the others' lengths change a sample. Frames beyond a length are 0.
    """
    generators = [torch_generator(seed, stream, first + i) for i in range(len(lengths))]
    frames = max(lengths)

    def draw() -> Tensor:
        noise = torch.zeros(len(lengths), frames, *shape)
        for i, (generator, length) in enumerate(zip(generators, lengths, strict=True)):
            noise[i, :length] = torch.randn(length, *shape, generator=generator)
        return noise

    return draw


def recorded(draws: Iterable[Tensor]) -> Noise:
    """The given draws, in order."""
    remaining: Iterator[Tensor] = iter(draws)
    return lambda: next(remaining)


def seen_from(noise: Noise, views: Callable[[], Tensor]) -> Noise:
    """3D noise [B, T, J, 3] as every view sees it, [V * B, T, J, 2] (MAS, section 4.2).

    Orthographic views of unit 3D noise are unit 2D noise, and they agree with each other. `views()` are the
    rotations [V, 3, 3] of the moment.
    """
    return lambda: orthographic(noise(), views()).flatten(0, 1)


def published_normal(shape: Sequence[int], memory: Sequence[int] | None = None) -> Noise:
    """Draws as the published programs make them, from torch's global generator.

    `memory` is the order of the dimensions in memory of the tensor whose likeness they draw: it decides the order in
    which torch fills it (and a tensor that is not contiguous is filled by another path, with other numbers).
    """

    def draw() -> Tensor:
        if memory is None:
            return torch.randn(*shape)
        strides, size = [0] * len(shape), 1
        for dimension in reversed(memory):
            strides[dimension], size = size, size * shape[dimension]
        return torch.empty_strided(tuple(shape), tuple(strides)).normal_()

    return draw
