"""What arms do: raise, lower, hold up, wave, punch."""

from dataclasses import replace
from typing import Any

import numpy as np

from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import ELBOWS, SHOULDERS, SIDES, WRISTS, Body, own
from data_loaders.captioner.phases import Phase
from data_loaders.captioner.signals import chains, extremes, latched, rates, without_short
from utils.geometry.contacts import runs


def arm_phases(body: Body, going: np.ndarray, jumping: np.ndarray) -> list[Phase]:
    """Phases of the arms; `going`, bool [T], is where a walk or a run swings them, `jumping` a jump."""
    found = []
    for index, side in enumerate(SIDES):
        punched = punches(body, index, ~jumping)
        waved = waves(body, index)
        found += [_phase(body, "punch", side, first, end, count=1) for first, end in punched]
        found += [_phase(body, "wave", side, first, end, count=count) for first, end, count in waved]
        busy, around = np.zeros(body.frames, bool), round(at.PUNCH_AROUND * body.fps)
        for first, end in punched:
            busy[max(first - around, 0) : end + around] = True
        found += _without_held_waves(raises(body, index, going | jumping, busy), found, side)
    return both(joined_punches(found))


def _without_held_waves(raised: list[Phase], found: list[Phase], side: str) -> list[Phase]:
    """What an arm does, without the holding up of a hand that waves all the while."""

    def waved(phase: Phase) -> float:
        waves = [other for other in found if other.kind == "wave" and other.side == side]
        return sum(max(min(phase.end, wave.end) - max(phase.start, wave.start), 0) for wave in waves)

    return [phase for phase in raised if phase.kind != "hold arm up" or waved(phase) < 0.5 * phase.seconds]


def raises(body: Body, index: int, going: np.ndarray, busy: np.ndarray) -> list[Phase]:
    """An arm that goes up, stays up or comes down."""
    lift = lifts(body)[:, index]
    high, straight = raised(body)
    swings = going & ~without_short(straight[:, index], True, at.ARM_HELD * body.fps)
    above = high[:, index] - np.where(swings, at.ARM_UP_GOING, at.ARM_UP)
    rate = rates(lift, body.fps)
    found = []
    for first, end in runs(latched(above, 0.0, -at.ARM_SINKS)):
        if busy[first:end].any():
            continue
        start, stop = first, end
        while start > 0 and rate[start - 1] > at.ARM_SPEED:
            start -= 1
        while stop < body.frames and rate[stop - 1] < -at.ARM_SPEED:
            stop += 1
        top = lift[first:end].max()
        lowest = max(top - at.ARM_TOP[1], top - at.ARM_TOP[0] * (top - min(lift[start], lift[stop - 1])))
        near = np.flatnonzero(lift[first:end] >= min(lowest, top - at.ARM_TOP[2])) + first
        reached, left = int(near[0]), int(near[-1]) + 1
        more = dict(direction=arm_direction(body, index, reached, left), height=float(top * body.arm))
        if reached > 0 and lift[reached] - lift[start] >= at.ARM_RISE:
            found.append(_phase(body, "raise arm", SIDES[index], start, max(reached, start + 1), **more))
        if left - reached >= at.ARM_HELD * body.fps or (first == 0 and left == body.frames):
            found.append(_phase(body, "hold arm up", SIDES[index], reached, left, **more))
        if end < body.frames and lift[left - 1] - lift[stop - 1] >= at.ARM_RISE:
            found.append(_phase(body, "lower arm", SIDES[index], left, stop, **more))
    return found


def lifts(body: Body) -> np.ndarray:
    """Height of the wrists above their shoulders [T, 2], in lengths of the arm."""
    return (body.joints[:, WRISTS, 1] - body.joints[:, SHOULDERS, 1]) / body.arm


