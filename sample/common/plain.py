"""Motion straight from a model: 2D views from a 2D model, 3D features from a text, action or free one."""

import itertools
from collections.abc import Callable

from torch import Tensor

from diffusion.noise import Noise, per_sample, published_normal
from diffusion.sampling import sample
from diffusion.windows import joined
from sample.common.session import Request, Session


def published_2d_noise(samples: int, frames: int, joints: int) -> Noise:
    """The draws [B, T, J, 2] of the published `sample.generate` of 2D motion.

    Its first two tensors are contiguous as [B, J, 2, T]; from the third on they lie in memory as the network's
    output does, time leading.
    """
    shape = (samples, joints, 2, frames)
    first, later = published_normal(shape), published_normal(shape, memory=(3, 0, 1, 2))
    count = itertools.count()
    return lambda: (first if next(count) < 2 else later)().permute(0, 3, 1, 2)


def sample_plain(
    session: Session,
    request: Request,
    noise: Noise | None = None,
    project: Callable[[Tensor, int], Tensor] = lambda x0, _: x0,
) -> Tensor:
    """2D motions [B, T, J, 2] or features [B, T, F] in data units; frames beyond a length are 0 by default.

    `project(x0, t)` puts right what is known of the normalised motion.
    """
    if noise is None and session.published:
        noise = published_2d_noise(len(request.lengths), request.frames, session.frame_shape[0])
    elif noise is None:
        noise = per_sample(session.run.seed, request.lengths.tolist(), session.frame_shape, request.first)
    if request.segments:
        lengths = request.segments.lengths[:: len(request.lengths)].tolist()
        denoise = joined(session.denoiser(request.segments), lengths, request.overlap)
    else:
        denoise = session.denoiser(request)
    step = session.stepper(noise)
    motions = session.to_data(sample(denoise, step, noise(), session.process.steps, session.last, project))
    if session.published:
        return motions
    return motions * request.valid.view(*request.valid.shape, *(1,) * len(session.frame_shape))
