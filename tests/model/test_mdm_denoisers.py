"""Networks told a text, an action, a prefix or goals: golden outputs, laws of hiding and padding, published files."""

import json
from pathlib import Path

import pytest
import torch

from diffusion.guidance import guided
from model.denoisers import sequence
from model.denoisers.build import build_denoiser, file_layout
from model.denoisers.conditions import HIDDEN, KEYS, GoalEncoder, drop, hidden
from model.denoisers.layers import sinusoids
from model.denoisers.published import from_published, to_published
from model.options import GOALS, ModelOptions
from tests.published import frames_first, mdm_condition, mdm_network, tensors
from utils.run import checkpoint
from utils.run.errors import UsageError

COPIED = (
    "enc_clip_kit", "enc_action", "enc_uncond", "dec_clip", "dec_clip_emb", "dec_bert_emb", "dec_bert_concat", "dip",
    "dip_target_single", "dip_target_split", "dip_target_multi", "gru",
)  # fmt: skip
LARGE = ("enc_clip", "dec_bert")  # all 263 features
BERT = {"arch": "trans_dec", "text_encoder_type": "bert"}
DIP = BERT | {"context_len": 20, "pred_len": 40}
GOAL = DIP | {"multi_target_cond": True}
# The options, features, actions and width of a text of each published network at full size.
FULL_SIZE = {
    "humanml-encoder-512": ({}, 263, 0, 512),
    "kit-encoder-512": ({}, 251, 0, 512),
    "humanml-decoder-512": ({"arch": "trans_dec"}, 263, 0, 512),
    "humanml_trans_dec_512_bert": (BERT, 263, 0, 768),
    "DiP_no-target": (DIP, 263, 0, 768),
    "DiP_target_single": (GOAL | {"multi_encoder_type": "single"}, 263, 0, 768),
    "DiP_target_split": (GOAL | {"multi_encoder_type": "split"}, 263, 0, 768),
    "DiP_target_multi": (GOAL | {"multi_encoder_type": "multi"}, 263, 0, 768),
    "humanact12": ({}, 150, 12, 0),
    "uestc": ({}, 150, 40, 0),
    "humanact12_unconstrained": ({}, 150, 0, 0),
    "humanml-gru": ({"arch": "gru"}, 263, 0, 512),
}
WIDTH, FEATURES, TEXT_WIDTH, WORDS, FRAMES, PREFIX = 32, 12, 6, 5, 20, 4
WAYS = {
    "trans_enc": {"arch": "trans_enc"},
    "trans_dec": {"arch": "trans_dec", "text_encoder_type": "bert"},
    "concat": {"arch": "trans_dec", "emb_policy": "concat", "text_encoder_type": "bert"},
    "emb_trans_dec": {"arch": "trans_dec", "emb_trans_dec": True, "text_encoder_type": "bert"},
    "gru": {"arch": "gru"},
}


def record_of(name: str, golden: Path, request: pytest.FixtureRequest) -> dict:
    """A golden file of one network."""
    folder = request.getfixturevalue("shared") / "golden" if name in LARGE else golden
    return tensors(folder / "mdm" / f"net_{name}.npz")


def network(way: str = "trans_dec", **changes) -> sequence.SequenceDenoiser:
    """A small network of one of WAYS, in evaluation, that is told all there is."""
    torch.manual_seed(1)
    size = {"latent_dim": WIDTH, "layers": 2, "num_heads": 2, "ff_size": 64, "multi_target_cond": True, "dropout": 0.0}
    return build_denoiser(ModelOptions(**size | WAYS[way] | changes), FEATURES, 3, TEXT_WIDTH, False).eval()


def told(way: str = "trans_dec", batch: int = 3) -> dict[str, torch.Tensor]:
    """A condition with every entry; lengths and words differ."""
    draws = torch.Generator().manual_seed(2)
    words = WORDS if way in ("trans_dec", "concat", "emb_trans_dec") else 1
    each = torch.arange(batch)
    return {
        "lengths": FRAMES - each * 6 % FRAMES,
        "action": each % 3,
        "text": torch.randn(batch, words, TEXT_WIDTH, generator=draws),
        "text_visible": torch.arange(words) < words - each[:, None] % words,
        "prefix": torch.randn(batch, PREFIX, FEATURES, generator=draws),
        "goal": torch.randn(batch, len(GOALS), 3, generator=draws),
        "goal_asked": torch.rand(batch, len(GOALS), generator=draws) < 0.5,
    }


