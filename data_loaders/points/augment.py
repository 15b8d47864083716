"""Variations of a 2D motion that are drawn anew each time it is seen. Motions [T, J, 2] in data units."""

import numpy as np


def crop_window(length: int, span: tuple[int, int] | None, rng: np.random.RandomState) -> slice:
    """A random window of a clip of `length` frames with span[0] <= frames < span[1] (None: more than half the clip).

    Two ends are drawn until they fit, as published; a clip that is too short for that is kept whole.
    """
    low, high = span or (length // 2 + 1, length + 1)
    if length < low:
        return slice(0, length)
    while True:
        first = rng.randint(0, length + 1)
        second = rng.randint(0, length + 1)
        if low <= abs(first - second) < high:
            return slice(min(first, second), max(first, second))


def scaled(motion: np.ndarray, deviation: float, rng: np.random.RandomState) -> np.ndarray:
    """The motion times exp(s), s ~ N(0, deviation)."""
    return motion * np.exp(rng.normal(0, deviation))


def shifted(motion: np.ndarray, deviation: float, rng: np.random.RandomState) -> np.ndarray:
    """The motion moved by one vector ~ N(0, deviation) for all frames and joints."""
    return motion + rng.normal(0, deviation, [2])
