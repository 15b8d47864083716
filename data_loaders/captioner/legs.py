"""What legs do: jump and kick."""

import numpy as np

from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import ANKLES, HIPS, PELVIS, SIDES, TOES, Body, own, rates
from utils.geometry.contacts import runs


def jumps(body: Body) -> list[tuple[int, int, int, float]]:
    """Series of jumps (first, end, count, height): both feet in the air while the hips rise and fall."""
    clearance = np.minimum(body.joints[:, TOES, 1].min(1), body.joints[:, ANKLES, 1].min(1) - 0.05 * body.size)
    hips = body.joints[:, PELVIS, 1]
    found: list[tuple[int, int, int, float]] = []
    margin = round(at.JUMP_MARGIN * body.fps)
    for first, end in runs(clearance > at.FLIGHT * body.size):
        high = clearance[first:end].max()
        rise = hips[first:end].max() - max(hips[first], hips[end - 1])
        fast = body.speed[first:end].mean() > 1.5 * body.size
        least = (at.JUMP_RUNNING if fast else at.JUMP_CLEARANCE) * body.size
        cut = first == 0 or end == body.frames
        if high < least or end - first < at.JUMP_SECONDS * body.fps or (rise < at.JUMP_RISE * body.size and not cut):
            continue
        start, stop = max(first - margin, 0), min(end + margin, body.frames)
        if found and start - found[-1][1] < (at.HOP_PAUSE - 2 * at.JUMP_MARGIN) * body.fps:
            before = found.pop()
            found.append((before[0], stop, before[2] + 1, max(before[3], float(high))))
        else:
            found.append((start, stop, 1, float(high)))
    return found


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
