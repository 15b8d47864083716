"""The evaluator's network: the published numbers and names, what it does not look at, and its divergence."""

import dataclasses

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from model.evaluators import motion_vae
from model.evaluators.motion_vae import MotionVAE, from_published, to_published
from model.options import EvaluatorOptions
from tests.published import frames_first, tensors
from train.tasks.evaluator import KL_WEIGHT
from utils.run import checkpoint
from utils.run.errors import DataError, UsageError

SMALL = EvaluatorOptions(e_num_layers=2, e_latent_dim=32, e_num_heads=2, e_ff_size=64)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.fixture
def record(golden):
    return tensors(golden / "mas" / "evaluator.npz")


@pytest.fixture
def network(golden) -> MotionVAE:
    made = MotionVAE(32, SMALL).eval()
    made.load_state_dict(from_published(tensors(golden / "mas" / "weights" / "w_vae_nba.npz")))
    return made


def test_published_numbers(network, record):
    """Of padded clips too, whose frames beyond the end are made as well."""
    motion, lengths = frames_first(record["motion"]), record["lengths"]
    mu, logvar = network.encoder(motion, lengths)
    close(mu, record["mu"])
    close(logvar, record["logvar"])
    close(network.decoder(record["latent"], motion.shape[1], lengths), frames_first(record["decoded"]))
    made, mu, logvar = network(motion, lengths, record["eps"])
    close(made, frames_first(record["recon"]))
    mse, kl = (made - motion).square().mean(), motion_vae.kl_divergence(mu, logvar).sum()
    torch.testing.assert_close(mse, record["mse"][0], atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(kl, record["kl"][0], atol=0, rtol=1e-6)
    torch.testing.assert_close(mse + KL_WEIGHT * kl, record["loss"][0], atol=1e-5, rtol=0)


def test_a_published_file_is_read_and_written_whole(shared):
    """Its strict loading wants every name that it writes, the positional tables among them."""
    theirs = checkpoint.load(shared / "golden" / "mas" / "cli_eval" / "evaluator" / "checkpoint_5.pth")["model"]
    options = dataclasses.replace(SMALL, e_latent_dim=8, e_ff_size=16)
    network = MotionVAE(32, options)
    network.load_state_dict(from_published(theirs))
    written = to_published(network.state_dict())
    assert set(written) == set(theirs)
    for name, value in theirs.items():
        torch.testing.assert_close(written[name], value, atol=5e-4 if name.endswith(".pe") else 0, rtol=0)
    one, other = (written[name] for name in motion_vae.TABLES)
    assert one.data_ptr() == other.data_ptr() and tuple(one.shape) == (5000, 1, 8)


def test_an_optimiser_state_fits_by_position(shared):
    """Parameters stand in the published order, which an optimiser's state goes by."""
    theirs = checkpoint.load(shared / "golden" / "mas" / "cli_eval" / "evaluator" / "checkpoint_5.pth")["model"]
    network = MotionVAE(32, dataclasses.replace(SMALL, e_latent_dim=8, e_ff_size=16))
    names = [name for name, _ in network.named_parameters()]
    assert names == list(from_published(theirs))


def test_what_lies_beyond_the_end_is_not_looked_at(network, record):
    motion, lengths = frames_first(record["motion"]), record["lengths"]
    other = motion.clone()
    other[1, lengths[1] :], other[2, lengths[2] :] = 7.0, -3.0
    for one, same in zip(network.encoder(motion, lengths), network.encoder(other, lengths), strict=True):
        close(one, same)
    assert (network.encoder(other, None)[0] - network.encoder(motion, None)[0])[1:].abs().max() > 0.1
    alone = network.encoder(motion[2:, : lengths[2]], None)[0]
    close(alone, network.encoder(motion, lengths)[0][2:])


def test_dropout_is_for_training_only(network, record):
    motion, lengths = frames_first(record["motion"]), record["lengths"]
    network.train()
    found = [network(motion, lengths, record["eps"])[0] for _ in range(2)]
    assert not torch.equal(*found)
    network.eval()
    assert torch.equal(*(network(motion, lengths, record["eps"])[0] for _ in range(2)))


def test_divergence_is_that_of_normal_distributions():
    mu, logvar = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(motion_vae.kl_divergence(mu, logvar), expected)
    assert motion_vae.kl_divergence(torch.zeros(1, 6), torch.zeros(1, 6)).item() == 0


def test_the_latent_is_mean_and_deviation_times_noise(network, record):
    motion, lengths = frames_first(record["motion"]), record["lengths"]
    made, mu, logvar = network(motion, lengths, torch.zeros_like(record["eps"]))
    close(made, network.decoder(mu, motion.shape[1], lengths))
    made, *_ = network(motion, lengths, record["eps"])
    close(made, network.decoder(mu + record["eps"] * (logvar / 2).exp(), motion.shape[1], lengths))


def test_what_does_not_fit_is_refused():
    for width, heads in ((9, 3), (10, 4)):
        with pytest.raises(UsageError, match=f"--e_latent_dim {width} is not even and a multiple of --e_num_heads"):
            MotionVAE(32, dataclasses.replace(SMALL, e_latent_dim=width, e_num_heads=heads))
    with pytest.raises(DataError, match="embed_step.0.weight, which belongs to no published evaluator"):
        from_published({"embed_step.0.weight": torch.zeros(1)})
