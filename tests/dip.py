"""A tiny model of random weights that is shown a prefix and told targets (DiP), and what it was told."""

from pathlib import Path

import numpy as np
import torch

from data_loaders.options import DataOptions
from data_loaders.points.toy import body_motion
from data_loaders.registry import dataset_spec
from data_loaders.representations import hml
from diffusion.options import DiffusionOptions
from diffusion.process import build_process
from model.denoisers.build import build_denoiser
from model.options import ModelOptions
from model.text.encoders import Remembering
from sample.common.session import Session
from sample.options import SamplingOptions
from utils.run.options import RunOptions

SPEC = dataset_spec("mocap")
LAYOUT = hml.layout_of(SPEC.skeleton)
CONTEXT, WINDOW, WIDTH = 8, 12, 6


class Letters:
    """A text encoder that counts letters, and remembers what it was asked."""

    name, width = "letters", WIDTH

    def __init__(self):
        self.asked: list[str] = []

    def __call__(self, texts):
        self.asked += texts
        vectors = [[text.count(letter) + 0.5 for letter in "aeiswv"] for text in texts]
        return torch.tensor(vectors)[:, None], torch.ones(len(texts), 1, dtype=torch.bool)

    def too_long(self, text: str) -> bool:
        return False


class Listening(torch.nn.Module):
    """A network that remembers the conditions of its first step of each window."""

    def __init__(self, network: torch.nn.Module, steps: int):
        super().__init__()
        self.network, self.steps, self.told = network, steps, []

    def forward(self, x, step, condition):
        if int(step[0]) == self.steps - 1:
            self.told.append({name: value.clone() for name, value in condition.items()})
        return self.network(x, step, condition)


def toy_features(count: int = 4) -> list[torch.Tensor]:
    """Features of toy people."""
    return hml.encode([body_motion(SPEC.fps, 0, i)[0] for i in range(count)], LAYOUT, **SPEC.encoding)


def statistics() -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and Std of toy people."""
    mean, std = hml.statistics(toy_features())
    return mean, hml.block_std(std, LAYOUT).clamp_min(1e-3)


def random_network(options: ModelOptions, width: int, spread: float = 0.3) -> torch.nn.Module:
    """A network whose weights are all random (as built, its output is zero)."""
    network, draws = build_denoiser(options, SPEC.features, 0, width), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(spread * torch.randn(weight.shape, generator=draws) / max(1, weight.shape[-1]) ** 0.5)
    return network.eval()


def dip_session(
    samples: int = 2, steps: int = 3, text: bool = True, seed: int = 0, folder: Path = Path("nowhere"), **flags: object
) -> Session:
    """A session on that model; `folder` is the dataset, `flags` are sampling's."""
    options = ModelOptions(
        arch="dit", layers=1, latent_dim=16, num_heads=2, ff_size=16, frames_per_token=4, context_len=CONTEXT,
        pred_len=WINDOW, multi_target_cond=True,
    )  # fmt: skip
    mean, std = statistics()
    return Session(
        RunOptions(seed=seed), SamplingOptions(**{"model_path": "none", "num_samples": samples} | flags),
        DataOptions(dataset="mocap", datapath=str(folder), cond="text" if text else "no_cond"), options,
        DiffusionOptions(diffusion_steps=steps), SPEC, build_process("cosine", steps),
        Listening(random_network(options, WIDTH if text else 0), steps), mean, std, torch.device("cpu"),
        Path("none.pth"), Remembering(Letters()) if text else None,
    )  # fmt: skip


def told(session: Session) -> list[dict[str, torch.Tensor]]:
    """What the model was told of each window."""
    return session.model.told


def write_positions(path: Path, frames: int, fps: float = 20.0, joints: int = 22) -> np.ndarray:
    """A file of a toy person's positions, which are returned."""
    positions = body_motion(fps, 0, 1)[0][:frames, :joints]
    np.savez(path, positions=positions, fps=fps, joint_names=SPEC.skeleton.joints[:joints],
             parents=SPEC.skeleton.parents[:joints])  # fmt: skip
    return positions
