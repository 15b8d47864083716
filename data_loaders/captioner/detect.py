"""Find what a person does in a motion: positions to phases."""

from dataclasses import replace

import numpy as np

from data_loaders.captioner import arms, legs, locomotion, posture
from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import SIDES, Body, measure, own
from data_loaders.captioner.phases import Phase
from utils.geometry.contacts import runs

STAND, MOVE, TURN, JUMP, DOWN, RISE = range(6)
_FIRST_POSTURE = 10
_POSTURES = ("crouch", "sit", "kneel", "lie", "crawl")


def phases_of(positions: np.ndarray, fps: float) -> tuple[Phase, ...]:
    """What happens in positions [T, 22, 3] (metres, y up, joints of `smpl22`) at `fps` frames a second, by start.

    The phases of the body follow one another from the first frame to the last; those of arms and legs lie over them.
    """
    body = measure(positions, fps)
    jumped = legs.jumps(body)
    codes = _codes(body, jumped)
    parts = locomotion.merged(codes, at.POSTURE_SECONDS * fps)
    found: list[Phase] = []
    for first, end, code in parts:
        found += _body_phases(body, first, end, code, jumped)
    going = np.zeros(body.frames, bool)
    for phase in found:
        if phase.kind in ("walk", "run"):
            going[round(phase.start * fps) : round(phase.end * fps)] = True
    free = codes < JUMP
    kicked = [
        Phase("kick", first / fps, end / fps, SIDES[side], count=1, height=height)
        for first, end, side, height in legs.kicks(body, free)
    ]
    bowed = [Phase("bow", first / fps, end / fps) for first, end in posture.bows(body, free & ~going)]
    limbs = [*arms.arm_phases(body, going), *kicked, *bowed]
    return tuple(sorted((_at_ends(body, phase) for phase in [*found, *limbs]), key=lambda phase: phase.start))


def _codes(body: Body, jumped: list) -> np.ndarray:
    """What the body does in each frame [T], as a number."""
    codes = np.full(body.frames, STAND)
    moves = locomotion.moving(body)
    codes[moves] = MOVE
    for first, end in locomotion.turns(body, ~moves):
        codes[first:end] = TURN
    states = posture.postures(body)
    rate = posture.hip_rates(body)
    for number, name in enumerate(_POSTURES):
        held = states == name
        if name in ("crouch", "kneel", "crawl"):
            held &= ~moves | (name == "crawl")
        codes[held] = _FIRST_POSTURE + number
    low = states != ""
    for first, end in runs(low):
        if moves[first:end].mean() > 0.8:
            continue
        start, stop = first, end
        while start > 0 and rate[start - 1] < -at.FALL_SPEED:
            start -= 1
        while stop < body.frames and rate[stop] > at.FALL_SPEED:
            stop += 1
        settled = first
        while settled < end - 1 and rate[settled] < -at.FALL_SPEED:
            settled += 1
        leaves = stop
        while leaves > settled + 1 and rate[leaves - 1] > at.FALL_SPEED:
            leaves -= 1
        if settled - start > 2:
            codes[start:settled] = DOWN
        if stop - leaves > 2:
            codes[leaves:stop] = RISE
    for first, end, *_ in jumped:
        codes[first:end] = JUMP
    return codes


def _body_phases(body: Body, first: int, end: int, code: int, jumped: list) -> list[Phase]:
    """The phases of one part of the motion."""
    fps = body.fps
    turned = float(body.heading[end - 1] - body.heading[first])
    if code == STAND:
        return [Phase("stand", first / fps, end / fps)]
    if code == TURN:
        return [Phase("turn", first / fps, end / fps, turned=turned)]
    if code == DOWN:
        after = posture.postures(body)[min(end, body.frames - 1)]
        return [Phase(posture.CHANGES.get(str(after), "crouch down"), first / fps, end / fps)]
    if code == RISE:
        return [Phase("rise", first / fps, end / fps)]
    if code == JUMP:
        count = sum(n for start, stop, n, _ in jumped if start < end and stop > first)
        height = max((h for start, stop, _, h in jumped if start < end and stop > first), default=0.0)
        return [
            Phase("jump", first / fps, end / fps, direction=_jump_direction(body, first, end), turned=turned,
                  count=count, height=height)
        ]  # fmt: skip
    if code >= _FIRST_POSTURE:
        return [Phase(_POSTURES[code - _FIRST_POSTURE], first / fps, end / fps)]
    return [_move(body, *part) for part in locomotion.by_direction(body, first, end)]


def _move(body: Body, first: int, end: int, direction: str) -> Phase:
    """A walk or a run."""
    return Phase(
        "run" if locomotion.is_run(body, first, end) else "walk",
        first / body.fps,
        end / body.fps,
        direction=direction,
        speed=float(body.speed[first:end].mean()),
        turned=float(body.heading[end - 1] - body.heading[first]),
        circle=locomotion.circle(body, first, end),
        count=locomotion.steps(body, first, end),
    )


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
