"""What legs do: jump and kick."""

import numpy as np

from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import ANKLES, HIPS, PELVIS, SIDES, TOES, Body, own, rates
from utils.geometry.contacts import runs


def jumps(body: Body) -> list[tuple[int, int, int, float]]:
    """Series of jumps (first, end, count, height): the whole body is in the air and falls freely.

    The stride of a run is none, unless it is a leap.
    """
    found: list[tuple[int, int, int, float]] = []
    for first, end in runs(body.joints[..., 1].min(1) > at.FLIGHT * body.size):
        if not _is_jump(body, first, end):
            continue
        high = float(clearance(body)[first:end].max())
        start, stop = _with_crouches(body, first, end)
        if found and start - found[-1][1] < (at.HOP_PAUSE - 2 * at.JUMP_MARGIN) * body.fps:
            before = found.pop()
            found.append((before[0], stop, before[2] + 1, max(before[3], high)))
        else:
            found.append((start, stop, 1, high))
    return found


def clearance(body: Body) -> np.ndarray:
    """Height [T] of the lower foot above the floor (m)."""
    return np.minimum(body.joints[:, TOES, 1], body.joints[:, ANKLES, 1] - at.ANKLE * body.size).min(1)


def _is_jump(body: Body, first: int, end: int) -> bool:
    """Whether a flight from frame `first` to `end` is a jump."""
    seconds = (end - first) / body.fps
    if not (at.JUMP_SECONDS[0] <= seconds <= at.JUMP_SECONDS[1]) or body.hips[first:end].max() < at.JUMP_HIPS:
        return False
    speed = rates(body.joints[:, PELVIS, 1], body.fps)
    falls = (speed[first] - speed[end - 1]) / max(seconds - 1 / body.fps, 1 / body.fps)
    if falls < at.JUMP_FALL:
        return False
    toes = body.joints[:, TOES, 1]
    before, after = toes[max(first - 1, 0)], toes[min(end, body.frames - 1)]
    apart = np.linalg.norm(np.diff(body.joints[first:end, ANKLES], axis=1)[..., [0, 2]], axis=-1).mean()
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


def kicks(body: Body, free: np.ndarray) -> list[tuple[int, int, int, float]]:
    """Kicks (first, end, side, height): a foot flies out from the hip, in frames bool [T] in which one may."""
    found = []
    for index in range(len(SIDES)):
        ankle, hip = body.joints[:, ANKLES[index]], body.joints[:, HIPS[index]]
        velocity = rates(ankle - body.joints[:, PELVIS], body.fps)
        speed = np.linalg.norm(velocity, axis=-1) - body.speed
        reach = np.linalg.norm(own((ankle - hip)[:, [0, 2]], body.heading), axis=-1)
        other = body.joints[:, TOES[1 - index], 1]
        up = (ankle[:, 1] > at.KICK_HEIGHT * body.size) & (other < at.JUMP_CLEARANCE * 2 * body.size)
        for first, end in runs(up):
            far = reach[first:end] > at.KICK_REACH * body.size
            fast = speed[max(first - 3, 0) : end].max() > at.KICK_SPEED * body.size
            if far.any() and fast and free[first:end].all():
                found.append((first, end, index, float(ankle[first:end, 1].max())))
    return sorted(found)
