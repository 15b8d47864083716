"""What a learned pose prior does for the fit of a body: joints that are missing, or noisy, with it and without.

Run by hand: `python -m tests.benchmarks.body_fit_prior --prior save/pose_ndf`. Parts of test clips of the packed
shards, as they were recorded, are spoilt, fitted with `--pose_prior limits` and with `ndf`, and held against what was
recorded: mean error of all 22 joints, of those that were missing, in millimetres, and of the angles of the 21 joints
that the prior knows, in degrees.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from body.fit.fitting import fit
from body.models import BodyModel, load_body
from model.poses.reading import load_pose_ndf
from tests.benchmarks.body_fit_quality import asked
from utils.formats import shards
from utils.geometry.body import joints_of
from utils.geometry.joint_maps import Fittable
from utils.geometry.motion import Motion
from utils.run.errors import run_command
from utils.run.options import option, parse

SPOILT = ("missing", "missing for a while", "noise 3 cm", "missing, noise 3 cm")
_SHARE, _NOISE = 0.2, 0.03
_NEEDED = (1, 2, 16, 17)  # hips and shoulders, without which nothing is fitted


@dataclass(frozen=True)
class PriorOptions:
    """Which clips, which body and which prior."""

    prior: str = option("save/pose_ndf", "checkpoint of a pose prior")
    data: str = option("../shared/data", "folder with the packed shards")
    shards: str = option("bandai,cmu,cmu2,cmu_actions", "shards, separated by commas")
    split: str = option("test", "part of them", ("test", "train"))
    clips: int = option(6, "clips of each")
    frames: int = option(90, "frames of each clip")
    body: str = option("free", "free, smpl, or a SMPL file")


def spoilt(motion: Motion, kind: str, seed: int) -> tuple[Fittable, np.ndarray]:
    """A clip as something to fit, without a fifth of its joints or with noise, and which [T, 22] are missing."""
    person, draws = asked(motion), np.random.RandomState(seed)
    frames, positions = len(motion.positions), motion.positions.copy()
    missing = np.zeros((frames, 22), bool)
    if "noise" in kind:
        positions += draws.normal(0, _NOISE, positions.shape).astype(np.float32)
    if "missing" in kind:
        others = np.setdiff1d(np.arange(22), _NEEDED)
        lacking = draws.choice(others, round(_SHARE * 22), replace=False)
        while_away = slice(frames // 4, 3 * frames // 4) if "while" in kind else slice(None)
        missing[while_away, lacking] = True
    confidence = np.where(missing, 0, person.confidence).astype(np.float32)
    return Fittable(replace(person.motion, positions=positions), confidence), missing


def errors(
    motion: Motion, model: BodyModel, kind: str, seed: int, network: nn.Module | None
) -> tuple[float, float, float]:
    """Of all joints, of those that were missing (nan: none), millimetres, and of the angles, degrees."""
    person, missing = spoilt(motion, kind, seed)
    fitted = fit(person, model, network=network)
    away = 1000 * np.linalg.norm(joints_of(fitted)[0][:, :22] - motion.positions, axis=-1)
    turns = fitted.rotations[:, 1:22].swapaxes(-1, -2) @ np.asarray(motion.rotations)[:, 1:22]
    angles = np.degrees(np.arccos(np.clip((np.trace(turns, axis1=-2, axis2=-1) - 1) / 2, -1, 1)))
    return float(away.mean()), float(away[missing].mean()) if missing.any() else float("nan"), float(angles.mean())


def main(argv: list[str]) -> None:
    """Print the table."""
    (chosen,) = parse("tests.benchmarks.body_fit_prior", "Fit spoilt clips.", (PriorOptions,), argv)
    torch.set_num_threads(1)
    model, network = load_body(chosen.body), load_pose_ndf(chosen.prior)
    print(f"{'':34s} all joints, mm    missing ones, mm  angles, degrees\n{'':34s}" + 3 * "limits  ndf      ")
    for name in chosen.shards.split(","):
        clips = [clip for clip in shards.read(Path(chosen.data) / f"{name}.npz") if clip.meta["split"] == chosen.split]
        clips = [clip for clip in clips if len(clip.positions) >= chosen.frames]
        picked = clips[:: max(1, len(clips) // chosen.clips)][: chosen.clips]
        parts = [
            replace(clip, positions=clip.positions[: chosen.frames], rotations=clip.rotations[: chosen.frames])
            for clip in picked
            if clip.rotations is not None
        ]
        for kind in SPOILT:
            rows = [
                [errors(part, model, kind, seed, prior) for seed, part in enumerate(parts)] for prior in (None, network)
            ]
            limits, ndf = (np.mean(row, 0) for row in rows)
            cells = "  ".join(f"{one:6.2f}  {other:6.2f} " for one, other in zip(limits, ndf, strict=True))
            print(f"{name + ': ' + kind:34s}{cells}", flush=True)


if __name__ == "__main__":
    run_command(main)
