"""From a sentence to videos, but for the network (`text_denoiser`): drawing, a cold start, and streaming.

Run by hand: `python -m tests.benchmarks.text [runs]`. One process, one thread, medians over the runs:
- ten videos of 120 frames, drawn and on disk (`grid`: with the grids of `sample.generate`), beside the published plots
  of MDM in matplotlib, of which ten frames are drawn and the rest is reckoned, without the encoding of theirs;
- a fresh process from nothing to its first step of denoising: sentence encoder and network, all files read before;
- a window of DiP, two seconds of motion in ten guided steps, made as `sample.stream` makes it.
The last two load networks of the shipped sizes. Their weights are random, which takes no other time.
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from data_loaders.points.toy import body_motion
from data_loaders.registry import dataset_spec
from diffusion.options import DiffusionOptions
from model.denoisers.build import build_denoiser
from model.options import TEXT_WIDTHS, ModelOptions
from tests.benchmarks.startup import seconds
from tests.benchmarks.video import cpu_seconds
from utils.formats.video import write_video
from utils.run import checkpoint
from utils.run.errors import run_command
from utils.run.files import write_json
from visualize.sticks.figures import draw_world

SPEC = dataset_spec("mocap")
MOTIONS, FRAMES, PLOTTED = 10, 120, 10
PROMPT, GUIDANCE, WINDOWS = "a person walks in a circle", "7.5", 5
SIZE = ModelOptions(arch="dit", layers=6, latent_dim=256, ff_size=896, text_encoder_type="minilm")
DIP = dataclasses.replace(SIZE, context_len=20, pred_len=40)
FIRST_STEP = """
import sys
from sample.options import SamplingLine, parse_sampling_line
line = parse_sampling_line(SamplingLine, "tests.benchmarks.text", "", sys.argv[1:])
from diffusion.noise import per_sample
from sample.common.request import make_request
from sample.common.session import open_session
session = open_session(line)
request = make_request(session)
noise = per_sample(0, request.lengths.tolist(), session.frame_shape)
session.denoiser(request)(noise(), session.process.steps - 1)
"""


def people() -> list[np.ndarray]:
    """Made-up people [120, 22, 3], at half their pace, for they stop sooner."""
    motions = (body_motion(2 * SPEC.fps, 0, index)[0] for index in range(1000))
    return list(islice((motion[:FRAMES] for motion in motions if len(motion) >= FRAMES), MOTIONS))


def drawn(motions: list[np.ndarray]) -> None:
    """Videos of the motions, ours."""
    with tempfile.TemporaryDirectory() as folder:
        for number, motion in enumerate(motions):
            write_video(Path(folder) / f"{number}.mp4", draw_world(motion, SPEC.skeleton, PROMPT), SPEC.fps)


def plotted(motion: np.ndarray) -> None:
    """The first frames of a motion as the published program plots them: 3D axes of 3 x 3 inches, drawn anew each time.

    A ground of the trajectory's size, a title, and five chains of thick lines, seen from above the front.
    """
    import matplotlib.pyplot as plt
    from mpl_toolkits.mplot3d import Axes3D
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    figure = plt.figure(figsize=(3, 3))
    axes = Axes3D(figure)
    figure.add_axes(axes)
    motion = 1.3 * motion
    low, high, path = motion.min((0, 1)), motion.max((0, 1)), motion[:, 0, [0, 2]]
    for frame in range(PLOTTED):
        axes.clear()
        axes.set(xlim3d=(-1, 1), ylim3d=(0, 2), zlim3d=(-0.33, 1.67), xticklabels=[], yticklabels=[], zticklabels=[])
        axes.view_init(elev=120, azim=-90)
        axes.set_axis_off()
        figure.suptitle(PROMPT, fontsize=10)
        (left, right), (near, far) = ((low[i] - path[frame, j], high[i] - path[frame, j]) for i, j in ((0, 0), (2, 1)))
        ground = [(left, 0, near), (left, 0, far), (right, 0, far), (right, 0, near)]
        axes.add_collection3d(Poly3DCollection([ground], facecolor=(0.5, 0.5, 0.5, 0.5)))
        joints = motion[frame] - (path[frame, 0], 0, path[frame, 1])
        for chain, colour in zip(
            SPEC.skeleton.chains, ("#DD5A37", "#D69E00", "#B75A39", "#FF6D00", "#DDB50E"), strict=True
        ):
            axes.plot3D(*joints[list(chain)].T, color=colour, linewidth=4.0)
        figure.canvas.draw()
    plt.close(figure)


def cost(way: Callable[[], object], runs: int) -> tuple[float, float]:
    """Median CPU and wall seconds of a call, encoders among them."""
    costs = []
    for _ in range(runs):
        cpu, wall = cpu_seconds(), time.perf_counter()
        way()
        costs.append((cpu_seconds() - cpu, time.perf_counter() - wall))
    cpu, wall = np.median(costs, axis=0)
    return float(cpu), float(wall)


def write_model(folder: Path, options: ModelOptions, steps: int) -> Path:
    """A checkpoint of a network of these options, as it is built, with all that belongs to it."""
    network = build_denoiser(options, SPEC.features, text_width=TEXT_WIDTHS["minilm"], encoder_hides=False)
    diffusion = DiffusionOptions(noise_schedule="cosine", diffusion_steps=steps)
    folder.mkdir()
    write_json(folder / "args.json", vars(options) | vars(diffusion) | {"dataset": "mocap", "cond": "text"})
    np.save(folder / "Mean.npy", np.zeros(SPEC.features, np.float32))
    np.save(folder / "Std.npy", np.ones(SPEC.features, np.float32))
    return checkpoint.save(folder, 1, {"model": network.state_dict()})


def streaming(model: Path, precision: str) -> tuple[float, float]:
    """Median CPU and wall seconds of a window; the first one, which warms up, does not count."""
    from sample.common.session import open_session
    from sample.endless.windows import endless_request, origin, window_frames, windows
    from sample.options import EndlessOptions, PrefixOptions, SamplingLine, parse_sampling_line

    flags = ["--model_path", str(model), "--precision", precision, "--guidance_param", GUIDANCE, "--num_samples", "1"]
    flags += ["--num_repetitions", "1", "--threads", "1", "--device", "cpu", "--text_prompt", PROMPT]
    session = open_session(parse_sampling_line(SamplingLine, "tests.benchmarks.text", "", flags))
    request, _ = endless_request(session, PrefixOptions(prefix_motion="standing"), EndlessOptions())
    told, frames = session.text_condition([PROMPT]), window_frames(session.model_options)
    stream = windows(session, (request.inputs or {})["prefix"], lambda *_: (told, frames), origin(1))
    next(stream)
    return cost(lambda: next(stream), WINDOWS)


def main(argv: list[str]) -> None:
    """Print the seconds of each."""
    runs = int(argv[0]) if argv else 3
    import matplotlib

    matplotlib.use("Agg")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    motions = people()
    plotted(motions[0])
    ours, theirs = cost(lambda: drawn(motions), runs), cost(lambda: plotted(motions[0]), runs)
    scale = MOTIONS * FRAMES / PLOTTED
    print(f"{MOTIONS} motions of {FRAMES} frames on disk: CPU {ours[0]:.2f} s, wall {ours[1]:.2f} s")
    print(
        f"the published plots, reckoned from {PLOTTED} frames, without encoding: CPU {theirs[0] * scale:.1f} s, wall "
        f"{theirs[1] * scale:.1f} s; {theirs[0] * scale / ours[0]:.0f} times ours by CPU"
    )
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "text", SIZE, 50)
        flags = ["--model_path", str(model), "--text_prompt", PROMPT, "--num_samples", "1", "--threads", "1"]
        starts = [seconds(["-c", FIRST_STEP, *flags]) for _ in range(runs + 1)][1:]
        cpu, wall = (statistics.median(column) for column in zip(*starts, strict=True))
        print(
            f"cold start to the first step of denoising, with the sentence encoder: CPU {cpu:.1f} s, wall {wall:.1f} s"
        )
        dip = write_model(Path(folder) / "dip", DIP, 10)
        length = DIP.pred_len / SPEC.fps
        for precision in ("fp32", "bf16"):
            cpu, wall = streaming(dip, precision)
            print(f"DiP, {precision}: {length:g} s of motion in CPU {cpu:.2f} s, wall {wall:.2f} s: ", end="")
            print(f"{length / cpu:.1f} and {length / wall:.1f} times real time")


if __name__ == "__main__":
    run_command(main)
