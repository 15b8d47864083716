"""Trees of joints: forward kinematics by hand and by its laws, rigid bones, mirror images."""

import numpy as np
import pytest
import torch

from utils.geometry import kinematics as K
from utils.geometry import rotations as R
from utils.geometry.skeleton import SKELETONS

NBA = SKELETONS["nba"]
PEOPLE = ["nba", "smpl22", "horse", "gymnastics"]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(seed).normal(size=shape))


def symmetric_motion(name: str, frames: int = 7) -> torch.Tensor:
    """Rigid, symmetric bodies in random poses, [T, J, 3]."""
    skeleton = SKELETONS[name]
    offsets = random(len(skeleton.joints), 3)
    flip = torch.tensor([-1.0, 1, 1], dtype=torch.float64)
    offsets = (offsets + offsets[list(skeleton.mirror)] * flip) / 2
    local = R.axis_angle_to_matrix(random(frames, len(skeleton.joints), 3, seed=1))
    return K.forward(local, offsets, skeleton.parents, random(frames, 3, seed=2))[0]


def test_an_arm_by_hand():
    quarter = torch.tensor(torch.pi / 2, dtype=torch.float64)
    local = torch.stack([R.about_axis("Z", quarter), R.about_axis("Z", quarter), torch.eye(3, dtype=torch.float64)])
    offsets = torch.tensor([[9.0, 9, 9], [1, 0, 0], [2, 0, 0]], dtype=torch.float64)
    positions, turned = K.forward(local, offsets, (-1, 0, 1), torch.tensor([5.0, 0, 0], dtype=torch.float64))
    assert torch.allclose(positions, torch.tensor([[5.0, 0, 0], [5, 1, 0], [3, 1, 0]], dtype=torch.float64))
    assert torch.allclose(turned[2], R.about_axis("Z", 2 * quarter))


def test_the_order_of_joints_does_not_matter():
    local, offsets, root = R.axis_angle_to_matrix(random(4, 3, 3)), random(3, 3), random(4, 3)
    forward = K.forward(local, offsets, (-1, 0, 1), root)[0]
    backward = K.forward(local.flip(1), offsets.flip(0), (1, 2, -1), root)[0]
    assert torch.equal(forward.flip(1), backward)


@pytest.mark.parametrize("name", PEOPLE)
def test_forward_keeps_bone_lengths_and_follows_the_root(name: str):
    skeleton = SKELETONS[name]
    joints = len(skeleton.joints)
    local, offsets, root = R.axis_angle_to_matrix(random(2, 5, joints, 3)), random(joints, 3), random(2, 5, 3)
    positions, turned = K.forward(local, offsets, skeleton.parents, root)
    expected = offsets.norm(dim=-1) * torch.tensor([parent >= 0 for parent in skeleton.parents])
    assert torch.allclose(K.bone_lengths(positions, skeleton.parents), expected.expand(2, 5, joints))
    turn, shift = R.about_axis("Y", torch.tensor(1.1, dtype=torch.float64)), random(3)
    moved = local.clone()
    roots = [joint for joint, parent in enumerate(skeleton.parents) if parent < 0]
    moved[..., roots, :, :] = turn @ local[..., roots, :, :]
    again, _ = K.forward(moved, offsets, skeleton.parents, root @ turn.mT + shift)
    assert torch.allclose(again, positions @ turn.mT + shift)
    assert torch.allclose(K.global_rotations(local, skeleton.parents), turned)


