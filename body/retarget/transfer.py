"""Motion of a body with SMPL's joints on a figure, and from there in the joints of its rig.

World rotations are those of the source. The joints of a spine share it evenly: the i-th of n turns as the source's
spine does at i / n of its length, and so does a neck. The middle of the hips goes where the source's goes; the figure
has the source's size, so the rig's path is scaled as its hips are high.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from body.retarget.figure import Figure
from body.retarget.names import SIDES
from body.retarget.rig import above
from body.retarget.twists import share_twists
from utils.geometry.body import BodyMotion, joints_of
from utils.geometry.kinematics import walk
from utils.geometry.root_bone import split_root
from utils.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix, slerp
from utils.run.errors import DataError

_SPINE = ("pelvis", "spine1", "spine2", "spine3")
_NECK = ("spine3", "neck")


@dataclass(frozen=True)
class RigMotion:
    """A motion in the joints of a rig, in the axes and units of its file.

    `rotations` [T, K, 3, 3] are those of each joint in its parent, `places` [T, K, 3] where the joints are in the
    world, `moved` the translations [T, 3] in their parents of the joints that move in them, by joint, and `held` [K, 3]
    those of all others.
    """

    rotations: np.ndarray
    places: np.ndarray
    moved: Mapping[int, np.ndarray]
    held: np.ndarray


def transferred(motion: BodyMotion, figure: Figure) -> BodyMotion:
    """The motion on the figure's body, where it stands and as it stands."""
    body, names = figure.body, {name: joint for joint, name in enumerate(motion.body.joints)}
    positions, world = joints_of(motion)
    turned = np.empty((len(world), len(body.joints), 3, 3))
    for word, source in (("spine", _SPINE), ("neck", _NECK)):
        chain = [joint for joint, name in enumerate(body.joints) if name.startswith(word)]
        turned[:, chain] = _shared(world[:, [names[name] for name in source]], len(chain))
    for joint, name in enumerate(body.joints):
        if not name.startswith(("spine", "neck")):
            turned[:, joint] = world[:, names[name]]
    hips, rest = _middle(positions, motion.body.joints), _middle(body.rest, body.joints)
    root = hips - turned[:, 0] @ (rest - body.rest[0])
    start = [joint if parent < 0 else parent for joint, parent in enumerate(body.parents)]
    local = turned[:, start].swapaxes(-1, -2) @ turned
    local[:, 0] = turned[:, 0]
    told = [name in names for name in body.joints]
    contacts = None
    if motion.contacts is not None:
        contacts = np.zeros(turned.shape[:2], bool)
        contacts[:, told] = motion.contacts[:, [names[name] for name in body.joints if name in names]]
    root, local = root.astype(np.float32), local.astype(np.float32)
    return replace(
        motion, body=body, rotations=local, root=root, contacts=contacts, meta={"loop": motion.meta.get("loop", False)}
    )


def _middle(points: np.ndarray, joints: Sequence[str]) -> np.ndarray:
    """The middle [..., 3] of the hips."""
    return points[..., [joints.index(f"{side}_hip") for side in SIDES], :].mean(-2)


def _shared(world: np.ndarray, count: int) -> np.ndarray:
    """World rotations [T, count, 3, 3] of joints that share those of a chain [T, N, 3, 3], which begins above them."""
    quaternions = matrix_to_quaternion(torch.from_numpy(world.astype(np.float64)))
    along = np.arange(1, count + 1) * (world.shape[1] - 1) / max(count, 1)
    below = np.minimum(along.astype(int), world.shape[1] - 2)
    part = slerp(quaternions[:, below], quaternions[:, below + 1], torch.from_numpy(along - below))
    return quaternion_to_matrix(part).numpy()


def in_rig(motion: BodyMotion, figure: Figure) -> RigMotion:
    """A motion of the figure's body in the joints of its rig."""
    rig, turn = figure.rig, figure.turn
    _, world = joints_of(motion)
    frames, order = len(world), walk(rig.parents)
    turned = np.tile(np.eye(3), (frames, len(order), 1, 1))  # against the T, in the axes of people
    pelvis, driver = figure.roles.joints["pelvis"], _driver(figure)
    for joint in order:
        own = figure.owner[joint]
        if own >= 0:
            held = world[:, own] if figure.joints[own] == joint else turned[:, rig.parents[joint]]
            turned[:, joint] = held @ figure.relaxed.get(joint, np.eye(3))
    share_twists(figure, turned)
    for joint in above(rig.parents, pelvis)[1:]:
        if driver in above(rig.parents, joint):
            turned[:, joint] = turned[:, pelvis]
    places = np.tile((rig.places - figure.floor) @ turn / figure.size, (frames, 1, 1))
    places[:, pelvis] = motion.root
    ahead = above(rig.parents, pelvis)
    for lower, upper in zip(ahead[:-1], ahead[1:], strict=True):
        if lower == driver:
            break
        places[:, upper] = places[:, lower] - _across(turned[:, upper], figure.rest[lower] - figure.rest[upper])
    if (root := figure.roles.root) >= 0:
        bone = split_root(motion)
        places[:, root], turned[:, root] = bone.path, bone.heading
    fixed = {*ahead[: ahead.index(driver) + 1], figure.roles.root}
    for joint in order:
        parent = rig.parents[joint]
        if joint not in fixed and parent >= 0:
            if figure.owner[joint] < 0:
                turned[:, joint] = turned[:, parent]
            places[:, joint] = places[:, parent] + _across(turned[:, parent], figure.rest[joint] - figure.rest[parent])
    return _in_file(figure, turned, places, {driver, figure.roles.root} - {-1})


def _driver(figure: Figure) -> int:
    """The joint that carries the place of the hips: the pelvis, or the next above it that may be moved."""
    rig, pelvis = figure.rig, figure.roles.joints["pelvis"]
    ahead = [joint for joint in above(rig.parents, pelvis) if rig.movable[joint] and joint != figure.roles.root]
    if not ahead:
        raise DataError(f"{rig.name} has no joint above its hips that could be moved")
    return ahead[0]


def _in_file(figure: Figure, turned: np.ndarray, places: np.ndarray, moving: set[int]) -> RigMotion:
    """What joints of a figure do, in the axes and units of the rig's file."""
    rig = figure.rig
    world = figure.turn @ turned @ figure.axes
    start = [joint if parent < 0 else parent for joint, parent in enumerate(rig.parents)]
    local = world[:, start].swapaxes(-1, -2) @ world
    roots = np.array([parent < 0 for parent in rig.parents])
    local[:, roots] = world[:, roots]
    places = places * figure.size @ figure.turn.T + figure.floor
    moved = {}
    for joint in moving:
        parent = rig.parents[joint]
        moved[joint] = places[:, joint]
        if parent >= 0:
            way = (places[:, joint] - places[:, parent])[..., None]
            moved[joint] = (world[:, parent].swapaxes(1, 2) @ way).squeeze(-1) / rig.scales[joint]
    ways = (rig.axes[start].swapaxes(1, 2) @ (rig.places - rig.places[start])[..., None]).squeeze(-1)
    return RigMotion(local, places, moved, ways / rig.scales[:, None])


def _across(rotations: np.ndarray, way: np.ndarray) -> np.ndarray:
    return (rotations @ way[:, None]).squeeze(-1)
