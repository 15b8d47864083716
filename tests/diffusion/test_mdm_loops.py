"""The published loops of models of 3D motion, on their recorded draws: schedules, samplers, in-painting, windows."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from diffusion.autoregressive import generate
from diffusion.guidance import guided
from diffusion.noise import recorded
from diffusion.process import Process, build_process
from diffusion.projectors import keyframes
from diffusion.samplers import stepper
from diffusion.sampling import sample
from model.denoisers.build import build_denoiser
from model.denoisers.conditions import Condition, hidden
from model.denoisers.published import from_published
from model.options import TEXT_WIDTHS, ModelOptions
from tests.published import tensors

FIELDS = ("arch", "text_encoder_type", "emb_trans_dec", "layers", "latent_dim", "num_heads", "ff_size", "mask_frames")
CLOSE = {"atol": 2e-5, "rtol": 0}
TABLES = {
    "alphas_cumprod": lambda p: p.abar,
    "posterior_variance": lambda p: p.posterior_variance,
    "posterior_log_variance_clipped": lambda p: p.posterior_log_variance,
    "posterior_mean_coef1": lambda p: p.posterior_x0,
    "posterior_mean_coef2": lambda p: p.posterior_xt,
}


def ours(motion: Tensor) -> Tensor:
    """Published [..., F, 1, T] as ours, [..., T, F]."""
    return motion.squeeze(-2).movedim(-1, -2)


class Recorded:
    """A recorded file: its network, its arrays, and its denoiser at a process."""

    def __init__(self, path: Path):
        self.arrays = tensors(path)
        config = json.loads(str(self.arrays["config"]))
        options = ModelOptions(**{name: config[name] for name in FIELDS})
        width = TEXT_WIDTHS[options.text_encoder_type]
        self.network = build_denoiser(options, config["njoints"], text_width=width, encoder_hides=False).eval()
        weights = {name[2:]: value for name, value in self.arrays.items() if name.startswith("w/")}
        self.network.load_state_dict(from_published(weights))
        self.told = {"text": self.arrays["text_embed"].transpose(0, 1)}

    def denoiser(self, process: Process, told: dict[str, Tensor], scale: float = 2.5):
        """(x, t) -> x_0, guided by `scale`."""

        @torch.no_grad()
        def denoise(x: Tensor, t: int) -> Tensor:
            def predict(shown: Tensor, condition: Condition) -> Tensor:
                return self.network(shown, torch.full((len(shown),), int(process.timestep_map[t])), condition)

            return guided(predict, x, told, hidden(told), scale)

        return denoise

    def draws(self, case: str) -> list[Tensor]:
        return list(ours(self.arrays[f"{case}/draws"]))


@pytest.fixture(scope="module")
def schedules(golden):
    with np.load(golden / "mdm" / "schedules.npz") as packed:
        return dict(packed)


@pytest.mark.parametrize(
    ("schedule", "steps"), [("cosine", 1000), ("cosine", 50), ("cosine", 10), ("linear", 1000), ("linear", 50)]
)
def test_tables(schedules, schedule, steps):
    process, stored = build_process(schedule, steps), f"f64_{schedule}{steps}_"
    np.testing.assert_allclose(process.betas, schedules[stored + "betas"], rtol=1e-12)
    rows = schedules["rows1000"] if steps == 1000 else slice(None)
    for table, value in TABLES.items():
        np.testing.assert_allclose(value(process)[rows], schedules[stored + table], rtol=1e-9, err_msg=table)


def test_respaced_maps_and_betas(schedules):
    rows = [name.removeprefix("map_").split("_") for name in schedules if name.startswith("map_")]
    assert len(rows) == 6
    for steps, kept in rows:
        process = build_process("cosine", int(steps), kept.replace("-", ","))
        assert process.timestep_map.tolist() == schedules[f"map_{steps}_{kept}"].tolist()
        np.testing.assert_allclose(process.betas, schedules[f"f64_betas_{steps}_{kept}"], rtol=1e-9)


@pytest.fixture(scope="module")
def plain(golden):
    return Recorded(golden / "mdm" / "loops_ddpm_ddim.npz")


CASES = {
    "ddpm10": {"steps": 10},
    "respaced1000to6": {"steps": 1000, "kept": [6]},
    "ddim_eta0_1000to5": {"steps": 1000, "kept": "ddim5", "name": "ddim"},
    "ddim_eta0.7_50to5": {"steps": 50, "kept": [5], "name": "ddim", "eta": 0.7},
    "const_noise6": {"steps": 6},
    "skip4of10_init": {"steps": 10, "skip": 4},
    "skip4of10_noinit": {"steps": 10, "skip": 4},
    "plain_nocfg6": {"steps": 6, "scale": 1.0},
    "sigma_large6": {"steps": 6, "sigma_small": False},
}


def run(record: Recorded, case: str, steps: int, kept=None, name="ddpm", skip=0, scale=2.5, **options):
    """A recorded run: what it gives, and x after each step."""
    process = build_process("cosine", steps, kept)
    first, *rest = record.draws(case)
    if case.startswith("const_noise"):
        rest = [draw[:1].expand_as(draw) for draw in rest]
    if skip:
        start = ours(record.arrays["init_image"]) if case.endswith("_init") else torch.zeros_like(first)
        first = process.q_sample(start, torch.full((2,), process.steps - 1 - skip), first)
    step = stepper(name, process, recorded(rest), **options)
    passed = []

    def noted(x0: Tensor, x: Tensor, t: int) -> Tensor:
        passed.append(step(x0, x, t))
        return passed[-1]

    out = sample(record.denoiser(process, record.told, scale), noted, first, process.steps - skip, 0)
    return out, [*passed, out]


@pytest.mark.parametrize("case", CASES)
def test_loop(plain, case):
    out, _ = run(plain, case, **CASES[case])
    torch.testing.assert_close(out, ours(plain.arrays[f"{case}/sample"]), **CLOSE)


def test_what_passes_on_the_way(plain):
    _, passed = run(plain, "dump10", 10)
    torch.testing.assert_close(
        torch.stack([passed[i] for i in (0, 3, 9)]), ours(plain.arrays["dump10/sample"]), **CLOSE
    )


def test_pieces_of_a_step(plain):
    arrays = {name[5:]: value for name, value in plain.arrays.items() if name.startswith("step/")}
    t, x, process = arrays["t"], ours(arrays["x"]), build_process("cosine", 10)
    with torch.no_grad():
        x0 = guided(lambda x, told: plain.network(x, t.repeat(2), told), x, plain.told, hidden(plain.told), 2.5)
    found = {
        "pred_xstart": x0,
        "mean": process.posterior_mean(x0, x, t),
        "mean_clipped": process.posterior_mean(x0.clamp(-1, 1), x, t),
        "q_sample": process.q_sample(x, t, ours(arrays["noise"])),
    }
    for name, value in found.items():
        torch.testing.assert_close(value, ours(arrays[name]), **CLOSE)
    for name, table in {"variance": process.posterior_variance, "log_variance": process.posterior_log_variance}.items():
        np.testing.assert_allclose(table[t], arrays[name][:, 0, 0, 0], rtol=1e-6)


@pytest.fixture(scope="module")
def inpainting(golden):
    return Recorded(golden / "mdm" / "loops_inpainting.npz")


@pytest.mark.parametrize(("case", "mask"), [("in_between", "mask_in_between"), ("feature_mask", "mask_features")])
@pytest.mark.parametrize("scale", [0.0, 2.5])
def test_inpainting(inpainting, case, mask, scale):
    case, process = f"{case}_scale{scale}", build_process("cosine", 8)
    known, mask = ours(inpainting.arrays["inpainted_motion"]), ours(inpainting.arrays[mask])
    first, *rest = inpainting.draws(case)
    out = sample(
        inpainting.denoiser(process, inpainting.told, scale), stepper("ddpm", process, recorded(rest)), first, 8, 0,
        keyframes(known, mask),
    )  # fmt: skip
    torch.testing.assert_close(out, ours(inpainting.arrays[f"{case}/sample"]), **CLOSE)
    assert torch.equal(out[mask], known[mask]) and not torch.equal(out[~mask], known[~mask])


@pytest.fixture(scope="module")
def windows(golden):
    return Recorded(golden / "mdm" / "loops_autoregressive.npz")


def told_of(text: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Published text [L, B, E] and mask of padding [B, L] as a condition."""
    return {"text": text.transpose(0, 1), "text_visible": ~mask}


