"""What is done with poses: generated, projected, interpolated; each gives clips with what became of their frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from body.options import BodyOptions
from body.posing.bodies import posed, standing_bodies
from body.posing.sources import Poses, body_of
from data_loaders.poses.distances import geodesic
from data_loaders.poses.noise import perturbed
from model.poses.interpolation import PosePath, interpolate, interpolate_published
from model.poses.projection import Projection, project
from model.poses.statistics import PoseStatistics
from sample.options import PosesOptions
from sample.posing.scores import Perturbed
from utils.geometry.body import BodyMotion
from utils.run.errors import DataError, UsageError
from utils.run.progress import Callback, ignored
from utils.run.randomness import torch_generator

AT_ONCE = 1024  # poses that the network sees at a time
GALLERY_FPS, CLIP_FPS = 2.0, 20.0  # of poses without a rate: to be looked at one by one, or as a clip


@dataclass(frozen=True)
class Outcome:
    """A clip: its poses [T, 21, 4] and their distances [T], before and after; the body that moves so.

    `steps` [T] are those that each frame took, `path` [K + 1, T, 21, 4] the poses after each; `source` is where it came
    from, `first` the clip as it was; `told` is what else is known of it, and written beside its poses.
    """

    name: str
    before: Tensor
    after: Tensor
    far: Tensor
    near: Tensor
    motion: BodyMotion
    steps: Tensor | None = None
    path: Tensor | None = None
    source: Poses | None = None
    first: BodyMotion | None = None
    told: dict[str, Any] = field(default_factory=dict)


def generated(
    network: nn.Module,
    options: PosesOptions,
    body: BodyOptions,
    seed: int,
    found: Sequence[Poses] = (),
    statistics: PoseStatistics | None = None,
) -> Outcome:
    """Poses made plausible: number i drawn from (seed, i) as statistics tell, among those of files, or at random.

    The published rule begins with random poses whatever is known.
    """
    if found:
        known = torch.cat([each.poses for each in found])
        rows = [_drawn(len(known), seed, number) for number in range(options.num_samples)]
        start = known[rows]
    elif statistics is not None and options.rule != "published":
        start = drawn_poses(statistics, options.num_samples, seed)
    else:
        start = random_poses(options.num_samples, seed, options.rule)
    moved = projected(network, start, options)
    motion = standing_bodies(moved.poses, "poses", options.pose_fps or GALLERY_FPS, body.body)
    return Outcome(
        "poses", start, moved.poses, moved.history[0], moved.distances, motion, moved.steps, moved.path
    )  # fmt: skip


def random_poses(count: int, seed: int, rule: str = "geodesic") -> Tensor:
    """Poses [N, 21, 4] whose joints are turned by uniform rotations (Shoemake 1992).

    Those of the published rule are uniform numbers from 0 to 1 brought to length 1, an eighth of all rotations.
    """
    draw = torch.rand if rule == "published" else torch.randn
    poses = [draw(21, 4, generator=torch_generator(seed, "pose", number)) for number in range(count)]
    poses = normalize(torch.stack(poses), dim=-1)
    return torch.where(poses[..., :1] < 0, -poses, poses)


def drawn_poses(statistics: PoseStatistics, count: int, seed: int) -> Tensor:
    """Poses [N, 21, 4] drawn from statistics of real ones."""
    draws = [torch_generator(seed, "drawn pose", number) for number in range(count)]
    chances = torch.tensor([float(torch.rand((), generator=draw)) for draw in draws])
    return statistics.drawn(chances, torch.stack([torch.randn(63, generator=draw) for draw in draws]))


def made_plausible(
    network: nn.Module,
    options: PosesOptions,
    body: BodyOptions,
    found: Sequence[Poses],
    say: Callable[[str], None],
    callback: Callback = ignored,
) -> list[Outcome]:
    """Clips with every frame brought to `--max_dist`, where it is not; what is near enough stays to the bit."""
    made = []
    for number, each in enumerate(found):
        first = body_of(each, body, options.pose_fps or CLIP_FPS, say)
        moved = projected(network, each.poses, options)
        motion = replace(posed(first, moved.poses), name=each.name)
        first = replace(posed(first, each.poses), name=each.name)
        made.append(
            Outcome(
                each.name, each.poses, moved.poses, moved.history[0], moved.distances, motion, moved.steps, moved.path,
                each, first,
            )
        )  # fmt: skip
        callback(number + 1, len(found))
    return made


def perturbed_clips(
    network: nn.Module,
    options: PosesOptions,
    body: BodyOptions,
    found: Sequence[Poses],
    seed: int,
    say: Callable[[str], None],
) -> list[Outcome]:
    """Clips with normal noise of `--noise_magnitude` on their quaternions (published `data.perturb_poses`).

    That of a frame depends on the seed, the number of its clip and its own.
    """
    made = []
    for number, each in enumerate(found):
        levels = torch.full((len(each.poses),), options.noise_magnitude)
        poses = perturbed(each.poses, levels, "gaussian", np.arange(len(levels)), seed, "perturb", number)
        first = body_of(each, body, options.pose_fps or CLIP_FPS, say)
        far, near = distances_of(network, each.poses), distances_of(network, poses)
        motion, first = (replace(posed(first, shown), name=each.name) for shown in (poses, each.poses))
        made.append(Outcome(each.name, each.poses, poses, far, near, motion, source=each, first=first))
    return made


def disturbance(made: Outcome) -> Perturbed:
    """How far an outcome's poses were moved, and what the prior says of that."""
    apart = geodesic(made.before.double(), made.after.double())
    return Perturbed(made.name, made.far.numpy(), made.near.numpy(), apart.numpy())


