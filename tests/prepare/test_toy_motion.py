"""The toy dataset: figures that keep their bones, seen as the dataset's camera sees them, and its commands."""

import numpy as np
import pytest
import torch

from data_loaders.options import DataOptions
from data_loaders.points import keypoints as base
from data_loaders.points import toy
from data_loaders.points.projections import see
from data_loaders.registry import DATASETS
from data_loaders.text import humanml
from prepare import motion_stats, toy_motion
from utils.run.errors import UsageError

BODIES = ("nba", "horse", "gymnastics")
PARTS = ("train", "val", "test")


@pytest.mark.parametrize("name", BODIES)
def test_figures_are_rigid_periodic_and_stand_upright(name):
    spec = DATASETS[name]
    for index in range(12):
        _, truth, _ = toy.toy_motion(spec, 0, index)
        assert np.isfinite(truth).all()
        rigid = {"nba": ("Knee", "Ankle", "Elbow", "Wrist"), "gymnastics": ("Knee", "Ankle", "Elbow", "Wrist")}.get(
            name, ("Hoof",)
        )
        for joint, parent in enumerate(spec.skeleton.parents):
            if spec.skeleton.joints[joint].endswith(rigid):
                lengths = np.linalg.norm(truth[:, joint] - truth[:, parent], axis=-1)
                np.testing.assert_allclose(lengths, lengths[0], rtol=1e-4)
                np.testing.assert_allclose(
                    lengths[0],
                    np.linalg.norm(truth[0, spec.skeleton.mirror[joint]] - truth[0, spec.skeleton.mirror[parent]]),
                    rtol=1e-4,
                )
        feet = [i for i, joint in enumerate(spec.skeleton.joints) if joint.endswith(("Ankle", "Hoof"))]
        head = spec.skeleton.index("Nose")
        assert (truth[:, head, 1] > truth[:, feet, 1].max(1)).all()
        speed = np.linalg.norm(np.diff(truth, axis=0), axis=-1) * (spec.source_fps or spec.fps)
        assert speed[:, feet + [head]].mean() > 0.05 and speed[:, :17].max() < 25


@pytest.mark.parametrize("name", BODIES)
def test_the_file_is_the_truth_seen_by_the_camera(name):
    spec = DATASETS[name]
    points, truth, azimuth = toy.toy_motion(spec, 4, 2)
    again, _, _ = toy.toy_motion(spec, 4, 2)
    other, _, _ = toy.toy_motion(spec, 5, 2)
    np.testing.assert_array_equal(points, again)
    assert other.shape != points.shape or not np.array_equal(other, points)
    assert points.dtype == truth.dtype == np.float32 and points.shape == truth.shape
    seen = see(torch.from_numpy(truth)[None], torch.tensor([azimuth], dtype=torch.float32), spec)[0].numpy()
    found = points[..., 2] >= spec.confidence_threshold
    assert 0.9 < found.mean() <= 1
    np.testing.assert_allclose(points[found][:, :2], seen[found], atol=1e-5)
    if spec.pinned_root >= 0:
        np.testing.assert_array_equal(truth[:, spec.pinned_root], 0)


def test_left_and_right_are_where_they_are_for_a_viewer():
    """A figure that faces the camera (its back is +z) shows its left side on the right of the picture."""
    joints = toy.human(toy.Pose(), 3, 1.0)
    assert (joints["LeftWrist"][:, 0] > joints["RightWrist"][:, 0]).all()
    assert (joints["Nose"][:, 2] < joints["Head"][:, 2]).all()
    bent = toy.human(toy.Pose(knee=1.2, elbow=1.2), 3, 1.0)
    assert (bent["LeftAnkle"][:, 2] > bent["LeftKnee"][:, 2]).all(), "knees bend backward"
    assert (bent["LeftWrist"][:, 2] < bent["LeftElbow"][:, 2]).all(), "elbows bend forward"


@pytest.mark.parametrize("name", BODIES)
def test_the_published_figures_fit(name, tmp_path):
    spec = DATASETS[name]
    toy_motion.main(["--dataset", name, "--output_dir", str(tmp_path / "data"), "--num_motions", "40"])
    data = base.load(spec, DataOptions(dataset=name, datapath=str(tmp_path / "data"), data_augmentations=()))
    values = np.concatenate(data.motions)
    assert np.abs(values.mean(0)).max() < 2.2
    assert 0.1 < values.std(0)[1:].mean() < 1.1


