"""How one step of sampling goes: from the estimate of x_0 and x_t to x_{t-1}. Plain functions, noise handed in.

`noise` is a callable that returns the next draw, shaped like x; it is called only where the step uses it. Any number
of steps, one included, is a respaced process.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from diffusion.noise import Noise
from diffusion.process import Process, gather
from utils.run.errors import UsageError

Step = Callable[[Tensor, Tensor, int], Tensor]


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


def dpm_solver(process: Process, x0: Tensor, x: Tensor, t: int, before: Tensor | None = None) -> Tensor:
    """DPM-Solver++(2M), the multistep solver without noise (Lu et al. 2022, algorithm 2).

    `before` is the estimate of x_0 of step t + 1. Without it the step is of first order (ddim), as is the last one,
    which ends at x0 itself.
    """
    abar, previous = process.abar[t], process.abar_prev[t]
    if before is not None and t > 0:
        logs = process.half_log_snr
        further = 0.5 * (logs[t - 1] - logs[t]) / (logs[t] - logs[t + 1])
        # The step to the cleanest noise is a leap in log SNR, at whose end the estimate has long settled: following
        # its drift all the way would overshoot further than first order falls short.
        x0 = x0 + float(min(further, 0.5) if t == 1 else further) * (x0 - before)
    kept = np.sqrt((1 - previous) / (1 - abar))
    return float(kept) * x + float(np.sqrt(previous) - kept * np.sqrt(abar)) * x0


SAMPLERS = ("ddpm", "ddim", "dpm++")


def stepper(name: str, process: Process, noise: Noise, *, sigma_small: bool = True, eta: float = 0.0) -> Step:
    """The function (x0, x_t, t) -> x_{t-1} of a sampler of `SAMPLERS`, called with t falling one by one.

    `sigma_small` is for ddpm and `eta` for ddim. dpm++ remembers the last estimate, so each run makes its own.
    """
    if name == "ddpm":
        return lambda x0, x, t: ddpm(process, x0, x, t, noise, sigma_small=sigma_small)
    if name == "ddim":
        return lambda x0, x, t: ddim(process, x0, x, t, noise, eta=eta)
    if name != "dpm++":
        raise UsageError(f"unknown sampler {name!r}; choose from {', '.join(SAMPLERS)}")
    before, at = None, -1

    def step(x0: Tensor, x: Tensor, t: int) -> Tensor:
        nonlocal before, at
        earlier = before if at == t + 1 else None
        before, at = x0, t
        return dpm_solver(process, x0, x, t, earlier)

    return step
