"""`results.npy`: written in the published layout, read back as motions in our frame, refused where it is none."""

import os

import numpy as np
import pytest

from utils.formats import results
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, NumericError


def store(path, made: dict) -> None:
    """Write a results file as others do, whatever it holds."""
    np.save(path, np.array(made, dtype=object), allow_pickle=True)


def content(dimensions: int = 3, frames: int = 6) -> dict:
    shape = (2, frames, 4, 3) if dimensions == 3 else (2, 4, 2, frames)
    return {
        "motions": np.random.RandomState(0).normal(size=shape).astype(np.float32),
        "model_kwargs": {"y": {"lengths": np.array([frames, frames - 2]), "text": ["a", "b"]}},
        "fps": 20.0,
        "joint_names": list("abcd"),
        "parents": [-1, 0, 1, 1],
    }


def test_what_is_written_is_loaded(tmp_path):
    made = content()
    results.write(tmp_path / "results.npy", made)
    loaded = results.load(tmp_path / "results.npy")
    np.testing.assert_array_equal(loaded["motions"], made["motions"])
    assert loaded["motions"].dtype == np.float32 and loaded["format_version"] == 1
    assert loaded["model_kwargs"]["y"]["lengths"].tolist() == [6, 4] and loaded["fps"] == 20.0
    published = np.load(tmp_path / "results.npy", allow_pickle=True)
    assert published.shape == () and published.item()["model_kwargs"]["y"]["text"] == ["a", "b"]
    results.write(tmp_path / "again.npy", made)
    assert (tmp_path / "again.npy").read_bytes() == (tmp_path / "results.npy").read_bytes()


def test_motions_are_read_right_handed_and_cut(tmp_path):
    made = content()
    results.write(tmp_path / "results.npy", made)
    first, second = results.read(tmp_path / "results.npy")
    assert (len(first.positions), len(second.positions)) == (6, 4)
    np.testing.assert_array_equal(second.positions[..., :2], made["motions"][1, :4, :, :2])
    np.testing.assert_array_equal(second.positions[..., 2], -made["motions"][1, :4, :, 2])
    assert (second.fps, second.joints, second.parents, second.name) == (20.0, tuple("abcd"), (-1, 0, 1, 1), "result_1")


def test_the_published_file_is_loaded_but_names_no_joints(shared):
    for name, shape in (("mas_nba", (2, 21, 16, 3)), ("generate_nba", (2, 16, 2, 21))):
        path = shared / "golden" / "mas" / "cli" / f"{name}_results.npy"
        assert results.load(path)["motions"].shape == shape
        with pytest.raises(DataError, match="names no joints" if shape[-1] == 3 else "not 3D ones"):
            results.read(path)


def test_a_caller_may_say_what_the_published_file_does_not(shared):
    path = shared / "golden" / "mas" / "cli" / "mas_nba_results.npy"
    motion = results.read(path, skeleton=SKELETONS["nba"], fps=25)[0]
    assert (motion.joints, motion.fps) == (SKELETONS["nba"].joints, 25.0)
    assert results.read(path, skeleton=SKELETONS["nba"])[0].fps == 30.0
    with pytest.raises(DataError, match="16 joints, but gymnastics has 18"):
        results.read(path, skeleton=SKELETONS["gymnastics"])


def test_flat_motion_is_raised_only_where_asked(tmp_path):
    made = content(dimensions=2)
    results.write(tmp_path / "results.npy", made)
    motion = results.read(tmp_path / "results.npy", raw=True)[1]
    np.testing.assert_array_equal(motion.positions[..., :2], made["motions"][1].transpose(2, 0, 1)[:4])
    assert motion.positions.shape == (4, 4, 3) and not motion.positions[..., 2].any()
    with pytest.raises(DataError, match="not 3D ones"):
        results.read(tmp_path / "results.npy")


