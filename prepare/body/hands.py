"""Relaxed hands in place of flat boards: the fingers of a body in a T-pose, bent without joints of their own.

A finger is found on the mesh: from its tip back to where it meets another one. It is then bent along an arc, as a
pipe is, each of its three joints spread over a stretch of its length, so that nothing creases; where the finger begins
the bend is nothing, so that palm and wrist stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Degrees at the three joints, from the index to the little finger, then the thumb. A hand at rest curls more towards
# the little finger.
_BENDS = ((15.0, 18.0, 12.0), (17.0, 20.0, 13.0), (19.0, 22.0, 15.0), (20.0, 24.0, 16.0), (8.0, 12.0, 9.0))
_CLOSING = (9.0, 3.0, -4.0, -10.0, 0.0)  # degrees, towards the little finger: the fan of the fingers closes a little
_SPANS = ((0.0, 0.45), (0.30, 0.70), (0.60, 1.0))  # where each joint bends, in parts of the finger
_LEVELS = 100  # steps in which a finger is followed back from its tip
_LEAST, _LEAST_THUMB = 0.05, 0.2  # of the way from wrist to knuckles: how far they stand out at least
_THUMB_WAY = (0.6, 0.0, 0.8)  # along the left thumb, in a T-pose with palms down
_THUMB_BEND = (0.35, -0.8, -0.5)  # its tip goes below the palm and towards the fingers
_DOWN, _BACK = (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)
_MIRROR = np.array((-1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Finger:
    """Vertices of one finger, and those of them at its base and at its tip; `bend_way` [3] is where its tip goes.

    `bends` are degrees at the three joints, `closing` those that it turns backwards (-z) at its base.
    """

    vertices: np.ndarray
    base: np.ndarray
    tip: np.ndarray
    bend_way: np.ndarray
    bends: tuple[float, float, float]
    closing: float


def find_fingers(vertices: np.ndarray, faces: np.ndarray, wrist: np.ndarray, knuckles: np.ndarray) -> list[Finger]:
    """The ten fingers of a mesh [V, 3] with faces [F, 3] in a T-pose, palms down, the left side on +x.

    `wrist` and `knuckles` [3] are the left wrist and the head of the left middle finger. The right hand is the left
    one's image. A mesh whose hand does not part into four fingers and a thumb has none.
    """
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    hand = vertices[:, 0] > wrist[0]
    edges = edges[hand[edges].all(1)]
    size = float(np.linalg.norm(knuckles - wrist))
    tips = _tips(vertices, edges, hand, knuckles, size)
    if tips is None:
        return []
    ways = ((1.0, 0.0, 0.0),) * 4 + (_THUMB_WAY,)
    found = []
    for tip, way, bends, closing in zip(tips, ways, _BENDS, _CLOSING, strict=True):
        others = [other for other in tips if other != tip]
        part = _branch(vertices @ np.array(way), edges, hand, tip, others)
        bend_way = _THUMB_BEND if tip == tips[-1] else _DOWN
        found.append(_finger(vertices, part, np.array(way), (np.array(bend_way), bends, closing)))
    return found + [_image(vertices, finger) for finger in found]


def relaxed(vertices: np.ndarray, fingers: Sequence[Finger]) -> np.ndarray:
    """`vertices` [V, 3] with the fingers bent; all others stay.

    The fingers may have been found on another shape of the same mesh. To bend twice is to bend more: it is not
    idempotent.
    """
    bent = np.array(vertices, np.float64)
    for finger in fingers:
        bent[finger.vertices] = _bent(bent, finger, np.array(_BACK), (finger.closing, 0.0, 0.0))
        bent[finger.vertices] = _bent(bent, finger, finger.bend_way, finger.bends)
    return bent.astype(vertices.dtype)


def _components(edges: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Of each vertex [V] the least vertex that it hangs together with through edges [E, 2] within `inside` [V]."""
    edges, least = edges[inside[edges].all(1)], np.arange(len(inside))
    while True:
        spread = least.copy()
        np.minimum.at(spread, edges[:, 0], least[edges[:, 1]])
        np.minimum.at(spread, edges[:, 1], least[edges[:, 0]])
        if (spread == least).all():
            return least
        least = spread


