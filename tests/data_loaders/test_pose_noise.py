"""Noise of poses: the golden published rule, a draw by row, and how far each kind goes."""

import numpy as np
import pytest
import torch

from data_loaders.poses.distances import geodesic
from data_loaders.poses.noise import KINDS, LEVELS, drawn, perturbed, turned
from tests.data_loaders.test_pose_neighbours import people
from tests.published import tensors
from utils.geometry.rotations import quaternion_conjugate, quaternion_multiply, quaternion_to_axis_angle


def test_the_golden_rule_of_published_noise(golden, monkeypatch: pytest.MonkeyPatch):
    """q + sigma U with one draw a level, unit length, w >= 0."""
    knn = tensors(golden / "posendf" / "knn.npz")
    tables = {f"{level:g}": noise.numpy() for level, noise in zip(knn["sigma"], knn["noise_uniform"], strict=True)}

    class Table:
        def __init__(self, *key):
            self.level = key[-1]

        def random_sample(self, shape):
            return tables[self.level].reshape(shape)

    monkeypatch.setattr("data_loaders.poses.noise.numpy_rng", Table)
    levels = knn["sigma"].repeat_interleave(4)
    found = perturbed(knn["src"], levels, "published", np.arange(20), 0)
    torch.testing.assert_close(found, knn["query"], rtol=1e-5, atol=1e-6)


def test_the_golden_rule_of_gaussian_noise(golden, monkeypatch: pytest.MonkeyPatch):
    packed = tensors(golden / "posendf" / "perturb.npz")
    noise = packed["gaussian_noise_times_magnitude"].flatten(1).numpy()
    monkeypatch.setattr("data_loaders.poses.noise.drawn", lambda count, rows, *key: noise)
    found = perturbed(packed["quat_clean"], torch.ones(5), "gaussian", np.arange(5), 0)
    torch.testing.assert_close(found, packed["quat_noisy"])
    torch.testing.assert_close(geodesic(found, packed["quat_clean"]), packed["pose_distance"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_the_same_however_it_is_cut(kind):
    poses, rows = people(600, 0.5), np.arange(600)
    levels = torch.tensor(LEVELS)[torch.from_numpy(rows) % len(LEVELS)]
    whole = perturbed(poses, levels, kind, rows, 3, "clip")
    parts = [slice(0, 7), slice(7, 300), slice(300, 600)]
    cut = torch.cat([perturbed(poses[part], levels[part], kind, rows[part], 3, "clip") for part in parts])
    assert torch.equal(whole, cut)
    assert not torch.equal(whole, perturbed(poses, levels, kind, rows, 4, "clip"))
    assert (whole[..., 0] >= 0).all() and (whole.norm(dim=-1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_level_zero_changes_nothing(kind):
    poses = people(5, 0.5)
    upper = torch.where(poses[..., :1] < 0, -poses, poses)
    found = perturbed(-poses, torch.zeros(5), kind, np.arange(5), 0)
    torch.testing.assert_close(found, upper, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["gaussian", "tangent"])
def test_noise_has_no_side_and_its_size(kind):
    """Of deviation 0.05 in the quaternion: turns of 0.1 radians about each axis, their mean nothing."""
    poses = people(1500, 0.5)
    found = perturbed(poses, torch.full((1500,), 0.05), kind, np.arange(1500), 0)
    turns = quaternion_to_axis_angle(quaternion_multiply(quaternion_conjugate(poses), found))
    assert turns.std().item() == pytest.approx(0.1, rel=0.03) and turns.mean((0, 1)).abs().max() < 2e-3


def test_turned_joints_turn_by_the_angle():
    poses, rows = people(400, 0.5), np.arange(400)
    found = turned(poses, 0.25, rows, 0)
    angle = quaternion_to_axis_angle(quaternion_multiply(quaternion_conjugate(poses), found)).norm(dim=-1)
    moved = angle > 0.01
    torch.testing.assert_close(angle[moved], torch.full((int(moved.sum()),), 0.25), rtol=1e-3, atol=1e-4)
    assert moved.any(1).all() and moved.float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert torch.equal(turned(poses[100:], 0.25, rows[100:], 0), found[100:])


def test_draws_are_those_asked_for():
    assert drawn(3, np.array([], int), 0).shape == (0, 3)
    normal, uniform = drawn(50, np.arange(400), 0), drawn(50, np.arange(400), 0, normal=False)
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.03
    assert uniform.min() >= 0 and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.01
