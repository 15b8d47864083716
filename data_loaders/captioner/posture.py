"""How a person holds the trunk: stands, crouches, sits, kneels, lies, crawls, and bows."""

import numpy as np

from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import ANKLES, HIPS, KNEES, PELVIS, SHOULDERS, WRISTS, Body, latched, own, rates
from utils.geometry.contacts import runs

STANDING = ""
CHANGES = {"crouch": "crouch down", "sit": "sit down", "kneel": "kneel down", "lie": "lie down", "crawl": "kneel down"}


def postures(body: Body) -> np.ndarray:
    """The posture of each frame: "" upright, or crouch, sit, kneel, lie, crawl; str [T]."""
    joints, size = body.joints, body.size
    low = latched(-body.hips, -at.LOW[0], -at.LOW[1])
    centre = joints[:, [PELVIS, *SHOULDERS]].mean(1)[:, [0, 2]]
    behind = -own(centre - joints[:, ANKLES][..., [0, 2]].mean(1), body.heading)[:, 0]
    knees = joints[:, KNEES, 1].min(1) < at.KNEE * size
    folded = (joints[:, KNEES, 1] < joints[:, HIPS, 1] - 0.2 * size).any(1)
    hands = joints[:, WRISTS, 1].min(1) < at.HAND * size
    flat = body.upright < at.FLAT
    floor = body.hips < at.FLOOR_SEAT
    sits = (behind > at.SIT_BEHIND * size) | floor
    found = np.select(
        [~low, flat & floor, flat & hands & knees, knees & folded & ~floor, sits & ~flat],
        [STANDING, "lie", "crawl", "kneel", "sit"],
        "crouch",
    )
    return found


def bows(body: Body, free: np.ndarray) -> list[tuple[int, int]]:
    """Bows (first, end): the trunk bends and comes back, in frames bool [T] in which the hips stay up."""
    found = []
    up = free & (body.hips > at.BOW_HIPS)
    for first, end in runs(latched(body.lean, *at.BOW)):
        shortest, longest = (seconds * body.fps for seconds in at.BOW_SECONDS)
        if up[first:end].all() and shortest <= end - first <= longest and (first > 0 or end < body.frames):
            found.append((first, end))
    return found


def hip_rates(body: Body) -> np.ndarray:
    """How fast hips rise [T], shares of their upright height a second."""
    return rates(body.hips, body.fps)
