"""How one step of sampling goes: from the estimate of x_0 and x_t to x_{t-1}. Plain functions, noise handed in.

`noise` is a callable that returns the next draw, shaped like x; it is called only where the step uses it.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from diffusion.process import Process, gather

Noise = Callable[[], Tensor]


def ddpm(process: Process, x0: Tensor, x: Tensor, t: int, noise: Noise, *, sigma_small: bool = True) -> Tensor:
    """Ancestral sampling (Ho et al. 2020, algorithm 2), with the posterior variance or its upper bound beta."""
    mean = process.posterior_mean(x0, x, t)
    if t == 0:
        return mean
    log_variance = process.posterior_log_variance if sigma_small else process.large_log_variance
    return mean + gather(np.exp(0.5 * log_variance), t, x) * noise()


def ddim(process: Process, x0: Tensor, x: Tensor, t: int, noise: Noise, *, eta: float = 0.0) -> Tensor:
    """Implicit sampling (Song et al. 2021, equation 12); `eta` 0 adds no noise, 1 as much as `ddpm`."""
    abar, previous = process.abar[t], process.abar_prev[t]
    sigma = eta * np.sqrt((1 - previous) / (1 - abar) * (1 - abar / previous))
    direction = process.noise_from_x0(x, t, x0)
    mean = x0 * float(np.sqrt(previous)) + float(np.sqrt(max(0.0, 1 - previous - sigma**2))) * direction
    return mean + float(sigma) * noise() if t and sigma else mean


SAMPLERS = {"ddpm": ddpm, "ddim": ddim}
