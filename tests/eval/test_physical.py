"""Physical figures against closed forms: waves of known frequency, rigid bodies, known asymmetries and distances."""

import numpy as np
import pytest

from eval import physical
from eval.physical import (
    band,
    bone_figures,
    clip_figures,
    derivative,
    diversity,
    facing_aligned,
    nearest_labels,
    summary,
)
from tests.people import BODY, moving, standing

FPS = 20.0


def wave(frames: int, half_periods: int, amplitude: float = 1.0) -> tuple[np.ndarray, float]:
    """A cosine component of a clip [T, 1, 3], along x, and its frequency in Hz."""
    time = (np.arange(frames) + 0.5) / frames
    clip = np.zeros((frames, 1, 3))
    clip[:, 0, 0] = amplitude * np.cos(np.pi * half_periods * time)
    return clip, half_periods * FPS / (2 * frames)


def test_the_bands_are_split_at_their_frequency():
    slow, slow_hz = wave(120, 4)
    middle, middle_hz = wave(120, 30, 0.5)
    fast, fast_hz = wave(120, 60, 0.2)
    assert (slow_hz, middle_hz, fast_hz) == pytest.approx((1 / 3, 2.5, 5.0))
    rest = np.full((120, 1, 3), 3.0)
    whole = rest + slow + middle + fast
    np.testing.assert_allclose(band(whole, FPS, physical.SWIFT), rest + slow + middle, atol=1e-12)
    np.testing.assert_allclose(band(whole, FPS, physical.SLOW), rest + slow, atol=1e-12)
    np.testing.assert_allclose(band(whole, FPS, 10.1), whole, atol=1e-12)
    assert len(band(whole[:41], FPS, 1.0)) == 41 and len(band(whole[:1], FPS, 1.0)) == 1


def test_figures_of_a_wave():
    """x = A cos(2 pi f t): mean speed 4 A f; below 4 Hz nothing is left of a 5 Hz wave; slow change A / sqrt 2."""
    frames = 4000
    slow, slow_hz = wave(frames, 40, 2.0)
    fast, fast_hz = wave(frames, 2000, 0.1)
    assert (slow_hz, fast_hz) == pytest.approx((0.1, 5.0))
    figures = clip_figures(slow, FPS)
    assert figures["speed"] == pytest.approx(4 * 2.0 * slow_hz, rel=1e-3)
    assert figures["speed_below_4hz"] == pytest.approx(figures["speed"], rel=1e-9)
    assert figures["slow_change"] == pytest.approx(2.0 / 2**0.5, rel=1e-6)
    assert figures["acceleration"] == pytest.approx(2.0 * (2 * np.pi * slow_hz) ** 2 * 2 / np.pi, rel=1e-3)
    assert figures["jerk"] == pytest.approx(2.0 * (2 * np.pi * slow_hz) ** 3 * 2 / np.pi, rel=1e-3)
    both = clip_figures(slow + fast, FPS)
    assert both["speed_below_4hz"] == pytest.approx(figures["speed"], rel=1e-6)
    assert both["speed"] > 1.5 * figures["speed"]
    assert clip_figures(fast, FPS)["speed_below_4hz"] < 1e-12 and clip_figures(fast, FPS)["slow_change"] < 1e-12


def test_polynomials():
    time = np.arange(50)[:, None, None] / FPS
    direction = np.array([3.0, 0, 4])
    for power, order in ((0, 1), (1, 2), (2, 3)):
        assert derivative(time**power * direction, FPS, order) == pytest.approx(0, abs=1e-8)
    assert derivative(time * direction, FPS, 1) == pytest.approx(5)
    assert derivative(time**2 * direction, FPS, 2) == pytest.approx(10)
    assert derivative(time**3 * direction, FPS, 3) == pytest.approx(30)
    assert derivative(time[:3] * direction, FPS, 3) == 0, "too short to have one"


def test_figures_are_in_metres_and_seconds():
    clip = moving(60)
    one, doubled, faster = clip_figures(clip, FPS), clip_figures(2 * clip, FPS), clip_figures(clip, 2 * FPS)
    for name, power in (("speed", 1), ("acceleration", 2), ("jerk", 3)):
        assert doubled[name] == pytest.approx(2 * one[name]) and faster[name] == pytest.approx(2**power * one[name])
    assert doubled["slow_change"] == pytest.approx(2 * one["slow_change"])


