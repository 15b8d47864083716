"""The relaxed hand: what the fingers of a character do where the motion says nothing of them.

A finger that hangs loose bends towards the palm, less at its root than further out, the little finger most. Bends that
a character's own pose has count towards the angles below; fingers that bend more stay as they are.
"""

from collections.abc import Mapping

import numpy as np
import torch

from utils.geometry.rotations import about_axis

# Degrees at the three joints of each finger.
_BENDS = {
    "thumb": (5.0, 10.0, 10.0),
    "index": (15.0, 22.0, 12.0),
    "middle": (20.0, 26.0, 14.0),
    "ring": (24.0, 28.0, 15.0),
    "pinky": (27.0, 30.0, 16.0),
}
_OVER_THE_PALM = np.array([0.0, -1.0, -1.0])  # where a thumb bends to, of a hand in a T with its palm down


def relaxed_fingers(
    fingers: Mapping[str, Mapping[str, tuple[int, ...]]], wrists: Mapping[str, int], rest: np.ndarray
) -> dict[int, np.ndarray]:
    """The turn [3, 3] of each joint of the fingers of both sides, of hands in a T with their palms down.

    `rest` [K, 3] are the places of a rig's joints in the T, `wrists` the joints of the hands, by side.
    """
    found = {}
    for side, chains in fingers.items():
        down = np.array([0.0, 0.0, -1.0 if side == "left" else 1.0])  # about it fingers bend towards the palm
        for finger, chain in chains.items():
            bones = np.diff(rest[[wrists[side], *chain]], axis=0)
            ways = [*bones[1:], bones[-1]]
            for number, joint in enumerate(chain):
                axis = np.cross(ways[number], _OVER_THE_PALM) if finger == "thumb" else down
                bend = np.radians(_BENDS[finger][number])
                if finger != "thumb" and number + 1 < len(chain):
                    bend -= np.arctan2(np.cross(bones[number], ways[number]) @ axis, bones[number] @ ways[number])
                found[joint] = about_axis(torch.from_numpy(axis), torch.tensor(max(float(bend), 0.0))).numpy()
    return found
