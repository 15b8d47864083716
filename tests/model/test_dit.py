"""The diffusion transformer: any length, padding that does not matter, conditions, positions, size, half precision."""

from dataclasses import replace

import pytest
import torch

from data_loaders.registry import dataset_spec
from model.denoisers.build import build_denoiser
from model.denoisers.dit import DiT, sinusoid
from model.denoisers.rotary import rotary_table, rotate
from model.options import ModelOptions
from tests.people import TINY, tiny_dit
from utils.run import checkpoint
from utils.run.device import arithmetic
from utils.run.errors import UsageError

FEATURES, ACTIONS = 32, 5


def network(actions: int = ACTIONS) -> torch.nn.Module:
    return tiny_dit(actions, spread=1.0)


def motion(batch: int, frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, frames, FEATURES, generator=torch.Generator().manual_seed(seed))


def steps(batch: int) -> torch.Tensor:
    return torch.arange(batch) * 17 % 100


@torch.no_grad()
def run(model, x, lengths=None, action=None, step=None) -> torch.Tensor:
    told = {name: torch.tensor(value) for name, value in {"lengths": lengths, "action": action}.items() if value}
    return model(x, steps(len(x)) if step is None else step, told)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 17, 120, 301])
@pytest.mark.parametrize("batch", [1, 3])
def test_any_length(frames, batch):
    out = run(network(), motion(batch, frames))
    assert out.shape == (batch, frames, FEATURES) and torch.isfinite(out).all()
    assert out.std() > 0.05, "random weights answer something"


@pytest.mark.parametrize("per_token", [1, 3, 8])
def test_any_number_of_frames_a_token(per_token):
    model = DiT(FEATURES, 32, 2, 2, 64, per_token, 0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    x = motion(2, 20)
    out = run(model, x, [20, 13])
    assert out.shape == x.shape
    torch.testing.assert_close(run(model, x[1:, :13], step=steps(2)[1:])[0], out[1, :13], atol=1e-5, rtol=0)


@pytest.mark.parametrize("lengths", [[20, 13, 7], [17, 1, 4], [18, 18, 18]])
def test_padded_frames_do_not_count(lengths):
    """Whatever lies there, in the same token too (13 = 3 tokens of 4 frames and one frame)."""
    x, spoiled = motion(3, 20), motion(3, 20)
    for i, length in enumerate(lengths):
        spoiled[i, length:] = 1e6
    out, other = (run(network(), each, lengths, [0, 1, -1]) for each in (x, spoiled))
    for i, length in enumerate(lengths):
        torch.testing.assert_close(other[i, :length], out[i, :length], atol=1e-6, rtol=0)
    assert torch.isfinite(other).all()


def test_valid_frames_do_count():
    x, changed = motion(1, 20), motion(1, 20)
    changed[0, 12] += 1
    out, other = (run(network(), each, [13]) for each in (x, changed))
    assert (out - other)[0, :13].abs().amax(-1).min() > 1e-5


@pytest.mark.parametrize("lengths", [[20, 13, 7], [20, 20, 20], [1, 20, 5]])
def test_a_sample_alone_is_what_it_is_in_a_batch(lengths):
    x, actions, model = motion(3, 20), [0, -1, 3], network()
    together = run(model, x, lengths, actions)
    for i, length in enumerate(lengths):
        alone = run(model, x[i : i + 1, :length], None, actions[i : i + 1], steps(3)[i : i + 1])
        torch.testing.assert_close(alone[0], together[i, :length], atol=1e-5, rtol=0)


def test_as_built_it_says_nothing():
    """Output layers start at zero, and so do the gates: the first step of training sees a calm network."""
    model = build_denoiser(TINY, FEATURES, ACTIONS)
    assert not run(model, motion(2, 9), [9, 5], [1, -1]).any()
    assert not model.modulation.weight.any() and not model.final.weight.any()
    out = model(motion(2, 9), steps(2), {})
    (out - motion(2, 9)).square().mean().backward()
    assert model.head.weight.grad.abs().max() > 0, "yet it can learn"


def test_a_hidden_action_is_none_at_all():
    x, model = motion(2, 9), network()
    hidden, none = run(model, x, action=[-1, -1]), run(model, x)
    assert torch.equal(hidden, none)
    shown = run(model, x, action=[2, -1])
    torch.testing.assert_close(shown[1], none[1], atol=1e-6, rtol=0)
    assert (shown[0] - none[0]).abs().max() > 1e-3
    assert (run(model, x, action=[2, 0]) - run(model, x, action=[1, 0]))[0].abs().max() > 1e-3
    plain = network(actions=0)
    assert plain.action is None and torch.equal(run(plain, x, action=[2, 1]), run(plain, x))


def test_a_text_is_told_and_hidden():
    """Zeros, and no text at all, are a hidden one; of several words the mean of the real ones counts."""
    model, x, words = told_network(text_width=6), motion(2, 9), torch.randn(2, 3, 6)
    visible = torch.tensor([[True, True, False], [True, False, False]])
    told, none = ({"text": text, "text_visible": visible} for text in (words, torch.zeros_like(words)))
    torch.testing.assert_close(model(x, steps(2), none), model(x, steps(2), {}), atol=1e-6, rtol=0)
    assert (model(x, steps(2), told) - model(x, steps(2), none)).abs().amax((1, 2)).min() > 1e-3
    mean = torch.stack([words[0, :2].mean(0), words[1, 0]])[:, None]
    torch.testing.assert_close(model(x, steps(2), {"text": mean}), model(x, steps(2), told), atol=1e-5, rtol=0)


def test_a_sentence_far_from_all_others_is_told_no_louder_than_the_limit():
    """Its vector keeps its direction; one within the limit is as it was."""
    far, near = 50 * torch.randn(1, 1, 6), torch.randn(1, 1, 6)
    model, x = told_network(text_width=6), motion(1, 9)
    length = {name: model.text(text[:, 0]).norm() for name, text in (("far", far), ("near", near))}
    model.text_limit = float(2 * length["near"])
    read = model.text(far[:, 0])
    torch.testing.assert_close(model.limited(read), read * 2 * length["near"] / length["far"])
    limited = model(x, steps(1), {"text": far}), model(x, steps(1), {"text": near})
    model.text_limit = 0.0
    free = model(x, steps(1), {"text": far}), model(x, steps(1), {"text": near})
    assert (limited[0] - free[0]).abs().max() > 1e-3 and torch.equal(limited[1], free[1])


def test_a_prefix_is_seen_marked_and_not_answered():
    model, x = told_network(context=8), motion(2, 9)
    before, other = motion(2, 8, seed=1), motion(2, 8, seed=2)
    out = model(x, steps(2), {"prefix": before})
    assert out.shape == x.shape and (out - model(x, steps(2), {"prefix": other})).abs().max() > 1e-3
    spoiled = x.clone()
    spoiled[1, 5:] = 1e6
    lengths = torch.tensor([9, 5])
    whole, cut = (model(each, steps(2), {"prefix": before, "lengths": lengths}) for each in (x, spoiled))
    torch.testing.assert_close(cut[1, :5], whole[1, :5], atol=1e-6, rtol=0)
    with torch.no_grad():
        model.shown[:16] += 1
    assert (model(x, steps(2), {"prefix": before}) - out).abs().max() > 1e-3
    with pytest.raises(UsageError, match="--context_len 6"):
        DiT(FEATURES, 32, 2, 2, 64, frames_per_token=4, context=6)


def told_network(**told: int) -> DiT:
    """A small network with random weights that is told something."""
    model, draws = DiT(FEATURES, 32, 2, 2, 64, frames_per_token=4, **told), torch.Generator().manual_seed(0)
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=draws) / max(1, weight.shape[-1]) ** 0.5
    return model.requires_grad_(False)


