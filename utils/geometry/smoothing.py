"""Smoothing over time."""

from typing import Any, Literal

import numpy as np

# How a clip that is no longer than the window's arm goes on beyond its ends.
ShortClips = Literal["reflected", "held"]


def gaussian_over_time(values: np.ndarray, width: float, short: ShortClips = "reflected") -> np.ndarray:
    """The values [T, ...] after a Gaussian whose standard deviation is `width` frames, cut off at three of them.

    Beyond its ends a clip goes on as it came: it is reflected in its end points, so that a straight line stays one. A
    clip with no more frames than the window has on each side is reflected again and again, or `held` at its ends.
    """
    reach = max(1, round(3 * width))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    edges = ((reach, reach),) + ((0, 0),) * (values.ndim - 1)
    reflected = len(values) > reach or short == "reflected"
    how: dict[str, Any] = dict(mode="reflect", reflect_type="odd") if reflected else dict(mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, edges, **how), len(weights), axis=0)
    return windows @ (weights / weights.sum())
