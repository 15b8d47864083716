"""The language of expectations over phases: what it says, what it refuses, and that sides and order matter."""

import math

import pytest

from data_loaders.captioner.phases import Phase, mirrored_phases
from eval.recognition.expectations import measured, obeys, parse, shown
from utils.run.errors import DataError

RAD = math.radians
WALK = Phase("walk", 0, 2, direction="forward", speed=1.2, turned=RAD(10), count=4, begun=True)
STAND = Phase("stand", 4, 6, lasts=True)
JUMP = Phase("jump", 2, 3, direction="up", count=2, height=0.3)
LEFT = Phase("raise arm", 1, 2, side="left", direction="up")
MOTIONS = {
    "walk, jump": (WALK, JUMP, STAND),
    "jump, walk": (
        Phase("jump", 0, 1, direction="up", count=3),
        Phase("walk", 1, 6, direction="backward", speed=0.6, lasts=True),
    ),
    "circle": (Phase("walk", 0, 6, "", "forward", 1.0, RAD(-320), -0.9, begun=True, lasts=True),),
    "turn": (Phase("stand", 0, 1, begun=True), Phase("turn", 1, 2, turned=RAD(80)), Phase("stand", 2, 6, lasts=True)),
    "arm": (Phase("stand", 0, 6, begun=True, lasts=True), LEFT),
    "sit": (Phase("stand", 0, 1, begun=True), Phase("sit down", 1, 2), Phase("sit", 2, 6, lasts=True)),
}  # fmt: skip


def obeyed(text: str, motion: str) -> bool:
    return obeys(parse(text), MOTIONS[motion])


@pytest.mark.parametrize(
    "text, motion, answer",
    [
        ("walk", "walk, jump", True),
        ("run", "walk, jump", False),
        ("run|walk", "walk, jump", True),
        ("walk(direction=forward)", "walk, jump", True),
        ("walk(direction=forward)", "jump, walk", False),
        ("walk(direction=backward)", "jump, walk", True),
        ("raise arm(side=left)", "arm", True),
        ("raise arm(side=right)", "arm", False),
        ("raise arm(side=left) and no raise arm(side=right|both)", "arm", True),
        ("raise arm and no raise arm(side=left|both)", "arm", False),
        ("walk(circle<-0.6)", "circle", True),
        ("walk(circle>0.6)", "circle", False),
        ("walk|turn(turned~90)", "turn", True),
        ("walk|turn(turned~-90)", "turn", False),
        ("walk|turn(angle~90)", "turn", True),
        ("turn(turned~110)", "turn", False),
        ("turn(turned~100)", "turn", True),
        ("walk(speed>1, seconds>1.5)", "walk, jump", True),
        ("walk(speed>1.3)", "walk, jump", False),
        ("jump(count=2)", "walk, jump", True),
        ("jump(count=2)", "jump, walk", False),
        ("walk then jump", "walk, jump", True),
        ("jump then walk", "walk, jump", False),
        ("walk then jump", "jump, walk", False),
        ("jump then walk", "jump, walk", True),
        ("walk then jump then stand at end", "walk, jump", True),
        ("walk then stand at end", "jump, walk", False),
        ("no walk at end", "jump, walk", False),
        ("no walk at end", "walk, jump", True),
        ("no sit at start and sit down then sit at end", "sit", True),
        ("stand then turn then stand", "turn", True),
        ("walk then jump(count=2)", "walk, jump", True),
        ("walk(count=3) then jump", "walk, jump", False),
    ],
)
def test_what_is_obeyed(text, motion, answer):
    assert obeyed(text, motion) == answer


@pytest.mark.parametrize("text", ["walk(circle<-0.6)", "raise arm(side=left)", "walk|turn(turned~90)"])
def test_the_mirrored_motion_does_not_obey(text):
    motions = [motion for motion in MOTIONS.values() if obeys(parse(text), motion)]
    assert motions and not any(obeys(parse(text), mirrored_phases(motion)) for motion in motions)


def test_one_thing_while_another_goes_on_is_no_order():
    walk = Phase("walk", 0, 6, direction="forward", begun=True, lasts=True)
    wave = Phase("wave", 2, 4, side="left")
    assert not obeys(parse("walk then wave"), (walk, wave))
    assert obeys(parse("walk and wave"), (walk, wave))
    assert obeys(parse("walk then wave"), (Phase("walk", 0, 2.5, begun=True), wave))


def test_what_came_before_as_well_is_no_order():
    again = (MOTIONS["jump, walk"][0], Phase("walk", 1, 3, direction="forward"), Phase("jump", 3, 4, count=1))
    assert not obeys(parse("walk then jump"), again)
    assert obeys(parse("jump then walk then jump"), again)


def test_a_shift_of_weight_is_no_walk():
    assert not obeys(parse("walk"), (Phase("walk", 0, 0.4),))
    assert obeys(parse("no walk"), (Phase("walk", 0, 0.4),))


def test_a_speed_is_compared_with_that_of_the_plain_sentence():
    slow, fast = (Phase("walk", 0, 6, speed=speed) for speed in (0.8, 1.2))
    asked = parse("walk(speed<0.9 plain)")
    assert obeys(asked, [slow], plain=[fast]) and not obeys(asked, [fast], plain=[slow])
    assert not obeys(asked, [slow]) and not obeys(asked, [slow], plain=[STAND])


def test_what_a_classifier_sees():
    asked = parse("looks like dance and no sit", ("dance", "walk"))
    assert obeys(asked, [WALK], "dance") and not obeys(asked, [WALK], "walk")
    assert not obeys(asked, MOTIONS["sit"], "dance")


def test_fields_of_several_phases():
    phases = [Phase("walk", 0, 1, speed=1, turned=RAD(30), count=2), Phase("walk", 1, 4, speed=2, turned=RAD(-90))]
    names = ("speed", "turned", "angle", "count", "seconds", "height")
    assert [measured(name, phases) for name in names] == pytest.approx([1.75, -60, 60, 2, 3, 0])


@pytest.mark.parametrize(
    "text, said",
    [
        ("wlak", "did you mean walk"),
        ("walk(", "is not `KIND`"),
        ("walk(sped<1)", "no field of a phase"),
        ("walk(side=up)", "one of left, right, both"),
        ("walk(direction>left)", "one of forward"),
        ("walk(speed=1)", "speed~1"),
        ("walk(count<many)", "no number"),
        ("walk(turned~nan)", "no number"),
        ("walk(turned~inf)", "no number"),
        ("walk(turned<0.9 plain)", "only speed and seconds"),
        ("walk()", "no condition such as"),
        ("no walk then jump", "no place in an order"),
        ("looks like dence", "did you mean dance"),
        ("", "is not `KIND`"),
    ],
)
def test_what_cannot_be_read_is_said(text, said):
    with pytest.raises(DataError, match=said):
        parse(text, ("dance",))


def test_what_a_motion_shows_in_one_line():
    told = shown(MOTIONS["circle"])
    assert told == "walk(forward, -320 deg, circle -0.90, 1.0 m/s) 0.0-6.0" and shown([]) == "nothing"
