"""The path that a plan tells, held while a motion is sampled: how fast somebody walks, where to, how far he turns.

A denoiser that reads a plan follows its speeds and turns only as far as it learnt to. Its estimates of x_0 are put
right where that costs nothing, at the noisy steps, so that legs and trunk are made to fit; the last steps are its own.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from data_loaders.captioner.phases import BODY
from data_loaders.captioner.plans import DIRECTIONS, KIND, SPEED, TURN, WAY
from data_loaders.representations import hml

GOING = ("walk", "run", "crawl")  # phases with a path
FREE = 0.2  # share of the steps, the last ones, that are the denoiser's own
EVEN = 1.5  # seconds of a phase whose mean is held: a circle turns all the way round, not in one place
SOFT = 5  # frames over which one phase's correction becomes the next one's


def held_path(
    plan: Tensor, fps: float, layout: hml.Layout, mean: Tensor, std: Tensor, free: int
) -> Callable[[Tensor, int], Tensor]:
    """What puts the mean velocity and turn of each part of a phase of plans [B, T, P] right in estimates [B, T, F].

    They are those of x_0, normalised by `mean` and `std` [F]; those of steps below `free` stay as they are.
    """
    places = hml.blocks(layout)
    columns = torch.tensor(
        [places["root_yaw"].start, *range(places["root_velocity"].start, places["root_velocity"].stop)]
    )
    middle, scale = mean[columns], std[columns]
    wanted, told = root_steps(plan, fps)
    runs = _runs(plan, round(EVEN * fps))

    def project(x0: Tensor, t: int) -> Tensor:
        if t < free:
            return x0
        root = x0[..., columns]
        off = torch.where(told, wanted - _mean_of(root * scale + middle, runs), 0)
        return x0.index_copy(-1, columns, root + _softened(off) / scale)

    return project


def root_steps(plan: Tensor, fps: float) -> tuple[Tensor, Tensor]:
    """What plans [B, T, P] tell of the root in each frame, as features [B, T, 3] (half the turn, left, ahead); and of
    which of these they tell anything."""
    kind = plan[..., KIND]
    goes = kind[..., [BODY.index(name) for name in GOING]].any(-1)
    turns = goes | (kind[..., BODY.index("turn")] > 0)
    ways = {name: plan[..., WAY][..., number] for number, name in enumerate(DIRECTIONS)}
    speed = plan[..., SPEED] / fps
    left, ahead = speed * (ways["left"] - ways["right"]), speed * (ways["forward"] - ways["backward"])
    steps = torch.stack((-plan[..., TURN] / (2 * fps), left, ahead), -1)
    return steps, torch.stack((turns, goes, goes), -1)


def _runs(plan: Tensor, longest: int) -> Tensor:
    """The number [B, T] of the phase of the body, or of the part of it of `longest` frames, that each frame is in."""
    what = torch.cat((plan[..., KIND], plan[..., WAY], plan[..., [SPEED, TURN]]), -1)
    changes = torch.nn.functional.pad((what[:, 1:] != what[:, :-1]).any(-1), (1, 0), value=True)
    place = torch.arange(plan.shape[1]).expand_as(changes)
    since = place - torch.where(changes, place, 0).cummax(1).values
    return (changes | (since % longest == 0)).cumsum(1) - 1


def _mean_of(values: Tensor, runs: Tensor) -> Tensor:
    """Of each frame, the mean of values [B, T, C] over its run."""
    index = runs[..., None].expand_as(values)
    sums = torch.zeros_like(values).scatter_add_(1, index, values)
    sizes = torch.zeros_like(values).scatter_add_(1, index, torch.ones_like(values))
    return (sums / sizes.clamp(min=1)).gather(1, index)


def _softened(values: Tensor) -> Tensor:
    """Values [B, T, C] averaged over `SOFT` frames."""
    padded = torch.nn.functional.pad(values.mT, (SOFT // 2, SOFT // 2), mode="replicate")
    return torch.nn.functional.avg_pool1d(padded, SOFT, 1).mT
