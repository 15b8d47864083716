"""`prepare.round_trip`: the losses it prints, for recordings and for a folder."""

import numpy as np
import pytest

from data_loaders.points.toy import body_motion
from prepare import round_trip, toy_motion
from utils.run.errors import DataError, MissingFileError, UsageError


def said(capsys, *arguments) -> str:
    round_trip.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_recordings_and_folders(tmp_path, capsys):
    for index in range(3):
        np.save(tmp_path / f"{index}.npy", body_motion(20, 0, index)[0])
    text = said(capsys, "--sources", tmp_path)
    assert "3 clips of smpl22" in text and "the positions among the features: mean 0.000 mm" in text
    assert "joints move" in text and "wrong sign: in 0 clips" in text
    assert said(capsys, "--sources", tmp_path, "--num_motions", "2").startswith("2 clips")
    folder = tmp_path / "toy"
    toy_motion.main(["--dataset", "mocap", "--output_dir", str(folder), "--num_motions", "2"])
    capsys.readouterr()
    text = said(capsys, "--datapath", folder)
    assert text.startswith("4 clips") and "joints move 0 mm" in text, "they have the standard bones already"


def test_a_spin_that_the_published_features_lose(tmp_path, capsys):
    motion = body_motion(20, 0, 0)[0]
    yaw = np.linspace(0, 2.5 * np.pi, len(motion))[:, None]
    x, z = motion[..., 0].copy(), motion[..., 2].copy()
    motion[..., 0], motion[..., 2] = np.cos(yaw) * x + np.sin(yaw) * z, np.cos(yaw) * z - np.sin(yaw) * x
    motion[..., 0] += np.linspace(0, 3, len(motion))[:, None].astype(np.float32)
    np.save(tmp_path / "spin.npy", motion)
    text = said(capsys, "--sources", tmp_path)
    assert "wrong sign: in 1 clips" in text and "the positions among the features: mean 0.000 mm" in text


def test_single_frames_are_passed_over(tmp_path, capsys):
    """Files of several clips often hold a pose among them."""
    np.save(tmp_path / "pose.npy", body_motion(20, 0, 0)[0][:1])
    with pytest.raises(DataError, match="no clip of more than one frame"):
        round_trip.main(["--sources", str(tmp_path)])
    assert "pose: a single frame" in capsys.readouterr().err
    np.save(tmp_path / "walk.npy", body_motion(20, 0, 0)[0])
    assert said(capsys, "--sources", tmp_path).startswith("1 clips")


def test_what_is_concluded_or_impossible_is_told(tmp_path, capsys):
    """Once a file; a person too small to be one is no reason for silence, nor for figures of rounding."""
    np.save(tmp_path / "walk.npy", body_motion(20, 0, 0)[0])
    line = ["--sources", str(tmp_path), "--scale"]
    round_trip.main([*line, "1"])
    assert "walk.npy: it names no joints" in (fair := capsys.readouterr().err) and "m tall" not in fair
    round_trip.main([*line, "0.01"])
    assert "the person would be 0.02 m tall" in (err := capsys.readouterr().err) and err.count("note: ") == 1
    with pytest.raises(DataError, match="walk: clip 0 has legs of no length"):
        round_trip.main([*line, "1e-12"])
    assert "m tall (--scale says the unit)" in capsys.readouterr().err


def test_refusals(tmp_path):
    with pytest.raises(MissingFileError, match="new_joints holds no .npy"):
        round_trip.main(["--datapath", str(tmp_path)])
    with pytest.raises(UsageError, match="one of the two"):
        round_trip.main(["--datapath", str(tmp_path), "--sources", str(tmp_path)])
    (tmp_path / "new_joints").mkdir()
    np.save(tmp_path / "new_joints" / "a.npy", np.full((30, 22, 3), np.nan, np.float32))
    with pytest.raises(DataError, match=r"a.npy: .*NaN"):
        round_trip.main(["--datapath", str(tmp_path)])
