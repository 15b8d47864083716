"""Where a person goes: walks and runs with their direction, steps and circles, and turns on the spot."""

import numpy as np

from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import ANKLES, TOES, Body, latched, rates, without_short
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
    """A move from frame `first` to `end` in parts of one direction each: (first, end, direction)."""
    velocity = body.velocity[first:end]
    angle = np.degrees(np.arctan2(velocity[:, 1], velocity[:, 0]))
    sector = np.where(
        np.abs(angle) <= at.SECTOR, 0, np.where(np.abs(angle) >= 180 - at.SECTOR, 2, np.where(angle > 0, 1, 3))
    )
    parts = merged(sector, at.DIRECTION_SECONDS * body.fps)
    return [(first + start, first + stop, DIRECTIONS[code]) for start, stop, code in parts]


def merged(codes: np.ndarray, shortest: float) -> list[tuple[int, int, int]]:
    """Runs (first, end, code) of codes [T], the shortest given to its longer neighbour until none is too short."""
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    parts = [(start, stop, int(codes[start])) for start, stop in zip(edges[:-1], edges[1:], strict=True)]
    while len(parts) > 1:
        index = min(range(len(parts)), key=lambda i: parts[i][1] - parts[i][0])
        start, stop, _ = parts[index]
        if stop - start >= shortest:
            break
        near = [i for i in (index - 1, index + 1) if 0 <= i < len(parts)]
        code = parts[max(near, key=lambda i: parts[i][1] - parts[i][0])][2]
        parts[index] = (start, stop, code)
        parts = joined(parts)
    return parts


def joined(parts: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Parts that follow one another, neighbours of one code made one."""
    out: list[tuple[int, int, int]] = []
    for start, stop, code in parts:
        if out and out[-1][2] == code:
            out[-1] = (out[-1][0], stop, code)
        else:
            out.append((start, stop, code))
    return out


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
    """Whether a move is a run: faster than people walk, or with both feet in the air and heels that fly."""
    speed = float(body.speed[first:end].mean())
    if speed > np.sqrt(at.FROUDE * 9.81 * body.leg):
        return True
    flight = float((body.joints[first:end, TOES, 1].min(1) > at.FLIGHT * body.size).mean())
    knees = float(np.percentile(body.knees[first:end].max(1), 90))
    return speed > at.RUN_SPEED * body.size and flight > at.RUN_FLIGHT and knees > at.RUN_KNEE


def circle(body: Body, first: int, end: int) -> float:
    """The signed share of a circle that a move goes round, 0 if it does not turn evenly."""
    velocity = rates(body.path, body.fps)[first:end]
    course = np.unwrap(np.arctan2(velocity[:, 0], velocity[:, 1]))
    for angles in (course, body.heading[first:end]):
        turned = angles[-1] - angles[0]
        even = angles[0] + turned * np.linspace(0, 1, len(angles))
        if abs(np.degrees(turned)) < at.CIRCLE or np.abs(angles - even).max() > at.CIRCLE_EVEN * abs(turned):
            return 0.0
    turned = course[-1] - course[0]
    return float(turned / (2 * np.pi)) if turned * (body.heading[end - 1] - body.heading[first]) > 0 else 0.0


def turns(body: Body, still: np.ndarray) -> list[tuple[int, int]]:
    """Turns on the spot (first, end), within frames bool [T] in which the person goes nowhere."""
    rate = np.degrees(rates(body.heading, body.fps))
    found = []
    for sign in (1, -1):
        on, off = at.TURN_RATE
        for first, end in runs(latched(sign * rate, on, off) & still):
            turned = sign * np.degrees(body.heading[end - 1] - body.heading[first])
            if turned >= at.TURN and end - first >= at.TURN_SECONDS * body.fps:
                found.append((first, end))
    return sorted(found)
