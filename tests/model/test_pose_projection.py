"""Projection: the published numbers, the laws of ours, and what may go wrong."""

import pytest
import torch
from torch import nn

from model.poses.pose_ndf import canonical
from model.poses.projection import geodesic_step, project, published_step, unit_quaternions
from tests.model.test_pose_ndf import ACTS, some_poses, tiny
from tests.published import tensors
from utils.run.errors import DataError, NumericError


def signs(count: int) -> torch.Tensor:
    """A sign for each joint of each pose [N, 21, 1]."""
    return torch.where(torch.rand(count, 21, 1, generator=torch.Generator().manual_seed(5)) < 0.5, -1.0, 1.0)


@pytest.mark.parametrize("act", ACTS)
def test_published_steps(golden, act):
    """Each of twelve, from poses of which one has the other sign."""
    network, record = tiny(golden, act)[0], tensors(golden / "posendf" / f"project_{act}.npz")
    found = project(network, record["start"], 0.0, 11, "published", keep=True)
    torch.testing.assert_close(found.path, record["steps"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.history, record["dists"], atol=0, rtol=1e-4)


@pytest.mark.parametrize("act", ACTS)
def test_published_ends(golden, act):
    """It takes one step more than it is asked for, as the published program does."""
    network, record = tiny(golden, act)[0], tensors(golden / "posendf" / f"project_{act}.npz")
    found = project(network, record["start"], float(record["thr"]), 30, "published")
    torch.testing.assert_close(found.poses, record["final_thr"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.distances, record["final_dist"], atol=0, rtol=1e-4)
    assert (found.steps == int(record["steps_run_thr_max30"])).all()
    found = project(network, record["start"], 0.001, 3, "published")
    torch.testing.assert_close(found.poses, record["final_max3"], atol=1e-5, rtol=1e-4)
    assert (found.steps == int(record["steps_run_max3"])).all()


def test_a_published_step_changes_nothing_that_it_is_given(golden):
    network, record = tiny(golden)[0], tensors(golden / "posendf" / "project_softplus.npz")
    before = record["start"].clone()
    for rule in ("published", "geodesic"):
        project(network, record["start"], 0.0, 3, rule)
    assert torch.equal(record["start"], before)


@pytest.mark.parametrize("act", ACTS)
def test_the_distance_never_rises_and_each_pose_stops_by_itself(golden, act):
    network, poses = tiny(golden, act)[0], some_poses(32)
    found = project(network, poses, 0.05, 40, keep=True)
    assert (found.history.diff(dim=0) <= 0).all()
    assert (found.history[-1] == found.distances).all() and (found.distances < 0.05).float().mean() > 0.9
    near = found.history < 0.05
    assert found.path is not None
    for pose in range(len(poses)):
        still = found.path[near[:, pose], pose]
        assert (still == still[:1]).all(), "a pose that is near enough moves no more"
    assert int(found.steps.max()) <= 40 and len(found.history) <= 41
    torch.testing.assert_close(found.poses.norm(dim=-1), torch.ones(32, 21), atol=1e-6, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(network(found.poses), found.distances)


def test_a_pose_is_projected_the_same_beside_others(golden):
    network, poses = tiny(golden)[0], some_poses(6)
    together = project(network, poses, 0.05, 30)
    alone = torch.cat([project(network, pose[None], 0.05, 30).poses for pose in poses])
    torch.testing.assert_close(alone, together.poses, atol=1e-4, rtol=0)


def test_poses_that_are_near_enough_are_left_to_the_bit(golden):
    network, poses = tiny(golden)[0], unit_quaternions(some_poses(4))
    found = project(network, poses, 10.0)
    assert torch.equal(found.poses, poses) and not found.steps.any() and found.asked == 4


@pytest.mark.parametrize("rule", ["published", "geodesic"])
def test_signs_do_not_matter(golden, rule):
    network, poses = tiny(golden)[0], some_poses(8)
    one, other = project(network, poses, 0.05, 20, rule), project(network, signs(8) * poses, 0.05, 20, rule)
    assert torch.equal(one.poses, other.poses) and (one.poses[..., 0] >= 0).all()


def test_less_asked_of_the_network_for_no_larger_change(golden):
    network, poses = tiny(golden)[0], unit_quaternions(some_poses(64))
    ours, theirs = (project(network, poses, 0.03, 2000, rule) for rule in ("geodesic", "published"))
    assert (theirs.distances < 0.03).all() and (ours.distances < 0.03).all()
    assert 4 * ours.asked <= theirs.asked and 2 * len(ours.history) <= len(theirs.history)
    change = [(2 * (found.poses * poses).sum(-1).abs().clamp(max=1).acos()).mean() for found in (ours, theirs)]
    assert change[0] <= change[1]


def test_joints_slide_along_half_turns(golden):
    """Where the quaternion of the same rotation that the network reads is another one, the distance jumps."""
    network, poses = tiny(golden)[0], unit_quaternions(some_poses(64))
    found = project(network, poses, 0.03, 2000, keep=True)
    assert found.path is not None and found.path[..., 0].min() < 1e-3, "none of them comes near a half turn"
    assert (found.distances < 0.03).all()


def test_the_geodesic_step_turns_by_what_it_is_told():
    poses = unit_quaternions(some_poses(3))
    velocity = torch.randn(3, 21, 4, generator=torch.Generator().manual_seed(1))
    velocity -= (velocity * poses).sum(-1, keepdim=True) * poses
    velocity *= 0.3 / velocity.norm(dim=-1, keepdim=True)
    moved = geodesic_step(poses, velocity)
    torch.testing.assert_close((moved * poses).sum(-1).abs().acos(), torch.full((3, 21), 0.3), atol=1e-3, rtol=0)
    assert ((canonical(moved) - poses) * velocity).sum() > 0
    torch.testing.assert_close(geodesic_step(poses, torch.zeros_like(poses)), poses)


class Told(nn.Module):
    """A network that says what a function of the poses says."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, poses: torch.Tensor) -> torch.Tensor:
        return self.function(canonical(poses))


def test_a_network_that_says_nan_ends_it():
    damaged = Told(lambda poses: poses.flatten(1).sum(1) * torch.nan)
    for rule in ("published", "geodesic"):
        with pytest.raises(NumericError, match="nan of pose 0"):
            project(damaged, some_poses(2), rule=rule)
    here_and_there = Told(lambda poses: torch.where(poses[:, 0, 0] < 0.9, poses[:, 0, 0], torch.nan) + 1)
    found = project(here_and_there, unit_quaternions(torch.tensor([[[0.5, 0.5, 0.5, 0.5]] * 21])))
    assert found.distances.isfinite().all() and found.poses.isfinite().all()


def test_it_ends_where_nothing_gets_lower():
    """At a plateau, and on a slope that leads nowhere, long before the last step."""
    for function in (lambda poses: 0 * poses.sum((1, 2)) + 1, lambda poses: 1 + poses[:, :, 1].square().sum(1)):
        found = project(Told(function), some_poses(3))
        assert (found.distances >= 1).all() and len(found.history) < 100


@pytest.mark.parametrize(
    ("poses", "said"),
    [
        (torch.zeros(2, 21, 4), "joint 0 of pose 0 is no rotation: its quaternion is 0 long"),
        (2 * unit_quaternions(some_poses(1)), "is 2 long"),
        (torch.full((1, 21, 4), torch.nan), "is nan long"),
        (torch.ones(2, 22, 4), r"\[2, 22, 4\]"),
        (torch.ones(21, 4), r"\[21, 4\]"),
    ],
)
def test_what_is_no_pose(golden, poses, said):
    with pytest.raises(DataError, match=said):
        project(tiny(golden)[0], poses)


def test_a_published_step_by_hand():
    poses = torch.zeros(1, 21, 4)
    poses[..., 0] = 1
    gradient = torch.zeros(1, 21, 4)
    gradient[0, 3] = torch.tensor((0.0, 3.0, 0.0, 4.0))
    moved = published_step(poses, torch.tensor([0.5]), gradient)
    expected = torch.tensor((1.0, -0.3, 0.0, -0.4)) / 1.25**0.5
    torch.testing.assert_close(moved[0, 3], expected)
    assert torch.equal(moved[0, 4], poses[0, 4])
