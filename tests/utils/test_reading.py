"""One door for motion in a file: what is read is in metres, right-handed and finite, or refused with a sentence."""

import numpy as np
import pytest

from utils.formats import bvh, results
from utils.formats.options import ReadingOptions
from utils.formats.reading import read_motion, to_skeleton
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, UsageError

FIXTURES = "data/fixtures"


def person(joints: str = "smpl22", frames: int = 7) -> np.ndarray:
    """A made-up figure [frames, J, 3] whose bones measure a little over 4 m in all, in the units of the skeleton."""
    skeleton, rng = SKELETONS[joints], np.random.RandomState(0)
    points = np.zeros((frames, len(skeleton.joints), 3))
    points[:, 0] = (0, 0.9, 0) + rng.normal(size=(frames, 3)) * 0.05
    for joint, parent in enumerate(skeleton.parents[1:], 1):
        step = rng.normal(size=3)
        points[:, joint] = points[:, parent] + step / np.linalg.norm(step) * 0.2
    return (points / skeleton.metres_per_unit).astype(np.float32)


@pytest.mark.parametrize(("joints", "fps"), [("smpl22", 20.0), ("kit21", 12.5), ("smpl24", 20.0)])
def test_positions_are_told_by_their_joints(tmp_path, joints, fps):
    points = person(joints)
    np.save(tmp_path / "clip.npy", points)
    (motion,) = read_motion(tmp_path / "clip.npy")
    np.testing.assert_allclose(motion.positions, points * SKELETONS[joints].metres_per_unit, rtol=1e-6)
    assert (motion.fps, motion.joints, motion.name) == (fps, SKELETONS[joints].joints, "clip")
    assert motion.meta["skeleton"] == joints and joints in motion.note
    (faster,) = read_motion(tmp_path / "clip.npy", ReadingOptions(input_fps=60))
    assert faster.fps == 60


@pytest.mark.parametrize(("width", "joints"), [(263, "smpl22"), (251, "kit21")])
def test_features_are_left_to_whoever_can_decode_them(tmp_path, width, joints):
    features = np.random.RandomState(0).normal(size=(9, width))
    np.save(tmp_path / "clip.npy", features)
    (motion,) = read_motion(tmp_path / "clip.npy")
    assert motion.joints == () and motion.positions.shape == (9, 0, 3)
    assert motion.meta["skeleton"] == joints and motion.meta["features"].dtype == np.float32
    np.testing.assert_allclose(motion.meta["features"], features, rtol=1e-6)
    assert to_skeleton(motion, SKELETONS[joints]) is motion
    with pytest.raises(DataError, match=f"features of {joints}, not of nba"):
        to_skeleton(motion, SKELETONS["nba"])


@pytest.mark.parametrize("unit", [100, 1000, 39.4, 0.01])
def test_positions_in_another_unit_are_refused(tmp_path, unit):
    np.save(tmp_path / "clip.npy", person() * unit)
    with pytest.raises(DataError, match="in metres, but then the bones measure"):
        read_motion(tmp_path / "clip.npy")
    np.save(tmp_path / "clip.npy", person("kit21") * 0.001)
    with pytest.raises(DataError, match="in millimetres, but then the bones measure"):
        read_motion(tmp_path / "clip.npy")


@pytest.mark.parametrize(
    "values", [np.ones((5, 16, 3)), np.ones((5, 22, 2)), np.ones((5, 262)), np.ones(5), np.array(["a"]), np.ones(())]
)
def test_unknown_arrays_are_refused(tmp_path, values):
    np.save(tmp_path / "clip.npy", values)
    with pytest.raises(DataError, match="names no joints and has 16|motion is positions"):
        read_motion(tmp_path / "clip.npy")


@pytest.mark.parametrize("values", [person(), np.ones((4, 263), np.float32)])
def test_nan_and_no_frames_are_refused(tmp_path, values):
    values = values.copy()
    values[2, 1] = np.nan
    np.save(tmp_path / "clip.npy", values)
    with pytest.raises(DataError, match="clip holds NaN or infinite numbers"):
        read_motion(tmp_path / "clip.npy")
    np.save(tmp_path / "clip.npy", values[:0])
    with pytest.raises(DataError, match="clip has no frames"):
        read_motion(tmp_path / "clip.npy")


