"""What poses a person can take: three angles a joint, their ranges, and a mean pose with its spread.

A local rotation is a swing after a twist, R = S T: T turns about the joint's bone, S about an axis at right angles to
it (Baerlocher & Boulic 2001, "Parametrization and range of motion of the ball-and-socket joint"). Its coordinates are
radians about x, y and z: the twist stands at the place of the bone's axis, the rotation vector of the swing at the
other two. They are smooth except where a swing reaches half a turn, which no joint of a person does.

Ranges are goniometry's, in degrees, rounded: limbs after the American Academy of Orthopaedic Surgeons ("Joint motion",
1965) as such tables repeat it (hip 120/30 flexion and extension, 45/30 abduction and adduction, 45/45 rotation; knee
140; ankle 20/50, 35/15; shoulder 180 with the clavicle, 60 back, 70 to 90 rotation; elbow 150; clavicle 45/5 up and
down, 15 to 25 forward and back); the spine's 90/40 forward and back, 35 to the side and 45 about itself (thorax and
loins together) are dealt out over its three joints; the neck's are those of Savlovskis' review (64/63, 49, 80). The
mean pose, a relaxed stand, and spreads of a quarter of the range are ours. No file of another body model is in here.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from utils.geometry.rotations import matrix_to_quaternion
from utils.geometry.skeleton import SKELETONS

_SMPL24 = SKELETONS["smpl24"]

# Of the midline and the left side: the bone's axis, then low and high about x, y and z. About +x the trunk bends
# forwards, a leg swings back and a knee bends; about +y the left side turns outwards, about +z it lifts away.
_RANGES: dict[str, tuple[str, tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "hip": ("y", (-120, 30), (-45, 45), (-30, 45)),
    "knee": ("y", (0, 140), (-15, 15), (-5, 5)),
    "ankle": ("z", (-20, 50), (-20, 20), (-35, 15)),
    "foot": ("z", (-40, 30), (-5, 5), (-5, 5)),
    "spine1": ("y", (-15, 35), (-10, 10), (-15, 15)),
    "spine2": ("y", (-15, 30), (-15, 15), (-10, 10)),
    "spine3": ("y", (-10, 25), (-20, 20), (-10, 10)),
    "neck": ("y", (-40, 45), (-50, 50), (-35, 35)),
    "head": ("y", (-23, 19), (-30, 30), (-14, 14)),
    "collar": ("x", (-20, 20), (-25, 25), (-10, 45)),
    "shoulder": ("x", (-90, 90), (-135, 45), (-90, 100)),
    "elbow": ("x", (-80, 80), (-150, 0), (-5, 5)),
    "wrist": ("x", (-10, 10), (-20, 30), (-80, 70)),
    "hand": ("x", (-5, 5), (-5, 5), (-45, 5)),
}
_RELAXED = {"shoulder": (0.0, 0.0, -60.0), "elbow": (0.0, -20.0, 0.0), "knee": (8.0, 0.0, 0.0)}
_SLACK = 2.0  # degrees by which knees and elbows may be overstretched
HINGES = ("left_knee", "right_knee", "left_elbow", "right_elbow")
HINGE_AXES = {"left_knee": (1, 0, 0), "right_knee": (1, 0, 0), "left_elbow": (0, -1, 0), "right_elbow": (0, 1, 0)}


@dataclass(frozen=True)
class PosePrior:
    """Ranges, mean and spread in radians of the coordinates of all 24 joints, each [24, 3]; the root has none.

    `bone` [24] is the axis (0, 1, 2) about which each joint twists, `hinge` [24, 3] marks the bending of knees and
    elbows, whose ranges begin where the limb of this body is straight.
    """

    bone: Tensor
    low: Tensor
    high: Tensor
    mean: Tensor
    spread: Tensor
    hinge: Tensor


def pose_prior(offsets: Tensor) -> PosePrior:
    """The prior of a body with rest offsets [24, 3]; float64."""
    bone, low, high, mean = (values.clone() for values in _table())
    spread = (high - low) / 4
    hinge = torch.zeros_like(low, dtype=torch.bool)
    straight = hinge_angles(torch.eye(3, dtype=torch.float64).expand(24, 3, 3), offsets.to(torch.float64))
    for name, bent in zip(HINGES, straight, strict=True):
        joint = _SMPL24.index(name)
        axis = torch.tensor(HINGE_AXES[name], dtype=torch.float64)
        at = int(axis.abs().argmax())
        hinge[joint, at] = True
        slack = torch.deg2rad(torch.tensor(_SLACK, dtype=torch.float64))
        if axis[at] > 0:
            low[joint, at] -= bent + slack
        else:
            high[joint, at] += bent + slack
    return PosePrior(bone, low, high, mean, spread, hinge)


def hinge_angles(rotations: Tensor, offsets: Tensor) -> Tensor:
    """How far the `HINGES` are bent [..., 4], radians, from local rotations [..., 24, 3, 3] and offsets [24, 3].

    0 is a straight limb, a negative angle one that is bent backwards; movements to the side do not count.
    """
    angles = []
    for name in HINGES:
        joint = _SMPL24.index(name)
        child = _SMPL24.parents.index(joint)
        axis = torch.tensor(HINGE_AXES[name]).to(rotations)
        upper = offsets[joint].to(rotations)
        lower = (rotations[..., joint, :, :] @ offsets[child].to(rotations)[:, None]).squeeze(-1)
        upper = upper - (upper * axis).sum() * axis
        lower = lower - (lower * axis).sum(-1, keepdim=True) * axis
        sine = (torch.linalg.cross(upper.expand_as(lower), lower) * axis).sum(-1)
        angles.append(torch.atan2(sine, (upper * lower).sum(-1)))
    return torch.stack(angles, -1)


def pose_coordinates(rotations: Tensor, bone: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates [..., K, 3] of local rotations [..., K, 3, 3] that twist about axes `bone` [K], and derivatives.

    The derivatives [..., K, 3, 3] are by w in R exp(w): row = coordinate, column = component of w, in x, y, z.
    """
    w, vector = matrix_to_quaternion(rotations).split((1, 3), -1)
    order = (bone[:, None] + torch.arange(3, device=bone.device)) % 3  # the bone's axis a, then b, c: right-handed
    w, (x, y, z) = w.squeeze(-1), vector.gather(-1, order.expand_as(vector)).unbind(-1)
    n = (w * w + x * x).sqrt().clamp_min(1e-9)  # cosine of half the swing
    twist = 2 * torch.atan2(x, w)
    twist = twist - 2 * torch.pi * torch.round(twist / (2 * torch.pi))
    b, c = (w * y - x * z) / n, (w * z + x * y) / n  # sine of half the swing, times its axis
    sine = (b * b + c * c).sqrt()
    small = sine < 1e-4
    safe = torch.where(small, 1.0, sine)
    half = torch.atan2(sine, n)
    scale = torch.where(small, 2 + sine**2 / 3, 2 * half / safe)
    slope = torch.where(small, torch.full_like(sine, 2 / 3), (2 / n - scale) / safe**2)  # of the scale, / sine

    dw, dx, dy, dz = (
        torch.stack(row, -1) / 2 for row in ((-x, -y, -z), (w, -z, y), (z, w, -x), (-y, x, w))
    )  # by the components of w along a, b, c
    w_, x_, y_, z_, n_ = (value[..., None] for value in (w, x, y, z, n))
    dn = (w_ * dw + x_ * dx) / n_
    d_twist = 2 * (w_ * dx - x_ * dw) / n_**2
    db = (dw * y_ + w_ * dy - dx * z_ - x_ * dz - b[..., None] * dn) / n_
    dc = (dw * z_ + w_ * dz + dx * y_ + x_ * dy - c[..., None] * dn) / n_
    d_scale = slope[..., None] * (b[..., None] * db + c[..., None] * dc)
    rows = torch.stack(
        [d_twist, scale[..., None] * db + b[..., None] * d_scale, scale[..., None] * dc + c[..., None] * d_scale], -2
    )
    back = order.argsort(-1)
    values = torch.stack([twist, scale * b, scale * c], -1).gather(-1, back.expand_as(vector))
    rows = rows.gather(-2, back[:, :, None].expand_as(rows)).gather(-1, back[:, None, :].expand_as(rows))
    return values, rows


@cache
def _table() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Axis of the bone [24], low, high and mean [24, 3] of the tables above; the right side is the mirror image."""
    bones, rows = [1], [((-180.0, 180.0),) * 3 + ((0.0, 0.0, 0.0),)]
    for name in _SMPL24.joints[1:]:
        side, _, part = name.rpartition("_")
        letter, *ranges = _RANGES[part]
        mean = _RELAXED.get(part, (0.0, 0.0, 0.0))
        if side == "right":
            ranges = [ranges[0], *((-high, -low) for low, high in ranges[1:])]
            mean = (mean[0], -mean[1], -mean[2])
        bones.append("xyz".index(letter))
        rows.append((*((float(low), float(high)) for low, high in ranges), mean))
    low = torch.tensor([[span[0] for span in row[:3]] for row in rows], dtype=torch.float64)
    high = torch.tensor([[span[1] for span in row[:3]] for row in rows], dtype=torch.float64)
    mean = torch.tensor([row[3] for row in rows], dtype=torch.float64)
    return torch.tensor(bones), torch.deg2rad(low), torch.deg2rad(high), torch.deg2rad(mean)
