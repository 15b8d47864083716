import math
from dataclasses import replace

import numpy as np
import pytest

from data_loaders.captioner import plans, symbols
from data_loaders.captioner.phases import Phase, mirrored_phases
from data_loaders.captioner.reworded import reworded
from data_loaders.texts import mirrored
from model.options import PLAN_WIDTH
from utils.run.randomness import numpy_rng

WALK = Phase("walk", 0, 3, direction="forward", speed=1.2, turned=math.radians(90), count=5)
TURN = Phase("turn", 3, 4, turned=-math.radians(180))
WAVE, KICK = Phase("wave", 1, 2, side="left", count=3), Phase("kick", 2, 2.4, side="right", count=1)
HELD = Phase("hold arm up", 0.4, 3, side="both", direction="up")
PHASES = (WALK, HELD, WAVE, KICK, TURN)


def test_a_denoiser_is_built_for_as_many_numbers_as_a_plan_has():
    assert plans.WIDTH == PLAN_WIDTH


def test_every_frame_tells_what_is_done_in_it():
    plan = plans.plan_of(PHASES, 80, 20)
    assert plan.shape == (80, plans.WIDTH) and (plan[:, -1] == 1).all()
    kinds = plan[:, : len(plans.BODY)]
    assert (kinds.sum(1) == 1).all()
    assert (
        kinds.argmax(1)[[0, 59, 60, 79]] == [plans.BODY.index(kind) for kind in ("walk", "walk", "turn", "turn")]
    ).all()
    # Speed, turn and counts a second, and how much of it is done.
    assert plan[30, len(plans.BODY) + 5 : len(plans.BODY) + 9] == pytest.approx([1.2, math.pi / 6, 5 / 3, 0.5])
    assert plan[70, len(plans.BODY) + 6] == pytest.approx(-math.pi)


def test_a_part_of_a_motion_has_that_part_of_its_plan():
    whole, part = plans.plan_of(PHASES, 80, 20), plans.plan_of(PHASES, 30, 20, start=1.0)
    assert part == pytest.approx(whole[20:50], abs=1e-6)


@pytest.mark.parametrize(
    "phase", [replace(WAVE, side="left"), replace(KICK, side="left"), replace(WALK, direction="left")]
)
def test_left_and_right_have_columns_of_their_own(phase: Phase):
    left, right = (plans.plan_of(each, 60, 20) for each in ([phase], mirrored_phases([phase])))
    differ = np.flatnonzero((left != right).any(0))
    assert len(differ) and not ((left[:, differ] != 0) & (left[:, differ] == right[:, differ])).any()


def test_what_both_arms_do_is_told_of_each():
    both = plans.plan_of([HELD], 60, 20)
    assert (
        both == np.maximum(*(plans.plan_of([replace(HELD, side=side)], 60, 20) for side in ("left", "right")))
    ).all()


def test_phases_survive_their_file():
    assert plans.from_rows(plans.as_rows(PHASES)) == pytest.approx(PHASES) or all(
        replace(a, turned=0) == replace(b, turned=0) and abs(a.turned - b.turned) < 1e-3
        for a, b in zip(plans.from_rows(plans.as_rows(PHASES)), PHASES, strict=True)
    )


def test_phases_survive_their_symbols():
    found = symbols.phases_from(symbols.rows_of(PHASES), 4.0)
    assert [(p.kind, p.side, p.direction, p.count) for p in found] == [
        (p.kind, p.side, p.direction, p.count) for p in PHASES
    ]
    for phase, told in zip(found, PHASES, strict=True):
        assert (phase.start, phase.end, phase.speed) == pytest.approx((told.start, told.end, told.speed), abs=0.1)
        assert phase.turned == pytest.approx(told.turned, abs=symbols.ANGLE / 2)
    assert found[0].begun and found[-1].lasts and not found[-1].begun


def test_what_a_body_does_fills_the_motion_and_nothing_lies_outside():
    rows = symbols.rows_of([replace(WALK, end=1.0), replace(TURN, start=1.0, end=2.0), replace(WAVE, start=5, end=6)])
    longer, shorter = symbols.phases_from(rows, 4.0), symbols.phases_from(rows, 0.6)
    assert [(p.kind, p.end) for p in longer] == [("walk", pytest.approx(1.0)), ("turn", 4.0)]
    assert [(p.kind, p.end) for p in shorter] == [("walk", 0.6)]
    assert symbols.phases_from(np.zeros((3, 8), int), 2.0) == ()


def test_a_plan_of_very_many_phases_loses_the_shortest_of_arms_and_legs():
    many = [replace(WAVE, start=0.1 * i, end=0.1 * i + 0.1 + 0.01 * i) for i in range(40)]
    rows = symbols.rows_of([WALK, *many])
    assert len(rows) == symbols.MOST + 1 and not rows[-1].any() and rows[:-1, 0].all()
    assert symbols.phases_from(rows, 9.0)[0].kind == "walk"


def test_a_sentence_in_other_words_is_mirrored_as_the_sentence_is():
    for number in range(200):
        said = "a person walks to the left and then raises the right arm"
        first, second = (reworded(text, numpy_rng("words", number)) for text in (said, mirrored(said)))
        assert mirrored(first) == second
        assert "left" in first and "right" in first and first.index("left") < first.index("right")


def test_other_words_are_many_and_keep_the_form_of_the_verb():
    made = {reworded("a person is walking and then sits down.", numpy_rng("words", number)) for number in range(100)}
    assert len(made) > 50 and all(text.endswith(".") for text in made)
    assert any("strolling" in text for text in made) and any("takes a seat" in text for text in made)
    assert not any("strolls" in text for text in made)


def test_a_noun_that_looks_like_a_verb_stays():
    made = {
        reworded("someone takes a step and makes a quarter turn", numpy_rng("nouns", number)) for number in range(60)
    }
    assert all("a step" in text and "quarter turn" in text for text in made)
