"""Training of a pose prior: golden terms and updates, the right slope, batches by the step, dead networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_loaders.poses.dataset import PosePairs
from data_loaders.poses.distances import geodesic
from data_loaders.poses.folder import Pairs
from data_loaders.poses.neighbours import nearest_of
from data_loaders.poses.noise import LEVELS, perturbed
from model.options import PoseNDFOptions
from model.poses.pose_ndf import PoseNDF
from tests.data_loaders.test_pose_neighbours import people
from tests.published import tensors
from train.options import PoseLossOptions
from train.tasks.poses import PoseTask, auc, correlation, eikonal, measure, slope_of, terms
from utils.run.errors import NumericError

PUBLISHED = PoseLossOptions(man_loss=1.0, eikonal=1.0, eikonal_form="published")


def golden_network(golden, act: str) -> PoseNDF:
    packed = tensors(golden / "posendf" / f"net_{act}.npz")
    network = PoseNDF(PoseNDFOptions(dims="32,16", act=act, parents="published"))
    network.load_state_dict({name[2:]: value for name, value in packed.items() if name.startswith("w/")})
    return network


def golden_batch(record: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    poses = record["pose"]
    return {"pose": poses, "distance": record["dist_gt"], "nearest": poses[:, None], "manifold": record["man_poses"]}


def dataset(count: int = 240, seed: int = 0) -> PosePairs:
    """Pairs of made-up people at all levels, with their nearest among 150."""
    real = people(150, 0.4, seed)
    rows = np.arange(count)
    levels = torch.tensor(LEVELS)[torch.from_numpy(rows) % len(LEVELS)]
    poses = perturbed(real[rows % 150], levels, "gaussian", rows, seed)
    distances, numbers = nearest_of(poses, real, 3)
    return PosePairs(Pairs(poses, distances, real[numbers], levels), real)


@pytest.mark.parametrize("act", ["softplus", "lrelu"])
def test_the_golden_terms_and_gradients(act, golden):
    record, network = tensors(golden / "posendf" / f"losses_{act}.npz"), golden_network(golden, act)
    for kind in ("l1", "l2"):
        found = terms(network, golden_batch(record), replace(PUBLISHED, loss_type=kind))
        for name, key in (("dist", "dist"), ("man", "man_loss"), ("eikonal", "eikonal")):
            torch.testing.assert_close(found[name].double(), record[f"{kind}_{key}"].double(), rtol=1e-5, atol=1e-9)
    PoseTask(dataset(), 4, 0, PUBLISHED).loss(network, golden_batch(record))["loss"].backward()
    for name, key in (("dfnet.lin0.weight", "lin0"), ("enc.net.3.net.0.weight", "enc3")):
        gradient = network.get_parameter(name).grad
        torch.testing.assert_close(gradient, record[f"grad_total_{key}_w"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("act", ["softplus", "lrelu"])
def test_six_golden_updates(act, golden):
    """With the published optimiser, Adam of rate 1e-3 and decay 1e-4 in the gradient."""
    record, network = tensors(golden / "posendf" / f"losses_{act}.npz"), golden_network(golden, act)
    task, batch = PoseTask(dataset(), 4, 0, PUBLISHED), golden_batch(record)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-4)
    for wanted in record["adam_history_total_dist_man_eik"]:
        optimizer.zero_grad()
        found = task.loss(network, batch)
        said = torch.stack([found[name] for name in ("loss", "dist", "man", "eikonal")])
        torch.testing.assert_close(said.double(), wanted.double(), rtol=1e-4, atol=1e-7)
        found["loss"].backward()
        optimizer.step()


def test_terms_of_weight_nothing_are_left_out(golden):
    record, network = tensors(golden / "posendf" / "losses_softplus.npz"), golden_network(golden, "softplus")
    for name, option in (("dist", "dist"), ("man", "man_loss"), ("eikonal", "eikonal")):
        none = replace(PUBLISHED, dist=0.0, man_loss=0.0, eikonal=0.0)
        found = PoseTask(dataset(), 4, 0, replace(none, **{option: 2.0})).loss(network, golden_batch(record))
        assert set(found) == {"loss", name}
        torch.testing.assert_close(found["loss"], 2 * found[name])


@pytest.mark.parametrize("k", [1, 3])
def test_the_slope_is_that_of_the_distance(k):
    """By finite differences along the spheres."""
    pairs = dataset().pairs
    poses, nearest = pairs.poses[1:40:6].double(), pairs.nearest[1:40:6, :k].double()

    def distance(of: torch.Tensor) -> torch.Tensor:
        return geodesic(torch.nn.functional.normalize(of, dim=-1)[:, None], nearest).mean(1)

    direction = torch.randn(poses.shape, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    direction -= (direction * poses).sum(-1, keepdim=True) * poses
    step = 1e-5
    finite = (distance(poses + step * direction) - distance(poses - step * direction)) / (2 * step)
    torch.testing.assert_close((slope_of(poses, nearest) * direction).sum((1, 2)), finite, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(slope_of(poses, -nearest), slope_of(poses, nearest))


def test_the_right_terms_vanish_for_the_true_distance():
    pairs = dataset().pairs
    poses = pairs.poses[3::6].clone().requires_grad_()
    nearest = pairs.nearest[3::6, :1]
    gradient = torch.autograd.grad(geodesic(poses[:, None], nearest).sum(), poses)[0]
    for form in ("slope", "direction"):
        assert eikonal(gradient, poses, nearest, form) < 1e-10
        assert eikonal(2 * gradient, poses, nearest, form) > 1e-3
    assert eikonal(gradient, poses, nearest, "published") > 0.5, "which the published form does not"
    assert eikonal(-gradient, poses, nearest, "slope") < 1e-10 < eikonal(-gradient, poses, nearest, "direction")
    inward = gradient + 0.3 * poses
    assert eikonal(inward, poses, nearest, "direction") < 1e-10, "only what lies along the rotations counts"


def test_a_step_has_its_own_batch():
    task = PoseTask(dataset(), 32, 7, PoseLossOptions())
    one, same, other = task.batch(3), task.batch(3), task.batch(4)
    assert all(torch.equal(one[name], same[name]) and not torch.equal(one[name], other[name]) for name in one)
    assert {len(value) for value in one.values()} == {32}
    assert not torch.equal(PoseTask(dataset(), 32, 8, PoseLossOptions()).batch(3)["pose"], one["pose"])


def test_how_many_neighbours_count():
    pairs = dataset().pairs
    for neighbours, k in ((0, 3), (1, 1), (2, 2)):
        batch = PoseTask(PosePairs(pairs, pairs.poses), 240, 0, PoseLossOptions(neighbours=neighbours)).batch(0)
        assert batch["nearest"].shape[1] == k
        expected = geodesic(batch["pose"][:, None], batch["nearest"]).mean(1)
        torch.testing.assert_close(batch["distance"], expected, rtol=1e-4, atol=1e-6)


def test_a_dead_network_is_said_to_be_dead():
    network = PoseNDF(PoseNDFOptions(dims="16", act="lrelu"))
    torch.nn.init.zeros_(network.dfnet.get_submodule("lin1").get_parameter("weight"))
    torch.nn.init.constant_(network.dfnet.get_submodule("lin1").get_parameter("bias"), -1.0)
    task = PoseTask(dataset(), 16, 0, PoseLossOptions())
    with pytest.raises(NumericError, match="says about 0 for every pose"):
        task.loss(network, task.batch(0))
    with torch.no_grad():  # softplus never says 0 quite
        soft = PoseNDF(PoseNDFOptions(dims="16", act="softplus"))
        soft.dfnet.get_submodule("lin1").get_parameter("weight").zero_()
        soft.dfnet.get_submodule("lin1").get_parameter("bias").fill_(-1.0)
    with pytest.raises(NumericError, match="says about 0 for every pose"):
        task.loss(soft, task.batch(0))
    torch.nn.init.constant_(network.dfnet.get_submodule("lin1").get_parameter("bias"), 0.1)
    assert task.loss(network, task.batch(0))["loss"] > 0


def test_correlation_and_auc_are_the_known_ones():
    rng = np.random.RandomState(0)
    one, other = rng.normal(size=50), rng.normal(size=40) + 0.7
    pairs = (one[:, None] < other[None]).mean() + (one[:, None] == other[None]).mean() / 2
    assert auc(torch.from_numpy(one), torch.from_numpy(other)) == pytest.approx(pairs)
    assert auc(torch.zeros(5), torch.zeros(7)) == 0.5
    assert auc(torch.zeros(5), torch.ones(7)) == 1.0
    more = one + rng.normal(size=50)
    found = correlation(torch.from_numpy(one), torch.from_numpy(more))
    assert found == pytest.approx(np.corrcoef(one, more)[0, 1])
    assert correlation(torch.ones(3), torch.arange(3.0)) == 0


def test_a_perfect_network_measures_so():
    held_out = dataset()

    class True_(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.nothing = torch.nn.Parameter(torch.zeros(1))

        def forward(self, poses: torch.Tensor) -> torch.Tensor:
            return nearest_of(poses, held_out.manifold, 1)[0][:, 0]

    found, table = measure(True_(), held_out, 1, 0)
    assert found["correlation"] > 0.99999 and found["error"] < 1e-6 and found["clean"] < 1e-6
    assert found["auc_0.1"] == found["auc_0.5"] == found["pair_0.25"] == 1.0
    assert len(table) == 1 + len(LEVELS) and table[1].split()[:2] == ["0", "40"]
