"""Sentences about phases of motion: what they tell is so, in order, and the mirrored motion has the mirrored ones."""

import math
import re

import numpy as np
import pytest

from data_loaders.captioner.agreement import SHOWN, agrees
from data_loaders.captioner.phases import BODY, LIMBS, Phase, mirrored_phases
from data_loaders.captioner.wording import sentences
from data_loaders.text.captions import PHRASES, STYLES, conjugated
from data_loaders.texts import mirrored

QUARTER = math.radians(88)
WALK = Phase("walk", 0, 3, direction="forward", speed=1.2, count=5, begun=True)
STOP = Phase("stand", 3, 5, lasts=True)
LEFT_ARM = Phase("raise arm", 1, 2, side="left", direction="up", height=0.4)
WINDOWS = {
    "circle": [Phase("walk", 0, 6, direction="forward", speed=1.2, turned=-5.9, circle=-0.95, begun=True, lasts=True)],
    "corner": [Phase("walk", 0, 4, direction="forward", speed=1.2, turned=QUARTER, begun=True, lasts=True)],
    "turn": [Phase("stand", 0, 1, begun=True), Phase("turn", 1, 2, turned=QUARTER), Phase("stand", 2, 3, lasts=True)],
    "backward": [Phase("walk", 0, 4, direction="backward", speed=0.5, begun=True, lasts=True)],
    "sideways": [Phase("walk", 0, 4, direction="left", speed=0.7, begun=True, lasts=True)],
    "arm": [Phase("stand", 0, 4, begun=True, lasts=True), LEFT_ARM],
    "kick": [Phase("stand", 0, 3, begun=True, lasts=True), Phase("kick", 1, 1.6, side="left", count=1, height=1.2)],
    "walk, arm": [WALK, STOP, LEFT_ARM],
    "sit": [Phase("stand", 0, 1, begun=True), Phase("sit down", 1, 2, height=0.45), Phase("sit", 2, 5, lasts=True)],
    "jump turn": [Phase("jump", 0.2, 1, direction="left", count=1, turned=3.0, height=0.4), Phase("stand", 1, 2)],
}


def told(phases: list[Phase], count: int = 200, style: str = "") -> list[str]:
    return sentences(phases, np.random.RandomState(1), count, STYLES.get(style))


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_the_mirrored_motion_has_the_mirrored_sentences(window):
    assert told(list(mirrored_phases(window))) == [mirrored(text) for text in told(window)]
    assert told(list(mirrored_phases(window)), 40, "exhausted") == [
        mirrored(text) for text in told(window, 40, "exhausted")
    ]


@pytest.mark.parametrize(
    "name, said, not_said",
    [
        ("circle", r"(?<!counter)clockwise|right", "counterclockwise|left"),
        ("corner", "left", "right|clockwise"),
        ("turn", "left", "right|clockwise"),
        ("backward", r"back|reverse", "forward|ahead|quick|fast|brisk"),
        ("sideways", "left", "right|forward|back"),
        ("arm", "left", "right|both"),
        ("kick", "left", "right|both"),
        ("walk, arm", "walk|step|stroll|mov|head", "right|backward|slow"),
        ("sit", "sit|seat", "stand up|get up|getting up|lie|ground|walk"),
    ],
)
def test_what_is_told_is_so_and_most_sentences_tell_it(name, said, not_said):
    texts = told(WINDOWS[name])
    assert not [text for text in texts if re.search(not_said, text)]
    assert np.mean([bool(re.search(said, text)) for text in texts]) >= 0.7


def first_of(text: str, *patterns: str) -> list[int]:
    found = [re.search(pattern, text) for pattern in patterns]
    return [match.start() for match in found if match]


def in_order(text: str, first: str, second: str) -> bool:
    """Whether the first is told before the second, or after it with the word `after`."""
    places = first_of(text, first, second)
    late = re.search(" after (?!that)", text)
    return (places[0] < places[1]) != bool(late)


def test_things_are_told_in_the_order_in_which_they_were_done():
    walk = Phase("walk", 0, 2, direction="forward", begun=True)
    jump = Phase("jump", 2, 3, direction="up", count=1)
    other = [Phase("jump", 0, 1, direction="up", count=1), Phase("walk", 1, 3, direction="forward", lasts=True)]
    going, leap = r"walk|stroll|step|mov|head", r"jump|leap|hop|spring"
    for phases, first, second in (([walk, jump], going, leap), (other, leap, going)):
        both = [text for text in told(phases) if len(first_of(text, first, second)) == 2]
        assert len(both) > 60 and all(in_order(text, first, second) for text in both)
        assert not any(in_order(text, second, first) for text in both)


def test_a_stop_is_told_of_what_ends_and_not_of_what_goes_on():
    stops = re.compile("stop|halt|stand")
    assert np.mean([bool(stops.search(text)) for text in told([WALK, STOP])]) > 0.5
    assert not any(stops.search(text) for text in told([Phase("walk", 0, 5, direction="forward", lasts=True)]))


def test_what_had_begun_is_under_way():
    texts = told([Phase("sit", 0, 2, begun=True), Phase("rise", 2, 3), Phase("stand", 3, 5, lasts=True)])
    assert not any(re.search("sits? down|takes? a seat|sitting down", text) for text in texts)
    assert any(re.search(" is sitting", text) for text in texts)


