"""Signals over time and what the captioner finds in them: rates, runs, extremes. Pure functions; T frames lead."""

import numpy as np

from utils.geometry.contacts import runs
from utils.geometry.smoothing import gaussian, gaussian_over_time

Part = tuple[int, int, int]  # first frame, frame after the last, code


def rates(values: np.ndarray, fps: float) -> np.ndarray:
    """Change a second of values [T, ...]; 0 for a single frame."""
    return np.gradient(values, 1 / fps, axis=0) if len(values) > 1 else np.zeros_like(values)


def smoothed(values: np.ndarray, width: float) -> np.ndarray:
    """`gaussian_over_time` of values [T, ...], as a sum of shifted copies: quicker than its product for a window."""
    reach = max(1, round(3 * width))
    if len(values) <= reach:
        return gaussian_over_time(values, width)
    before, after = 2 * values[0] - values[reach:0:-1], 2 * values[-1] - values[-2 : -reach - 2 : -1]
    padded = np.concatenate([before, values, after])
    total = np.zeros_like(values)
    for shift, weight in enumerate(gaussian(width, reach).tolist()):
        total += weight * padded[shift : shift + len(values)]
    return total


def latched(values: np.ndarray, on: float, off: float) -> np.ndarray:
    """Where values [T] are above `off`, in runs that come above `on` at least once; bool [T]."""
    flags = values > off
    for first, end in runs(flags):
        flags[first:end] = values[first:end].max() > on
    return flags


def without_short(flags: np.ndarray, value: bool, length: float) -> np.ndarray:
    """Flags [T] without runs of `value` of fewer than `length` frames, unless they touch an end of the motion."""
    flags = flags.copy()
    for first, end in runs(flags == value):
        if end - first < length and first > 0 and end < len(flags):
            flags[first:end] = not value
    return flags


def extremes(values: np.ndarray, swing: float) -> list[int]:
    """Frames of the high and low points of values [T] that differ from their neighbours by `swing` at least."""
    found: list[int] = []
    low = high = direction = 0
    numbers = values.tolist()
    for frame, value in enumerate(numbers):
        if value > numbers[high]:
            high = frame
        if value < numbers[low]:
            low = frame
        if direction >= 0 and value < numbers[high] - swing:
            found.append(high)
            direction, low = -1, frame
        elif direction <= 0 and value > numbers[low] + swing:
            found.append(low)
            direction, high = 1, frame
    return [*found, high if direction > 0 else low] if direction else []


def chains(peaks: list[int], shortest: float, longest: float) -> list[tuple[int, int]]:
    """First and last index of runs of peaks whose distances lie between two numbers of frames."""
    gaps = np.diff(peaks)
    return [(first, end) for first, end in runs((gaps >= shortest) & (gaps <= longest))] if len(peaks) > 1 else []


def merged(codes: np.ndarray, shortest: float) -> list[Part]:
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
        parts = _joined(parts)
    return parts


def _joined(parts: list[Part]) -> list[Part]:
    """Parts that follow one another, neighbours of one code made one."""
    out: list[Part] = []
    for start, stop, code in parts:
        if out and out[-1][2] == code:
            out[-1] = (out[-1][0], stop, code)
        else:
            out.append((start, stop, code))
    return out
