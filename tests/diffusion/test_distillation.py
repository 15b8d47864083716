"""Distillation with a denoiser that knows the answer, and what it asks of whom."""

import math

import numpy as np
import pytest
import torch

from diffusion.distillation import RATE, distill
from diffusion.process import build_process
from sample.common.draws import timesteps
from utils.geometry.cameras import Camera, project, view_rotations
from utils.run.randomness import numpy_rng, torch_generator

CAMERA = Camera(7.0, 0.75)
PROCESS = build_process("cosine_tau_2", 100)
MEAN, STD = 0.2, 0.5


def to_data(x: torch.Tensor) -> torch.Tensor:
    return x * STD + MEAN


def to_model(x: torch.Tensor) -> torch.Tensor:
    return (x - MEAN) / STD


class Oracle:
    """Views around the figure, and a denoiser that sees through the noise what the `truth` looks like from each."""

    def __init__(self, truth: torch.Tensor, views: int):
        self.truth, self.count = truth, views
        self.rng, self.draws = numpy_rng("azimuths"), torch_generator("noise")
        self.rotations = torch.empty(0)
        self.seen: list[tuple[int, torch.Tensor]] = []

    def views(self) -> torch.Tensor:
        azimuth = torch.from_numpy(self.rng.uniform(0, 2 * math.pi, self.count)).float()
        self.rotations = view_rotations(azimuth, torch.full_like(azimuth, 0.2))
        return self.rotations

    def noise(self) -> torch.Tensor:
        batch, frames, joints, _ = self.truth.shape
        return torch.randn(self.count * batch, frames, joints, 2, generator=self.draws)

    def denoise(self, x: torch.Tensor, t: int) -> torch.Tensor:
        self.seen.append((t, x))
        return to_model(project(self.truth, self.rotations, CAMERA).flatten(0, 1))

    def distill(self, schedule: list[int], start: torch.Tensor) -> torch.Tensor:
        return distill(self.denoise, PROCESS, schedule, self.views, self.noise, CAMERA, start, to_data, to_model)


@pytest.fixture
def truth() -> torch.Tensor:
    """Two motions of four joints [2, 3, 4, 3], within a metre of the origin."""
    return 0.5 * torch.randn(2, 3, 4, 3, generator=torch_generator("truth"))


@pytest.mark.parametrize("views", [1, 5])
def test_it_finds_the_motion_that_the_denoiser_knows(truth, views):
    start = torch.zeros_like(truth)
    found = Oracle(truth, views).distill([50] * 500, start)
    assert (found - truth).norm(dim=-1).max() < 0.05
    assert not start.any() and not start.requires_grad, "what it starts from is not touched"
    assert not found.requires_grad


def test_the_truth_stays_where_it_is(truth):
    found = Oracle(truth, 3).distill([30] * 20, truth)
    torch.testing.assert_close(found, truth, atol=2 * RATE, rtol=0)


def test_the_first_step_is_one_rate_towards_the_truth(truth):
    """Adam's first step has the size of the learning rate in every coordinate that matters."""
    found = Oracle(truth, 7).distill([10], torch.zeros_like(truth))
    assert float(found.abs().max()) == pytest.approx(RATE, rel=1e-3)
    away = truth.abs() > 0.1
    assert (found.sign() == truth.sign())[away].float().mean() > 0.95


def test_it_follows_the_schedule_and_noises_what_it_shows(truth):
    oracle, schedule = Oracle(truth, 2), [70, 3, 40]
    oracle.distill(schedule, truth)
    assert [t for t, _ in oracle.seen] == schedule
    t, noisy = oracle.seen[0]
    again = Oracle(truth, 2)
    shown = to_model(project(truth, again.views(), CAMERA).flatten(0, 1))
    expected = PROCESS.q_sample(shown, torch.full((4,), t), again.noise())
    torch.testing.assert_close(noisy, expected)
    assert len(schedule) == 3 and noisy.shape == (4, 3, 4, 2)


def test_an_empty_schedule_changes_nothing(truth):
    assert torch.equal(Oracle(truth, 2).distill([], truth), truth)


@pytest.mark.parametrize("annealed", [False, True])
def test_schedules(annealed):
    drawn = np.array(timesteps(numpy_rng("steps"), 100, annealed))
    assert len(drawn) == 1000 and drawn.min() >= 1 and drawn.max() == 99
    thirds = [part.mean() for part in np.array_split(drawn, 3)]
    if annealed:
        assert thirds[0] > 75 and thirds[0] > thirds[1] + 10 > thirds[2] + 20
        lower = 99 - np.arange(1000) // 10
        assert (drawn >= np.maximum(1, lower - 1)).all()
    else:
        assert max(thirds) - min(thirds) < 8 and abs(drawn.mean() - 50) < 3
