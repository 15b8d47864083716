"""The path of a plan, held: who is told to turn left by so much and go so fast does, as the captioner measures it."""

import math

import numpy as np
import pytest
import torch

from data_loaders.captioner.detect import phases_of
from data_loaders.captioner.measures import measure
from data_loaders.captioner.phases import Phase, mirrored_phases
from data_loaders.captioner.plans import plan_of
from data_loaders.representations import hml
from sample.common.paths import held_path
from sample.endless.windows import standing
from tests.commands import run

FPS, FRAMES = 20.0, 120
LAYOUT = hml.layout_of("smpl22")


@pytest.fixture(scope="module")
def figures():
    """Mean and deviation of the shipped model's features, and a person who stands still, normalised [1, T, F]."""
    mean, std = (torch.from_numpy(np.load(f"save/mocap_text/{name}.npy")).float() for name in ("Mean", "Std"))
    still = standing(mean, LAYOUT, FRAMES)
    return mean, std, ((still - mean) / std)[None]


def held(figures, phases, t=40, x0=None):
    mean, std, still = figures
    plan = torch.from_numpy(plan_of(phases, FRAMES, FPS))[None]
    return held_path(plan, FPS, LAYOUT, mean, std, free=10)(still if x0 is None else x0, t)


def measured(figures, features):
    mean, std, _ = figures
    return measure(hml.decode(features[0] * std + mean, LAYOUT).numpy(), FPS)


@pytest.mark.parametrize("turned", [math.pi, -math.pi / 2, 0.0])
@pytest.mark.parametrize(
    ("way", "axis", "sign"), [("forward", 0, 1), ("backward", 0, -1), ("left", 1, 1), ("right", 1, -1)]
)
def test_who_is_told_to_goes_so_fast_that_way_and_turns_so_far(figures, turned, way, axis, sign):
    body = measured(figures, held(figures, [Phase("walk", 0, 6, direction=way, speed=1.2, turned=turned)]))
    middle = slice(20, 100)
    assert body.velocity[middle, axis] == pytest.approx(sign * 1.2, abs=0.05)
    assert body.velocity[middle, 1 - axis] == pytest.approx(0, abs=0.1)
    assert body.heading[-1] - body.heading[0] == pytest.approx(turned, abs=0.1)


def test_phases_are_held_each_for_itself_and_the_mirrored_plan_gives_the_mirrored_path(figures):
    phases = [
        Phase("stand", 0, 2),
        Phase("walk", 2, 4, direction="forward", speed=1.0, turned=1.0),
        Phase("stand", 4, 6),
    ]
    body, other = (measured(figures, held(figures, each)) for each in (phases, mirrored_phases(phases)))
    assert body.speed[5:30].max() < 0.1 and body.speed[50:70].min() > 0.8 and body.speed[95:].max() < 0.1
    np.testing.assert_allclose(other.path * [-1, 1], body.path, atol=0.02)
    np.testing.assert_allclose(other.heading, -body.heading, atol=0.02)


def test_what_a_walk_does_about_its_mean_stays(figures):
    """Strides of half a second, added to an estimate, are in what comes out as they were."""
    still = figures[2]
    swing = still.clone()
    swing[..., 1:3] += torch.sin(torch.arange(FRAMES) * 2 * math.pi / 10)[:, None]
    walk = [Phase("walk", 0, 6, direction="forward", speed=1.0)]
    difference = held(figures, walk, x0=swing) - held(figures, walk)
    torch.testing.assert_close(difference, swing - still, atol=1e-4, rtol=0)


def test_a_circle_is_even_and_not_turned_in_one_place(figures):
    """Whoever turns at once is made to turn all the way along."""
    still = figures[2]
    spin = still.clone()
    spin[:, 50:60, 0] -= 50
    circle = [Phase("walk", 0, 6, direction="forward", speed=1.2, turned=2 * math.pi)]
    body = measured(figures, held(figures, circle, x0=spin))
    quarters = [body.heading[end] - body.heading[end - 30] for end in (30, 60, 90, 119)]
    assert quarters == pytest.approx([math.pi / 2] * 4, abs=0.3)


def test_the_last_steps_other_features_and_what_no_plan_tells_are_the_denoisers(figures):
    still = figures[2]
    walk = [Phase("walk", 0, 6, direction="forward", speed=1.0, turned=1.0)]
    assert torch.equal(held(figures, walk, t=9), still)
    assert torch.equal(held(figures, walk)[..., 3:], still[..., 3:])
    for phases in ([], [Phase("stand", 0, 6)], [Phase("jump", 0, 6, direction="up", count=3)]):
        torch.testing.assert_close(held(figures, phases), still)


def test_the_shipped_model_goes_the_way_of_its_sentence(tmp_path):
    sentences = {"a person walks backwards": "backward", "a person steps sideways to the left": "left"}
    (tmp_path / "prompts.txt").write_text("\n".join(sentences))
    run("sample.generate", "--num_samples 2 --motion_length 4 --input_text", tmp_path / "prompts.txt",
        "--output_dir", tmp_path / "made")  # fmt: skip
    joints = np.load(tmp_path / "made" / "results.npy", allow_pickle=True).item()["motion"]
    for clip, way in zip(joints, sentences.values(), strict=True):
        phases = phases_of(np.moveaxis(clip, -1, 0), FPS)
        assert sum(phase.seconds for phase in phases if phase.direction == way) > 2, phases
