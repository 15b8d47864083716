"""Smoothing over time: lines stay lines, constants stay, and clips shorter than the window go on as they are told."""

import numpy as np
import pytest

from utils.geometry.smoothing import gaussian, gaussian_over_time


@pytest.mark.parametrize("shape", [(60,), (60, 2), (60, 3, 2)])
def test_a_straight_line_stays_one(shape):
    line = np.arange(60.0).reshape(-1, *[1] * (len(shape) - 1)) * np.ones(shape)
    np.testing.assert_allclose(gaussian_over_time(line, 4.0), line, atol=1e-9)


def test_an_impulse_becomes_the_gaussian():
    values = np.zeros(61)
    values[30] = 1.0
    found = gaussian_over_time(values, 2.0)
    assert found.sum() == pytest.approx(1) and found[30] / found[32] == pytest.approx(np.exp(0.5))
    assert not found[:24].any() and found[24] > 0, "cut off at three deviations"


@pytest.mark.parametrize("frames", [1, 2, 5, 18])
def test_clips_no_longer_than_the_window_reaches(frames):
    """6 frames of deviation reach 18 frames: a reflected line stays one, a held one is flattened towards its middle."""
    line = np.arange(float(frames))
    np.testing.assert_allclose(gaussian_over_time(line, 6.0), line, atol=1e-9)
    held = gaussian_over_time(line, 6.0, short="held")
    by_hand = np.pad(line, 18, mode="edge")
    weights = np.exp(-0.5 * (np.arange(-18, 19) / 6.0) ** 2)
    wanted = [(by_hand[t : t + 37] * weights).sum() / weights.sum() for t in range(frames)]
    np.testing.assert_allclose(held, wanted, atol=1e-12)
    assert np.ptp(held) < np.ptp(line) or frames == 1


def test_a_longer_clip_is_reflected_whatever_is_said_of_short_ones():
    values = np.random.RandomState(0).normal(size=(19, 2))
    np.testing.assert_array_equal(gaussian_over_time(values, 6.0), gaussian_over_time(values, 6.0, short="held"))


def test_weights_of_a_gaussian():
    weights = gaussian(4.0, 12)
    assert len(weights) == 25 and abs(weights.sum() - 1) < 1e-12
    np.testing.assert_allclose(np.log(weights[12] / weights[[8, 16, 0]]), [0.5, 0.5, 4.5], atol=1e-12)
