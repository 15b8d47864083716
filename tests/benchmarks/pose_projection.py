"""How often the network is asked, and how far poses are changed, by both rules of projection; and how paths come out.

Run by hand: `python -m tests.benchmarks.pose_projection MODEL POSES.npz [count]`. MODEL is a pose prior, POSES.npz has
`pose_body` [N, 21, 4] that it was not trained on; without them it is the small network of the golden numbers, and poses
that this finds plausible. Counts, no times: they are the same on any machine.
"""

from pathlib import Path

import torch
from torch import Tensor

from body.options import BodyOptions
from body.posing.bodies import joint_degrees
from body.posing.sources import read_poses
from model.poses.interpolation import interpolate, turns_between
from model.poses.projection import RULES, project
from model.poses.reading import load_pose_ndf
from sample.posing.tasks import random_poses
from tests.model.test_pose_ndf import tiny
from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_multiply, quaternion_normalise
from utils.run.errors import run_command
from utils.run.randomness import torch_generator

NEAR, NEAR_GOLDEN = 0.001, 0.03  # the small network finds nothing nearer than 0.01
NOISE = (0.1, 0.25, 0.5)  # radians on each axis of each joint
PAIRS, STEPS = 50, 20


def noisy(poses: Tensor, radians: float) -> Tensor:
    """Poses whose joints are turned by random angles."""
    turns = radians * torch.randn(*poses.shape[:2], 3, generator=torch_generator(0, "noise", str(radians)))
    return quaternion_normalise(quaternion_multiply(poses, axis_angle_to_quaternion(turns)))


def main(argv: list[str]) -> None:
    """Print a row a rule and kind of poses, and one of the paths."""
    count, near = int(argv[2]) if len(argv) > 2 else 1000, NEAR if argv else NEAR_GOLDEN
    if argv:
        network, real = load_pose_ndf(argv[0]), read_poses(BodyOptions(input_path=argv[1]))[0].poses
    else:
        network = tiny(Path(__file__).parents[1] / "golden")[0].requires_grad_(False)
        real = project(network, random_poses(count, 1), near).poses
    real = real[torch.randperm(len(real), generator=torch_generator(0, "chosen"))[:count]]
    kinds = {f"noise {radians}": noisy(real, radians) for radians in NOISE} | {"random": random_poses(count, 0)}
    print(f"{count} poses to {near}   rule       poses shown   in a row   near enough   degrees a joint")
    for name, start in kinds.items():
        for rule in RULES:
            found = project(network, start, near, 3000, rule)
            share, turned = (found.distances < near).float().mean(), joint_degrees(start, found.poses).mean()
            print(f"{name:22s} {rule:10s} {found.asked:11d} {len(found.history):10d} {share:13.3f} {turned:17.2f}")
    worst, uneven = [], []
    for one, other in zip(real[:PAIRS], real[PAIRS : 2 * PAIRS], strict=False):
        path = interpolate(network, torch.stack((one, other)), STEPS)
        ways = turns_between(path.poses[:-1], path.poses[1:])
        worst.append(float(path.distances.max() / path.distances[[0, -1]].max()))
        uneven.append(float(ways.max() / ways.mean()))
    print(f"{len(worst)} paths: furthest over the further end {max(worst):.2f}, fastest over mean {max(uneven):.3f}")


if __name__ == "__main__":
    run_command(main)
