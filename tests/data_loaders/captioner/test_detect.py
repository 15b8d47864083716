"""The detector on a made-up person: each kind with its side, direction, sign and count, and what must change none."""

import dataclasses

import numpy as np
import pytest

from data_loaders.captioner.detect import phases_of
from data_loaders.captioner.phases import BODY, LIMBS, Phase
from tests import actors
from utils.geometry.resample import resample
from utils.run.errors import DataError, NumericError

MOTIONS = {
    "stand": actors.stand(2),
    "walk": actors.walk(4),
    "walk back": actors.walk(4, 0.8, np.pi),
    "walk left": actors.walk(4, 0.7, np.pi / 2),
    "curve left": actors.walk(4, turning=0.4),
    "circle left": actors.walk(5, 1.0, turning=1.1),
    "run": actors.walk(4, 2.6, cadence=2.8, rise=0.06),
    "turn left": actors.turn(1.6),
    "raise left": actors.raise_arms(("left",)),
    "raise right to the side": actors.raise_arms(("right",), 1.6, 1.5),
    "raise both ahead": actors.raise_arms(("left", "right"), 1.6, 0.0),
    "wave left": actors.wave("left", 4),
    "punch left": actors.punch("left", 2),
    "kick left": actors.kick("left", 2),
    "jump": actors.jump(3),
    "jump ahead": actors.jump(1, forward=0.8),
    "sit": actors.sit(),
    "crouch": actors.crouch(),
    "bow": actors.bow(),
    "kneel": actors.kneel(),
    "crawl": actors.crawl(),
    "lie": actors.lie(),
}
OTHER = {"left": "right", "right": "left"}


def found(motion: np.ndarray, fps: float = actors.FPS) -> list[Phase]:
    """What is found but standing, which is before and after most things."""
    return [phase for phase in phases_of(motion, fps) if phase.kind != "stand"]


def only(motion: np.ndarray, kind: str) -> Phase:
    """The one phase of that kind."""
    (phase,) = [phase for phase in phases_of(motion, actors.FPS) if phase.kind == kind]
    return phase


def summary(phases: list[Phase]) -> list[tuple]:
    """Phases without what is measured."""
    return [(phase.kind, phase.side, phase.direction, phase.count) for phase in phases]


def test_a_person_who_stands_does_nothing_else():
    (phase,) = phases_of(MOTIONS["stand"], actors.FPS)
    assert (phase.kind, phase.start, phase.end, phase.begun, phase.lasts) == ("stand", 0, 2, True, True)


@pytest.mark.parametrize(
    ("way", "direction"),
    [(0.0, "forward"), (np.pi, "backward"), (np.pi / 2, "left"), (-np.pi / 2, "right")],
)
def test_a_walk_goes_where_it_goes_against_the_facing(way: float, direction: str):
    (phase,) = found(actors.walk(4, 0.9, way))
    assert (phase.kind, phase.direction, phase.circle) == ("walk", direction, 0)
    assert phase.speed == pytest.approx(0.9, abs=0.05)
    assert abs(phase.count - 8) <= 1  # two steps a second
    assert abs(phase.turned) < 0.1


def test_a_run_is_told_from_a_walk():
    (phase,) = found(MOTIONS["run"])
    assert (phase.kind, phase.direction) == ("run", "forward")
    assert phase.speed == pytest.approx(2.6, abs=0.1)


def test_arms_that_swing_in_a_walk_are_not_raised():
    assert {phase.kind for phase in phases_of(actors.walk(4, 1.6, cadence=2.2), actors.FPS)} == {"walk"}


@pytest.mark.parametrize("turning", [0.4, -0.4])
def test_a_walk_that_turns_stays_one_walk(turning: float):
    (phase,) = found(actors.walk(4, turning=turning))
    assert phase.kind == "walk"
    assert phase.turned == pytest.approx(4 * turning, abs=0.1)
    assert phase.circle == 0


@pytest.mark.parametrize("turning", [1.1, -1.1])
def test_a_circle_is_an_even_turn_of_path_and_heading(turning: float):
    (phase,) = found(actors.walk(5, 1.0, turning=turning))
    assert phase.circle == pytest.approx(5 * turning / (2 * np.pi), abs=0.1)


