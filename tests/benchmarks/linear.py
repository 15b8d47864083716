"""What multiplies matrices: MKL and oneDNN alone, and whole networks by either, beside the way before.

Run by hand: `python -m tests.benchmarks.linear [-h]`. One process, one thread, the ways taking turns; the cost is CPU
time, ratios are medians over the runs of the same turn. Cases: products of the sizes of the networks here, with frozen
weights and with gradients; a guided call of the published network (512 x 8) against the published modules, told a
sentence; a step of `sample.mas` at its defaults and an update of the networks of `save/mocap_text` and `save/mocap2d`
(forward, backward, clip, AdamW, average), both against rotary attention as it was written out before.
"""

import contextlib
import functools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data_loaders.registry import dataset_spec
from model.denoisers import dit
from model.denoisers.build import build_denoiser
from model.denoisers.linear import linear
from model.denoisers.rotary import Table
from model.options import TEXT_WIDTHS, ModelOptions
from tests.benchmarks import text_denoiser
from train.common.optimizer import build_optimizer, update_average
from train.options import TrainingOptions
from utils.run import processor
from utils.run.device import arithmetic
from utils.run.errors import run_command
from utils.run.options import option, parse

PUBLISHED = ModelOptions(arch="trans_enc", layers=8, latent_dim=512)
PRODUCTS = [(394, 512, 1536), (1970, 512, 1024), (1970, 1024, 512), (1280, 256, 768), (1280, 1024, 256)]
DIT = ModelOptions(arch="dit", layers=6, latent_dim=256)
SHIPPED = {
    "mocap_text": replace(DIT, ff_size=896, smooth_width=64, text_encoder_type="minilm"),
    "mocap2d": replace(DIT, ff_size=1024),
}
FRAMES, BATCH, VIEWS = {"mocap_text": 88, "mocap2d": 80}, 64, 70  # the mean length of a batch, and its motions
DATA = {"mocap_text": "mocap", "mocap2d": "mocap2d"}
CPU = torch.device("cpu")
Way = Callable[[], object]


@dataclass(frozen=True)
class LinearOptions:
    """Size of the measurement."""

    runs: int = option(5, "measurements of each way")


def written_out(qkv: Tensor, heads: int, table: Table, hidden: Tensor | None) -> Tensor:
    """Rotary attention as it was before, by autograd."""

    def turned(x: Tensor) -> Tensor:
        (cos, sin), (first, second) = table, x.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)

    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    scores = (turned(q) * q.shape[-1] ** -0.5).to(v.dtype) @ turned(k).to(v.dtype).transpose(-1, -2)
    scores = scores if hidden is None else scores + hidden
    return (scores.float().softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2)


@contextlib.contextmanager
def before() -> Iterator[None]:
    """The networks as they were: torch's own products, attention written out, a batch as a whole."""
    processor.choose("mkl")
    with mock.patch.object(dit, "rotary_attention", written_out), mock.patch.object(dit, "CPU_TOKENS_AT_ONCE", 10**9):
        yield


def by(choice: str, way: Way) -> Way:
    """A way with what `--linear` says."""

    def chosen() -> object:
        processor.choose(choice)
        return way()

    return chosen


def as_before(way: Way) -> Way:
    """A way as it was."""

    def earlier() -> object:
        with before():
            return way()

    return earlier


def products(rows: int, inputs: int, outputs: int, trained: bool) -> Way:
    """Ten products, with both of the backward pass if `trained`."""
    x = torch.randn(rows, inputs, requires_grad=trained)
    weight, bias = torch.randn(outputs, inputs, requires_grad=trained), torch.randn(outputs, requires_grad=trained)

    def way() -> None:
        for _ in range(10):
            y = linear(x, weight, bias)
            if trained:
                torch.autograd.grad(y, (x, weight, bias), y)

    return way


def guided_published() -> dict[str, Way]:
    """A guided call of the published network, one sample of 196 frames."""
    ways = text_denoiser.build_ways(PUBLISHED, 1, 196, 1, 1)
    ours = ways["ours, fp32"]
    return {"published": by("mkl", ways["published, fp32"]), "mkl": by("mkl", ours), "onednn": by("onednn", ours)}


