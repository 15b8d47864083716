"""Which joint of a rig is which of a person's: by its names, by the shape of its tree, or by the user's own map.

A rig need not have all of SMPL's joints. Arms, legs, pelvis and head must be there (`CORE`); how many joints spine and
neck have is read off the tree, and so are collars, toes, fingers, twist bones and a root bone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from body.retarget.rig import Rig, above, between, children_of, meeting, standing_axes
from body.retarget.shape import by_shape
from utils.geometry.human import joints_named, plain_name
from utils.run.errors import DataError

SIDES = ("left", "right")
LIMBS = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")
CORE = ("pelvis", "head", *(f"{side}_{name}" for side in SIDES for limb in LIMBS for name in limb))
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_TWIST = re.compile(r"twist|roll(?!er)|helper")
_FINGER = {"little": "pinky", "mid": "middle", "fore": "index"} | {name: name for name in FINGERS}
_NAMED = 6  # joints that are missing, of those that are named
STEEP = 0.9  # cosine to the vertical: whose legs and trunk are all steeper stands
_ROOT_HEIGHT = 0.15  # of the hips' height, below which a joint above them is a root bone on the floor


@dataclass(frozen=True)
class Roles:
    """Joints of a rig by what they are.

    `joints` holds `CORE` and, where there are, `left_collar`, `left_foot` (the toes) and those of the right; `spine`
    and `neck` lead from the pelvis to the joint that carries the arms, and from there to the head. `fingers` are the
    chains of a side, by finger; `twists` are joints that hang aside on a limb, with its upper joint. `root` is a root
    bone on the floor; -1: there is none.
    """

    joints: Mapping[str, int]
    spine: tuple[int, ...] = ()
    neck: tuple[int, ...] = ()
    fingers: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    twists: Mapping[int, str] = field(default_factory=dict)
    root: int = -1

    @property
    def known(self) -> set[int]:
        """All joints that have a role."""
        chains = [chain for hand in self.fingers.values() for chain in hand.values()]
        known = {*self.joints.values(), *self.spine, *self.neck, *self.twists, *sum(chains, ())}
        return known | ({self.root} if self.root >= 0 else set())


class Undecided(DataError):
    """A rig some of whose joints are not known; `found` are those that are, by role."""

    def __init__(self, said: str, rig: Rig, found: Mapping[str, int]):
        super().__init__(said)
        self.rig, self.found = rig, dict(found)


def find_roles(rig: Rig, mapped: Mapping[str, int] | None = None) -> Roles:
    """The roles of a rig's joints; `mapped` are those that the user names. Raises Undecided, or DataError.

    What the file itself says (VRM) counts before names, and names before the shape of the tree.
    """
    if mapped is not None:
        found = dict(mapped)
    else:
        twice = sorted({name for name in rig.joints if rig.joints.count(name) > 1})
        found = dict(rig.said) or by_names(rig.joints)
        if doubled := next((rig.joints[found[role]] for role in found if rig.joints[found[role]] in twice), None):
            raise DataError(f"{rig.name} has two joints called {doubled}: rename one, or say which with --map")
        if not set(CORE) <= set(found) or _misplaced(rig, found):
            found = by_shape(rig.parents, rig.places) or found
    missing = [role for role in CORE if role not in found]
    if missing:
        if len(rig.joints) < len(CORE):
            few = f"{rig.name} has too few joints for arms and legs ({len(rig.joints)})"
            raise DataError(f"{few}: a person's motion goes onto characters that have them")
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        said = f"{rig.name} has no joint that is known to be {', '.join(missing[:_NAMED])}{more}"
        raise Undecided(said, rig, found)
    if fault := _misplaced(rig, found) or _contradiction(rig, found):
        raise Undecided(f"{rig.name}: {fault}", rig, found)
    return _completed(rig, found)


def by_names(names: Sequence[str]) -> dict[str, int]:
    """The joints of SMPL that names tell; spine and neck are left to the tree."""
    found = {role: joints[0] for role, joints in joints_named(names)[1].items() if len(joints) == 1}
    kept = {role: found[role] for role in (*CORE, *_sided("collar"), *_sided("foot")) if role in found}
    # A rig with both has the wrist at the end of the forearm and the hand beyond it.
    plain = [plain_name(name) for name in names]
    for side in SIDES:
        role = f"{side}_wrist"
        if role in kept and (other := plain[kept[role]].replace("hand", "wrist")) in plain:
            kept[role] = plain.index(other)
    return kept


def uprightness(rig: Rig, roles: Roles) -> float:
    """How far a rig stands with straight legs and trunk: the smallest cosine of their bones to the vertical."""
    at = {role: rig.places[joint] for role, joint in roles.joints.items()}
    feet, hips, shoulders = (np.mean([at[role] for role in _sided(name)], 0) for name in ("ankle", "hip", "shoulder"))
    up = standing_axes(at["left_hip"] - at["right_hip"], at["head"] - feet)[:, 1]
    parts = [at["head"] - hips, shoulders - hips]
    for side in SIDES:
        hip, knee, ankle = (at[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        parts += [hip - knee, knee - ankle]
    return min(float(part @ up / max(np.linalg.norm(part), 1e-12)) for part in parts)


def _sided(name: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for side in SIDES)


def _misplaced(rig: Rig, found: Mapping[str, int]) -> str:
    """What is wrong with where joints hang: a limb must hang together, and on the body."""
    for side in SIDES:
        for limb in LIMBS:
            names = [f"{side}_{name}" for name in limb]
            for upper, lower in zip(names[:-1], names[1:], strict=True):
                if upper in found and lower in found and not between(rig.parents, found[upper], found[lower]):
                    return f"{rig.joints[found[lower]]} ({lower}) does not hang on {rig.joints[found[upper]]} ({upper})"
                if upper in found and lower in found and _together(rig, found[upper], found[lower]):
                    return (
                        f"{rig.joints[found[lower]]} ({lower}) stands where {rig.joints[found[upper]]} ({upper}) does"
                    )
    if len(set(found.values())) < len(found):
        return "one joint has two roles"
    return ""


def _together(rig: Rig, one: int, other: int) -> bool:
    """Whether two joints stand in one place, beside the size of the rig."""
    size = float(np.ptp(rig.places, axis=0).max())
    return not float(np.linalg.norm(rig.places[one] - rig.places[other])) > 1e-5 * size


def _contradiction(rig: Rig, found: Mapping[str, int]) -> str:
    """What speaks against the sides: hands or feet that lie on the other one."""
    at = {role: rig.places[joint] for role, joint in found.items()}
    if meeting(rig.parents, [found[role] for role in (*_sided("hip"), *_sided("shoulder"), "head")]) < 0:
        return "its arms, legs and head do not hang on one joint"
    across = at["left_hip"] - at["right_hip"]
    up = at["head"] - (at["left_ankle"] + at["right_ankle"]) / 2
    if not np.linalg.norm(across) > 0 or not np.linalg.norm(up) > 0 or _level(across, up) > 0.5:
        return "its hips do not lie side by side, so it is not known where it faces"
    left = standing_axes(across, up)[:, 0]
    for limb in ("shoulder", "wrist"):
        if (at[f"left_{limb}"] - at[f"right_{limb}"]) @ left <= 0:
            return f"its left {limb} lies to the right of the right one, against the hips: two left sides, or crossed"
    return ""


def _level(across: np.ndarray, up: np.ndarray) -> float:
    return abs(float(across @ up) / float(np.linalg.norm(across) * np.linalg.norm(up)))


def _completed(rig: Rig, found: Mapping[str, int]) -> Roles:
    """The rest of the roles, off the tree."""
    joints = dict(found)
    arms, legs = ([joints[role] for role in _sided(name)] for name in ("shoulder", "hip"))
    chest = meeting(rig.parents, [*arms, joints["head"]])
    pelvis = meeting(rig.parents, [*legs, chest])
    carries_legs = {joint for leg in legs for joint in above(rig.parents, leg)}
    spine = tuple(joint for joint in between(rig.parents, pelvis, chest) if joint not in carries_legs)
    neck = tuple(between(rig.parents, chest, joints["head"])[:-1])
    joints["pelvis"] = pelvis
    for side in SIDES:
        way = between(rig.parents, chest, joints[f"{side}_shoulder"])[:-1]
        if way and f"{side}_collar" not in joints:
            joints[f"{side}_collar"] = way[0]
        if toe := _toe(rig, joints, side):
            joints[f"{side}_foot"] = toe
    roles = Roles(joints, spine, neck)
    roles = replace(roles, fingers={side: _fingers(rig, joints[f"{side}_wrist"]) for side in SIDES})
    return replace(roles, twists=_twists(rig, roles), root=_root_bone(rig, joints))


def _toe(rig: Rig, joints: Mapping[str, int], side: str) -> int:
    """The joint of the toes, 0 where there is none: below the ankle, named so, or the one that goes on furthest."""
    ankle = joints[f"{side}_ankle"]
    told = joints.get(f"{side}_foot", -1)
    if between(rig.parents, ankle, told):
        return told
    below = children_of(rig.parents)[ankle]
    named = [joint for joint in below if re.search("toe|ball", plain_name(rig.joints[joint]))]
    some = named or [joint for joint in below if not _TWIST.search(plain_name(rig.joints[joint]))]
    away = [float(np.linalg.norm(rig.places[joint] - rig.places[ankle])) for joint in some]
    return some[int(np.argmax(away))] if some else 0


def _fingers(rig: Rig, wrist: int) -> dict[str, tuple[int, ...]]:
    """The chains of a hand's fingers, by name; where names tell nothing, of five chains in their order across."""
    children = children_of(rig.parents)
    chains: dict[str, tuple[int, ...]] = {}
    for joint in _below(children, wrist):
        plain = plain_name(rig.joints[joint])
        finger = next((name for word, name in _FINGER.items() if word in plain), None)
        if finger and finger not in chains and "metacarpal" not in plain.replace("thumbmetacarpal", ""):
            chains[finger] = _chain(children, joint)
    return chains


