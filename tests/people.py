"""A made-up person for the tests of mocap2d: right-handed, y up, facing +z with the left side on +x, in metres."""

from pathlib import Path

import numpy as np
import torch

from data_loaders import packed
from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec
from diffusion.options import DiffusionOptions
from diffusion.process import build_process
from model.denoiser import build_denoiser
from model.options import ModelOptions
from sample.options import SamplingOptions
from sample.session import Session
from utils.run.options import RunOptions

SPEC = dataset_spec("mocap2d")
BODY = SPEC.skeleton
ALL_VARIATIONS = SPEC.defaults["data_augmentations"]
TINY = ModelOptions(arch="dit", layers=2, latent_dim=32, num_heads=2, ff_size=64, frames_per_token=4)

_HALF = {
    "Hip": (0, 0.95, 0), "LHip": (0.1, 0.95, 0), "LKnee": (0.1, 0.5, 0.02), "LAnkle": (0.1, 0.08, 0),
    "Neck": (0, 1.45, 0), "Nose": (0, 1.6, 0.1), "Head": (0, 1.75, 0.02),
    "LShoulder": (0.18, 1.42, 0), "LElbow": (0.45, 1.42, 0), "LWrist": (0.7, 1.42, 0),
}  # fmt: skip


def standing(frames: int = 1) -> np.ndarray:
    """A person in a T [frames, 16, 3] that does not move."""
    points = [_HALF[name] if name in _HALF else np.array(_HALF["L" + name[1:]]) * (-1, 1, 1) for name in BODY.joints]
    return np.broadcast_to(np.array(points, np.float32), (frames, 16, 3)).copy()


def moving(frames: int, seed: int = 0, amplitude: float = 0.1) -> np.ndarray:
    """A person [frames, 16, 3] whose joints all swing on their own while it walks away."""
    rng = np.random.RandomState(seed)
    swing, phase = rng.uniform(-amplitude, amplitude, (16, 3)), rng.uniform(0, 2 * np.pi, (16, 3))
    time = np.arange(frames)[:, None, None] / 30
    points = standing(frames) + swing * np.sin(2 * np.pi * time + phase)
    return (points + (0.3, 0, 1) * time).astype(np.float32)


def counting(frames: int, first: float = 0.0) -> np.ndarray:
    """A standing person whose head is `first` + one millimetre a frame above where it was: it tells the time."""
    points = standing(frames)
    points[:, BODY.index("Head"), 1] += first + 0.001 * np.arange(frames, dtype=np.float32)
    return points


def record(name: str, split: str = "train", actions: tuple[str, ...] = ("walk",), source: str = "lab") -> dict:
    """What the index says of a clip."""
    return {"name": name, "split": split, "actions": list(actions), "source": source, "style": "", "licence": "none"}


def write_folder(folder: Path, clips: list[tuple[np.ndarray, dict]], fps: float = 30.0) -> DataOptions:
    """Pack clips as a dataset folder; the options that read it without variations."""
    packed.write(folder, clips, fps, "nba", overwrite=True)
    return DataOptions(dataset="mocap2d", datapath=str(folder), data_augmentations=())


def tiny_dit(num_actions: int = 0, seed: int = 0, spread: float = 0.3) -> torch.nn.Module:
    """A small transformer whose weights are all random (as built, its output is zero)."""
    network = build_denoiser(TINY, SPEC.features, num_actions)
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(spread * torch.randn(weight.shape, generator=draws) / max(1, weight.shape[-1]) ** 0.5)
    return network.eval()


def mocap_session(data: DataOptions, network: torch.nn.Module, samples: int, steps: int = 5) -> Session:
    """A session of mocap2d with published figures and a short process."""
    from data_loaders.base import load_stats

    mean, std = (torch.from_numpy(value).float() for value in load_stats(SPEC, data.datapath))
    return Session(
        RunOptions(), SamplingOptions(num_samples=samples), data, TINY, DiffusionOptions(), SPEC,
        build_process("cosine_tau_2", steps), network, mean, std, torch.device("cpu"), Path("none.pth"),
    )  # fmt: skip
