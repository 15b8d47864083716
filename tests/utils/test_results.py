"""`results.npy`: written in the published layout, read back as motions in our frame, refused where it is none."""

import os

import numpy as np
import pytest

from utils.formats import results
from utils.run.errors import DataError, MissingFileError


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


def test_no_results_file(tmp_path):
    path = tmp_path / "results.npy"
    with pytest.raises(MissingFileError):
        results.load(path)
    for foreign in (np.ones(3), np.array({"a": 1}, dtype=object), np.array({"motions": [1]}, dtype=object)):
        np.save(path, foreign, allow_pickle=True)
        with pytest.raises(DataError, match="holds no motions"):
            results.load(path)
    for wrong in (np.array(["a"]), np.array([None], dtype=object), np.ones((2, 3), complex)):
        results.write(path, content() | {"motions": wrong})
        with pytest.raises(DataError, match="holds no motions"):
            results.load(path)
    made = content()
    made["motions"][1, 2, 3, 0] = np.nan
    results.write(path, made)
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