def _below(children: list[list[int]], joint: int) -> list[int]:
    found = list(children[joint])
    for below in found:
        found.extend(children[below])
    return found


def _chain(children: list[list[int]], joint: int) -> tuple[int, ...]:
    """A joint and those below it, as long as there is one."""
    chain = [joint]
    while len(children[chain[-1]]) == 1:
        chain += children[chain[-1]]
    return tuple(chain[:3])


def _twists(rig: Rig, roles: Roles) -> dict[int, str]:
    """Joints that hang aside on a limb and are named so: with the role of the joint whose bone they lie on."""
    found = {}
    upper = {roles.joints[role]: role for role in CORE if role.endswith(("hip", "knee", "shoulder", "elbow"))}
    in_limbs = {joint for role in CORE for joint in above(rig.parents, roles.joints[role])}
    for joint, parent in enumerate(rig.parents):
        if joint not in in_limbs and parent in upper and _TWIST.search(plain_name(rig.joints[joint])):
            found[joint] = upper[parent]
    return found


def _root_bone(rig: Rig, joints: Mapping[str, int]) -> int:
    """The topmost bone above the pelvis, where it lies on the floor and another below it can be moved; else -1."""
    pelvis, *more = above(rig.parents, joints["pelvis"])
    tops = [joint for joint in more if rig.bones[joint] and rig.movable[joint]]
    if not tops or not any(rig.movable[joint] for joint in [pelvis, *more[: more.index(tops[-1])]]):
        return -1
    hips, ankles = (np.mean([rig.places[joints[role]] for role in _sided(name)], 0) for name in ("hip", "ankle"))
    up = (hips - ankles) / np.linalg.norm(hips - ankles)
    height = (rig.places[tops[-1]] - ankles) @ up / np.linalg.norm(hips - ankles)
    return tops[-1] if height < _ROOT_HEIGHT else -1
