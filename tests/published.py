"""The tiny published networks that the golden numbers were made with."""

import json
from pathlib import Path

import numpy as np
import torch

from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec
from diffusion.options import DiffusionOptions
from diffusion.process import build_process
from model.denoiser import build_denoiser
from model.options import ModelOptions
from model.published import from_published
from sample.options import SamplingOptions
from sample.session import Session
from utils.run.options import RunOptions


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of an npz file as tensors (text stays numpy)."""
    with np.load(path) as packed:
        return {
            name: torch.from_numpy(packed[name]) if packed[name].dtype.kind != "U" else packed[name]
            for name in packed.files
        }


def flat(motion: torch.Tensor) -> torch.Tensor:
    """Published [..., J, 2, T] as ours, [..., T, J, 2]."""
    return motion.movedim(-1, -3)


def tiny_denoiser(golden: Path, arch: str = "trans_enc", dropout: float = 0.0) -> torch.nn.Module:
    """The two-layer, 32-wide network of an architecture, weights and all."""
    options = ModelOptions(
        arch=arch.removeprefix("emb_"), emb_trans_dec=arch.startswith("emb_"), layers=2, latent_dim=32, num_heads=2,
        ff_size=64, dropout=dropout, recurrence="batch", padding="attended",
    )  # fmt: skip
    network = build_denoiser(options, 32)
    network.load_state_dict(from_published(tensors(golden / "mas" / "weights" / f"w_{arch}_nba.npz")))
    return network.eval()


def tiny_session(golden: Path, steps: int, compat: str = "published", seed: int = 0) -> Session:
    """A session on the tiny trans_enc, nba, with a process of `steps` steps."""
    spec = dataset_spec("nba")
    stats = tensors(golden / "mas" / "dataset_stats.npz")
    return Session(
        RunOptions(seed=seed, compat=compat), SamplingOptions(num_samples=2), DataOptions(), ModelOptions(),
        DiffusionOptions(), spec, build_process("cosine_tau_2", steps), tiny_denoiser(golden),
        stats["nba/Mean"].float(), stats["nba/Std"].float(), torch.device("cpu"), golden / "none.pth",
    )  # fmt: skip


def arguments(record: dict) -> dict:
    """The options that a golden MAS file was made with."""
    return json.loads(str(record["args"][0]))
