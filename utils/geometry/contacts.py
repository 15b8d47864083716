"""How feet stand: which joints rest, how fast the foot that carries slides, how deep feet go. Pure functions.

A clip is [T, J, 3] in the world, metres, y up. A foot is two joints, ankle and toe. The foot that carries is the one
with the lower toe, while that is within 5 cm of the floor; it slides as fast as the slower of its two joints, for a
foot that rolls from heel to toe has one of them at rest. The height is that of the foot skating ratio of GMD
(Karunratanakul et al. 2023, section 4.1), which counts steps of more than 2.5 cm; a mean speed also tells how far.
"""

from collections.abc import Sequence

import numpy as np

HEIGHT = 0.05  # metres above the floor up to which a toe stands
LOWEST = 5  # percentile of the lower toe's height that is the floor, so that one frame does not decide it
SPEED = 0.5  # metres a second up to which a joint rests
_SHORT = 0.1  # seconds: a contact that is shorter is none, and so is a break between two


def carrying(clip: np.ndarray, toes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Which foot carries, as an index into `toes` [T], and whether it stands on the floor [T]."""
    heights = clip[:, list(toes), 1]
    lower = heights.min(1)
    return heights.argmin(1), lower <= np.percentile(lower, LOWEST) + HEIGHT


def sliding(clip: np.ndarray, fps: float, feet: Sequence[tuple[int, int]]) -> float:
    """Mean horizontal speed of the foot that carries (metres a second), over the steps at whose ends it stands.

    `feet` are (ankle, toe), left and right. 0 where no foot stands for two frames.
    """
    foot, stands = carrying(clip, [toe for _, toe in feet])
    speeds = np.linalg.norm(np.diff(clip[:, np.array(feet)][..., [0, 2]], axis=0), axis=-1).min(-1) * fps
    carried = stands[:-1] & stands[1:] & (foot[:-1] == foot[1:])
    return float(speeds[carried, foot[:-1][carried]].mean()) if carried.any() else 0.0


def floor_height(clip: np.ndarray, joints: Sequence[int]) -> float:
    """How high the floor of a clip lies: where the lowest of these joints is at its lowest, but for a few frames."""
    return float(np.percentile(clip[:, list(joints), 1].min(1), LOWEST))


def feet_contacts(clip: np.ndarray, fps: float, feet: Sequence[Sequence[int]], speed: float = SPEED) -> np.ndarray:
    """Which joints rest on the floor, bool [T, J]; `feet` are (ankle, toe), or (ankle,) where toes are not known.

    A joint is low within `HEIGHT` of the lowest that joints of its kind come to. A foot rests while one of its joints
    is low and one slower than `speed` (metres a second), or before and after that not yet twice as fast; rests, and
    breaks of a rest, of less than a tenth of a second do not count. Of a foot that rests, joints that are low and no
    faster rest, or the slower one where none is.
    """
    contacts = np.zeros(clip.shape[:2], bool)
    steps = np.linalg.norm(np.diff(clip, axis=0), axis=-1) * fps
    before, after = (np.concatenate(parts) for parts in ((steps[:1], steps), (steps, steps[-1:])))
    pace = np.minimum(before, after) if len(steps) else np.zeros(clip.shape[:2])
    kinds = [[foot[kind] for foot in feet if len(foot) > kind] for kind in range(max(map(len, feet)))]
    low = np.zeros(clip.shape[:2], bool)
    for joints in kinds:
        low[:, joints] = clip[:, joints, 1] <= floor_height(clip, joints) + HEIGHT
    for foot in map(list, feet):
        slower = pace[:, foot].min(1)
        rests = np.zeros(len(clip), bool)
        for first, end in runs(low[:, foot].any(1) & (slower <= 2 * speed)):
            rests[first:end] = slower[first:end].min() <= speed
        rests = _without_short_runs(_without_short_runs(rests, False, round(_SHORT * fps)), True, round(_SHORT * fps))
        still = low[:, foot] & (pace[:, foot] <= 2 * speed)
        still |= ~still.any(1, keepdims=True) & (pace[:, foot] <= slower[:, None])
        contacts[:, foot] = rests[:, None] & still
    return contacts


def penetration(clip: np.ndarray, joints: Sequence[int], clearance: Sequence[float], floor: float = 0.0) -> float:
    """How deep (metres, mean over frames) the deepest joint is in the floor; each should be `clearance` above it."""
    return float(np.maximum(floor + np.asarray(clearance) - clip[:, list(joints), 1], 0).max(1).mean())


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First frame, and the frame after the last, of each run of True in bool [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _without_short_runs(flags: np.ndarray, value: bool, length: int) -> np.ndarray:
    """The same flags, but runs of `value` of fewer than `length` frames turned over, unless they touch an end."""
    flags = flags.copy()
    for first, end in runs(flags == value):
        if end - first < length and first > 0 and end < len(flags):
            flags[first:end] = not value
    return flags
