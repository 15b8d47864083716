"""Noise schedules: betas [N], float64, and the spacing of fewer steps (Ho et al. 2020; Nichol & Dhariwal 2021).

`cosine_tau_X` raises the cosine to 2X: X = 1 is the cosine schedule itself.
"""

import math

import numpy as np

from utils.run.errors import UsageError


def betas_of(schedule: str, steps: int) -> np.ndarray:
    """The betas [steps] of `linear`, `cosine` or `cosine_tau_<float>`.

    Raises UsageError for another name, and for `linear` with at most 20 steps (its last beta would reach 1).
    """
    if schedule == "linear":
        if steps <= 20:
            raise UsageError(f"the linear schedule needs more than 20 diffusion steps, not {steps}: use cosine")
        scale = 1000 / steps
        return np.linspace(scale * 1e-4, scale * 0.02, steps)
    try:
        tau = 1.0 if schedule == "cosine" else float(schedule.removeprefix("cosine_tau_"))
    except ValueError:
        tau = math.nan
    if not 0 < tau < math.inf:
        raise UsageError(f"unknown noise schedule {schedule!r}; choose linear, cosine or cosine_tau_<positive number>")

    def signal(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** (2 * tau)

    return np.array([min(1 - signal((i + 1) / steps) / signal(i / steps), 0.999) for i in range(steps)])


def space_timesteps(steps: int, counts: list[int] | str) -> np.ndarray:
    """The sorted original timesteps that a respaced process keeps.

    `counts` is a list (so many steps from each equal section), the same as text "a,b,c", or "ddimK": K steps at one
    whole stride (Song et al. 2021). A single step is the noisiest, where sampling starts. Raises UsageError where that
    cannot be done.
    """
    if isinstance(counts, str) and counts.startswith("ddim"):
        wanted = int(counts.removeprefix("ddim"))
        for stride in range(1, steps):
            if len(range(0, steps, stride)) == wanted:
                return np.arange(0, steps, stride)
        raise UsageError(f"no whole stride takes {wanted} of {steps} steps")
    if isinstance(counts, str):
        counts = [int(count) for count in counts.split(",")]
    if counts == [1]:
        return np.array([steps - 1])
    size, extra = divmod(steps, len(counts))
    kept: list[int] = []
    start = 0
    for section, count in enumerate(counts):
        length = size + (section < extra)
        if not 1 <= count <= length:
            raise UsageError(f"cannot take {count} of {length} diffusion steps")
        stride = (length - 1) / (count - 1) if count > 1 else 1.0
        position = 0.0
        for _ in range(count):
            kept.append(start + round(position))
            position += stride
        start += length
    return np.array(sorted(set(kept)))
