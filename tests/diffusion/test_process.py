"""Schedules and tables against the published ones, and the laws that tie them together."""

import re

import numpy as np
import pytest
import torch

from diffusion.process import Process, build_process
from diffusion.schedule import betas_of, space_timesteps
from utils.run.errors import UsageError

TABLES = {
    "betas": lambda p: p.betas,
    "alphas_cumprod": lambda p: p.abar,
    "alphas_cumprod_prev": lambda p: p.abar_prev,
    "posterior_variance": lambda p: p.posterior_variance,
    "posterior_log_variance_clipped": lambda p: p.posterior_log_variance,
    "posterior_mean_coef1": lambda p: p.posterior_x0,
    "posterior_mean_coef2": lambda p: p.posterior_xt,
}


@pytest.fixture(scope="module")
def recorded(golden):
    with np.load(golden / "mas" / "schedules.npz") as packed:
        return dict(packed)


def test_betas_are_the_published_ones(recorded):
    rows = [name.split("/") for name in recorded if name.startswith("raw_betas/")]
    assert len(rows) >= 8
    for _, schedule, steps in rows:
        if schedule == "linear" and int(steps) <= 20:
            with pytest.raises(UsageError, match="more than 20"):
                betas_of(schedule, int(steps))
        else:
            np.testing.assert_allclose(
                betas_of(schedule, int(steps)), recorded[f"raw_betas/{schedule}/{steps}"], rtol=1e-12
            )


@pytest.mark.parametrize("schedule", ["linear", "cosine", "cosine_tau_2"])
@pytest.mark.parametrize("table", TABLES)
def test_tables_are_the_published_ones(recorded, schedule, table):
    process = build_process(schedule, 100)
    np.testing.assert_allclose(TABLES[table](process), recorded[f"{schedule}/100/{table}"], rtol=1e-12)


def test_respaced_tables_and_maps(recorded):
    rows = {match[0] for name in recorded if (match := re.match(r"respaced/.*?/100/[^/]*/", name))}
    assert len(rows) == 12
    for row in rows:
        _, schedule, _, kept, _ = row.split("/")
        process = build_process(schedule, 100, [int(kept)] if kept.isdigit() else kept)
        assert (process.timestep_map == recorded[row + "timestep_map"]).all()
        for table, value in TABLES.items():
            if row + table in recorded:
                np.testing.assert_allclose(value(process), recorded[row + table], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("schedule", ["cosine", "cosine_tau_2", "cosine_tau_0.5", "linear"])
@pytest.mark.parametrize("steps", [25, 100, 1000])
def test_laws_of_the_tables(schedule, steps):
    process = build_process(schedule, steps)
    assert (np.diff(process.abar) < 0).all() and (process.posterior_variance >= 0).all()
    np.testing.assert_allclose(build_process(schedule, steps, [steps]).betas, process.betas, rtol=1e-9)
    # The posterior mean of a noise-free x_t is that of x_{t-1}.
    np.testing.assert_allclose(
        process.posterior_x0 + process.posterior_xt * np.sqrt(process.abar), np.sqrt(process.abar_prev), rtol=1e-9
    )


def test_x0_and_noise_are_two_views_of_one_thing():
    process = build_process("cosine", 50)
    x0, noise = torch.randn(2, 3, 4, 5, 2, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([1, 20, 40])
    x = process.q_sample(x0, t, noise)
    torch.testing.assert_close(process.x0_from_noise(x, t, noise), x0, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(process.noise_from_x0(x, t, x0), noise, atol=1e-4, rtol=1e-4)


def test_one_step_process_and_bad_spacings():
    one = build_process("cosine", 10, [1])
    assert one.steps == 1 and np.isfinite(one.posterior_log_variance).all()
    assert build_process("cosine_tau_2", 100).last == 1 and build_process("cosine_tau_2", 100, [25]).last == 1
    for counts in ([11], "ddim7", [0]):
        with pytest.raises(UsageError):
            space_timesteps(10, counts)
    with pytest.raises(UsageError, match="unknown noise schedule"):
        betas_of("cosin", 10)


def test_a_process_keeps_its_timesteps():
    assert isinstance(build_process("cosine", 10, "ddim5"), Process)
    assert build_process("cosine", 10, "ddim5").timestep_map.tolist() == [0, 2, 4, 6, 8]