def test_no_results_file(tmp_path):
    path = tmp_path / "results.npy"
    with pytest.raises(MissingFileError):
        results.load(path)
    for foreign in (np.ones(3), np.array({"a": 1}, dtype=object), np.array({"motion": [1]}, dtype=object)):
        np.save(path, foreign, allow_pickle=True)
        with pytest.raises(DataError, match="holds no motions"):
            results.load(path)
    for wrong in (np.array(["a"]), np.array([None], dtype=object), np.ones((2, 3), complex)):
        results.write(path, content() | {"motions": wrong})
        with pytest.raises(DataError, match="holds no motions"):
            results.load(path)
    made = content()
    made["motions"][1, 2, 3, 0] = np.nan
    store(path, made)
    with pytest.raises(DataError, match="NaN or infinite"):
        results.load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"motions": np.ones((2, 4, 2, 6), np.float32)}, "not 3D ones"),
        ({"joint_names": list("abc")}, "3 joint names and 4 parents for 4 joints"),
        ({"parents": [-1, 0]}, "4 joint names and 2 parents for 4 joints"),
        ({"parents": None}, "4 joint names and 0 parents for 4 joints"),
        ({"fps": "fast"}, "fps"),
        ({"fps": -3.0}, "fps"),
        ({"model_kwargs": {}}, "lengths"),
        ({"model_kwargs": {"y": {"lengths": np.array([3])}}}, "lengths"),
        ({"model_kwargs": {"y": {"lengths": np.array([3, 7])}}}, "lengths"),
        ({"model_kwargs": {"y": {"lengths": np.array([3, 0])}}}, "lengths"),
        ({"model_kwargs": {"y": {"lengths": np.array(["a", "b"])}}}, "lengths"),
    ],
)
def test_motions_that_do_not_fit_what_is_said_of_them(tmp_path, change, said):
    results.write(tmp_path / "results.npy", content() | change)
    with pytest.raises(DataError, match=said):
        results.read(tmp_path / "results.npy")


# The layout of MDM


def generated(joints: str = "smpl22", samples: int = 2, repetitions: int = 2, frames: int = 6) -> dict:
    """What sample.generate writes, with the names of ours."""
    skeleton, rng = SKELETONS[joints], np.random.RandomState(1)
    count = samples * repetitions
    return {
        "motion": rng.normal(size=(count, len(skeleton.joints), 3, frames)).astype(np.float32),
        "text": [f"sample {i % samples}" for i in range(count)],
        "lengths": np.array([frames, frames - 2] * repetitions),
        "num_samples": samples,
        "num_repetitions": repetitions,
        "features": rng.normal(size=(count, frames, 263)).astype(np.float32),
        "fps": 20.0,
        "joint_names": list(skeleton.joints),
        "parents": list(skeleton.parents),
        "dataset": "humanml",
        "provenance": {"seed": 1},
    }


PUBLISHED = ("motion", "text", "lengths", "num_samples", "num_repetitions")


def published(joints: str = "smpl22") -> dict:
    """What the published program writes."""
    return {name: value for name, value in generated(joints).items() if name in PUBLISHED}


def test_mdm_motion_comes_back_right_handed_and_cut_repetition_after_repetition(tmp_path):
    made = generated()
    results.write(tmp_path / "results.npy", made)
    loaded = results.load(tmp_path / "results.npy")
    assert set(loaded) == set(made) | {"format_version"}
    np.testing.assert_array_equal(loaded["motion"], made["motion"])
    np.testing.assert_array_equal(loaded["features"], made["features"])
    motions = results.read(tmp_path / "results.npy")
    names = ["sample00_rep00", "sample01_rep00", "sample00_rep01", "sample01_rep01"]
    assert [motion.name for motion in motions] == names
    for i, (motion, length) in enumerate(zip(motions, [6, 4, 6, 4], strict=True)):
        np.testing.assert_array_equal(motion.positions, made["motion"][i].transpose(2, 0, 1)[:length])
        np.testing.assert_array_equal(motion.meta["features"], made["features"][i, :length])
        assert list(motion.texts) == np.atleast_1d(made["text"][i]).tolist() and not motion.note
        assert (motion.fps, motion.joints) == (20.0, SKELETONS["smpl22"].joints)
        assert motion.positions.dtype == np.float32 and motion.rotations is None


def test_mdm_rotations_come_along(tmp_path):
    rotations = np.random.RandomState(0).normal(size=(4, 6, 22, 3, 3)).astype(np.float32)
    results.write(tmp_path / "results.npy", generated() | {"rotations": rotations})
    motion = results.read(tmp_path / "results.npy")[1]
    np.testing.assert_array_equal(motion.rotations, rotations[1, :4])


@pytest.mark.parametrize(
    ("joints", "fps", "turned"),
    [("smpl22", 20.0, (1, 1, 1)), ("kit21", 12.5, (0.001, 0.001, 0.001)), ("smpl24", 20.0, (1, -1, -1))],
)
def test_a_published_file_is_told_by_its_joints(tmp_path, joints, fps, turned):
    made = published(joints)
    store(tmp_path / "results.npy", made)
    motion = results.read(tmp_path / "results.npy")[2]
    np.testing.assert_allclose(motion.positions, made["motion"][2].transpose(2, 0, 1) * turned, rtol=1e-6)
    assert (motion.fps, motion.joints, motion.meta["skeleton"]) == (fps, SKELETONS[joints].joints, joints)
    assert joints in motion.note and ("millimetres" in motion.note) == (joints == "kit21")
    assert ("upside down" in motion.note) == (joints == "smpl24")


