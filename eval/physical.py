"""Physical figures of motion clips: how fast, how smooth, how steady the bones, how varied. Pure functions.

A clip is [T, J, 2 or 3] in metres, root-relative; `fps` frames a second. Frequencies are split with the discrete
cosine transform, which assumes no jump between the clip's end and its start.
"""

from collections.abc import Sequence

import numpy as np

from utils.geometry.skeleton import Skeleton

STILL = 0.05  # metres a second: slower clips count as standing still
SWIFT, SLOW = 4.0, 0.5  # Hz: motion lies below the first, change of action or heading below the second


def band(clip: np.ndarray, fps: float, below: float) -> np.ndarray:
    """The part of a clip that changes more slowly than `below` Hz (cosine components; the mean stays)."""
    mirrored = np.concatenate([clip, clip[::-1]])
    spectrum = np.fft.rfft(mirrored, axis=0)
    spectrum[np.fft.rfftfreq(len(mirrored), 1 / fps) > below] = 0
    return np.fft.irfft(spectrum, len(mirrored), axis=0)[: len(clip)]


def derivative(clip: np.ndarray, fps: float, order: int) -> float:
    """Mean length of the `order`-th time derivative over frames and joints (metres per second to the `order`)."""
    if len(clip) <= order:
        return 0.0
    return float(np.linalg.norm(np.diff(clip, order, axis=0), axis=-1).mean() * fps**order)


def clip_figures(clip: np.ndarray, fps: float) -> dict[str, float]:
    """Speed, speed below 4 Hz, acceleration, jerk, amplitude of change below 0.5 Hz of one clip."""
    slow = band(clip, fps, SLOW)
    return {
        "speed": derivative(clip, fps, 1),
        "speed_below_4hz": derivative(band(clip, fps, SWIFT), fps, 1),
        "acceleration": derivative(clip, fps, 2),
        "jerk": derivative(clip, fps, 3),
        "slow_change": float(np.sqrt(np.square(slow - slow.mean(0)).sum(-1).mean())),
    }


def bone_figures(clip: np.ndarray, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Variation over time (standard deviation / mean) of each bone, and left-right difference of each pair of bones.

    The second is |median left - median right| / their mean. Both as shares of 1; 3D clips only.
    """
    children = [joint for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    lengths = np.linalg.norm(clip[:, children] - clip[:, [skeleton.parents[joint] for joint in children]], axis=-1)
    variation = lengths.std(0) / np.maximum(lengths.mean(0), 1e-8)
    median = dict(zip(children, np.median(lengths, axis=0), strict=True))
    pairs = [(joint, skeleton.mirror[joint]) for joint in children if skeleton.side(joint) == "left"]
    difference = [
        abs(median[left] - median[right]) / max((median[left] + median[right]) / 2, 1e-8) for left, right in pairs
    ]
    return variation, np.array(difference)


def diversity(clips: Sequence[np.ndarray]) -> float:
    """Mean distance of a joint between two different clips, frame by frame over the length of the shortest."""
    frames = min(map(len, clips))
    stacked = np.stack([clip[:frames] for clip in clips])
    total = sum(
        np.linalg.norm(stacked[i + 1 :] - stacked[i], axis=-1).mean((1, 2)).sum() for i in range(len(stacked) - 1)
    )
    return float(total / max(1, len(stacked) * (len(stacked) - 1) / 2))


def summary(clips: Sequence[np.ndarray], fps: float, skeleton: Skeleton) -> dict[str, float]:
    """All figures of a set of clips: means over the clips; bones as median and 90th percentile, in per cent."""
    each = [clip_figures(clip, fps) for clip in clips]
    result = {name: float(np.mean([figures[name] for figures in each])) for name in each[0]}
    result["still_percent"] = 100 * float(np.mean([figures["speed"] < STILL for figures in each]))
    result["diversity"] = diversity(clips)
    if clips[0].shape[-1] == 3:
        variation, asymmetry = (
            np.concatenate(part) for part in zip(*(bone_figures(clip, skeleton) for clip in clips), strict=True)
        )
        for name, values in (("bones", variation), ("asymmetry", asymmetry)):
            result[f"{name}_median_percent"] = 100 * float(np.median(values))
            result[f"{name}_p90_percent"] = 100 * float(np.percentile(values, 90))
    return result


def facing_aligned(clip: np.ndarray, skeleton: Skeleton, left: str, right: str) -> np.ndarray:
    """A 3D clip turned about y so that the line from joint `right` to `left`, on average over time, lies along +x."""
    across = (clip[:, skeleton.index(left)] - clip[:, skeleton.index(right)]).mean(0)
    angle = np.arctan2(across[2], across[0])
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]], clip.dtype)
    return clip @ turn


def nearest_labels(clips: Sequence[np.ndarray], known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Label of the nearest of the `known` feature rows [N, D] for each clip's feature row [D] in `clips`."""
    features = np.stack(clips).astype(np.float32)
    squared = np.square(known).sum(1) - 2 * features @ known.T
    return labels[squared.argmin(1)]
