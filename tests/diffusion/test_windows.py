"""Joined segments: what a denoiser that knows the answer must give back, and who may look at whom."""

import pytest
import torch

from diffusion.process import build_process
from diffusion.samplers import stepper
from diffusion.sampling import sample
from diffusion.windows import cross_faded, joined, total_frames
from utils.run.errors import UsageError
from utils.run.randomness import torch_generator

LAYOUTS = [([12, 12, 12], 4), ([9, 20, 5, 11], 2), ([7, 8], 6), ([5, 6], 0), ([13], 5)]


def motion(batch: int, frames: int) -> torch.Tensor:
    return torch.randn(batch, frames, 3, generator=torch_generator("motion", batch, frames))


def spans(lengths: list[int], overlap: int) -> list[tuple[int, int]]:
    """First and end frame of each segment."""
    first, found = 0, []
    for length in lengths:
        found.append((first, first + length))
        first += length - overlap
    return found


@pytest.mark.parametrize(("lengths", "overlap"), LAYOUTS)
def test_what_every_segment_agrees_on_comes_back_to_the_bit(lengths, overlap):
    """The weights sum to 1, and each segment lies where it was cut from."""
    x = motion(2, total_frames(lengths, overlap))
    assert torch.equal(joined(lambda segments, _: segments, lengths, overlap)(x, 3), x)
    constant = joined(lambda segments, _: torch.full_like(segments, 0.1), lengths, overlap)(x, 3)
    assert torch.equal(constant, torch.full_like(x, 0.1))


@pytest.mark.parametrize("shape", [(2, 9, 3), (2, 9, 4, 2)])
def test_one_segment_is_the_denoiser_itself(shape):
    x = torch.randn(*shape, generator=torch_generator("one"))

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        return (x * t).cumsum(1).sin()

    assert torch.equal(joined(denoise, [9], 4)(x, 7), denoise(x, 7))


@pytest.mark.parametrize(("lengths", "overlap"), LAYOUTS)
def test_segments_lead_and_are_padded_with_zeros(lengths, overlap):
    x, seen = motion(2, total_frames(lengths, overlap)), []

    def denoise(segments: torch.Tensor, t: int) -> torch.Tensor:
        seen.append((segments, t))
        return segments

    joined(denoise, lengths, overlap)(x, 11)
    ((segments, t),) = seen
    assert t == 11 and segments.shape == (2 * len(lengths), max(lengths), 3)
    for s, (first, end) in enumerate(spans(lengths, overlap)):
        for b in range(2):
            assert torch.equal(segments[2 * s + b, : lengths[s]], x[b, first:end])
            assert not segments[2 * s + b, lengths[s] :].any()


@pytest.mark.parametrize(("lengths", "overlap"), LAYOUTS)
def test_what_stands_in_the_padding_is_not_looked_at(lengths, overlap):
    x = motion(2, total_frames(lengths, overlap))

    def spoiled(segments: torch.Tensor, t: int) -> torch.Tensor:
        out = segments.clone()
        for s, length in enumerate(lengths):
            out[2 * s : 2 * s + 2, length:] = float("nan")
        return out

    assert torch.equal(joined(spoiled, lengths, overlap)(x, 3), x)


@pytest.mark.parametrize(("lengths", "overlap"), LAYOUTS)
def test_one_prompt_fades_into_the_next(lengths, overlap):
    """Segment s answers s: steady where it is alone, rising evenly where two meet."""

    def answer(segments: torch.Tensor, t: int) -> torch.Tensor:
        return torch.arange(len(lengths)).repeat_interleave(2).float().view(-1, 1, 1).expand_as(segments)

    frames = total_frames(lengths, overlap)
    out = joined(answer, lengths, overlap)(motion(2, frames), 3)[0, :, 0]
    expected = torch.zeros(frames)
    for i, (first, _) in enumerate(spans(lengths, overlap)[1:]):
        expected[first:] = i + 1
        for k in range(overlap):
            expected[first + k] = i + (k + 1) / (overlap + 1)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)
    assert overlap == 0 or len(lengths) == 1 or out.diff().max() <= 1 / (overlap + 1) + 1e-6


def test_samples_do_not_see_each_other():
    lengths, overlap = [9, 20, 5], 3
    x = motion(3, total_frames(lengths, overlap))

    def denoise(segments: torch.Tensor, t: int) -> torch.Tensor:
        return segments.cumsum(1)

    whole = joined(denoise, lengths, overlap)(x, 3)
    alone = torch.cat([joined(denoise, lengths, overlap)(x[i : i + 1], 3) for i in range(3)])
    assert torch.equal(whole, alone)


def test_a_sampled_motion_has_no_seam():
    """Two prompts, poses 0 and 1: sampling passes from one to the other within the overlap, a little each frame."""
    process, lengths, overlap = build_process("cosine", 20), [30, 30], 10
    draws = torch_generator("draws")

    def denoise(segments: torch.Tensor, t: int) -> torch.Tensor:
        wanted = torch.tensor([0.0, 1.0]).repeat_interleave(len(segments) // 2).view(-1, 1, 1)
        return wanted + 0.01 * segments

    def noise() -> torch.Tensor:
        return torch.randn(2, total_frames(lengths, overlap), 3, generator=draws)

    whole = joined(denoise, lengths, overlap)
    out = sample(whole, stepper("ddpm", process, noise), noise(), process.steps, 0)
    assert (out[:, :20]).abs().max() < 0.1 and (out[:, 30:] - 1).abs().max() < 0.1
    assert out.diff(dim=1).abs().max() < 0.2


def test_no_segments_share_all_they_have():
    assert total_frames([10, 9, 10], 4) == 21
    for lengths, overlap in (([10, 8, 10], 4), ([4, 10], 4), ([10, 4], 4), ([0], 0)):
        with pytest.raises(UsageError, match="make it longer"):
            total_frames(lengths, overlap)
    with pytest.raises(UsageError, match="20 frames does not fit segments that make 21"):
        joined(lambda x, _: x, [10, 9, 10], 4)(motion(1, 20), 3)


def test_parts_that_meet_nowhere_follow_each_other():
    a, b = motion(1, 4), motion(1, 5)
    assert torch.equal(cross_faded([a, b], 0), torch.cat((a, b), 1))