def test_motion_of_ours_in_millimetres_comes_in_metres_and_is_not_turned(tmp_path):
    for joints, unit in (("kit21", 0.001), ("smpl24", 1.0)):
        made = generated(joints)
        results.write(tmp_path / "results.npy", made)
        motion = results.read(tmp_path / "results.npy")[0]
        np.testing.assert_allclose(motion.positions, made["motion"][0].transpose(2, 0, 1) * unit, rtol=1e-6)
        assert not motion.note


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"motion": np.ones((4, 22, 2, 6), np.float32)}, "not .samples, joints, 3, frames"),
        ({"motion": np.ones((4, 23, 3, 6), np.float32)}, "22 joint names and 22 parents for 23 joints"),
        ({"motion": np.ones((3, 22, 3, 6), np.float32)}, "3 motions, which are not 2 samples x 2 repetitions"),
        ({"num_samples": "two"}, "'two' samples"),
        ({"num_repetitions": 0}, "0 repetitions"),
        ({"num_samples": -2, "num_repetitions": -2}, "-2 samples"),
        ({"text": ["a"]}, "not as many texts"),
        ({"text": None}, "not as many texts"),
        ({"lengths": np.array([6, 6, 6, 7])}, "says lengths"),
        ({"lengths": None}, "says lengths"),
        ({"features": np.ones((4, 5, 263), np.float32)}, "holds features of shape"),
        ({"rotations": np.ones((4, 6, 22, 6), np.float32)}, "holds rotations of shape"),
        ({"joint_names": 3}, "0 joint names"),
        ({"parents": None}, "22 joint names and 0 parents"),
        ({"fps": np.nan}, "no frame rate"),
    ],
)
def test_mdm_motion_that_does_not_fit_what_is_said_of_it(tmp_path, change, said):
    store(tmp_path / "results.npy", generated() | change)
    with pytest.raises(DataError, match=said):
        results.read(tmp_path / "results.npy")


@pytest.mark.parametrize("name", PUBLISHED[1:])
def test_a_published_file_has_the_published_keys(tmp_path, name):
    made = published()
    del made[name]
    store(tmp_path / "results.npy", made)
    with pytest.raises(DataError, match=f"no {name}: sample.generate did not write it"):
        results.read(tmp_path / "results.npy")


def test_other_numbers_of_joints_are_not_guessed(tmp_path):
    store(tmp_path / "results.npy", published() | {"motion": np.ones((4, 23, 3, 6), np.float32)})
    with pytest.raises(DataError, match=r"has 23 of them; without names, only 22 \(smpl22\), 21 \(kit21\)"):
        results.read(tmp_path / "results.npy")


@pytest.mark.parametrize("key", ["motion", "features", "rotations"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_neither_written_nor_loaded(tmp_path, key, value):
    made = generated() | {"rotations": np.zeros((4, 6, 22, 3, 3), np.float32)}
    made[key][3, 2, 1] = value
    with pytest.raises(NumericError, match=f"{key} holds NaN or infinity"):
        results.write(tmp_path / "results.npy", made)
    assert not list(tmp_path.iterdir())
    store(tmp_path / "results.npy", made)
    with pytest.raises(DataError, match="NaN or infinite"):
        results.load(tmp_path / "results.npy")


def test_texts_and_lengths_lie_beside(tmp_path):
    results.write_texts(tmp_path / "results.npy", {"text": ["a walk", "größe\nzwei"], "lengths": np.array([60, 7])})
    assert (tmp_path / "results.txt").read_bytes() == "a walk\ngröße zwei".encode()
    assert (tmp_path / "results_len.txt").read_text() == "60\n7"
    results.write_texts(tmp_path / "results.npy", {"text": [["walks", "waves"]], "lengths": [80]})
    assert (tmp_path / "results.txt").read_text() == "walks#waves"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.txt", "results_len.txt"]


# Safety


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_reading_runs_nothing(tmp_path):
    np.save(tmp_path / "results.npy", np.array(content() | {"x": Hostile(tmp_path / "bait")}, dtype=object), True)
    for read in (results.load, results.read):
        with pytest.raises(DataError, match="asks for .*mkdir, which no motion file needs"):
            read(tmp_path / "results.npy")
    assert not (tmp_path / "bait").exists()
