"""The random draws of sampling, each keyed by what it is for: (seed, sample) for noise, (seed, name) for a run's."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_loaders.common.order import epoch_order
from data_loaders.registry import load_dataset
from diffusion.distillation import STEPS
from diffusion.noise import Noise, per_sample
from utils.run.errors import DataError
from utils.run.randomness import numpy_rng

if TYPE_CHECKING:
    from sample.common.session import Request, Session


@dataclass(frozen=True)
class Draws:
    """Every random draw of a multi-view run, so that a test can hand in recorded ones.

    `noise_3d()` [B, T, J, 3] and `noise_2d()` [V * B, T, J, 2] are one draw of noise each; `offset()` is an azimuth,
    `azimuths()` [V] are those of independent views, `prominent()` a view, `timesteps(annealed)` the steps of a
    distillation.
    """

    noise_3d: Noise
    noise_2d: Noise
    offset: Callable[[], float]
    azimuths: Callable[[], np.ndarray]
    prominent: Callable[[], int]
    timesteps: Callable[[bool], list[int]]


def plain_noise(session: "Session", request: "Request") -> Noise:
    """Noise [B, T, ...] of motion sampled by itself."""
    seed, lengths = session.run.seed, request.lengths.tolist()
    return per_sample(seed, lengths, session.frame_shape, request.first, request.stream("noise"))


def view_draws(session: "Session", request: "Request", views: int, distilling: bool) -> Draws:
    """The draws of motion sampled in so many views."""
    seed, lengths, joints = session.run.seed, request.lengths.tolist(), len(session.spec.skeleton.joints)
    stream = functools.partial(numpy_rng, seed)
    offsets, azimuths = stream("offset"), stream("azimuths")
    flat = per_sample(seed, lengths, (views, joints, 2), request.first, stream="views")
    return Draws(
        noise_3d=per_sample(seed, lengths, (joints, 3), request.first),
        noise_2d=lambda: flat().permute(2, 0, 1, 3, 4).flatten(0, 1),
        offset=lambda: offsets.uniform(0, 2 * math.pi),
        azimuths=lambda: azimuths.uniform(0, 2 * math.pi, views),
        prominent=lambda: int(stream("prominent").randint(views)),
        timesteps=lambda annealed: timesteps(stream("timesteps"), session.process.steps, annealed),
    )


def timesteps(rng: np.random.RandomState, steps: int, annealed: bool, lowest: int = 1) -> list[int]:
    """The diffusion steps of a distillation: uniform over 1..N-1, or from ever lower bounds on up (annealed)."""
    uniform = [int(rng.randint(1, steps)) for _ in range(STEPS)]
    if not annealed:
        return uniform
    return [int(rng.randint(max(lowest, int(steps - 1 - i * steps / STEPS)), steps)) for i in range(STEPS)]


def data_motions(session: "Session") -> dict[str, Any]:
    """The first motions of the dataset's order. Raises DataError where there are fewer than samples are requested."""
    count, seed, data = session.sampling.num_samples, session.run.seed, session.data
    dataset = load_dataset(session.spec, data, session.run.compat, seed)
    check_count(len(dataset), count, data.data_split)
    indices = epoch_order(seed, 0, len(dataset), dataset.weights)[:count]
    return dataset.batch(indices.tolist(), lambda position: numpy_rng(seed, "data", 0, position))


def check_count(there: int, wanted: int, part: str) -> None:
    """Raise DataError where a part of a dataset holds fewer motions than are wanted."""
    if there < wanted:
        raise DataError(f"--use_data: the {part} part holds {there} motions; --num_samples {wanted}")
