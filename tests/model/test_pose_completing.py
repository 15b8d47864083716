"""Missing joints: filled as others lead one to expect, what is known kept to the bit, gaps met where they end."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.poses.completing import complete, expected_poses, runs_of_missing
from model.poses.pose_ndf import canonical
from model.poses.statistics import no_statistics, read_statistics, statistics_of, write_statistics
from tests.model.test_pose_ndf import tiny
from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_to_axis_angle
from utils.run.errors import DataError

ARM = [15, 17, 19]


def following(count: int, seed: int = 0) -> torch.Tensor:
    """Poses [N, 21, 4] whose left arm does the opposite of the right."""
    turns = 0.3 * torch.randn(count, 21, 3, generator=torch.Generator().manual_seed(seed)).double()
    turns[:, ARM] = -turns[:, [joint + 1 for joint in ARM]]
    return canonical(axis_angle_to_quaternion(turns)).float()


def without_arm(frames: int, first: int = 0, end: int | None = None) -> torch.Tensor:
    known = torch.ones(frames, 21, dtype=torch.bool)
    known[first:end, ARM] = False
    return known


def degrees(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.rad2deg(2 * (one * other).sum(-1).abs().clamp(max=1).acos()).max())


@pytest.fixture(scope="module")
def network():
    return tiny(Path(__file__).parents[1] / "golden")[0]


def test_what_others_tell_is_found():
    """An arm that always does the opposite of the other is found from it."""
    statistics, poses = statistics_of(following(2000)), following(5, 1)
    broken = poses.clone()
    broken[:, ARM] = torch.tensor([1.0, 0, 0, 0])
    found = expected_poses(statistics, broken, without_arm(5))
    assert degrees(found[:, ARM], poses[:, ARM]) < 12 < 40 < degrees(broken[:, ARM], poses[:, ARM])
    assert torch.equal(found[:, :15], poses[:, :15])


def test_statistics_of_turns():
    poses = following(3000)
    statistics = statistics_of(poses, 1)
    turns = quaternion_to_axis_angle(poses).flatten(1).double()
    torch.testing.assert_close(statistics.covariances[0], turns.T @ turns / 3000, atol=5e-3, rtol=0)
    torch.testing.assert_close(statistics.poses(statistics.turns(poses)).float(), poses, atol=1e-6, rtol=0)


def test_a_gap_is_left_and_met_where_the_joint_is():
    """Whatever a joint is off expectation before and after a gap is carried over it; draws fade towards its ends."""
    statistics = statistics_of(following(500))
    pose = following(1, 3).repeat(30, 1, 1)
    pose[:, ARM] = axis_angle_to_quaternion(torch.tensor([0.8, 0.1, 0.2]).repeat(30, 3, 1))
    known = without_arm(30, 10, 20)
    found = expected_poses(statistics, torch.where(known[..., None], pose, torch.tensor([1.0, 0, 0, 0])), known)
    assert degrees(found, pose) < 0.1, "it is off by as much before as after, so in between"
    drawn = expected_poses(statistics, pose, known, torch.ones(63).double())
    off = torch.rad2deg(2 * (drawn * pose).sum(-1).abs().clamp(max=1).acos())[:, ARM].amax(1)
    assert off[14] > off[10] > 0 and off[15] > off[19] > 0 and off[:10].max() < 0.1


def test_the_known_stays_to_the_bit_and_distances_fall(network):
    poses, known = following(6, 5), without_arm(6, 1, 5)
    known[3, 3] = False
    before = poses.clone()
    moved = complete(network, None, poses, known, 0.0, 20, torch.randn(63).double())
    assert torch.equal(poses, before), "what is handed in is left alone"
    assert torch.equal(moved.poses[known], poses[known])
    assert not torch.equal(moved.poses[~known], poses[~known])
    assert (moved.distances <= moved.history[0]).all() and (moved.distances < moved.history[0]).any()
    assert moved.steps.tolist()[0] == moved.steps.tolist()[5] == 0
    torch.testing.assert_close(moved.poses.norm(dim=-1), torch.ones(6, 21))
    with torch.no_grad():
        torch.testing.assert_close(network(moved.poses), moved.distances)


def test_a_limb_does_not_make_up_for_what_is_known(network):
    """The likeliest answer is the expected pose, however far that is; others come as near."""
    statistics, poses, known = statistics_of(following(500)), following(4, 5), without_arm(4)
    likeliest = complete(network, statistics, poses, known, 0.0, 50)
    expected = expected_poses(statistics, poses, known)
    torch.testing.assert_close(likeliest.poses, expected)
    other = complete(
        network, statistics, poses, known, 0.0, 50, 3 * torch.randn(63, generator=torch.manual_seed(0)).double()
    )
    assert (other.distances <= other.history[0]).all() and not torch.equal(other.poses, expected)


def test_statistics_come_back_from_a_file(tmp_path):
    written, poses = statistics_of(following(1000)), following(5, 1)
    write_statistics(tmp_path / "statistics.npz", written)
    read, known = read_statistics(tmp_path / "statistics.npz"), without_arm(5)
    assert len(read.weights) == 5
    assert degrees(expected_poses(read, poses, known), expected_poses(written, poses, known)) < 0.5
    np.savez(tmp_path / "other.npz", mean=np.zeros(63))
    with pytest.raises(DataError, match="no statistics"):
        read_statistics(tmp_path / "other.npz")


def test_groups_tell_more_than_one_normal_distribution():
    """An arm that is up where the head is turned either way, and down else, is no linear matter."""
    poses = following(4000)
    turned = 0.8 * torch.sign(torch.randn(4000, generator=torch.Generator().manual_seed(3)))
    turned[::2] = 0
    for joint, angle in ((14, turned), (15, turned.abs())):
        poses[:, joint] = axis_angle_to_quaternion(torch.stack([torch.zeros(4000), angle, torch.zeros(4000)], 1))
    known = torch.ones(4000, 21, dtype=torch.bool)
    known[:, 15] = False
    found = [expected_poses(statistics_of(poses, groups), poses, known) for groups in (1, 20)]
    off = [float((1 - (each * poses).sum(-1).abs()).mean()) for each in found]
    assert off[1] < 0.5 * off[0]


def test_drawn_poses_are_like_those_of_the_statistics():
    statistics = statistics_of(following(2000))
    draws = torch.Generator().manual_seed(0)
    drawn = statistics.drawn(torch.rand(500, generator=draws), torch.randn(500, 63, generator=draws))
    torch.testing.assert_close(drawn.norm(dim=-1), torch.ones(500, 21))
    turns = quaternion_to_axis_angle(drawn)
    assert 0.15 < float(turns.std()) < 0.3, "nearer to the mean than real ones are"
    assert float((turns[:, ARM] + turns[:, [joint + 1 for joint in ARM]]).abs().mean()) < 0.05


def test_answers_differ(network):
    poses, known = following(2, 5), without_arm(2)
    draws = [torch.randn(63, generator=torch.Generator().manual_seed(seed)).double() for seed in (0, 1)]
    found = [complete(network, statistics_of(following(500)), poses, known, 1.0, 5, draw).poses for draw in draws]
    assert degrees(found[0], found[1]) > 0.5


def test_runs():
    known = torch.ones(8, 21, dtype=torch.bool)
    known[2:4, 1] = known[4:6, 2] = known[7, 0] = False
    assert runs_of_missing(known) == [slice(2, 4), slice(4, 6), slice(7, 8)]
    assert runs_of_missing(torch.ones(3, 21, dtype=torch.bool)) == []


def test_what_is_refused(network):
    known = torch.ones(3, 21, dtype=torch.bool)
    known[1] = False
    with pytest.raises(DataError, match="frame 1 has no joint"):
        complete(network, None, following(3), known, 0.1, 5)
    with pytest.raises(DataError, match="two or more"):
        statistics_of(following(1))
    assert np.isfinite(no_statistics().covariances.numpy()).all()
