"""From clips to bodies: people and animals, paths and floors, what is said and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from body.from_joints import chosen, lowest, make_bodies, make_body, placed
from body.models import load_body
from body.options import BodyOptions
from data_loaders.points.toy import body_motion, figure
from utils.formats import results
from utils.formats.options import SKELETON_TYPES
from utils.geometry.body import joints_of, vertices_of
from utils.geometry.joint_maps import JOINT_SETS
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, UsageError

SMPL22, NBA = SKELETONS["smpl22"], SKELETONS["nba"]
FREE = load_body("free")


def person(frames: int = 24, index: int = 0) -> Motion:
    positions = body_motion(20.0, 0, index)[0][:frames].astype(np.float32)
    return Motion(positions, 20.0, SMPL22.joints, SMPL22.parents, name="toy", texts=("a person moves",))


def centred(clip: Motion) -> Motion:
    return Motion(clip.positions - clip.positions[:, :1], clip.fps, clip.joints, clip.parents, name=clip.name)


def horse(frames: int = 12) -> Motion:
    from data_loaders.registry import dataset_spec
    from utils.run.randomness import numpy_rng

    skeleton = SKELETONS["horse"]
    points = figure(dataset_spec("horse"), numpy_rng(0, "horse"))[:frames] * (1, 1, -1) * skeleton.metres_per_unit
    return Motion(points.astype(np.float32), 20.0, skeleton.joints, skeleton.parents, name="horse")


def test_a_person_gets_the_free_body_and_stands_on_the_floor():
    clip = person()
    motion, notes = make_body(clip, BodyOptions(), FREE)
    assert motion.body.joints == SKELETONS["smpl24"].joints and len(motion.root) == len(clip.positions)
    assert motion.text == "a person moves" and motion.contacts is not None
    assert any("in the mean" in note for note in notes)
    assert abs(np.percentile(vertices_of(motion)[..., 1].min(1), 5)) < 2e-3
    gap = np.linalg.norm(joints_of(motion)[0][:, :22] - motion.meta["targets"], axis=-1)
    assert 1000 * gap.mean() == pytest.approx(motion.meta["report"]["mean_error_mm"], rel=0.02) and gap.mean() < 0.03


def test_the_lowest_point_is_found_among_few_vertices():
    motion, _ = make_body(person(), BodyOptions(), FREE)
    np.testing.assert_allclose(lowest(motion), vertices_of(motion)[..., 1].min(1), atol=2e-3)


def test_an_animal_becomes_capsules_unless_a_body_is_asked_for():
    clip = horse()
    motion, notes = make_body(clip, BodyOptions(), FREE)
    assert motion.body.joints[0] == "Neck" and any("capsules" in note for note in notes)
    order = [clip.joints.index(name) for name in motion.body.joints]
    gap = joints_of(motion)[0] - clip.positions[:, order]
    assert np.abs(gap - gap[:, :1].mean(0)).max() < 0.2  # bones are rigid, and the floor has moved
    with pytest.raises(DataError, match="animal"):
        make_body(clip, BodyOptions(body="free"), FREE)


def test_paths():
    clip = next(clip for clip in (person(40, i) for i in range(20)) if np.ptp(clip.positions[:, 0, 2]) > 0.5)
    still, _ = placed(clip, "centred")
    assert np.abs(still.positions[:, 0, [0, 2]]).max() < 1e-6
    np.testing.assert_allclose(still.positions[..., 1], clip.positions[..., 1], atol=1e-6)
    unchanged, said = placed(clip, "")
    np.testing.assert_array_equal(unchanged.positions, clip.positions)
    assert said == []
    found, said = placed(centred(clip), "")
    assert "centred on its root" in said[0] and np.ptp(found.positions[:, 0, 2]) > 0.2


def test_who_stands_still_somewhere_stays_there():
    """Only a path that was taken away is given back: a root that rests at x = z = 0."""
    clip = centred(person(20))
    there = replace(clip, positions=clip.positions + np.array((2, 0.9, 3), np.float32))
    kept, said = placed(there, "")
    np.testing.assert_array_equal(kept.positions, there.positions)
    assert said == []
    motion, _ = make_body(there, BodyOptions(), FREE)
    assert np.abs(motion.root[:, [0, 2]] - (2, 3)).max() < 0.05
    found, said = placed(clip, "")
    assert "centred on its root" in said[0] and np.ptp(found.positions[:, 0], axis=0).max() > 1e-3


def test_who_has_no_known_feet_stays_in_place_unless_a_path_is_asked_for():
    clip = Motion(np.random.RandomState(0).normal(size=(6, 3, 3)).astype(np.float32), 20.0, tuple("abc"), (-1, 0, 1))
    clip.positions[:, 0] = 0
    motion, _ = make_body(clip, BodyOptions(), FREE)
    assert np.ptp(motion.root, axis=0).max() < 1e-6
    with pytest.raises(DataError, match="feet"):
        make_body(clip, BodyOptions(root="anchored"), FREE)


def test_feet_are_locked_only_where_asked_and_it_is_said():
    _, quiet = make_body(person(), BodyOptions(), FREE)
    motion, told = make_body(person(), BodyOptions(foot_lock=True), FREE)
    assert not any("slid" in note for note in quiet) and any("slid" in note for note in told)
    figures = motion.meta["foot_lock"]
    assert figures["after"]["slide"] <= figures["before"]["slide"]


def test_files_of_both_families(tmp_path):
    clips = np.stack([person(16, i).positions for i in (0, 1)])
    content = {"text": ["a", "b"], "lengths": np.array([16, 12]), "num_samples": 2, "num_repetitions": 1, "fps": 20.0}
    content |= {"joint_names": list(SMPL22.joints), "parents": list(SMPL22.parents)}
    results.write(tmp_path / "results.npy", content | {"motion": clips.transpose(0, 2, 3, 1)})
    made = make_bodies(BodyOptions(str(tmp_path / "results.npy")))
    assert [len(motion.root) for motion in made] == [16, 12] and [motion.text for motion in made] == ["a", "b"]
    flat = np.random.RandomState(0).normal(size=(1, 16, 2, 9)).astype(np.float32)
    content = {"motions": flat, "model_kwargs": {"y": {"lengths": np.array([9])}}, "fps": 30.0}
    content |= {"joint_names": list(NBA.joints), "parents": list(NBA.parents)}
    results.write(tmp_path / "flat.npy", content)
    said: list[str] = []
    (motion,) = make_bodies(BodyOptions(str(tmp_path / "flat.npy")), said.append)
    assert set(motion.body.joints) == set(NBA.joints) and len(motion.root) == 9 and "no depth" in said[0]
    assert np.ptp(joints_of(motion)[0][..., 2]) < 1e-5


def test_the_names_of_a_file_hold_against_the_flag():
    """An array of as many joints in another order would be another person."""
    order = np.random.RandomState(0).permutation(17)
    nba = np.random.RandomState(1).normal(size=(4, 17, 3)).astype(np.float32)
    names = tuple(JOINT_SETS["h36m17"][joint] for joint in order)
    clip = Motion(nba[:, order], 20.0, names, (-1,) * 17, name="shuffled")
    told, notes = make_body(clip, BodyOptions(skeleton_type="coco17"), FREE)
    plain, _ = make_body(clip, BodyOptions(), FREE)
    np.testing.assert_array_equal(told.rotations, plain.rotations)
    assert any("--skeleton_type coco17" in note for note in notes)


def test_published_results_without_names_are_not_those_of_another_skeleton(tmp_path):
    content = {"text": ["a"], "lengths": np.array([6]), "num_samples": 1, "num_repetitions": 1}
    results.write(tmp_path / "results.npy", content | {"motion": person(6).positions[None].transpose(0, 2, 3, 1)})
    with pytest.raises(DataError, match="22 joints, but coco17 has 17"):
        make_bodies(BodyOptions(str(tmp_path / "results.npy"), skeleton_type="coco17"))


def test_contacts_are_those_of_all_joints_whichever_fit():
    for fit in ("gauss_newton", "smplify"):
        motion, _ = make_body(person(12), BodyOptions(fit=fit, num_smplify_iters=1), FREE)
        assert motion.contacts is not None and motion.contacts.shape == (12, 24) and motion.contacts.any()


def test_the_flag_names_sets_of_joints_that_there_are():
    assert set(SKELETON_TYPES) <= set(JOINT_SETS)


def test_what_cannot_be_chosen(tmp_path):
    assert chosen((), 3, "f") == [0, 1, 2] and chosen(("2", "0"), 3, "f") == [2, 0]
    for word in ("3", "-1", "one"):
        with pytest.raises(UsageError, match="number 0 to 2"):
            chosen((word,), 3, "f")
    with pytest.raises(UsageError, match="name the motion"):
        make_bodies(BodyOptions())
    with pytest.raises(MissingFileError, match="nowhere"):
        make_bodies(BodyOptions(str(tmp_path / "nowhere.npy")))
