"""How well a body is fitted to keypoints of one picture: known poses, many views, a detector's noise.

Run by hand: `python -m tests.benchmarks.fit_image --prior save/pose_ndf`. Poses of test clips, on bodies of drawn
shapes, are seen by a camera from all around; their BODY_25 keypoints get Gaussian noise and are fitted with the prior
and without it. Mean distance of the 22 joints in millimetres after Procrustes (with scale).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from body.models import load_body
from model.poses.reading import load_pose_ndf
from sample.posing.image_fit import Camera, Guess, Seen, fit_keypoints, posed_points
from sample.posing.landmarks import Figure, figure_of
from tests.sample.test_fit_image import aligned_error
from utils.formats import shards
from utils.formats.keypoints.openpose import BODY25
from utils.geometry.joint_maps import known_joints
from utils.geometry.rotations import about_axis
from utils.run.errors import run_command
from utils.run.options import option, parse

_ADULT = 1.75  # metres


@dataclass(frozen=True)
class FitImageOptions:
    """Which poses and which pictures."""

    prior: str = option("save/pose_ndf", "checkpoint of a pose prior")
    data: str = option("../shared/data", "folder with the packed shards")
    shards: str = option("bandai,cmu,cmu2,cmu_actions", "shards, separated by commas")
    poses: int = option(3, "poses of each")
    views: int = option(10, "cameras around each")
    noise: float = option(5.0, "deviation of the noise, pixels")
    size: int = option(640, "sides of the picture, pixels")
    height: int = option(450, "height of an adult in it, pixels")
    zoom: float = option(1.0, "focal length of the camera over the one that the fit assumes")
    body: str = option("free", "free, smpl, or a SMPL file")


def drawn(options: FitImageOptions) -> list[Tensor]:
    """Local rotations [24, 3, 3] of frames of test clips, facing the viewer."""
    draws, found = np.random.RandomState(0), []
    for name in options.shards.split(","):
        clips = [clip for clip in shards.read(Path(options.data) / f"{name}.npz") if clip.meta["split"] == "test"]
        for number in draws.choice(len(clips), options.poses):
            turned = np.asarray(clips[number].rotations)
            local = torch.eye(3).double().repeat(24, 1, 1)
            local[:22] = torch.from_numpy(turned[draws.randint(len(turned))]).double()
            ahead = local[0, :, 2]
            local[0] = about_axis("Y", -torch.atan2(ahead[0], ahead[2])) @ local[0]
            found.append(local)
    return found


def seen_by(figure: Figure, pose: Tensor, view: int, options: FitImageOptions) -> tuple[Seen, Tensor]:
    """The keypoints of a pose in a view, slightly from above, and its joints [22, 3] in the camera's axes."""
    draws = torch.Generator().manual_seed(view)
    focal, local = options.zoom * math.hypot(options.size, options.size), pose[None].clone()
    shape = 0.3 * torch.randn(1, figure.directions.shape[-1], generator=draws, dtype=torch.float64)
    above, around = 0.25 * torch.rand((), generator=draws), torch.tensor(2 * math.pi * view / options.views)
    local[:, 0] = about_axis("X", above.double()) @ about_axis("Y", around.double()) @ local[:, 0]
    points = posed_points(figure, Guess(local, torch.zeros(1, 3).double(), shape))[0]
    away = torch.tensor([0, 0, -focal * _ADULT / options.height]).double()
    points = points + away - torch.tensor([1, 1, 0]).double() * (points.amax(0) + points.amin(0)) / 2
    shown = [figure.places[name] for name in known_joints(BODY25)]
    x, y, z = points[shown].unbind(-1)
    pixels = (options.size - 1) / 2 + focal * torch.stack([x / -z, y / z], -1)
    pixels = pixels + options.noise * torch.randn(pixels.shape, generator=draws, dtype=torch.float64)
    return Seen(pixels, torch.ones(len(shown)).double(), shown), points[:22]


def errors(figure: Figure, pose: Tensor, options: FitImageOptions, network: nn.Module | None) -> list[float]:
    """Millimetres of each view."""
    camera = Camera(math.hypot(options.size, options.size), ((options.size - 1) / 2, (options.size - 1) / 2))
    found = []
    for view in range(options.views):
        seen, wanted = seen_by(figure, pose, view, options)
        joints = posed_points(figure, fit_keypoints(figure, seen, camera, network).guess)[0, :22]
        found.append(aligned_error(joints, wanted))
    return found


def main(argv: list[str]) -> None:
    """Print the mean of each pose, with the prior and without it, and those of all."""
    (chosen,) = parse("tests.benchmarks.fit_image", "Fit known poses.", (FitImageOptions,), argv)
    torch.set_num_threads(1)
    figure, network, every = figure_of(load_body(chosen.body)), load_pose_ndf(chosen.prior), []
    for number, pose in enumerate(drawn(chosen)):
        every.append([errors(figure, pose, chosen, prior) for prior in (network, None)])
        each, all_of = np.mean(every[-1], 1), np.array(every)
        print(
            f"pose {number}: with the prior {each[0]:.1f}, without {each[1]:.1f} mm; until here "
            f"{all_of[:, 0].mean():.1f} (median {np.median(all_of[:, 0]):.1f}), {all_of[:, 1].mean():.1f} "
            f"(median {np.median(all_of[:, 1]):.1f})",
            flush=True,
        )


if __name__ == "__main__":
    run_command(main)
