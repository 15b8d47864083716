"""Skeletons posed from positions: bones that meet their joints, rests that stand upright, no twist that gathers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from body.motion.rotations_from_positions import Posed, pose_skeleton
from utils.formats import shards
from utils.geometry import rotations as R
from utils.geometry.kinematics import forward, rigid_bones
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.errors import DataError


def placed(posed: Posed) -> np.ndarray:
    offsets = posed.rest - posed.rest[[max(parent, 0) for parent in posed.parents]]
    tensors = (torch.as_tensor(values, dtype=torch.float64) for values in (posed.rotations, offsets, posed.root))
    rotations, offsets, root = tensors
    return forward(rotations, offsets, posed.parents, root)[0].numpy()


def noise(shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
    return np.random.RandomState(0).normal(0, scale, shape).astype(np.float32)


def test_a_chain_meets_its_rigid_joints():
    chain = Skeleton("chain", tuple("abcde"), (), (-1, 0, 1, 2, 3))
    points = np.cumsum(noise((40, 5, 3)), 1)
    posed = pose_skeleton(Motion(points, 30, chain.joints, chain.parents))
    rigid = rigid_bones(torch.from_numpy(points).double(), chain).numpy()
    np.testing.assert_allclose(placed(posed), rigid, atol=1e-5)


def test_a_rigid_body_with_fans_is_met_exactly_whatever_the_order_of_joints():
    """A tree with two fans that turns and bends only as bones can: positions come back."""
    parents = (2, 0, -1, 0, 2, 4, 4)
    rng = np.random.RandomState(1)
    offsets = torch.from_numpy(rng.normal(size=(7, 3)))
    local = R.axis_angle_to_matrix(torch.from_numpy(rng.normal(0, 0.5, (30, 7, 3))))
    path = torch.from_numpy(np.cumsum(rng.normal(0, 0.1, (30, 3)), 0))
    points = forward(local, offsets, parents, path)[0].numpy()
    joints = ("g", "x", "root", "y", "h", "u", "v")
    posed = pose_skeleton(Motion(points, 30, joints, parents))
    assert posed.joints[0] == "root" and posed.parents[0] == -1
    assert all(parent < joint for joint, parent in enumerate(posed.parents))
    order = [joints.index(joint) for joint in posed.joints]
    np.testing.assert_allclose(placed(posed), points[:, order], atol=1e-5)
    np.testing.assert_allclose(R.matrix_to_quaternion(torch.from_numpy(posed.rotations)).norm(dim=-1), 1, atol=1e-5)
    assert posed.error.max() < 1e-5 and abs(posed.rest[:, 1].min()) < 1e-6


def test_no_twist_gathers_along_a_limb():
    """A limb that swings only forward and back turns about its hinge only."""
    angles = torch.linspace(-1, 1, 25, dtype=torch.float64)
    local = torch.stack([R.about_axis("X", angle * scale) for scale in (0, 1, 0.5, 0) for angle in angles])
    local = local.reshape(4, 25, 3, 3).transpose(0, 1)
    offsets = torch.tensor([[0, 0, 0], [0, -0.1, 0], [0, -0.4, 0], [0, -0.4, 0.1]], dtype=torch.float64)
    points = forward(local, offsets, (-1, 0, 1, 2), torch.zeros(25, 3).double())[0].numpy()
    turns = R.matrix_to_axis_angle(
        torch.from_numpy(pose_skeleton(Motion(points, 30, tuple("abcd"), (-1, 0, 1, 2))).rotations)
    )
    assert turns[:, 1:, 1:].abs().max() < 1e-4 < turns[..., 0].abs().max()


@pytest.mark.parametrize("shard", ["horse_cc0", "fox_cc0", "dog"])
def test_recorded_animals_are_met(shared: Path, shard: str):
    for number, clip in enumerate(shards.read(shared / f"data/{shard}.npz")):
        if number % 8 == 0:
            posed = pose_skeleton(clip)
            assert posed.error.max() < 0.003
            assert set(posed.joints) == set(clip.joints) and not posed.note


def test_people_rest_in_a_t_facing_z(shared: Path):
    clip = next(clip for clip in shards.read(shared / "data/cmu.npz") if len(clip.positions) > 60)
    rest = pose_skeleton(replace(clip, rotations=None)).rest
    at = dict(zip(SKELETONS["smpl22"].joints, rest, strict=True))
    for side, sign in (("left", 1), ("right", -1)):
        arm = at[f"{side}_wrist"] - at[f"{side}_shoulder"]
        leg = at[f"{side}_ankle"] - at[f"{side}_hip"]
        assert arm[0] * sign > 0.95 * np.linalg.norm(arm) and leg[1] < -0.95 * np.linalg.norm(leg)
        assert at[f"{side}_foot"][2] > at[f"{side}_ankle"][2] + 0.05
    assert at["head"][1] > at["pelvis"][1] + 0.4


def test_rotations_of_a_source_are_kept_where_they_fit(shared: Path):
    clip = next(iter(shards.read(shared / "data/cmu.npz")))
    posed = pose_skeleton(clip)
    order = [clip.joints.index(joint) for joint in posed.joints]
    assert clip.rotations is not None
    np.testing.assert_allclose(posed.rotations, clip.rotations[:, order], atol=1e-6)
    other = pose_skeleton(replace(clip, rotations=clip.rotations[::-1].copy()))
    assert other.error.max() < 0.02 and np.abs(other.rotations - clip.rotations[::-1][:, order]).max() > 0.1


def test_the_horse_of_mas_stands_upright_facing_z():
    horse = SKELETONS["horse"]
    half = {"Eye": (0.1, 1.6, 1.0), "Shoulder": (0.2, 1.2, 0.6), "Elbow": (0.2, 0.7, 0.6), "FrontHoof": (0.2, 0, 0.6),
            "Hip": (0.2, 1.2, -0.6), "Knee": (0.2, 0.6, -0.7), "BackHoof": (0.2, 0, -0.6)}  # fmt: skip
    middle = {"Nose": (0, 1.4, 1.2), "Neck": (0, 1.4, 0.6), "Tail": (0, 1.3, -0.7)}
    stand = [
        middle.get(name)
        or np.array(half[name.removeprefix("Left").removeprefix("Right")]) * (-1 if "Right" in name else 1, 1, 1)
        for name in horse.joints
    ]
    turn = R.about_axis("Y", torch.linspace(1, 4, 20)).numpy()
    points = np.array(stand) @ np.swapaxes(turn, -1, -2) + noise((20, 17, 3), 0.01)
    posed = pose_skeleton(Motion(points.astype(np.float32), 30, horse.joints, horse.parents))
    rest = posed.rest - posed.rest[posed.joints.index("Neck")]
    wanted = np.array(stand)[[horse.index(joint) for joint in posed.joints]] - middle["Neck"]
    np.testing.assert_allclose(rest, wanted, atol=0.03)


def test_what_hangs_on_nothing_is_left_out_and_named():
    skeleton = SKELETONS["gymnastics"]
    posed = pose_skeleton(Motion(noise((5, 18, 3)), 20, skeleton.joints, skeleton.parents))
    assert "Ball" not in posed.joints and len(posed.joints) == 17 and "Ball" in posed.note


@pytest.mark.parametrize("shape", [(1, 17, 3), (4, 17, 2), (1, 17, 2)])
def test_flat_and_single_frames(shape: tuple[int, ...]):
    horse = SKELETONS["horse"]
    posed = pose_skeleton(Motion(noise(shape), 30, horse.joints, horse.parents))
    assert np.isfinite(posed.rotations).all() and np.isfinite(posed.rest).all()
    np.testing.assert_allclose(np.linalg.det(posed.rotations), 1, atol=1e-5)


def test_one_joint_and_bones_without_length():
    assert pose_skeleton(Motion(noise((3, 1, 3)), 30, ("a",), (-1,))).rotations.shape == (3, 1, 3, 3)
    points = np.repeat(noise((6, 1, 3)), 3, 1)
    points[:, 2] += (0, 1, 0)
    posed = pose_skeleton(Motion(points, 30, tuple("abc"), (-1, 0, 1)))
    np.testing.assert_allclose(placed(posed), points, atol=1e-5)


def test_nan_is_refused():
    points = noise((3, 2, 3))
    points[1, 1] = np.nan
    with pytest.raises(DataError, match="finite"):
        pose_skeleton(Motion(points, 30, ("a", "b"), (-1, 0)))
