"""Cost of a guided step of the networks that are told a text, ours in fp32 and bf16 against the published way.

Run by hand: `python -m tests.benchmarks.text_denoiser [-h]`. The published way asks a network of torch's modules, with
the same weights, twice a step: with the text and without; ours asks once, in a batch of twice the size. Cases:
trans_enc told a sentence, trans_dec told words, and all steps of one window of DiP (20 frames shown, 40 made). One
process, one thread, the ways taking turns; the cost is CPU time, medians over the runs, wall beside it.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffusion.guidance import guided
from model.denoisers.build import build_denoiser, file_layout
from model.denoisers.conditions import hidden
from model.options import TEXT_WIDTHS, ModelOptions
from tests.benchmarks.denoiser import PublishedDenoiser, Way, seconds
from utils.run.errors import run_command
from utils.run.options import option, parse

FEATURES, GUIDANCE = 263, 2.5
CONTEXT, WINDOW, DIP_STEPS = 20, 40, 10
Predict = Callable[[Tensor, Tensor, dict[str, Tensor]], Tensor]


@dataclass(frozen=True)
class TextOptions:
    """Size of the measurement."""

    runs: int = option(3, "measurements of each way")
    batch: int = option(10, "samples (DiP: one)")
    frames: int = option(120, "frames a sample")
    words: int = option(12, "words of a text")


def published_way(predict: Predict, x: Tensor, step: Tensor, condition: dict[str, Tensor]) -> Tensor:
    """Two passes, as the published wrapper makes them; x [B, T, F]."""
    moved = {"lengths": condition["lengths"], "text": condition["text"].transpose(0, 1)}
    if condition["text"].shape[1] > 1:
        moved["hidden_words"] = ~condition["text_visible"]
    if "prefix" in condition:
        moved["prefix"] = condition["prefix"].transpose(1, 2)[:, :, None]
    x = x.transpose(1, 2)[:, :, None]
    without = predict(x, step, moved | {"text": torch.zeros_like(moved["text"])})
    return (without + GUIDANCE * (predict(x, step, moved) - without))[:, :, 0].transpose(1, 2)


def our_way(predict: Predict, x: Tensor, step: Tensor, condition: dict[str, Tensor]) -> Tensor:
    """One pass over a doubled batch."""

    def ask(shown: Tensor, told: dict[str, Tensor]) -> Tensor:
        return predict(shown, step[:1].expand(len(shown)), told)

    return guided(ask, x, condition, hidden(condition), GUIDANCE)


def build_ways(options: ModelOptions, batch: int, frames: int, words: int, steps: int) -> dict[str, Way]:
    """The calls to time, each taking `steps` steps at the same x and answering [B, T, F]."""
    width = TEXT_WIDTHS[options.text_encoder_type]
    ours = build_denoiser(options, FEATURES, text_width=width, encoder_hides=False).eval()
    theirs = PublishedDenoiser(options, FEATURES, width).eval()
    theirs.load_state_dict(file_layout(options)[0](ours.state_dict()))
    x, step = torch.randn(batch, frames, FEATURES), torch.full((batch,), 5)
    told = {"lengths": torch.full((batch,), frames), "text": torch.randn(batch, words, width)}
    told["text_visible"] = torch.arange(words) < words - torch.arange(batch)[:, None] % words
    if options.context_len:
        told["prefix"] = torch.randn(batch, options.context_len, FEATURES)

    def all_steps(way: Callable[..., Tensor], predict: Predict) -> Tensor:
        return [way(predict, x, step, told) for _ in range(steps)][-1]

    def bf16() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return all_steps(our_way, ours)

    return {
        "published, fp32": lambda: all_steps(published_way, theirs),
        "ours, fp32": lambda: all_steps(our_way, ours),
        "ours, bf16": bf16,
    }


@torch.no_grad()
def main(argv: list[str]) -> None:
    """Print the seconds of each way in each case, its speed against the published one, and how far it is from it."""
    purpose = "Time guided steps of the networks told a text against the published ones."
    base, size = parse("tests.benchmarks.text_denoiser", purpose, (ModelOptions, TextOptions), argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    words = replace(base, arch="trans_dec", text_encoder_type="bert")
    dip = replace(words, context_len=CONTEXT, pred_len=WINDOW)
    cases = {
        "trans_enc, sentence": (replace(base, arch="trans_enc"), size.batch, size.frames, 1, 1),
        "trans_dec, words": (words, size.batch, size.frames, size.words, 1),
        f"DiP, {DIP_STEPS} steps": (dip, 1, WINDOW, size.words, DIP_STEPS),
    }
    print(f"guided steps, {size.batch} samples of {size.frames} frames (DiP: 1 of {CONTEXT} + {WINDOW}), one thread")
    print("case                   way                CPU s   wall s   speed   largest difference")
    for case, given in cases.items():
        ways = build_ways(*given)
        answers = {name: way() for name, way in ways.items()}
        rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(size.runs)]
        cost = {name: [statistics.median(each[name][i] for each in rounds) for i in (0, 1)] for name in ways}
        for name, (cpu, wall) in cost.items():
            speed = cost["published, fp32"][0] / cpu
            difference = (answers[name] - answers["published, fp32"]).abs().max()
            print(f"{case:21s}  {name:16s} {cpu:7.3f}  {wall:7.3f}  {speed:6.2f}   {difference:18.1e}")


if __name__ == "__main__":
    run_command(main)
