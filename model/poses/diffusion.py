"""A diffusion prior of poses: a pose is a motion of one frame, denoised by the project's transformer (as DPoser, Lu et
al. 2023, does by layers of its own).

The numbers of a pose are the first two columns of the rotation matrices of its 21 joints (Zhou et al. 2019, section
4.2), each brought to mean 0 and deviation 1 over the poses of training: [N, 1, 126].
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from model.denoisers.dit import DiT
from model.poses.pose_ndf import JOINTS, canonical
from utils.geometry.rotations import (
    matrix_to_quaternion,
    matrix_to_rotation_6d,
    quaternion_to_matrix,
    rotation_6d_to_matrix,
)
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError

FEATURES = 6 * len(JOINTS)
SCHEDULE, STEPS = "cosine", 50  # of the diffusion process
_WIDTH, _LAYERS, _HEADS, _FF, _FRAMES = 256, 4, 4, 512, 1
_STILL = 1e-3  # deviation that a number has at least: joints that hardly move are not blown up


class PoseDenoiser(nn.Module):
    """Noisy poses [N, 1, 126] and diffusion steps [N] -> estimates of poses, of which it keeps `mean` and `std`."""

    mean: Tensor
    std: Tensor

    def __init__(self, poses: Tensor | None = None):
        """The network before its training on `poses` [M, 21, 4], whose mean and deviation it keeps."""
        super().__init__()
        self.net = DiT(FEATURES, _WIDTH, _LAYERS, _HEADS, _FF, _FRAMES)
        numbers = torch.zeros(2, FEATURES) if poses is None else _numbers_of(poses)
        self.register_buffer("mean", numbers.mean(0))
        self.register_buffer("std", numbers.std(0).clamp_min(_STILL))

    def forward(self, x: Tensor, step: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        return self.net(x, step, condition)

    def to_model(self, poses: Tensor) -> Tensor:
        """Poses [N, 21, 4] as it sees them, [N, 1, 126]."""
        return ((_numbers_of(poses) - self.mean) / self.std)[:, None]

    def to_poses(self, x: Tensor) -> Tensor:
        """Poses [N, 21, 4], w >= 0, of what it says, [N, 1, 126]."""
        numbers = (x[:, 0] * self.std + self.mean).unflatten(-1, (len(JOINTS), 6))
        return canonical(matrix_to_quaternion(rotation_6d_to_matrix(numbers)))


def _numbers_of(poses: Tensor) -> Tensor:
    return matrix_to_rotation_6d(quaternion_to_matrix(poses)).flatten(-2)


def load_pose_denoiser(path: str | Path, device: str | torch.device = "cpu") -> PoseDenoiser:
    """The network of a checkpoint of `train.train_posendf --prior diffusion`, or of the newest in a folder, frozen.

    Raises MissingFileError, or DataError for another network.
    """
    if not Path(path).exists():
        raise MissingFileError(f"{path} does not exist; train.train_posendf --prior diffusion makes such a prior")
    found, network = checkpoint.resolve(path), PoseDenoiser()
    try:
        network.load_state_dict(checkpoint.weights(checkpoint.load(found)))
    except (RuntimeError, DataError) as error:
        raise DataError(f"{found} is no diffusion prior of poses (train.train_posendf --prior diffusion)") from error
    return network.to(device).eval().requires_grad_(False)
