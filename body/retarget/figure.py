"""A character brought into the T of SMPL, and to the size of who moves it: a body that takes the same rotations.

The rig is turned to stand as people do here (y up, facing +z), scaled so that its hips are as high as those of the
source, and its limbs are swung to the directions of the source's rest pose. In that pose all rotations are the
identity, so the world rotations of the source's joints are those of the figure's, whatever the rig's own rest pose.

A limb whose bend shows (more than `_BENT`) is also twisted so that it bends to the front. Hands follow the line of
their knuckles where they have fingers, else their bone. Feet are turned about the vertical only: their soles are level.
Trunk, neck, head and collars keep what the character's maker gave them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from body.retarget.fingers import relaxed_fingers
from body.retarget.names import LIMBS, SIDES, Roles
from body.retarget.rig import Rig, above, standing_axes
from utils.geometry.body import Body
from utils.geometry.kinematics import walk
from utils.geometry.rotations import between_vectors, nearest_rotations
from utils.run.errors import DataError

_BENT = np.sin(np.radians(15))
_FLOOR = 0.05  # of the hips' height: a character whose soles are this near to 0 stands on 0
_STANDS = 0.12  # of the hips' height over the lowest joint: how far above 0 that may be for 0 to be the floor
_FORWARD = np.array([0.0, 0.0, 1.0])
_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Figure:
    """A rig in the T: `body` has those of its joints that have a role in a motion, by SMPL's names, `spine1` ...

    `joints` are the rig's numbers of the body's joints, `owner` [K] for each joint of the rig the body's joint that it
    moves with (-1: none, it is above the pelvis). `rest` [K, 3] and `axes` [K, 3, 3] are all joints in the T, in the
    axes of people and the size of the source; `relaxed` turns the joints of fingers there, and `palms`
    [2, 3] lead from the left and the right wrist to the knuckles. A point p here is
    `turn` @ p * `size` + `floor` in the file.
    """

    rig: Rig
    roles: Roles
    body: Body
    joints: tuple[int, ...]
    owner: np.ndarray
    rest: np.ndarray
    axes: np.ndarray
    turn: np.ndarray
    size: float
    floor: np.ndarray
    relaxed: Mapping[int, np.ndarray]
    palms: np.ndarray


def make_figure(rig: Rig, roles: Roles, source: Body) -> Figure:
    """The figure of a rig for motions of a body with SMPL's joints. Raises DataError for one without height."""
    joints = roles.joints
    place = {role: rig.places[joint] for role, joint in joints.items()}
    feet = (place["left_ankle"] + place["right_ankle"]) / 2
    turn = standing_axes(place["left_hip"] - place["right_hip"], place["head"] - feet)
    places = rig.places @ turn
    axes = turn.T @ rig.axes
    names, owner = _joints_of(rig, roles)
    swings = _swings(rig, roles, places, axes, source)
    order = walk(rig.parents)
    turned = np.tile(np.eye(3), (len(places), 1, 1))
    rest = places.copy()
    for joint in order:
        parent = rig.parents[joint]
        if parent >= 0:
            rest[joint] = rest[parent] + turned[parent] @ (places[joint] - places[parent])
            turned[joint] = turned[parent]
        turned[joint] = swings.get(joint, turned[joint])
    vertices = _in_pose(rig.vertices @ turn, rig.weights, places, rest, turned)
    wanted, toe = hip_height(source), source.rest[source.joints.index("left_foot")]
    floor = _soles(rig, joints, places, rest, vertices, (toe[1] - _lowest(source)) / wanted)
    hips = np.mean([rest[joints[f"{side}_hip"]] for side in SIDES], 0)
    height = float(hips[1] - floor)
    if not height > 0:
        raise DataError(f"{rig.name} has no legs to stand on: its hips are not above its feet")
    size = height / wanted
    ground = floor if abs(floor) > _FLOOR * height else 0.0
    rest = (rest - floor * _UP) / size
    chosen = tuple(names)
    parents = [owner[rig.parents[joint]] if rig.parents[joint] >= 0 else -1 for joint in chosen]
    wrists = {side: joints[f"{side}_wrist"] for side in SIDES}
    relaxed = relaxed_fingers(roles.fingers, wrists, rest)
    body = Body(
        rig.name,
        tuple(names.values()),
        tuple(int(parent) for parent in parents),
        rest[list(chosen)].astype(np.float32),
        ((vertices - floor * _UP) / size).astype(np.float32),
        rig.faces,
        _gathered(rig.weights, owner, len(chosen)),
    )
    return Figure(
        rig,
        roles,
        body,
        chosen,
        owner,
        rest,
        turned @ axes,
        turn,
        size,
        turn @ (ground * _UP),
        relaxed,
        _palms(roles, rest, source),
    )


def hip_height(body: Body) -> float:
    """How high the middle of the hips stands above the soles in rest; above the lowest joint without a mesh."""
    hips = np.mean([body.rest[body.joints.index(f"{side}_hip")] for side in SIDES], 0)
    return float(hips[1]) - _lowest(body)


def _lowest(body: Body) -> float:
    return float((body.vertices if len(body.vertices) else body.rest)[:, 1].min())


