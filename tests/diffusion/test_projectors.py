"""What is known of a motion, held while it is sampled: frames and features, and joints of a 3D motion behind views."""

import pytest
import torch

from diffusion.noise import per_sample, seen_from
from diffusion.process import build_process
from diffusion.projectors import AdamFit, MultiView, keyframes
from diffusion.samplers import SAMPLERS, stepper
from diffusion.sampling import sample
from utils.geometry.cameras import Camera, even_views, fit_points, project
from utils.run.randomness import torch_generator

CAMERA = Camera(7.0, 2.0)
VIEWS = even_views(5, 0.2)


def as_it_is(x: torch.Tensor) -> torch.Tensor:
    return x


@pytest.fixture
def motions() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the denoiser knows [2, 6, 4, 3], what is to be held, and where [2, 6, 4]."""
    truth, known = 0.4 * torch.randn(2, 2, 6, 4, 3, generator=torch_generator("truth"))
    mask = torch.zeros(2, 6, 4, dtype=torch.bool)
    mask[:, :2] = True  # the first frames
    mask[1, :, 3] = True  # a joint of the second motion
    return truth, known, mask


def run(together: MultiView, truth: torch.Tensor, sampler: str = "ddpm") -> torch.Tensor:
    """The last estimate of all views, by a denoiser that knows the truth."""
    process, answer = build_process("cosine", 12), project(truth, VIEWS, CAMERA).flatten(0, 1)
    noise = seen_from(per_sample(0, [6, 6], (4, 3)), lambda: together.views)
    return sample(lambda x, t: answer, stepper(sampler, process, noise), noise(), process.steps, 1, together)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_keyframes_are_there_at_the_end(sampler):
    known, x = torch.randn(2, 2, 8, 5, generator=torch_generator("known"))
    mask = torch.zeros(2, 8, 5, dtype=torch.bool)
    mask[0, :3], mask[1, :, 2:4] = True, True
    process, noise = build_process("cosine", 12), per_sample(1, [8, 8], (5,))
    out = sample(lambda x, t: 0.9 * x, stepper(sampler, process, noise), x, 12, 0, keyframes(known, mask))
    assert torch.equal(out[mask], known[mask]) and (out[~mask] - known[~mask]).abs().min() > 1e-4


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("fit", ["closed", "adam"])
def test_held_joints_are_there_at_the_end(motions, sampler, fit):
    truth, known, mask = motions
    solver = fit_points if fit == "closed" else AdamFit(truth.shape, steps=20)
    together = MultiView(
        VIEWS, CAMERA, torch.zeros_like(truth), as_it_is, as_it_is, fit=solver, known=known, known_mask=mask
    )
    shown = run(together, truth, sampler)
    assert torch.equal(together.points[mask], known[mask])
    torch.testing.assert_close(shown, project(together.points, VIEWS, CAMERA).flatten(0, 1))
    if fit == "closed":
        torch.testing.assert_close(together.points[~mask], truth[~mask], atol=1e-2, rtol=0)


def test_every_view_is_shown_what_is_held(motions):
    truth, known, mask = motions
    together = MultiView(VIEWS, CAMERA, truth, as_it_is, as_it_is, known=known, known_mask=mask)
    shown = together(project(truth, VIEWS, CAMERA).flatten(0, 1), 5).unflatten(0, (len(VIEWS), 2))
    expected = project(known, VIEWS, CAMERA)
    assert torch.equal(shown[:, mask], expected[:, mask])


def test_nothing_held_changes_nothing(motions):
    truth, known, mask = motions
    results = []
    for held in ({}, {"known": known, "known_mask": torch.zeros_like(mask)}):
        together = MultiView(VIEWS, CAMERA, torch.zeros_like(truth), as_it_is, as_it_is, **held)
        run(together, truth)
        results.append(together.points)
    assert torch.equal(*results)


def test_what_is_held_wins_over_a_pinned_root(motions):
    truth, known, mask = motions
    together = MultiView(VIEWS, CAMERA, truth.clone(), as_it_is, as_it_is, pinned_root=0, known=known, known_mask=mask)
    run(together, truth)
    assert torch.equal(together.points[mask], known[mask])
    assert not together.points[:, 2:, 0].any()
