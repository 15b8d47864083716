"""How feet stand: the sliding of the foot that carries, in metres a second. Pure functions.

A clip is [T, J, 3] in the world, metres, y up. A foot is two joints, ankle and toe. The foot that carries is the one
with the lower toe, while that is within 5 cm of the floor; it slides as fast as the slower of its two joints, for a
foot that rolls from heel to toe has one of them at rest. The height is that of the foot skating ratio of GMD
(Karunratanakul et al. 2023, section 4.1), which counts steps of more than 2.5 cm; a mean speed also tells how far.
"""

from collections.abc import Sequence

import numpy as np

HEIGHT = 0.05  # metres above the floor up to which a toe stands
LOWEST = 5  # percentile of the lower toe's height that is the floor, so that one frame does not decide it


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
    held = stands[:-1] & stands[1:] & (foot[:-1] == foot[1:])
    return float(speeds[held, foot[:-1][held]].mean()) if held.any() else 0.0
