"""How well bodies fit recorded people: all test clips of the packed shards, joints against joints.

Run by hand: `python -m tests.benchmarks.body_fit_quality [-h]`. For each shard: the error of the fitted joints, the
sliding of the feet before and after, knees and elbows that are bent backwards (more than 5 degrees beyond straight) in
the recording and in the fit, jitter (mean acceleration after / before), and CPU seconds for 60 frames, one thread.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from body.fit.fitting import BACKWARDS, fit
from body.fit.pose_prior import hinge_angles
from body.models import BodyModel, load_body
from utils.formats import shards
from utils.geometry.body import joints_of
from utils.geometry.contacts import sliding
from utils.geometry.joint_maps import Fittable
from utils.geometry.kinematics import global_rotations
from utils.geometry.motion import Motion
from utils.run.errors import run_command
from utils.run.options import option, parse

FEET = ((7, 10), (8, 11))


@dataclass(frozen=True)
class QualityOptions:
    """Which clips and which body."""

    data: str = option("../shared/data", "folder with the packed shards")
    shards: str = option("bandai,cmu", "shards, separated by commas")
    body: str = option("free", "free, smpl, or a SMPL file")
    shape: str = option("default", "what is fitted of the shape", choices=("default", "betas", "resize"))
    every: int = option(1, "take every n-th clip")
    worst: int = option(3, "clips of the largest error that are named")


@dataclass(frozen=True)
class Figures:
    """What was measured on one clip; errors in millimetres, sliding in metres a second."""

    name: str
    frames: int
    mean: float
    largest: float
    slide_before: float
    slide_after: float
    backwards_before: int
    backwards_after: int
    jitter: float
    seconds: float


def asked(motion: Motion, frames: int | None = None) -> Fittable:
    """A recorded clip as something to fit: all joints observed."""
    positions = motion.positions[:frames]
    return Fittable(replace(motion, positions=positions, rotations=None), np.ones(positions.shape[:2], np.float32))


def test_clips(path: Path) -> Iterator[Motion]:
    """The clips of a shard that are kept for tests."""
    return (motion for motion in shards.read(path) if motion.meta["split"] == "test")


def recorded_hinges(motion: Motion) -> np.ndarray:
    """Angles [T, 4] of knees and elbows as recorded, radians; see `hinge_angles`."""
    local, positions = (torch.as_tensor(values, dtype=torch.float64) for values in (motion.rotations, motion.positions))
    start = [max(parent, 0) for parent in motion.parents]
    turned = global_rotations(local, motion.parents)[:, start]
    offsets = (turned.mT @ (positions - positions[:, start])[..., None]).squeeze(-1).mean(0)
    return hinge_angles(local, offsets).numpy()


def measured(motion: Motion, model: BodyModel, shape: str) -> Figures:
    """Fit one clip and compare."""
    began = time.process_time()
    fitted = fit(asked(motion), model, resize=None if shape == "default" else shape == "resize")
    seconds = time.process_time() - began
    joints, report = joints_of(fitted)[0][:, :22], fitted.meta["report"]
    before, after = (np.linalg.norm(np.diff(each, 2, axis=0), axis=-1).mean() for each in (motion.positions, joints))
    return Figures(
        motion.name,
        len(joints),
        report["mean_error_mm"],
        report["max_error_mm"],
        sliding(motion.positions, motion.fps, FEET),
        sliding(joints, motion.fps, FEET),
        int((recorded_hinges(motion) < -BACKWARDS).any(1).sum()),
        report["frames_bent_backwards"],
        float(after / before),
        60 * seconds / len(joints),
    )


def table(name: str, clips: list[Figures], worst: int) -> str:
    """The figures of one shard, in lines."""
    frames = np.array([clip.frames for clip in clips])

    def column(field: str) -> np.ndarray:
        return np.array([getattr(clip, field) for clip in clips])

    def weighted(field: str) -> float:
        return float((column(field) * frames).sum() / frames.sum())

    before, after = weighted("slide_before"), weighted("slide_after")
    more = column("slide_after") - column("slide_before")
    lines = [
        f"{name}: {len(clips)} clips, {frames.sum()} frames",
        f"  joint error, mm          mean {weighted('mean'):.2f}, worst clip {column('mean').max():.2f}, "
        f"largest {column('largest').max():.1f}",
        f"  feet slide, mm/s         recorded {1000 * before:.1f}, fitted {1000 * after:.1f} "
        f"({after / before - 1:+.1%}); "
        f"most added in a clip {1000 * more.max():.1f}, most taken {-1000 * more.min():.1f}",
        f"  bent backwards, frames   recorded {column('backwards_before').sum()}, "
        f"fitted {column('backwards_after').sum()}",
        f"  acceleration             {weighted('jitter'):.3f} of the recorded",
        f"  60 frames, CPU s         median {np.median(column('seconds')):.2f}",
    ]
    lines += [
        f"  worst: {clip.name} mean {clip.mean:.2f} largest {clip.largest:.1f}"
        for clip in sorted(clips, key=lambda clip: -clip.mean)[:worst]
    ]
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Print the table of each shard."""
    (chosen,) = parse("tests.benchmarks.body_fit_quality", "Fit all test clips.", (QualityOptions,), argv)
    torch.set_num_threads(1)
    model = load_body(chosen.body)
    for name in chosen.shards.split(","):
        motions = list(test_clips(Path(chosen.data) / f"{name}.npz"))[:: chosen.every]
        print(table(name, [measured(motion, model, chosen.shape) for motion in motions], chosen.worst), flush=True)


if __name__ == "__main__":
    run_command(main)
