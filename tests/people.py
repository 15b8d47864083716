"""A made-up person for the tests of mocap2d: right-handed, y up, facing +z with the left side on +x, in metres."""

from pathlib import Path

import numpy as np
import torch

from data_loaders.common import packed
from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec
from diffusion.options import DiffusionOptions
from diffusion.process import build_process
from model.denoisers.build import build_denoiser
from model.options import ModelOptions
from sample.common.session import Session
from sample.options import SamplingOptions
from utils.geometry.skeleton import SKELETONS
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
    from data_loaders.points.keypoints import load_stats

    mean, std = (torch.from_numpy(value).float() for value in load_stats(SPEC, data.datapath))
    return Session(
        RunOptions(), SamplingOptions(num_samples=samples), data, TINY, DiffusionOptions(), SPEC,
        build_process("cosine_tau_2", steps), network, mean, std, torch.device("cpu"), Path("none.pth"),
    )  # fmt: skip


SMPL = SKELETONS["smpl22"]
_POSE = {
    "pelvis": (0, 0.95, 0), "hip": (0.1, 0.9, 0), "spine1": (0, 1.05, 0), "knee": (0.1, 0.5, 0.02),
    "spine2": (0, 1.2, 0), "ankle": (0.1, 0.08, 0), "spine3": (0, 1.3, 0), "foot": (0.1, 0.02, 0.12),
    "neck": (0, 1.48, 0), "collar": (0.05, 1.42, 0), "head": (0, 1.58, 0.03), "shoulder": (0.18, 1.42, 0),
    "elbow": (0.45, 1.42, 0), "wrist": (0.7, 1.42, 0),
}  # fmt: skip


def standing_smpl22() -> np.ndarray:
    """The same person on the 22 joints [22, 3] of `smpl22`."""
    return np.array(
        [np.array(_POSE[name.split("_")[-1]]) * (-1 if "right" in name else 1, 1, 1) for name in SMPL.joints]
    )


def crouching() -> np.ndarray:
    """A standing body [22, 3] with its knees a little ahead, feet on the floor, and so with room to bend."""
    clip = standing_smpl22()
    clip[:, 1] -= clip[[7, 8, 10, 11], 1].min() - 0.02
    upper = [joint for joint in range(22) if joint not in (4, 5, 7, 8, 10, 11)]
    clip[upper, 1] -= 0.08
    for hip, knee, ankle in ((1, 4, 7), (2, 5, 8)):
        clip[knee] = (clip[hip] + clip[ankle]) / 2 + (0, 0, 0.15)
    return clip


def drifting(frames: int = 60, speed: float = 0.15) -> np.ndarray:
    """The same [T, 22, 3], which slides to and fro sideways as a whole, feet and all, and never lifts one."""
    way = speed * np.sin(np.arange(frames) / 10)
    return crouching()[None] + way[:, None, None] * np.array([1.0, 0, 0])
