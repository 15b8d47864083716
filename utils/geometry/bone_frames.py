"""Where the bone of each joint leads in rest, and the axes that lie along it: what programs draw as bones.

A bone leads to the joint's child; of several children to the one on the midline, or to their middle; of a joint without
children to the end of its flesh.
"""

import numpy as np

from utils.geometry.body import Body
from utils.geometry.skeleton import mirrored_name

_SHORT = 1e-3  # metres: a shorter bone has no direction
_STEEP = 0.9  # cosine of the angle to forward from which a bone's axes are counted from above


def bone_ways(body: Body) -> np.ndarray:
    """The way [K, 3] from each joint to the end of its bone in rest."""
    children: list[list[int]] = [[] for _ in body.joints]
    for joint, parent in enumerate(body.parents):
        if parent >= 0 and np.linalg.norm(body.offsets[joint]) > _SHORT:
            children[parent].append(joint)
    return np.stack([_way(body, joint, below) for joint, below in enumerate(children)])


def bone_frames(body: Body) -> np.ndarray:
    """Axes [K, 3, 3] (columns) of the bones in rest: y along the bone, z forward, or up for bones that point forward.

    Limbs of both sides get mirrored axes, and hinges bend about x.
    """
    along = bone_ways(body).astype(np.float64)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    steep = np.abs(along[:, 2:]) > _STEEP
    facing = np.where(steep, (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    facing = facing - (facing * along).sum(-1, keepdims=True) * along
    facing /= np.linalg.norm(facing, axis=-1, keepdims=True)
    return np.stack([np.cross(along, facing), along, facing], -1)


def _way(body: Body, joint: int, children: list[int]) -> np.ndarray:
    if not children:
        return flesh_end(body, joint)
    middle = [child for child in children if mirrored_name(body.joints[child], body.joints) == body.joints[child]]
    chosen = middle if len(children) > 1 and len(middle) == 1 else children
    way = body.offsets[chosen].mean(0)
    return way if np.linalg.norm(way) > _SHORT else np.array([0.0, 0.05, 0.0])


def flesh_end(body: Body, joint: int) -> np.ndarray:
    """The way [3] from a joint to the end of the vertices that move with it most, within 45 degrees of its bone.

    Where there are none it is a quarter of the bone on, or 5 cm up from a joint without a bone.
    """
    bone = body.offsets[joint]
    flesh = body.vertices[body.weights.argmax(1) == joint] - body.rest[joint]
    reach = np.linalg.norm(flesh, axis=1)
    ahead = flesh @ bone > 0.7 * reach * np.linalg.norm(bone)
    if ahead.any():
        return flesh[ahead & (reach >= 0.9 * reach[ahead].max())].mean(0)
    return bone / 4 if np.linalg.norm(bone) > _SHORT else np.array([0.0, 0.05, 0.0])
