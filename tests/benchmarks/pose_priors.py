"""Both priors of poses in one table: Pose-NDF's projection from random poses, and the diffusion prior.

Run by hand: `python -m tests.benchmarks.pose_priors POSES POSE_NDF DIFFUSION [COUNT]`, a folder of prepare.poses and
two checkpoints. Of COUNT (500) poses of each, and of as many held-out real ones: the distance (mean of 1 - |q.r|) to
the nearest real pose of the train part, its mean and 95th percentile; diversity, the mean distance of a joint between
any two poses, in cm; joints past their range, per thousand: turned further about x, y or z than any of the train part.
"""

import time
from pathlib import Path

import torch
from torch import Tensor

from body.models import load_body
from body.posing.bodies import standing
from data_loaders.poses.dataset import load_samples
from data_loaders.poses.neighbours import nearest_of
from model.poses.diffusion import load_pose_denoiser
from model.poses.projection import project
from model.poses.reading import load_pose_ndf, resolved
from sample.posing.diffusion import sampled
from sample.posing.tasks import distances_of, random_poses
from utils.geometry.body import joints_of
from utils.geometry.rotations import quaternion_to_axis_angle
from utils.run.errors import run_command


def diversity(poses: Tensor) -> float:
    """Mean distance of a joint between two poses [N, 21, 4], both with the pelvis in one place, in cm."""
    motion = standing(load_body("free").shaped(), poses, "", 20.0)
    places = torch.from_numpy(joints_of(motion)[0])[:, :22]
    places = (places - places[:, :1]).transpose(0, 1)  # [22, N, 3]
    count = len(poses)
    return 100 * float(torch.cdist(places, places).sum() / (22 * count * (count - 1)))


def past(poses: Tensor, real: Tensor, slack: float = 0.05) -> float:
    """Share of joints [N, 21] whose rotation vector is beyond those of real poses, by more than `slack` radians."""
    low, high = (getattr(quaternion_to_axis_angle(real), name)(0) for name in ("amin", "amax"))
    turns = quaternion_to_axis_angle(poses)
    return float(((turns < low - slack) | (turns > high + slack)).any(-1).float().mean())


def main(argv: list[str]) -> None:
    """Print the table."""
    folder, ndf, diffusion = argv[:3]
    count = int(argv[3]) if len(argv) > 3 else 500
    train, test = (load_samples(Path(folder) / "samples", part) for part in ("train", "test"))
    network = load_pose_ndf(resolved(ndf))
    chosen = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:count]
    made = {"real, held out": (test[chosen], 0.0)}
    for aim in (0.01, 0.001):
        begun = time.process_time()
        poses = project(network, random_poses(count, 0), aim).poses
        made[f"Pose-NDF to {aim:g}"] = poses, time.process_time() - begun
    begun = time.process_time()
    made["diffusion"] = sampled(load_pose_denoiser(diffusion), count, 0), time.process_time() - begun
    print(f"{'':20s} nearest    95 %   told  diversity  past range  seconds")
    for name, (poses, seconds) in made.items():
        near = nearest_of(poses, train, 1, "geodesic")[0][:, 0]
        print(
            f"{name:20s} {near.mean():7.4f} {near.quantile(0.95):7.4f} {distances_of(network, poses).mean():6.4f}"
            f" {diversity(poses):7.1f} cm {1000 * past(poses, train):9.1f} o/oo {seconds:8.1f}"
        )


if __name__ == "__main__":
    run_command(main)
