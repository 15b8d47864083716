"""Anybody's joints on SMPL's 22: by names, in metres, with honest confidence; animals are refused; holes are closed."""

from pathlib import Path

import numpy as np
import pytest

from tests.people import standing, standing_smpl22
from utils.formats import shards
from utils.geometry import human
from utils.geometry.gaps import LONGEST, fill_gaps
from utils.geometry.joint_maps import JOINT_SETS, known_joints, to_smpl
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, UsageError

SMPL22, NBA = SKELETONS["smpl22"], SKELETONS["nba"]
PEOPLE = ["nba", "gymnastics", "coco17", "h36m17", "motionbert", "elepose", "blazepose33", "kit21", "smpl22", "smpl24"]
LIMBS = [f"{s}_{j}" for s in ("left", "right") for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]


def clip(joints: tuple[str, ...], positions: np.ndarray, fps: float = 20) -> Motion:
    return Motion(np.asarray(positions, np.float32), fps, joints, (-1,) * len(joints), name="clip")


def person(frames: int = 8) -> np.ndarray:
    """A person who walks off, [T, 22, 3]."""
    return standing_smpl22() + np.arange(frames)[:, None, None] * np.array([0.01, 0, 0.05])


def keypoints(name: str, frames: int = 8) -> Motion:
    """The person as one of the joint sets; joints that SMPL has not stand near the head."""
    known, points = known_joints(JOINT_SETS[name]), person(frames)
    positions = np.repeat(points[:, 15:16] + (0, 0.05, 0.08), len(JOINT_SETS[name]), 1)
    for joint, index in known.items():
        if joint in SMPL22.joints:
            positions[:, index] = points[:, SMPL22.index(joint)]
    return clip(JOINT_SETS[name], positions / (SKELETONS[name].metres_per_unit if name in ("nba", "gymnastics") else 1))


@pytest.mark.parametrize("name", PEOPLE)
def test_limbs_of_every_set_are_found_by_name_and_come_in_metres(name: str):
    found = to_smpl(keypoints(name))
    assert found.motion.joints == SMPL22.joints and found.motion.parents == SMPL22.parents
    assert found.confidence.shape == (8, 22) and found.confidence.dtype == np.float32
    for joint in LIMBS:
        index = SMPL22.index(joint)
        np.testing.assert_allclose(found.motion.positions[:, index], person()[:, index], atol=1e-6, err_msg=joint)
        assert (found.confidence[:, index] == 1).all()
    assert np.isfinite(found.motion.positions).all()


@pytest.mark.parametrize("name", PEOPLE)
def test_files_without_names_say_which_set_they_have(name: str):
    motion = keypoints(name)
    unnamed = clip(tuple(str(i) for i in range(len(motion.joints))), motion.positions)
    np.testing.assert_array_equal(to_smpl(unnamed, name).motion.positions, to_smpl(motion).motion.positions)


@pytest.mark.parametrize(("name", "missing"), [("nba", True), ("gymnastics", True), ("blazepose33", False)])
def test_feet_that_nobody_saw_are_missing(name: str, missing: bool):
    found = to_smpl(keypoints(name))
    feet = found.confidence[0, [10, 11]]
    assert (feet == 0).all() if missing else ((feet > 0) & (feet < 1)).all()
    assert ("left_foot" in found.note) == missing


def test_what_is_derived_counts_for_less():
    trust = dict(zip(SMPL22.joints, to_smpl(keypoints("gymnastics")).confidence[0], strict=True))
    assert all(0 < trust[joint] < 1 for joint in ("pelvis", "neck", "head", "spine1", "left_collar"))
    assert (to_smpl(keypoints("smpl22")).confidence == 1).all()


def test_the_top_of_a_head_is_not_the_head_joint():
    points = human.to_nba16(np.repeat(standing_smpl22()[None], 2, 0).astype(np.float32))
    head = to_smpl(clip(NBA.joints, points / NBA.metres_per_unit)).motion.positions[0, 15]
    assert np.linalg.norm(head - standing_smpl22()[15]) < 0.04 < np.linalg.norm(points[0, 9] - head)


@pytest.mark.parametrize("size", [0.001, 0.3, 1000.0])
def test_an_impossible_size_is_brought_to_an_adults_and_said(size: float):
    found = to_smpl(clip(SMPL22.joints, person() * size))
    legs = np.linalg.norm(found.motion.positions[0, 4] - found.motion.positions[0, 7])
    assert 0.3 < legs < 0.5 and "scaled" in found.note


