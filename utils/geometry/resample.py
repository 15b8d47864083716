"""Motion at other times: cubic interpolation between frames."""

import numpy as np


def sample_frames(frames: np.ndarray, times: np.ndarray, first: np.ndarray | int, last: np.ndarray | int) -> np.ndarray:
    """Values of `frames` [N, ...] at fractional indices `times` [...T] by the Catmull-Rom cubic (Catmull & Rom 1974).

    Neighbours are held inside the clip `first`..`last` (inclusive; broadcast against `times`).
    Returns [...T, ...] in the dtype of `frames`.
    """
    whole = np.floor(times).astype(np.int64)
    u = (times - whole).astype(frames.dtype).reshape(times.shape + (1,) * (frames.ndim - 1))
    before, here, after, beyond = (frames[np.clip(whole + k, first, last)] for k in (-1, 0, 1, 2))
    slope, next_slope = (after - before) * 0.5, (beyond - here) * 0.5
    return here + u * (
        slope + u * (3 * (after - here) - 2 * slope - next_slope + u * (2 * (here - after) + slope + next_slope))
    )


def resample(positions: np.ndarray, fps: float, new_fps: float) -> np.ndarray:
    """Positions [T, ...] at `fps` shown at `new_fps`: as many frames as fit into the clip."""
    if fps == new_fps:
        return positions
    count = int((len(positions) - 1) * new_fps / fps + 1e-6) + 1
    return sample_frames(positions, np.arange(count) * (fps / new_fps), 0, len(positions) - 1)