@pytest.mark.parametrize("count, begun, number", [(4, False, "four|4"), (4, True, ""), (9, False, "")])
def test_steps_are_counted_where_all_were_seen(count, begun, number):
    texts = told([Phase("walk", 0, 3, direction="forward", count=count, begun=begun), STOP])
    numbers = {match for text in texts for match in re.findall(r"\b(?:\d+|one|two|three|four|five|nine)\b", text)}
    assert numbers == set(filter(None, number.split("|")))


def test_jumps_kicks_and_waves_are_counted_in_words_and_digits():
    texts = " ".join(told([Phase("jump", 0.5, 3, direction="up", count=3), Phase("stand", 3, 4, lasts=True)]))
    assert "three times" in texts and "3 times" in texts and "twice" not in texts


@pytest.mark.parametrize(
    "degrees, words", [(90, "quarter|90 degrees"), (180, "around|half|180"), (360, "full|360|all the way")]
)
def test_angles_are_told_in_words(degrees, words):
    others = {"quarter|90 degrees", "half|180", "360|all the way"} - {words, words.removeprefix("around|"), words[5:]}
    texts = told([Phase("turn", 0.5, 2, turned=-math.radians(degrees)), Phase("stand", 2, 3, lasts=True)])
    assert any(re.search(words, text) for text in texts)
    assert not any(re.search(other, text) for other in others for text in texts)


def test_arms_are_told_with_the_walk_during_which_they_move():
    texts = told([Phase("walk", 0, 5, direction="forward", begun=True, lasts=True), LEFT_ARM])
    assert np.mean([bool(re.search("while|, (rais|lift|put|stretch)", text)) for text in texts]) > 0.5


def test_who_only_stands_while_an_arm_moves_is_not_said_to_stand():
    stand = Phase("stand", 0, 6, begun=True, lasts=True)
    early, late = ([stand, Phase("wave", start, 5, side="left", count=3)] for start in (0.2, 3.0))
    assert not any("stand" in text or "wait" in text for text in told(early))
    assert any("stand" in text for text in told(late)), "three seconds of it are told"


def test_a_kick_is_told_of_a_walk_in_which_it_is():
    texts = told([Phase("run", 0, 5, direction="forward", speed=2.0), Phase("kick", 3, 3.5, side="right", count=1)])
    assert np.mean(["kick" in text for text in texts]) > 0.85
    assert not any("walk" in text or "left" in text for text in texts)


@pytest.mark.parametrize(
    "speed, said, not_said", [(2.0, "jog|slow", "sprint|dash|fast|quick"), (5.0, "sprint|dash|fast|quick", "jog|slow")]
)
def test_words_tell_the_speed(speed, said, not_said):
    texts = told([Phase("run", 0, 5, direction="forward", speed=speed, begun=True, lasts=True)])
    assert any(re.search(said, text) for text in texts) and not any(re.search(not_said, text) for text in texts)


def test_a_style_is_told_and_sentences_are_distinct_and_stay_the_same():
    texts = told(WINDOWS["backward"], 40, "elderly")
    assert np.mean([bool(re.search("old|elderly|aged|senior|frail", text)) for text in texts]) > 0.6
    assert len(set(texts)) == 40 and texts == told(WINDOWS["backward"], 40, "elderly")
    assert told([]) == []


@pytest.mark.parametrize("kind", [*BODY, *LIMBS])
def test_every_kind_has_words(kind):
    phase = Phase(kind, 0, 2, side="both" if kind in LIMBS else "", direction="forward", count=2, turned=1.0)
    assert len(told([phase], 10)) >= 5 and not any(re.search(r"[*{}]|  ", text) for text in told([phase]))


def test_verbs_that_end_otherwise_are_conjugated():
    assert [conjugated(f"*{verb}", "ing") for verb in ("lie", "squat", "sidestep")] == [
        "lying",
        "squatting",
        "sidestepping",
    ]


def test_words_that_are_no_sides_are_not_mirrored():
    assert mirrored("walks left with no energy left right away") == "walks right with no energy left right away"


def test_every_label_has_its_row():
    assert set(SHOWN) == set(PHRASES)


@pytest.mark.parametrize(
    "kind, window",
    [("walk-turn-left", "corner"), ("walk-back", "backward"), ("walk-left", "sideways"), ("raise-up-left-hand", "arm")],
)
def test_a_label_agrees_with_its_window_and_not_with_the_mirrored_one(kind, window):
    assert agrees(kind, False, WINDOWS[window])
    assert kind == "walk-back" or not agrees(kind, True, WINDOWS[window])
    assert kind == "walk-back" or agrees(kind, True, mirrored_phases(WINDOWS[window]))
    assert not agrees(kind, False, WINDOWS["kick"])


def test_labels_out_of_sight_are_believed_and_others_not():
    assert agrees("dance", False, WINDOWS["walk, arm"]) and agrees("laugh", True, [])
    assert agrees("kick", False, WINDOWS["kick"]) and not agrees("kick", False, WINDOWS["circle"])
    assert agrees("sit", False, WINDOWS["sit"]) and not agrees("run", False, WINDOWS["circle"])
    assert agrees("idle", False, WINDOWS["arm"]) and not agrees("idle", False, WINDOWS["circle"])