def noisy(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """x [B, T, F] and steps [B]."""
    return torch.randn(batch, FRAMES, FEATURES, generator=torch.Generator().manual_seed(3)), torch.arange(batch) * 7


def assert_close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 2e-5) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("mask_frames", [False, True])
@pytest.mark.parametrize("name", [*COPIED, *LARGE])
@torch.no_grad()
def test_golden_forward(golden: Path, request: pytest.FixtureRequest, name: str, mask_frames: bool) -> None:
    record, suffix = record_of(name, golden, request), "_mask" if mask_frames else ""
    if f"out_cond{suffix}" not in record:
        suffix = ""  # the GRU has no mask
    emb_policy = "concat" if name.endswith("concat") else "add"
    model, x = mdm_network(record, mask_frames=mask_frames, emb_policy=emb_policy), frames_first(record["x"])
    condition = mdm_condition(record)

    def guidance(scale: float) -> torch.Tensor:
        together = name != "gru"  # whose samples see each other
        steps = record["t"].repeat(2)
        ask = lambda shown, about: model(shown, steps[: len(shown)], about)  # noqa: E731
        return guided(ask, x, condition, hidden(condition), scale, together)

    for scale, key in ((1, "out_cond"), (0, "out_uncond"), (2.5, "out_cfg")):
        if key + suffix in record:
            assert_close(guidance(scale), frames_first(record[key + suffix]))
    if "target_embedding" in record:
        assert_close(model.embed_goal(condition), record["target_embedding"], 1e-6)


def test_golden_positions(golden: Path) -> None:
    record = tensors(golden / "mdm" / "pos_table.npz")
    assert_close(sinusoids(torch.arange(64), 16), record["pe16"], 1e-5)
    assert_close(sinusoids(record["pe512_rows"], 512), record["pe512"], 5e-4)


def full_size(name: str, **changes: object) -> sequence.SequenceDenoiser:
    """A published network at full size, without memory."""
    options, *sizes = FULL_SIZE[name]
    with torch.device("meta"):
        return build_denoiser(ModelOptions(**options | {"recurrence": "batch"} | changes), *sizes, encoder_hides=False)


@pytest.mark.parametrize("name", FULL_SIZE)
def test_names_shapes_and_order_of_parameters_are_published(golden: Path, name: str) -> None:
    published = json.loads((golden / "mdm" / "state_dict_keys.json").read_text())[name]
    model = full_size(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == published["n_params"]
    to_file, _ = file_layout(ModelOptions(**FULL_SIZE[name][0]))
    shapes = {key: list(value.shape) for key, value in to_file(model.state_dict()).items()}
    assert shapes == dict(published["keys"])
    order = [key for key in to_published(dict(model.named_parameters()), 512) if not key.endswith(".pe")]
    assert order == [key for key, _ in published["keys"] if not key.endswith(".pe")]


def wave(rate: float, *shape: int, start: float = 0.0) -> torch.Tensor:
    """sin(start + rate * i) in a shape, float64."""
    return torch.sin(start + rate * torch.arange(torch.Size(shape).numel(), dtype=torch.float64)).reshape(shape)


def formula_weights(keys: list) -> dict[str, torch.Tensor]:
    """The weights that the golden outputs of networks at full size were made with."""
    weights = {}
    for k, (key, shape) in enumerate(keys):
        if key.endswith(".pe"):
            continue
        many = len(shape) > 1
        scale, base = (torch.Size(shape[1:]).numel() ** -0.5, 0) if many else (0.1, key.endswith("weight"))
        weights[key] = (base + scale * wave(0.37, *shape, start=k)).float()
    return weights


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("humanml_enc_512", "humanml-encoder-512"),
        ("humanml_trans_dec_512_bert", "humanml_trans_dec_512_bert"),
        ("dip", "DiP_no-target"),
        ("humanact12", "humanact12"),
    ],
)
@torch.no_grad()
def test_golden_forward_at_full_size(golden: Path, entry: str, name: str) -> None:
    record = tensors(golden / "mdm" / "full_size_formula.npz")
    keys = json.loads((golden / "mdm" / "state_dict_keys.json").read_text())[name]["keys"]
    bert, actions = FULL_SIZE[name][3] == 768, FULL_SIZE[name][2]
    model = full_size(name, mask_frames=bert).eval()
    model.load_state_dict(from_published(formula_weights(keys)), assign=True)
    condition = {"lengths": torch.tensor([60, 60] if actions else [40, 40])}
    if actions:
        x, condition["action"] = wave(0.11, 2, 25, 6, 60), torch.tensor([3, 9])
    else:
        x = wave(0.11, 2, 263, 1, 40)
        condition["text"] = wave(0.07, *((7, 2, 768) if bert else (1, 2, 512))).float().transpose(0, 1)
    if bert:
        condition["text_visible"] = ~record["text_mask"]
    if entry == "dip":
        condition["prefix"] = frames_first(wave(0.07, 2, 263, 1, 20)).float()
    output = model(frames_first(x).float(), torch.tensor([5, 40]), condition)
    output = output.unflatten(2, x.shape[1:3]).permute(0, 2, 3, 1)[:, ::5, :, ::5]
    assert_close(output, record[entry])


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_every_entry_is_read(way: str) -> None:
    model, condition, (x, step) = network(way), told(way), noisy()
    whole = model(x, step, condition)
    for name in set(condition) - {"goal_asked", "text_visible", "lengths"}:
        rest = {key: value for key, value in condition.items() if key != name}
        assert (model(x, step, rest) - whole).abs().amax((1, 2)).min() > 1e-3, name
    none = model(x, step, {name: value for name, value in condition.items() if name in ("lengths", "prefix")})
    blank = hidden(condition) | {"goal_hidden": torch.ones(3, dtype=torch.bool)}
    if way != "concat":  # which counts the words of a hidden text too
        assert_close(model(x, step, blank), none, 1e-6)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_padding_never_reaches_valid_frames(way: str, training: bool) -> None:
    model, condition, (x, step) = network(way).train(training), told(way), noisy()
    valid = torch.arange(FRAMES) < condition["lengths"][:, None]
    changed = torch.where(valid[..., None], x, 1e6)
    silent = condition | {"text": torch.where(condition["text_visible"][..., None], condition["text"], 1e6)}
    expected = model(x, step, condition)
    assert_close(model(changed, step, condition)[valid], expected[valid], 1e-6)
    assert_close(model(x, step, silent), expected, 1e-6)
    if way != "gru":
        attended = network(way, mask_frames=False).train(training)
        difference = attended(changed, step, condition)[valid] - attended(x, step, condition)[valid]
        assert difference.abs().max() > 1e-3


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_samples_do_not_see_each_other(way: str) -> None:
    model, condition, (x, step) = network(way), told(way), noisy()
    whole = model(x, step, condition)
    for i, length in enumerate(condition["lengths"]):
        alone = {name: value[i : i + 1] for name, value in condition.items() if name != "lengths"}
        words = int(condition["text_visible"][i].sum())
        alone |= {"text": alone["text"][:, :words], "text_visible": alone["text_visible"][:, :words]}
        assert_close(model(x[i : i + 1, :length], step[i : i + 1], alone), whole[i : i + 1, :length], 2e-6)


