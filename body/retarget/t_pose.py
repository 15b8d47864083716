"""What brings the limbs of a rig from its own pose into the T of SMPL: a turn for each joint that has a role.

A limb is swung the shortest way to the directions of the source's rest pose. One whose bend shows (more than `_BENT`)
is also twisted so that it bends to the front, or backwards for a knee. Hands follow the line of their knuckles where
they have fingers, else their bone. Feet are turned about the vertical only, for their soles are level.

Trunk, neck, head and collars of a rig that stands keep what the character's maker gave them. Of one that never does (a
BVH file whose rest pose lays all bones along one axis, and whose motion is a dash) pelvis and chest are turned by the
lines of hips, shoulders and spine, and feet by their bones.
"""

import numpy as np
import torch

from body.retarget.names import LIMBS, SIDES, STEEP, Roles, uprightness
from body.retarget.rig import Rig
from utils.geometry.rotations import (
    between_vectors,
    matrix_to_quaternion,
    nearest_rotations,
    quaternion_to_matrix,
    slerp,
)

_BENT = np.sin(np.radians(15))
_FORWARD = np.array([0.0, 0.0, 1.0])
_UP = np.array([0.0, 1.0, 0.0])


def swings_to_t(rig: Rig, roles: Roles, places: np.ndarray, source: dict[str, np.ndarray]) -> dict[int, np.ndarray]:
    """The turn [3, 3] in the world of each joint that has a role.

    `places` [K, 3] are those of the rig, in the axes of people (y up, facing +z, but see `standing_axes`), `source` the
    places of the source's joints in its T, by name.
    """
    joints, at = roles.joints, {role: places[joint] for role, joint in roles.joints.items()}
    stands = uprightness(rig, roles) > STEEP
    found = _trunk(rig, roles, places, source) if not stands else {}
    low, high = found.get(joints["pelvis"], np.eye(3)), found.get(joints["head"], np.eye(3))
    for side in SIDES:
        for limb, trunk, front in zip(LIMBS, (low, high), (-1.0, 1.0), strict=True):
            upper, middle, end = (f"{side}_{name}" for name in limb)
            bones = at[middle] - at[upper], at[end] - at[middle]
            goals = source[middle] - source[upper], source[end] - source[middle]
            found[joints[upper]], found[joints[middle]] = _limb(trunk, bones, goals, front)
        found[joints[f"{side}_wrist"]] = _hand(rig, roles, side, places, found[joints[f"{side}_elbow"]], source)
        ankle, toe = joints[f"{side}_ankle"], joints.get(f"{side}_foot")
        if toe is None:
            found[ankle] = np.eye(3) if stands else found[joints[f"{side}_knee"]]
            continue
        foot, goal = places[toe] - places[ankle], source[f"{side}_foot"] - source[f"{side}_ankle"]
        found[ankle] = found[toe] = _yaw(foot, goal) if stands else _between(low @ foot, goal) @ low
    return {joint: np.eye(3) for joint in (*joints.values(), *roles.spine, *roles.neck)} | found


def _trunk(rig: Rig, roles: Roles, places: np.ndarray, source: dict[str, np.ndarray]) -> dict[int, np.ndarray]:
    """Turns of the joints of the trunk, the neck and the head by the lines of hips, shoulders and what is between."""
    at = {role: places[joint] for role, joint in roles.joints.items()}
    turns = []
    for across in ("hip", "shoulder"):
        lines = []
        for place in (at, source):
            left, right = (place[f"{side}_{across}"] for side in SIDES)
            hips, shoulders = (sum(place[f"{side}_{name}"] for side in SIDES) / 2 for name in ("hip", "shoulder"))
            ways = np.stack([left - right, shoulders - hips], -1)
            lines.append(ways / np.linalg.norm(ways, axis=0))
        turns.append(nearest_rotations(torch.from_numpy(lines[1] @ lines[0].T)))
    start, end = (matrix_to_quaternion(turn) for turn in turns)
    found = {roles.joints["pelvis"]: turns[0].numpy()}
    for number, joint in enumerate(roles.spine, 1):
        found[joint] = quaternion_to_matrix(slerp(start, end, number / len(roles.spine))).numpy()
    collars = [roles.joints[role] for role in roles.joints if role.endswith("collar")]
    return found | {joint: turns[1].numpy() for joint in (*roles.neck, roles.joints["head"], *collars)}


def _limb(
    trunk: np.ndarray, bones: tuple[np.ndarray, np.ndarray], goals: tuple[np.ndarray, np.ndarray], front: float
) -> tuple[np.ndarray, np.ndarray]:
    """Turns of the two bones of a limb on a trunk that is turned; `front` is the side to which it bends, along z."""
    (upper, lower), (upper_goal, lower_goal) = bones, goals
    swing = _between(trunk @ upper, upper_goal) @ trunk
    turned = swing @ lower / np.linalg.norm(lower)
    along = upper_goal / np.linalg.norm(upper_goal)
    aside = turned - turned @ along * along
    if np.linalg.norm(aside) > _BENT:
        wanted = front * (_FORWARD - _FORWARD @ along * along)
        swing = _between(aside, wanted, along) @ swing
    return swing, _between(swing @ lower, lower_goal) @ swing


def _yaw(foot: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The turn about the vertical that brings a foot to the direction of another; none where one has none."""
    flat, wanted = (way * (1, 0, 1) for way in (foot, goal))
    if min(np.linalg.norm(flat), np.linalg.norm(wanted)) < 0.1 * np.linalg.norm(foot):
        return np.eye(3)
    return _between(flat, wanted, _UP)


def _hand(
    rig: Rig, roles: Roles, side: str, places: np.ndarray, forearm: np.ndarray, goal: dict[str, np.ndarray]
) -> np.ndarray:
    """The turn of a hand: by its knuckles, else by its bone, else that of the forearm."""
    wrist = roles.joints[f"{side}_wrist"]
    along = goal[f"{side}_wrist"] - goal[f"{side}_elbow"]
    along = along / np.linalg.norm(along)
    chains = {name: chain for name, chain in roles.fingers.get(side, {}).items() if name != "thumb"}
    if len(chains) >= 3 and {"index", "pinky"} <= set(chains) or {"index", "ring"} <= set(chains):
        first = {name: places[chain[0]] for name, chain in chains.items()}
        way = np.mean([*first.values()], 0) - places[wrist]
        across = first["index"] - first.get("pinky", first.get("ring"))
        across = across - across @ way * way / (way @ way)
        ways = np.stack([way / np.linalg.norm(way), across / np.linalg.norm(across)], -1)
        wanted = np.stack([along, _FORWARD - _FORWARD @ along * along], -1)
        return nearest_rotations(torch.from_numpy(wanted @ ways.T)).numpy()
    ends = [joint for joint, parent in enumerate(rig.parents) if parent == wrist]
    ways = [forearm @ (places[joint] - places[wrist]) for joint in ends]
    ways = [way for way in ways if way @ along > 0.5 * np.linalg.norm(way) > 0]
    return _between(np.mean(ways, 0), along) @ forearm if ways else forearm


def _between(start: np.ndarray, end: np.ndarray, about: np.ndarray | None = None) -> np.ndarray:
    """The shortest turn from one direction to another; about an axis at right angles to both where one is given."""
    if about is not None:
        angle = np.arctan2(np.cross(start, end) @ about, start @ end)
        x, y, z = about
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return between_vectors(torch.from_numpy(np.asarray(start)), torch.from_numpy(np.asarray(end))).numpy()
