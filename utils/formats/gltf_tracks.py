"""The clock of an animation and its tracks at the frames of that clock.

Khronos Group, glTF 2.0 specification, section 3.11 and appendix C (STEP, LINEAR, CUBICSPLINE). Key times are float32
and often rounded by their writers: a key within `_NEAR` frames of a frame is at that frame.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from utils.formats.gltf_document import Track
from utils.formats.rates import RATES, rate_of
from utils.geometry.rotations import slerp

_NEAR, _FURTHEST = 0.035, 0.3  # frames
_RANGE = (10.0, 240.0)  # frames a second at which motion is read
_USUAL = sorted(rate for rate in RATES if 24 <= rate <= _RANGE[1])


def clock(tracks: Sequence[Track], stated: float = 0.0, usual: float = 0.0) -> tuple[float, str]:
    """Frames a second at which all keys of a clip are at frames, counted from its first key, and what to say of it.

    The first that fits of: the rate that its file states, that of a track with even keys, that of the file's other
    clips, and the usual ones from 24 up. Where none fits, the usual one that is as fine as the keys.
    """
    times, even = _key_times(tracks), even_rate(tracks)
    if stated > 0 and _fits(times, stated):
        return stated, ""
    for rate in (even, usual, *_USUAL):
        if _RANGE[0] <= rate <= _RANGE[1] and _fits(times, rate):
            return float(rate), ""
    if even > _RANGE[1]:
        rate = float(even / np.ceil(even / _RANGE[1]))
        return rate, f"{even:g} keys a second were read at {rate:g}"
    gap = np.quantile(np.diff(times), 0.1)
    rate = float(next((rate for rate in _USUAL if rate >= 0.99 / gap), _USUAL[-1]))
    return rate, f"its keys are at no even times and were read at {rate:g} frames a second"


def even_rate(tracks: Sequence[Track]) -> float:
    """Keys a second of the longest track whose keys are evenly apart; 0 without one of at least three keys."""
    clocks = {id(track.times): track.times for track in tracks}
    for times in sorted(clocks.values(), key=len, reverse=True):
        steps = np.diff(times)
        if len(times) < 3:
            return 0.0
        step = steps.mean()
        if step > 0 and np.abs(steps - step).max() <= 2 * _NEAR * step + 1e-6 * times[-1]:
            return rate_of(float(step), 1e-6 * step)
    return 0.0


def span(tracks: Sequence[Track]) -> tuple[float, float]:
    """The first and the last key time of a clip."""
    clocks = {id(track.times): track.times for track in tracks}
    return min(times[0] for times in clocks.values()), max(times[-1] for times in clocks.values())


class _Places(NamedTuple):
    """For each of T frames the key before it, the key after it, the part of the way, and the seconds between them."""

    early: np.ndarray
    late: np.ndarray
    part: np.ndarray
    seconds: np.ndarray


def sampled(
    tracks: Sequence[Track], frames: np.ndarray, start: float, rate: float
) -> Iterator[tuple[Track, np.ndarray]]:
    """Tracks and their values [T, 3 or 4] at frames [T] of a clock that starts at `start` s; [1, ...] of still ones."""
    known: dict[int, _Places] = {}
    for track in tracks:
        values, cubic = track.values, track.interpolation == "CUBICSPLINE"
        centre = values[:, 1] if cubic else values
        if (centre == centre[0]).all() and not (cubic and values[:, [0, 2]].any()):
            yield track, centre[:1]
            continue
        clock = id(track.times)
        if clock not in known:
            known[clock] = _places(track.times, frames, start, rate)
        yield track, _between(track, centre, known[clock])


def _places(times: np.ndarray, frames: np.ndarray, start: float, rate: float) -> _Places:
    keys = (times - start) * rate
    whole = np.rint(keys)
    keys = np.where(np.abs(keys - whole) <= _near(times, rate), whole, keys)
    early = np.clip(np.searchsorted(keys, frames, "right") - 1, 0, len(keys) - 1)
    late = np.minimum(early + 1, len(keys) - 1)
    gap = keys[late] - keys[early]
    part = np.clip((frames - keys[early]) / np.where(gap > 0, gap, 1), 0, np.where(gap > 0, 1, 0))
    return _Places(early, late, part, times[late] - times[early])


def _between(track: Track, centre: np.ndarray, places: _Places) -> np.ndarray:
    """The values [T, 3 or 4] of a track by its interpolation; `centre` [K, 3 or 4] are those at the keys."""
    early, late, part, seconds = places
    if track.interpolation == "STEP":
        return centre[early]
    if track.interpolation == "CUBICSPLINE":
        ends = track.values[early], track.values[late]
        return _spline(*ends, part[:, None], seconds[:, None], track.path == "rotation")
    found, between = centre[early], np.flatnonzero(part)
    if not len(between):
        return found
    part, one, other = part[between], found[between], centre[late[between]]
    if track.path == "rotation":
        turned = slerp(torch.from_numpy(one), torch.from_numpy(other), torch.from_numpy(part))
        found[between] = turned.numpy()
    else:
        found[between] = one + part[:, None] * (other - one)
    return found


def _spline(early: np.ndarray, late: np.ndarray, t: np.ndarray, seconds: np.ndarray, unit: bool) -> np.ndarray:
    """The cubic Hermite spline between keys [T, 3, N] (tangent in, value, tangent out), at the part t [T, 1]."""
    squared, cubed = t * t, t * t * t
    found = (2 * cubed - 3 * squared + 1) * early[:, 1] + (3 * squared - 2 * cubed) * late[:, 1]
    found += seconds * ((cubed - 2 * squared + t) * early[:, 2] + (cubed - squared) * late[:, 0])
    return found / np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-12) if unit else found


def _key_times(tracks: Sequence[Track]) -> np.ndarray:
    """All key times of a clip, each once, from 0."""
    times = np.unique(np.concatenate(list({id(track.times): track.times for track in tracks}.values())))
    return times - times[0]


def _near(times: np.ndarray, rate: float) -> np.ndarray:
    """How many frames from a frame a key may be that is meant to be at it; late keys have coarse float32 times."""
    return np.minimum(_NEAR + 2.4e-7 * rate * times, _FURTHEST)


def _fits(times: np.ndarray, rate: float) -> bool:
    frames = times * rate
    return bool((np.abs(frames - np.rint(frames)) <= _near(times, rate)).all())
