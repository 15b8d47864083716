"""Points of a body that keypoints show: its joints, and points on its skin that hang on them as leaves of the tree.

The points are found on the mesh in rest (a T facing +z, the left side on +x) by where they lie, so that they are there
on every body: the tip of the nose, ears, heels, toes. A detector's neck is midway between the shoulders, its middle
of the hips midway between the hips.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from body.models import BodyModel
from utils.geometry.rest import offsets_of
from utils.geometry.skeleton import SKELETONS

_SMPL24 = SKELETONS["smpl24"]
_AT = {name: joint for joint, name in enumerate(_SMPL24.joints)}
_MIDWAY = {"neck": ("spine3", "shoulder"), "pelvis": ("pelvis", "hip")}


@dataclass(frozen=True)
class Figure:
    """A tree of the 24 joints and L points on them: `places` gives each keypoint its number in the tree.

    `offsets` [24 + L, 3] from the parents in the mean shape, metres, and `directions` [24 + L, 3, S], metres for each
    unit of a number of shape; float64.
    """

    offsets: Tensor
    directions: Tensor
    parents: tuple[int, ...]
    places: dict[str, int]


def figure_of(model: BodyModel) -> Figure:
    """The figure of a body model on SMPL's joints, by the names that `joint_maps.known_joints` gives to keypoints."""
    rest, by_shape = (torch.as_tensor(part, dtype=torch.float64) for part in (model.rest, model.joint_directions))
    skin, skin_by_shape = model.template, model.shape_directions
    offsets, directions = [offsets_of(rest)], [torch.stack([offsets_of(way) for way in by_shape.unbind(-1)], -1)]
    parents, places = list(_SMPL24.parents), dict(_AT)
    leaves: dict[str, tuple[int, Tensor, Tensor]] = {}
    for name, (parent, part) in _MIDWAY.items():
        ends = [_AT[f"{side}_{part}"] for side in ("left", "right")]
        leaves[name] = (_AT[parent], rest[ends].mean(0), by_shape[ends].mean(0))
    for name, (parent, vertex) in _on_skin(model).items():
        point, way = (torch.as_tensor(part[vertex], dtype=torch.float64) for part in (skin, skin_by_shape))
        leaves[name] = (parent, point, way)
    for name, (parent, point, way) in leaves.items():
        offsets.append((point - rest[parent])[None])
        directions.append((way - by_shape[parent])[None])
        places[name] = len(parents)
        parents.append(parent)
    return Figure(torch.cat(offsets), torch.cat(directions), tuple(parents), places)


def _on_skin(model: BodyModel) -> dict[str, tuple[int, int]]:
    """Joint and vertex of points on the skin; none for a body without a mesh."""
    if not len(model.template):
        return {}
    owner, found = model.weights.argmax(1), {}
    head = np.flatnonzero(owner == _AT["head"])
    x, y, z = model.template[head].T
    level = (y - y.min()) / max(float(np.ptp(y)), 1e-9)
    nose = head[np.argmax(np.where((np.abs(x) < 0.02) & (level > 0.2) & (level < 0.7), z, -np.inf))]
    found["nose"] = (_AT["head"], int(nose))
    found["head_top"] = (_AT["head"], int(head[y.argmax()]))
    height = y[head == nose]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        beside = np.where(np.abs(y - height) < 0.03, sign * x, -np.inf)
        found[f"{side}_ear"] = (_AT["head"], int(head[beside.argmax()]))
        found |= {f"{side}_{name}": place for name, place in _on_foot(model, owner, side, sign).items()}
    return found


def _on_foot(model: BodyModel, owner: np.ndarray, side: str, sign: float) -> dict[str, tuple[int, int]]:
    """Joint and vertex of heel and toes of one foot: the furthest back, and forward on its inner and outer side."""
    ankle, foot = _AT[f"{side}_ankle"], _AT[f"{side}_foot"]
    sole = np.flatnonzero(((owner == ankle) | (owner == foot)) & (model.template[:, 1] < model.rest[ankle, 1]))
    x, _, z = model.template[sole].T
    outwards = sign * (x - (x.min() + x.max()) / 2)
    big = int(sole[np.where(outwards < 0, z, -np.inf).argmax()])
    small = int(sole[(z + 1.5 * outwards).argmax()])
    return {
        "heel": (ankle, int(sole[z.argmin()])), "toe": (foot, big), "big_toe": (foot, big), "small_toe": (foot, small)
    }  # fmt: skip
