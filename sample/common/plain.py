"""Motion straight from a model: 2D views from a 2D model, 3D features from a text, action or free one."""

from collections.abc import Callable

from torch import Tensor

from diffusion.noise import Noise
from diffusion.sampling import sample
from diffusion.windows import joined
from sample.common.session import Request, Session


def sample_plain(
    session: Session,
    request: Request,
    noise: Noise | None = None,
    project: Callable[[Tensor, int], Tensor] = lambda x0, _: x0,
) -> Tensor:
    """2D motions [B, T, J, 2] or features [B, T, F] in data units; frames beyond a length are 0 by default.

    `project(x0, t)` puts right what is known of the normalised motion.
    """
    noise = noise or session.compat.plain_noise(session, request)
    if request.segments:
        lengths = request.segments.lengths[:: len(request.lengths)].tolist()
        denoise = joined(session.denoiser(request.segments), lengths, request.overlap)
    else:
        denoise = session.denoiser(request)
    steps, last, callback = session.process.steps, session.last, session.callback
    motions = session.to_data(sample(denoise, session.stepper(noise), noise(), steps, last, project, callback))
    if not session.compat.pads:
        return motions
    return motions * request.valid.view(*request.valid.shape, *(1,) * len(session.frame_shape))
