"""Real 3D motion beside what a camera sees of it: the windows of a `ProjectedDataset`, turned and normalised.

A clip stands upright, its root at the origin of each frame, rotated about y by the azimuth of its 2D motion.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_loaders.common.order import epoch_order
from data_loaders.points.keypoints import normalise
from data_loaders.points.projections import ProjectedDataset, rotate_y
from data_loaders.registry import DatasetSpec
from utils.run.randomness import numpy_rng

FIXED = 0  # the seed of the windows that mean and deviation are taken from: another run must find the same
WINDOWS, AT_ONCE = 4096, 256
STILL = 1e-6  # a coordinate that moves less than that (the pinned root) is not divided by its deviation


@dataclass(frozen=True)
class UprightDataset:
    """3D clips that show themselves as 3D windows; `mean`, `std` [J, 3] lead back to the units of the data."""

    projected: ProjectedDataset
    mean: np.ndarray
    std: np.ndarray

    def __len__(self) -> int:
        return len(self.projected)

    @property
    def spec(self) -> DatasetSpec:
        """What the dataset is."""
        return self.projected.spec

    @property
    def weights(self) -> np.ndarray:
        """The clips' shares of an epoch."""
        return self.projected.weights

    def batch(self, indices: Sequence[int], rng_of: Callable[[int], np.random.RandomState]) -> dict[str, Tensor]:
        """Normalised 3D windows, by the draws of `ProjectedDataset.windows`.

        motion [B, T, J, 3], zero after each sample's end, mask [B, T, J, 1], lengths [B], action [B].
        """
        windows = self.projected.windows(indices, rng_of)
        points = rotate_y(windows["points"], windows["azimuth"])
        valid = (torch.arange(points.shape[1]) < windows["lengths"][:, None])[..., None, None].float()
        motion = normalise(points, self.mean, self.std) * valid
        mask = valid.expand(*points.shape[:3], 1).clone()
        return {"motion": motion, "mask": mask, "lengths": windows["lengths"], "action": windows["action"]}


def upright(projected: ProjectedDataset) -> UprightDataset:
    """The 3D side of a dataset, normalised by the mean and deviation of a fixed draw of its windows."""
    return UprightDataset(projected, *moments(projected))


def moments(projected: ProjectedDataset) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation [J, 3] over the frames of windows, those frames that lie within them; 1 for what is still."""
    count, total, squares = 0, torch.zeros(1), torch.zeros(1)
    for first in range(0, WINDOWS, AT_ONCE):
        order = epoch_order(FIXED, first, len(projected), projected.weights)
        chosen = order[np.arange(AT_ONCE) % len(order)].tolist()
        windows = projected.windows(chosen, lambda position, first=first: numpy_rng(FIXED, "moments", first, position))
        points = rotate_y(windows["points"], windows["azimuth"]).double()
        frames = points[torch.arange(points.shape[1]) < windows["lengths"][:, None]]
        count, total, squares = count + len(frames), total + frames.sum(0), squares + frames.square().sum(0)
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean.float().numpy(), torch.where(std < STILL, 1.0, std).float().numpy()
