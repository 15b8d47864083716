"""Interpolation: the published numbers, and of ours that ends are reached, evenly, on the manifold, either way."""

import pytest
import torch

from model.poses.interpolation import interpolate, interpolate_published, turns_between
from model.poses.projection import project, unit_quaternions
from tests.model.test_pose_ndf import ACTS, some_poses, tiny
from tests.model.test_pose_projection import signs
from tests.published import tensors
from utils.geometry.rotations import axis_angle_to_quaternion, slerp
from utils.run.errors import DataError


@pytest.mark.parametrize("act", ACTS)
def test_published_numbers(golden, act):
    network, record = tiny(golden, act)[0], tensors(golden / "posendf" / f"project_{act}.npz")
    start, end = record["interp_start"][0], record["interp_end"][0]
    found = interpolate_published(network, start, end, 6, 0.25, 0.02, 4)
    torch.testing.assert_close(found.poses, record["interp"], atol=1e-5, rtol=1e-4)
    assert found.distances.shape == (7,)


@pytest.fixture
def network(golden):
    return tiny(golden)[0]


@pytest.fixture
def keys(network) -> torch.Tensor:
    """Three plausible poses, with what is less plausible between the first two."""
    return project(network, some_poses(12, 2), 0.02, 300).poses[[4, 1, 8]]


def test_the_way_between_poses():
    still, turned = torch.zeros(21, 3), torch.zeros(21, 3)
    turned[4, 1], turned[7, 0] = 0.3, 0.4
    one, other = axis_angle_to_quaternion(still), axis_angle_to_quaternion(turned)
    torch.testing.assert_close(turns_between(one, other), torch.tensor(0.5))
    torch.testing.assert_close(turns_between(one, -other), torch.tensor(0.5))


def test_ends_and_keys_are_reached_and_the_way_is_plausible(network, keys):
    for count in (2, 3):
        found = interpolate(network, keys[:count], 20)
        assert len(found.poses) == 21
        assert torch.equal(found.poses[0], keys[0]) and torch.equal(found.poses[-1], keys[count - 1])
        assert any(torch.equal(pose, keys[1]) for pose in found.poses)
        with torch.no_grad():
            torch.testing.assert_close(network(found.poses), found.distances)
            assert found.distances.max() <= 1.5 * network(keys[:count]).max()
    straight = slerp(keys[:1], keys[1:2], torch.linspace(0, 1, 21)[:, None])
    with torch.no_grad():
        assert network(straight).max() > 2 * network(keys[:2]).max(), "the straight way is not plausible"


def test_its_speed_is_even(network, keys):
    found = interpolate(network, keys[:2], 20)
    ways = turns_between(found.poses[:-1], found.poses[1:])
    assert ways.max() <= 1.05 * ways.mean() and ways.min() >= 0.95 * ways.mean()


def test_backwards_it_is_the_same_path(network, keys):
    there, back = interpolate(network, keys, 24), interpolate(network, keys.flip(0), 24)
    assert torch.equal(there.poses, back.poses.flip(0)) and torch.equal(there.distances, back.distances.flip(0))


def test_signs_do_not_matter(network, keys):
    assert torch.equal(interpolate(network, keys, 12).poses, interpolate(network, signs(3) * keys, 12).poses)


def test_parts_get_the_steps_that_their_turns_ask_for(network, keys):
    near = unit_quaternions(slerp(keys[:1], keys[1:2], 0.1))
    found = interpolate(network, torch.cat([keys[:1], near, keys[1:2]]), 20)
    passed = next(step for step, pose in enumerate(found.poses) if torch.equal(pose, near[0]))
    assert passed in (2, 3)


def test_a_pose_to_itself_and_the_shortest_path(network, keys):
    torch.testing.assert_close(interpolate(network, keys[[0, 0]], 3).poses, keys[:1].expand(4, 21, 4))
    assert torch.equal(interpolate(network, keys[:2], 1).poses, keys[:2])


def test_what_is_no_path(network, keys):
    for poses, steps in ((keys[:1], 5), (keys, 1)):
        with pytest.raises(DataError, match="no path"):
            interpolate(network, poses, steps)
