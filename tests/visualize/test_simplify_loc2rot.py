"""Rotations in place of positions: the published layout, every file of a folder, nothing overwritten."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.representations import rot6d
from tests.people import standing_smpl22
from utils.formats import results
from utils.geometry.kinematics import bone_lengths
from utils.geometry.rest import rest_offsets
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, UsageError
from visualize import simplify_loc2rot


def write(path: Path, frames: int = 12) -> None:
    """A results file of two samples; the second is shorter."""
    points = np.repeat(standing_smpl22()[None], frames, 0)
    points[:, 18:22:2] += 0.2 * np.sin(np.arange(frames) / 4)[:, None, None]
    points = np.stack([points + (0, 0, 0), points + (1, 0, 2)]).astype(np.float32)
    content = {
        "motion": points.transpose(0, 2, 3, 1), "text": ["stand", "wave"], "lengths": np.array([frames, frames - 4]),
        "num_samples": 2, "num_repetitions": 1,
    }  # fmt: skip
    results.write(path, content)


def test_files_of_a_folder_get_rotations_in_rows_and_the_pelvis(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "results.npy")
    simplify_loc2rot.main([str(tmp_path), "--body", "free"])
    assert capsys.readouterr().out.count("2 motions") == 2
    content = np.load(tmp_path / "b" / "results_rot.npy", allow_pickle=True).item()
    assert content["motion"].shape == (2, 25, 6, 12) and content["motion"].dtype == np.float32
    assert content["text"] == ["stand", "wave"] and content["lengths"].tolist() == [12, 8]
    features = torch.from_numpy(content["motion"]).permute(0, 3, 1, 2).flatten(-2)
    matrices = rot6d.rotations(features)
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).expand_as(matrices), atol=1e-4, rtol=0)
    pelvis = content["motion"][:, 24, :3].transpose(0, 2, 1)
    np.testing.assert_allclose(pelvis[1] - pelvis[0], np.broadcast_to((1, 0, 2), (12, 3)), atol=0.02)
    np.testing.assert_array_equal(content["motion"][1, ..., 8:], np.repeat(content["motion"][1, ..., 7:8], 4, -1))
    assert (content["motion"][:, 24, 3:] == 0).all()


def test_the_rotations_pose_the_person(tmp_path: Path):
    """On bones of the same lengths the features give the joints back (what a fit cannot meet, a few cm)."""
    write(tmp_path / "results.npy")
    simplify_loc2rot.main(["--input_path", str(tmp_path / "results.npy"), "--body", "free"])
    content = np.load(tmp_path / "results_rot.npy", allow_pickle=True).item()
    features = torch.from_numpy(content["motion"][0]).permute(2, 0, 1).flatten(-2)
    joints, wanted = rot6d.decode(features, rest_offsets())[..., :22, :], torch.from_numpy(standing_smpl22()).float()
    skeleton = SKELETONS["smpl22"]
    for joint in (4, 5, 7, 8, 18, 19):
        directions = [
            (points[..., joint, :] - points[..., skeleton.parents[joint], :]).reshape(-1, 3)[0]
            / bone_lengths(points, skeleton.parents)[..., joint].flatten()[0]
            for points in (joints, wanted)
        ]
        assert directions[0] @ directions[1] > 0.93, skeleton.joints[joint]


def test_refusals_write_nothing(tmp_path: Path):
    with pytest.raises(UsageError):
        simplify_loc2rot.main([])
    with pytest.raises(MissingFileError):
        simplify_loc2rot.main([str(tmp_path)])
    write(tmp_path / "results.npy")
    (tmp_path / "results_rot.npy").write_bytes(b"mine")
    with pytest.raises(UsageError, match="overwrite"):
        simplify_loc2rot.main([str(tmp_path)])
    assert (tmp_path / "results_rot.npy").read_bytes() == b"mine"
    mas = {"motions": np.zeros((1, 4, 16, 3), np.float32), "model_kwargs": {"y": {"lengths": np.array([4])}}}
    results.write(tmp_path / "results2.npy", mas)
    with pytest.raises(DataError, match="MAS"):
        simplify_loc2rot.main([str(tmp_path / "results2.npy")])
    assert not (tmp_path / "results2_rot.npy").exists()
