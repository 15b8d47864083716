"""Poses out of a diffusion prior, by the one sampling loop.

What is known of poses goes into every estimate by a projector of the loop: `--task complete` gives the joints that are
there as `known` and `mask`. `--task denoise` begins with its poses at a step whose noise is theirs (`x` and `steps` of
`diffusion.sampling.sample`), in place of pure noise at the last.
"""

import torch
from torch import Tensor

from diffusion.noise import per_sample
from diffusion.process import build_process
from diffusion.projectors import keyframes
from diffusion.samplers import stepper
from diffusion.sampling import sample
from model.poses.diffusion import FEATURES, SCHEDULE, STEPS, PoseDenoiser


@torch.no_grad()
def sampled(
    network: PoseDenoiser, count: int, seed: int, known: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Poses [N, 21, 4]; number i draws its noise by (seed, i).

    Joints for which `mask` [N, 21] is true are those of the poses `known` [N, 21, 4], to the bit.
    """
    process, device = build_process(SCHEDULE, STEPS), network.mean.device
    draw = per_sample(seed, [1] * count, (FEATURES,), stream="pose diffusion")

    def noise() -> Tensor:
        return draw().to(device)

    def denoise(x: Tensor, t: int) -> Tensor:
        return network(x, torch.full((count,), t, device=device), {})

    step = stepper("ddpm", process, noise)
    if known is None or mask is None:
        return network.to_poses(sample(denoise, step, noise(), STEPS, 0)).cpu()
    there = mask.to(device).repeat_interleave(FEATURES // mask.shape[1], -1)[:, None]
    project = keyframes(network.to_model(known.to(device)), there)
    made = network.to_poses(sample(denoise, step, noise(), STEPS, 0, project)).cpu()
    return torch.where(mask[..., None], known, made)
