"""What a pose prior does for motion that it was not trained on: noise, missing joints, the way between two poses.

Run by hand: `python -m tests.benchmarks.pose_quality --prior save/pose_ndf --poses dataset/poses`. Clips of files that
are marked test, at 30 frames a second. Rows: `denoise`, error over that of a Gaussian filter of the best width chosen
by the truth, and jitter over that of the truth; `complete`, mean distance of the joints that hang on missing ones (for
wrists, on which none hangs, degrees of their turns) beside the pose of the train part whose other joints are nearest;
`interpolation`, the furthest distance on the way over that of the further end, and the part of the way that the
published rule comes.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from body.models import load_body
from body.options import BodyOptions
from body.posing.sources import Poses
from data_loaders.poses.dataset import load_samples
from model.poses.completing import complete
from model.poses.denoising import denoise
from model.poses.interpolation import interpolate, interpolate_published, turns_between
from model.poses.projection import project
from model.poses.reading import load_pose_ndf, resolved
from sample.options import PosesOptions
from sample.posing.completing import missing_joints, statistics_for
from sample.posing.denoising import PARENTS, Take, compared, joints_given, rotations_given
from utils.formats.reading import read_motion
from utils.geometry.human import to_smpl22
from utils.geometry.kinematics import forward
from utils.geometry.motion import Motion
from utils.geometry.rotations import (
    axis_angle_to_quaternion,
    matrix_to_quaternion,
    quaternion_multiply,
    quaternion_normalise,
    quaternion_to_matrix,
)
from utils.run.errors import run_command
from utils.run.options import option, parse
from utils.run.randomness import torch_generator

CLIPS = (  # file, and the second that a clip begins at
    ("cmu_amc/131_13.amc", 2), ("cmu_amc/131_14.amc", 2), ("cmu_amc/golf_01.amc", 0),
    ("bvh/JL_mm_run.bvh", 76), ("bvh/JL_mm_run.bvh", 90),
)  # fmt: skip
FPS = 30
CENTIMETRES, DEGREES = (2, 5), (5, 15)  # of noise: on each axis of each joint
LIMBS = ("left_arm", "right_leg", "wrists")
EVERY = 5  # frames, of those for which a nearest pose is looked up
STEPS, SHARE = 20, 0.1  # of the ways between poses, the published share of what is left


@dataclass(frozen=True)
class QualityOptions:
    """Which prior, which rows, which clips."""

    prior: str = option("save/pose_ndf", "checkpoint of a pose prior")
    poses: str = option("dataset/poses", "folder of prepare.poses, in which nearest poses are looked up")
    references: str = option("", "where missing joints begin from (default: the statistics beside the prior)")
    data: str = option("../shared/data/more", "folder with the held-out files")
    rows: tuple[str, ...] = option(("denoise", "complete", "interpolation"), "what is measured", many=True)
    seconds: float = option(6.0, "length of the clips")
    pairs: int = option(30, "pairs of poses that ways lead between")
    without: bool = option(False, "denoise: also without the prior")


def read_whole(path: Path) -> Motion:
    """The motion of a file; of an .amc one that breaks off, all frames but the last (golf_01.amc does)."""
    if path.suffix != ".amc":
        return read_motion(path)[0]
    with TemporaryDirectory() as folder:
        (skeleton,) = path.parent.glob(f"{path.stem.split('_')[0]}.asf")
        shutil.copy(skeleton, folder)
        lines = path.read_text().splitlines()
        last = max(number for number, line in enumerate(lines) if line.strip().isdigit())
        copy = Path(folder) / path.name
        copy.write_text("\n".join(lines[:last]) + "\n")
        return read_motion(copy)[0]


def held_out(options: QualityOptions) -> list[Motion]:
    """The clips, on SMPL's 22 joints, with rotations."""
    found = []
    for name, begin in CLIPS:
        motion = to_smpl22(read_whole(Path(options.data) / name))
        step = round(motion.fps / FPS)
        kept = slice(round(begin * motion.fps), round((begin + options.seconds) * motion.fps), step)
        assert motion.rotations is not None
        found.append(
            replace(
                motion, positions=motion.positions[kept], rotations=motion.rotations[kept], fps=motion.fps / step,
                name=f"{Path(name).stem} from {begin} s",
            )
        )  # fmt: skip
    return found


def poses_of(clip: Motion) -> Tensor:
    """The poses [T, 21, 4] of a clip."""
    return matrix_to_quaternion(torch.from_numpy(np.asarray(clip.rotations)[:, 1:]).double()).float()


def spoilt(clip: Motion) -> Iterator[tuple[str, Take]]:
    """The clip with each noise, by its name: on joints, and on rotations."""
    true = Poses(poses_of(clip), clip.name, "motion", Path(), fps=clip.fps, clip=clip)
    for number in CENTIMETRES:
        moved = np.random.RandomState(number).normal(0, number / 100, clip.positions.shape).astype(np.float32)
        noisy = replace(clip, positions=clip.positions + moved, rotations=None)
        yield f"joints {number} cm", Take(replace(true, clip=noisy), true)
    plain = replace(true, kind="quaternions", clip=None)
    for number in DEGREES:
        draws = torch_generator(0, "turns", number)
        turns = np.deg2rad(number) * torch.randn(*true.poses.shape[:2], 3, generator=draws)
        poses = quaternion_normalise(quaternion_multiply(true.poses, axis_angle_to_quaternion(turns)))
        yield f"rotations {number} degrees", Take(replace(plain, poses=poses), plain)


