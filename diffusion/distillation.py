"""3D motion by distilling a 2D model, the baseline that MAS is held against (DreamFusion, Poole et al. 2023).

It optimises a 3D motion so that its noised views look right to the denoiser: no sampling loop, no agreement of views.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffusion.process import Process
from utils.geometry.cameras import Camera, project, reprojection_error
from utils.run.progress import Callback, ignored

STEPS, RATE = 1000, 0.01


def distill(
    denoise: Callable[[Tensor, int], Tensor],
    process: Process,
    schedule: Sequence[int],
    views: Callable[[], Tensor],
    noise: Callable[[], Tensor],
    camera: Camera,
    start: Tensor,
    to_data: Callable[[Tensor], Tensor],
    to_model: Callable[[Tensor], Tensor],
    callback: Callback = ignored,
) -> Tensor:
    """A 3D motion [B, T, J, 3], one Adam step for each diffusion step t of `schedule`, each from fresh `views()`.

    `noise()` is [V * B, T, J, 2]; `denoise`, `to_data`, `to_model` as in multi-view sampling; `callback(done, total)`
    is called after each step.
    """
    points = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([points], lr=RATE)
    for done, t in enumerate(schedule, start=1):
        rotations = views()
        with torch.no_grad():
            projected = to_model(project(points, rotations, camera).flatten(0, 1))
            noisy = process.q_sample(projected, torch.full((len(projected),), t), noise())
            seen = to_data(denoise(noisy, t)).unflatten(0, (len(rotations), -1))
        with torch.enable_grad():
            error = reprojection_error(points, seen, rotations, camera)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        callback(done, len(schedule))
    return points.detach()
