"""Phases as whole numbers, a row each, for a planner that writes them one after another; and back.

Times, angles and speeds are rounded to the steps below. A row of zeros ends a plan.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from data_loaders.captioner.phases import BODY, LIMBS, Phase

KINDS = ("", *BODY, *LIMBS)
SIDES = ("", "left", "right", "both")
DIRECTIONS = ("", "forward", "backward", "left", "right", "up", "front", "side")
MOST = 24  # phases of a plan
SECONDS = 0.2  # step of starts and durations
ANGLE = math.radians(15)
SPEED = 0.1  # metres a second
_LONGEST, _TURNS, _FASTEST, _COUNTS = 60, 36, 60, 20  # the greatest of each, in steps
# Columns of a row and how many values each has. What a body does begins where it ended: its start is 0.
SIZES = {
    "kind": len(KINDS), "side": len(SIDES), "direction": len(DIRECTIONS), "start": _LONGEST + 1,
    "seconds": _LONGEST + 1, "turned": 2 * _TURNS + 1, "speed": _FASTEST + 1, "count": _COUNTS + 1,
}  # fmt: skip


def rows_of(phases: Iterable[Phase]) -> np.ndarray:
    """Phases as rows [N, 8], the last all zeros; of more than `MOST` those of arms and legs that are shortest go."""
    phases = sorted(phases, key=lambda phase: phase.start)
    while len(phases) > MOST:
        limbs = [phase for phase in phases if phase.kind in LIMBS] or phases
        phases.remove(min(limbs, key=lambda phase: phase.seconds))
    rows = np.zeros((len(phases) + 1, len(SIZES)), np.int64)
    for row, phase in zip(rows, phases, strict=False):
        start = 0 if phase.kind in BODY else _steps(phase.start, SECONDS, _LONGEST)
        row[:] = (
            KINDS.index(phase.kind), SIDES.index(phase.side), DIRECTIONS.index(phase.direction), start,
            max(1, _steps(phase.seconds, SECONDS, _LONGEST)), _TURNS + _steps(phase.turned, ANGLE, _TURNS),
            _steps(phase.speed, SPEED, _FASTEST), min(phase.count, _COUNTS),
        )  # fmt: skip
    return rows


def _steps(value: float, step: float, most: int) -> int:
    return max(-most, min(most, round(value / step)))


def phases_from(rows: Sequence[Sequence[int]] | np.ndarray, seconds: float) -> tuple[Phase, ...]:
    """The phases, by start, of rows up to the first that ends a plan, for a motion of so many seconds.

    What the body does last goes on to the end; what begins after the end is left out.
    """
    phases, now = list[Phase](), 0.0
    for kind, side, direction, start, length, turned, speed, count in np.asarray(rows).tolist():
        if not kind:
            break
        body = KINDS[kind] in BODY
        first = now if body else start * SECONDS
        end = min(first + max(length, 1) * SECONDS, seconds)
        now = end if body else now
        if first < end:
            phases.append(
                Phase(
                    KINDS[kind],
                    first,
                    end,
                    SIDES[side],
                    DIRECTIONS[direction],
                    speed * SPEED,
                    (turned - _TURNS) * ANGLE,
                    count=count,
                )  # fmt: skip
            )
    last = max((i for i, phase in enumerate(phases) if phase.kind in BODY), key=lambda i: phases[i].end, default=None)
    if last is not None:
        phases[last] = replace(phases[last], end=seconds)
    half = SECONDS / 2
    ends = [replace(each, begun=each.start < half, lasts=each.end > seconds - half) for each in phases]
    return tuple(sorted(ends, key=lambda phase: phase.start))
