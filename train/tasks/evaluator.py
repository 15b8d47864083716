"""What the training loop needs of an evaluator: clips to encode and to make again."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from data_loaders.common.order import batch_indices
from diffusion.losses import masked_error
from model.evaluators.motion_vae import kl_divergence
from train.tasks.diffusion import Batch
from utils.run.randomness import numpy_rng, torch_generator

KL_WEIGHT = 1e-5


@dataclass(frozen=True)
class EvaluatorTask:
    """Encode clips and make them again (MAS, Kapon et al. 2023, section 5): squared error + 1e-5 * KL divergence.

    `dataset` gives `batch(indices, rng_of)`, `weights` and `len`. The error is the mean over the clips of each one's
    over its own frames; with `counts_padding`, as published, the frames after a clip's end, zeros, count too. The
    divergence is summed over the clips of a batch, as published: so its weight grows with `batch_size`.
    """

    dataset: Any
    batch_size: int
    seed: int
    latent_dim: int
    counts_padding: bool = False

    def batch(self, step: int) -> dict[str, Tensor]:
        """Motion [B, T, J, C], normalised, lengths [B] and standard noise [B, d] for the latent."""
        indices, _ = batch_indices(self.seed, step, len(self.dataset), self.batch_size, self.dataset.weights)
        batch = self.dataset.batch(indices, lambda position: numpy_rng(self.seed, "data", step, position))
        motion, lengths = batch["motion"][:, : int(batch["lengths"].max())], batch["lengths"]
        noise = torch.randn(len(motion), self.latent_dim, generator=torch_generator(self.seed, "latent", step))
        return {"motion": motion, "lengths": lengths, "noise": noise}

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """`loss`, and what it is made of: `mse` and `kl`."""
        motion, lengths = batch["motion"].flatten(2), batch["lengths"]
        made, mu, logvar = model(motion, lengths, batch["noise"])
        valid = torch.arange(motion.shape[1], device=lengths.device) < lengths[:, None]
        counted = valid[..., None].float()
        mse = masked_error(made.float(), motion, torch.ones_like(counted) if self.counts_padding else counted).mean()
        # A rank, or a part of a batch, sees some of its rows: the mean of the shares is the sum over all.
        kl = kl_divergence(mu.float(), logvar.float()).mean() * self.batch_size
        return {"loss": mse + KL_WEIGHT * kl, "mse": mse, "kl": kl}
