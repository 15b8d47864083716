"""Joint angles for HumanIK: the published layout, its angles, and what comes back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.bodies import angle_between, small_body, walking
from utils.formats import hik
from utils.geometry.rotations import euler_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError


def test_the_angles_of_the_published_program(golden: Path):
    record = np.load(golden / "mesh" / "rotations.npz")
    motion = walking(24)
    rotations = motion.rotations.astype(np.float64)
    rotations[:, 5] = record["matrix"]
    thetas = np.array(hik.content([replace(motion, rotations=rotations)])["thetas"])
    assert thetas.shape == (1, 24, 24, 3)
    np.testing.assert_allclose(thetas[0, :, 5], record["hik_euler_deg"], atol=1e-4)


def test_the_file_and_its_way_back(tmp_path: Path):
    motions = [walking(5, seed=1), walking(8, seed=2)]
    hik.write(tmp_path / "a.json", motions)
    content = json.loads((tmp_path / "a.json").read_text())
    assert set(content) == {"joint_map", "thetas", "root_translation", "fps"} and content["fps"] == 20
    assert [len(part) for part in content["thetas"]] == [5, 8] and len(content["thetas"][0][0]) == 24
    assert content["joint_map"][:3] == ["Hips", "LeftUpLeg", "RightUpLeg"] and len(content["joint_map"]) == 22
    for (angles, root), motion in zip(hik.read(tmp_path / "a.json"), motions, strict=True):
        turned = euler_to_matrix(torch.from_numpy(np.radians(angles)), "XYZ").numpy()
        assert angle_between(turned, motion.rotations) < 0.001
        np.testing.assert_allclose(root, motion.root, atol=1e-6)


def test_the_joint_map_names_the_joints_of_the_skeleton():
    body = SKELETONS["smpl22"]
    assert len(set(hik.JOINT_MAP)) == len(hik.JOINT_MAP) == len(body.joints) == 22
    for joint, name in enumerate(hik.JOINT_MAP):
        side = "left" if name.startswith("Left") else "right" if name.startswith("Right") else "middle"
        assert body.side(joint) == side, name


def test_what_cannot_be_written(tmp_path: Path):
    motion, path = walking(), tmp_path / "a.json"
    with pytest.raises(NumericError, match="rotations of walk"):
        hik.write(path, [motion, replace(motion, rotations=motion.rotations * np.nan)])
    with pytest.raises(UsageError, match="one rate, not of \\[20.0, 30.0\\]"):
        hik.write(path, [motion, walking(fps=30.0)])
    with pytest.raises(UsageError, match="none"):
        hik.write(path, [])
    with pytest.raises(UsageError, match="no pelvis"):
        hik.write(path, [replace(motion, body=replace(small_body(), joints=("hip", *motion.body.joints[1:])))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"joint_map": ["Hips"]},
        {"thetas": [[[[1, 2, 3]]]]},
        {"thetas": "x"},
        {"thetas": []},
        {"thetas": [[]], "root_translation": [[]]},
        {"root_translation": [[[1, 2, 3]] * 2]},
        {"root_translation": [[[1, 2, 1e999]] * 3]},
        {"root_translation": [[[1, 2, "x"]] * 3]},
        {"root_translation": [[[1, 2, None]] * 3]},
        {"root_translation": 3},
        {"fps": "fast"},
        {"fps": 0},
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, change: dict):
    content = hik.content([walking(3)])
    (tmp_path / "a.json").write_text(json.dumps(content))
    hik.read(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(json.dumps(content | change))
    with pytest.raises(DataError, match="a.json"):
        hik.read(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(DataError, match="a.json"):
        hik.read(tmp_path / "a.json")
    with pytest.raises(MissingFileError):
        hik.read(tmp_path / "b.json")
