"""Plans put right: what a sentence tells is in the plan, mirrored sentences have mirrored plans, the rest stays."""

import math

import pytest

from data_loaders.captioner.corrected import corrected
from data_loaders.captioner.phases import Phase, mirrored_phases
from data_loaders.captioner.told import fit, told
from data_loaders.texts import mirrored

STAND = Phase("stand", 0, 1)
WALK = Phase("walk", 1, 6, direction="forward", speed=1.2, count=9)
RUN = Phase("run", 0, 6, direction="forward", speed=3.0, count=16)
TURN = Phase("turn", 1, 2.2, turned=-1.0)
ENDS = Phase("stand", 2.2, 6)
SITS = [Phase("sit down", 0, 1), Phase("sit", 1, 4), Phase("rise", 4, 5), Phase("stand", 5, 6)]
JUMPS = [STAND, Phase("jump", 1, 3, count=2), Phase("stand", 3, 6)]
WAVES = [Phase("stand", 0, 6), Phase("wave", 0.4, 4.4, side="right", count=4)]


def seen(sentence, phases):
    return corrected(told(sentence), phases)


@pytest.mark.parametrize(
    ("sentence", "phases", "wanted"),
    [
        ("he walks backwards", [STAND, WALK], lambda p: p[1].direction == "backward" and p[1].speed <= 0.9),
        ("she steps sideways to the left", [STAND, WALK], lambda p: p[1].direction == "left"),
        ("he walks in a circle, clockwise", [STAND, WALK], lambda p: p[1].turned == pytest.approx(-2 * math.pi)),
        ("he walks half a circle counterclockwise", [STAND, WALK], lambda p: p[1].turned == pytest.approx(math.pi)),
        ("turns around to the left", [STAND, TURN, ENDS], lambda p: p[1].turned == pytest.approx(math.pi)),
        ("turns right by 90 degrees", [STAND, TURN, ENDS], lambda p: p[1].turned == pytest.approx(-math.pi / 2)),
        ("turns to the right", [STAND, TURN, ENDS], lambda p: p[1] == TURN),
        ("walks slowly", [STAND, WALK], lambda p: p[1].speed < 0.75 and p[1].count < 9),
        ("he hurries", [STAND, WALK], lambda p: p[1].speed > 1.5),
        ("jogs along", [RUN], lambda p: p[0].speed < 2.2),
        ("she walks", [RUN], lambda p: p[0].kind == "walk"),
        ("sits down very slowly", SITS, lambda p: p[0].end > 2.2 and p[1].start == p[0].end),
        ("jumps four times", JUMPS, lambda p: p[1].count == 4 and p[1].end > 3.5 and p[2].start == p[1].end),
        ("jumps once", JUMPS, lambda p: p[1].count == 1 and p[1].end < 3 and (p[2].start, p[2].end) == (p[1].end, 6)),
        ("waves three times", WAVES, lambda p: p[1].count == 3 and p[1].end < 4.4),
        ("takes three steps", [STAND, WALK], lambda p: p[1].count == 3 and p[1].seconds < 2 and p[2].kind == "stand"),
    ],
)  # fmt: skip
def test_what_is_told_is_in_the_plan_and_fits_better_than_before(sentence, phases, wanted):
    plan = seen(sentence, phases)
    assert wanted(plan)
    steps = told(sentence)
    assert fit(steps, plan) >= fit(steps, phases)
    assert corrected(steps, plan) == plan
    body = [phase for phase in plan if phase.kind != "wave"]
    assert body[0].start == 0 and body[-1].end == 6
    assert all(a.end == pytest.approx(b.start) for a, b in zip(body, body[1:], strict=False))


@pytest.mark.parametrize("sentence", ["turns around to the left", "walks in a circle clockwise", "steps to the right"])
def test_mirrored_sentences_have_mirrored_plans(sentence):
    for phases in ([STAND, WALK], [STAND, TURN, ENDS]):
        assert seen(mirrored(sentence), mirrored_phases(phases)) == mirrored_phases(seen(sentence, phases))


@pytest.mark.parametrize("sentence", ["a person walks", "he walks, then walks slowly", "somebody dances", "waves"])
def test_what_is_not_told_or_told_twice_stays(sentence):
    assert seen(sentence, [STAND, WALK]) == (STAND, WALK)


def test_one_phase_turns_and_the_others_do_not():
    """A plan that turns hither and thither turns once where an angle is told."""
    phases = [TURN, Phase("walk", 2.2, 4, direction="forward", turned=1.0), Phase("turn", 4, 6, turned=2.0)]
    plan = seen("he turns around to the left", phases)
    assert [round(p.turned, 3) for p in plan] == [0, 0, round(math.pi, 3)] and plan[0].kind == "stand"
