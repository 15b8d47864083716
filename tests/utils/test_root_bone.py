"""A bone on the floor takes path and heading from the root, and together they are what they were."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.bodies import angle_between, walking
from utils.formats import bvh, glb, usd
from utils.geometry.body import BodyMotion, joints_of
from utils.geometry.root_bone import joined_root, split_root
from utils.geometry.rotations import about_axis
from utils.run.errors import UsageError


def turning(frames: int = 60, lean: float = 0.4) -> BodyMotion:
    """Someone who leans forward and turns round twice."""
    motion, angles = walking(frames, root_bone=True), torch.linspace(0, 4 * np.pi, frames, dtype=torch.float64)
    rotations = motion.rotations.copy()
    rotations[:, 0] = (about_axis("Y", angles) @ about_axis("X", torch.tensor(lean, dtype=torch.float64))).numpy()
    return replace(motion, rotations=rotations)


@pytest.mark.parametrize("lean", [0.4, -1.2, 2.0])
def test_the_bone_turns_as_the_person_and_the_hips_only_lean(lean):
    motion = turning(lean=lean)
    bone = split_root(motion)
    heading = np.unwrap(np.arctan2(bone.heading[:, 0, 2], bone.heading[:, 0, 0]))
    np.testing.assert_allclose(np.diff(heading), 4 * np.pi / 59, atol=1e-6)
    np.testing.assert_allclose(bone.heading[:, 1], np.tile((0, 1, 0), (60, 1)), atol=1e-12)
    np.testing.assert_allclose(np.ptp(bone.turned, axis=0), 0, atol=1e-6)
    np.testing.assert_array_equal(bone.path, motion.root * (1, 0, 1))
    np.testing.assert_array_equal(bone.hips, motion.root * (0, 1, 0))


def test_both_together_are_the_root():
    motion = walking(40)
    root, turned = joined_root(split_root(motion))
    np.testing.assert_allclose(root, motion.root, atol=1e-6)
    assert angle_between(turned, motion.rotations[:, 0]) < 1e-3


def test_who_hangs_upside_down_keeps_a_heading_without_jumps():
    motion = walking(50)
    over = about_axis("X", torch.linspace(0, 2 * np.pi, 50, dtype=torch.float64)).numpy()
    bone = split_root(replace(motion, rotations=np.concatenate([over[:, None], motion.rotations[:, 1:]], 1)))
    assert np.isfinite(bone.heading).all() and angle_between(bone.heading[1:], bone.heading[:-1]) < 1


def test_files_hold_the_bone_and_the_same_motion(tmp_path):
    motion = turning()
    glb.write(tmp_path / "a.glb", [motion, replace(motion, root_bone=False, name="plain")])
    found, plain = glb.read(tmp_path / "a.glb")
    assert found.root_bone and not plain.root_bone
    for each in (found, plain):
        np.testing.assert_allclose(joints_of(each)[0], joints_of(motion)[0], atol=2e-5)
    bvh.write(tmp_path / "a.bvh", motion)
    clip = bvh.read(tmp_path / "a.bvh")
    assert clip.joints[:2] == ("Root", "pelvis") and clip.parents[:2] == (-1, 0)
    np.testing.assert_allclose(clip.positions[:, 0], motion.root * (1, 0, 1), atol=1e-5)
    places = [clip.joints.index(joint) for joint in motion.body.joints]
    np.testing.assert_allclose(clip.positions[:, places], joints_of(motion)[0], atol=2e-4)
    assert clip.rotations is not None
    np.testing.assert_allclose(clip.rotations[:, 0], split_root(motion).heading, atol=1e-5)


def test_in_rest_the_hips_stand_above_it_as_high_as_the_body_is(tmp_path):
    motion = turning(2)
    bvh.write(tmp_path / "a.bvh", motion)
    lines = [line.split() for line in (tmp_path / "a.bvh").read_text().splitlines()]
    offsets = [np.array(words[1:], float) for words in lines if words[:1] == ["OFFSET"]]
    low = motion.body.vertices[:, 1].min()
    np.testing.assert_allclose(offsets[:2], [(0, 0, 0), (0, motion.body.rest[0, 1] - low, 0)], atol=1e-6)


def test_usd_has_no_place_for_it():
    with pytest.raises(UsageError, match="--root_bone"):
        usd.FORMAT.need(turning(2))
