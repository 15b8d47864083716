"""Cubic interpolation in time: exact where it must be, inside the clip, and as long as the clip."""

import numpy as np
import pytest

from utils.geometry.resample import resample, sample_frames


def quadratic(times: np.ndarray) -> np.ndarray:
    """Two channels that are quadratics of time [..., 2]."""
    return np.stack([3 - 2 * times + 0.7 * times**2, 1 + 0.1 * times - 0.3 * times**2], -1)


def test_quadratics_come_back_exactly_away_from_the_borders():
    times = np.linspace(1, 8, 101)
    found = sample_frames(quadratic(np.arange(10.0)), times, 0, 9)
    np.testing.assert_allclose(found, quadratic(times), atol=1e-12)


def test_a_cubic_is_beyond_it_but_near():
    times = np.linspace(1, 8, 50)
    error = sample_frames(np.arange(10.0) ** 3, times, 0, 9) - times**3
    assert 0.01 < np.abs(error).max() < 0.2


def test_whole_times_are_the_frames_themselves():
    frames = np.random.RandomState(0).normal(size=(12, 5, 3)).astype(np.float32)
    found = sample_frames(frames, np.arange(12.0), 0, 11)
    np.testing.assert_array_equal(found, frames)
    assert found.dtype == np.float32


def test_the_curve_and_its_slope_are_continuous():
    frames = np.random.RandomState(1).normal(size=9)
    step = 1e-6
    knots = np.arange(2.0, 7)
    before, at, after = (sample_frames(frames, knots + shift, 0, 8) for shift in (-step, 0, step))
    np.testing.assert_allclose(at - before, after - at, atol=1e-10)
    np.testing.assert_allclose((after - at) / step, (frames[3:8] - frames[1:6]) / 2, atol=1e-4)


def test_neighbours_are_held_at_the_borders_of_the_clip():
    """What lies outside of a clip, another clip in the same array, has no say."""
    frames = np.random.RandomState(2).normal(size=(20, 2))
    times = np.linspace(5, 14, 91)
    alone = sample_frames(frames[5:15], times - 5, 0, 9)
    spoiled = frames.copy()
    spoiled[:5], spoiled[15:] = 1e6, -1e6
    np.testing.assert_allclose(sample_frames(spoiled, times, 5, 14), alone, atol=1e-12)
    np.testing.assert_allclose(alone[[0, -1]], frames[[5, 14]], atol=1e-12)


def test_each_row_of_times_has_its_own_borders():
    frames = np.arange(20.0)[:, None] * (1, 10)
    times = np.array([[0.0, 0.5, 9.0], [10.0, 18.5, 19.0]])
    first, last = np.array([[0], [10]]), np.array([[9], [19]])
    rows = [sample_frames(frames, times[i], int(first[i, 0]), int(last[i, 0])) for i in (0, 1)]
    np.testing.assert_allclose(sample_frames(frames, times, first, last), rows)
    np.testing.assert_allclose(np.stack(rows)[:, [0, 2], 0], times[:, [0, 2]])


@pytest.mark.parametrize(("fps", "new_fps"), [(120, 30), (30, 20), (30, 120), (29.97, 30), (1 / 0.008333, 30)])
def test_a_clip_lasts_as_long_as_before(fps, new_fps):
    for count in (1, 2, 7, 30, 241):
        times = np.arange(count) / fps
        found = resample(quadratic(times), fps, new_fps)
        shown = np.arange(len(found)) / new_fps
        assert shown[-1] <= times[-1] + 1e-6 < shown[-1] + 1 / new_fps
        inner = (shown >= 1 / fps) & (shown <= times[-1] - 1 / fps)
        np.testing.assert_allclose(found[inner], quadratic(shown[inner]), atol=1e-9)


def test_lengths_by_hand():
    assert [len(resample(np.zeros((n, 1)), 120, 30)) for n in (1, 4, 5, 240, 241)] == [1, 1, 2, 60, 61]
    assert [len(resample(np.zeros((n, 1)), 30, 20)) for n in (60, 61, 62)] == [40, 41, 41]


def test_the_same_rate_is_the_same_clip():
    frames = np.random.RandomState(3).normal(size=(5, 2))
    assert resample(frames, 30, 30.0) is frames


def test_there_and_back_keeps_a_smooth_motion():
    time = np.arange(91) / 30
    motion = np.sin(2 * np.pi * time)[:, None]
    back = resample(resample(motion, 30, 120), 120, 30)
    np.testing.assert_allclose(back, motion, atol=1e-9)
