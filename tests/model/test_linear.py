"""Linear maps by either way: the same numbers and gradients, of the weights as they are now."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.denoisers.build import build_denoiser
from model.denoisers.layers import Layer
from model.denoisers.linear import dense, linear, packed
from model.options import ModelOptions
from utils.run import processor

SHAPES = [(1, 1), (3, 7), (33, 20)]


@pytest.fixture(params=["mkl", "onednn"])
def way(request: pytest.FixtureRequest):
    if request.param == "onednn" and not processor.onednn_is_there():
        pytest.skip("this torch lacks the operators of oneDNN")
    processor.choose(request.param)
    yield request.param
    processor.choose("auto")


def draws(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("rows, columns", SHAPES)
@pytest.mark.parametrize("activation", [None, F.gelu, F.relu, torch.tanh])
def test_frozen_weights(way: str, rows: int, columns: int, activation):
    x, weight, bias, added = draws((2, rows, columns), (5, columns), (5,), (2, rows, 5))
    expected = F.linear(x, weight, bias)
    torch.testing.assert_close(linear(x, weight, bias), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(linear(x, weight), F.linear(x, weight), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(linear(x, weight, bias, added=added), added + expected, atol=1e-5, rtol=1e-5)
    whole = expected if activation is None else activation(expected)
    torch.testing.assert_close(linear(x, weight, bias, activation), whole, atol=1e-5, rtol=1e-5)
    part = linear(x, weight, bias, activation, rows=slice(1, 4))
    torch.testing.assert_close(part, whole[..., 1:4], atol=1e-5, rtol=1e-5)
    moved = x.transpose(0, 1)
    torch.testing.assert_close(linear(moved, weight, bias), expected.transpose(0, 1), atol=1e-5, rtol=1e-5)


def test_changed_weights_are_seen(way: str):
    layer, (x,) = nn.Linear(6, 4).requires_grad_(False), draws((3, 6))
    for change in (
        lambda: layer.weight.mul_(2),
        lambda: layer.load_state_dict({name: value + 1 for name, value in layer.state_dict().items()}),
        lambda: setattr(layer, "weight", nn.Parameter(layer.weight + 1, requires_grad=False)),
        lambda: layer.to(torch.float64).to(torch.float32),
    ):
        dense(layer, x)
        change()
        torch.testing.assert_close(dense(layer, x), F.linear(x, layer.weight, layer.bias), atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        assert dense(copy.deepcopy(layer), x).shape == (3, 4)


def test_weights_are_packed_once():
    if not processor.onednn_is_there():
        pytest.skip("this torch lacks the operators of oneDNN")
    (weight,) = draws((8, 6))
    assert packed(weight) is packed(weight) and packed(weight, slice(0, 4)) is packed(weight, slice(0, 4))
    first = packed(weight)
    weight.add_(1)
    assert packed(weight) is not first


@pytest.mark.parametrize("rows, columns", SHAPES)
@pytest.mark.parametrize("biased", [True, False])
def test_gradients(way: str, rows: int, columns: int, biased: bool):
    x, weight, bias, grad = draws((2, rows, columns), (5, columns), (5,), (2, rows, 5))
    given = [each.requires_grad_() for each in (x, weight, *([bias] if biased else []))]
    found = torch.autograd.grad(linear(*given), given, grad)
    expected = torch.autograd.grad(F.linear(*given), given, grad)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    frozen = linear(x, weight.detach(), bias.detach())
    (alone,) = torch.autograd.grad(frozen, x, grad)
    torch.testing.assert_close(alone, expected[0], atol=1e-5, rtol=1e-5)


def test_what_onednn_does_not_take_is_left_to_torch(way: str):
    layer, (x,) = nn.Linear(6, 4).requires_grad_(False), draws((3, 6))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(dense(layer, x), F.linear(x, layer.weight, layer.bias))
    assert dense(layer, x[:0]).shape == (0, 4)
    assert torch.equal(dense(layer.double(), x.double()), layer(x.double()))


@pytest.mark.parametrize("memory", [False, True])
def test_a_layer_is_torchs(way: str, memory: bool):
    kind = nn.TransformerDecoderLayer if memory else nn.TransformerEncoderLayer
    theirs = kind(16, 4, 24, 0.0, "gelu", batch_first=True).train()
    ours = Layer(16, 4, 24, 0.0, "gelu", memory)
    ours.load_state_dict(theirs.state_dict())
    x, told = draws((2, 9, 16), (2, 5, 16))
    given, rest = (x, told) if memory else (x,), ((None, told) if memory else (None,))
    for frozen in (True, False):
        with torch.set_grad_enabled(not frozen):
            torch.testing.assert_close(ours(x, *rest), theirs(*given), atol=2e-6, rtol=1e-5)
    ours(x, *rest).square().sum().backward()
    theirs(*given).square().sum().backward()
    for (name, found), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("batch, inputs, outputs", [(17, 20, 30), (16, 520, 514), (20, 12, 600)])
def test_gradients_of_a_whole_batch(way: str, batch: int, inputs: int, outputs: int):
    x, weight, bias, grad = draws((batch, 3, inputs), (outputs, inputs), (outputs,), (batch, 3, outputs))
    given = [each.requires_grad_() for each in (x, weight, bias)]
    expected = torch.autograd.grad(F.linear(*given), given, grad)
    for ours, theirs in zip(torch.autograd.grad(linear(*given), given, grad), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)
        assert ours.is_contiguous()
    (alone,) = torch.autograd.grad(linear(x.detach(), weight, bias.detach()), weight, grad)
    torch.testing.assert_close(alone, expected[1], atol=2e-4, rtol=1e-4)


@torch.no_grad()
def test_the_published_network_rounds_by_onednn_hardly_worse_than_by_torch():
    """Width 512: the rounding of the last map, which nothing evens out, is torch's own either way."""
    if not processor.onednn_is_there():
        pytest.skip("this torch lacks the operators of oneDNN")
    options = ModelOptions(arch="trans_enc", layers=2, latent_dim=512)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_denoiser(options, 263, text_width=512, encoder_hides=False).eval()
    x, text = draws((4, 120, 263), (4, 1, 512))
    told = {"lengths": torch.full((4,), 120), "text": text, "text_visible": torch.ones(4, 1, dtype=torch.bool)}
    found, step = {}, torch.full((4,), 5)
    try:
        for choice in ("mkl", "onednn"):
            processor.choose(choice)
            found[choice] = network(x, step, told)
    finally:
        processor.choose("auto")
    exact = network.double()(x.double(), step, told | {"text": text.double()})
    mkl, onednn = (float((found[choice] - exact).square().mean().sqrt()) for choice in ("mkl", "onednn"))
    # 1.2 times at most on the processors tried (an AMD EPYC); with the last map too it would be 1.4 times.
    assert onednn < 1.3 * mkl