@pytest.mark.parametrize("name", PEOPLE)
def test_rigid_bones_leave_no_variation_and_no_asymmetry(name: str):
    skeleton = SKELETONS[name]
    motion = random(3, 9, len(skeleton.joints), 3)
    rigid = K.rigid_bones(motion, skeleton)
    lengths = K.bone_lengths(rigid, skeleton.parents)
    assert float((lengths - lengths[:, :1]).abs().max()) < 1e-12
    for joint, other in enumerate(skeleton.mirror):
        above = skeleton.parents[joint]
        if above >= 0 and skeleton.parents[other] == skeleton.mirror[above]:
            assert torch.allclose(lengths[..., joint], lengths[..., other])
    before, after = (points - points[:, :, [max(p, 0) for p in skeleton.parents]] for points in (motion, rigid))
    moving = [joint for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    cosine = torch.nn.functional.cosine_similarity(before, after, dim=-1)[..., moving]
    assert torch.allclose(cosine, torch.ones_like(cosine))
    roots = [joint for joint, parent in enumerate(skeleton.parents) if parent < 0]
    assert torch.equal(rigid[..., roots, :], motion[..., roots, :])
    assert torch.allclose(K.rigid_bones(rigid, skeleton), rigid)


@pytest.mark.parametrize("name", ["nba", "smpl22", "horse"])
def test_rigid_bones_leave_rigid_motion_alone(name: str):
    motion = symmetric_motion(name)
    assert torch.allclose(K.rigid_bones(motion, SKELETONS[name]), motion)


def test_rigid_bones_follow_rotation_and_translation():
    motion = random(9, 16, 3)
    turn, shift = R.axis_angle_to_matrix(random(3)), random(3)
    assert torch.allclose(K.rigid_bones(motion @ turn.mT + shift, NBA), K.rigid_bones(motion, NBA) @ turn.mT + shift)


def test_rigid_bones_use_the_median_of_valid_frames_only():
    motion = symmetric_motion("nba", 9).expand(2, 9, 16, 3).clone()
    motion[0, 6:] *= 100
    rigid = K.rigid_bones(motion, NBA, torch.tensor([6, 9]))
    assert torch.allclose(rigid[0, :6], motion[0, :6])
    knee, hip, ankle = NBA.index("RKnee"), NBA.index("RHip"), NBA.index("RAnkle")
    single = symmetric_motion("nba", 5)
    length = (single[0, knee] - single[0, hip]).norm()
    direction = (single[2, knee] - single[2, hip]) / length
    single[2, [knee, ankle]] += direction * 7
    repaired = K.rigid_bones(single, NBA)
    assert torch.allclose((repaired[:, knee] - repaired[:, hip]).norm(dim=-1), length)


def test_left_and_right_are_averaged():
    motion = symmetric_motion("nba", 5)
    right, left = NBA.index("RElbow"), NBA.index("LElbow")
    lengths = K.bone_lengths(motion, NBA.parents)[0]
    bone = motion[:, right] - motion[:, NBA.parents[right]]
    motion[:, [right, NBA.index("RWrist")]] += bone[:, None] * 0.5
    mended = K.bone_lengths(K.rigid_bones(motion, NBA), NBA.parents)
    assert torch.allclose(mended[:, right], 1.25 * lengths[right])
    assert torch.allclose(mended[:, left], 1.25 * lengths[left])


def test_collapsed_bones_make_no_nan():
    motion = symmetric_motion("nba", 5)
    motion[2, 2] = motion[2, 1]
    motion[:, 9] = motion[:, 8]
    motion.requires_grad_()
    rigid = K.rigid_bones(motion, NBA)
    rigid.sum().backward()
    assert torch.isfinite(rigid).all() and motion.grad is not None and torch.isfinite(motion.grad).all()
    assert torch.equal(rigid[2, 2], rigid[2, 1])


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("axes", [2, 3])
def test_mirror_twice_is_nothing_and_once_swaps_sides(name: str, axes: int):
    skeleton = SKELETONS[name]
    motion = random(2, 4, len(skeleton.joints), axes)
    mirrored = K.mirror(motion, skeleton)
    assert torch.equal(K.mirror(mirrored, skeleton), motion)
    for joint, other in enumerate(skeleton.mirror):
        assert torch.equal(mirrored[..., joint, 0], -motion[..., other, 0])
        assert torch.equal(mirrored[..., joint, 1:], motion[..., other, 1:])
