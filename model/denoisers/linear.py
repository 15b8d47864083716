"""Linear maps as the processor does them fastest (utils/run/processor.py), with what stands around them in one step.

Frozen float32 weights are packed once for oneDNN, and again when they change; then activation and residual sum need
no pass over memory of their own. Trained weights are packed at every use, backward too. Everything else (bfloat16,
other devices) is torch's own.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakIdKeyDictionary

from utils.run.processor import ways

Activation = Callable[[Tensor], Tensor]
FUSED: dict[Any, tuple[str, str]] = {F.gelu: ("gelu", "none"), F.relu: ("relu", "")}  # oneDNN's own
ALL = slice(None)
ROWS = 512  # of x that weights are packed for; from 16 on the best order is the same
WIDE = 512
_packed: Any = WeakIdKeyDictionary()


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: Activation | None = None,
    added: Tensor | None = None,
    rows: slice = ALL,
) -> Tensor:
    """added + activation(x @ weight.T + bias), of which one at most is given: x [..., K], weight [N, K] -> [..., N].

    `rows` are those of the weight, and of the bias, that are taken.
    """
    trained = torch.is_grad_enabled() and (weight.requires_grad or x.requires_grad)
    onednn = (ways().trained if trained else ways().frozen) == "onednn" and _is_plain(x, weight)
    bias = bias if bias is None or rows == ALL else bias[rows]
    if trained or not onednn:
        own = weight if rows == ALL else weight[rows]
        y = _Trained.apply(x, own, bias) if onednn else F.linear(x, own, bias)
    elif added is not None:
        return torch.ops.mkldnn._linear_pointwise.binary(x, added.contiguous(), packed(weight, rows), bias, "add")
    else:
        name, algorithm = FUSED.get(activation, ("none", ""))
        y = torch.ops.mkldnn._linear_pointwise(x, packed(weight, rows), bias, name, [], algorithm)
        activation = None if activation in FUSED else activation
    y = y if activation is None else activation(y)
    return y if added is None else added + y


def dense(layer: nn.Linear, x: Tensor, activation: Activation | None = None, added: Tensor | None = None) -> Tensor:
    """`linear` with the weights of a layer."""
    return linear(x, layer.weight, layer.bias, activation, added)


def packed(weight: Tensor, rows: slice = ALL) -> Tensor:
    """Rows of a weight [N, K] in oneDNN's order, kept until it changes or is gone."""
    state = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
    kept = _packed.get(weight)
    if kept is None or kept[0] != state:
        kept = _packed[weight] = (state, {})
    key = (rows.start, rows.stop)
    if key not in kept[1]:
        kept[1][key] = torch.ops.mkldnn._reorder_linear_weight(weight.detach()[rows].contiguous(), ROWS)
    return kept[1][key]


def _is_plain(*tensors: Tensor) -> bool:
    """Whether these are what the operators take: numbers in float32 on the CPU, and no autocast."""
    if torch.is_autocast_enabled("cpu"):
        return False
    return all(each.device.type == "cpu" and each.dtype == torch.float32 and each.numel() for each in tensors)


class _Trained(torch.autograd.Function):
    """The map of weights that change: all three products of forward and backward through oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None
        order = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
        return torch.ops.mkldnn._linear_pointwise(x, order, bias, "none", [], "")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        to_x, to_weight, to_bias = (ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.biased)
        # As a convolution of one pixel: its backward takes rows and weights as they lie. For wide weights its own
        # gradient of them is slow, half as fast as that of linear maps, which takes copies.
        wide = to_weight and min(weight.shape) >= WIDE
        shape, pictures = x.shape, [_picture(each) for each in (grad, x)]
        mask = [to_x, to_weight and not wide, to_bias and not wide]
        sizes = ([len(weight)], [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
        found = torch.ops.aten.convolution_backward(*pictures, weight[..., None, None], *sizes, mask)
        if wide:
            rows = (each.reshape(-1, each.shape[-1]).contiguous().to_mkldnn() for each in (grad, x))
            found = (found[0], *torch.ops.aten.mkldnn_linear_backward_weights(*rows, weight, ctx.biased))
        return (
            found[0].permute(0, 2, 3, 1).reshape(shape) if to_x else None,
            found[1].view_as(weight) if to_weight else None,
            found[2] if to_bias else None,
        )


def _picture(rows: Tensor) -> Tensor:
    """Rows [..., K] as pictures [B, K, L, 1] whose channels lie together: torch leaves fewer than 16 to MKL."""
    count = len(rows) if rows.dim() > 2 else math.gcd(rows.numel() // rows.shape[-1], 64)
    return rows.reshape(count, -1, 1, rows.shape[-1]).contiguous().permute(0, 3, 1, 2)
