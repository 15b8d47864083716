"""A plan of a motion: what is done when, frame by frame, as numbers that a denoiser is told.

What the captioner finds in a motion becomes its plan in training; for a sentence a planner writes one. Body, left arm,
right arm and legs have columns of their own, for what they do at once; all are 0 where nothing is planned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from typing import Any

import numpy as np

from data_loaders.captioner.phases import BODY, Phase

DIRECTIONS = ("forward", "backward", "left", "right", "up")
REACHES = ("up", "front", "side")  # where an arm is raised to
ARMS = ("raise arm", "lower arm", "hold arm up", "wave", "punch")
SIDES = ("left", "right")
_LEG = ("kick left", "kick right", "bow")
# Columns: the kind of the body's phase, its direction, speed (m/s), turn (rad/s), counts a second, progress; each arm's
# kind, reach, counts a second, progress; the same of the legs; whether there is a plan at all.
_ARM_WIDTH = len(ARMS) + len(REACHES) + 2
_BODY_WIDTH = len(BODY) + len(DIRECTIONS) + 4
WIDTH = _BODY_WIDTH + 2 * _ARM_WIDTH + len(_LEG) + 2 + 1
KIND, WAY = slice(0, len(BODY)), slice(len(BODY), len(BODY) + len(DIRECTIONS))
SPEED, TURN = _BODY_WIDTH - 4, _BODY_WIDTH - 3

_FIELDS = tuple(field.name for field in fields(Phase))
_DIGITS = 3


def plan_of(phases: Iterable[Phase], frames: int, fps: float, start: float = 0.0) -> np.ndarray:
    """The plan [frames, WIDTH] of phases, from `start` seconds on, at `fps` frames a second."""
    plan = np.zeros((frames, WIDTH), np.float32)
    plan[:, -1] = 1
    times = start + np.arange(frames) / fps
    for phase in phases:
        rows = np.flatnonzero((times >= phase.start - 0.5 / fps) & (times < phase.end - 0.5 / fps))
        seconds = max(phase.seconds, 1 / fps)
        numbers = phase.count / seconds, (times[rows] - phase.start) / seconds
        for first, width, column, others in _places(phase):
            part = plan[rows, first : first + width]
            part[:, column] = 1
            part[:, others] = 1
            part[:, -2], part[:, -1] = numbers
            if first == 0:
                part[:, -4], part[:, -3] = phase.speed, phase.turned / seconds
            plan[rows, first : first + width] = part
    return plan


def _places(phase: Phase) -> list[tuple[int, int, int, list[int]]]:
    """First column and width of each part of the plan that a phase is in, the column of its kind, and further ones."""
    if phase.kind in BODY:
        ways = [len(BODY) + DIRECTIONS.index(phase.direction)] if phase.direction in DIRECTIONS else []
        return [(0, _BODY_WIDTH, BODY.index(phase.kind), ways)]
    if phase.kind in ARMS:
        reach = [len(ARMS) + REACHES.index(phase.direction)] if phase.direction in REACHES else []
        arms = [number for number, side in enumerate(SIDES) if phase.side in (side, "both")]
        return [(_BODY_WIDTH + arm * _ARM_WIDTH, _ARM_WIDTH, ARMS.index(phase.kind), reach) for arm in arms]
    legs = [side for side in SIDES if phase.side in (side, "both")] or list(SIDES)
    names = ["bow"] if phase.kind == "bow" else [f"{phase.kind} {side}" for side in legs]
    return [(_BODY_WIDTH + 2 * _ARM_WIDTH, len(_LEG) + 2, _LEG.index(name), []) for name in names]


def as_rows(phases: Iterable[Phase]) -> list[list[Any]]:
    """Phases as JSON holds them."""
    return [
        [round(value, _DIGITS) if isinstance(value, float) else value for value in astuple(phase)] for phase in phases
    ]


def from_rows(rows: Sequence[Sequence[Any]]) -> tuple[Phase, ...]:
    """The phases that `as_rows` gave. Raises TypeError for anything else."""
    return tuple(Phase(**dict(zip(_FIELDS, row, strict=True))) for row in rows)
