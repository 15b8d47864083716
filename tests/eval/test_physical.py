"""Physical figures against closed forms: waves of known frequency, rigid bodies, known asymmetries and distances."""

import numpy as np
import pytest

from body.motion.legs import feet_of
from eval.metrics import physical
from eval.metrics.physical import (
    band,
    bone_figures,
    clip_figures,
    diversity,
    facing_aligned,
    foot_joints,
    nearest_labels,
    skating,
    slide,
    standing_steps,
    summary,
    world_figures,
)
from tests.people import BODY, moving, standing
from utils.geometry.contacts import feet_contacts
from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.geometry.smoothing import derivative
from utils.run.errors import DataError

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


# In the world.

SMPL = SKELETONS["smpl22"]
FIGURES = ("jitter", "floating", "penetration", "bone_variation", "foot_sliding", "foot_skating")


def grounded(frames: int, skeleton: Skeleton = SMPL) -> np.ndarray:
    """A pose that does not move [frames, J, 3], float64: limbs of 20 cm, the lowest joint exactly on the floor."""
    pose = np.zeros((len(skeleton.joints), 3))
    feet = foot_joints(skeleton)
    for joint, parent in enumerate(skeleton.parents):
        if parent >= 0:
            pose[joint] = pose[parent] + (0.01 * joint, -0.2 if "s" in skeleton.joints[joint] else 0.2, 0.02)
    pose[feet, 1] = pose[:, 1].min() - 0.1
    pose[:, 1] -= pose[:, 1].min()
    return np.broadcast_to(pose, (frames, *pose.shape)).copy()


def gliding(frames: int, speed: float, skeleton: Skeleton = SMPL, fps: float = FPS) -> np.ndarray:
    """The pose, moved over the floor at so many metres a second."""
    return grounded(frames, skeleton) + np.arange(frames)[:, None, None] / fps * speed * np.array([0.6, 0, 0.8])


@pytest.mark.parametrize("name", SKELETONS)
def test_a_still_figure_on_the_floor_has_nothing_wrong(name: str):
    figures = world_figures(grounded(20, SKELETONS[name]), FPS, SKELETONS[name])
    assert tuple(figures) == FIGURES
    assert figures == pytest.approx(dict.fromkeys(FIGURES, 0.0), abs=1e-9)


@pytest.mark.parametrize("fps", [20.0, 60.0])
@pytest.mark.parametrize("name", ["smpl22", "horse", "nba"])
def test_a_figure_that_glides_slides_as_far_as_it_moves(name: str, fps: float):
    skeleton = SKELETONS[name]
    clip = gliding(30, 1.0, skeleton, fps)
    all_stand = np.ones((30, len(foot_joints(skeleton))), bool)
    for contacts in (None, all_stand):
        figures = world_figures(clip, fps, skeleton, contacts=contacts)
        assert figures["foot_sliding"] == pytest.approx(1000 / fps)
        assert figures["foot_skating"] == pytest.approx(1000 / fps)
        for other in ("jitter", "floating", "penetration", "bone_variation"):
            assert figures[other] == pytest.approx(0, abs=1e-6)


def test_a_raised_figure_floats_and_a_sunken_one_penetrates():
    clip = grounded(20)
    up, down = world_figures(clip + (0, 0.05, 0), FPS, SMPL), world_figures(clip - (0, 0.03, 0), FPS, SMPL)
    assert (up["floating"], up["penetration"]) == pytest.approx((5, 0))
    assert (down["floating"], down["penetration"]) == pytest.approx((0, 3))
    half = clip.copy()
    half[:10, :, 1] += 0.05
    half[10:, :, 1] -= 0.01
    figures = world_figures(half, FPS, SMPL)
    assert (figures["floating"], figures["penetration"]) == pytest.approx((2.5, 0.5)), "means over the frames"
    lifted = world_figures(half + (0, 0.7, 0), FPS, SMPL, floor=0.7)
    assert lifted == pytest.approx(figures), "wherever the floor is"


def test_one_joint_below_the_floor_is_enough():
    clip = grounded(20)
    clip[:, SMPL.index("head"), 1] = -0.2
    assert world_figures(clip, FPS, SMPL)["penetration"] == pytest.approx(20)


def test_jitter_is_the_third_derivative_by_ten():
    time = np.arange(30)[:, None, None] / FPS
    clip = grounded(30) + time**3 * np.array([0.3, 0, 0.4])
    assert world_figures(clip, FPS, SMPL)["jitter"] == pytest.approx(6 * 0.5 / 10)
    assert world_figures(grounded(30) + time**2, FPS, SMPL)["jitter"] == pytest.approx(0, abs=1e-8)
    clip = moving(30).astype(float)
    assert world_figures(clip, FPS, BODY)["jitter"] == pytest.approx(clip_figures(clip, FPS)["jerk"] / 10)


def test_bones_that_breathe_in_the_world():
    clip = grounded(20)
    head = SMPL.index("head")
    bone = clip[:, head] - clip[:, SMPL.parents[head]]
    clip[:, head] += bone * np.where(np.arange(20) % 2, 0.1, -0.1)[:, None]
    assert world_figures(clip, FPS, SMPL)["bone_variation"] == pytest.approx(100 * 0.1 / 21), "one of 21 bones"


