"""Find what a person does in a motion: positions to phases."""

from dataclasses import replace

import numpy as np

from data_loaders.captioner import arms, legs, locomotion, posture
from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import JOINT, SIDES, Body, measure, own
from data_loaders.captioner.phases import BODY, Phase
from data_loaders.captioner.signals import merged
from utils.run.errors import DataError, NumericError

CODE = {kind: code for code, kind in enumerate(BODY)}  # "walk" stands for a run too, until it is told from one
RIGHT_TURN = CODE["turn"] + len(BODY)  # a turn to the right, lest one after another to the left become one with it


def phases_of(positions: np.ndarray, fps: float) -> tuple[Phase, ...]:
    """What happens in positions [T, 22, 3] (metres, y up, joints of `smpl22`) at `fps` frames a second, by start.

    The phases of the body follow one another from the first frame to the last; those of arms and legs lie over them.
    Raises DataError for other joints or no frame, NumericError for NaN or infinity.
    """
    _check(positions)
    body = measure(positions, fps)
    jumped = legs.jumps(body)
    codes, marched = _codes(body, jumped)
    found = [
        phase
        for first, end, code in merged(codes, at.POSTURE_SECONDS * fps)
        for phase in _body_phases(body, first, end, BODY[code % len(BODY)], jumped, marched)
    ]
    going = np.isin(codes, (CODE["walk"], CODE["run"]))
    limbs = [*arms.arm_phases(body, going, codes == CODE["jump"]), *_leg_phases(body, codes)]
    return tuple(sorted((_at_ends(body, phase) for phase in [*found, *limbs]), key=lambda phase: phase.start))


def _check(positions: np.ndarray) -> None:
    shape = np.shape(positions)
    if len(shape) != 3 or shape[1:] != (len(JOINT), 3) or not shape[0]:
        raise DataError(f"positions {list(shape)}: the captioner sees one frame or more of {len(JOINT)} joints")
    if not np.isfinite(positions).all():
        raise NumericError("positions hold NaN or infinity, in which the captioner sees nothing")


def _codes(body: Body, jumped: list[legs.Jump]) -> tuple[np.ndarray, np.ndarray]:
    """What the body does in each frame, as a number [T]; and whether it walks on the spot, bool [T]."""
    codes = np.full(body.frames, CODE["stand"])
    moves = locomotion.moving(body)
    codes[moves] = CODE["walk"]
    states = posture.postures(body)
    marched = np.zeros(body.frames, bool)
    for first, end in locomotion.marches(body, ~moves & np.isin(states, ("stand", "crouch"))):
        marched[first:end] = True
    codes[marched] = CODE["walk"]
    for first, end in locomotion.turns(body, ~moves):
        codes[first:end] = CODE["turn"] if body.heading[end - 1] > body.heading[first] else RIGHT_TURN
    going = moves | marched
    for first, end, kind in posture.phases_of_posture(body, states, going):
        held = slice(first, end) if kind not in ("crouch", "kneel") else first + np.flatnonzero(~going[first:end])
        codes[held] = CODE[kind]
    for first, end, *_ in jumped:
        codes[first:end] = CODE["jump"]
    return codes, marched & (codes == CODE["walk"])


def _body_phases(
    body: Body, first: int, end: int, kind: str, jumped: list[legs.Jump], marched: np.ndarray
) -> list[Phase]:
    """The phases of one part of the motion; a walk may have several, by its direction."""
    start, stop = first / body.fps, end / body.fps
    turned = float(body.heading[end - 1] - body.heading[first])
    if kind == "walk":
        way = np.linalg.norm(body.path[end - 1] - body.path[first])
        on_spot = marched[first:end].mean() > 0.5 and way < at.MOVE_LENGTH * body.size
        parts = [(first, end, "")] if on_spot else locomotion.by_direction(body, first, end)
        return [_move(body, *part) for part in parts]
    if kind == "jump":
        inside = [jump for jump in jumped if jump[0] < end and jump[1] > first]
        count, height = sum(jump[2] for jump in inside), max((jump[3] for jump in inside), default=0.0)
        direction = _jump_direction(body, first, end)
        return [Phase(kind, start, stop, direction=direction, turned=turned, count=count, height=height)]
    return [Phase(kind, start, stop, turned=turned if kind == "turn" else 0.0)]


def _move(body: Body, first: int, end: int, direction: str) -> Phase:
    """A walk or a run, on the spot without a direction."""
    return Phase(
        "run" if locomotion.is_run(body, first, end) else "walk",
        first / body.fps,
        end / body.fps,
        direction=direction,
        speed=float(body.speed[first:end].mean()),
        turned=float(body.heading[end - 1] - body.heading[first]),
        circle=locomotion.circle(body, first, end) if direction else 0.0,
        count=locomotion.steps(body, first, end),
    )


def _leg_phases(body: Body, codes: np.ndarray) -> list[Phase]:
    """Kicks and bows."""
    may_kick = ~np.isin(codes, [CODE[kind] for kind in ("jump", "sit", "lie", "kneel", "crawl")])
    may_bow = np.isin(codes, (CODE["stand"], CODE["turn"], RIGHT_TURN))
    kicked = [
        Phase("kick", first / body.fps, end / body.fps, SIDES[side], count=count, height=height)
        for first, end, side, count, height in legs.kicks(body, may_kick)
    ]
    return kicked + [Phase("bow", first / body.fps, end / body.fps) for first, end in posture.bows(body, may_bow)]


def _jump_direction(body: Body, first: int, end: int) -> str:
    """Where a jump goes, up where it stays in its place."""
    way = own((body.path[end - 1] - body.path[first])[None], body.heading[first:end].mean(keepdims=True))[0]
    if np.linalg.norm(way) < at.JUMP_LENGTH * body.size:
        return "up"
    angle = np.degrees(np.arctan2(way[1], way[0]))
    return locomotion.DIRECTIONS[round(angle / 90) % 4]


def _at_ends(body: Body, phase: Phase) -> Phase:
    """The phase, with whether it touches the first and the last frame."""
    last = body.frames / body.fps - 0.5 / body.fps
    return replace(phase, begun=phase.start < 0.5 / body.fps, lasts=phase.end > last)
