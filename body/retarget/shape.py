"""The joints of a person by the shape of the tree: two chains down from a pelvis, one up that branches into three.

For rigs whose names tell nothing. Sides follow from where the toes point: whoever looks that way has the left side at
the left.
"""

from collections.abc import Sequence

import numpy as np

from body.retarget.rig import children_of

_FLAT = 0.7  # sine of the angle to the vertical from which a bone of a leg is one of the foot
_NECK = 0.27  # of the way from the pelvis to the neck: the furthest that a head is from the neck
_UP_AXES = (np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]))


def by_shape(parents: Sequence[int], places: np.ndarray) -> dict[str, int]:
    """Pelvis, head and the joints of both arms and legs, by role; empty where the tree is not that of a person.

    `places` [K, 3] are those of an upright pose, with y or z up.
    """
    tree = children_of(parents)
    for up in _UP_AXES:
        height = places @ up
        for pelvis in range(len(parents)):
            if found := _person(tree, places, height, up, pelvis):
                return found
    return {}


def _person(
    tree: list[list[int]], places: np.ndarray, height: np.ndarray, up: np.ndarray, pelvis: int
) -> dict[str, int]:
    """The joints of a person with that pelvis, or nothing."""
    ends = {child: _furthest(tree, places, child) for child in tree[pelvis]}
    legs = [child for child, way in ends.items() if len(way) >= 3 and height[way[-1]] < height[pelvis]]
    trunks = [child for child, way in ends.items() if child not in legs and height[way[-1]] > height[pelvis]]
    if len(legs) != 2 or len(trunks) != 1:
        return {}
    chest = trunks[0]
    while len(branches := [child for child in tree[chest] if len(_furthest(tree, places, child)) >= 2]) == 1:
        chest = branches[0]
    sides = [child for child in tree[chest] if len(_furthest(tree, places, child)) >= 3]
    pair = _most_apart(tree, places, sides, up)
    heads = [child for child in tree[chest] if child not in pair and height[child] > height[pelvis]]
    if not pair or not heads:
        return {}
    head = max((_furthest(tree, places, child) for child in heads), key=lambda way: height[way[-1]])
    found = {"pelvis": pelvis, "head": _head(head, places, float(height[head[0]] - height[pelvis]))}
    arms, feet = [_arm(tree, places, child) for child in pair], [_leg(ends[leg], places, up) for leg in legs]
    if not all(arms) or not all(feet):
        return {}
    toes = np.mean([places[foot[-1]] - places[foot[-2]] for foot in feet if len(foot) > 3] or [np.zeros(3)], 0)
    toes = toes - toes @ up * up
    if np.linalg.norm(toes) == 0:
        toes = np.array([0.0, 0.0, 1.0]) if up[1] else np.array([0.0, -1.0, 0.0])  # as glTF and Blender have it
    left = np.cross(up, toes)
    for limbs, names in ((feet, ("hip", "knee", "ankle", "foot")), (arms, ("shoulder", "elbow", "wrist"))):
        limbs = sorted(limbs, key=lambda limb: float(places[limb[1]] @ left))
        for side, limb in zip(("right", "left"), limbs, strict=True):
            found |= {f"{side}_{name}": joint for name, joint in zip(names, limb, strict=False)}
    return found


def _head(way: list[int], places: np.ndarray, trunk: float) -> int:
    """The head of a chain from the trunk: what the longest bone of it begins at, as a head is longer than a neck.

    Of two joints the second is the head where it is no further from the first than a head is from a neck.
    """
    lengths = np.linalg.norm(np.diff(places[way], axis=0), axis=1)
    if len(way) == 2 and lengths[0] < _NECK * trunk:
        return way[1]
    return way[int(lengths.argmax())] if len(way) > 1 else way[0]


def _furthest(tree: list[list[int]], places: np.ndarray, joint: int) -> list[int]:
    """The way from a joint to the end below it that is furthest along the bones."""
    best, longest = [joint], -1.0
    stack = [([joint], 0.0)]
    while stack:
        way, length = stack.pop()
        if not tree[way[-1]] and length > longest:
            best, longest = way, length
        for child in tree[way[-1]]:
            stack.append(([*way, child], length + float(np.linalg.norm(places[child] - places[way[-1]]))))
    return best


def _most_apart(tree: list[list[int]], places: np.ndarray, some: list[int], up: np.ndarray) -> tuple[int, ...]:
    """Of chains those two whose ends are furthest apart across: arms."""
    ends = {child: places[_furthest(tree, places, child)[-1]] for child in some}
    pairs = [(one, other) for one in some for other in some if one < other]
    across = {pair: ends[pair[0]] - ends[pair[1]] for pair in pairs}
    return max(pairs, key=lambda pair: float(np.linalg.norm(across[pair] - across[pair] @ up * up)), default=())


def _leg(way: list[int], places: np.ndarray, up: np.ndarray) -> list[int]:
    """Hip, knee, ankle and, where there are, toes of a chain: the foot begins where it leaves the vertical."""
    bones = np.diff(places[way], axis=0)
    lengths = np.linalg.norm(bones, axis=1)
    level = np.linalg.norm(bones - np.outer(bones @ up, up), axis=1) > _FLAT * lengths
    steep = np.flatnonzero(~level & (lengths > 0.05 * lengths.sum()))
    if len(steep) < 2:
        return []
    hip, ankle = int(steep[0]), int(steep[-1]) + 1
    knee = _halfway(way[hip : ankle + 1], places)
    return [] if knee < 0 else [way[hip], knee, way[ankle], *way[ankle + 1 : ankle + 2]]


def _arm(tree: list[list[int]], places: np.ndarray, joint: int) -> list[int]:
    """Shoulder, elbow and wrist of a chain up to where fingers branch: the ends of its two longest bones in a row."""
    way = [joint]
    while len(tree[way[-1]]) == 1:
        way += tree[way[-1]]
    if len(way) < 3:
        return []
    lengths = np.linalg.norm(np.diff(places[way], axis=0), axis=1)
    start = int(np.minimum(lengths[:-1], lengths[1:]).argmax())
    return way[start : start + 3]


def _halfway(way: list[int], places: np.ndarray) -> int:
    """The joint between the ends of a chain that lies nearest to its middle along the bones; -1 where there is none."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(places[way], axis=0), axis=1))])
    if len(way) < 3 or along[-1] <= 0:
        return -1
    return way[1 + int(np.abs(along[1:-1] - along[-1] / 2).argmin())]