def test_a_corner_is_no_circle():
    corner = actors.then(actors.walk(2), actors.walk(1.5, 1.0, turning=1.7), actors.walk(2))
    assert [phase.circle for phase in found(corner) if phase.kind == "walk"] == [0]


@pytest.mark.parametrize("angle", [1.6, -3.0])
def test_a_turn_on_the_spot_has_its_angle(angle: float):
    (phase,) = found(actors.turn(angle))
    assert phase.kind == "turn"
    assert phase.turned == pytest.approx(angle, abs=0.15)


@pytest.mark.parametrize("sides", [("left",), ("right",), ("left", "right")])
@pytest.mark.parametrize(("up", "out", "direction"), [(2.6, 0.3, "up"), (1.6, 0.0, "front"), (1.6, 1.5, "side")])
def test_arms_go_up_stay_and_come_down(sides: tuple[str, ...], up: float, out: float, direction: str):
    side = "both" if len(sides) == 2 else sides[0]
    phases = found(actors.raise_arms(sides, up, out))
    assert summary(phases) == [(kind, side, direction, 0) for kind in ("raise arm", "hold arm up", "lower arm")]
    assert (phases[0].height > 0.15) == (direction == "up")


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("count", [2, 4])
def test_a_wave_has_its_hand_and_count(side: str, count: int):
    phase = only(actors.wave(side, count), "wave")
    assert (phase.side, phase.count) == (side, count)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_punches_and_kicks_have_their_side_and_count(side: str, count: int):
    assert summary(found(actors.punch(side, count))) == [("punch", side, "", count)]
    (kick,) = found(actors.kick(side, count, 0.7))
    assert (kick.kind, kick.side, kick.count) == ("kick", side, count)
    assert kick.height == pytest.approx(0.7, abs=0.15)


def test_who_stands_on_one_leg_does_not_kick():
    lifted = actors.ease(4, 0.5, 1.5)
    feet = np.array([[0.09, 0.08, 0], [-0.09, 0.08, 0]]) + np.zeros((len(lifted), 2, 3))
    feet[:, 0, 1] += 0.4 * lifted
    assert found(actors.act(4, feet=feet)) == []


@pytest.mark.parametrize("count", [1, 2, 4])
def test_jumps_are_counted(count: int):
    phase = only(actors.jump(count, 0.3), "jump")
    assert (phase.count, phase.direction) == (count, "up")
    assert phase.height == pytest.approx(0.3, abs=0.06)


def test_a_jump_goes_ahead_and_back():
    assert only(MOTIONS["jump ahead"], "jump").direction == "forward"
    assert only(MOTIONS["jump ahead"][::-1], "jump").direction == "backward"


def test_sitting_down_reversed_is_rising():
    assert [phase.kind for phase in phases_of(MOTIONS["sit"], actors.FPS)] == ["stand", "sit down", "sit"]
    assert [phase.kind for phase in phases_of(MOTIONS["sit"][::-1], actors.FPS)] == ["sit", "rise", "stand"]


def test_a_crouch_is_no_seat_and_a_bow_is_neither():
    assert [phase.kind for phase in found(MOTIONS["crouch"])] == ["crouch down", "crouch"]
    assert [phase.kind for phase in found(MOTIONS["bow"])] == ["bow"]


@pytest.mark.parametrize("kind", ["kneel", "crawl", "lie"])
def test_postures_on_the_floor_are_told_apart(kind: str):
    assert [phase.kind for phase in phases_of(MOTIONS[kind], actors.FPS)] == [kind]


def test_a_walk_reversed_goes_the_other_way():
    for name, direction in (("walk", "backward"), ("walk back", "forward"), ("walk left", "right")):
        (phase,) = found(MOTIONS[name][::-1])
        assert (phase.kind, phase.direction) == ("walk", direction)


def test_what_follows_comes_after():
    motion = actors.then(actors.walk(2), actors.jump(), actors.turn(1.5), actors.kick("right"), actors.sit())
    kinds = [phase.kind for phase in found(motion)]
    assert kinds == ["walk", "jump", "turn", "kick", "sit down", "sit"]
    back = [phase.kind for phase in found(actors.then(actors.kick("right"), actors.jump()))]
    assert back == ["kick", "jump"]


