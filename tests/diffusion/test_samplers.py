"""Samplers with the best denoiser of Gaussian data, whose ODE has a closed solution."""

import numpy as np
import pytest
import torch

from diffusion.process import Process, build_process
from diffusion.samplers import SAMPLERS, ddim, dpm_solver, stepper
from diffusion.sampling import sample
from sample.options import SamplingOptions
from utils.run.errors import UsageError
from utils.run.randomness import torch_generator

MEAN, STD = 1.5, 0.4


def deviation(abar: float, std: float = STD) -> float:
    """Standard deviation of x_t of data of standard deviation `std`."""
    return float(np.sqrt(abar * std**2 + 1 - abar))


def best(process: Process, std: float = STD):
    """The estimate of x_0 that no denoiser betters."""

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        abar = float(process.abar[t])
        return MEAN + abar**0.5 * std**2 / deviation(abar, std) ** 2 * (x - abar**0.5 * MEAN)

    return denoise


def no_noise() -> torch.Tensor:
    raise AssertionError("this sampler draws no noise")


def arrival(name: str, process: Process, std: float = STD) -> tuple[torch.Tensor, torch.Tensor]:
    """x of the last step of a run from z standard deviations, and what the exact solution has there."""
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    first, last = float(process.abar[-1]), float(process.abar[0])
    denoise, step = best(process, std), stepper(name, process, no_noise)
    x = MEAN * first**0.5 + deviation(first, std) * z
    for t in range(process.steps - 1, 0, -1):
        x = step(denoise(x, t), x, t)
    return x, MEAN * last**0.5 + deviation(last, std) * z


def error(name: str, process: Process, std: float = STD) -> float:
    found, exact = arrival(name, process, std)
    return float((found - exact).abs().max())


def even_process(steps: int) -> Process:
    """A process whose steps are even in the logarithm of signal over noise, from exp(-4) to exp(4)."""
    abar = 1 / (1 + np.exp(-2 * np.linspace(4, -4, steps)))
    return Process(1 - abar / np.append(1.0, abar[:-1]), np.arange(steps))


@pytest.mark.parametrize("std", [0.1, 0.4, 1.0])
@pytest.mark.parametrize(("schedule", "steps"), [("cosine", 50), ("cosine", 1000), ("linear", 1000)])
def test_dpm_lands_nearer_the_exact_solution_than_ddim(schedule, steps, std):
    processes = [build_process(schedule, steps, [kept]) for kept in (4, 5, 7, 10, 15, 25, 50)]
    ratios = np.array([error("dpm++", process, std) / error("ddim", process, std) for process in processes])
    assert (ratios < 1).all() and np.exp(np.log(ratios).mean()) < (0.9 if std == 0.1 else 0.4), ratios


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm++", 2)])
def test_order_of_convergence(name, order):
    errors = np.array([error(name, even_process(steps)) for steps in (41, 81, 161, 321)])
    orders = np.log2(errors[:-1] / errors[1:])
    assert (abs(orders - order) < 0.15).all(), orders


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("kept", [2, 3, 10, 1000])
def test_noisy_end_and_clean_end_are_harmless(schedule, kept):
    """The cosine schedule ends at abar 2e-9; below the last step there is no noise."""
    process = build_process(schedule, 1000, [kept])
    x = torch.randn(4, 3, generator=torch_generator("x"))
    out = sample(best(process), stepper("dpm++", process, no_noise), x, process.steps, 0)
    assert torch.isfinite(out).all() and (out - MEAN).abs().max() < 4 * STD


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("schedule", ["cosine", "linear", "cosine_tau_2"])
def test_one_step_is_the_first_estimate(name, schedule):
    process = build_process(schedule, 50, [1])
    assert process.steps == 1 and process.timestep_map.tolist() == [49] and process.last == 0
    x = torch.randn(4, 3, generator=torch_generator("x"))
    denoise = best(process)
    assert torch.equal(sample(denoise, stepper(name, process, no_noise), x, 1, 0), denoise(x, 0))
    torch.testing.assert_close(stepper(name, process, no_noise)(denoise(x, 0), x, 0), denoise(x, 0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_last_step_arrives_at_x0(name):
    process = build_process("cosine", 50, [10])
    x0, x = torch.randn(2, 4, 3, generator=torch_generator("pair"))
    step = stepper(name, process, lambda: torch.zeros_like(x))
    x = step(-x0, x, 1)
    torch.testing.assert_close(step(x0, x, 0), x0, atol=1e-6, rtol=0)


def test_dpm_without_an_earlier_estimate_is_ddim():
    process = build_process("cosine", 50, [10])
    x0, x, before = torch.randn(3, 4, 3, generator=torch_generator("three"))
    first = dpm_solver(process, x0, x, 7)
    torch.testing.assert_close(first, ddim(process, x0, x, 7, no_noise), atol=1e-5, rtol=0)
    assert (dpm_solver(process, x0, x, 7, before) - first).abs().max() > 1e-2
    torch.testing.assert_close(dpm_solver(process, x0, x, 7, x0), first)


def test_a_stepper_knows_the_last_estimate_of_its_own_run_only():
    process = build_process("cosine", 50, [10])
    x0, x, other = torch.randn(3, 4, 3, generator=torch_generator("three"))
    step, fresh = stepper("dpm++", process, no_noise), stepper("dpm++", process, no_noise)
    step(other, x, 9)
    second = step(x0, x, 8)
    assert torch.equal(second, dpm_solver(process, x0, x, 8, other))
    assert torch.equal(step(x0, x, 9), fresh(x0, x, 9)), "a second run does not see the first"


@pytest.mark.parametrize("name", ["ddim", "dpm++"])
def test_the_same_start_gives_the_same_bits(name):
    process = build_process("cosine", 50, [10])
    assert torch.equal(arrival(name, process)[0], arrival(name, process)[0])


@pytest.mark.parametrize(("option", "name"), [("sigma_small", "ddpm"), ("eta", "ddim")])
def test_options_reach_their_sampler(option, name):
    process = build_process("cosine", 50, [10])
    x0, x, draw = torch.randn(3, 4, 3, generator=torch_generator("three"))
    steps = [stepper(name, process, lambda: draw, **{option: value}) for value in (False, True)]
    assert (steps[0](x0, x, 5) - steps[1](x0, x, 5)).abs().max() > 1e-3


def test_names():
    choices = next(f for f in SamplingOptions.__dataclass_fields__.values() if f.name == "sampler").metadata["choices"]
    assert tuple(choices) == SAMPLERS
    with pytest.raises(UsageError, match="unknown sampler 'euler'; choose from ddpm, ddim, dpm"):
        stepper("euler", build_process("cosine", 10), no_noise)