def _joints_of(rig: Rig, roles: Roles) -> tuple[dict[int, str], np.ndarray]:
    """The joints of a motion with their names, parents before children, and the owner of each joint of the rig."""
    named = {joint: f"spine{number + 1}" for number, joint in enumerate(roles.spine)}
    named |= {joint: f"neck{number or ''}" for number, joint in enumerate(roles.neck)}
    named |= {joint: role for role, joint in roles.joints.items()}
    order = walk(rig.parents)
    names = {joint: named[joint] for joint in order if joint in named}
    numbers = {joint: number for number, joint in enumerate(names)}
    owner = np.full(len(order), -1)
    for joint in order:
        owner[joint] = numbers.get(joint, owner[rig.parents[joint]] if rig.parents[joint] >= 0 else -1)
    return names, owner


def _swings(rig: Rig, roles: Roles, places: np.ndarray, axes: np.ndarray, source: Body) -> dict[int, np.ndarray]:
    """What brings each joint that has a role from the rig's pose into the T, in the world."""
    joints, at = roles.joints, {role: places[joint] for role, joint in roles.joints.items()}
    goal = {name: source.rest[joint].astype(np.float64) for joint, name in enumerate(source.joints)}
    found = {joint: np.eye(3) for joint in (joints["pelvis"], joints["head"], *roles.spine, *roles.neck)}
    for side in SIDES:
        if collar := joints.get(f"{side}_collar"):
            found[collar] = np.eye(3)
        for limb in LIMBS:
            upper, middle, end = (f"{side}_{name}" for name in limb)
            bones = at[middle] - at[upper], at[end] - at[middle]
            wanted = goal[middle] - goal[upper], goal[end] - goal[middle]
            found[joints[upper]], found[joints[middle]] = _limb(*bones, *wanted, 1.0 if limb[0] == "shoulder" else -1.0)
        ankle, wrist = joints[f"{side}_ankle"], joints[f"{side}_wrist"]
        found[ankle] = np.eye(3)
        if toe := joints.get(f"{side}_foot"):
            found[ankle] = found[toe] = _yaw(places[toe] - places[ankle], goal[f"{side}_foot"] - goal[f"{side}_ankle"])
        found[wrist] = _hand(rig, roles, side, places, found[joints[f"{side}_elbow"]], goal)
    return found


def _limb(
    upper: np.ndarray, lower: np.ndarray, upper_goal: np.ndarray, lower_goal: np.ndarray, front: float
) -> tuple[np.ndarray, np.ndarray]:
    """Turns of the two bones of a limb; `front` is the side to which it bends, along z."""
    swing = _between(upper, upper_goal)
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


def _in_pose(
    vertices: np.ndarray, weights: np.ndarray, places: np.ndarray, rest: np.ndarray, turned: np.ndarray
) -> np.ndarray:
    """Vertices [V, 3] moved along with the joints (linear blend skinning)."""
    if not len(vertices):
        return vertices
    moved = np.concatenate([turned, (rest - (turned @ places[..., None]).squeeze(-1))[..., None]], -1)
    blended = (weights @ moved.reshape(len(moved), 12)).reshape(-1, 3, 4)
    return (blended[..., :3] @ vertices[..., None]).squeeze(-1) + blended[..., 3]


def _soles(
    rig: Rig, joints: Mapping[str, int], places: np.ndarray, rest: np.ndarray, vertices: np.ndarray, clear: float
) -> float:
    """The height of the soles in the T: that of the lowest vertex of the feet.

    Without a mesh the floor is 0 where the feet, as the file has them, stand a little above it; else the lowest joint
    of a foot stands `clear` above its sole.
    """
    feet = {joints[f"{side}_ankle"] for side in SIDES}
    below = [joint for joint in range(len(rest)) if feet & set(above(rig.parents, joint))]
    if len(vertices) and (mine := rig.weights[:, below].sum(1) > 0.5).any():
        return float(vertices[mine, 1].min())
    low, hips = places[below, 1].min(), places[joints["left_hip"], 1]
    if 0 <= low < _STANDS * (hips - low):
        return float(rest[below, 1].min() - low)
    return float(rest[below, 1].min()) - clear * (hips - low)


def _gathered(weights: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Weights [V, count] of vertices on the joints of a motion; what hangs on none goes to the first."""
    gathered = np.zeros((len(weights), count), np.float32)
    for joint in range(weights.shape[1] if len(weights) else 0):
        gathered[:, max(int(owner[joint]), 0)] += weights[:, joint]
    return gathered


def _palms(roles: Roles, rest: np.ndarray, source: Body) -> np.ndarray:
    """The way from each wrist to the knuckles, or to where the source has its hands."""
    ways = []
    for side in SIDES:
        knuckles = [chain[0] for finger, chain in roles.fingers.get(side, {}).items() if finger != "thumb"]
        if knuckles:
            ways.append(rest[knuckles].mean(0) - rest[roles.joints[f"{side}_wrist"]])
        else:
            wrist, hand = (source.rest[source.joints.index(f"{side}_{name}")] for name in ("wrist", "hand"))
            ways.append(hand - wrist)
    return np.stack(ways)
