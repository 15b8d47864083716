"""What a sentence tells by its words, and that a motion fits it better than its mirror image or another order."""

import math
from dataclasses import replace

import numpy as np
import pytest

from data_loaders.captioner.phases import Phase, mirrored_phases
from data_loaders.captioner.told import fit, told
from data_loaders.captioner.wording import sentences
from data_loaders.texts import mirrored

HALF, FULL = math.pi, 2 * math.pi
STAND = Phase("stand", 4, 6, lasts=True)
WALK = Phase("walk", 0, 4, direction="forward", speed=1.2, count=7)
JUMP = Phase("jump", 4, 5, count=1)
SITS_AND_RISES = [Phase("sit down", 0, 2), Phase("rise", 3, 5)]
MOTIONS = {
    "circle": [Phase("walk", 0, 6, direction="forward", speed=1.2, turned=-FULL, circle=-1.0)],
    "corner": [Phase("walk", 0, 6, direction="forward", speed=1.2, turned=HALF / 2)],
    "turn": [Phase("stand", 0, 1), Phase("turn", 1, 2, turned=HALF), Phase("stand", 2, 5)],
    "sideways": [Phase("walk", 0, 6, direction="left", speed=0.7)],
    "wave": [Phase("stand", 0, 6), Phase("wave", 1, 4, side="right", count=3)],
    "kick": [Phase("stand", 0, 3), Phase("kick", 1, 2, side="left", count=1, height=1.1)],
}


def facts(sentence: str) -> list[tuple]:
    """The steps of a sentence, short: the first kind and what is told of it."""
    names = ("side", "directions", "turn", "angle", "circle", "count", "pace", "later")
    told_of = [(next(iter(step.kinds)), *(getattr(step, name) for name in names)) for step in told(sentence)]
    return [tuple(value for value in row if value) for row in told_of]


@pytest.mark.parametrize(
    ("sentence", "steps"),
    [
        ("a person walks forward", [("walk", ("forward",))]),
        ("a man walks backwards slowly", [("walk", ("backward",), "slow")]),
        ("someone takes four steps to the left", [("walk", ("left",), 4)]),
        ("he sidesteps", [("walk", ("left", "right"))]),
        ("a person walks in a circle clockwise", [("walk", -1, 1.0)]),
        ("jogs half a circle, counterclockwise", [("run", 1, 0.5, "slow")]),
        ("turns right by about 90 degrees", [("turn", -1, HALF / 2)]),
        ("a person turns around quickly", [("turn", HALF, "quick")]),
        ("the person kicks with the left leg", [("kick", "left")]),
        ("with the right hand she waves three times", [("wave", "right", 3)]),
        ("raises both arms", [("raise arm", "both")]),
        ("a person jumps twice, then stops", [("jump", 2), ("stand", True)]),
        ("sits down on a chair and stands up", [("sit down",), ("rise", True)]),
        ("walks and waves the left hand", [("walk",), ("wave", "left")]),
        ("takes two steps, turns left and stops", [("walk", 2), ("turn", 1), ("stand", True)]),
        ("sits down after jumping", [("jump",), ("sit down", True)]),
        ("After jumping, she sits down.", [("jump",), ("sit down", True)]),
        ("jumps before sitting down", [("jump",), ("sit down", True)]),
        ("strafes right, facing forward", [("walk", ("right",))]),
        ("a fast walk, in a hurry", [("walk", "quick")]),
        ("he retreats", [("walk", ("backward",))]),
        ("ambles along, taking his time", [("walk", "slow")]),
        ("does one full lap, anticlockwise", [("walk", 1, 1.0)]),
        ("makes an about-face over the left shoulder", [("turn", 1, HALF)]),
        ("does a full 360 to the right", [("turn", -1, FULL)]),
        ("walks quickly but never breaks into a run", [("walk", "quick")]),
        ("jumps straight up a single time", [("jump", ("up",), 1)]),
        ("lowers herself onto a chair, little by little", [("sit down", "slow")]),
        ("moves on hands and knees", [("crawl",)]),
        ("says goodbye with the left hand", [("wave", "left")]),
        ("throws both arms into the air", [("raise arm", "both")]),
        ("a knight strides ahead", [("walk", ("forward",))]),
        ("four strides, then comes to a standstill", [("walk", 4), ("stand", True)]),
        ("dances salsa right away", []),
    ],
)
def test_words_tell_steps(sentence, steps):
    assert facts(sentence) == steps


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS)
def test_a_motion_fits_its_sentences_and_its_mirror_image_the_mirrored_ones(motion):
    """The captioner's own sentences: fits are those of the mirrored motion and sentence, and better than crosswise."""
    texts = sentences(motion, np.random.RandomState(0), 60)
    own = [fit(told(text), motion) for text in texts]
    other = [fit(told(text), mirrored_phases(motion)) for text in texts]
    assert [fit(told(mirrored(text)), mirrored_phases(motion)) for text in texts] == pytest.approx(own)
    sided = [mirrored(text) != text for text in texts]
    assert np.mean(own) > 0.85 and sum(sided) > 20
    worse = [b < a for a, b, side in zip(own, other, sided, strict=True) if side]
    assert np.mean(worse) > 0.9 and all(b <= a + 1e-9 for a, b in zip(own, other, strict=True))


@pytest.mark.parametrize(
    ("sentence", "right", "wrong"),
    [
        ("walks then jumps", [WALK, JUMP], [replace(JUMP, start=0, end=1), replace(WALK, start=1)]),
        ("walks and stops", [WALK, STAND], [replace(STAND, start=0, end=2), replace(WALK, start=2, end=6)]),
        ("sits down and stands up", SITS_AND_RISES, [Phase("sit", 0, 6)]),
        ("sits down and stands up", SITS_AND_RISES, [Phase("rise", 0, 2), Phase("sit down", 3, 5)]),
        ("waves three times", MOTIONS["wave"], [MOTIONS["wave"][0], replace(MOTIONS["wave"][1], count=1)]),
        ("walks slowly", [replace(WALK, speed=0.6)], [WALK]),
        ("sits down slowly", [Phase("sit down", 0, 3)], [Phase("sit down", 0, 1)]),
        ("runs fast", [Phase("run", 0, 4, speed=4.0)], [Phase("run", 0, 4, speed=2.0)]),
        ("walks in a circle", MOTIONS["circle"], [replace(MOTIONS["circle"][0], turned=-HALF / 2, circle=-0.25)]),
        ("stands still", [STAND], [WALK]),
        ("walks forward", [WALK], [replace(WALK, end=2), Phase("walk", 2, 4, direction="backward")]),
        ("walks forward, then backward", [WALK, Phase("walk", 4, 6, direction="backward")], [WALK]),
        ("waves", MOTIONS["wave"], [Phase("walk", 0, 6), MOTIONS["wave"][1]]),
    ],
)  # fmt: skip
def test_what_is_told_fits_better_than_what_is_not(sentence, right, wrong):
    assert fit(told(sentence), right) > fit(told(sentence), wrong) + 0.05
    assert 0 <= fit(told(sentence), wrong) <= fit(told(sentence), right) <= 1


def test_a_sentence_that_tells_nothing_known_fits_all():
    assert fit(told("a person dances"), [WALK]) == 1 and fit(told("a person walks"), []) == 0
