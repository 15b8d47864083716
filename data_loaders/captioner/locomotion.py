"""Where a person goes: walks and runs with their direction, steps and circles, and turns on the spot."""

import numpy as np

from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import ANKLES, TOES, Body
from data_loaders.captioner.signals import chains, extremes, latched, merged, rates, smoothed, without_short
from utils.geometry.contacts import runs

DIRECTIONS = ("forward", "left", "backward", "right")


def moving(body: Body) -> np.ndarray:
    """Whether the person goes somewhere, bool [T]."""
    on, off = (limit * body.size for limit in at.MOVING)
    flags = without_short(latched(body.speed, on, off), False, at.PAUSE_SECONDS * body.fps)
    for first, end in runs(flags):
        length = np.linalg.norm(np.diff(body.path[first:end], axis=0), axis=-1).sum()
        short = end - first < at.MOVE_SECONDS * body.fps and first > 0 and end < body.frames
        flags[first:end] = not short and length >= at.MOVE_LENGTH * body.size
    return flags


def by_direction(body: Body, first: int, end: int) -> list[tuple[int, int, str]]:
    """A move from frame `first` to `end` in parts of one direction each: (first, end, direction).

    Who sets off into a turn goes sideways for a moment, the body following the feet: that is forward.
    """
    velocity = body.velocity[first:end]
    angle = np.degrees(np.arctan2(velocity[:, 1], velocity[:, 0]))
    ahead, behind = np.abs(angle) <= at.SECTOR, np.abs(angle) >= 180 - at.SECTOR
    sector = np.select([ahead, behind, angle > 0], [0, 2, 1], 3)
    for start, stop, code in merged(sector, at.DIRECTION_SECONDS * body.fps):
        turned = np.degrees(body.heading[first + stop - 1] - body.heading[first + start])
        short = stop - start < at.TURNING_SECONDS * body.fps
        if code in (1, 3) and short and turned * (2 - code) > at.TURNING:
            sector[start:stop] = 0
        else:
            sector[start:stop] = code
    parts = merged(sector, at.DIRECTION_SECONDS * body.fps)
    return [(first + start, first + stop, DIRECTIONS[code]) for start, stop, code in parts]


def steps(body: Body, first: int, end: int) -> int:
    """How many steps the feet take from frame `first` to `end`: the feet gain on one another in turn."""
    speeds = np.linalg.norm(rates(body.joints[:, ANKLES][..., [0, 2]], body.fps), axis=-1)[first:end]
    ahead = speeds[:, 0] - speeds[:, 1]
    count, shortest = 0, at.STEP_LENGTH * body.size * body.fps
    last = 0
    edges = [0, *(np.flatnonzero(np.diff(np.sign(ahead))) + 1).tolist(), len(ahead)]
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        gained = ahead[start:stop].sum()
        if abs(gained) >= shortest:
            count += 1 if np.sign(gained) != last else 0
            last = np.sign(gained)
    return count


def is_run(body: Body, first: int, end: int) -> bool:
    """Whether a move is a run: faster than people walk, or quick in step, or with flying heels and both feet in the air.

    On the spot it is one with quick steps and both feet in the air.
    """
    scale = np.sqrt(body.leg / at.LEG)
    speed = float(np.percentile(body.speed[first:end], 75)) / scale
    flies = (body.joints[first:end, TOES, 1].min(1) > at.FLIGHT * body.size).mean() > at.RUN_FLIGHT
    count = steps(body, first, end)
    quick = count > 2 and count - 0.5 > at.RUN_STEPS / scale * (end - first) / body.fps
    heels = float(np.percentile(body.knees[first:end].max(1), 90)) > at.RUN_KNEE
    if speed < at.MOVING[0]:
        return bool(flies and quick)
    if count < 2:
        return False
    return bool(speed > np.sqrt(at.FROUDE * 9.81 * at.LEG) or (speed > at.RUN_SPEED and (quick or (flies and heels))))


def circle(body: Body, first: int, end: int) -> float:
    """The signed share of a circle that a move goes round, 0 if path and heading do not turn together and evenly."""
    velocity = rates(body.path, body.fps)[first:end]
    course = np.unwrap(np.arctan2(velocity[:, 0], velocity[:, 1]))
    turned = course[-1] - course[0]
    faced = body.heading[end - 1] - body.heading[first]
    if min(turned * np.sign(faced), abs(faced)) < np.radians(at.CIRCLE):
        return 0.0
    rate = rates(smoothed(body.heading[first:end], at.CIRCLE_SECONDS * body.fps), body.fps) * np.sign(faced)
    even = (rate > at.CIRCLE_RATE * rate.mean()).mean() >= at.CIRCLE_SHARE
    return float(turned / (2 * np.pi)) if even else 0.0


def turns(body: Body, still: np.ndarray) -> list[tuple[int, int]]:
    """Turns on the spot (first, end): where bool [T] says that the person goes nowhere, or on too tight a path."""
    rate = np.degrees(rates(body.heading, body.fps))
    spot = still | (body.speed < at.TURN_RADIUS * body.size * np.radians(np.abs(rate)))
    found = []
    for sign in (1, -1):
        on, off = at.TURN_RATE
        for first, end in runs(latched(np.where(spot, sign * rate, 0), on, off)):
            turned = sign * np.degrees(body.heading[end - 1] - body.heading[first])
            if turned >= at.TURN and end - first >= at.TURN_SECONDS * body.fps:
                found.append((first, end))
    return sorted(found)


def marches(body: Body, still: np.ndarray) -> list[tuple[int, int]]:
    """Steps on the spot (first, end): feet are lifted in turn where bool [T] says that the person goes nowhere."""
    lifted = body.joints[:, ANKLES[0], 1] - body.joints[:, ANKLES[1], 1]
    found = []
    shortest, longest = (seconds * body.fps for seconds in at.MARCH_PERIOD)
    for first, end in runs(still):
        peaks = [first + peak for peak in extremes(lifted[first:end], at.MARCH_LIFT * body.size)]
        for start, stop in chains(peaks, shortest, longest):
            cut = first == 0 and end == body.frames and end < 2 * longest
            if stop - start + 1 >= at.MARCH_STEPS - cut:
                half = round(longest / 4)
                found.append((max(peaks[start] - half, first), min(peaks[stop] + half, end)))
    return found
