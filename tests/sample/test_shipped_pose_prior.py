"""The pose prior that comes with the project: it knows people from turned joints, and commands take it unasked."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.poses.noise import turned
from model.poses.pose_ndf import JOINTS
from model.poses.reading import load_pose_ndf, resolved
from sample.options import PosesOptions
from sample.posing.completing import missing_joints, statistics_for
from sample.posing.tasks import distances_of, drawn_poses
from tests.commands import run
from utils.geometry.rotations import axis_angle_to_quaternion
from utils.run.files import read_json

SHIPPED = Path(__file__).parents[2] / PosesOptions().model_path


def standing() -> torch.Tensor:
    """A person [1, 21, 4] who stands with the arms at the sides."""
    turns = torch.zeros(1, len(JOINTS), 3)
    for side, sign in (("left", -1), ("right", 1)):
        turns[0, JOINTS.index(f"{side}_shoulder"), 2] = 1.2 * sign
        turns[0, JOINTS.index(f"{side}_elbow"), 1] = 0.3 * sign
    return axis_angle_to_quaternion(turns)


@pytest.mark.parametrize("angle", [0.1, 0.25, 0.5])
def test_a_real_pose_is_nearer_than_turned_ones(angle):
    network, poses = load_pose_ndf(SHIPPED), standing().expand(100, -1, -1)
    real, others = distances_of(network, poses), distances_of(network, turned(poses, angle, np.arange(100), 0))
    assert real.max() < 0.01
    assert (others > real).float().mean() > 0.9


def test_an_arm_is_completed_from_the_statistics_beside_it():
    statistics, pose, missing = statistics_for("", resolved(SHIPPED)), standing(), missing_joints(["left_arm"])
    assert statistics is not None
    found = statistics.poses(statistics.expected(statistics.turns(pose), ~missing)[0])
    arm = JOINTS.index("left_shoulder")
    assert float(2 * (found[0, arm].float() @ pose[0, arm]).abs().clamp(max=1).acos()) < 0.6, (
        "it hangs, as the other does"
    )


def test_it_is_small_and_says_nothing_of_where_it_was_trained():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 4 * 2**20
    assert read_json(SHIPPED / "args.json")["save_dir"] == "save/pose_ndf"


def test_poses_are_generated_by_default_from_what_poses_are_like(tmp_path):
    run("sample.poses", "--task generate --threads 1 --output_dir", tmp_path / "out")
    with np.load(tmp_path / "out" / "poses.npz") as content:
        poses, distances = content["pose_body"], content["distance"]
    assert poses.shape == (10, 21, 4) and (distances < 0.001).all()
    statistics = statistics_for("", resolved(SHIPPED))
    assert statistics is not None
    start = drawn_poses(statistics, 10, 0)
    assert float(distances_of(load_pose_ndf(SHIPPED), start).mean()) < 0.002
    assert float((1 - (start.numpy() * poses).sum(-1)).mean()) < 0.001, "they are near enough as they are drawn"
