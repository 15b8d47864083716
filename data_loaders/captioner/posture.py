"""How a person holds the trunk: stands, crouches, sits, kneels, lies, crawls, goes from one to the other, and bows."""

import numpy as np

from data_loaders.captioner import thresholds as at
from data_loaders.captioner.measures import ANKLES, HIPS, KNEES, PELVIS, SHOULDERS, WRISTS, Body, own
from data_loaders.captioner.signals import latched, merged, rates
from utils.geometry.contacts import runs

UPRIGHT = "stand"
DOWN = {"crouch": "crouch down", "sit": "sit down", "kneel": "kneel down", "lie": "lie down", "crawl": "kneel down"}


def postures(body: Body) -> np.ndarray:
    """The posture of each frame: stand, crouch, sit, kneel, lie or crawl; str [T]."""
    joints, size = body.joints, body.size
    low = latched(-body.hips, -at.LOW[0], -at.LOW[1])
    if not low.any():
        return np.full(body.frames, UPRIGHT)
    centre = joints[:, [PELVIS, *SHOULDERS]].mean(1)[:, [0, 2]]
    behind = -own(centre - joints[:, ANKLES][..., [0, 2]].mean(1), body.heading)[:, 0]
    knees, hips = joints[:, KNEES, 1], joints[:, HIPS, 1]
    on_knee = ((knees < at.KNEE * size) & (knees - joints[:, ANKLES, 1] < at.SHIN * size)).any(1)
    level = (hips - knees < at.THIGH * body.leg / 2).all(1) & (body.upright > at.SEAT_UPRIGHT)
    hands = joints[:, WRISTS, 1].min(1) < at.HAND * size
    floor = hips.mean(1) < at.FLOOR_SEAT * body.leg
    flat = body.upright < at.FLAT
    prone = flat & (_chest_down(joints) > at.PRONE)
    on_hands = hands & ((knees.min(1) < at.LOW_KNEE * size) | (-behind > at.AHEAD * size))
    seat = (behind > at.SIT_BEHIND * size) | (level & (behind > at.SEAT_BEHIND * size))
    sits = (seat & (body.speed < at.SIT_SPEED * size)) | floor
    return np.select(
        [~low, prone & on_hands & ~floor, flat & (floor | ~prone & hands), on_knee & ~floor, sits & ~flat],
        [UPRIGHT, "crawl", "lie", "kneel", "sit"],
        "crouch",
    )


def phases_of_posture(body: Body, states: np.ndarray, going: np.ndarray) -> list[tuple[int, int, str]]:
    """Postures that last and the ways down and up between them: (first, end, kind), later ones over earlier ones.

    `going` bool [T] is where the person walks or runs, which goes over a crouch or a kneeling.
    """
    found = []
    rate = rates(body.hips, body.fps)
    passing = at.PASSING_SECONDS * body.fps
    for first, end in runs(states != UPRIGHT):
        kept = _kept(states[first:end], at.POSTURE_SECONDS * body.fps)
        parts = [(first + start, first + stop, kind) for start, stop, kind in kept]
        start, settled = _descent(body.hips, rate, first, end)
        stop, leaves = _ascent(body.hips, rate, first, end)
        while len(parts) > 1 and parts[0][1] - settled < passing and _lower(parts[0][2], parts[1][2]):
            settled = max(settled, parts.pop(0)[1])
        while len(parts) > 1 and leaves - parts[-1][0] < passing and _lower(parts[-1][2], parts[-2][2]):
            leaves = min(leaves, parts.pop()[0])
        leaves = max(leaves, settled)
        found += [(max(a, settled), min(b, leaves), kind) for a, b, kind in parts]
        found += _lowered(parts, body.fps)
        goes = going[start:stop].mean() > 0.5 and {kind for *_, kind in parts} <= {"crouch", "kneel"}
        found += [(start, settled, DOWN[parts[0][2]])] * (not goes) + [(leaves, stop, "rise")] * (not goes)
    return [(a, b, kind) for a, b, kind in found if b > a]


def _kept(states: np.ndarray, shortest: float) -> list[tuple[int, int, str]]:
    """Parts of one posture each, none too short."""
    kinds, codes = np.unique(states, return_inverse=True)
    return [(start, stop, str(kinds[code])) for start, stop, code in merged(codes, shortest)]


def _descent(hips: np.ndarray, rate: np.ndarray, first: int, end: int) -> tuple[int, int]:
    """Where the hips begin to go down, before a low posture begins at `first`, and where they have come down."""
    start, settled = first, first
    while start > 0 and rate[start - 1] < -at.FALL_SPEED:
        start -= 1
    while settled < end - 1 and rate[settled] < -at.FALL_SPEED:
        settled += 1
    return (start, settled) if hips[start] - hips[settled] > at.DROP else (first, first)


def _ascent(hips: np.ndarray, rate: np.ndarray, first: int, end: int) -> tuple[int, int]:
    """Where the hips have come up after a low posture that ends at `end`, and where they begin to."""
    stop, leaves = end, end
    while stop < len(rate) and rate[stop] > at.FALL_SPEED:
        stop += 1
    while leaves > first + 1 and rate[leaves - 1] > at.FALL_SPEED:
        leaves -= 1
    return (stop, leaves) if hips[stop - 1] - hips[leaves - 1] > at.DROP else (end, end)


def _lowered(parts: list[tuple[int, int, str]], fps: float) -> list[tuple[int, int, str]]:
    """The ways down within a low posture: from a crouch to the knees, from a seat to the back."""
    margin = round(at.POSTURE_SECONDS * fps)
    return [
        (after - margin, after + margin, DOWN[new])
        for (_, _, old), (after, _, new) in zip(parts[:-1], parts[1:], strict=True)
        if _lower(old, new) and new != "crawl"
    ]


def _lower(old: str, new: str) -> bool:
    """Whether a posture is lower than another."""
    order = ("crouch", "kneel", "crawl", "sit", "lie")
    return order.index(new) > order.index(old)


def bows(body: Body, free: np.ndarray) -> list[tuple[int, int]]:
    """Bows (first, end): the trunk bends and comes back, in frames bool [T] in which the hips stay up."""
    found = []
    up = free & (body.hips > at.BOW_HIPS)
    shortest, longest = (seconds * body.fps for seconds in at.BOW_SECONDS)
    for first, end in runs(latched(body.lean, *at.BOW)):
        if up[first:end].all() and shortest <= end - first <= longest and (first > 0 or end < body.frames):
            found.append((first, end))
    return found


def _chest_down(joints: np.ndarray) -> np.ndarray:
    """Cosine [T] of the angle between straight down and where the chest looks."""
    across = joints[:, SHOULDERS[0]] - joints[:, SHOULDERS[1]]
    look = np.cross(across, joints[:, SHOULDERS].mean(1) - joints[:, PELVIS])
    return -look[:, 1] / np.maximum(np.linalg.norm(look, axis=-1), 1e-8)
