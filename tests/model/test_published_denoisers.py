"""The published networks: golden outputs, padding and batching, parameter names and order, construction draws."""

import copy
import itertools
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from model.denoisers.build import build_denoiser
from model.denoisers.conditions import HIDDEN
from model.denoisers.layers import Layer, sinusoids, visible_keys
from model.denoisers.published import consume_construction, from_published, to_published
from model.denoisers.sequence import SequenceDenoiser
from model.options import ModelOptions
from tests.published import frames_first, tensors
from utils.run.errors import DataError, UsageError

WAYS = ("trans_enc", "trans_dec", "emb_trans_dec", "gru")
FEATURES, WIDTH = 32, 32


def network(way: str = "trans_enc", published: bool = False, num_actions: int = 0, **changes) -> SequenceDenoiser:
    """A small network of one of WAYS, in evaluation."""
    torch.manual_seed(1)
    settings = {"latent_dim": WIDTH, "layers": 2, "num_heads": 2, "ff_size": 64, "dropout": 0.1, "activation": "gelu"}
    settings |= {"recurrence": "batch", "mask_frames": way == "trans_enc"} if published else {}
    settings |= {"emb_trans_dec": way.startswith("emb_"), "num_actions": num_actions} | changes
    return SequenceDenoiser(way.removeprefix("emb_"), FEATURES, **settings).eval()


def told(lengths: torch.Tensor | None = None, action: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """A condition of what is given."""
    return {name: value for name, value in (("lengths", lengths), ("action", action)) if value is not None}


def published_network(golden: Path, way: str, **changes: object) -> SequenceDenoiser:
    """The network of a golden weights file."""
    weights = tensors(golden / "mas" / "weights" / f"w_{'action' if 'num_actions' in changes else way}_nba.npz")
    model = network(way, published=True, **changes)
    model.load_state_dict(from_published(weights))
    return model


def assert_close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 2e-5) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_golden_forward(golden: Path, way: str) -> None:
    record = tensors(golden / "mas" / "forward" / f"{way}.npz")
    model, x, t = published_network(golden, way), frames_first(record["x"]), record["t"]
    assert_close(model(x, t, told(record["lengths_full"])), frames_first(record["out_full"]))
    assert_close(model(x, t, {}), frames_first(record["out_full"]))
    assert_close(model(x, t, told(record["lengths"])), frames_first(record["out_lengths"]))
    assert_close(model(x[1:2], t[1:2], {}), frames_first(record["out_sample1_alone"]))
    assert_close(model.embed_step(sinusoids(t, WIDTH)), record["temb"][0])


@torch.no_grad()
def test_golden_action(golden: Path) -> None:
    record = tensors(golden / "mas" / "forward" / "action.npz")
    model, x = published_network(golden, "trans_enc", num_actions=4), frames_first(record["x"])
    action = record["action"][:, 0]
    assert_close(model(x, record["t"], told(record["lengths"], action)), frames_first(record["out_cond"]))
    for hidden in (None, torch.full_like(action, HIDDEN)):
        assert_close(model(x, record["t"], told(record["lengths"], hidden)), frames_first(record["out_uncond"]))


def test_golden_positions(golden: Path) -> None:
    record = tensors(golden / "mas" / "pe.npz")
    assert_close(sinusoids(torch.arange(200), WIDTH), record["pe_d32"], 2e-6)
    assert_close(sinusoids(torch.tensor([4999]), WIDTH)[0], record["pe_last"], 5e-4)


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_samples_do_not_see_each_other(way: str) -> None:
    model, x, t = network(way), torch.randn(3, 20, FEATURES), torch.tensor([0, 37, 99])
    lengths = torch.tensor([20, 13, 7])
    whole = model(x, t, told(lengths))
    for i, length in enumerate(lengths):
        assert_close(model(x[i : i + 1, :length], t[i : i + 1], {}), whole[i : i + 1, :length], 2e-6)


