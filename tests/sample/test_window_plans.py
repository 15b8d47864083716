"""Windows of endless motion are told the part of their sentence's plan that they show."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from data_loaders.captioner.phases import Phase
from data_loaders.captioner.plans import plan_of
from sample.endless.planning import LONGEST, UNKNOWN, WindowPlans, frames_left

FPS, WINDOW = 20.0, 40


class Planner:
    """Plans that walk and then stand, and what was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts, seconds, seed, first):
        self.asked.append((tuple(texts), tuple(seconds), seed, first))
        return [self.plan(text, length) for text, length in zip(texts, seconds, strict=True)]

    @staticmethod
    def plan(text, length):
        speed = len(text) / 10
        return [Phase("walk", 0, length / 2, direction="forward", speed=speed), Phase("stand", length / 2, length)]


@pytest.fixture
def session():
    condition = {"text": torch.ones(1)}
    return SimpleNamespace(
        planner=Planner(), spec=SimpleNamespace(fps=FPS), run=SimpleNamespace(seed=7),
        text_condition=lambda texts: dict(condition),
    )  # fmt: skip


def told(session, windows):
    """The plans of windows (texts, left, kept)."""
    plans = WindowPlans(session)
    return [plans.condition(texts, left, WINDOW, kept)["plan"].numpy() for texts, left, kept in windows]


def test_windows_show_one_plan_piece_by_piece(session):
    texts = ["walks", "runs away"]
    found = told(session, [(texts, [100 - first] * 2, kept) for first, kept in ((0, 40), (40, 40), (80, 20))])
    assert session.planner.asked == [(("walks", "runs away"), (5.0, 5.0), 7, 0)]
    for row, text in enumerate(texts):
        whole = plan_of(Planner.plan(text, 5.0), 100, FPS)
        shown = np.concatenate([found[0][row], found[1][row], found[2][row][:20]])
        np.testing.assert_allclose(shown, whole, atol=1e-6)


def test_a_new_sentence_is_planned_and_the_others_go_on(session):
    found = told(session, [(["a", "b"], [80, 40], 40), (["a", "c"], [40, 40], 40)])
    assert [texts for texts, *_ in session.planner.asked] == [("a", "b"), ("c",)]
    assert session.planner.asked[1][3] > session.planner.asked[0][3]
    np.testing.assert_allclose(found[1][0], plan_of(Planner.plan("a", 4.0), 80, FPS)[40:], atol=1e-6)
    np.testing.assert_allclose(found[1][1], plan_of(Planner.plan("c", 2.0), 40, FPS), atol=1e-6)


def test_long_sentences_have_several_plans_and_streams_plan_some_seconds_ahead(session):
    long = round(2.5 * LONGEST * FPS)
    told(session, [(["a"], [long - first], 40) for first in range(0, long, 40)])
    seconds = [length for _, (length,), *_ in session.planner.asked]
    assert sum(seconds) == 2.5 * LONGEST and max(seconds) <= LONGEST
    assert all(length * FPS % WINDOW == 0 for length in seconds[:-1])
    session.planner.asked.clear()
    told(session, [(["a"], [0], 40)] * 6)
    assert [seconds for _, seconds, *_ in session.planner.asked] == [(UNKNOWN,)] * 2


def test_models_without_plans_are_told_none(session):
    session.planner = None
    assert set(WindowPlans(session).condition(["a"], [40], WINDOW, 40)) == {"text"}


def test_frames_left_are_those_until_the_title_changes():
    titles = ["walks", ["walks"] * 50 + ["runs"] * 30]
    assert frames_left(titles, 0, 80) == [80, 50]
    assert frames_left(titles, 50, 80) == [30, 30]
