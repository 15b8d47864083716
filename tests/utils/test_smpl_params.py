"""The published layout of SMPL parameters: its keys, shapes and conventions, and no torch in it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.bodies import angle_between, small_body, walking
from utils.formats import reading, smpl_params
from utils.formats.options import ReadingOptions
from utils.formats.reading import read_motion
from utils.formats.smpl_params import read, write
from utils.geometry.body import vertices_of
from utils.geometry.skeleton import SKELETONS
from utils.run.arrays import load_array
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError


def from_rows(numbers: np.ndarray) -> np.ndarray:
    """Matrices of six numbers [..., 6], two rows, as the published code reads them."""
    first, second = numbers[..., :3], numbers[..., 3:]
    return np.stack([first, second, np.cross(first, second)], -2)


def test_keys_shapes_and_conventions(tmp_path: Path):
    motion = walking(7)
    write(tmp_path / "a_smpl_params.npy", motion)
    content = np.load(tmp_path / "a_smpl_params.npy", allow_pickle=True)[None][0]  # as published programs do
    assert list(content) == ["motion", "thetas", "root_translation", "vertices", "faces", "text", "length"]
    assert not any(isinstance(value, torch.Tensor) for value in content.values())
    assert content["motion"].shape == (25, 6, 7) and content["thetas"].shape == (24, 6, 7)
    assert content["vertices"].shape == (96, 3, 7) and content["vertices"].dtype == np.float32
    assert content["faces"].dtype == np.uint32 and content["length"] == 7 and content["text"] == "a person walks"
    assert angle_between(from_rows(content["thetas"].transpose(2, 0, 1)), motion.rotations) < 0.001
    np.testing.assert_array_equal(content["motion"][:24], content["thetas"])
    np.testing.assert_array_equal(content["motion"][24, :3], motion.root.T)
    assert not content["motion"][24, 3:].any()
    np.testing.assert_array_equal(content["root_translation"], motion.root.T)
    np.testing.assert_allclose(content["vertices"].transpose(2, 0, 1), vertices_of(motion), atol=1e-7)
    np.testing.assert_array_equal(content["faces"], motion.body.faces)


def test_it_comes_back(tmp_path: Path):
    motion = walking(3)
    write(tmp_path / "a.npy", motion)
    content = read(tmp_path / "a.npy")
    np.testing.assert_array_equal(content["root_translation"], motion.root.T)
    write(tmp_path / "a.npy", walking(1, body=small_body(joints=SKELETONS["smpl22"].joints)))
    hands = read(tmp_path / "a.npy")["thetas"][22:, :, 0]
    np.testing.assert_array_equal(hands, [[1, 0, 0, 0, 1, 0]] * 2)


def test_what_cannot_be_written(tmp_path: Path):
    motion = walking()
    with pytest.raises(NumericError, match="path of walk"):
        write(tmp_path / "a.npy", replace(motion, root=motion.root * np.nan))
    with pytest.raises(UsageError, match="no pelvis"):
        body = replace(motion.body, joints=("hip", *motion.body.joints[1:]))
        write(tmp_path / "a.npy", replace(motion, body=body))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"motion": np.zeros((25, 6, 4), "f4")}, r"motion \(25, 6, 4\) for 3 frames"),
        ({"thetas": [1]}, "does not hold the arrays"),
        ({"vertices": np.zeros((96, 3, 2), "f4")}, "vertices"),
        ({"vertices": np.full((96, 3, 3), np.inf, "f4")}, "finite"),
        ({"faces": np.array([[0, 1, 96]], "u4")}, "faces of vertices"),
        ({"faces": np.array([[0, 1, -1]])}, "faces of vertices"),
        ({"faces": np.zeros((5, 4), "u4")}, "faces"),
        ({"length": 0}, "length"),
        ({"text": None}, "text"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, change: dict, words: str):
    path = tmp_path / "a.npy"
    write(path, walking(3))
    np.save(path, np.array(read(path) | change, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=words):
        read(path)


def test_other_files_are_refused(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    with pytest.raises(DataError, match="does not hold the arrays"):
        read(tmp_path / "a.npy")
    with pytest.raises(MissingFileError):
        read(tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", np.array({"motion": Path("x")}, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="asks for pathlib"):
        read(tmp_path / "c.npy")


def test_the_file_is_read_once_as_motion_that_turns_as_it_was_written(tmp_path: Path, monkeypatch):
    motion, opened = walking(6), []
    write(tmp_path / "a_smpl_params.npy", motion)
    for module in (reading, smpl_params):
        monkeypatch.setattr(module, "load_array", lambda path: opened.append(path) or load_array(path))
    (clip,) = read_motion(tmp_path / "a_smpl_params.npy", ReadingOptions(input_fps=25.0))
    np.testing.assert_allclose(clip.rotations, motion.rotations, atol=1e-5)
    np.testing.assert_allclose(clip.positions[:, 0], motion.root, atol=1e-5)
    assert clip.fps == 25 and clip.joints == SKELETONS["smpl24"].joints and "25 frames a second" in clip.note
    assert len(opened) == 1
