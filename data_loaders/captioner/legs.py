"""What legs do: jump and kick."""

import numpy as np

from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import ANKLES, HIPS, PELVIS, SIDES, TOES, Body, own
from data_loaders.captioner.signals import rates
from utils.geometry.contacts import runs

Jump = tuple[int, int, int, float]  # first frame, frame after the last, how many, height (m)


def jumps(body: Body) -> list[Jump]:
    """Series of jumps (first, end, count, height): the whole body is in the air and falls freely.

    The stride of a run is none, unless it is a leap.
    """
    found: list[Jump] = []
    landed = 0
    for first, end in runs(body.joints[..., 1].min(1) > at.FLIGHT * body.size):
        if not _is_jump(body, first, end):
            continue
        high = float(clearance(body)[first:end].max())
        start, stop = _with_crouches(body, first, end)
        if found and first - landed < at.HOP_PAUSE * body.fps:
            before = found.pop()
            found.append((before[0], stop, before[2] + 1, max(before[3], high)))
        else:
            found.append((start, stop, 1, high))
        landed = end
    return found


def clearance(body: Body) -> np.ndarray:
    """Height [T] of the lower foot above the floor (m)."""
    return np.minimum(body.joints[:, TOES, 1], body.joints[:, ANKLES, 1] - at.ANKLE * body.size).min(1)


def _is_jump(body: Body, first: int, end: int) -> bool:
    """Whether a flight from frame `first` to `end` is a jump."""
    seconds, hips = (end - first) / body.fps, body.joints[first:end, PELVIS, 1]
    if not (at.JUMP_SECONDS[0] <= seconds <= at.JUMP_SECONDS[1]) or hips.max() < at.JUMP_HIPS * body.leg:
        return False
    speed = rates(body.joints[:, PELVIS, 1], body.fps)
    falls = (speed[first] - speed[end - 1]) / max(seconds - 1 / body.fps, 1 / body.fps)
    if falls < at.JUMP_FALL:
        return False
    toes = body.joints[:, TOES, 1]
    before, after = toes[max(first - 1, 0)], toes[min(end, body.frames - 1)]
    between = body.joints[first:end, ANKLES[0]] - body.joints[first:end, ANKLES[1]]
    apart = np.abs(own(between[:, [0, 2]], body.heading[first:end])[:, 0]).mean()
    uneven = max(np.ptp(before), np.ptp(after)) > at.STRIDE * body.size or apart > at.APART * body.size
    stride = before.argmin() != after.argmin() and uneven
    return bool(clearance(body)[first:end].max() > (at.LEAP if stride else at.JUMP_CLEARANCE) * body.size)


def _with_crouches(body: Body, first: int, end: int) -> tuple[int, int]:
    """A flight with the swinging off before it and the landing after it."""
    margin, most = round(at.JUMP_MARGIN * body.fps), round(at.JUMP_CROUCH * body.fps)
    start, stop = max(first - margin, 0), min(end + margin, body.frames)
    while start > max(first - most, 0) and body.hips[start - 1] < at.LOW[1]:
        start -= 1
    while stop < min(end + most, body.frames) and body.hips[stop] < at.LOW[1]:
        stop += 1
    return start, stop


def kicks(body: Body, free: np.ndarray) -> list[tuple[int, int, int, int, float]]:
    """Kicks (first, end, side, count, height): a foot flies out from the hip, in frames bool [T] in which one may.

    The other foot stands. What follows within `KICK_PAUSE` is one phase, a swing back and the kick after it one kick.
    """
    found = []
    for index in range(len(SIDES)):
        ankle, hip = body.joints[:, ANKLES[index]], body.joints[:, HIPS[index]]
        speed = np.linalg.norm(rates(ankle - body.joints[:, PELVIS], body.fps), axis=-1)
        reach = np.linalg.norm((ankle - hip)[:, [0, 2]], axis=-1)
        stands = (body.joints[:, TOES[1 - index], 1] < at.KICK_STANDS * body.size) & (body.hips >= at.KICK_HIPS)
        up = (ankle[:, 1] > at.KICK_HEIGHT * body.size) & stands & free
        fast = (speed - body.speed > at.KICK_SPEED * body.size) & (reach > at.KICK_REACH * body.size)
        series: list[tuple[int, int, int, int, float]] = []
        for first, end in runs(up):
            if not fast[first:end].any():
                continue
            height, before = float(ankle[first:end, 1].max()), series[-1] if series else None
            if before and first - before[1] < at.KICK_PAUSE * body.fps:
                one = first - before[1] < at.BACKSWING * body.fps
                series[-1] = (before[0], end, index, before[3] + (not one), max(before[4], height))
            else:
                series.append((first, end, index, 1, height))
        found += series
    return sorted(found)
