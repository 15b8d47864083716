"""The angles of poses, their derivatives and their ranges."""

import pytest
import torch

from body.fit.pose_prior import HINGES, hinge_angles, pose_coordinates, pose_prior
from utils.geometry.rest import rest_offsets
from utils.geometry.rotations import about_axis, axis_angle_to_matrix
from utils.geometry.skeleton import SKELETONS

SMPL24 = SKELETONS["smpl24"]
MIRRORED = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)


def turns(scale: float, count: int = 20) -> torch.Tensor:
    draws = torch.Generator().manual_seed(0)
    return scale * torch.randn(count, 24, 3, generator=draws, dtype=torch.float64)


@pytest.mark.parametrize("scale", [0.0, 1e-7, 0.1, 1.0])
def test_derivatives_are_those_of_the_coordinates(scale: float):
    rotations, bone = axis_angle_to_matrix(turns(scale)), pose_prior(rest_offsets()).bone
    _, slopes = pose_coordinates(rotations, bone)
    for axis in range(3):
        step = 1e-6 * torch.eye(3, dtype=torch.float64)[axis]
        there, back = (pose_coordinates(rotations @ axis_angle_to_matrix(way * step), bone)[0] for way in (1, -1))
        torch.testing.assert_close(slopes[..., axis], (there - back) / 2e-6, atol=1e-8, rtol=1e-6)


def test_a_swing_follows_a_twist():
    bone = torch.tensor([0, 1, 2])
    for joint in range(3):
        twist = about_axis("XYZ"[joint], torch.tensor(0.7, dtype=torch.float64))
        swing = torch.tensor([0.3, -0.5, 0.9], dtype=torch.float64)
        swing[joint] = 0
        rotation = (axis_angle_to_matrix(swing) @ twist).expand(3, 3, 3)
        wanted = swing.clone()
        wanted[joint] = 0.7
        torch.testing.assert_close(pose_coordinates(rotation, bone)[0][joint], wanted)


def test_both_sides_have_the_same_ranges():
    prior = pose_prior(rest_offsets())
    for joint, other in enumerate(SMPL24.mirror):
        ends = torch.stack([prior.low[joint] * MIRRORED, prior.high[joint] * MIRRORED])
        torch.testing.assert_close(ends.amin(0), prior.low[other], atol=1e-6, rtol=0)
        torch.testing.assert_close(ends.amax(0), prior.high[other], atol=1e-6, rtol=0)
        torch.testing.assert_close(prior.mean[joint] * MIRRORED, prior.mean[other])
    assert ((prior.low <= prior.mean) & (prior.mean <= prior.high)).all()


def test_limbs_bend_one_way():
    local = torch.eye(3, dtype=torch.float64).repeat(24, 1, 1)
    straight = hinge_angles(local, rest_offsets())
    for name, axis, way in zip(HINGES, "XXYY", (1, 1, -1, 1), strict=True):
        bent = local.clone()
        bent[SMPL24.index(name)] = about_axis(axis, torch.tensor(way * 0.5, dtype=torch.float64))
        change = hinge_angles(bent, rest_offsets()) - straight
        wanted = torch.zeros(4, dtype=torch.float64)
        wanted[HINGES.index(name)] = 0.5
        torch.testing.assert_close(change, wanted, atol=1e-3, rtol=0)


def test_the_range_of_a_knee_begins_where_the_leg_is_straight():
    offsets = rest_offsets()
    prior = pose_prior(offsets)
    at = [SMPL24.index(name) for name in ("left_knee", "right_knee")]
    overstretched = torch.deg2rad(torch.tensor(2.0, dtype=torch.float64))
    straight = hinge_angles(torch.eye(3, dtype=torch.float64).expand(24, 3, 3), offsets)[:2]
    torch.testing.assert_close(prior.low[at, 0], -straight - overstretched)
    assert prior.hinge.sum() == 4