@pytest.mark.parametrize("name", MOTIONS)
def test_the_mirror_image_does_the_same_on_the_other_side(name: str):
    def swapped(phase: Phase) -> Phase:
        side, way = OTHER.get(phase.side, phase.side), OTHER.get(phase.direction, phase.direction)
        return dataclasses.replace(phase, side=side, direction=way, turned=-phase.turned, circle=-phase.circle)

    ours = sorted(map(swapped, phases_of(MOTIONS[name], actors.FPS)), key=str)
    theirs = sorted(phases_of(actors.mirrored(MOTIONS[name]), actors.FPS), key=str)
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", MOTIONS)
def test_where_and_which_way_in_the_world_does_not_matter(name: str):
    moved = actors.turned(MOTIONS[name], 2.3) + np.array([3.0, 0.5, -7.0])
    assert_same(phases_of(MOTIONS[name], actors.FPS), phases_of(moved, actors.FPS))


@pytest.mark.parametrize("name", MOTIONS)
def test_children_and_giants_do_the_same(name: str):
    # A body of another size falls and swings at other speeds: time goes with the root of the size.
    for size in (0.75, 1.15):
        kinds = summary(found(MOTIONS[name] * size, actors.FPS / size**0.5))
        assert kinds == summary(found(MOTIONS[name]))


@pytest.mark.parametrize("name", MOTIONS)
def test_the_frame_rate_does_not_matter(name: str):
    assert summary(found(resample(MOTIONS[name], actors.FPS, 30), 30)) == summary(found(MOTIONS[name]))


@pytest.mark.parametrize("name", MOTIONS)
def test_a_trembling_floating_sliding_motion_reads_the_same(name: str):
    motion = MOTIONS[name]
    rng, time = np.random.default_rng(0), np.arange(len(motion)) / actors.FPS
    tremble = rng.normal(0, 0.005, motion.shape)
    drift = np.stack([0.03 * time, 0.01 * np.sin(2 * np.pi * 0.4 * time), 0 * time], -1)[:, None]
    assert summary(found(motion + tremble + drift)) == summary(found(motion))


@pytest.mark.parametrize("name", MOTIONS)
def test_phases_of_the_body_fill_the_motion(name: str):
    phases = phases_of(MOTIONS[name], actors.FPS)
    body = [phase for phase in phases if phase.kind in BODY]
    assert [phase.start for phase in body] == [0.0, *(phase.end for phase in body[:-1])]
    assert body[-1].end == len(MOTIONS[name]) / actors.FPS
    assert [phase.begun for phase in body] == [True] + [False] * (len(body) - 1)
    assert [phase.lasts for phase in body] == [False] * (len(body) - 1) + [True]
    assert all(phase.kind in BODY + LIMBS and 0 <= phase.start < phase.end for phase in phases)
    assert list(phases) == sorted(phases, key=lambda phase: phase.start)


def test_a_window_says_what_began_before_it():
    seated = phases_of(MOTIONS["sit"][40:], actors.FPS)
    assert [(phase.kind, phase.begun, phase.lasts) for phase in seated] == [("sit", True, True)]


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
def test_very_short_motions_are_read(frames: int):
    assert phases_of(MOTIONS["stand"][:frames], actors.FPS)[0].kind == "stand"


@pytest.mark.parametrize("shape", [(0, 22, 3), (5, 3, 3), (5, 24, 3), (5, 22, 2), (22, 3)])
def test_other_joints_and_no_frames_are_refused(shape: tuple[int, ...]):
    with pytest.raises(DataError, match="one frame or more of 22 joints"):
        phases_of(np.zeros(shape), actors.FPS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_no_standing(value: float):
    motion = MOTIONS["walk"].copy()
    motion[5, 0, 0] = value
    with pytest.raises(NumericError, match="NaN or infinity"):
        phases_of(motion, actors.FPS)


def assert_same(ours, theirs) -> None:
    """The same phases, up to rounding."""
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        for field in dataclasses.fields(Phase):
            mine, yours = getattr(one, field.name), getattr(other, field.name)
            assert mine == (pytest.approx(yours, abs=1e-3) if isinstance(yours, float) else yours), (one, other)
