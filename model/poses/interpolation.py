"""From one pose to another by way of plausible ones: as published, and as a path that is there at any speed.

`published`: p = (1 - s) p + s end in plain numbers, then projected, again and again, so that (1 - s)^n of the way is
left after n steps.

`geodesic`: the shortest turns of all joints, drawn down to where the pose prior is no worse than at the ends, and kept
evenly spaced all the while: a string that is let down on the manifold (the string method of E, Ren and Vanden-Eijnden
2002).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from model.poses.pose_ndf import canonical
from model.poses.projection import project, unit_quaternions
from utils.geometry.rotations import slerp
from utils.run.errors import DataError

_ROUNDS = 30  # of drawing down and spacing
_DRAWN = 8  # steps down in a round
_SLACK = 1.1  # over the distances of the ends, after spacing
_EVEN = 1.05  # longest over mean way between neighbours
_LEAST = 1e-5  # distance below which no path is drawn down
_PASSES = 4  # of spacing; each makes what is left of unevenness several times smaller


@dataclass(frozen=True)
class PosePath:
    """Poses [K + 1, 21, 4] from the first to the last, their distances [K + 1], and how many the network was shown."""

    poses: Tensor
    distances: Tensor
    asked: int


def interpolate_published(
    network: nn.Module, start: Tensor, end: Tensor, steps: int, share: float, max_dist: float, max_steps: int | None
) -> PosePath:
    """The published way from a pose [21, 4] towards another, `share` of the rest in each step; it is not reached."""
    pose, poses, distances, asked = start[None], [start], [], 0
    with torch.no_grad():
        distances.append(network(pose)[0])
    for _ in range(steps):
        blended = normalize(canonical((1 - share) * pose + share * end[None]), dim=-1)
        found = project(network, blended, max_dist, max_steps, "published")
        pose, asked = found.poses, asked + found.asked
        poses.append(pose[0])
        distances.append(found.distances[0])
    return PosePath(torch.stack(poses), torch.stack(distances), asked + 1)


def interpolate(network: nn.Module, keys: Tensor, steps: int) -> PosePath:
    """A path through poses [K, 21, 4], of `steps` steps in all, which begins, ends and passes where they are.

    Each part gets as many steps as its turns are long. Backwards it is the same path, to the bit. Raises DataError for
    fewer than two poses, fewer steps than parts, and what are no rotations.
    """
    keys = unit_quaternions(keys)
    if len(keys) < 2 or steps < len(keys) - 1:
        raise DataError(f"{len(keys)} poses and {steps} steps make no path: it takes two poses, a step a part")
    counts = _shared_out(turns_between(keys[:-1], keys[1:]), steps)
    parts = [_between(network, a, b, count) for a, b, count in zip(keys[:-1], keys[1:], counts, strict=True)]
    poses = torch.cat([part.poses[:-1] for part in parts] + [keys[-1:]])
    distances = torch.cat([part.distances[:-1] for part in parts] + [parts[-1].distances[-1:]])
    return PosePath(poses, distances, sum(part.asked for part in parts))


def turns_between(one: Tensor, other: Tensor) -> Tensor:
    """How far poses [..., 21, 4] are from others [...]: the length, in radians, of the turns of their joints."""
    # Of the chord, for the arc cosine loses half of the digits where poses are near.
    chord = torch.minimum(*(torch.linalg.vector_norm(one - sign * other, dim=-1) for sign in (1, -1)))
    return torch.linalg.vector_norm(4 * torch.asin((chord / 2).clamp(max=1)), dim=-1)


def _shared_out(lengths: Tensor, steps: int) -> list[int]:
    """Whole numbers of at least 1 that sum to `steps`, as near to the shares of the lengths as that allows."""
    shares = lengths / lengths.sum() if lengths.sum() > 0 else torch.full_like(lengths, 1 / len(lengths))
    wanted = (shares * (steps - len(lengths))).tolist()
    counts = [int(share) for share in wanted]
    rest = sorted(range(len(wanted)), key=lambda part: counts[part] - wanted[part])
    for part in rest[: steps - len(lengths) - sum(counts)]:
        counts[part] += 1
    return [1 + count for count in counts]


def _between(network: nn.Module, start: Tensor, end: Tensor, steps: int) -> PosePath:
    """The path between two unit poses [21, 4]; from either end the same, as it is always made from one of them."""
    if tuple(start.flatten().tolist()) > tuple(end.flatten().tolist()):
        found = _between(network, end, start, steps)
        return PosePath(found.poses.flip(0), found.distances.flip(0), found.asked)
    weights = torch.linspace(0, 1, steps + 1, dtype=start.dtype, device=start.device)[:, None]
    poses = canonical(slerp(start[None], end[None], weights))
    poses[0], poses[-1] = start, end
    with torch.no_grad():
        distances = network(poses)
    asked, bound = steps + 1, max(float(distances[0]), float(distances[-1]), _LEAST)
    for _ in range(_ROUNDS if steps > 1 else 0):
        if float(distances.max()) <= _SLACK * bound and _unevenness(poses) <= _EVEN:
            break
        inner = project(network, poses[1:-1], bound, _DRAWN)
        poses = _spaced(torch.cat([poses[:1], inner.poses, poses[-1:]]))
        with torch.no_grad():
            distances = network(poses)
        asked += inner.asked + steps + 1
    return PosePath(poses, distances, asked)


def _unevenness(poses: Tensor) -> float:
    """The longest way between neighbours over the mean one."""
    ways = turns_between(poses[:-1], poses[1:])
    return float(ways.max() / ways.mean()) if ways.sum() > 0 else 1.0


def _spaced(poses: Tensor) -> Tensor:
    """As many poses [K + 1, 21, 4] on the same path, at even distances along it; its ends stay."""
    for _ in range(_PASSES):
        along = torch.cat([torch.zeros(1).to(poses), turns_between(poses[:-1], poses[1:]).cumsum(0)])
        if float(along[-1]) == 0:
            return poses
        wanted = torch.linspace(0, float(along[-1]), len(poses), dtype=poses.dtype, device=poses.device)[1:-1]
        before = (torch.searchsorted(along, wanted, right=True) - 1).clamp(0, len(poses) - 2)
        way = (along[before + 1] - along[before]).clamp_min(1e-12)
        inner = slerp(poses[before], poses[before + 1], ((wanted - along[before]) / way)[:, None])
        poses = torch.cat([poses[:1], normalize(canonical(inner), dim=-1), poses[-1:]])
    return poses
