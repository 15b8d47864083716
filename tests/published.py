"""The small published networks that the golden numbers were made with: 2D motion (mas), text and actions (mdm)."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec
from diffusion.options import DiffusionOptions
from diffusion.process import build_process
from model.denoisers.build import build_denoiser
from model.denoisers.published import from_published
from model.options import GOALS, ModelOptions
from sample.common.session import Session
from sample.options import SamplingOptions
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
        ff_size=64, dropout=dropout, recurrence="batch", mask_frames=False,
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


def frames_first(motion: torch.Tensor) -> torch.Tensor:
    """Published [B, J, C, T] as [B, T, F]."""
    return flat(motion).flatten(2)


def mdm_network(record: dict, **changes: object) -> torch.nn.Module:
    """The network of a golden file of the mdm family, weights and all; `changes` are to its options."""
    saved = json.loads(str(record["config"]))
    names = [field.name for field in dataclasses.fields(ModelOptions) if field.name in saved]
    options = ModelOptions(**{name: saved[name] for name in names} | {"recurrence": "batch"} | changes)
    weights = from_published({name[2:]: value for name, value in record.items() if name.startswith("w/")})
    sizes = {"num_actions": len(weights.get("embed_action.weight", ()))}
    if "embed_text.weight" in weights:
        sizes["text_width"] = weights["embed_text.weight"].shape[1]
    network = build_denoiser(options, saved["njoints"] * saved["nfeats"], **sizes, encoder_hides=False)
    network.load_state_dict(weights)
    return network.eval()


def mdm_condition(record: dict) -> dict[str, torch.Tensor]:
    """What the network of a golden file of the mdm family was told."""
    condition = {"lengths": record["lengths"]}
    if "text_embed" in record:
        condition["text"] = record["text_embed"].transpose(0, 1)
    if "text_mask" in record:
        condition["text_visible"] = ~record["text_mask"]
    if "action" in record:
        condition["action"] = record["action"][:, 0]
    if "prefix" in record:
        condition["prefix"] = frames_first(record["prefix"])
    if "target_cond" in record:
        names = [set(each) for each in json.loads(str(record["target_names"]))]
        heading = [{"heading"} if each else set() for each in record["is_heading"]]
        asked = [[goal in name | head for goal in GOALS] for name, head in zip(names, heading, strict=True)]
        condition |= {"goal": record["target_cond"], "goal_asked": torch.tensor(asked)}
    return condition
