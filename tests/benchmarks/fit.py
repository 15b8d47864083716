"""Cost of the 3D fit of one diffusion step: the published Adam against the closed form, and the loss each reaches.

Run by hand: `python -m tests.benchmarks.fit [-h]`. Both ways fit the same estimates of x_0, which change from step to
step as a denoiser's do: made-up figures seen by all views, each view with an error of its own. Both start from what
they returned the step before; the first step, from zero, is not counted. One process, one thread, the ways taking
turns; the cost is CPU time, which a busy machine disturbs less than the clock on the wall; medians over the steps.
"""

import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from data_loaders.points.projections import camera_of
from data_loaders.registry import dataset_spec
from diffusion.projectors import AdamFit
from utils.geometry.cameras import even_views, fit_points, project, reprojection_error
from utils.run.errors import run_command
from utils.run.options import option, parse

SPEC = dataset_spec("nba")
JOINTS = len(SPEC.skeleton.joints)
WAYS = ("published, Adam", "closed form")
ITERATIONS = 3  # of the closed form


@dataclass(frozen=True)
class FitOptions:
    """Size of the measurement; the default is a step of `sample.mas` with 7 views of 10 samples of 6 s."""

    steps: int = option(5, "diffusion steps that are measured")
    samples: int = option(10, "figures")
    views: int = option(7, "cameras")
    frames: int = option(180, "frames a figure")
    error: float = option(0.1, "deviation of each view's error, in data units (a figure is 2.5 tall)")
    change: float = option(0.2, "share of that error's variance that is new at each step")


@dataclass(frozen=True)
class FitCost:
    """What one fit took: CPU and wall seconds, iterations, and the loss it reached."""

    cpu: float
    wall: float
    iterations: int
    loss: float


def figures(size: FitOptions) -> Tensor:
    """Figures of about 2.5 units whose joints swing, root at the origin [B, T, J, 3]."""
    draws = torch.Generator().manual_seed(0)
    rest = 0.4 * torch.randn(size.samples, 1, JOINTS, 3, generator=draws)
    swing = 0.2 * torch.randn(size.samples, 1, JOINTS, 3, generator=draws)
    phase = torch.linspace(0, 2 * math.pi * size.frames / 30, size.frames)[None, :, None, None]
    motion = rest + swing * phase.sin()
    return motion - motion[:, :, :1]


def estimates(size: FitOptions, views: Tensor) -> Iterator[Tensor]:
    """What the views of one diffusion step after another say [V, B, T, J, 2]; their errors change little by little."""
    seen = project(figures(size), views, camera_of(SPEC))
    draws = torch.Generator().manual_seed(1)
    error = torch.randn(seen.shape, generator=draws)
    while True:
        yield seen + size.error * error
        fresh = torch.randn(seen.shape, generator=draws)
        error = math.sqrt(1 - size.change) * error + math.sqrt(size.change) * fresh


def fit_costs(size: FitOptions) -> dict[str, list[FitCost]]:
    """Every measured fit of each of WAYS."""
    camera, views = camera_of(SPEC), even_views(size.views, SPEC.elevation)
    shape = (size.samples, size.frames, JOINTS, 3)
    adam = AdamFit(shape)
    fits = dict(zip(WAYS, (adam, partial(fit_points, iterations=ITERATIONS)), strict=True))
    points = {name: torch.zeros(shape) for name in WAYS}
    costs: dict[str, list[FitCost]] = {name: [] for name in WAYS}
    for step, seen in zip(range(size.steps + 1), estimates(size, views), strict=False):
        for name, fit in fits.items():
            before = adam_iterations(adam)
            cpu, wall = time.process_time(), time.perf_counter()
            points[name] = fit(seen, views, camera, points[name])
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            count = adam_iterations(adam) - before or ITERATIONS
            loss = float(reprojection_error(points[name], seen, views, camera))
            if step:
                costs[name].append(FitCost(cpu, wall, count, loss))
    return costs


def adam_iterations(fit: AdamFit) -> int:
    """Steps that the optimiser has made so far."""
    state = fit.optimizer.state.get(fit.points)
    return int(state["step"]) if state else 0


def median(costs: list[FitCost], name: str) -> float:
    """Median of one field."""
    return statistics.median(getattr(cost, name) for cost in costs)


def main(argv: list[str]) -> None:
    """Print cost, iterations and loss of each way, and the ratios."""
    (size,) = parse("tests.benchmarks.fit", "Time the 3D fit against the published one.", (FitOptions,), argv)
    torch.set_num_threads(1)
    costs = fit_costs(size)
    print(
        f"{size.views} views x {size.samples} samples x {size.frames} frames x {JOINTS} joints, "
        f"medians of {size.steps} diffusion steps on one thread"
    )
    print("way                 CPU s    wall s  iterations  ms each   loss reached")
    for name, each in costs.items():
        cpu, wall, count, loss = (median(each, field) for field in ("cpu", "wall", "iterations", "loss"))
        print(f"{name:16s} {cpu:8.3f}  {wall:8.3f}  {count:10.0f}  {1000 * cpu / count:7.2f}   {loss:.7f}")
    adam, closed = (costs[name] for name in WAYS)
    speed, wall, loss = (median(adam, field) / median(closed, field) for field in ("cpu", "wall", "loss"))
    print(f"the closed form is {speed:.1f} times as fast ({wall:.1f} by the wall); loss of Adam / its loss {loss:.6f}")


if __name__ == "__main__":
    run_command(main)
