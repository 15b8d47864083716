"""Cost of one forward pass of the trans_enc denoiser, ours in fp32 and bf16 against the published one.

Run by hand: `python -m tests.benchmarks.denoiser [-h]`. The published network is built of torch's modules and holds
the same weights. One process, one thread, the ways taking turns; the cost is CPU time, which a busy machine disturbs
less than the clock on the wall; medians over the runs.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.denoisers import sequence
from model.denoisers.build import build_denoiser, file_layout
from model.options import ModelOptions
from utils.run.errors import run_command
from utils.run.options import option, parse

FEATURES = 32
Way = Callable[[], Tensor]


@dataclass(frozen=True)
class BenchmarkOptions:
    """Size of the measurement; the default is a step of `sample.mas` with 7 views of 10 samples of 6 s."""

    runs: int = option(3, "measurements of each way")
    batch: int = option(70, "samples")
    frames: int = option(180, "frames a sample")
    short: bool = option(False, "every third sample is a third shorter, so that there is padding to hide")
    tokens_at_once: int = option(sequence.CPU_TOKENS_AT_ONCE, "tokens that ours takes through all layers together")


class PublishedDenoiser(nn.Module):
    """A published transformer: torch's own, sequence first, under the published names."""

    def __init__(self, options: ModelOptions, features: int, text_width: int = 0):
        super().__init__()
        width, size = options.latent_dim, (options.num_heads, options.ff_size, options.dropout, options.activation)
        self.mask_frames = options.mask_frames
        self.input_process = nn.ModuleDict({"poseEmbedding": nn.Linear(features, width)})
        if options.arch == "trans_enc":
            layer = nn.TransformerEncoderLayer(width, *size)
            self.seqTransEncoder = nn.TransformerEncoder(layer, options.layers, enable_nested_tensor=False)
        else:
            self.seqTransDecoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(width, *size), options.layers)
        self.embed_timestep = nn.Module()
        self.embed_timestep.time_embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        if text_width:
            self.embed_text = nn.Linear(text_width, width)
        self.output_process = nn.ModuleDict({"poseFinal": nn.Linear(width, features)})
        for module in (self, self.embed_timestep):
            module.sequence_pos_encoder = nn.Module()
            module.sequence_pos_encoder.register_buffer("pe", torch.zeros(options.pos_embed_max_len, 1, width))

    def forward(self, x: Tensor, step: Tensor, condition: dict[str, Tensor]) -> Tensor:
        """x [B, J, C, T], text [L, B, E], hidden_words [B, L], prefix [B, J, C, K] -> [B, J, C, T]."""
        asked, lengths = x.shape, condition["lengths"]
        if "prefix" in condition:
            x, lengths = torch.cat((condition["prefix"], x), dim=-1), lengths + condition["prefix"].shape[-1]
        batch, joints, channels, frames = x.shape
        table = self.sequence_pos_encoder.pe
        token = self.embed_timestep.time_embed(table[step]).permute(1, 0, 2)
        if "text" in condition:
            token = self.embed_text(condition["text"]) + token
        x = self.input_process["poseEmbedding"](x.permute(3, 0, 1, 2).reshape(frames, batch, joints * channels))
        lead = int(hasattr(self, "seqTransEncoder"))
        hidden = torch.arange(frames + lead) >= lengths[:, None] + lead if self.mask_frames else None
        if lead:
            x = torch.cat((token, x), dim=0)
            x = self.seqTransEncoder(x + table[: len(x)], src_key_padding_mask=hidden)[1:]
        else:
            masks = {"tgt_key_padding_mask": hidden, "memory_key_padding_mask": condition.get("hidden_words")}
            x = self.seqTransDecoder(x + table[: len(x)], token, **masks)
        x = self.output_process["poseFinal"](x[frames - asked[-1] :])
        return x.reshape(asked[-1], *asked[:-1]).permute(1, 2, 3, 0)


def inputs(size: BenchmarkOptions) -> tuple[Tensor, Tensor, Tensor]:
    """x [B, T, F], step [B], lengths [B]."""
    lengths = torch.full((size.batch,), size.frames)
    if size.short:
        lengths[::3] -= size.frames // 3
    return torch.randn(size.batch, size.frames, FEATURES), torch.randint(0, 100, (size.batch,)), lengths


def build_ways(options: ModelOptions, x: Tensor, step: Tensor, lengths: Tensor) -> dict[str, Way]:
    """The calls to time; each answers [B, T, F]."""
    ours, published = build_denoiser(options, FEATURES).eval(), PublishedDenoiser(options, FEATURES).eval()
    published.load_state_dict(file_layout(options)[0](ours.state_dict()))
    condition = {"lengths": lengths}
    x_published = x.unflatten(2, (-1, 2)).permute(0, 2, 3, 1).contiguous()

    def bf16() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return ours(x, step, condition)

    return {
        "published, fp32": lambda: published(x_published, step, condition).permute(0, 3, 1, 2).flatten(2),
        "ours, fp32": lambda: ours(x, step, condition),
        "ours, bf16": bf16,
    }


def seconds(way: Way) -> tuple[float, float]:
    """CPU and wall seconds of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    way()
    return time.process_time() - cpu, time.perf_counter() - wall


@torch.no_grad()
def main(argv: list[str]) -> None:
    """Print the seconds of each way, its speed against the published one, and how far its answer is from it."""
    purpose = "Time the trans_enc denoiser against the published one."
    options, size = parse("tests.benchmarks.denoiser", purpose, (ModelOptions, BenchmarkOptions), argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sequence.CPU_TOKENS_AT_ONCE = size.tokens_at_once
    x, step, lengths = inputs(size)
    ways = build_ways(options, x, step, lengths)
    valid = torch.arange(size.frames) < lengths[:, None]
    answers = {name: way()[valid] for name, way in ways.items()}
    rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(size.runs)]
    cost = {name: [statistics.median(each[name][i] for each in rounds) for i in (0, 1)] for name in ways}
    exact = answers["published, fp32"]
    print(f"{size.batch} samples of {size.frames} frames, medians of {size.runs} runs on one thread")
    print(f"differences are from the published answer, whose rms is {exact.std():.3f}")
    print("way                CPU s   wall s   speed   largest difference    rms")
    for name, (cpu, wall) in cost.items():
        speed, difference = cost["published, fp32"][0] / cpu, answers[name] - exact
        print(
            f"{name:16s} {cpu:7.3f}  {wall:7.3f}  {speed:6.2f}   {difference.abs().max():18.1e}  {difference.std():.1e}"
        )
    print(f"bf16 is {cost['ours, fp32'][0] / cost['ours, bf16'][0]:.2f} times as fast as fp32")


if __name__ == "__main__":
    run_command(main)
