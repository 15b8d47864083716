"""Clips made clean: noise is told, each step lowers the sum, truth is nearer, and what is held is held."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from model.poses import denoising
from model.poses.denoising import Given, denoise, noise_of, turning_noise_of
from utils.geometry.kinematics import forward
from utils.geometry.rest import rest_offsets
from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_multiply, quaternion_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.geometry.smoothing import gaussian_over_time, low_rank

PARENTS = SKELETONS["smpl22"].parents
OFFSETS = rest_offsets()[:22].double()
FPS = 30.0


class Flat(nn.Module):
    """A pose prior to which poses are as far away as their joints turn: 1 - w on average."""

    def forward(self, quaternions: torch.Tensor) -> torch.Tensor:
        return (1 - quaternions[..., 0].abs()).mean(1)


def waving(frames: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotations [T, 22, 4] of a person who swings all limbs, each by a share of two motions, and a path [T, 3]."""
    time = torch.arange(frames).double() / FPS
    shares = torch.randn(2, 22, 3, generator=torch.Generator().manual_seed(1)).double()
    motions = torch.stack([torch.sin(2 * torch.pi * 0.5 * time), torch.cos(2 * torch.pi * 0.7 * time)])
    turns = 0.2 * torch.einsum("mt,mjc->tjc", motions, shares)
    return axis_angle_to_quaternion(turns), torch.stack([time, 0 * time + 1, 0 * time], 1)


def joints(rotations: torch.Tensor, root: torch.Tensor) -> torch.Tensor:
    return forward(quaternion_to_matrix(rotations), OFFSETS, PARENTS, root)[0]


def turned(rotations: torch.Tensor, radians: float) -> torch.Tensor:
    """With noise on all joints below the root."""
    noise = radians * torch.randn(*rotations.shape[:2], 3, generator=torch.Generator().manual_seed(2)).double()
    noise[:, 0] = 0
    return quaternion_multiply(rotations, axis_angle_to_quaternion(noise))


def error(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm(dim=-1).mean())


def best_filter(values: torch.Tensor, truth: torch.Tensor) -> float:
    widths = (0.5, 1, 1.5, 2, 3, 4, 6)
    return min(error(torch.from_numpy(gaussian_over_time(values.numpy(), width)), truth) for width in widths)


def test_noise_is_told_from_motion():
    rotations, root = waving(60)
    places = joints(rotations, root)
    noise = 0.02 * torch.randn(places.shape, generator=torch.Generator().manual_seed(0)).double()
    assert noise_of(places) < 1e-4
    assert noise_of(places + noise) == pytest.approx(0.02, rel=0.1)
    assert turning_noise_of(turned(rotations, 0.1)[:, 1:]) == pytest.approx(0.1, rel=0.1)
    assert noise_of(places[:4]) == 0 == turning_noise_of(rotations[:4])


def test_noisy_rotations():
    """Nearer to the truth than after the best Gaussian filter; the root is held, and no step raises the sum."""
    rotations, root = waving()
    given = Given(turned(rotations, 0.2), root, OFFSETS, FPS, radians=0.2)
    found = denoise(None, given, 20)
    truth = joints(rotations, root)
    assert error(joints(found.rotations, found.root), truth) < 0.75 * best_filter(joints(given.rotations, root), truth)
    assert (torch.tensor(found.history).diff() <= 0).all() and len(found.history) > 2
    assert torch.equal(found.root, root)
    turn = (found.rotations[:, 0] * given.rotations[:, 0]).sum(-1).abs()
    torch.testing.assert_close(turn, torch.ones_like(turn))


def test_noisy_joints():
    """From a start that is off, bones keep their lengths and joints come nearer than those of the best filter."""
    rotations, root = waving()
    truth = joints(rotations, root)
    noisy = truth + 0.03 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(3)).double()
    start = Given(turned(rotations, 0.1), root + 0.05, OFFSETS, FPS, positions=noisy, metres=0.03)
    found = denoise(None, start, 20)
    places = joints(found.rotations, found.root)
    assert error(places, truth) < 0.75 * best_filter(noisy, truth)
    assert (torch.tensor(found.history).diff() <= 0).all()