def test_a_foot_that_rolls_over_its_toes_does_not_slide():
    clip = grounded(20)
    clip[:, [SMPL.index("left_ankle"), SMPL.index("right_ankle")], 2] += 0.01 * np.arange(20)[:, None]
    figures = world_figures(clip, FPS, SMPL)
    assert figures["foot_sliding"] == 0 and figures["foot_skating"] > 1


def test_sliding_counts_the_steps_at_whose_ends_the_joint_stands():
    points = np.zeros((6, 2, 3))
    points[:, 0, 0] = (0, 0.008, 0.03, 0.06, 0.10, 0.15)
    labels = np.array([[1, 1], [1, 1], [1, 1], [0, 1], [1, 0], [1, 0]], bool)
    stand = labels[1:] & labels[:-1]
    assert slide(points, stand) == pytest.approx((8 + 22 + 50 + 0 + 0 + 0) / 6)
    assert slide(points, np.zeros((5, 2), bool)) == 0
    assert standing_steps(points).tolist() == [[True, True] if t == 0 else [False, True] for t in range(5)]
    assert standing_steps(points, 0.035)[:, 0].tolist() == [True, True, True, False, False]
    clip = grounded(6)
    clip[:, foot_joints(SMPL)[:2]] += points
    given = np.concatenate([labels, np.zeros_like(labels)], axis=1)
    figures = world_figures(clip, FPS, SMPL, contacts=given)
    assert figures["foot_sliding"] == pytest.approx(80 / 6)


def test_a_true_motion_compared_with_itself_hardly_slides():
    """By the definition of GVHMR: less than 1 cm on the frames on which the truth moves less than 1 cm."""
    points = moving(200)[:, foot_joints(BODY)]
    points[50:100] = points[50] + np.arange(50)[:, None, None] * (0.002, 0, 0)
    assert slide(points, standing_steps(points)) == pytest.approx(2, abs=1e-3)
    assert slide(points + np.arange(200)[:, None, None] * (0.02, 0, 0), standing_steps(points)) > 10


def test_what_is_high_skates_less():
    """The weight is 2 - 2^(h / H): 2 - sqrt 2 half the way up, nothing from H on; 8 cm of an ankle, 4 of a toe."""
    for height, weights in ((0, (1, 1)), (0.02, (2 - 2**0.25, 2 - 2**0.5)), (0.04, (2 - 2**0.5, 0)), (0.08, (0, 0))):
        clip = gliding(10, 1.0) + (0, height, 0)
        assert skating(clip, SMPL) == pytest.approx(50 * sum(weights) / 2, abs=1e-9)
        assert skating(clip + (0, 3, 0), SMPL, floor=3.0) == pytest.approx(50 * sum(weights) / 2, abs=1e-9)
    hoof = gliding(10, 1.0, SKELETONS["horse"]) + (0, 0.02, 0)
    assert skating(hoof, SKELETONS["horse"]) == pytest.approx(50 * (2 - 2**0.5))
    assert skating(gliding(10, 1.0) - (0, 0.5, 0), SMPL) == pytest.approx(50), "below the floor as on it"
    rising = grounded(10) + np.arange(10)[:, None, None] * (0, 0.002, 0)
    assert skating(rising, SMPL) == 0, "only what is horizontal"


def test_the_contacts_that_agree():
    clip = grounded(20)
    found = feet_contacts(clip, FPS, feet_of(SMPL.joints))[:, foot_joints(SMPL)]
    assert found.all()
    labels = np.ones((20, 4))
    assert world_figures(clip, FPS, SMPL, contacts=labels)["contact_consistency"] == 1
    labels[:5, 1] = 0
    figures = world_figures(clip, FPS, SMPL, contacts=labels)
    assert figures["contact_consistency"] == pytest.approx(75 / 80)
    assert tuple(figures) == (*FIGURES, "contact_consistency")
    assert world_figures(clip, FPS, SMPL, contacts=1 - labels)["contact_consistency"] == pytest.approx(5 / 80)


def test_a_body_without_feet_has_the_other_figures():
    ball = Skeleton("stick", ("top", "bottom"), ((0, 1),), (-1, 0))
    assert tuple(world_figures(grounded(20)[:, :2], FPS, ball)) == FIGURES[:4]


def test_figures_in_the_world_do_not_depend_on_place_and_heading():
    clip = gliding(40, 0.3) + 0.01 * np.sin(np.arange(40))[:, None, None]
    cos, sin = np.cos(1.1), np.sin(1.1)
    turned = clip @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) + (5, 0, -7)
    assert world_figures(turned, FPS, SMPL) == pytest.approx(world_figures(clip, FPS, SMPL))


@pytest.mark.parametrize(
    ("clip", "contacts", "message"),
    [
        (grounded(3), None, "at least 4 frames, and there are 3"),
        (grounded(20)[..., :2], None, r"\[frames, 22, 3\], and this is \[20, 22, 2\]"),
        (grounded(20)[:, :21], None, r"and this is \[20, 21, 3\]"),
        (np.where(np.arange(20)[:, None, None] == 7, np.nan, grounded(20)), None, "NaN or infinity"),
        (grounded(20), np.ones((19, 4)), r"contacts are \[20, 4\] values"),
        (grounded(20), np.full((20, 4), 0.5), "values of 0 or 1"),
    ],
)
def test_clips_without_figures_in_the_world_are_refused(clip: np.ndarray, contacts: np.ndarray | None, message: str):
    with pytest.raises(DataError, match=message):
        world_figures(clip, FPS, SMPL, contacts=contacts)
