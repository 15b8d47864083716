"""2D motion from the 2D model, view by view independent of any other."""

import itertools

from torch import Tensor

from diffusion.noise import Noise, per_sample, published_normal
from diffusion.sampling import sample
from sample.session import Request, Session


def published_2d_noise(samples: int, frames: int, joints: int) -> Noise:
    """The draws [B, T, J, 2] of the published `sample.generate`.

    Its first two tensors are contiguous as [B, J, 2, T]; from the third on they lie in memory as the network's
    output does, time leading.
    """
    shape = (samples, joints, 2, frames)
    first, later = published_normal(shape), published_normal(shape, memory=(3, 0, 1, 2))
    count = itertools.count()
    return lambda: (first if next(count) < 2 else later)().permute(0, 3, 1, 2)


def sample_2d(session: Session, request: Request, noise: Noise | None = None) -> Tensor:
    """2D motions [B, T, J, 2] in data units; frames beyond a length are 0 in the default mode."""
    joints = len(session.spec.skeleton.joints)
    if noise is None and session.published:
        noise = published_2d_noise(len(request.lengths), request.frames, joints)
    elif noise is None:
        noise = per_sample(session.run.seed, request.lengths.tolist(), (joints, 2))
    x0 = sample(session.denoiser(request), session.stepper(noise), noise(), session.process.steps, session.process.last)
    motions = session.to_data(x0)
    return motions if session.published else motions * request.valid[:, :, None, None]