def network(name: str) -> nn.Module:
    """A network of the shipped size, whose output layers are no zeros."""
    spec, width = dataset_spec(DATA[name]), TEXT_WIDTHS["minilm"] if name == "mocap_text" else 0
    actions = 0 if width else spec.num_actions("action")
    built = build_denoiser(SHIPPED[name], spec.features, actions, width, encoder_hides=spec.family.encoder_hides)
    for value in built.parameters():
        if not value.any():
            nn.init.normal_(value, std=0.02)
    return built


def inputs(name: str, batch: int, frames: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """x [B, T, F], step [B] and condition; a tenth of the frames is padding, as in training."""
    lengths = torch.full((batch,), frames)
    lengths[::2] -= frames // 5
    told = {"text": torch.randn(batch, 1, TEXT_WIDTHS["minilm"])} if name == "mocap_text" else {"action": lengths % 5}
    x = torch.randn(batch, frames, dataset_spec(DATA[name]).features)
    return x, torch.randint(50, (batch,)), {"lengths": lengths} | told


def mas_step() -> Way:
    """The network of `sample.mas` at its defaults: seven views of ten motions of six seconds."""
    built = network("mocap2d").eval()
    x, step, condition = inputs("mocap2d", VIEWS, 120)
    return torch.no_grad()(lambda: built(x, step, condition | {"lengths": torch.full((VIEWS,), 120)}))


def update(name: str, precision: str) -> Way:
    """An update of a shipped network, but for its batch and the terms of its loss."""
    built, options = network(name).train(), TrainingOptions(lr=1e-4, adam_beta2=0.99)
    optimizer, average = build_optimizer(built, options), {k: v.clone() for k, v in built.state_dict().items()}
    x, step, condition = inputs(name, BATCH, FRAMES[name])

    def way() -> None:
        built.zero_grad(set_to_none=True)
        with arithmetic(CPU, precision):
            loss = F.mse_loss(built(x, step, condition), x)
        loss.backward()
        nn.utils.clip_grad_norm_(built.parameters(), 1.0).item()
        optimizer.step()
        update_average(average, built, 0.999)

    return way


def costs(ways: dict[str, Way], runs: int) -> dict[str, tuple[float, float]]:
    """Seconds of each way, and its ratio to the first."""
    rows = []
    for _ in range(runs + 1):
        row = {}
        for name, way in ways.items():
            start = time.process_time()
            way()
            row[name] = time.process_time() - start
        rows.append(row)
    first, median = next(iter(ways)), statistics.median
    return {
        name: (median(row[name] for row in rows[1:]), median(row[name] / row[first] for row in rows[1:]))
        for name in ways
    }


def main(argv: list[str]) -> None:
    """Print GFLOP/s of the products, and seconds and ratios of the networks."""
    (size,) = parse("tests.benchmarks.linear", "Time products and networks by MKL and oneDNN.", (LinearOptions,), argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{processor.processor()[1]}: --linear auto is {processor.ways()}; one thread, medians of {size.runs} runs")
    print("GFLOP/s, rows x inputs x outputs: MKL, oneDNN")
    for trained in (False, True):
        for shape in PRODUCTS:
            work = 2e-9 * 10 * (3 if trained else 1) * functools.reduce(int.__mul__, shape)
            way = products(*shape, trained)
            found = costs({choice: by(choice, way) for choice in ("mkl", "onednn")}, size.runs)
            rates = ", ".join(f"{work / seconds:.0f}" for seconds, _ in found.values())
            print(f"  {' x '.join(map(str, shape)):18s} {'forward and backward' if trained else 'frozen':21s} {rates}")
    step, cases = mas_step(), {"guided call of 512 x 8": guided_published}
    cases |= {"step of sample.mas": lambda: {"before": as_before(step), **{c: by(c, step) for c in ("mkl", "onednn")}}}
    for name in SHIPPED:
        for precision in ("fp32", "bf16"):
            way = update(name, precision)
            ways = {"before": as_before(way)} | {choice: by(choice, way) for choice in ("mkl", "onednn")}
            cases[f"update of {name}, {precision}"] = functools.partial(dict, ways)
    for case, made in cases.items():
        with torch.set_grad_enabled(case.startswith("update")):
            found = costs(made(), size.runs)
        print(f"{case:28s}", ", ".join(f"{name} {1e3 * s:.0f} ms ({ratio:.2f})" for name, (s, ratio) in found.items()))


if __name__ == "__main__":
    run_command(main)