def test_files_that_are_none_are_refused(tmp_path):
    for suffix in (".npy", ".npz", ".bvh", ".amc"):
        with pytest.raises(MissingFileError, match="does not exist"):
            read_motion(tmp_path / f"clip{suffix}")
        (tmp_path / f"junk{suffix}").write_bytes(b"junk")
        (tmp_path / "junk.asf").write_bytes(b"junk")
        with pytest.raises(DataError):
            read_motion(tmp_path / f"junk{suffix}")
    for name in ("clip.doc", "clip"):
        with pytest.raises(UsageError, match=r"\.bvh, \.amc, \.npz, .* not from (\.|such)"):
            read_motion(tmp_path / name)
    (tmp_path / "takes").mkdir()
    with pytest.raises(UsageError, match="takes is a folder"):
        read_motion(tmp_path / "takes")
    for fps in (-1.0, np.nan, np.inf):
        with pytest.raises(UsageError, match="no frame rate"):
            read_motion(tmp_path / "junk.npy", ReadingOptions(input_fps=fps))


def test_a_choice_that_a_file_does_not_offer(tmp_path):
    np.save(tmp_path / "walk.npy", person())
    for person_, found in (("", 1), ("0", 1)):
        assert len(read_motion(tmp_path / "walk.npy", ReadingOptions(person=person_))) == found
    with pytest.raises(UsageError, match=r"--person 1: a \.npy file holds one person"):
        read_motion(tmp_path / "walk.npy", ReadingOptions(person="1"))
    with pytest.raises(UsageError, match=r"--clip Walk: .* holds walk; did you mean walk\?"):
        read_motion(tmp_path / "walk.npy", ReadingOptions(clip="Walk"))


# results of both families


def test_results_of_mas_are_turned_to_our_frame_with_and_without_pickle(tmp_path):
    nba = SKELETONS["nba"]
    points = np.random.RandomState(0).normal(size=(2, 6, 16, 3)).astype(np.float32)
    names = {"fps": 20.0, "joint_names": list(nba.joints), "parents": list(nba.parents)}
    results.write(
        tmp_path / "results.npy", {"motions": points, "model_kwargs": {"y": {"lengths": np.array([6, 4])}}, **names}
    )
    np.savez_compressed(tmp_path / "results.npz", motions=points, lengths=np.array([6, 4]), **names)
    for suffix in (".npy", ".npz"):
        first, second = read_motion(tmp_path / f"results{suffix}")
        np.testing.assert_array_equal(second.positions, points[1, :4] * (1, 1, -1))
        assert (first.fps, first.joints, first.parents) == (20.0, nba.joints, nba.parents)
        assert all(type(name) is str for name in first.joints) and all(type(parent) is int for parent in first.parents)


def test_results_of_mdm_with_and_without_pickle(tmp_path):
    body = SKELETONS["smpl22"]
    made = {
        "motion": np.random.RandomState(0).normal(size=(2, 22, 3, 6)).astype(np.float32),
        "text": ["a", "b"], "lengths": np.array([6, 4]), "num_samples": 2, "num_repetitions": 1, "fps": 20.0,
        "joint_names": list(body.joints), "parents": list(body.parents),
        "features": np.random.RandomState(1).normal(size=(2, 6, 263)).astype(np.float32),
    }  # fmt: skip
    results.write(tmp_path / "results.npy", made)
    np.savez_compressed(tmp_path / "results.npz", **made)
    for suffix in (".npy", ".npz"):
        _, second = read_motion(tmp_path / f"results{suffix}")
        np.testing.assert_array_equal(second.positions, made["motion"][1].transpose(2, 0, 1)[:4])
        np.testing.assert_array_equal(second.meta["features"], made["features"][1, :4])
        assert (second.fps, second.joints, second.texts) == (20.0, body.joints, ("b",))