@pytest.mark.parametrize("size", [0.6, 1.0, 1.4])
def test_a_possible_size_is_kept(size: float):
    np.testing.assert_allclose(
        to_smpl(clip(SMPL22.joints, person() * size)).motion.positions, person() * size, atol=1e-5
    )


@pytest.mark.parametrize("shard", ["dog", "horse_cc0", "fox_cc0"])
def test_animals_are_refused_with_the_way_out(shared: Path, shard: str):
    with pytest.raises(DataError, match="animal.*capsules"):
        to_smpl(next(iter(shards.read(shared / f"data/{shard}.npz"))))


def test_the_horse_of_mas_is_refused():
    horse = SKELETONS["horse"].joints
    for motion, name in ((clip(horse, np.zeros((2, 17, 3))), ""), (clip((), np.zeros((2, 17, 3))), "horse")):
        with pytest.raises(DataError, match="capsules"):
            to_smpl(motion, name)


def test_refusals_name_what_is_wrong():
    motion = keypoints("nba")
    with pytest.raises(UsageError, match="gymnastics"):
        to_smpl(motion, "octopus")
    with pytest.raises(DataError, match="16 joints.*18"):
        to_smpl(motion, "gymnastics")
    lame = clip(tuple("Fin" if joint == "LKnee" else joint for joint in NBA.joints), motion.positions)
    with pytest.raises(DataError, match="left_knee"):
        to_smpl(lame)
    with pytest.raises(DataError, match="one point"):
        to_smpl(clip(SMPL22.joints, np.zeros((3, 22, 3))))


@pytest.mark.parametrize("frames", [1, 2])
def test_short_clips(frames: int):
    assert to_smpl(keypoints("nba", frames)).motion.positions.shape == (frames, 22, 3)


def test_a_joint_that_is_never_there_is_missing_and_others_are_derived_without_it():
    motion = keypoints("coco17")
    motion.positions[:, motion.joints.index("LeftWrist")] = np.nan
    found = to_smpl(motion)
    assert (found.confidence[:, SMPL22.index("left_wrist")] == 0).all() and "LeftWrist" in found.note
    assert np.isfinite(found.motion.positions).all()
    motion = clip(SMPL22.joints, person())
    motion.positions[:, [0, 15]] = np.nan
    found = to_smpl(motion)
    assert found.confidence[0].tolist() == [0.0 if joint in (0, 15) else 1.0 for joint in range(22)]
    assert np.isfinite(found.motion.positions).all()


def test_recorded_people_as_keypoints_come_back(shared: Path):
    for number, source in enumerate(shards.read(shared / "data/cmu.npz")):
        if number % 20:
            continue
        points = human.to_nba16(source.positions, source.rotations)
        found = to_smpl(clip(NBA.joints, points / NBA.metres_per_unit))
        error = np.linalg.norm(found.motion.positions - source.positions, axis=-1).mean(0)
        assert error[found.confidence[0] == 1].max() < 1e-5 and error[15] < 0.06


def test_short_holes_are_closed_and_said():
    motion = clip(SMPL22.joints, person(20))
    whole = motion.positions.copy()
    motion.positions[3 : 3 + LONGEST, 7, 1] = np.nan
    motion.positions[:2, 4] = np.inf
    filled, note = fill_gaps(motion)
    np.testing.assert_allclose(filled.positions[2:], whole[2:], atol=1e-6)
    np.testing.assert_array_equal(filled.positions[:2, 4], whole[[2, 2], 4])
    assert "2 holes" in note and "left_knee 0-1" in note
    assert np.isnan(motion.positions[3, 7, 1]), "the input is left as it was"


def test_long_holes_are_refused_with_their_frames():
    motion = clip(SMPL22.joints, person(20))
    motion.positions[3 : 4 + LONGEST, 7] = np.nan
    with pytest.raises(DataError, match=r"left_ankle 3-8"):
        fill_gaps(motion)
    with pytest.raises(DataError, match=r"left_ankle 3-8"):
        to_smpl(motion)
    with pytest.raises(DataError, match="no joint"):
        fill_gaps(clip(SMPL22.joints, np.full((4, 22, 3), np.nan)))


def test_whole_motion_is_left_alone():
    motion = clip(NBA.joints, standing(5))
    assert fill_gaps(motion) == (motion, "")