def _tips(
    vertices: np.ndarray, edges: np.ndarray, hand: np.ndarray, knuckles: np.ndarray, size: float
) -> list[int] | None:
    """The outermost vertices of the fingers, index to little, then of the thumb; None where these are not found.

    Four fingers are there where a cut through the hand, from the knuckles outwards, leaves four parts that stand out;
    a thumb, where something behind the cut reaches further forwards than they do.
    """
    reach = vertices[:, 0]
    for level in knuckles[0] + size * np.linspace(-0.1, 0.3, 41):
        part = _components(edges, hand & (reach > level))
        roots = np.unique(part[hand & (reach > level)])
        ends = [int(np.where(part == root, reach, -np.inf).argmax()) for root in roots]
        ends = [end for end in ends if reach[end] > level + _LEAST * size]
        if len(ends) == 4:
            thumb = int(np.where(hand & (reach < level), vertices[:, 2], -np.inf).argmax())
            beside = vertices[hand & (reach >= level), 2].max() + _LEAST_THUMB * size
            return [*sorted(ends, key=lambda end: -vertices[end, 2]), thumb] if vertices[thumb, 2] > beside else None
    return None


def _branch(heights: np.ndarray, edges: np.ndarray, hand: np.ndarray, tip: int, others: list[int]) -> np.ndarray:
    """Whether each vertex [V] is part of the finger with this tip: all that is above where it meets another finger."""
    found = np.zeros(len(heights), bool)
    low = float(heights[hand].min())
    for level in np.linspace(float(heights[tip]), low, _LEVELS, endpoint=False)[1:]:
        part = _components(edges, hand & (heights > level))
        if (part[others] == part[tip]).any():
            break
        found = hand & (heights > level) & (part == part[tip])
    return found


def _finger(
    vertices: np.ndarray,
    part: np.ndarray,
    way: np.ndarray,
    bending: tuple[np.ndarray, tuple[float, float, float], float],
) -> Finger:
    """A finger with its first and last sixth."""
    own = np.flatnonzero(part)
    heights = vertices[own] @ way
    low, high = heights.min(), heights.max()
    sixth = (high - low) / 6
    return Finger(own, own[heights <= low + sixth], own[heights >= high - sixth], *bending)


def _image(vertices: np.ndarray, finger: Finger) -> Finger:
    """The same finger of the other hand."""
    right = np.flatnonzero(vertices[:, 0] < 0)

    def images(own: np.ndarray) -> np.ndarray:
        apart = vertices[own][:, None] * _MIRROR - vertices[right]
        return right[(apart**2).sum(-1).argmin(1)]

    base, tip, way = images(finger.base), images(finger.tip), finger.bend_way * _MIRROR
    return Finger(images(finger.vertices), base, tip, way, finger.bends, finger.closing)


def _bent(vertices: np.ndarray, finger: Finger, towards: np.ndarray, bends: tuple[float, float, float]) -> np.ndarray:
    """The finger's vertices [N, 3], with these degrees at its joints towards a side of it [3]."""
    base, tip = vertices[finger.base].mean(0), vertices[finger.tip].mean(0)
    way = (tip - base) / np.linalg.norm(tip - base)
    inwards = towards - towards @ way * way
    inwards /= np.linalg.norm(inwards)
    places = vertices[finger.vertices] - base
    along, depth = places @ way, places @ inwards
    steps, length = np.linspace(along.min(), along.max(), 400), np.ptp(along)
    angle = np.zeros_like(steps)
    for bend, (first, last) in zip(bends, _SPANS, strict=True):
        share = np.clip(((steps - steps[0]) / length - first) / (last - first), 0, 1)
        angle += np.radians(bend) * share**2 * (3 - 2 * share)
    turn = np.interp(along, steps, angle)
    step = length / (len(steps) - 1)
    middle = [np.interp(along, steps, (np.cumsum(part) - part[0]) * step) for part in (np.cos(angle), np.sin(angle))]
    forth = steps[0] + middle[0] - depth * np.sin(turn) - along
    aside = middle[1] + depth * np.cos(turn) - depth
    return vertices[finger.vertices] + np.outer(forth, way) + np.outer(aside, inwards)
