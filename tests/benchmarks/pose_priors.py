"""How real the poses are that are generated: out of random ones, and out of draws of the statistics beside a prior.

Run by hand: `python -m tests.benchmarks.pose_priors POSES PRIOR [PRIOR ...]`, a folder of prepare.poses and
checkpoints. Of 500 poses of each, and of as many held-out real ones: the distance (mean of 1 - |q.r|) to the nearest
real pose of the train part, its mean and 95th percentile; what the prior says of it; diversity, the mean distance of a
joint between any two poses, in cm; joints past their range, per thousand: turned further about x, y or z than any of
the train part.
"""

import time
from pathlib import Path

import torch
from torch import Tensor

from body.models import load_body
from body.posing.bodies import standing
from data_loaders.poses.dataset import load_samples
from data_loaders.poses.neighbours import nearest_of
from model.poses.projection import project
from model.poses.reading import load_pose_ndf, resolved
from sample.posing.completing import statistics_for
from sample.posing.tasks import distances_of, drawn_poses, random_poses
from utils.geometry.body import joints_of
from utils.geometry.rotations import quaternion_to_axis_angle
from utils.run.errors import run_command

COUNT, NEAR = 500, 0.001


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
    train, test = (load_samples(Path(argv[0]) / "samples", part) for part in ("train", "test"))
    torch.set_num_threads(1)
    print(f"{'':52s} nearest    95 %   told  diversity  past range  seconds")
    for path in argv[1:]:
        network, statistics = load_pose_ndf(path), statistics_for("", resolved(path))
        chosen = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:COUNT]
        begins = {"real, held out": test[chosen], "from random poses": random_poses(COUNT, 0)}
        if statistics is not None:
            begins["from draws"] = drawn_poses(statistics, COUNT, 0)
        for name, start in begins.items():
            begun = time.process_time()
            poses = start if name.startswith("real") else project(network, start, NEAR).poses
            seconds = time.process_time() - begun
            near = nearest_of(poses, train, 1, "geodesic")[0][:, 0]
            told, apart, beyond = distances_of(network, poses).mean(), diversity(poses), 1000 * past(poses, train)
            print(
                f"{path[-30:]:30s} {name:20s} {near.mean():8.4f} {near.quantile(0.95):7.4f} {told:6.4f}"
                f" {apart:7.1f} cm {beyond:6.1f} o/oo {seconds:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    run_command(main)
