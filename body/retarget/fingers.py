"""The relaxed hand: what fingers of a character do when the motion says nothing of them.

A finger that hangs loose bends towards the palm, little at its root and more further out, the little finger most. A
character's own fingers keep what they bend already in its pose; flat ones are brought to the angles below.
"""

from collections.abc import Mapping

import numpy as np
import torch

from utils.geometry.rotations import about_axis

# Degrees of the three joints of each finger.
_BENDS = {
    "thumb": (5.0, 10.0, 10.0),
    "index": (15.0, 22.0, 12.0),
    "middle": (20.0, 26.0, 14.0),
    "ring": (24.0, 28.0, 15.0),
    "pinky": (27.0, 30.0, 16.0),
}


def relaxed_fingers(
    fingers: Mapping[str, Mapping[str, tuple[int, ...]]], ends: Mapping[int, int], rest: np.ndarray, wrists: Mapping[str, int]
) -> dict[int, np.ndarray]:
    """The turn [3, 3] of each joint of a finger in its parent, of hands in a T with their palms down.

    `rest` [K, 3] are the places in the T, `ends` the joint below a joint, where there is one, `wrists` those of a side.
    """
    found = {}
    for side, chains in fingers.items():
        for finger, chain in chains.items():
            axis = _axis(side, finger, chains, rest)
            before = rest[chain[0]] - rest[wrists[side]] if finger != "thumb" else None
            for joint, bend in zip(chain, _BENDS[finger], strict=False):
                way = rest[ends[joint]] - rest[joint] if joint in ends else None
                angle = np.radians(bend)
                if before is not None and way is not None:
                    angle -= _bend(before, way, axis)
                found[joint] = about_axis(torch.from_numpy(axis), torch.tensor(max(float(angle), 0.0))).numpy()
                before = way
    return found