@torch.no_grad()
def test_published_gru_lets_samples_see_each_other() -> None:
    model, x, t = network("gru", published=True), torch.randn(3, 20, FEATURES), torch.tensor([0, 37, 99])
    assert (model(x[1:2], t[1:2], {}) - model(x, t, {})[1:2]).abs().max() > 1e-3


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_padding_never_reaches_valid_frames(way: str, training: bool) -> None:
    model, x, t = network(way, dropout=0.0).train(training), torch.randn(3, 20, FEATURES), torch.tensor([0, 37, 99])
    lengths = torch.tensor([13, 20, 7])
    valid = torch.arange(20) < lengths[:, None]
    changed = torch.where(valid[..., None], x, 1e6)
    assert_close(model(changed, t, told(lengths))[valid], model(x, t, told(lengths))[valid], 1e-6)
    published = network(way, published=True)
    difference = published(changed, t, told(lengths))[valid] - published(x, t, told(lengths))[valid]
    assert (difference.abs().max() > 1e-3) == (way != "trans_enc")


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_empty_and_single_frame_samples_are_finite(way: str) -> None:
    model, t = network(way), torch.tensor([0, 99])
    assert model(torch.randn(2, 4, FEATURES), t, told(torch.tensor([0, 4]))).isfinite().all()
    assert model(torch.randn(2, 1, FEATURES), t, told(torch.tensor([1, 1]))).isfinite().all()


@pytest.mark.parametrize("way", WAYS)
def test_training_without_dropout_is_evaluation(way: str) -> None:
    model, x, t = network(way, dropout=0.0, num_actions=3), torch.randn(50, 60, FEATURES), torch.randint(0, 100, (50,))
    given = (x, t, told(torch.randint(1, 61, (50,)), torch.randint(-1, 3, (50,))))
    trained = model.train()(*given)
    with torch.no_grad():  # more than one part of CPU_TOKENS_AT_ONCE
        assert_close(model.eval()(*given), trained, 5e-6)
    trained.square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("way", WAYS)
def test_dropout_acts_in_training_only(way: str) -> None:
    model, x, t = network(way, dropout=0.5), torch.randn(2, 9, FEATURES), torch.tensor([3, 4])
    assert torch.equal(model(x, t, {}), model(x, t, {}))
    model.train()
    assert not torch.allclose(model(x, t, {}), model(x, t, {}), atol=1e-2)


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_bf16_is_close(way: str) -> None:
    model, x, t = network(way, latent_dim=128, num_heads=4), torch.randn(4, 50, FEATURES), torch.tensor([0, 5, 50, 99])
    lengths = torch.tensor([50, 40, 30, 20])
    exact = model(x, t, told(lengths))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(x, t, told(lengths))
    assert mixed.dtype == torch.float32
    assert (mixed - exact).square().mean().sqrt() < 0.01 * exact.square().mean().sqrt()
    low = model.bfloat16()(x, t, told(lengths))
    assert (low - exact).square().mean().sqrt() < 0.03 * exact.square().mean().sqrt()


