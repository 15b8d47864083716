"""Attention with rotary positions, forward and backward, against the plain way with autograd."""

import pytest
import torch

from model.denoisers.rotary import rotary_attention, rotary_table, rotate


def plain(qkv: torch.Tensor, heads: int, table: tuple[torch.Tensor, torch.Tensor], hidden: torch.Tensor | None):
    """The same, written out."""
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)

    def turned(x: torch.Tensor) -> torch.Tensor:
        (cos, sin), (first, second) = table, x.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)

    scores = turned(q) @ turned(k).mT * q.shape[-1] ** -0.5
    return ((scores if hidden is None else scores + hidden).softmax(-1) @ v).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("hides", [False, True])
def test_it_is_the_plain_way(hides: bool):
    qkv = torch.randn(3, 7, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    table = tuple(each.double() for each in rotary_table(7, 4, torch.device("cpu")))
    hidden = None
    if hides:
        hidden = torch.zeros(3, 1, 1, 7).masked_fill(
            torch.arange(7) >= torch.tensor([7, 4, 1])[:, None, None, None], -torch.inf
        )
    found, expected = (way(qkv, 2, table, hidden) for way in (rotary_attention, plain))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)  # its softmax is in float32
    grad = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, theirs = (torch.autograd.grad(each, qkv, grad)[0] for each in (found, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_bfloat16_is_near():
    qkv = torch.randn(2, 9, 24, generator=torch.Generator().manual_seed(0))
    table = rotary_table(9, 4, torch.device("cpu"))
    halves = [qkv.to(kind).detach().clone().requires_grad_() for kind in (torch.float32, torch.bfloat16)]
    exact, rounded = (rotary_attention(each, 2, table, None) for each in halves)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, atol=0.05, rtol=0)
    for each in (exact, rounded):
        each.square().sum().backward()
    assert halves[1].grad is not None and halves[1].grad.dtype == torch.bfloat16
    torch.testing.assert_close(halves[1].grad.float(), halves[0].grad, atol=0.2, rtol=0)


def test_rotation_undoes_itself_and_takes_a_place():
    x, (cos, sin) = torch.randn(2, 3, 5, 8), rotary_table(5, 8, torch.device("cpu"))
    place = torch.empty(2, 5, 3, 8).transpose(1, 2)
    assert rotate(x, (cos, sin), place) is place
    torch.testing.assert_close(rotate(place, (cos, -sin)), x)
