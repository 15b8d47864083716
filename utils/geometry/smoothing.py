"""Smoothing over time: by a window, and by least squares that couple each frame with the next."""

from typing import Any, Literal

import numpy as np

# How a clip that is no longer than the window's arm goes on beyond its ends.
ShortClips = Literal["reflected", "held"]


def gaussian(width: float, reach: int) -> np.ndarray:
    """The weights [2 * reach + 1], whose sum is 1, of a Gaussian whose standard deviation is `width` frames."""
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return weights / weights.sum()


def gaussian_over_time(values: np.ndarray, width: float, short: ShortClips = "reflected") -> np.ndarray:
    """The values [T, ...] after a Gaussian whose standard deviation is `width` frames, cut off at three of them.

    Beyond its ends a clip goes on as it came: it is reflected in its end points, so that a straight line stays one. A
    clip with no more frames than the window has on each side is reflected again and again, or `held` at its ends.
    """
    reach = max(1, round(3 * width))
    edges = ((reach, reach),) + ((0, 0),) * (values.ndim - 1)
    reflected = len(values) > reach or short == "reflected"
    how: dict[str, Any] = dict(mode="reflect", reflect_type="odd") if reflected else dict(mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, edges, **how), 2 * reach + 1, axis=0)
    return windows @ gaussian(width, reach)


def low_rank(values: np.ndarray, noise: float, window: int = 12) -> np.ndarray:
    """The values [T, N] without white noise of the deviation `noise`, as far as few motions make up all of them.

    Multichannel singular spectrum analysis: windows of so many frames are rows of a matrix, whose singular values are
    shrunk as is best against noise (Gavish and Donoho 2017, "Optimal shrinkage of singular values", Frobenius loss),
    and which is averaged back into a clip. Clips under two windows get shorter ones.
    """
    frames, columns = values.shape
    window = min(window, frames // 2)
    if window < 2 or noise <= 0:
        return values
    mean, count = values.mean(0), frames - window + 1
    rows = np.stack([values[first : first + count] - mean for first in range(window)], 1).reshape(count, -1)
    left, sizes, right = np.linalg.svd(rows, full_matrices=False)
    small, large = sorted(rows.shape)
    unit, ratio = noise * np.sqrt(large), small / large
    scaled = np.maximum(sizes / unit, 1e-12)
    kept = np.sqrt(np.maximum((scaled**2 - ratio - 1) ** 2 - 4 * ratio, 0)) / scaled
    kept[scaled <= 1 + np.sqrt(ratio)] = 0
    rows = ((left * (kept * unit)) @ right).reshape(count, window, columns)
    summed, often = np.zeros(values.shape), np.zeros((frames, 1))
    for first in range(window):
        summed[first : first + count] += rows[:, first]
        often[first : first + count] += 1
    return summed / often + mean


def derivative(clip: np.ndarray, fps: float, order: int) -> float:
    """Mean length of the `order`-th time derivative over frames and joints (metres per second to the `order`)."""
    if len(clip) <= order:
        return 0.0
    return float(np.linalg.norm(np.diff(clip, order, axis=0), axis=-1).mean() * fps**order)


def tridiagonal(diagonal: np.ndarray, held: float, right: np.ndarray) -> np.ndarray:
    """The x [T, ...] of diagonal_t x_t - held (x_(t-1) + x_(t+1)) = right_t: Gauss without exchange of rows (Thomas).

    A sum of w_t (x_t - a_t)^2 and held (x_(t+1) - x_t)^2 is least where that holds, right_t being w_t a_t.
    """
    columns = right.reshape(len(right), -1)
    ratio, pivots = [-held / float(diagonal[0])], [float(diagonal[0])]
    for value in diagonal[1:].tolist():
        pivots.append(value + held * ratio[-1])
        ratio.append(-held / pivots[-1])
    solved = np.empty_like(columns)
    for number, column in enumerate(columns.T.tolist()):
        column[0] /= pivots[0]
        for t in range(1, len(column)):
            column[t] = (column[t] + held * column[t - 1]) / pivots[t]
        for t in range(len(column) - 2, -1, -1):
            column[t] -= ratio[t] * column[t + 1]
        solved[:, number] = column
    return solved.reshape(right.shape)
