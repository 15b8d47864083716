"""What a whole `sample.mas` costs, put together from its parts: denoiser, 3D fit and videos, both ways.

Run by hand: `python -m tests.benchmarks.components [-h]`. One step of the denoiser, one 3D fit and one drawn frame are
measured in this process on one thread, each as in the benchmark of its own name, and multiplied: 99 steps (24 with
--sampling_steps 25: the last one is not taken), 10 videos of 360 drawn frames. Nothing else of the command costs a
second. The cost is CPU time; the wall is shown beside it.
"""

import statistics
from dataclasses import dataclass

import cv2
import imageio_ffmpeg
import matplotlib
import torch

from model.options import ModelOptions
from tests.benchmarks import denoiser, fit, video
from utils.run.errors import run_command
from utils.run.options import option, parse

STEPS, FEWER_STEPS = 99, 24
DRAWN_FRAMES = 360  # of a video of 180 frames, which is shown twice
Cost = tuple[float, float]  # CPU and wall seconds
TARGETS = {"ours, fp32": 0.65, "ours, bf16, ddim 25": 0.12}


@dataclass(frozen=True)
class WholeOptions:
    """Size of the measurement; the default is that of `sample.mas` itself. What is measured small is scaled up."""

    runs: int = option(3, "measurements of each part")
    samples: int = option(10, "motions")
    views: int = option(7, "cameras")
    frames: int = option(180, "frames a motion")
    video_frames: int = option(180, "frames of the video that is drawn (twice) to time a drawn frame")


def middle(costs: list[Cost]) -> Cost:
    """Medians of CPU and of wall seconds."""
    return statistics.median(cpu for cpu, _ in costs), statistics.median(wall for _, wall in costs)


@torch.no_grad()
def denoiser_costs(model: ModelOptions, size: WholeOptions) -> dict[str, Cost]:
    """One step of the network for all views, each way of tests.benchmarks.denoiser."""
    inputs = denoiser.inputs(denoiser.BenchmarkOptions(batch=size.samples * size.views, frames=size.frames))
    ways = denoiser.build_ways(model, *inputs)
    for way in ways.values():
        way()
    rounds = [{name: denoiser.seconds(way) for name, way in ways.items()} for _ in range(size.runs)]
    return {name: middle([each[name] for each in rounds]) for name in ways}


def fit_costs(size: WholeOptions) -> dict[str, Cost]:
    """One 3D fit, each way of tests.benchmarks.fit."""
    chosen = fit.FitOptions(steps=size.runs, samples=size.samples, views=size.views, frames=size.frames)
    costs = fit.fit_costs(chosen)
    return {name: middle([(cost.cpu, cost.wall) for cost in each]) for name, each in costs.items()}


def video_costs(size: WholeOptions) -> dict[str, Cost]:
    """One drawn frame of a 3D video with its encoding, each way of tests.benchmarks.video."""
    video.FRAMES = size.video_frames
    cv2.setNumThreads(1)
    matplotlib.use("Agg")
    matplotlib.rcParams["animation.ffmpeg_path"] = imageio_ffmpeg.get_ffmpeg_exe()
    motion = video.walk()
    measured = {"published": video.with_matplotlib, "ours": video.ours}
    runs = {name: video.measure(way, motion, size.runs) for name, way in measured.items()}
    return {name: (cpu / 1000, wall / 1000) for name, (cpu, wall) in runs.items()}


def whole(parts: list[tuple[int, Cost]], i: int) -> list[float]:
    """Seconds (i = 0: CPU, 1: wall) that each part takes in all, and their sum."""
    each = [times * cost[i] for times, cost in parts]
    return [*each, sum(each)]


def main(argv: list[str]) -> None:
    """Print each part and the whole, both ways, and the ratios beside what they should be."""
    purpose = "Time sample.mas by its parts against the published program."
    model, size = parse("tests.benchmarks.components", purpose, (ModelOptions, WholeOptions), argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    steps, fits, frames = denoiser_costs(model, size), fit_costs(size), video_costs(size)
    print(
        f"sample.mas by its parts: {size.samples} motions, {size.views} views, {size.frames} frames, "
        f"{model.arch} {model.denoisers.layers} x {model.latent_dim}; medians of {size.runs} runs on one thread"
    )
    print("part                               CPU s    wall s")
    for part, costs in (("denoiser step", steps), ("3D fit", fits), ("drawn frame", frames)):
        for name, (cpu, wall) in costs.items():
            print(f"{part + ' (' + name + ')':32s} {cpu:7.4f}   {wall:7.4f}")
    adam, closed = (fits[name] for name in fit.WAYS)
    rows = {
        "published": (STEPS, steps["published, fp32"], adam, frames["published"]),
        "ours, fp32": (STEPS, steps["ours, fp32"], closed, frames["ours"]),
        "ours, bf16": (STEPS, steps["ours, bf16"], closed, frames["ours"]),
        "ours, fp32, ddim 25": (FEWER_STEPS, steps["ours, fp32"], closed, frames["ours"]),
        "ours, bf16, ddim 25": (FEWER_STEPS, steps["ours, bf16"], closed, frames["ours"]),
    }
    print("whole, CPU s          denoiser   fits  videos    whole   of published (by the wall)   wanted")
    published: list[list[float]] = []
    for name, (count, step, solve, frame) in rows.items():
        parts = [(count, step), (count, solve), (size.samples * DRAWN_FRAMES, frame)]
        totals = [whole(parts, i) for i in (0, 1)]
        published = published or totals
        ratios = [ours[-1] / theirs[-1] for ours, theirs in zip(totals, published, strict=True)]
        wanted = f"{TARGETS[name]:.2f}" if name in TARGETS else "-"
        table = "{:20s}  {:8.1f}  {:5.1f}  {:6.1f}  {:7.1f}".format(name, *totals[0])
        print(f"{table}   {ratios[0]:12.3f} ({ratios[1]:.3f})   {wanted:>14s}")


if __name__ == "__main__":
    run_command(main)
