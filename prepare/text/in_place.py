"""Gaits that were keyed in place, as libraries of game animation have them: they get the path that their feet tell."""

from collections.abc import Sequence

import numpy as np

from body.motion.legs import feet_of
from body.motion.root_path import anchored
from utils.geometry.contacts import sliding
from utils.geometry.motion import Motion

GAITS = {"walk", "walking", "walk-back", "run", "running", "jog", "sneak", "crouch-walk", "crawl"}
STAYS = 0.1  # metres a second between the first and the last frame, below which a gait is in place
SLIDES = 0.3  # share of the speed of the path up to which feet may slide along it
FASTEST = 5.0  # heights of the hips a second: what is faster than a sprint is no path
_PLACELESS = "move"  # label of a gait that stays in place


def on_its_way(motion: Motion, labels: Sequence[str]) -> tuple[Motion, list[str]]:
    """The motion of 22 joints, with a path if it is a gait in place, and its labels.

    A gait whose feet tell no likely path stays in place and is no gait to those who read its labels.
    """
    seconds = (len(motion.positions) - 1) / motion.fps
    if not set(labels) & GAITS or seconds <= 0 or _gone(motion.positions) >= STAYS * seconds:
        return motion, list(labels)
    moved = anchored(motion)
    speed, size = _gone(moved.positions) / seconds, float(np.median(moved.positions[:, 0, 1]))
    feet = [(foot[0], foot[-1]) for foot in feet_of(motion.joints)]
    slides = sliding(moved.positions, motion.fps, feet)
    if STAYS <= speed <= FASTEST * size and slides <= SLIDES * speed:
        return moved, list(labels)
    return motion, [_PLACELESS, *(label for label in labels if label not in GAITS)]


def _gone(points: np.ndarray) -> float:
    """How far (metres) the root is from where it was, over the floor."""
    return float(np.linalg.norm((points[-1, 0] - points[0, 0])[[0, 2]]))