@pytest.mark.parametrize("way", WAYS)
def test_parts_of_a_batch_are_the_batch(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, condition, (x, step) = network(way), told(way, 7), noisy(7)
    whole = model(x, step, condition)
    monkeypatch.setattr(sequence, "CPU_TOKENS_AT_ONCE", 3 * FRAMES)
    with torch.no_grad():
        assert_close(model(x, step, condition), whole, 2e-6)
    whole.square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_bf16_is_close(way: str) -> None:
    model, condition, (x, step) = network(way, latent_dim=128, num_heads=4), told(way), noisy()
    exact = model(x, step, condition)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(x, step, condition)
    low = model.bfloat16()(x, step, condition)
    scale = exact.square().mean().sqrt()
    assert mixed.dtype == low.dtype == torch.float32
    assert (mixed - exact).square().mean().sqrt() < 0.01 * scale and (low - exact).square().mean().sqrt() < 0.04 * scale


@torch.no_grad()
def test_a_text_without_visible_words_shows_its_first() -> None:
    first, none = (told() | {"text_visible": torch.arange(WORDS).expand(3, -1) < shown} for shown in (1, 0))
    model = network()
    assert torch.equal(model(*noisy(), none), model(*noisy(), first))


@pytest.mark.parametrize("kind", ["single", "split", "multi"])
def test_goal_encoders(kind: str) -> None:
    torch.manual_seed(4)
    encoder, condition = GoalEncoder(kind, WIDTH, 2), told()
    vector = encoder(condition)
    assert vector.shape == (3, WIDTH)
    gone = encoder(condition | {"goal_hidden": torch.tensor([True, False, True])})
    assert not gone[[0, 2]].any() and torch.equal(gone[1], vector[1])
    more = encoder(condition | {"goal": torch.where(condition["goal_asked"][..., None], condition["goal"], 9.0)})
    assert torch.allclose(more, vector) == (kind == "multi")
    assert not torch.allclose(encoder(condition | {"goal_asked": ~condition["goal_asked"]}), vector)
    layers = {"single": 3, "split": 3 * len(GOALS), "multi": 2 * len(GOALS)}  # multi: one hidden layer, as published
    assert sum(isinstance(module, torch.nn.Linear) for module in encoder.modules()) == layers[kind]


def test_guidance_hides_texts_and_actions_alone() -> None:
    condition = told()
    blank = hidden(condition)
    assert blank.keys() == condition.keys() and (blank["action"] == HIDDEN).all() and not blank["text"].any()
    assert all(blank[name] is condition[name] for name in condition if name not in ("action", "text"))
    assert hidden({"lengths": condition["lengths"]}).keys() == {"lengths"}


def test_training_hides_a_share_of_what_is_told() -> None:
    batch = told(batch=20_000)
    shown = drop(batch, 0.1, torch.Generator().manual_seed(0))
    gone, silent, aimless = shown["action"] == HIDDEN, (shown["text"] == 0).all((1, 2)), shown["goal_hidden"]
    assert torch.equal(gone, silent) and 0.09 < gone.float().mean() < 0.11 and 0.09 < aimless.float().mean() < 0.11
    assert 0.005 < (gone & aimless).float().mean() < 0.015
    assert torch.equal(shown["text"][~gone], batch["text"][~gone])
    assert torch.equal(shown["action"][~gone], batch["action"][~gone])
    again = drop(shown, 0.1, torch.Generator().manual_seed(1))
    assert again["goal_hidden"][aimless].all() and again["goal_hidden"].sum() > aimless.sum()
    assert set(shown) <= set(KEYS)
    same = drop(batch, 0.0, torch.Generator())
    assert all(torch.equal(same[name], value) for name, value in batch.items()) and not same["goal_hidden"].any()


def test_a_plan_is_hidden_with_its_sentence_and_sometimes_alone() -> None:
    batch = told(batch=20_000)
    batch["plan"] = torch.ones(20_000, 2, 3)
    shown = drop(batch, 0.1, torch.Generator().manual_seed(0))
    silent, without = (shown["text"] == 0).all((1, 2)), (shown["plan"] == 0).all((1, 2))
    assert without[silent].all() and 0.13 < without[~silent].float().mean() < 0.17
    assert (shown["plan"][~without] == 1).all() and not hidden(batch)["plan"].any()
    plain = drop({name: batch[name] for name in batch if name != "plan"}, 0.1, torch.Generator().manual_seed(0))
    assert torch.equal(plain["text"], shown["text"]), "the draws of other models stay as they were"


@pytest.mark.parametrize("rows", [None, 200, 5000])
def test_published_files_with_any_table(golden: Path, rows: int | None) -> None:
    record = tensors(golden / "mdm" / "net_dip.npz")
    state = {name[2:]: value for name, value in record.items() if name.startswith("w/")}
    names = ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe")
    tables = dict.fromkeys(names, torch.zeros(rows, 1, 16)) if rows else {}
    averaged = {name: value + 1 for name, value in state.items()}
    encoder = {"clip_model.embeddings.weight": torch.zeros(2)}
    for content, expected in (
        (state | tables | encoder, state),
        ({"model": state | tables, "model_avg": averaged | tables}, averaged),
        ({"model": state | tables}, state),
    ):
        ours = from_published(checkpoint.weights(content))
        assert ours.keys() == mdm_network(record).state_dict().keys()
        written = to_published(ours, 16, rows=rows or 5000)
        assert written.keys() == state.keys() | set(names)
        assert all(torch.equal(written[name], value) for name, value in expected.items())
        assert written[names[0]].shape == (rows or 5000, 1, 16)


def test_the_file_has_the_rows_that_the_options_say() -> None:
    options = ModelOptions(layers=1, latent_dim=8, num_heads=2, ff_size=8, pos_embed_max_len=300)
    to_file, _ = file_layout(options)
    assert to_file(build_denoiser(options, 4).state_dict())["sequence_pos_encoder.pe"].shape == (300, 1, 8)


@torch.no_grad()
def test_padding_is_hidden_if_asked_and_by_the_encoder_of_2d_motion() -> None:
    x, step = noisy()

    def answer(arch: str, mask_frames: bool, encoder_hides: bool) -> torch.Tensor:
        torch.manual_seed(5)
        options = ModelOptions(arch, layers=1, latent_dim=8, num_heads=2, ff_size=8, mask_frames=mask_frames)
        model = build_denoiser(options, FEATURES, encoder_hides=encoder_hides).eval()
        return model(x, step, {"lengths": torch.tensor([20, 9, 4])})[1:]

    for arch in ("trans_enc", "trans_dec"):
        attended = answer(arch, False, False)
        assert torch.equal(answer(arch, True, False), answer(arch, True, True))
        assert (answer(arch, True, False) - attended).abs().max() > 1e-3
        expected = answer(arch, True, False) if arch == "trans_enc" else attended
        assert torch.equal(answer(arch, False, True), expected)


def test_what_does_not_go_together() -> None:
    with pytest.raises(UsageError, match="--text_encoder_type bert: --arch trans_enc"):
        build_denoiser(ModelOptions(text_encoder_type="bert"), FEATURES, text_width=768)
    with pytest.raises(UsageError, match="--arch gru takes one vector a text, not 5"):
        network("gru")(*noisy(), told("trans_dec"))
    with pytest.raises(UsageError, match="--latent_dim 36: --multi_encoder_type split"):
        network(latent_dim=36, multi_encoder_type="split")
