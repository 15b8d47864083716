"""Poses made plausible: down the gradient of Pose-NDF, no further than needed. As published, and on the rotations.

`published`: q <- q - d g / |g| in the 84 numbers of a pose, then w >= 0 and length 1 for each joint; all poses of a
batch move until the last is near enough, and one step more is taken than is asked for.

`geodesic`: every joint moves on its sphere along v, the part of -g that is tangent to it, q <- cos|v| q + sin|v| v/|v|.
Distances grow with the square of the way where plausible poses are near, so s = sqrt(d) falls evenly, and the way to
where d is nearly `max_dist` is (s - sqrt(0.9 max_dist)) / |ds|. Half of that is tried, as the way down bends, and whole
steps end further from where they began; a step that does not lower d is taken back and halved. A pose that is near
enough stops, and so does one where nothing lowers d any more. At half turns, w = 0, the network reads another
quaternion on the other side, and d jumps: where a step across is taken back, the joints that crossed slide along that
border instead.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from model.poses.pose_ndf import canonical, value_and_gradient
from utils.run.errors import DataError, NumericError

RULES = ("geodesic", "published")
MAX_DIST, MAX_STEPS = 0.001, 1000  # where projection stops, if nothing else is said
_AIM = 0.9  # of the distance asked for: what steps aim at, so as not to approach it for ever
_SHARE = 0.5  # of the way there that a step tries: 1 asks a third less of the network and changes poses by a fifth more
_LONGEST = 0.5  # radians of half-angle: the longest way of a joint in one step
_SHORTEST = 2.0**-10  # of the step that is tried at first: below that nothing lowers the distance any more
_FLAT = 1e-12  # length of a gradient that points nowhere
_UNIT, _EXACT = 1e-3, 1e-6  # by which a quaternion's length may differ from 1, and by which it is left as it is


@dataclass(frozen=True)
class Projection:
    """Where poses came to: `poses` [N, 21, 4] of w >= 0 and their `distances` [N].

    `history` [K + 1, N] are the distances at first and after each of the K rounds, in which a pose that has stopped
    keeps its own; `steps` [N] counts the steps that each pose took, `asked` how many poses the network was shown in
    all. `path` [K + 1, N, 21, 4] are the poses themselves, where they are asked for.
    """

    poses: Tensor
    distances: Tensor
    history: Tensor
    steps: Tensor
    asked: int
    path: Tensor | None = None


def unit_quaternions(poses: Tensor) -> Tensor:
    """Poses [N, 21, 4] with w >= 0 and length 1: to the bit what they were, where they are so already.

    Raises DataError for numbers that are no rotations.
    """
    if poses.dim() != 3 or poses.shape[1:] != (21, 4):
        raise DataError(f"poses of shape {list(poses.shape)}: a pose is 21 quaternions (w, x, y, z), [N, 21, 4]")
    lengths = torch.linalg.vector_norm(poses.double(), dim=-1)
    wrong = ~((lengths - 1).abs() < _UNIT)
    if wrong.any():
        pose, joint = (int(index) for index in wrong.nonzero()[0])
        raise DataError(
            f"joint {joint} of pose {pose} is no rotation: its quaternion is {lengths[pose, joint]:.3g} long, not 1"
        )
    plain = canonical(poses)
    return torch.where(((lengths - 1).abs() < _EXACT)[..., None], plain, normalize(plain, dim=-1))


def project(
    network: nn.Module,
    poses: Tensor,
    max_dist: float | Tensor = MAX_DIST,
    max_steps: int | None = None,
    rule: str = "geodesic",
    keep: bool = False,
) -> Projection:
    """Bring poses [N, 21, 4] to distances below `max_dist` in at most `max_steps` steps, and leave `poses` as they are.

    Of the rule `geodesic` each may have a distance of its own, [N].
    `keep` keeps the poses of every step. `max_steps` is 1000 unless told; a step that is taken back counts, and the
    published rule takes one more. Raises DataError for what are no rotations, NumericError where the network says NaN.
    """
    start = unit_quaternions(poses)
    limit = MAX_STEPS if max_steps is None else max_steps
    way = _published if rule == "published" else _geodesic
    return way(network, start, torch.as_tensor(max_dist).to(start), limit, keep)


def published_step(poses: Tensor, distances: Tensor, gradient: Tensor) -> Tensor:
    """Poses [N, 21, 4] one step on, as published."""
    flat = gradient.flatten(1)
    length = torch.linalg.vector_norm(flat, dim=-1, keepdim=True).clamp_min(_FLAT)
    moved = poses - (distances[:, None] * flat / length).view_as(poses)
    return normalize(canonical(moved), dim=-1)


def geodesic_step(poses: Tensor, velocity: Tensor) -> Tensor:
    """Unit quaternions [..., 4] moved along tangents `velocity` [..., 4], by their lengths in radians of half-angle."""
    length = torch.linalg.vector_norm(velocity, dim=-1, keepdim=True)
    moved = torch.cos(length) * poses + torch.sinc(length / torch.pi) * velocity
    return normalize(canonical(moved), dim=-1)


def _published(network: nn.Module, poses: Tensor, max_dist: Tensor, limit: int, keep: bool) -> Projection:
    distances, gradient = _told(network, poses)
    history, path, asked = [distances], [poses], len(poses)
    while not (distances < max_dist).all() and len(history) <= limit + 1:
        poses = published_step(poses, distances, gradient)
        distances, gradient = _told(network, poses)
        asked += len(poses)
        history.append(distances)
        path.append(poses) if keep else None
    steps = torch.full((len(poses),), len(history) - 1)
    return Projection(poses, distances, torch.stack(history), steps, asked, torch.stack(path) if keep else None)


def _geodesic(network: nn.Module, poses: Tensor, max_dist: Tensor, limit: int, keep: bool) -> Projection:
    distances, gradient = _told(network, poses)
    poses, distances, asked = poses.clone(), distances.clone(), len(poses)
    history, path = [distances.clone()], [poses.clone()]
    target = max_dist.expand(len(poses))
    steps, share = torch.zeros_like(distances, dtype=torch.long), torch.full_like(distances, _SHARE)
    moving, sliding = distances >= target, torch.zeros_like(distances, dtype=torch.bool)
    while moving.any() and len(history) <= limit:
        rows = moving.nonzero()[:, 0]
        velocity = _velocity(poses[rows], distances[rows], gradient[rows], target[rows])
        velocity, crossing = _within(poses[rows], share[rows, None, None] * velocity, sliding[rows])
        tried = geodesic_step(poses[rows], velocity)
        found, slope = value_and_gradient(network, tried)
        asked += len(rows)
        better = found < distances[rows]  # NaN is not
        taken = rows[better]
        poses[taken], distances[taken], gradient[taken] = tried[better], found[better], slope[better]
        steps[taken] += 1
        share[taken] = (2 * share[taken]).clamp_max(_SHARE)
        share[rows[~better & ~crossing]] /= 2
        sliding[rows[~better & crossing]] = True
        flat = velocity.flatten(1).abs().amax(1) == 0
        moving[rows] = (distances[rows] >= target[rows]) & (share[rows] > _SHORTEST) & ~flat
        history.append(distances.clone())
        path.append(poses.clone()) if keep else None
    return Projection(poses, distances, torch.stack(history), steps, asked, torch.stack(path) if keep else None)


def _velocity(poses: Tensor, distances: Tensor, gradient: Tensor, target: Tensor) -> Tensor:
    """The tangents [N, 21, 4] of the step that leads to the target, if the root of the distance falls evenly."""
    tangent = gradient - (gradient * poses).sum(-1, keepdim=True) * poses
    length = torch.linalg.vector_norm(tangent.flatten(1), dim=-1)
    root = distances.sqrt()
    way = 2 * root * (root - (_AIM * target.clamp_min(0)).sqrt()) / length.clamp_min(_FLAT)
    velocity = -tangent * torch.where(length > _FLAT, way / length.clamp_min(_FLAT), 0.0)[:, None, None]
    longest = torch.linalg.vector_norm(velocity, dim=-1).amax(1)
    return velocity * (_LONGEST / longest.clamp_min(_LONGEST))[:, None, None]


def _within(poses: Tensor, velocity: Tensor, sliding: Tensor) -> tuple[Tensor, Tensor]:
    """The tangents [N, 21, 4], without their part towards w = 0 for joints that would cross it in poses that slide.

    And whether joints [N] of other poses do cross it.
    """
    w, length = poses[..., :1], torch.linalg.vector_norm(velocity, dim=-1, keepdim=True)
    crossing = torch.cos(length) * w + torch.sinc(length / torch.pi) * velocity[..., :1] < 0
    border = torch.zeros_like(poses)
    border[..., 0] = 1
    inwards = normalize(border - w * poses, dim=-1)
    along = velocity - (velocity * inwards).sum(-1, keepdim=True) * inwards
    return torch.where(crossing & sliding[:, None, None], along, velocity), crossing.any((1, 2)) & ~sliding


def _told(network: nn.Module, poses: Tensor) -> tuple[Tensor, Tensor]:
    """Distances and gradients. Raises NumericError where they are not finite."""
    distances, gradient = value_and_gradient(network, poses)
    if not (distances.isfinite() & gradient.flatten(1).isfinite().all(-1)).all():
        wrong = int((~distances.isfinite()).nonzero()[0, 0]) if not distances.isfinite().all() else 0
        raise NumericError(f"the pose prior says {float(distances[wrong])} of pose {wrong}: its weights are damaged")
    return distances, gradient
