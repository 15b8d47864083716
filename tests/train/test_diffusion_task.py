"""What a diffusion model is trained on: which steps, and noise on sentences."""

import torch

from train.tasks.diffusion import NOISIEST, noisy_text, steps_of


def generator(seed: int = 4) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_steps_are_uniform_as_published():
    assert torch.equal(steps_of(50, 64, 0.0, generator()), torch.randint(50, (64,), generator=generator()))


def test_a_share_of_the_steps_is_among_the_noisiest():
    steps = steps_of(50, 20_000, 0.6, generator())
    counts = torch.bincount(steps, minlength=50) / len(steps)
    assert round(NOISIEST * 50) == 6
    torch.testing.assert_close(counts[44:], torch.full((6,), 0.1 + 0.4 / 50), atol=0.01, rtol=0)
    torch.testing.assert_close(counts[:44], torch.full((44,), 0.4 / 50), atol=0.004, rtol=0)
    assert set(steps_of(5, 100, 1.0, generator()).tolist()) == {4}


def test_noise_keeps_the_length_of_a_vector():
    text = torch.randn(3, 1, 16, generator=generator())
    noisy = noisy_text(text, 0.6, generator(5))
    torch.testing.assert_close(noisy.norm(dim=-1), text.norm(dim=-1))
    assert (noisy - text).abs().max() > 0.1
