"""Nearest poses: the golden shortlist's distances, exactness against all pairs, and what must change nothing."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from data_loaders.poses import neighbours
from data_loaders.poses.distances import METRICS, WEIGHTS, distance_of, euclidean, geodesic, weighted
from data_loaders.poses.neighbours import build_index, nearest, nearest_of
from tests.published import tensors
from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_normalise


@pytest.fixture
def knn(golden) -> dict[str, torch.Tensor]:
    return tensors(golden / "posendf" / "knn.npz")


def people(count: int, spread: float, seed: int = 0) -> torch.Tensor:
    """Poses [N, 21, 4] around a mean one, `spread` radians wide."""
    rng = np.random.RandomState(seed)
    middle = np.random.RandomState(7).normal(0, 0.3, (1, 21, 3))
    return axis_angle_to_quaternion(torch.from_numpy(middle + rng.normal(0, spread, (count, 21, 3)))).float()


def all_pairs(queries: torch.Tensor, references: torch.Tensor, metric: str = "geodesic") -> torch.Tensor:
    return distance_of(metric)(queries.double()[:, None], references.double()[None])


def test_the_golden_distances(knn):
    pairs = zip(("geo", "geo_weighted", "euc"), (geodesic, weighted, euclidean), strict=True)
    for name, distance in pairs:
        found = distance(knn["query"][:, None], knn["ref"][knn[f"{name}_top5_idx"].long()])
        torch.testing.assert_close(found, knn[f"{name}_top5"], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(torch.tensor(WEIGHTS), knn["joint_weights"], rtol=1e-6, atol=0)
    torch.testing.assert_close(geodesic(knn["query"], knn["src"]), knn["pose_distance_pairs"], rtol=1e-5, atol=1e-7)


def test_the_golden_neighbours_are_exact(knn):
    found, _ = nearest_of(knn["query"], knn["ref"], 5)
    torch.testing.assert_close(found, knn["geo_exact_top5"], rtol=1e-5, atol=1e-7)
    assert (found <= knn["geo_top5"] + 1e-7).all() and (found < knn["geo_top5"] - 1e-4).any(), "the shortlist misses"


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spread", [0.1, 0.6, 3.0])
def test_no_reference_is_nearer_than_those_found(metric, spread):
    """Poses near each other, poses with joints beyond 90 degrees of the mean, and rotations all over the place."""
    references, queries = people(700, spread), people(90, spread * 1.3, 1)
    found, numbers = nearest_of(queries, references, 4, metric)
    truth = all_pairs(queries, references, metric)
    torch.testing.assert_close(found.double(), truth.sort(1)[0][:, :4], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(truth.gather(1, numbers), found.double(), rtol=1e-5, atol=1e-7)
    assert all(len(set(row)) == 4 for row in numbers.tolist())


@pytest.mark.parametrize("metric", ["geodesic", "weighted"])
def test_signs_do_not_matter(metric):
    references, queries = people(300, 0.8), people(40, 0.8, 1)
    flip = torch.where(torch.rand(300, 21, 1, generator=torch.Generator().manual_seed(0)) < 0.5, -1.0, 1.0)
    plain, numbers = nearest_of(queries, references, 3, metric)
    turned, others = nearest_of(-queries, references * flip, 3, metric)
    assert torch.equal(numbers, others)
    torch.testing.assert_close(plain, turned, rtol=1e-6, atol=1e-9)


def test_a_pose_is_found_again_and_is_at_no_distance():
    references = people(500, 0.7)
    found, numbers = nearest_of(references, references, 1)
    assert torch.equal(numbers[:, 0], torch.arange(500)) and found.max() < 1e-12


def test_any_cut_finds_the_same(monkeypatch: pytest.MonkeyPatch):
    index, queries = build_index(people(900, 0.7)), people(301, 0.9, 1)
    whole = nearest(queries, index, 5)
    monkeypatch.setattr(neighbours, "_PAIRS", 7)
    cut = torch.cat([nearest(part, index, 5) for part in queries.split(11)])
    assert torch.equal(whole, cut)


def test_single_precision_finds_the_same(monkeypatch: pytest.MonkeyPatch):
    references, queries = people(400, 0.7), people(60, 0.9, 1)
    half = nearest(queries, build_index(references), 5)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert torch.equal(nearest(queries, build_index(references), 5), half)


def test_few_references():
    references = people(2, 0.5)
    found, numbers = nearest_of(people(3, 0.5, 1), references, 4)
    assert tuple(found.shape) == (3, 4) and torch.equal(numbers[:, 1:], numbers[:, 1:2].expand(-1, 3))
    assert nearest(torch.empty(0, 21, 4), build_index(references), 5).shape == (0, 5)


def test_equal_references_are_all_found():
    pose = people(1, 0.5)
    _, numbers = nearest_of(pose, pose.expand(20, -1, -1), 5)
    assert len(set(numbers[0].tolist())) == 5


def test_distances_are_of_rotations():
    turn = quaternion_normalise(torch.tensor([0.5, 0.0, 0.0, 0.0])[None].expand(21, 4).clone())
    other = turn.clone()
    other[4] = axis_angle_to_quaternion(torch.tensor([0.0, 1.0, 0.0]))
    assert geodesic(turn, other).item() == pytest.approx((1 - np.cos(0.5)) / 21, rel=1e-5)
    assert geodesic(turn, -other).item() == pytest.approx((1 - np.cos(0.5)) / 21, rel=1e-5)
    assert normalize(other, dim=-1).equal(other)
