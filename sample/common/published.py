"""The draws of the published MAS programs (Kapon et al. 2023), from the global generators in the published order."""

import dataclasses
import itertools
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.registry import load_dataset
from diffusion.noise import Noise, published_normal
from sample.common.draws import Draws, check_count, timesteps
from sample.options import SamplingLine

if TYPE_CHECKING:
    from sample.common.session import Request, Session


def seed(line: SamplingLine) -> None:
    """Bring the global generators to where the published programs have them once the model is built."""
    from model.denoisers.published import consume_construction

    random.seed(line.run.seed)
    np.random.seed(line.run.seed)
    torch.manual_seed(line.run.seed)
    consume_construction(line.model, line.spec.features, line.spec.num_actions(line.data.cond))


def plain_noise(session: "Session", request: "Request") -> Noise:
    """The draws [B, T, J, 2] of the published `sample.generate` of 2D motion.

    Its first two tensors are contiguous as [B, J, 2, T]; from the third on they lie in memory as the network's
    output does, time leading.
    """
    shape = (len(request.lengths), session.frame_shape[0], 2, request.frames)
    first, later = published_normal(shape), published_normal(shape, memory=(3, 0, 1, 2))
    count = itertools.count()
    return lambda: (first if next(count) < 2 else later)().permute(0, 3, 1, 2)


def view_draws(session: "Session", request: "Request", views: int, distilling: bool) -> Draws:
    """The draws of motion sampled in so many views.

    Independent view noise comes after a 3D draw that is thrown away; a distillation draws a first x_T and a second
    noise each time that it never uses; its views span one radian.
    """
    samples, frames, joints = len(request.lengths), request.frames, len(session.spec.skeleton.joints)
    noise_3d = published_normal((samples, frames, joints, 3))
    like_views = published_normal((views, samples, joints, 2, frames), memory=(0, 1, 4, 2, 3))

    def noise_2d() -> Tensor:
        if not distilling:
            noise_3d()
        noise = like_views()
        if distilling:
            like_views()
        return noise.permute(0, 1, 4, 2, 3).flatten(0, 1)

    def drawn_timesteps(annealed: bool) -> list[int]:
        drawn = timesteps(np.random.mtrand._rand, session.process.steps, annealed, lowest=0)  # type: ignore[attr-defined]
        torch.randn(views * samples, joints, 2, frames)
        return drawn

    return Draws(
        noise_3d=noise_3d,
        noise_2d=noise_2d,
        offset=lambda: np.random.rand() * 2 * np.pi,  # noqa: NPY002
        azimuths=lambda: np.array([np.random.uniform() for _ in range(views)]),  # noqa: NPY002
        prominent=lambda: int(torch.randint(0, views, [1])),
        timesteps=drawn_timesteps,
    )


def data_motions(session: "Session") -> dict[str, Any]:
    """The first motions of the dataset as the published loader shuffles them. Raises DataError for too few."""
    count = session.sampling.num_samples
    data = dataclasses.replace(session.data, data_size=count)
    dataset = load_dataset(session.spec, data, session.run.compat, session.run.seed)
    check_count(len(dataset), count, data.data_split)
    order = torch.utils.data.DataLoader(range(count), batch_size=count, shuffle=True)  # type: ignore[arg-type]
    return dataset.batch(next(iter(order)).tolist(), lambda _: np.random.mtrand._rand)  # type: ignore[attr-defined]
