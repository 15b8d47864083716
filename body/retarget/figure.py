"""A character brought into the T of SMPL, and to the size of who moves it: a body that takes the same rotations.

The rig is turned to stand as people do here (y up, facing +z), scaled so that its hips are as high as those of the
source, and its limbs are swung to the directions of the source's rest pose. In that pose all rotations are the
identity, so the world rotations of the source's joints are those of the figure's, whatever the rig's own rest pose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from body.retarget.fingers import relaxed_fingers
from body.retarget.names import SIDES, STEEP, Roles, uprightness
from body.retarget.rig import Rig, above, standing_axes
from body.retarget.t_pose import swings_to_t
from utils.geometry.body import Body
from utils.geometry.kinematics import walk
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError

_FLOOR = 0.05  # of the hips' height: a character whose soles are this near to 0 stands on 0
_STANDS = 0.12  # of the hips' height over the lowest joint: how far above 0 that may be for 0 to be the floor
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
    """The figure of a rig for motions of a body with SMPL's joints. Raises DataError."""
    if missing := [name for name in SKELETONS["smpl24"].joints if name not in source.joints]:
        raise DataError(f"the motion's body has no {missing[0]}: only motion of a person goes onto a character")
    joints, goal = roles.joints, dict(zip(source.joints, source.rest.astype(np.float64), strict=True))
    turn = _person_axes(rig, roles)
    places = rig.places @ turn
    rest, turned = _swung(rig.parents, places, swings_to_t(rig, roles, places, goal))
    vertices = _in_pose(rig.vertices @ turn, rig.weights, places, rest, turned)
    wanted = hip_height(source)
    floor = _soles(rig, joints, places, rest, vertices, (goal["left_foot"][1] - _lowest(source)) / wanted)
    height = float(np.mean([rest[joints[f"{side}_hip"]][1] for side in SIDES])) - floor
    if not height > 0:
        raise DataError(f"{rig.name} has no legs to stand on: its hips are not above its feet")
    size, ground = height / wanted, floor if abs(floor) > _FLOOR * height else 0.0
    rest = (rest - floor * _UP) / size
    names, owner = _joints_of(rig, roles)
    chosen = tuple(names)
    body = Body(
        rig.name,
        tuple(names.values()),
        tuple(int(owner[rig.parents[joint]]) if rig.parents[joint] >= 0 else -1 for joint in chosen),
        rest[list(chosen)].astype(np.float32),
        ((vertices - floor * _UP) / size).astype(np.float32),
        rig.faces,
        _gathered(rig.weights, owner, len(chosen)),
    )
    relaxed = relaxed_fingers(roles.fingers, {side: joints[f"{side}_wrist"] for side in SIDES}, rest)
    axes, palms = turned @ turn.T @ rig.axes, _palms(roles, rest, source)
    return Figure(rig, roles, body, chosen, owner, rest, axes, turn, size, turn @ (ground * _UP), relaxed, palms)


def _person_axes(rig: Rig, roles: Roles) -> np.ndarray:
    """Left, up and forward (columns) in the axes of the file; of a rig that never stands those of y or z up alone."""
    at = {role: rig.places[joint] for role, joint in roles.joints.items()}
    turn = standing_axes(at["left_hip"] - at["right_hip"], at["head"] - (at["left_ankle"] + at["right_ankle"]) / 2)
    if uprightness(rig, roles) > STEEP or turn[1, 1] == turn[2, 1] == 0:
        return turn
    return np.stack([np.array([1.0, 0.0, 0.0]), turn[:, 1], np.cross([1.0, 0.0, 0.0], turn[:, 1])], -1)


def _swung(
    parents: Sequence[int], places: np.ndarray, swings: Mapping[int, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Places [K, 3] and turns [K, 3, 3] of joints of which some are turned; others move with what they hang on."""
    rest, turned = places.copy(), np.tile(np.eye(3), (len(places), 1, 1))
    for joint in walk(parents):
        parent = parents[joint]
        if parent >= 0:
            rest[joint] = rest[parent] + turned[parent] @ (places[joint] - places[parent])
            turned[joint] = turned[parent]
        turned[joint] = swings.get(joint, turned[joint])
    return rest, turned


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
