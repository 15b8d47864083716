"""Training of an evaluator: the published loss, what counts in ours, and that neither parts nor ranks change it."""

import pytest
import torch

from data_loaders.points import projections
from data_loaders.points.upright import upright
from model.evaluators.motion_vae import MotionVAE, from_published
from model.options import EvaluatorOptions
from tests.people import SPEC, moving, record, write_folder
from tests.published import flat, tensors
from train.tasks.evaluator import KL_WEIGHT, EvaluatorTask

SMALL = EvaluatorOptions(e_num_layers=2, e_latent_dim=32, e_num_heads=2, e_ff_size=64)


@pytest.fixture
def network(golden) -> MotionVAE:
    made = MotionVAE(32, SMALL).eval()
    made.load_state_dict(from_published(tensors(golden / "mas" / "weights" / "w_vae_nba.npz")))
    return made


@pytest.fixture
def batch(golden) -> dict[str, torch.Tensor]:
    packed = tensors(golden / "mas" / "evaluator.npz")
    return {"motion": flat(packed["motion"]), "lengths": packed["lengths"], "noise": packed["eps"]}


def test_the_published_loss_counts_padding(network, batch, golden):
    packed = tensors(golden / "mas" / "evaluator.npz")
    found = EvaluatorTask(None, 3, 0, 32, counts_padding=True).loss(network, batch)
    for name in ("mse", "kl", "loss"):
        torch.testing.assert_close(found[name], packed[name][0], atol=1e-5, rtol=1e-6)


def test_ours_does_not(network, batch):
    task, published = (EvaluatorTask(None, 3, 0, 32, counts_padding=counts) for counts in (False, True))
    made, *_ = network(batch["motion"].flatten(2), batch["lengths"], batch["noise"])
    squared = (made.view_as(batch["motion"]) - batch["motion"]).square()
    own = [squared[i, :length].mean() for i, length in enumerate(batch["lengths"].tolist())]
    found = task.loss(network, batch)
    torch.testing.assert_close(found["mse"], torch.stack(own).mean())
    torch.testing.assert_close(found["loss"], found["mse"] + KL_WEIGHT * found["kl"])
    other = batch | {"motion": batch["motion"].clone()}
    other["motion"][2, batch["lengths"][2] :] += 5
    torch.testing.assert_close(task.loss(network, other)["loss"], found["loss"])
    assert published.loss(network, other)["loss"] > published.loss(network, batch)["loss"] + 1


@pytest.mark.parametrize("counts", [False, True])
def test_parts_of_a_batch_add_up_to_it(counts, network, batch):
    task = EvaluatorTask(None, 3, 0, 32, counts_padding=counts)
    whole = task.loss(network, batch)
    parts = [slice(0, 1), slice(1, 3)]
    found = [task.loss(network, {name: value[rows] for name, value in batch.items()}) for rows in parts]
    for name, value in whole.items():
        torch.testing.assert_close(found[0][name] / 3 + found[1][name] * 2 / 3, value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("truth", ["2d", "3d"])
def test_a_step_has_its_own_batch(truth, tmp_path):
    """The same for the same step and seed, cut to its longest clip, zero beyond each one's end."""
    options = write_folder(tmp_path / "data", [(moving(60 + 30 * i, i), record(f"c{i}")) for i in range(4)])
    dataset = projections.load(SPEC, options)
    dataset = upright(dataset) if truth == "3d" else dataset
    task = EvaluatorTask(dataset, 3, 7, 16)
    one, same, other = task.batch(0), task.batch(0), task.batch(1)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["noise"], other["noise"]) and tuple(one["noise"].shape) == (3, 16)
    assert one["motion"].shape == (3, int(one["lengths"].max()), 16, 2 if truth == "2d" else 3)
    assert len(set(one["lengths"].tolist())) > 1
    for motion, length in zip(one["motion"], one["lengths"], strict=True):
        assert not motion[length:].any() and motion[:length].abs().sum((1, 2)).all()
    again = EvaluatorTask(dataset, 3, 8, 16).batch(0)
    assert not torch.equal(one["noise"], again["noise"])
