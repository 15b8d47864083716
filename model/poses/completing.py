"""Joints that are missing, filled in: as other joints lead one to expect, then as plausible as the pose prior wants.

A run of frames that lack the same joints is filled from the normal distribution of these joints given the others
(`statistics`). Where a joint is known before or after the run, what it was off expectation there is carried over it, so
that it leaves from, and comes back to, where it was. Different answers differ by one draw a run, which fades towards
such ends. Then only missing joints move, down the distance (`projection`): where statistics are known, no further than
to that of the expected pose, for joints that are known may themselves keep a pose from being plausible, and limbs that
are to make up for them go astray.
"""

import torch
from torch import Tensor, nn

from model.poses.projection import Projection, project, unit_quaternions
from model.poses.statistics import PoseStatistics, no_statistics
from utils.run.errors import DataError

_AS_NEAR = 1.001  # times the distance of the expected pose


class _Held(nn.Module):
    """A pose prior whose distance falls only by turns of the joints that are `free`, bool [21]."""

    def __init__(self, network: nn.Module, free: Tensor):
        super().__init__()
        self.network, self.free = network, free[:, None]

    def forward(self, quaternions: Tensor) -> Tensor:
        return self.network(torch.where(self.free, quaternions, quaternions.detach()))


def runs_of_missing(known: Tensor) -> list[slice]:
    """The runs of frames that lack the same joints, of `known` bool [T, 21]; those that lack none are left out."""
    changes = (known[1:] != known[:-1]).any(1).nonzero()[:, 0] + 1
    ends = [0, *changes.tolist(), len(known)]
    found = [slice(first, end) for first, end in zip(ends[:-1], ends[1:], strict=True) if end > first]
    return [run for run in found if not known[run.start].all()]


def expected_poses(statistics: PoseStatistics, poses: Tensor, known: Tensor, draw: Tensor | None = None) -> Tensor:
    """Poses [T, 21, 4] whose missing joints are as others tell; `draw` [63], normal, makes one answer of many of it.

    `known` bool [T, 21]; what missing joints hold does not matter, if it is finite. Raises DataError where a frame has
    no joint that is known.
    """
    if (nothing := ~known.any(1)).any():
        raise DataError(f"frame {int(nothing.nonzero()[0])} has no joint at all: there is nothing to complete")
    turns, made = statistics.turns(poses), poses.clone()
    for run in runs_of_missing(known):
        missing = ~known[run.start]
        first, end = max(run.start - 1, 0), min(run.stop + 1, len(poses))
        found, factor = statistics.expected(turns[first:end], known[run.start])
        off, numbers = turns[first:end] - found, missing.repeat_interleave(3)
        along = (torch.arange(first, end).to(turns) - run.start + 1)[:, None] / (run.stop - run.start + 1)
        before = (1 - along) * (numbers & known[first].repeat_interleave(3))
        after = along * (numbers & known[end - 1].repeat_interleave(3))
        found = found + before * off[:1] + after * off[-1:]
        if draw is not None:
            drawn = torch.zeros_like(found[0])
            drawn[numbers] = factor @ draw[numbers].to(factor)
            found = found + ((1 - before) * (1 - after)).clamp_min(0).sqrt() * drawn  # as a Brownian bridge
        filled = statistics.poses(found)[run.start - first :][: run.stop - run.start].to(poses)
        made[run] = torch.where(missing[:, None], filled, poses[run])
    return made


def complete(
    network: nn.Module,
    statistics: PoseStatistics | None,
    poses: Tensor,
    known: Tensor,
    max_dist: float,
    max_steps: int,
    draw: Tensor | None = None,
) -> Projection:
    """Poses [T, 21, 4] with their missing joints as plausible as `max_dist`; the known are what they were, to the bit.

    Without statistics missing joints begin about the T. `known` bool [T, 21]; `draw` as in `expected_poses`. Raises
    DataError for what are no rotations, and where a frame has no known joint; NumericError where the network says NaN.
    """
    start = unit_quaternions(expected_poses(statistics or no_statistics(), poses, known, draw))
    patterns, which = known.unique(dim=0, return_inverse=True)
    moved, device = start.clone(), next(network.parameters()).device
    with torch.no_grad():
        before = network(start.to(device)).to(start)
        goal = torch.full_like(before, max_dist)
        if statistics is not None:
            likeliest = start if draw is None else unit_quaternions(expected_poses(statistics, poses, known))
            goal = torch.maximum(goal, _AS_NEAR * network(likeliest.to(device)).to(start))
    distances, steps, asked = before.clone(), torch.zeros(len(poses), dtype=torch.long), len(poses)
    for number, pattern in enumerate(patterns):
        rows = (which == number).nonzero()[:, 0]
        if pattern.all():
            continue
        found = project(_Held(network, ~pattern.to(device)), start[rows].to(device), goal[rows].to(device), max_steps)
        moved[rows], distances[rows] = found.poses.to(start), found.distances.to(start)
        steps[rows], asked = found.steps.to(steps), asked + found.asked
    moved = torch.where(known[..., None], poses, moved)
    return Projection(moved, distances, torch.stack([before, distances]), steps, asked)