def denoise_rows(network: nn.Module, clips: list[Motion], without: bool) -> None:
    """Print error and jitter of each clip and noise."""
    options, body = PosesOptions(task="denoise"), BodyOptions(body="free")
    print(f"{'denoise':46s}  ours mm  filter mm   ratio   jitter over the truth's")
    for clip in clips:
        for noise, take in spoilt(clip):
            prepared = joints_given if take.noisy.clip is not None else rotations_given
            _, given, lift = prepared(take.noisy, options, body, print)
            for prior in (network, None) if without else (network,):
                found = denoise(prior, given, options.max_steps)
                told = compared(take, given, lift, found.rotations, found.root)
                ours, filtered = told.errors["after"], told.errors["Gaussian filter"]
                name = f"{clip.name}: {noise}" + ("" if prior else ", no prior")
                evenness = told.jitters["after"] / told.jitters["truth"]
                print(f"{name:46s} {ours:8.1f} {filtered:10.1f} {ours / filtered:7.2f} {evenness:8.2f}", flush=True)


def nearest_by(poses: Tensor, references: Tensor, known: Tensor) -> Tensor:
    """The references [N, 21, 4] of [M, 21, 4] whose `known` [21] joints are nearest to those of poses [N, 21, 4]."""
    found = []
    for part in poses.split(32):
        score = torch.zeros(len(part), len(references))
        for joint in known.nonzero()[:, 0].tolist():
            score += (part[:, joint] @ references[:, joint].mT).abs()
        found.append(references[score.argmax(1)])
    return torch.cat(found)


def off(found: Tensor, true: Tensor, missing: Tensor) -> float:
    """How far poses [N, 21, 4] are off: centimetres of the joints that hang on missing ones, or degrees of wrists."""
    hang = [joint for joint in range(1, 22) if PARENTS[joint] > 0 and missing[PARENTS[joint] - 1]]
    if not hang:
        cosine = (found * true).sum(-1).abs().clamp(max=1)[:, missing]
        return float(torch.rad2deg(2 * cosine.acos()).mean())
    places = []
    offsets = torch.from_numpy(load_body("free").shaped().offsets[:22])
    for poses in (found, true):
        turns = quaternion_to_matrix(torch.nn.functional.pad(poses, (0, 0, 1, 0)))
        turns[:, 0] = torch.eye(3)
        places.append(forward(turns, offsets, PARENTS, torch.zeros(len(poses), 3))[0][:, hang])
    return 100 * float((places[0] - places[1]).norm(dim=-1).mean())


def complete_rows(network: nn.Module, clips: list[Motion], options: QualityOptions) -> None:
    """Print how far limbs are off that are missing in all frames."""
    statistics = statistics_for(options.references, resolved(options.prior))
    assert statistics is not None
    references, asked = load_samples(Path(options.poses) / "samples", "train"), PosesOptions()
    print(f"{'complete':46s}     ours    nearest   ratio")
    for limb in LIMBS:
        missing, rows = missing_joints([limb]), []
        for clip in clips:
            poses = poses_of(clip)
            known = (~missing).expand(len(poses), -1)
            given = torch.where(known[..., None], poses, torch.tensor([1.0, 0, 0, 0]))
            made = complete(network, statistics, given, known, asked.max_dist, asked.max_steps).poses
            near = nearest_by(poses[::EVERY], references, ~missing)
            rows.append([off(found, poses[::EVERY], missing) for found in (made[::EVERY], near)])
            print(f"{f'{clip.name}: {limb}':46s} {rows[-1][0]:8.1f} {rows[-1][1]:10.1f}", flush=True)
        ours, near = np.mean(rows, 0)
        print(f"{f'all: {limb}':46s} {ours:8.1f} {near:10.1f} {ours / near:7.2f}", flush=True)


def interpolation_rows(network: nn.Module, clips: list[Motion], pairs: int) -> None:
    """Print how far from plausible ways lead, and how much of them is gone."""
    poses = torch.cat([poses_of(clip) for clip in clips])
    ends = poses[torch.randperm(len(poses), generator=torch_generator(0, "pairs"))[: 2 * pairs]].unflatten(0, (-1, 2))
    ours, theirs, gone = [], [], []
    for pair in ends:
        path = interpolate(network, pair, STEPS)
        ours.append(float(path.distances.max() / path.distances[[0, -1]].max()))
        near = project(network, pair, rule="published").poses
        way = interpolate_published(network, near[0], near[1], STEPS, SHARE, 0.001, 1000)
        theirs.append(float(way.distances.max() / max(float(network(near).max()), 1e-9)))
        gone.append(1 - float(turns_between(way.poses[-1], near[1]) / turns_between(near[0], near[1])))
    print(f"interpolation, {pairs} pairs   furthest over the further end, median   of the way")
    for rule, found, way in (("ours", ours, 1.0), ("published", theirs, np.mean(gone))):
        print(f"{rule:24s} {max(found):30.2f} {np.median(found):8.2f} {way:12.2f}")


def main(argv: list[str]) -> None:
    """Print the rows."""
    (options,) = parse("tests.benchmarks.pose_quality", "Measure a pose prior.", (QualityOptions,), argv)
    torch.set_num_threads(1)
    network, clips = load_pose_ndf(options.prior), held_out(options)
    if "denoise" in options.rows:
        denoise_rows(network, clips, options.without)
    if "complete" in options.rows:
        complete_rows(network, clips, options)
    if "interpolation" in options.rows:
        interpolation_rows(network, clips, options.pairs)


if __name__ == "__main__":
    run_command(main)
