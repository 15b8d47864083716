"""Cost and error of fitting a body: the published objective and optimiser against ours, on the same clips and body.

Run by hand: `python -m tests.benchmarks.body_fit [-h]`. Clips of the packed shards, cut to so many frames. Both fit
betas of the same body and evaluate joints alone (the published program evaluates the mesh as well, 13 times as much a
call), one process, one thread, taking turns. The cost is CPU time, which a busy machine disturbs less than the clock on
the wall; medians over clips. The published program's default of 150 iterations is estimated by its calls: 5179 on 60
frames.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from body.fit import fitting as fit_body
from body.fit import smplify
from body.models import BodyModel, load_body
from tests.benchmarks.body_fit_quality import asked, test_clips
from utils.geometry.body import BodyMotion
from utils.geometry.joint_maps import Fittable
from utils.run.errors import run_command
from utils.run.options import option, parse

FULL_CALLS = 5179  # evaluations of the published default, 60 frames


@dataclass(frozen=True)
class FitOptions:
    """Size of the measurement."""

    data: str = option("../shared/data", "folder with the packed shards")
    clips: int = option(5, "clips of each shard")
    frames: int = option(24, "frames a clip in the comparison")
    iterations: int = option(20, "outer iterations of the published fit (its default is 150)")
    long_frames: int = option(60, "frames a clip of our fit alone")
    body: str = option("free", "free, smpl, a SMPL file, or golden: the synthetic body of tests/golden/mesh")


@dataclass(frozen=True)
class Cost:
    """CPU and wall seconds, the mean joint error in millimetres, and evaluations or steps."""

    cpu: float
    wall: float
    error: float
    calls: int


def golden_body(path: Path = Path("tests/golden/mesh/smpl_like_body.npz")) -> BodyModel:
    """The synthetic body of the golden numbers as a model."""
    with np.load(path) as packed:
        arrays = dict(packed)
    regressor, parents = arrays["J_regressor"], arrays["kintree_table"][0].astype(np.int64)
    directions = np.einsum("kv,vcs->kcs", regressor, arrays["shapedirs"]).astype(np.float32)
    return BodyModel(
        "synthetic",
        tuple(arrays["names"].tolist()),
        (-1, *parents[1:].tolist()),
        arrays["v_template"],
        arrays["f"].astype(np.int32),
        arrays["weights"],
        (regressor @ arrays["v_template"]).astype(np.float32),
        arrays["shapedirs"],
        directions,
        tuple(f"beta{axis}" for axis in range(directions.shape[-1])),
        arrays["posedirs"],
    )


def cost_of(way: Callable[[], BodyMotion]) -> Cost:
    """Run a fit once."""
    cpu, wall = time.process_time(), time.perf_counter()
    meta = way().meta
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    report = meta["report"]
    return Cost(cpu, wall, report["mean_error_mm"], meta.get("evaluations", report["iterations"]))


def compared(people: list[Fittable], model: BodyModel, iterations: int) -> dict[str, list[Cost]]:
    """Both ways on each clip, taking turns."""
    ways: dict[str, Callable[[Fittable], BodyMotion]] = {
        "published": lambda person: smplify.fit(person, model, iterations),
        "ours": lambda person: fit_body.fit(person, model, resize=False),
    }
    ways["ours"](people[0])
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for person in people:
        for name, way in ways.items():
            costs[name].append(cost_of(lambda way=way, person=person: way(person)))
    return costs


def main(argv: list[str]) -> None:
    """Print cost and error of both, the ratio, and our cost at the longer length."""
    (size,) = parse(
        "tests.benchmarks.body_fit", "Time the fit of a body against the published one.", (FitOptions,), argv
    )
    torch.set_num_threads(1)
    model = golden_body() if size.body == "golden" else load_body(size.body)
    motions = []
    for shard in ("bandai", "cmu"):
        clips = test_clips(Path(size.data) / f"{shard}.npz")
        found = [motion for motion in clips if len(motion.positions) >= size.frames]
        motions += found[:: max(len(found) // size.clips, 1)][: size.clips]
    costs = compared([asked(motion, size.frames) for motion in motions], model, size.iterations)
    print(
        f"{len(motions)} clips of {size.frames} frames, body {model.name}, betas, {size.iterations} outer iterations, "
        "one thread, medians"
    )
    print("way          CPU s    wall s   calls or steps   ms each   mean error, mm")
    for name, each in costs.items():
        cpu, wall, calls, error = (
            statistics.median(getattr(cost, field) for cost in each) for field in ("cpu", "wall", "calls", "error")
        )
        print(f"{name:10s} {cpu:7.3f}   {wall:7.3f}   {calls:14.0f}   {1000 * cpu / calls:7.2f}   {error:14.2f}")
    ratio = statistics.median(
        theirs.cpu / ours.cpu for theirs, ours in zip(costs["published"], costs["ours"], strict=True)
    )
    worst = max(ours.error - theirs.error for theirs, ours in zip(costs["published"], costs["ours"], strict=True))
    print(f"ours is {ratio:.0f} times as fast; its error is {worst:+.2f} mm against the published at worst")
    long = [asked(motion, size.long_frames) for motion in motions]
    for name, resize in (("betas", False), ("resized", True)):
        each = [cost_of(lambda p=person, r=resize: fit_body.fit(p, model, resize=r)) for person in long]
        cpu, wall = (statistics.median(getattr(cost, field) for cost in each) for field in ("cpu", "wall"))
        most = max(cost.cpu for cost in each)
        print(f"ours, {size.long_frames} frames, {name:8s} {cpu:.3f} s CPU (at most {most:.3f}), {wall:.3f} s wall")
    calls = [cost.cpu / cost.calls for cost in costs["published"]]
    print(
        f"published, {FULL_CALLS} calls at {1000 * statistics.median(calls):.1f} ms (for {size.frames} frames): "
        f"{FULL_CALLS * statistics.median(calls):.0f} s"
    )


if __name__ == "__main__":
    run_command(main)