def test_every_step_is_told_apart():
    x, model = motion(1, 8).expand(100, -1, -1), network()
    out = run(model, x, step=torch.arange(100)).flatten(1)
    assert torch.pdist(out).min() > 1e-4
    features = sinusoid(torch.tensor([0, 3]), 8)
    torch.testing.assert_close(features[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    rate = 10000.0 ** (-torch.arange(0, 8, 2) / 8)
    torch.testing.assert_close(features[1], torch.cat([(3 * rate).sin(), (3 * rate).cos()]))


def test_rotary_positions_are_relative():
    """<R_m q, R_n k> depends on m - n only, is <q, k> at m = n, and no rotation changes a length."""
    draws = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16, generator=draws)
    table = rotary_table(60, 16, torch.device("cpu"))
    turned_q, turned_k = (rotate(each.expand(1, 1, 60, 16), table)[0, 0] for each in (q, k))
    products = turned_q @ turned_k.T
    for offset in (-20, -1, 0, 1, 7, 40):
        diagonal = products.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=0)
    torch.testing.assert_close(products[0, 0], (q * k).sum())
    assert products[0].std() > 0.1 and abs(float(products[0, 5] - products[5, 0])) > 1e-2, "the sign of m - n matters"
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm().expand(60))


def test_frames_are_told_apart_by_their_place():
    """The same frames in another order are another motion; the network is no bag of frames."""
    x, model = motion(1, 16), network()
    swapped = torch.cat([x[:, 8:], x[:, :8]], 1)
    out, other = run(model, x), run(model, swapped)
    assert (torch.cat([out[:, 8:], out[:, :8]], 1) - other).abs().max() > 1e-3


def test_half_precision_survives_a_checkpoint(tmp_path):
    model, again = network(), build_denoiser(TINY, FEATURES, ACTIONS).eval()
    halved = {name: value.half() for name, value in model.state_dict().items()}
    checkpoint.save(tmp_path, 3, {"model": halved})
    loaded = checkpoint.weights(checkpoint.load(tmp_path / "checkpoint_3.pth"))
    assert all(value.dtype == torch.float32 for value in loaded.values())
    assert all(torch.equal(loaded[name], value.float()) for name, value in halved.items())
    again.load_state_dict(loaded)
    x = motion(2, 20)
    out, expected = (run(each, x, [20, 11], [1, -1]) for each in (again, model))
    assert (out - expected).abs().max() < 0.01 * expected.std()