def test_who_stands_still():
    clips = [standing(60), moving(60), standing(60), moving(60, 1)]
    figures = summary(clips, FPS, BODY)
    assert figures["still_percent"] == 50
    still = summary([standing(60)], FPS, BODY)
    assert still["still_percent"] == 100
    for name in ("speed", "speed_below_4hz", "acceleration", "jerk", "slow_change"):
        assert still[name] == pytest.approx(0, abs=1e-5)
    slow = standing(60)
    slow[..., 0] += np.arange(60)[:, None] * 0.9 * physical.STILL / FPS
    assert summary([slow], FPS, BODY)["still_percent"] == 100
    slow[..., 0] *= 1.3
    assert summary([slow + standing(60)], FPS, BODY)["still_percent"] == 0


def turning(frames: int) -> np.ndarray:
    """A stiff person who turns about the vertical and drifts [T, 16, 3]."""
    angle = np.linspace(0, 3, frames)
    cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros(frames), np.ones(frames)
    turn = np.stack([cos, zero, -sin, zero, one, zero, sin, zero, cos], -1).reshape(frames, 1, 3, 3)
    return (standing(frames).astype(float)[:, :, None] @ turn)[:, :, 0] + angle[:, None, None]


def test_a_stiff_body_has_no_variation_and_no_asymmetry():
    variation, asymmetry = bone_figures(turning(30), BODY)
    assert variation.shape == (15,) and asymmetry.shape == (6,)
    np.testing.assert_allclose(variation, 0, atol=1e-12)
    np.testing.assert_allclose(asymmetry, 0, atol=1e-6)


def test_bones_that_breathe_and_a_long_shin():
    """A shin that is 0.44 m long on one side and 0.40 m on the other differs by 0.04 / 0.42."""
    clip = np.zeros((100, 16, 3))
    children = [joint for joint, parent in enumerate(BODY.parents) if parent >= 0]
    for joint in children:
        clip[:, joint] = clip[:, BODY.parents[joint]] + (0, 0.4, 0)
    variation, asymmetry = bone_figures(clip, BODY)
    np.testing.assert_allclose(variation, 0, atol=1e-12)
    clip[:, BODY.index("LAnkle"), 1] += 0.04
    variation, asymmetry = bone_figures(clip, BODY)
    assert sorted(asymmetry.tolist())[:5] == pytest.approx([0] * 5, abs=1e-12)
    assert asymmetry.max() == pytest.approx(0.04 / 0.42)
    clip[::2, BODY.index("RWrist"), 1] += 0.1
    variation, _ = bone_figures(clip, BODY)
    assert variation[children.index(BODY.index("RWrist"))] == pytest.approx(0.05 / 0.45)
    assert np.delete(variation, children.index(BODY.index("RWrist"))).max() < 1e-12
    figures = summary([clip], FPS, BODY)
    assert figures["asymmetry_median_percent"] == pytest.approx(0, abs=1e-9)
    assert figures["bones_p90_percent"] == pytest.approx(0, abs=1e-9)
    assert summary([clip[..., :2]], FPS, BODY).keys() == clip_figures(clip, FPS).keys() | {"still_percent", "diversity"}


def test_diversity_is_the_mean_distance_between_two_clips():
    clip = moving(40)
    assert diversity([clip, clip, clip]) == 0
    assert diversity([clip]) == 0
    assert diversity([clip, clip + (0.3, 0, 0.4)]) == pytest.approx(0.5, rel=1e-5)
    assert diversity([clip, clip[:20] + (0.3, 0, 0.4)]) == pytest.approx(0.5, rel=1e-5), "over the shortest"
    three = diversity([clip, clip + (1, 0, 0), clip + (0, 0, 1)])
    assert three == pytest.approx((1 + 1 + 2**0.5) / 3, rel=1e-5)


@pytest.mark.parametrize("heading", [0.0, 0.7, 2.0, -2.5])
def test_facing_takes_the_heading_away(heading):
    clip = moving(30).astype(float)
    cos, sin = np.cos(heading), np.sin(heading)
    turned = clip @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    aligned = facing_aligned(turned, BODY, "LHip", "RHip")
    np.testing.assert_allclose(aligned, facing_aligned(clip, BODY, "LHip", "RHip"), atol=1e-9)
    across = (aligned[:, BODY.index("LHip")] - aligned[:, BODY.index("RHip")]).mean(0)
    assert across[0] > 0.1 and abs(across[2]) < 1e-9
    np.testing.assert_allclose(aligned[..., 1], turned[..., 1])


def test_nearest_labels_are_those_of_the_nearest_rows():
    rng = np.random.RandomState(0)
    known, labels = rng.normal(size=(50, 7)).astype(np.float32), rng.randint(0, 5, 50)
    clips = [rng.normal(size=7) for _ in range(20)]
    expected = [labels[np.linalg.norm(known - clip, axis=1).argmin()] for clip in clips]
    assert nearest_labels(clips, known, labels).tolist() == expected
    assert nearest_labels(list(known + 0.01), known, labels).tolist() == labels.tolist()
