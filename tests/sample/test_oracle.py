"""MAS with a denoiser that knows the answer, and the laws of the 3D fit."""

import math

import pytest
import torch

from data_loaders.points.projections import camera_of
from data_loaders.registry import dataset_spec
from diffusion.noise import per_sample, seen_from
from diffusion.process import build_process
from diffusion.projectors import AdamFit, MultiView, scaled_snr
from diffusion.samplers import ddim, ddpm
from diffusion.sampling import sample
from tests.published import flat, tensors
from utils.geometry.cameras import (
    Camera,
    even_views,
    fit_points,
    orthographic,
    project,
    reprojection_error,
    rotate_to_views,
    view_rotations,
)  # fmt: skip

SPEC = dataset_spec("nba")
CAMERA = camera_of(SPEC)
HEIGHT = 1.8  # of a figure, in the units of the 3D motion


def walker(samples: int = 2, frames: int = 24) -> torch.Tensor:
    """Figures of about HEIGHT whose joints swing smoothly, root at the origin [B, T, 16, 3]."""
    draws = torch.Generator().manual_seed(0)
    rest = torch.randn(samples, 1, 16, 3, generator=draws) * HEIGHT / 6
    swing = torch.randn(samples, 1, 16, 3, generator=draws) * 0.2
    phase = torch.linspace(0, 4 * math.pi, frames)[None, :, None, None]
    motion = rest + swing * phase.sin()
    return motion - motion[:, :, :1]


@pytest.mark.parametrize("step", [ddpm, ddim])
@pytest.mark.parametrize("kept", [None, [25]])
def test_mas_with_an_oracle_returns_the_known_motion(step, kept):
    truth, views, process = walker(), even_views(7, SPEC.elevation), build_process("cosine_tau_2", 100, kept)
    known = project(truth, views, CAMERA).flatten(0, 1)
    together = MultiView(views, CAMERA, torch.zeros_like(truth), lambda x: x, lambda x: x, pinned_root=0)
    noise = seen_from(per_sample(0, [24, 24], (16, 3)), lambda: together.views)
    sample(
        lambda x, t: known,
        lambda x0, x, t: step(process, x0, x, t, noise),
        noise(),
        process.steps,
        process.last,
        together,
    )
    assert (together.points - truth).norm(dim=-1).mean() < 0.01 * HEIGHT


@pytest.mark.parametrize("views", [3, 7])
@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_closed_form_loss_is_never_above_adams(views, spread):
    truth, rotations = walker(), even_views(views, SPEC.elevation)
    seen = project(truth, rotations, CAMERA)
    seen = seen + spread * torch.randn(seen.shape, generator=torch.Generator().manual_seed(1))
    start = torch.zeros_like(truth)
    adam = AdamFit(truth.shape)(seen, rotations, CAMERA, start)
    closed = fit_points(seen, rotations, CAMERA, start, iterations=3, pull=0.0)
    errors = [float(reprojection_error(points, seen, rotations, CAMERA)) for points in (closed, adam)]
    assert errors[0] <= errors[1] * (1 + 1e-4)


@pytest.mark.parametrize("case", ["small_T10_V3_B2_F10", "cap25_T10_V5_B2_F10"])
def test_closed_form_loss_is_never_above_the_recorded_one(golden, case):
    """On what the published program fitted at every step of its run, from where it stood."""
    record = tensors(golden / "mas" / "mas" / f"{case}.npz")
    rotations = even_views(record["x0_pred"].shape[1], SPEC.elevation)
    points = torch.zeros_like(record["motions"])
    for x0, fitted in zip(record["x0_pred"], record["motions_3d_after"], strict=True):
        seen = flat(x0)
        closed = fit_points(seen, rotations, CAMERA, points, iterations=3, pull=0.0)
        errors = [float(reprojection_error(motion, seen, rotations, CAMERA)) for motion in (closed, fitted)]
        assert errors[0] <= errors[1] * (1 + 1e-4)
        points = fitted