@pytest.mark.parametrize("decoder", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_layer_is_torchs(decoder: bool, activation: str) -> None:
    """Same names, and from the same seed the same initial values, answers and dropout."""
    kind = nn.TransformerDecoderLayer if decoder else nn.TransformerEncoderLayer
    torch.manual_seed(3)
    theirs = kind(16, 4, 24, 0.3, activation, batch_first=True)
    torch.manual_seed(3)
    ours = Layer(16, 4, 24, 0.3, activation, reads_memory=decoder)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    x, memory = torch.randn(1, 7, 16), torch.randn(1, 3, 16)  # one sample: torch draws for [T, B, d], we for [B, T, d]
    for training, read in itertools.product((False, True), (memory, memory[:, :1])):
        torch.manual_seed(4)
        expected = theirs.train(training)(*((x, read) if decoder else (x,)))
        torch.manual_seed(4)
        assert_close(ours.train(training)(x, None, read if decoder else None), expected, 1e-6)


def test_every_row_may_look_at_something() -> None:
    lengths = torch.tensor([0, 3, 9])
    assert visible_keys(lengths, 9, 0)[:, 0, 0].sum(-1).tolist() == [1, 3, 9]
    assert visible_keys(lengths, 9, 1)[:, 0, 0].sum(-1).tolist() == [1, 4, 10]
    assert visible_keys(lengths, 0, 1) is None and visible_keys(None, 9, 1) is None


def published_modules(way: str, num_actions: int = 0) -> nn.Module:
    """Torch modules under the published names, in the published order."""
    model, size = nn.Module(), {"d_model": WIDTH, "nhead": 2, "dim_feedforward": 64}
    model.input_process = nn.ModuleDict({"poseEmbedding": nn.Linear(FEATURES + WIDTH * (way == "gru"), WIDTH)})
    if way == "trans_enc":
        layer = nn.TransformerEncoderLayer(**size)
        model.seqTransEncoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    elif way == "gru":
        model.gru = nn.GRU(WIDTH, WIDTH, 2)
    else:
        model.seqTransDecoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**size), 2)
    steps = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
    model.embed_timestep = nn.ModuleDict({"time_embed": steps})
    if num_actions:
        model.embed_action = nn.Module()
        model.embed_action.action_embedding = nn.Parameter(torch.randn(num_actions, WIDTH))
    model.output_process = nn.ModuleDict({"poseFinal": nn.Linear(WIDTH, FEATURES)})
    return model


@pytest.mark.parametrize("num_actions", [0, 4])
@pytest.mark.parametrize("way", WAYS)
def test_names_and_order_of_parameters_are_published(way: str, num_actions: int) -> None:
    model, theirs = network(way, num_actions=num_actions), published_modules(way, num_actions)
    tables = {"sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe"}
    written = to_published(model.state_dict(), WIDTH)
    order = [name for name in to_published(dict(model.named_parameters()), WIDTH) if name not in tables]
    assert order == [name for name, _ in theirs.named_parameters()]
    assert set(written) == set(theirs.state_dict()) | tables
    theirs.load_state_dict({name: value for name, value in written.items() if name not in tables})
    first, second = (written[name] for name in sorted(tables))
    assert first.shape == (5000, 1, WIDTH) and first.data_ptr() == second.data_ptr()
    again = from_published(written | {"clip_model.logit_scale": torch.zeros(1)})
    assert again.keys() == model.state_dict().keys()
    assert all(torch.equal(again[name], value) for name, value in model.state_dict().items())


def test_unknown_names_are_refused() -> None:
    with pytest.raises(DataError, match="embed_dance.weight"):
        from_published({"embed_dance.weight": torch.zeros(1)})


@pytest.mark.parametrize("way", WAYS)
def test_published_optimizer_state_fits_by_position(way: str) -> None:
    """A step after loading both the weights and the state of a published optimiser is that optimiser's own step."""
    torch.manual_seed(5)
    theirs, ours = published_modules(way), network(way)
    their_optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-2)
    gradients = [[torch.randn_like(parameter) for parameter in theirs.parameters()] for _ in range(2)]

    def update(model: nn.Module, optimizer: torch.optim.Optimizer, gradient: list[torch.Tensor]) -> None:
        for parameter, value in zip(model.parameters(), gradient, strict=True):
            parameter.grad = value
        optimizer.step()

    update(theirs, their_optimizer, gradients[0])
    ours.load_state_dict(from_published(theirs.state_dict()))
    our_optimizer = torch.optim.AdamW(ours.parameters(), lr=1e-3)
    our_optimizer.load_state_dict(copy.deepcopy(their_optimizer.state_dict()))
    update(theirs, their_optimizer, gradients[1])
    update(ours, our_optimizer, gradients[1])
    for name, value in from_published(theirs.state_dict()).items():
        assert torch.equal(ours.state_dict()[name], value), name