def raised(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """How high arms are raised [T, 2], and whether they are straight, bool [T, 2].

    The height is as for `lifts`, but less where the elbow hangs, as in a guard or a run. A straight arm counts as
    raised before it is level; of a person who lies or crawls none is.
    """
    wrists, elbows = lifts(body), (body.joints[:, ELBOWS, 1] - body.joints[:, SHOULDERS, 1]) / body.arm
    reach = np.linalg.norm(body.joints[:, WRISTS] - body.joints[:, SHOULDERS], axis=-1) / body.arm
    straight = reach > at.ARM_STRAIGHT
    level = np.where(straight, np.minimum(wrists + at.ARM_STRAIGHT_GAIN, 0), -1)
    high = np.maximum(wrists + np.minimum(elbows, 0) / 2, level)
    return np.where(body.upright[:, None] > at.FLAT, high, -1), straight


def arm_direction(body: Body, index: int, first: int, end: int) -> str:
    """Where a raised arm points: up, front or side."""
    reach = (body.joints[first:end, WRISTS[index]] - body.joints[first:end, SHOULDERS[index]]).mean(0) / body.arm
    if reach[1] > at.ARM_OVERHEAD:
        return "up"
    ahead, left = own(reach[None, [0, 2]], body.heading[first:end].mean(keepdims=True))[0]
    return "side" if np.degrees(np.arctan2(abs(left), ahead)) > at.ARM_SIDE else "front"


def waves(body: Body, index: int) -> list[tuple[int, int, int]]:
    """Waves (first, end, count) of a hand: it goes to and fro while it is above the elbow."""
    wrist, elbow = body.joints[:, WRISTS[index]], body.joints[:, ELBOWS[index]]
    up = (wrist[:, 1] > elbow[:, 1] - at.WAVE_BELOW * body.size) & (lifts(body)[:, index] > at.WAVE_HEIGHT)
    up = without_short(up, False, at.WAVE_BREAK * body.fps)
    found = []
    shortest, longest = (period / 2 * body.fps for period in at.WAVE_PERIOD)
    for first, end in runs(up):
        if end - first < 3 * shortest:
            continue
        across = own((wrist - elbow)[first:end, [0, 2]], body.heading[first:end])[:, 1]
        peaks = extremes(across, at.WAVE_SWING * body.size)
        for start, stop in chains(peaks, shortest, longest):
            swings = stop - start
            if swings / 2 >= at.WAVE_CYCLES:
                found.append((first + peaks[start], first + peaks[stop] + 1, max(round(swings / 2), 1)))
    return found


def punches(body: Body, index: int, free: np.ndarray) -> list[tuple[int, int]]:
    """Punches (first, end): a fist flies from near its shoulder, level, until the arm is almost straight, and back.

    `free` bool [T] is where one may punch.
    """
    reach = body.joints[:, WRISTS[index]] - body.joints[:, SHOULDERS[index]]
    length = np.linalg.norm(reach, axis=-1) / body.arm
    speed = rates(length, body.fps) * body.arm
    level = reach[:, 1] / body.arm
    ahead = own(reach[:, [0, 2]], body.heading)[:, 0] / body.arm
    found, wait = [], round(at.PUNCH_BACK * body.fps)
    for first, end in runs(speed > at.PUNCH_SPEED / 3 * body.size):
        last = min(end, body.frames - 1)
        far = length[last] > at.PUNCH_REACH and length[first] < at.PUNCH_FROM
        far = far and length[last] - length[first] > at.PUNCH_GAIN and ahead[last] > at.PUNCH_AHEAD
        aimed = at.PUNCH_LEVEL[0] < level[last] < at.PUNCH_LEVEL[1] and abs(level[last] - level[first]) < at.PUNCH_RISE
        upright = body.upright[last] > at.FLAT
        back = length[last : last + wait].min() < at.PUNCH_REACH or last + wait > body.frames
        fast = speed[first:end].max() > at.PUNCH_SPEED * body.size
        if fast and far and aimed and upright and back and free[first:end].all():
            found.append((first, last + 1))
    return found


def joined_punches(phases: list[Phase]) -> list[Phase]:
    """Punches of one arm that follow within a second as one phase with their count."""
    out: list[Phase] = []
    for phase in sorted(phases, key=lambda phase: (phase.kind, phase.side, phase.start)):
        last = out[-1] if out else None
        same = last and phase.kind == "punch" == last.kind and phase.side == last.side
        if last and same and phase.start - last.end < at.PUNCH_PAUSE:
            out[-1] = Phase("punch", last.start, phase.end, phase.side, count=last.count + phase.count)
        else:
            out.append(phase)
    return out


def both(phases: list[Phase]) -> list[Phase]:
    """The same phases, those of left and right that go together made one of both."""
    out = [phase for phase in phases if phase.side != "right"]
    for right in (phase for phase in phases if phase.side == "right"):
        match = [
            left
            for left in out
            if left.kind == right.kind and left.side == "left" and right.kind != "punch" and _together(left, right)
        ]
        if not match:
            out.append(right)
            continue
        left = match[0]
        out[out.index(left)] = replace(
            left,
            side="both",
            start=min(left.start, right.start),
            end=max(left.end, right.end),
            count=max(left.count, right.count),
            height=(left.height + right.height) / 2,
        )
    return out


def _together(left: Phase, right: Phase) -> bool:
    """Whether what two arms do is one thing."""
    overlap = min(left.end, right.end) - max(left.start, right.start)
    return overlap > 0.5 * min(left.seconds, right.seconds) and (
        abs(left.start - right.start) <= at.TOGETHER or abs(left.end - right.end) <= at.TOGETHER
    )


def _phase(body: Body, kind: str, side: str, first: int, end: int, **more: Any) -> Phase:
    """A phase from frame `first` to before `end`."""
    return Phase(kind, first / body.fps, end / body.fps, side, **more)