def test_a_named_archive(tmp_path):
    points = person("nba", 5)
    nba = SKELETONS["nba"]
    np.savez(tmp_path / "a.npz", positions=points, joint_names=nba.joints, parents=nba.parents, fps=25)
    (motion,) = read_motion(tmp_path / "a.npz", ReadingOptions(input_fps=60))
    np.testing.assert_array_equal(motion.positions, points)
    assert (motion.fps, motion.joints, motion.parents) == (25.0, nba.joints, nba.parents)
    np.savez(tmp_path / "b.npz", positions=person(), fps=25)
    (motion,) = read_motion(tmp_path / "b.npz", ReadingOptions(input_fps=60))
    assert motion.fps == 25 and motion.joints == SKELETONS["smpl22"].joints
    np.savez(tmp_path / "c.npz", positions=person(), fps=-3)
    with pytest.raises(DataError, match="fps"):
        read_motion(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", poses=person(), trans=np.ones(3))
    with pytest.raises(DataError, match="holds poses, trans; motion is `positions`"):
        read_motion(tmp_path / "d.npz")
    np.savez(tmp_path / "e.npz", positions=np.array([None], dtype=object))
    with pytest.raises(DataError, match="not a readable .npz file"):
        read_motion(tmp_path / "e.npz")


# recordings


def test_packed_shards(shared):
    motions = read_motion(shared / "data" / "dog.npz")
    assert len(motions) == 37 and motions[0].fps == 30 and len(motions[0].joints) == 27


@pytest.mark.parametrize("name", ["dataset-1_dash_normal_001", "cmu_iclone_002_03", "reactidle_001_acted_first120"])
def test_bvh_comes_in_metres(shared, name):
    path = shared / FIXTURES / "bvh" / f"{name}.bvh"
    (motion,) = read_motion(path)
    assert 1.2 < np.median(np.ptp(motion.positions[..., 1], axis=1)) < 2.1
    assert "a unit of the file was taken for" in motion.note
    (told,) = read_motion(path, ReadingOptions(scale=0.5))
    np.testing.assert_allclose(told.positions, 0.5 * bvh.read(path).positions)
    assert "note" not in told.meta
    body = to_skeleton(motion, SKELETONS["smpl22"])
    assert body.joints == SKELETONS["smpl22"].joints and len(body.positions) == len(motion.positions)


def test_amc_with_its_skeleton(shared, tmp_path):
    (path,) = (shared / FIXTURES / "asf_amc" / "cmu").glob("*.amc")
    (motion,) = read_motion(path)
    assert motion.fps == 120 and 1.2 < np.median(np.ptp(motion.positions[..., 1], axis=1)) < 2.1
    assert read_motion(path, ReadingOptions(input_fps=60))[0].fps == 60
    (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(MissingFileError, match="needs its skeleton"):
        read_motion(tmp_path / path.name)


def test_only_people_are_carried_over():
    body, nba = SKELETONS["smpl22"], SKELETONS["nba"]
    motion = Motion(person(), 20.0, body.joints, body.parents, name="clip")
    assert to_skeleton(motion, body) is motion
    with pytest.raises(DataError, match="not the 16 of nba"):
        to_skeleton(motion, nba)
    hands = SKELETONS["smpl24"]
    wider = Motion(person("smpl24"), 20.0, hands.joints, hands.parents)
    np.testing.assert_array_equal(to_skeleton(wider, body).positions, wider.positions[:, :22])
    with pytest.raises(DataError, match="not those of a known person"):
        to_skeleton(Motion(person("nba"), 20.0, nba.joints, nba.parents), body)


@pytest.mark.parametrize(
    ("told", "fps"),
    [({"fps": np.array([30.0])}, 30), ({"fps": "30"}, 30), ({"mocap_frame_rate": 60}, 60), ({"frame_rate": 25.0}, 25),
     ({"mocap_framerate": 100, "fps": 50}, 50), ({}, None)],
)  # fmt: skip
def test_a_rate_is_taken_where_it_stands_and_said_where_it_does_not(tmp_path, told, fps):
    np.savez(tmp_path / "clip.npz", positions=person(), **told)
    (motion,) = read_motion(tmp_path / "clip.npz")
    assert motion.fps == (fps or 20) and ("20 frames a second were taken" in motion.note) == (fps is None)


@pytest.mark.parametrize("fps", [np.array([30.0, 20.0]), "fast", np.array([np.nan]), -1, 0])
def test_rates_that_are_none(tmp_path, fps):
    np.savez(tmp_path / "clip.npz", positions=person(), fps=fps)
    with pytest.raises(DataError, match="which is no frame rate"):
        read_motion(tmp_path / "clip.npz")