def interpolated(network: nn.Module, options: PosesOptions, body: BodyOptions, found: Sequence[Poses]) -> Outcome:
    """A clip from pose to pose of the first clip of a file."""
    device = next(network.parameters()).device
    keys = found[0].poses[chosen(options.poses, len(found[0].poses))].to(device)
    if options.rule == "published":
        path = _published_way(network, keys, options)
    else:
        path = interpolate(network, keys, options.num_steps * (len(keys) - 1))
    poses, distances = path.poses.cpu(), path.distances.cpu()
    motion = standing_bodies(poses, "interpolation", options.pose_fps or CLIP_FPS, body.body)
    return Outcome("interpolation", poses, poses, distances, distances, motion)


def _published_way(network: nn.Module, keys: Tensor, options: PosesOptions) -> PosePath:
    """As published: both ends are projected first. Raises UsageError for more than two poses."""
    if len(keys) != 2:
        raise UsageError("--rule published interpolates between two poses: name two with --poses")
    ends = project(network, keys, options.max_dist, options.max_steps, "published").poses
    return interpolate_published(
        network, ends[0], ends[1], options.num_steps, options.step_size, options.max_dist, options.max_steps
    )


def chosen(words: Sequence[str], count: int) -> list[int]:
    """The numbers of the poses that are passed, the last for -1. Raises UsageError."""
    numbers = []
    for word in words or ("0", "-1"):
        try:
            number = int(word)
        except ValueError:
            raise UsageError(f"--poses {word}: it takes numbers of poses, from 0; -1 is the last") from None
        if not -count <= number < count:
            raise UsageError(f"--poses {word}: there are {count} poses, number 0 to {count - 1}")
        numbers.append(number % count)
    if len(numbers) < 2:
        raise UsageError("--poses names one pose: a path leads from one to another")
    if count < 2:
        raise DataError("the file holds one pose: a path leads from one to another")
    return numbers


def projected(network: nn.Module, poses: Tensor, options: PosesOptions) -> Projection:
    """Poses [T, 21, 4] brought to `--max_dist` by `--rule`, some at a time where each stops by itself."""
    size = len(poses) if options.rule == "published" else AT_ONCE
    device = next(network.parameters()).device
    parts = [
        project(network, part.to(device), options.max_dist, options.max_steps, options.rule, options.keep_steps)
        for part in poses.split(size)
    ]
    rounds = max(len(part.history) for part in parts)

    def whole(values: Sequence[Tensor]) -> Tensor:
        """One for all parts; a part that has ended keeps its last."""
        return torch.cat(
            [torch.cat([each, each[-1:].expand(rounds - len(each), *each.shape[1:])]) for each in values], 1
        )

    paths = [part.path for part in parts if part.path is not None]
    return Projection(
        torch.cat([part.poses for part in parts]).cpu(),
        torch.cat([part.distances for part in parts]).cpu(),
        whole([part.history for part in parts]).cpu(),
        torch.cat([part.steps for part in parts]).cpu(),
        sum(part.asked for part in parts),
        whole(paths).cpu() if paths else None,
    )


@torch.no_grad()
def distances_of(network: nn.Module, poses: Tensor) -> Tensor:
    """Distances [T] of poses [T, 21, 4]."""
    device = next(network.parameters()).device
    return torch.cat([network(part.to(device)).cpu() for part in poses.split(AT_ONCE)])


def _drawn(count: int, seed: int, number: int) -> int:
    """The pose of a file that sample `number` starts from."""
    return int(torch.randint(count, (1,), generator=torch_generator(seed, "start", number)))
