"""Feet that are held: legs bend in closed form, standing feet stand still, nothing else is touched."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from body.motion.foot_lock import MOST, foot_figures, lock_feet
from body.motion.legs import bend_legs, feet_of, legs_of
from body.motion.rotations_from_positions import pose_skeleton
from utils.formats import shards
from utils.geometry import rotations as R
from utils.geometry.body import Body, BodyMotion, joints_of
from utils.geometry.contacts import feet_contacts
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError

SMPL22 = SKELETONS["smpl22"]
FEET = ((7, 10), (8, 11))


def on_bones(clip: Motion) -> BodyMotion:
    posed = pose_skeleton(clip)
    nothing = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64), np.zeros((0, len(posed.joints)), np.float32)
    body = Body("bones", posed.joints, posed.parents, posed.rest, *nothing)
    return BodyMotion(body, posed.rotations, posed.root, clip.fps, clip.name)


@pytest.fixture(scope="module")
def walk(shared: Path) -> BodyMotion:
    return on_bones(next(c for c in shards.read(shared / "data/cmu.npz") if c.name == "02_01"))


def drifting(motion: BodyMotion, speed: float = 0.2) -> BodyMotion:
    """The same, carried off sideways, so that all feet slide."""
    way = speed * np.sin(np.arange(len(motion.root)) / motion.fps)[:, None] * (1, 0, 0)
    return replace(motion, root=(motion.root + way).astype(np.float32))


def test_legs_are_found_by_name():
    legs = legs_of(SMPL22.joints, SMPL22.parents)
    assert [(leg.hip, leg.knee, leg.foot) for leg in legs] == [(1, 4, (7, 10)), (2, 5, (8, 11))]
    nba, horse = SKELETONS["nba"], SKELETONS["horse"]
    assert [leg.foot for leg in legs_of(nba.joints, nba.parents)] == [(6,), (3,)]
    assert len(legs_of(horse.joints, horse.parents)) == 4
    assert legs_of(("a", "b"), (-1, 0)) == [] == feet_of(("a", "b"))


def random_legs(frames: int = 200) -> tuple[torch.Tensor, ...]:
    rng = np.random.RandomState(0)
    thigh, shin = (R.axis_angle_to_matrix(torch.from_numpy(rng.normal(0, 1, (frames, 3)))) for _ in range(2))
    hip = torch.from_numpy(rng.normal(size=(frames, 3)))
    knee = hip + thigh @ torch.tensor([0.05, -0.4, 0.02]).double()
    ankle = knee + shin @ torch.tensor([0.0, -0.42, -0.03]).double()
    return hip, knee, ankle, thigh, shin


def test_a_bent_leg_brings_the_ankle_to_its_goal_with_bones_as_long_as_before():
    hip, knee, ankle, thigh, shin = random_legs()
    goal = hip + 0.6 * torch.nn.functional.normalize(
        torch.from_numpy(np.random.RandomState(1).normal(size=(200, 3))), dim=-1
    )
    new_thigh, new_shin, reached = bend_legs(hip, knee, ankle, goal, thigh, shin)
    new_knee = hip + (new_thigh @ thigh.mT @ (knee - hip)[..., None]).squeeze(-1)
    new_ankle = new_knee + (new_shin @ shin.mT @ (ankle - knee)[..., None]).squeeze(-1)
    torch.testing.assert_close(new_ankle, goal, atol=1e-6, rtol=0)
    torch.testing.assert_close(reached, goal, atol=1e-6, rtol=0)


def test_a_leg_whose_ankle_stays_is_left_as_it_was():
    hip, knee, ankle, thigh, shin = random_legs()
    new_thigh, new_shin, _ = bend_legs(hip, knee, ankle, ankle, thigh, shin)
    torch.testing.assert_close(new_thigh, thigh, atol=1e-6, rtol=0)
    torch.testing.assert_close(new_shin, shin, atol=1e-6, rtol=0)


def test_a_knee_bends_the_way_it_bent_and_a_straight_one_forward():
    hip = torch.tensor([[0.0, 1, 0]] * 2).double()
    knee = torch.tensor([[0, 0.6, 0.1], [0, 0.6, 0]]).double()
    ankle = torch.tensor([[0.0, 0.2, 0]] * 2).double()
    unit = torch.eye(3).double().expand(2, 3, 3)
    thigh, _, _ = bend_legs(hip, knee, ankle, ankle + torch.tensor([0, 0.2, 0]), unit, unit)
    new_knee = hip + (thigh @ (knee - hip)[..., None]).squeeze(-1)
    assert (new_knee[:, 2] > 0.15).all() and new_knee[:, 0].abs().max() < 1e-6


def test_out_of_reach_the_leg_is_stretched_towards_the_goal():
    hip, knee, ankle, thigh, shin = random_legs()
    goal = hip + torch.tensor([3.0, 0, 0]).double()
    _, _, reached = bend_legs(hip, knee, ankle, goal, thigh, shin)
    length = (knee - hip).norm(dim=-1) + (ankle - knee).norm(dim=-1)
    torch.testing.assert_close((reached - hip)[:, 0], length, atol=1e-3, rtol=0)


def test_feet_that_slide_are_held(walk: BodyMotion):
    slides = drifting(walk)
    held = lock_feet(slides)
    before, after = (held.meta["foot_lock"][when]["slide"] for when in ("before", "after"))
    assert before > 0.1 and after < 0.3 * before
    assert before == foot_figures(slides)["slide"] and after == pytest.approx(foot_figures(held)["slide"])


def test_a_foot_that_stands_does_not_move_and_keeps_its_orientation(walk: BodyMotion):
    slides = drifting(walk)
    held = lock_feet(slides)
    (points, turned), (_, was_turned) = joints_of(held), joints_of(slides)
    np.testing.assert_allclose(turned[:, [7, 8]], was_turned[:, [7, 8]], atol=1e-5)
    assert held.contacts is not None
    stands = held.contacts[1:, 10] & held.contacts[:-1, 10]
    steps = np.linalg.norm(np.diff(points[:, [7, 10]], axis=0)[..., [0, 2]], axis=-1).min(-1)
    assert stands.sum() > 30 and np.quantile(steps[stands], 0.9) < 1e-4


def test_feet_move_no_further_than_is_said_and_the_trunk_only_down(walk: BodyMotion):
    slides = drifting(walk, 1.0)
    held = lock_feet(slides)
    moved = joints_of(held)[0] - joints_of(slides)[0]
    assert 0.01 < np.linalg.norm(moved[:, [7, 8]][..., [0, 2]], axis=-1).max() <= MOST + 1e-4
    trunk = [joint for joint in range(22) if SMPL22.joints[joint].split("_")[-1] not in ("knee", "ankle", "foot")]
    assert np.abs(moved[:, trunk][..., [0, 2]]).max() < 1e-5 and moved[:, trunk, 1].max() < 1e-5
    assert held.meta["foot_lock"]["after"]["slide"] <= held.meta["foot_lock"]["before"]["slide"]


def test_where_nothing_stands_nothing_is_touched(walk: BodyMotion):
    flies = replace(walk, root=walk.root + np.array([0, 1, 0], np.float32))
    held = lock_feet(flies, np.zeros((len(walk.root), 22), bool))
    np.testing.assert_array_equal(held.rotations, flies.rotations)
    np.testing.assert_array_equal(held.root, flies.root)


def test_nothing_moves_by_leaps(walk: BodyMotion):
    """The pass adds no jerk to speak of: what it adds fades in and out."""
    slides = drifting(walk)
    jerk = [np.linalg.norm(np.diff(joints_of(m)[0], 3, axis=0), axis=-1).mean() for m in (slides, lock_feet(slides))]
    assert jerk[1] < 1.15 * jerk[0]


def test_soles_come_out_of_the_floor(walk: BodyMotion):
    deep = replace(walk, root=walk.root - np.array([0, 0.05, 0], np.float32))
    held = lock_feet(deep)
    before, after = (held.meta["foot_lock"][when]["penetration"] for when in ("before", "after"))
    assert before > 10 and after < 0.5


def test_single_frames_and_bodies_without_legs(walk: BodyMotion):
    one = replace(walk, rotations=walk.rotations[:1], root=walk.root[:1])
    assert np.isfinite(lock_feet(one).rotations).all()
    worm = on_bones(
        Motion(np.random.RandomState(0).normal(size=(4, 3, 3)).astype(np.float32), 30, ("a", "b", "c"), (-1, 0, 1))
    )
    with pytest.raises(DataError, match="legs"):
        lock_feet(worm)


def test_contacts_of_a_walk_alternate_and_short_ones_do_not_count(walk: BodyMotion):
    points = joints_of(walk)[0]
    contacts = feet_contacts(points, walk.fps, FEET)
    left, right = contacts[:, [7, 10]].any(1), contacts[:, [8, 11]].any(1)
    assert 0.4 < left.mean() < 0.9 and 0.4 < right.mean() < 0.9 and (left | right).mean() > 0.9
    assert not contacts[:, [0, 4, 15]].any()
    starts = np.flatnonzero(np.diff(left.astype(int)) == 1)
    assert starts.size <= 1 + len(contacts) / walk.fps * 1.3


def test_contacts_by_height_and_speed():
    clip = np.zeros((60, 4, 3))
    clip[:, [0, 2], 1] = 0.08
    clip[:, 2:, 0] = 2.0 * np.arange(60)[:, None] / 30
    clip[20:40, :2, 1] += 0.2
    contacts = feet_contacts(clip, 30, ((0, 1), (2, 3)))
    assert contacts[:20, :2].all() and contacts[40:, :2].all()
    assert not contacts[22:38].any() and not contacts[:, 2:].any()
    clip[10, :2, 1] += 0.5
    assert feet_contacts(clip, 30, ((0, 1), (2, 3)))[:20, :2].any(1).all(), "one frame up is no step"
    assert feet_contacts(clip[:1], 30, ((0, 1), (2, 3))).all()
    clip[..., 0] = 0.8 * np.arange(60)[:, None] / 30
    assert not feet_contacts(clip, 30, ((0, 1), (2, 3))).any(), "slower than twice the limit, but never than the limit"
