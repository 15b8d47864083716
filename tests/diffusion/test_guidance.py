"""Guidance by closed form, who is guided, and how often the network runs."""

import dataclasses
from collections.abc import Mapping

import pytest
import torch

from diffusion.guidance import guided
from model.denoisers.conditions import hidden
from sample.common.session import Request
from sample.options import SamplingOptions
from tests.people import SPEC, mocap_session, moving, record, tiny_dit, write_folder


class Network:
    """Answers 10 without a condition and 10 + 1 + the label with one; remembers what it was asked."""

    def __init__(self):
        self.asked: list[list[int]] = []

    def __call__(self, x: torch.Tensor, condition: Mapping[str, torch.Tensor]) -> torch.Tensor:
        action = condition["action"]
        assert len(x) == len(action)
        self.asked.append(action.tolist())
        shown = 10.0 + (action + 1) * (action >= 0)
        return shown[:, None, None] * torch.ones(1, 4, 2)


def answer(actions: list[int], scale: float, together: bool = True) -> tuple[list[float], Network]:
    """The answer to each sample, and the network that was asked."""
    network, told = Network(), {"action": torch.tensor(actions)}
    out = guided(network, torch.zeros(len(actions), 4, 2), told, hidden(told), scale, together)
    assert out.shape == (len(actions), 4, 2)
    return out[:, 0, 0].tolist(), network


def test_scale_1_is_the_conditional_answer_in_one_run():
    found, network = answer([0, 3, 1], 1)
    assert found == [11, 14, 12] and network.asked == [[0, 3, 1]]


def test_scale_0_is_the_unconditional_answer_in_one_run():
    found, network = answer([0, 3, 1], 0)
    assert found == [10, 10, 10] and network.asked == [[-1, -1, -1]]


@pytest.mark.parametrize("scale", [0.5, 2.5, -1.0, 7.0])
@pytest.mark.parametrize("together", [True, False])
def test_other_scales_go_along_the_line_through_both(scale, together):
    """In one batch of twice the size, or one after the other where samples of a batch see each other."""
    found, network = answer([0, 3, 1], scale, together)
    assert found == pytest.approx([10 + scale * distance for distance in (1, 4, 2)])
    assert network.asked == ([[-1, -1, -1, 0, 3, 1]] if together else [[-1, -1, -1], [0, 3, 1]])


@pytest.mark.parametrize("scale", [0, 0.5, 1, 2.5])
def test_a_hidden_action_is_never_guided(scale):
    found, _ = answer([3, -1, -1], scale)
    assert found[1:] == [10, 10] and found[0] == pytest.approx(10 + 4 * scale)


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_a_session_guides_every_view_by_its_samples_action(tmp_path, scale):
    """Rows of the network are [views x samples]; each is guided by its own sample's action, in parts or at once."""
    data = dataclasses.replace(write_folder(tmp_path / "data", [(moving(60), record("a"))]), cond="action")
    session = mocap_session(data, tiny_dit(len(SPEC.actions), spread=1.0), samples=2)
    request = Request(torch.tensor([8, 8]), {"action": torch.tensor([4, -1])})
    x, t = torch.randn(6, 8, 16, 2, generator=torch.Generator().manual_seed(0)), 3
    step = torch.full((6,), int(session.process.timestep_map[t]))
    with torch.no_grad():
        without, shown = (
            session.model(x.flatten(2), step, {"action": action}).view_as(x)
            for action in (torch.full((6,), -1), torch.tensor([4, -1] * 3))
        )
    expected = without + scale * (shown - without)
    for most in (0, 1, 4):
        sampling = SamplingOptions(num_samples=2, guidance_param=scale, max_batch=most)
        out = dataclasses.replace(session, sampling=sampling).denoiser(request, views=3)(x, t)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    assert (expected - without)[1::2].abs().max() < 1e-6
    assert scale == 0 or (expected - without)[::2].abs().amax((1, 2, 3)).min() > 1e-3


def test_guidance_may_end_before_the_steps_do(tmp_path):
    """The last steps, of least noise, follow the condition as it is."""
    data = dataclasses.replace(write_folder(tmp_path / "data", [(moving(60), record("a"))]), cond="action")
    session = mocap_session(data, tiny_dit(len(SPEC.actions), spread=1.0), samples=1)
    request = Request(torch.tensor([8]), {"action": torch.tensor([4])})
    x = torch.randn(1, 8, 16, 2, generator=torch.Generator().manual_seed(0))

    def answers(scale: float, share: float) -> list[torch.Tensor]:
        sampling = SamplingOptions(num_samples=1, guidance_param=scale, guided_share=share)
        denoise = dataclasses.replace(session, sampling=sampling).denoiser(request)
        return [denoise(x, t) for t in range(session.process.steps)]

    plain, whole, some = answers(1, 1), answers(3, 1), answers(3, 0.4)
    same_as_whole = [torch.equal(a, b) for a, b in zip(some, whole, strict=True)]
    assert same_as_whole == [False] * 3 + [True] * 2
    assert all(torch.equal(a, b) for a, b in zip(some[:3], plain[:3], strict=True))
