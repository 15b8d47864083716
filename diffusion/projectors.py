"""What must hold of an estimate of x_0: known frames and joints, or one 3D motion behind all views (MAS)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffusion.process import Process
from utils.geometry.cameras import Camera, fit_points, project, reprojection_error


def keyframes(known: Tensor, mask: Tensor) -> Callable[[Tensor, int], Tensor]:
    """Put the `known` motion back where `mask` is true: editing and in-betweening (MDM, section 4.2)."""
    return lambda x0, _: torch.where(mask, known, x0)


class AdamFit:
    """The published 3D fit: one Adam optimiser for the whole run, at most 1000 steps each time (MAS, section 4.1).

    It stops when the loss no longer falls; the test uses the loss before the step and comes after it, as published.
    """

    STEPS, RATE, TOLERANCE = 1000, 0.01, 5e-11

    def __init__(self, shape: tuple[int, ...], device: torch.device | None = None, steps: int = STEPS):
        self.points = torch.zeros(shape, device=device, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.points], lr=self.RATE)
        self.steps = steps

    def __call__(
        self, seen: Tensor, views: Tensor, camera: Camera, start: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """Points [B, T, J, 3] near `seen` [V, B, T, J, 2]; `start` must be what the last call returned."""
        previous = 1e11
        for _ in range(self.steps):
            with torch.enable_grad():
                error = reprojection_error(self.points, seen, views, camera, weights)
            self.optimizer.zero_grad()
            error.backward()
            self.optimizer.step()
            if error.item() >= previous - self.TOLERANCE * previous:
                break
            previous = error.item()
        return self.points.detach().clone()


@dataclass
class MultiView:
    """One 3D motion behind all views: fit it to their estimates of x_0, show it in each view (MAS, section 4.1).

    `points` [B, T, J, 3] is the 3D motion after the latest call. Estimates are [V * B, T, J, 2], views leading, and
    normalised; `to_data` and `to_model` go between normalised and data units. Frames outside `valid` [B, T] count as
    lying at the origin. A root that the data centre on is pinned to the origin: taking it off afterwards would spread
    its jitter over the whole figure. Given together, `known` [B, T, J, 3] is put into the 3D motion after each fit
    wherever `known_mask` [B, T, J] is true, so that every view is shown it: editing in 3D.
    """

    views: Tensor
    camera: Camera
    points: Tensor
    to_data: Callable[[Tensor], Tensor]
    to_model: Callable[[Tensor], Tensor]
    weights: Tensor | None = None
    fit: Callable[..., Tensor] = fit_points
    pinned_root: int = -1
    valid: Tensor | None = None
    known: Tensor | None = None
    known_mask: Tensor | None = None

    def __call__(self, x0: Tensor, t: int) -> Tensor:
        seen = self.to_data(x0).unflatten(0, (len(self.views), -1))
        if self.valid is not None:
            seen = seen * self.valid[:, :, None, None]
        self.points = self.fit(seen, self.views, self.camera, self.points, self.weights)
        if self.pinned_root >= 0:
            self.points[:, :, self.pinned_root] = 0
        if self.known is not None and self.known_mask is not None:
            self.points = torch.where(self.known_mask[..., None], self.known, self.points)
        return self.projected(self.points)

    def projected(self, points: Tensor) -> Tensor:
        """A 3D motion as the network sees it from every view, [V * B, T, J, 2], normalised."""
        return self.to_model(project(points, self.views, self.camera).flatten(0, 1))


def scaled_snr(
    denoise: Callable[[Tensor, int], Tensor], process: Process, factor: float
) -> Callable[[Tensor, int], Tensor]:
    """Denoise each view as if its signal-to-noise ratio were `factor` times what it is.

    A view sees two of the three noisy dimensions of the 3D motion, so its estimate of x_0 is drawn towards the mean
    more than one that knew all views would be, and what the views agree on is too calm. 3/2 would make up for the
    third dimension; the ratio is that of the nearest step of the process.
    """
    ratio = np.log(process.abar / (1 - process.abar))
    adjusted = np.abs(ratio - (ratio + np.log(factor))[:, None]).argmin(1)
    scale = np.sqrt(process.abar[adjusted] / process.abar)
    return lambda x, t: denoise(x * float(scale[t]), int(adjusted[t]))


def prominent_weights(views: int, chosen: int) -> Tensor:
    """Weights [V] of which one view has a thousand times the others' (ablation `prominent_angle`)."""
    weights = torch.ones(views)
    weights[chosen] = 1000
    return weights / weights.sum()