@pytest.mark.parametrize("views", [2, 3, 7])
def test_exact_for_noise_free_views_in_any_order(views):
    truth, rotations = walker(), even_views(views, SPEC.elevation)
    if views == 2:
        rotations = view_rotations(torch.tensor([0.0, 1.2]), torch.full((2,), 0.2))
    seen = project(truth, rotations, CAMERA)
    points = fit_points(seen, rotations, CAMERA, torch.zeros_like(truth), iterations=30)
    torch.testing.assert_close(points, truth, atol=1e-3, rtol=0)
    backwards = fit_points(seen.flip(0), rotations.flip(0), CAMERA, torch.zeros_like(truth), iterations=30)
    torch.testing.assert_close(backwards, points, atol=1e-4, rtol=0)
    again = fit_points(project(points, rotations, CAMERA), rotations, CAMERA, points)
    torch.testing.assert_close(again, points, atol=1e-4, rtol=0)


@pytest.mark.parametrize("rotations", [even_views(1, 0.2), even_views(1, 0.2).repeat(3, 1, 1)])
def test_one_direction_of_sight_keeps_the_depth_it_had(rotations):
    truth = walker()
    seen = project(truth, rotations, CAMERA)
    start = truth + torch.randn(truth.shape, generator=torch.Generator().manual_seed(2)) * 0.1
    points = fit_points(seen, rotations, CAMERA, start)
    assert torch.isfinite(points).all()
    depth = [rotate_to_views(motion, rotations)[0, ..., 2] for motion in (points, start)]
    torch.testing.assert_close(depth[0], depth[1], atol=0.02, rtol=0)
    assert reprojection_error(points, seen, rotations, CAMERA) < 1e-6


def test_weights_decide_between_views():
    truth, rotations = walker(), even_views(3, SPEC.elevation)
    seen = project(truth, rotations, CAMERA)
    seen[1:] += 0.3
    weights = torch.tensor([1000.0, 1, 1])
    points = fit_points(seen, rotations, CAMERA, torch.zeros_like(truth), weights)
    errors = (project(points, rotations, CAMERA) - seen).square().mean((1, 2, 3, 4))
    assert errors[0] < 1e-3 * errors[1]


def test_padded_frames_stay_at_the_origin_and_change_nothing():
    truth, views = walker(), even_views(7, SPEC.elevation)
    seen = project(truth, views, CAMERA).flatten(0, 1)
    valid = torch.arange(24) < torch.tensor([24, 10])[:, None]
    spoiled = seen.clone()
    spoiled.unflatten(0, (7, 2))[:, 1, 10:] = 1e6
    for x0 in (seen, spoiled):
        together = MultiView(views, CAMERA, torch.zeros_like(truth), lambda x: x, lambda x: x, valid=valid)
        together(x0, 5)
        assert (together.points[1, 10:] == 0).all()
        torch.testing.assert_close(together.points[0], truth[0], atol=1e-2, rtol=0)


def test_projections_are_the_published_ones(golden):
    record = tensors(golden / "mas" / "projections.npz")
    views = view_rotations(record["hor"].float(), record["ver"].float())
    unit = Camera(7.0, 7.0)
    motion = record["motion"]
    torch.testing.assert_close(views, record["R"], atol=1e-6, rtol=0)
    torch.testing.assert_close(rotate_to_views(motion, views), record["rotated"], atol=1e-6, rtol=0)
    torch.testing.assert_close(orthographic(motion, views), record["ortho"], atol=1e-6, rtol=0)
    torch.testing.assert_close(project(motion, views, unit), record["persp"], atol=1e-6, rtol=0)
    points = motion.clone().requires_grad_()
    (project(points, views, unit) - record["grad_target"]).square().mean().backward()
    torch.testing.assert_close(points.grad, record["grad_z_detached"], atol=1e-6, rtol=0)


def test_a_scaled_snr_names_a_step_of_the_asked_ratio():
    """The network is told a step whose signal-to-noise ratio is the factor times that of x, and x at its scale."""
    process, seen = build_process("cosine_tau_2", 100), []
    ratio = process.abar / (1 - process.abar)

    def denoise(x, t):
        seen.append((t, float(x)))
        return x

    informed = scaled_snr(denoise, process, 1.5)
    for t in range(20, 80):
        informed(torch.ones(()), t)
        told, scale = seen[-1]
        assert told < t and abs(ratio[told] / ratio[t] / 1.5 - 1) < 0.12
        assert scale == pytest.approx((process.abar[told] / process.abar[t]) ** 0.5)
    scaled_snr(denoise, process, 1.0)(torch.ones(()), 50)
    assert seen[-1] == (50, 1.0)