def test_motion_stats_whiten_what_they_measured(tmp_path, capsys):
    folder = str(tmp_path / "data")
    toy_motion.main(["--dataset", "gymnastics", "--output_dir", folder, "--num_motions", "12"])
    motion_stats.main(["--dataset", "gymnastics", "--datapath", folder])
    assert "LeftKnee" in capsys.readouterr().out
    data = base.load(DATASETS["gymnastics"], DataOptions(datapath=folder, data_augmentations=()))
    values, seen = np.concatenate(data.motions), np.concatenate(data.masks)[..., None]
    mean = (values * seen).sum(0) / seen.sum(0)
    np.testing.assert_allclose(mean, 0, atol=1e-4)
    np.testing.assert_allclose(((values - mean) ** 2 * seen).sum(0) / seen.sum(0), 1, atol=1e-3)
    with pytest.raises(UsageError, match="--overwrite"):
        motion_stats.main(["--dataset", "gymnastics", "--datapath", folder])
    before = np.load(tmp_path / "data" / "Std.npy")
    motion_stats.main(["--dataset", "gymnastics", "--datapath", folder, "--overwrite"])
    np.testing.assert_allclose(np.load(tmp_path / "data" / "Std.npy"), before, rtol=1e-6)


def test_a_constant_joint_has_spread_one(tmp_path):
    toy_motion.main(["--output_dir", str(tmp_path / "data"), "--num_motions", "10"])
    motion_stats.main(["--datapath", str(tmp_path / "data")])
    assert np.load(tmp_path / "data" / "Std.npy")[0].tolist() == [1, 1]


def test_an_existing_folder_is_kept(tmp_path):
    arguments = ["--output_dir", str(tmp_path / "data"), "--num_motions", "2"]
    toy_motion.main(arguments)
    with pytest.raises(UsageError, match="--overwrite"):
        toy_motion.main(arguments)
    toy_motion.main([*arguments[:-1], "1", "--overwrite"])
    assert [path.name for path in (tmp_path / "data" / "motions").iterdir()] == ["toy_00000.npy"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("name", ["mocap", "humanml"])
def test_people_with_sentences(name, tmp_path, capsys):
    """A folder in the layout of HumanML3D that the loader takes, with the side of a wave told as it is."""
    folder = tmp_path / "data"
    toy_motion.main(["--dataset", name, "--output_dir", str(folder), "--num_motions", "24"])
    said = capsys.readouterr().out
    assert "48 motions" in said and f"--dataset {name} --datapath {folder}" in said and "sample.generate" in said
    spec = DATASETS[name]
    parts = {part: humanml.load(spec, DataOptions(datapath=str(folder), data_split=part)) for part in PARTS}
    assert [len(data) for data in parts.values()] == [36, 6, 6]
    data = parts["train"]
    joints = {clip: np.load(folder / "new_joints" / f"{clip}.npy") for clip in data.names}
    wrists = [spec.skeleton.index(f"{side}_wrist") for side in ("left", "right")]
    waves = 0
    for clip, texts in zip(data.names, data.texts, strict=True):
        told = " ".join(data.captions[k] for k in texts)
        if "wav" in told:
            left, right = joints[clip][:, wrists, 1].mean(0)
            assert ("left" in told, "right" in told) == (left > right, right > left)
            waves += 1
    assert waves >= 4
    assert data.batch([0, 1], lambda k: np.random.RandomState(k))["motion"].abs().max() < 50


def test_walking_feet_stay_on_the_floor():
    walks = [motion for motion, label in (toy.body_motion(20, 3, index) for index in range(40)) if label == "walk"]
    feet = [DATASETS["mocap"].skeleton.index(f"{side}_ankle") for side in ("left", "right")]
    for motion in walks:
        ankles = motion[:, feet]
        lower = ankles[:-1, :, 1].argmin(1)
        slid = np.diff(ankles[..., 2], axis=0)[np.arange(len(ankles) - 1), lower]
        assert np.abs(slid).max() < 1e-4 and motion[-1, 0, 2] - motion[0, 0, 2] > 1
        assert (motion[:, 16, 0] > motion[:, 17, 0]).all(), "the left side is on +x"
    assert len(walks) > 2


def test_it_says_what_to_run_next(tmp_path, capsys):
    toy_motion.main(["--output_dir", str(tmp_path / "data"), "--num_motions", "1"])
    said = capsys.readouterr().out
    assert "python -m train.train_mdm --dataset nba" in said and "python -m sample.mas" in said
    with pytest.raises(UsageError, match="num_motions"):
        toy_motion.main(["--output_dir", str(tmp_path / "other"), "--num_motions", "0"])