def test_joints_without_trust_do_not_count():
    rotations, root = waving(20)
    noisy = joints(rotations, root)
    trust = torch.ones(20, 22)
    trust[:, 15] = 0
    given = Given(rotations, root, OFFSETS, FPS, positions=noisy, trust=trust, metres=0.01)
    broken = noisy.clone()
    broken[:, 15] += 0.001
    found = [denoise(None, replace(given, positions=places), 5) for places in (noisy, broken)]
    torch.testing.assert_close(found[0].rotations, found[1].rotations, atol=1e-2, rtol=0)


def test_the_prior_draws():
    """A prior that likes the T more than what is given turns joints towards it."""
    rotations, root = waving(20)
    given = Given(rotations, root, OFFSETS, FPS, radians=0.2)
    turns = [denoise(prior, given, 10).rotations[:, 1:, 0].abs().acos().mean() for prior in (None, Flat())]
    assert turns[1] < 0.96 * turns[0]


def test_derivatives_are_those_of_the_sum():
    """The right side of the equations is half the gradient of the sum, by finite differences."""
    rotations, root = waving(6)
    noisy = joints(turned(rotations, 0.2), root)
    for known in (dict(positions=noisy, metres=0.02), dict(radians=0.1)):
        given = Given(turned(rotations, 0.2), root, OFFSETS, FPS, **known)  # type: ignore[arg-type]
        given = replace(given, scales=denoising._scales(given))
        state = denoising._told(Flat(), given, turned(rotations, 0.3), root)
        right = denoising._equations(given, state, True)[2].unflatten(1, (2, -1)).flatten(0, 1)
        step = torch.zeros_like(right)
        for frame, unknown in ((0, 4), (3, 20), (5, 41)):
            step.zero_()[frame, unknown] = 1e-4
            up, down = (denoising._told(Flat(), given, *denoising._moved(state, sign * step)).total for sign in (1, -1))
            wanted = (up - down) / 2e-4 / 2
            assert float(right[frame, unknown]) == pytest.approx(wanted, rel=2e-2, abs=0.3)


def test_short_and_long_clips(monkeypatch):
    """One frame, two, three; and a clip in parts is that at once but for little."""
    rotations, root = waving(30)
    for frames in (1, 2, 3):
        given = Given(rotations[:frames], root[:frames], OFFSETS, FPS, radians=0.01)
        assert denoise(Flat(), given, 3).rotations.isfinite().all()
    given = Given(turned(rotations, 0.05), root, OFFSETS, FPS, radians=0.05)
    whole = denoise(None, given, 10).rotations
    monkeypatch.setattr(denoising, "_PART", 16)
    monkeypatch.setattr(denoising, "_MARGIN", 12)
    assert (whole * denoise(None, given, 10).rotations).sum(-1).abs().min() > np.cos(0.03)


def test_no_steps_and_no_noise_leave_a_clip():
    rotations, root = waving(20)
    found = denoise(None, Given(rotations, root, OFFSETS, FPS, radians=1e-6), 0)
    assert (found.rotations * rotations).sum(-1).abs().min() > 1 - 1e-6 and len(found.history) == 1


def test_low_rank():
    """Few motions that many numbers share come out of noise; without noise, or in two frames, nothing changes."""
    time = np.arange(60)[:, None] / 10
    clean = np.sin(time) * np.arange(1, 31) / 10 + 5
    noisy = clean + np.random.RandomState(0).normal(0, 0.5, clean.shape)
    assert np.abs(low_rank(noisy, 0.5) - clean).mean() < 0.35 * np.abs(noisy - clean).mean()
    np.testing.assert_array_equal(low_rank(noisy, 0.0), noisy)
    np.testing.assert_array_equal(low_rank(noisy[:2], 0.5), noisy[:2])
