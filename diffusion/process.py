"""The Gaussian diffusion process: what its tables say about x_t, x_0 and x_{t-1} (Ho et al. 2020, sections 2 and 3).

Shapes: x, x0, noise are [B, ...]; t is an index into the (respaced) process, an int or a tensor [B].
Tables are float64 and become float32 where they meet a motion.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from diffusion.schedule import betas_of, space_timesteps


@dataclass(frozen=True, eq=False)
class Process:
    """A diffusion process: `betas` [N] of its steps, and the original timestep of each, which the network is told."""

    betas: np.ndarray
    timestep_map: np.ndarray

    @property
    def steps(self) -> int:
        """Number of steps N."""
        return len(self.betas)

    @cached_property
    def abar(self) -> np.ndarray:
        """Cumulative product of the alphas [N]."""
        return np.cumprod(1 - self.betas)

    @cached_property
    def abar_prev(self) -> np.ndarray:
        """The same one step earlier, 1 before the first."""
        return np.append(1.0, self.abar[:-1])

    @cached_property
    def half_log_snr(self) -> np.ndarray:
        """Logarithm of signal over noise amplitude [N], the time of the solvers (lambda of Lu et al. 2022)."""
        return 0.5 * (np.log(self.abar) - np.log1p(-self.abar))

    @cached_property
    def posterior_variance(self) -> np.ndarray:
        """Variance of q(x_{t-1} | x_t, x_0), equation 7."""
        return self.betas * (1 - self.abar_prev) / (1 - self.abar)

    @cached_property
    def posterior_log_variance(self) -> np.ndarray:
        """Its logarithm; entry 0, where the variance is 0, is a copy of entry 1 (of itself in a one-step process)."""
        variance = self.posterior_variance
        return np.log(np.append(variance[min(1, self.steps - 1)], variance[1:]).clip(1e-20))

    @cached_property
    def large_log_variance(self) -> np.ndarray:
        """Logarithm of beta_t, the upper bound of the reverse variance (section 3.2)."""
        return np.log(np.append(self.posterior_variance[min(1, self.steps - 1)], self.betas[1:]).clip(1e-20))

    @cached_property
    def posterior_x0(self) -> np.ndarray:
        """Weight of x_0 in the posterior mean."""
        return self.betas * np.sqrt(self.abar_prev) / (1 - self.abar)

    @cached_property
    def posterior_xt(self) -> np.ndarray:
        """Weight of x_t in the posterior mean."""
        return (1 - self.abar_prev) * np.sqrt(1 - self.betas) / (1 - self.abar)

    @property
    def last(self) -> int:
        """The step at which sampling stops: the first whose original timestep is at least 1, as published."""
        return int(np.argmax(self.timestep_map >= 1))

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t given x_0 (equation 4)."""
        return gather(np.sqrt(self.abar), t, x0) * x0 + gather(np.sqrt(1 - self.abar), t, x0) * noise

    def x0_from_noise(self, x: Tensor, t: Tensor | int, noise: Tensor) -> Tensor:
        """x_0 of which x_t carries `noise` (equation 4 solved for x_0)."""
        return gather(np.sqrt(1 / self.abar), t, x) * x - gather(np.sqrt(1 / self.abar - 1), t, x) * noise

    def noise_from_x0(self, x: Tensor, t: Tensor | int, x0: Tensor) -> Tensor:
        """The noise in x_t given x_0, the inverse of `x0_from_noise`."""
        return (gather(np.sqrt(1 / self.abar), t, x) * x - x0) / gather(np.sqrt(1 / self.abar - 1), t, x)

    def posterior_mean(self, x0: Tensor, x: Tensor, t: Tensor | int) -> Tensor:
        """Mean of q(x_{t-1} | x_t, x_0), equation 7."""
        return gather(self.posterior_x0, t, x) * x0 + gather(self.posterior_xt, t, x) * x


def gather(table: np.ndarray, t: Tensor | int, like: Tensor) -> Tensor:
    """Entries `t` of a float64 table as float32, shaped to multiply `like` [B, ...]."""
    values = torch.as_tensor(table, dtype=torch.float32, device=like.device)[t]
    return values.reshape(-1, *(1,) * (like.dim() - 1)) if values.dim() else values


def build_process(schedule: str, steps: int, kept: list[int] | str | None = None) -> Process:
    """The process of a schedule, respaced to the timesteps that `kept` counts out (all of them by default).

    The betas are recomputed from the kept cumulative products (Nichol & Dhariwal 2021, equation 19).
    """
    full = betas_of(schedule, steps)
    timesteps = space_timesteps(steps, kept if kept is not None else [steps])
    abar = np.cumprod(1 - full)[timesteps]
    return Process(1 - abar / np.append(1.0, abar[:-1]), timesteps)