@pytest.mark.parametrize(
    ("arch", "expected"), [("trans_enc", 17_380_896), ("trans_dec", 25_794_080), ("gru", 13_428_256)]
)
def test_number_of_parameters_at_the_published_size(arch: str, expected: int) -> None:
    with torch.device("meta"):
        model = build_denoiser(ModelOptions(arch=arch), FEATURES)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


@pytest.mark.parametrize("dataset", ["nba", "horse", "gymnastics"])
def test_published_checkpoint_file(shared: Path, dataset: str) -> None:
    folder = shared / "golden" / "mas" / "cli" / dataset
    content = torch.load(folder / "checkpoint_20.pth", weights_only=True)
    options = json.loads((folder / "args.json").read_text())
    names = ("arch", "latent_dim", "layers", "num_heads", "ff_size", "dropout", "activation", "emb_trans_dec")
    features = content["model"]["output_process.poseFinal.bias"].shape[0]
    model = SequenceDenoiser(features=features, **{name: options[name] for name in names})
    model.load_state_dict(from_published(content["model"]))
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.load_state_dict(content["optimizer"])
    written = to_published(model.state_dict(), options["latent_dim"])
    assert written.keys() == content["model"].keys()
    for name, value in content["model"].items():
        assert_close(written[name], value, 5e-4 if name.endswith(".pe") else 0.0)
    parameters = [name for name in content["model"] if not name.endswith(".pe")]
    assert [name for name in to_published(dict(model.named_parameters()), 2) if not name.endswith(".pe")] == parameters


@pytest.mark.parametrize("name", ["generate_nba", "generate_horse", "mas_nba", "mas_horse", "mas_gymnastics"])
def test_first_draws_after_construction_are_published(golden: Path, name: str) -> None:
    """All noise of a published run follows from its seed; from `generate`'s third draw on, x lies as [T, B, J, 2]."""
    task, dataset = name.split("_")
    record = tensors(golden / "mas" / "cli" / f"{name}.npz")
    like = next(record[key] for key in record if key.startswith("draw/torch.randn_like"))
    first = [record[key] for key in record if key.startswith("draw/torch.randn/")]
    sizes = {"nba": (32, 32, 64), "horse": (34, 8, 16), "gymnastics": (36, 8, 16)}
    features, latent_dim, ff_size = sizes[dataset]
    torch.manual_seed(0)
    consume_construction(ModelOptions(latent_dim=latent_dim, layers=2, num_heads=2, ff_size=ff_size), features)
    if task == "mas":
        for draw in like:
            assert torch.equal(torch.randn(draw.shape), draw)
        return
    assert torch.equal(torch.randn(first[0].shape[1:]), first[0][0])
    assert torch.equal(torch.randn(like.shape[1:]), like[0])
    for draw in like[1:]:
        batch, joints, _, frames = draw.shape
        empty = torch.empty_strided(draw.shape, (joints * 2, 2, 1, batch * joints * 2))
        assert frames > 1 and torch.equal(empty.normal_(), draw)


@pytest.mark.parametrize("num_actions", [0, 4])
@pytest.mark.parametrize("way", WAYS)
def test_construction_draws_of_every_architecture(way: str, num_actions: int) -> None:
    torch.manual_seed(2)
    published_modules(way, num_actions)
    expected = torch.randn(5)
    torch.manual_seed(2)
    options = ModelOptions(arch=way.removeprefix("emb_"), layers=2, latent_dim=WIDTH, num_heads=2, ff_size=64)
    consume_construction(options, FEATURES, num_actions)
    assert torch.equal(torch.randn(5), expected)


def test_width_that_heads_cannot_share() -> None:
    with pytest.raises(UsageError, match="--latent_dim 30"):
        network(latent_dim=30, num_heads=4)