def test_bfloat16_is_near_and_answers_in_float32():
    x, model = motion(2, 20), network()
    with arithmetic(torch.device("cpu"), "bf16"):
        out = run(model, x, [20, 11], [1, -1])
    expected = run(model, x, [20, 11], [1, -1])
    assert out.dtype == torch.float32 and torch.isfinite(out).all()
    for i, length in enumerate((20, 11)):
        assert (out - expected)[i, :length].std() < 0.05 * expected[i, :length].std()


def test_the_shipped_size():
    spec = dataset_spec("mocap2d")
    options = ModelOptions(arch="dit", layers=6, latent_dim=256, ff_size=1024)
    model = build_denoiser(options, spec.features, spec.num_actions("action"))
    assert len(spec.actions) == 21
    count = sum(weight.numel() for weight in model.parameters())
    assert 5_000_000 < count < 6_000_000
    assert sum(weight.numel() for weight in model.state_dict().values()) == count, "everything in a file is a weight"


def test_names_in_a_file_do_not_change():
    """A shipped checkpoint holds them."""
    names = {name.replace("layers.0.", "layers.N.") for name in network().state_dict() if "layers.1." not in name}
    modules = ("embed", "step.0", "step.2", "modulation", "final", "head")
    parts = ("qkv", "out", "up", "down")
    expected = {f"{module}.{kind}" for module in modules for kind in ("weight", "bias")} | {"action.weight"}
    expected |= {f"layers.N.{part}.{kind}" for part in parts for kind in ("weight", "bias")} | {"layers.N.offset"}
    assert names == expected


def test_wrong_widths_are_refused_in_a_sentence():
    for options in (replace(TINY, num_heads=3), replace(TINY, latent_dim=33), replace(TINY, latent_dim=6)):
        with pytest.raises(UsageError, match="--latent_dim"):
            build_denoiser(options, FEATURES)
    with pytest.raises(UsageError, match="--frames_per_token"):
        build_denoiser(replace(TINY, frames_per_token=0), FEATURES)


def test_a_convolution_sees_across_the_seams():
    """As built it adds nothing; with weights a frame feels those of the next token, and padding does not count."""
    built, plain = (DiT(FEATURES, 32, 2, 2, 64, frames_per_token=4, smooth_width=width) for width in (8, 0))
    assert not built.smooth_out.weight.any() and not built.smooth_out.bias.any() and plain.smooth_in is None
    assert set(built.state_dict()) - set(plain.state_dict()) == {
        f"smooth_{end}.{kind}" for end in ("in", "out") for kind in ("weight", "bias")
    }
    model, x = told_network(smooth_width=8), motion(2, 20)
    assert (model.smoothed(x, None) - x).abs().max() > 1e-2
    nudged = x.clone()
    nudged[:, 8] += 1
    felt = (model.smoothed(nudged, None) - model.smoothed(x, None)).abs().amax((0, 2)) > 1e-6
    assert felt.nonzero().flatten().tolist() == list(range(4, 13)), "nine frames"
    lengths = torch.tensor([20, 13])
    spoiled = x.clone()
    spoiled[1, 13:] = 1e3
    whole, cut = (model(each, steps(2), {"lengths": lengths}) for each in (x, spoiled))
    rounding = 1e-6 * whole.abs().max().item()
    torch.testing.assert_close(cut[1, :13], whole[1, :13], atol=rounding, rtol=0)
    alone = model(x[1:, :13], steps(2)[1:], {})
    torch.testing.assert_close(alone[0], whole[1, :13], atol=rounding, rtol=0)


def test_a_plan_is_told_to_the_frames_that_it_is_of():
    """Zeros, and no plan at all, are a hidden one; what is planned late says nothing of a motion that ends before."""
    model, x = told_network(plan_width=5), motion(2, 12)
    plan = torch.randn(2, 12, 5)
    with torch.no_grad():
        none, told = model(x, steps(2), {}), model(x, steps(2), {"plan": plan})
        torch.testing.assert_close(model(x, steps(2), {"plan": torch.zeros_like(plan)}), none, atol=1e-6, rtol=0)
        assert (told - none).abs().amax((1, 2)).min() > 1e-3
        other = torch.cat((plan[:, :8], plan[:, 8:] + 1), dim=1)
        short = {"lengths": torch.tensor([8, 12])}
        first, second = (model(x, steps(2), short | {"plan": each}) for each in (plan, other))
        torch.testing.assert_close(first[0, :8], second[0, :8], atol=1e-6, rtol=0)
        assert (first[1] - second[1]).abs().max() > 1e-3


def test_the_frames_before_a_motion_have_no_plan():
    model, x = told_network(plan_width=5, context=8), motion(1, 12)
    condition = {"prefix": motion(1, 8)}
    tokens = model.planned(torch.randn(1, 12, 5), 5)
    assert not tokens[:, :2].any() and tokens[:, 2:].any(-1).all()
    plan = {"plan": torch.randn(1, 12, 5)}
    assert (model(x, steps(1), condition | plan) - model(x, steps(1), condition)).abs().max() > 1e-3