def window_maker(record: Recorded, case: str, conditions: list[dict[str, Tensor]]):
    """One window of a recorded run after the other: 5 steps of 4 frames each, after 3."""
    process, draws = build_process("cosine", 5), record.draws(case)

    def make(prefix: Tensor, index: int) -> Tensor:
        assert prefix.shape[1] == 3
        told = conditions[index] | {"prefix": prefix, "lengths": torch.full((2,), 4)}
        first, *rest = draws[6 * index : 6 * index + 6]
        return sample(record.denoiser(process, told), stepper("ddpm", process, recorded(rest)), first, 5, 0)

    return make


@pytest.mark.parametrize("include", [False, True])
def test_windows_of_one_prompt(windows, include):
    case, prefix = f"static_prefix{include}", ours(windows.arrays["prefix"])
    told = told_of(windows.arrays["text_embed"], windows.arrays["text_mask"])
    out = generate(window_maker(windows, case, [told] * 3), prefix, 3, 10, include)
    torch.testing.assert_close(out, ours(windows.arrays[f"{case}/sample"]), **CLOSE)
    assert not include or torch.equal(out[:, :3], prefix)


def test_windows_of_a_prompt_each(windows):
    text, mask = windows.arrays["dynamic/text_embed"], windows.arrays["dynamic/text_mask"]
    conditions = [told_of(text[:, [i, i]], mask[[i, i]]) for i in range(3)]
    out = generate(window_maker(windows, "dynamic", conditions), ours(windows.arrays["prefix"]), 3, 12)
    torch.testing.assert_close(out, ours(windows.arrays["dynamic/sample"]), **CLOSE)
