"""Long clips: solved in windows that overlap they come out as they do in one piece."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from body.fit import windows
from body.fit.fitting import fit
from body.models import load_body
from tests.bodies import angle_between
from tests.body.test_fitting import person_of, posed, with_rotations
from utils.geometry.body import joints_of
from utils.geometry.spans import over_spans, spans


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("resize", [False, True])
def test_windows_give_what_the_whole_clip_gives(monkeypatch: pytest.MonkeyPatch, recorded: bool, resize: bool):
    """Three of them, on noisy joints: 0.01 mm, 0.001 degrees, at the seams too; a shape from all frames."""
    free = load_body("free")
    motion = posed(free.shaped(), frames=400)
    person = with_rotations(motion) if recorded else person_of(motion)
    noise = np.random.RandomState(0).normal(0, 0.004, person.motion.positions.shape)
    person = replace(person, motion=replace(person.motion, positions=(person.motion.positions + noise).astype("f4")))
    person.confidence[250:260, 20] = 0  # a hand that is lost where a window ends
    whole = fit(person, free, resize=resize)
    monkeypatch.setattr(windows, "_WHOLE", 200)
    monkeypatch.setattr(windows, "_WINDOW", 128)
    parts = fit(person, free, resize=resize)
    assert parts.meta["report"]["iterations"] == whole.meta["report"]["iterations"]
    (at, turned), (wanted, straight) = joints_of(parts), joints_of(whole)
    assert np.abs(at - wanted).max() < 1e-5
    assert angle_between(turned, straight) < 0.005
    np.testing.assert_allclose(parts.body.vertices, whole.body.vertices, atol=1e-5)


def test_spans_cover_all_frames_once():
    for frames in (0, 1, 5, 6, 7):
        found = [frame for span in spans(frames, 3) for frame in range(frames)[span]]
        assert found == list(range(frames))
    values = torch.arange(12.0).reshape(6, 2)
    torch.testing.assert_close(over_spans(lambda one, other: one + other, values, values), 2 * values)
