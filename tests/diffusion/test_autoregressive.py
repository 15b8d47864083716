"""Motion without end with windows that can be told apart."""

from itertools import islice

import pytest
import torch

from diffusion.autoregressive import continued, generate
from utils.run.errors import UsageError


def counting(length: int, seen: list[list[int]]):
    """Windows that go on counting from the last frame that they are shown."""

    def make(prefix: torch.Tensor, index: int) -> torch.Tensor:
        assert index == len(seen)
        seen.append(prefix[0, :, 0].tolist())
        last = seen[-1][-1] if seen[-1] else -1
        return last + 1 + torch.arange(length)[None, :, None].expand(len(prefix), length, 2)

    return make


def counted(first: int, end: int) -> torch.Tensor:
    return torch.arange(first, end)[None, :, None].expand(3, end - first, 2)


@pytest.mark.parametrize(("context", "length"), [(3, 4), (4, 4), (20, 7), (5, 1), (1, 5)])
def test_each_window_follows_what_came_last(context, length):
    """Also where the context is longer than a window, and reaches over several."""
    seen: list[list[int]] = []
    windows = list(islice(continued(counting(length, seen), counted(-30, 0), context), 6))
    assert torch.equal(torch.cat(windows, 1), counted(0, 6 * length))
    assert seen == [list(range(i * length - context, i * length)) for i in range(6)]


def test_a_model_that_is_shown_nothing():
    seen: list[list[int]] = []
    list(islice(continued(counting(4, seen), counted(0, 5), 0), 3))
    assert seen == [[], [], []]


def test_windows_come_when_they_are_asked_for():
    seen: list[list[int]] = []
    windows = continued(counting(4, seen), counted(-3, 0), 3)
    assert not seen
    next(windows)
    assert len(seen) == 1


@pytest.mark.parametrize(("frames", "runs"), [(1, 1), (4, 1), (5, 2), (10, 3)])
def test_cut_to_what_is_asked(frames, runs):
    seen: list[list[int]] = []
    assert torch.equal(generate(counting(4, seen), counted(-3, 0), 3, frames), counted(0, frames))
    assert len(seen) == runs


@pytest.mark.parametrize(("frames", "runs"), [(2, 0), (3, 0), (4, 1), (10, 2)])
def test_with_what_came_before(frames, runs):
    """The frames count the prefix in, which stays as it is; no window more is made than that takes."""
    seen: list[list[int]] = []
    prefix = torch.randn(3, 3, 2, generator=torch.Generator().manual_seed(0))
    out = generate(counting(4, seen), prefix, 3, frames, include_prefix=True)
    assert out.shape == (3, frames, 2) and torch.equal(out[:, :3], prefix[:, :frames]) and len(seen) == runs


def test_too_little_to_continue():
    with pytest.raises(UsageError, match="has 2 frames; the model is shown 3"):
        next(continued(counting(4, []), counted(0, 2), 3))
