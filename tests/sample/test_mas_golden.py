"""MAS and every ablation against the published programs, on their recorded draws and on their seeds."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion.noise import recorded
from diffusion.projectors import AdamFit
from sample.common.draws import Draws
from sample.common.session import Request
from sample.multiview import sampling as multiview
from sample.multiview.sampling import sample_3d
from sample.options import MasOptions
from tests.published import arguments, flat, tensors, tiny_session

PUBLISHED = MasOptions(fit="adam", bones="raw")


def taken(values) -> Callable:
    """A function that hands out the values one by one."""
    remaining = iter(values)
    return lambda *_: next(remaining)


def recorded_draws(record: dict) -> Draws:
    """The draws of a golden file, in the order in which each kind was made."""
    kinds = {name: value for name, value in record.items() if name.startswith("draw/")}
    solid = [value for name, value in kinds.items() if "randn_like" in name and value.shape[-1] == 3]
    planes = [value for name, value in kinds.items() if "randn_like" in name and value.dim() == 6]
    views = [flat(draw).flatten(0, 1) for draw in planes[0]] if planes else []
    schedule = record["schedule"].tolist() if "schedule" in record else []
    uniform = kinds.get("draw/np.uniform/()")
    azimuths = uniform.reshape(len(schedule), -1).numpy() if uniform is not None else []
    return Draws(
        noise_3d=recorded(solid[0]) if solid else recorded([]),
        noise_2d=recorded(views[::2] if schedule else views),
        offset=taken([2 * np.pi * float(value) for value in kinds.get("draw/np.rand/()", [])]),
        azimuths=taken(azimuths),
        prominent=taken([int(kinds["draw/torch.randint/(1,)"])] if "draw/torch.randint/(1,)" in kinds else []),
        timesteps=lambda _: schedule,
    )


def rerun(golden: Path, record: dict, variant: str) -> torch.Tensor:
    """Our run of the golden file's command on its draws."""
    args = arguments(record)
    session = tiny_session(golden, args["diffusion_steps"])
    samples, frames = record["motions"].shape[:2]
    lengths = (
        torch.tensor([10, 6]) if "lengths" in record and len(record["lengths"]) else torch.full((samples,), frames)
    )
    request = Request(lengths)
    options = dataclasses.replace(PUBLISHED, num_views=record["x0_pred"].shape[1])
    return sample_3d(session, request, options, variant, recorded_draws(record))


CASES = {
    "small_T10_V3_B2_F10": ("mas", 5e-6),
    "no_3d_noise_T10_V3_B2_F10": ("no_3d_noise", 5e-6),
    "prominent_angle_T10_V3_B2_F10": ("prominent_angle", 5e-5),
    "prominent_angle_no_3d_noise_T10_V3_B2_F10": ("prominent_angle_no_3d_noise", 5e-5),
    "random_angles_T10_V3_B2_F10": ("random_angles", 5e-6),
    "dreamfusion_T10_V2_B1_F10_N50": ("dreamfusion", 1e-4),
    "dreamfusion_annealed_T10_V2_B1_F10_N50": ("dreamfusion_annealed", 1e-4),
}


def fits_of_lengths(monkeypatch, steps: list[int] | None = None) -> list[int]:
    """Count the inner steps of each fit from now on; with `steps` each fit takes as many as recorded.

    The stopping rule compares losses that differ in their last bits, so its step, and the motion by up to 2e-3, depend
    on the processor. With the recorded steps nothing does.
    """
    counted: list[int] = []

    class Counted(AdamFit):
        TOLERANCE = AdamFit.TOLERANCE if steps is None else -np.inf

        def __call__(self, *inputs):
            before = self.optimizer.state[self.points]["step"].item() if counted else 0
            self.steps = self.STEPS if steps is None else steps[len(counted)]
            fitted = super().__call__(*inputs)
            counted.append(int(self.optimizer.state[self.points]["step"].item() - before))
            return fitted

    monkeypatch.setattr(multiview, "AdamFit", Counted)
    return counted


@pytest.mark.parametrize("case", CASES)
def test_recorded_draws(golden, monkeypatch, case):
    variant, tolerance = CASES[case]
    record = tensors(golden / "mas" / "mas" / f"{case}.npz")
    if "inner_iters" in record:
        fits_of_lengths(monkeypatch, record["inner_iters"].flatten().tolist())
    torch.testing.assert_close(rerun(golden, record, variant), record["motions"], atol=tolerance, rtol=0)


@pytest.mark.parametrize("case", [case for case, (variant, _) in CASES.items() if "dreamfusion" not in variant])
def test_the_fit_stops_where_it_is_recorded_to(golden, monkeypatch, case):
    """The first fit to 2 %, before rounding has had its say; hence the motion to what another processor may change."""
    record = tensors(golden / "mas" / "mas" / f"{case}.npz")
    counted = fits_of_lengths(monkeypatch)
    torch.testing.assert_close(rerun(golden, record, CASES[case][0]), record["motions"], atol=2e-3, rtol=0)
    assert counted[0] == pytest.approx(record["inner_iters"].flatten()[0].item(), rel=0.02)
    assert len(counted) == record["inner_iters"].numel()


def test_lengths_reach_the_network(golden, monkeypatch):
    record = tensors(golden / "mas" / "mas" / "lengths_T10_V3_B2_F10.npz") | {"lengths": torch.tensor([10, 6])}
    fits_of_lengths(monkeypatch, record["inner_iters"].flatten().tolist())
    torch.testing.assert_close(rerun(golden, record, "mas"), record["motions"], atol=5e-6, rtol=0)


def test_cap25_exactly(golden, monkeypatch):
    """At most 25 inner steps: no chaos of the stopping rule, so every step can be held to 2e-5."""
    record = tensors(golden / "mas" / "mas" / "cap25_T10_V5_B2_F10.npz")
    seen = []

    class Capped(AdamFit):
        def __call__(self, *inputs):
            seen.append(super().__call__(*inputs))
            return seen[-1]

    monkeypatch.setattr(multiview, "AdamFit", lambda shape: Capped(shape, steps=25))
    motions = rerun(golden, record, "mas")
    torch.testing.assert_close(motions, record["motions"], atol=2e-5, rtol=0)
    torch.testing.assert_close(torch.stack(seen), record["motions_3d_after"], atol=2e-5, rtol=0)


@pytest.mark.slow
def test_full_run_of_100_steps(golden, shared):
    record = tensors(shared / "golden" / "mas" / "mas" / "full_T100_V5_B2_F20.npz")
    difference = (rerun(golden, record, "mas") - record["motions"]).abs()
    assert difference.max() < 5e-3 and difference.square().mean().sqrt() < 1e-3
