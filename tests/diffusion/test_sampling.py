"""The sampling loop against the published loops with their recorded draws, and a statistical law."""

import numpy as np
import pytest
import torch

from diffusion.noise import per_sample, published_normal, recorded
from diffusion.process import build_process
from diffusion.projectors import keyframes
from diffusion.samplers import ddim, ddpm
from diffusion.sampling import sample
from tests.published import flat, tensors, tiny_denoiser


@pytest.fixture(scope="module")
def loops(golden):
    return tensors(golden / "mas" / "sampling_loops.npz")


@pytest.fixture(scope="module")
def network(golden):
    return tiny_denoiser(golden)


def run(
    network, loops, case, kept=None, schedule="cosine_tau_2", step=ddpm, project=None, epsilon=False, skip=0, **options
):
    """One of the published loops, which go down to t = 0, on its recorded draws."""
    process = build_process(schedule, 20, kept)
    draws = [flat(draw) for draw in loops.get(f"{case}/draws", loops["draws"])]
    if case == "p_const_noise":
        draws = [draws[0]] + [draw[:1].expand_as(draw) for draw in draws[1:]]
    noise = recorded(draws[1:])
    lengths = loops["lengths"]

    @torch.no_grad()
    def denoise(x, t):
        step_of_network = torch.full((len(x),), int(process.timestep_map[t]))
        output = network(x.flatten(2), step_of_network, {"lengths": lengths}).view_as(x)
        return process.x0_from_noise(x, t, output) if epsilon else output

    first = draws[0]
    steps = process.steps - skip
    if skip:
        start = torch.full((2,), steps - 1)
        first = process.q_sample(flat(loops["init_image"]), start, draws[0])
    out = sample(
        denoise,
        lambda x0, x, t: step(process, x0, x, t, noise, **options),
        first,
        steps,
        0,
        project or (lambda x0, _: x0),
    )
    return out, flat(loops[f"{case}/out"])


CASES = {
    "p_xstart": {},
    "p_xstart_clip": {"project": lambda x0, _: x0.clamp(-1, 1)},
    "p_large": {"sigma_small": False},
    "p_respaced10": {"kept": [10]},
    "ddim_eta0": {"step": ddim},
    "ddim_eta0.5": {"step": ddim, "eta": 0.5},
    "ddim_respaced10_eta0": {"step": ddim, "kept": [10]},
    "p_const_noise": {},
    "p_init_skip5": {"skip": 5},
}


@pytest.mark.parametrize("case", CASES)
def test_loop(network, loops, case):
    out, expected = run(network, loops, case, **CASES[case])
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=0)


def test_inpainting_is_a_projection(network, loops):
    known, mask = flat(loops["inpainted_motion"]), flat(loops["inpainting_mask"])
    out, expected = run(network, loops, "p_inpaint", project=keyframes(known, mask))
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=0)
    assert torch.equal(out[mask], known[mask])


def test_network_that_predicts_noise(network, loops):
    out, expected = run(network, loops, "p_eps_cosine", schedule="cosine", epsilon=True)
    torch.testing.assert_close(out, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_q_sample_and_posterior(loops):
    process = build_process("cosine_tau_2", 20)
    t, x0 = loops["q_sample/t"], loops["q_sample/x0"]
    x = process.q_sample(x0, t, loops["q_sample/noise"])
    torch.testing.assert_close(x, loops["q_sample/out"], atol=1e-6, rtol=0)
    torch.testing.assert_close(
        process.posterior_mean(x0, loops["q_sample/noise"], t), loops["q_posterior/mean"], atol=1e-6, rtol=0
    )
    np.testing.assert_allclose(process.posterior_variance[t], loops["q_posterior/var"], rtol=1e-6)
    np.testing.assert_allclose(process.posterior_log_variance[t], loops["q_posterior/logvar"], rtol=1e-6)


@pytest.mark.parametrize(
    ("step", "options", "kept"), [(ddpm, {}, None), (ddim, {}, None), (ddim, {"eta": 1.0}, None), (ddim, {}, [50])]
)
def test_gaussian_data_come_back_with_their_mean_and_variance(step, options, kept):
    mean, std = 1.5, 0.4
    process = build_process("cosine", 200, kept)
    draws = torch.Generator().manual_seed(0)

    def denoise(x, t):
        """The best estimate of x_0 for Gaussian data."""
        signal, variance = process.abar[t] ** 0.5, process.abar[t] * std**2 + 1 - process.abar[t]
        return mean + signal * std**2 / variance * (x - signal * mean)

    count = 20_000

    def noise():
        return torch.randn(count, 1, generator=draws)

    out = sample(denoise, lambda x0, x, t: step(process, x0, x, t, noise, **options), noise(), process.steps, 0)
    assert abs(out.mean() - mean) < 5 * std / count**0.5 + 0.01
    assert abs(out.std() - std) < 0.05 * std


def test_a_sample_depends_on_its_own_number_and_length_only():
    alone, crowd = per_sample(3, [7], (4, 2), first=1), per_sample(3, [20, 7, 9], (4, 2))
    for _ in range(3):
        assert torch.equal(alone()[0], crowd()[1, :7])
    assert not torch.equal(per_sample(3, [7], (4, 2))(), per_sample(4, [7], (4, 2))())
    assert (per_sample(3, [5, 2], (1,))()[1, 2:] == 0).all()


def test_published_draws_have_the_published_memory_order():
    torch.manual_seed(0)
    ours = published_normal((2, 3, 2, 5), memory=(3, 0, 1, 2))()
    assert ours.shape == (2, 3, 2, 5) and ours.stride() == (6, 2, 1, 12)
    torch.manual_seed(0)
    assert torch.equal(published_normal((2, 3))(), torch.manual_seed(0) and torch.randn(2, 3))
