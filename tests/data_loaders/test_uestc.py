"""UESTC: parts by subject, views turned to the front, the camera's path, and bad input said in one sentence."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch

from data_loaders.action import uestc
from data_loaders.action.windows import Clip
from data_loaders.registry import dataset_spec, load_dataset
from tests.toys import swinging, uestc_folder, walked
from utils.geometry.rotations import axis_angle_to_matrix
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.randomness import numpy_rng

SPEC = dataset_spec("uestc")


def rewrite(folder, name: str, change) -> None:
    """Change the lines of a file of `info`, or the content of a pickle."""
    path = folder / name
    if path.suffix == ".txt":
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    else:
        path.write_bytes(pickle.dumps(change(pickle.loads(path.read_bytes()))))


def frames_of(data) -> list[int]:
    return [len(clip.poses) for clip in data.clips]


def test_published_figures(shared):
    constants = json.loads((shared / "golden" / "mdm" / "constants.json").read_text())
    assert sorted(uestc.TRAIN_SUBJECTS) == constants["uestc_train_subjects"]
    assert constants["uestc_smpl_joint_pick"][0] == uestc.ROOT
    assert list(SPEC.actions) == constants["uestc_actions_from_other_public_code"]
    assert list(dataset_spec("humanact12").actions) == constants["humanact12_actions"]


def test_parts_by_subject(tmp_path):
    options = uestc_folder(tmp_path, clips=24)
    train, test = (load_dataset(SPEC, dataclasses.replace(options, data_split=split)) for split in ("train", "test"))
    assert [clip.label for clip in train.clips] == list(range(0, 24, 2))
    assert [clip.label for clip in test.clips] == list(range(1, 24, 2))
    batch = train.batch([3, 0], lambda k: numpy_rng("test", k))
    assert batch["motion"].shape == (2, 60, 150) and batch["action"].tolist() == [6, 0]
    with pytest.raises(UsageError, match="--data_split val: uestc has none; choose from train, test"):
        uestc.load(SPEC, dataclasses.replace(options, data_split="val"))
    assert len(uestc.load(SPEC, dataclasses.replace(options, data_size=5))) == 5


def test_every_clip_faces_the_front(tmp_path):
    """Whatever view it was seen from: the same poses and path as those of side 1."""
    data = uestc.load(SPEC, uestc_folder(tmp_path, clips=24))
    for clip, index in zip(data.clips, range(0, 24, 2), strict=True):
        front = torch.from_numpy(swinging(len(clip.poses), index, index)).view(-1, 24, 3)
        turns = axis_angle_to_matrix(torch.from_numpy(clip.poses))
        torch.testing.assert_close(turns, axis_angle_to_matrix(front), atol=1e-5, rtol=0)
        np.testing.assert_allclose(clip.path, walked(len(clip.poses), index), atol=1e-5)


def test_view_2_is_a_quarter_turn_to_the_right():
    clip = Clip(np.zeros((1, 24, 3), np.float32), np.array([[1.0, 2.0, 0.0]], np.float32), 0)
    turned = uestc.rotate_to_front(clip, 2)
    np.testing.assert_allclose(turned.path, [[0, 2, 1]], atol=1e-6)
    np.testing.assert_allclose(turned.poses[0, 0], [0, -np.pi / 2, 0], atol=1e-6)
    assert not turned.poses[0, 1:].any() and not clip.poses.any()


def test_view_8_of_the_other_sides_is_left_out(tmp_path):
    options = uestc_folder(tmp_path, clips=24)
    rewrite(tmp_path, "info/names.txt", lambda names: [name.replace("_d0_", "_d8_") for name in names])
    kept = uestc.load(SPEC, options).clips
    assert [clip.label for clip in kept] == [0, 2, 4, 6, 10, 12, 14, 18, 20, 22], "of 0, 8 and 16 only 0 is side 1"


def test_training_clips_fill_three_quarters_of_a_window(tmp_path):
    options = uestc_folder(tmp_path, clips=24, frames=(60, 60))
    rewrite(tmp_path, "info/num_frames_min.txt", lambda _: [str(45 - i % 4) for i in range(24)])
    assert frames_of(uestc.load(SPEC, options)) == [45] * 6, "the file's count wins where it is lower"
    assert frames_of(uestc.load(SPEC, dataclasses.replace(options, num_frames=57))) == [45, 43] * 6
    assert frames_of(uestc.load(SPEC, dataclasses.replace(options, data_split="test"))) == [44, 42] * 6
    rewrite(tmp_path, "info/num_frames_min.txt", lambda _: ["90"] * 24)
    assert frames_of(uestc.load(SPEC, options)) == [60] * 12
    with pytest.raises(DataError, match="no clip of at least 75 frames"):
        uestc.load(SPEC, dataclasses.replace(options, num_frames=100))
    rewrite(tmp_path, "info/num_frames_min.txt", lambda _: ["44"] * 24)
    with pytest.raises(DataError, match="the train part of uestc has no clip of at least 45 frames"):
        uestc.load(SPEC, options)


def test_the_depth_makes_the_body_as_large_as_its_camera_does():
    """The published way round: size of the body in metres over its size in the image, times the focal length."""
    rng = np.random.RandomState(1)
    camera = np.concatenate([rng.uniform(0.4, 1.2, (5, 2)), rng.normal(size=(5, 2))], 1)
    depths = []
    for scale, _, x, y in camera:
        points = rng.normal(size=(49, 2))
        pixels = (scale * (points + (x, y)) + 1) * 0.5 * 540
        depths.append(500 * np.linalg.norm(np.ptp(points, axis=0)) / np.linalg.norm(np.ptp(pixels, axis=0)))
    expected = np.stack([camera[:, 2], camera[:, 3], depths], 1)
    np.testing.assert_allclose(uestc.camera_path(camera), expected - expected[0], atol=1e-12)


def test_the_cameras_path_is_kept_beside_the_data(tmp_path, monkeypatch):
    options = uestc_folder(tmp_path)
    path = tmp_path / "globtrans_usez.pkl"
    first = uestc.load(SPEC, options)
    assert len(pickle.loads(path.read_bytes())) == 24
    monkeypatch.setattr(uestc, "camera_path", lambda camera: pytest.fail("it is there already"))
    again = uestc.load(SPEC, options)
    np.testing.assert_array_equal(again.clips[3].path, first.clips[3].path)
    rewrite(tmp_path, "globtrans_usez.pkl", lambda paths: [path + np.arange(len(path))[:, None] for path in paths])
    moved = uestc.load(SPEC, options).clips[0].path - first.clips[0].path
    np.testing.assert_allclose(moved, np.arange(len(moved))[:, None].repeat(3, 1), atol=1e-5)
    rewrite(tmp_path, "globtrans_usez.pkl", lambda paths: paths[1:])
    with pytest.raises(DataError, match=r"globtrans_usez\.pkl does not hold one path for each of 24 clips; remove it"):
        uestc.load(SPEC, options)


def test_a_folder_that_may_not_be_written_to_is_read(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    options = uestc_folder(tmp_path)
    monkeypatch.setattr(uestc, "atomic_write", refused)
    assert len(uestc.load(SPEC, options)) == 12
    assert not (tmp_path / "globtrans_usez.pkl").exists()


def test_the_folder_spells_the_actions(tmp_path):
    options = uestc_folder(tmp_path)
    rewrite(tmp_path, "info/action_classes.txt", lambda names: [name.replace("-", " ") for name in names])
    assert uestc.load(SPEC, options).actions[2] == "jumping jack"
    rewrite(tmp_path, "info/action_classes.txt", lambda names: names[1:])
    with pytest.raises(DataError, match="names 39 actions; uestc has 40"):
        uestc.load(SPEC, options)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("info/names.txt", lambda names: ["walk.avi", *names[1:]], "'walk.avi' is not a<action>_d<view>_p<subject>"),
        ("info/names.txt", lambda names: ["a0_d0_p119_c1_color.avi", *names[1:]], "subjects go from 1 to 118"),
        ("info/names.txt", lambda names: ["a0_d9_p001_c1_color.avi", *names[1:]], "views from 0 to 8"),
        ("info/names.txt", lambda names: ["a40_d0_p001_c1_color.avi", *names[1:]], "the action is 40, not a number"),
        ("info/names.txt", lambda names: names[1:], "holds 24 clips, info/names.txt 23 and"),
        ("info/num_frames_min.txt", lambda counts: ["-3", *counts[1:]], "holds '-3', which is no number of frames"),
        (
            "vibe_cache_refined.pkl",
            lambda cache: cache | {"orig_cam": 0},
            "a dict of the lists pose, joints3d, orig_cam",
        ),
        (
            "vibe_cache_refined.pkl",
            lambda cache: swapped(cache, "orig_cam", np.zeros((60, 3))),
            "orig_cam of a clip is",
        ),
        (
            "vibe_cache_refined.pkl",
            lambda cache: swapped(cache, "joints3d", np.zeros((60, 8, 3))),
            r"\[frames, 9 or more",
        ),
        (
            "vibe_cache_refined.pkl",
            lambda cache: swapped(cache, "joints3d", np.zeros((59, 49, 3))),
            "joints have 59 frame",
        ),
        ("vibe_cache_refined.pkl", lambda cache: swapped(cache, "orig_cam", np.zeros((60, 4))), "root is not finite"),
        ("vibe_cache_refined.pkl", lambda cache: swapped(cache, "pose", np.zeros((60, 69))), "poses are .*not float64"),
    ],
)
def test_bad_input_is_named(tmp_path, name, change, reason):
    options = uestc_folder(tmp_path, frames=(60, 60))
    rewrite(tmp_path, name, change)
    with pytest.raises(DataError, match=reason):
        uestc.load(SPEC, options)


def swapped(cache: dict, name: str, value: np.ndarray) -> dict:
    """The cache with the first clip of a list replaced."""
    return cache | {name: [value, *cache[name][1:]]}


@pytest.mark.parametrize("name", ["vibe_cache_refined.pkl", "info/names.txt", "info/action_classes.txt"])
def test_a_missing_file_says_where_it_comes_from(tmp_path, name):
    options = uestc_folder(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(
        MissingFileError, match=f"{name} does not exist; dataset/README.md says where the uestc motions"
    ):
        uestc.load(SPEC, options)
