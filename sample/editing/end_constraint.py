"""Where what is known of an edited motion meets what is sampled anew: smoothly, and in the world where it was.

`fading`: what an estimate misses at the known frame beside a gap is added to the frames of the gap, fading out.
`EndConstraint`: HumanML3D's features tell the root's turn and step from each frame to the next, so what is known after
a gap would begin wherever the steps sampled in the gap lead. These steps are put right: of all steps that lead from
where the gap begins to where it must end, those nearest to the sampled ones, in least squares under weights that fall
to nothing at both ends of the gap, so that no step jumps.

On the floor, (x, z) is the complex number z + ix; a heading h from z towards x turns it by exp(ih).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import pad

from data_loaders.representations import hml

RAMP = 10  # frames over which a correction sets in or fades


@dataclass(frozen=True)
class EndConstraint:
    """What the steps of a motion must add up to.

    `yaw` [B, T] (half turns) and `steps` [B, T] (on the floor of the world) lead from each frame to the next in the
    motion that is edited; `before` [B, T] is 1 at the steps before the first frame that is known. `share` [B, T] is the
    part of what a gap lacks that each of its steps takes, `together` [B, T, T] 1 for steps of the same gap.
    """

    layout: hml.Layout
    yaw: Tensor
    steps: Tensor
    before: Tensor
    share: Tensor
    together: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Features [B, T, F] in data units whose gaps lead to where they must; outside gaps nothing changes."""
        yaw, step = _root(features)
        lacking = self.yaw - yaw
        rotated = yaw + self.share * _within_half_turn(self._over_gap(lacking))
        heading = self._headings(rotated)
        moved = step + self.share * self._over_gap(self.steps - step * heading) * heading.conj()
        return self._with_root(features, (yaw, step), (rotated, moved))

    def start(self, features: Tensor) -> hml.Start:
        """Heading [B] and place [B, 2] of the first frame for the first frame that is known to be where it was."""
        yaw, step = _root(features)
        lacking = (self.steps - step * self._headings(yaw)) * self.before
        place = lacking.sum(1)
        return self._turn(yaw).to(features), torch.stack((place.imag, place.real), -1).to(features)

    def _turn(self, yaw: Tensor) -> Tensor:
        """The heading [B] of the first frame."""
        return -2 * ((self.yaw - yaw) * self.before).sum(1)

    def _headings(self, yaw: Tensor) -> Tensor:
        """exp(ih) [B, T] for the heading at the end of each step."""
        heading = self._turn(yaw)[:, None] - 2 * yaw.cumsum(1)
        return torch.polar(torch.ones_like(heading), heading)

    def _over_gap(self, values: Tensor) -> Tensor:
        """For each step the sum of the values [B, T] of all steps of its gap; 0 outside."""
        return (self.together.to(values.dtype) @ values[..., None])[..., 0]

    def _with_root(self, features: Tensor, before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> Tensor:
        """The features where the root turns and moves otherwise in the gaps, and with it every joint's velocity."""
        places, put = hml.blocks(self.layout), features.clone()
        x, _, z = features[..., places["ric"]].double().unflatten(-1, (-1, 3)).unbind(-1)
        joints = pad(torch.complex(z, x), (1, 0)).roll(-1, 1)
        (yaw, step), (rotated, moved) = before, after
        gained = _rotated(moved[..., None] + joints, rotated) - _rotated(step[..., None] + joints, yaw)
        gained = torch.stack((gained.imag, torch.zeros_like(gained.real), gained.real), -1).flatten(-2)
        put[..., places["velocity"]] += gained.to(features)
        put[..., :3] = torch.stack((rotated, moved.imag, moved.real), -1).to(features)
        return torch.where((self.share > 0)[..., None], put, features)


def end_constraint_of(source: Tensor, known: Tensor, layout: hml.Layout) -> EndConstraint:
    """What lets features sampled for a motion [B, T, F] in data units end where its root is `known` [B, T]."""
    yaw, step = _root(source)
    heading = -2 * yaw.cumsum(1)
    share, together = torch.zeros_like(yaw), torch.zeros(*yaw.shape, yaw.shape[1], dtype=yaw.dtype)
    for row, frames in enumerate(known.tolist()):
        for first, stop in gaps(frames):
            share[row, first:stop] = window(stop - first)
            together[row, first:stop, first:stop] = 1
    before = (known.cumsum(1) == 0) & known.any(1, keepdim=True)
    steps = step * torch.polar(torch.ones_like(heading), heading)
    return EndConstraint(layout, yaw, steps, before.to(yaw), share, together)


def fading(known: Tensor, lengths: Tensor) -> Tensor:
    """How much [B, T, T] each frame (row) of the gaps takes of what is missed at each `known` [B, T] frame (column)."""
    fade = torch.zeros(*known.shape, known.shape[1])
    for row, (frames, length) in enumerate(zip(known.tolist(), lengths.tolist(), strict=True)):
        anchors = [-1, *(frame for frame, there in enumerate(frames) if there), length]
        for before, after in pairwise(anchors):
            gap = torch.arange(before + 1, after)
            reach = min(RAMP, len(gap)) + 1
            for anchor in (before, after):
                if 0 <= anchor < length:
                    distance = ((gap - anchor).abs() / reach).clamp(max=1)
                    fade[row, gap, anchor] = torch.cos(math.pi / 2 * distance) ** 2
    return fade


def eased(motion: Tensor, known: Tensor, fade: Tensor) -> Tensor:
    """Motion [B, T, ...] that nears what is known at both ends of its gaps; `fade` is that of `fading`."""
    return motion + (fade @ (known - motion).flatten(2)).view_as(motion)


def gaps(known: Sequence[bool]) -> list[tuple[int, int]]:
    """First frame and the frame after the last one of every run of frames not known that lies between known
    ones."""
    anchors = [frame for frame, there in enumerate(known) if there]
    return [(before + 1, after) for before, after in pairwise(anchors) if after > before + 1]


def window(frames: int) -> Tensor:
    """Weights [frames] that add up to 1: even, with a smooth rise and fall at the ends."""
    middle = torch.arange(frames, dtype=torch.float64) + 0.5
    ramp = min(RAMP, frames / 2)
    weights = torch.sin(math.pi / 2 * torch.minimum(middle, frames - middle).clamp(max=ramp) / ramp) ** 2
    return weights / weights.sum()


def _root(features: Tensor) -> tuple[Tensor, Tensor]:
    """Half the turn and, as the body faces, the step of the root to the next frame [B, T], in double precision."""
    yaw, x, z = features[..., :3].double().unbind(-1)
    return yaw, torch.complex(z, x)


def _rotated(steps: Tensor, yaw: Tensor) -> Tensor:
    """Steps [B, T, J] as the body faces at their end, put as it faces at their start."""
    return steps * torch.polar(torch.ones_like(yaw), -2 * yaw)[..., None]


def _within_half_turn(half_turns: Tensor) -> Tensor:
    """Half turns without whole turns."""
    return half_turns - torch.pi * torch.round(half_turns / torch.pi)
