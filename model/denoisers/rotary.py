"""Multi-head self-attention with rotary positions (Su et al. 2021), forward and backward by hand.

Queries, keys and values come from one projection and their gradients go back into one, so that nothing is copied to
be taken apart or put together, and the rotation brings queries and keys into the order of the products.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Table = tuple[Tensor, Tensor]


def rotary_table(length: int, width: int, device: torch.device) -> Table:
    """Cosine and sine [length, width / 2] of the rotation of each pair of channels at each position."""
    rate = torch.exp(torch.arange(0, width, 2, device=device) * (-6.907755278982137 / width))  # base 1000
    angle = torch.arange(length, device=device)[:, None] * rate
    return angle.cos(), angle.sin()


def rotate(x: Tensor, table: Table, out: Tensor | None = None) -> Tensor:
    """Rotate the channel pairs (first half, second half) of x [..., L, width] by their positions, into `out`."""
    out = torch.empty_like(x) if out is None else out
    (cos, sin), half = table, x.shape[-1] // 2
    for part, other, sign in ((slice(half), slice(half, None), -1), (slice(half, None), slice(half), 1)):
        torch.mul(x[..., part], cos, out=out[..., part])
        out[..., part].addcmul_(x[..., other], sin, value=sign)
    return out


def rotary_attention(qkv: Tensor, heads: int, table: Table, hidden: Tensor | None) -> Tensor:
    """What each token of qkv [B, L, 3 d] reads [B, L, d]; those where `hidden` [B, 1, 1, L] is -inf are not read."""
    return _Attention.apply(qkv, heads, *table, hidden)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int, cos: Tensor, sin: Tensor, hidden: Tensor | None) -> Tensor:
        batch, length, _ = qkv.shape
        each = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # [3, B, heads, L, w]
        # The product of a table in float32 is float32; out of a strided place it comes in the order of the products.
        qk = rotate(each[:2].to(cos.dtype), (cos, sin), torch.empty(each[:2].shape, dtype=cos.dtype, device=cos.device))
        q, k, v = (x.reshape(batch * heads, length, -1).to(qkv.dtype) for x in (*qk, each[2]))
        scale = q.shape[-1] ** -0.5
        scores = torch.baddbmm(q.new_zeros(1), q, k.transpose(1, 2), beta=0, alpha=scale)
        if hidden is not None:
            scores = (scores.unflatten(0, (batch, heads)) + hidden.to(scores.dtype)).flatten(0, 1)
        weights = scores.float().softmax(-1).to(v.dtype)
        ctx.save_for_backward(q, k, v, weights, cos, sin)
        ctx.batch, ctx.scale = batch, scale
        return (weights @ v).unflatten(0, (batch, heads)).transpose(1, 2).flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, k, v, weights, cos, sin = ctx.saved_tensors
        split = (ctx.batch, len(q) // ctx.batch)
        grad = grad.unflatten(-1, (split[1], -1)).transpose(1, 2).reshape(q.shape).to(v.dtype)
        to_weights = (grad @ v.transpose(1, 2)).float()
        to_scores = torch.ops.aten._softmax_backward_data(to_weights, weights.float(), -1, torch.float32).to(q.dtype)
        to_qkv = torch.empty(split[0], q.shape[1], 3, split[1], q.shape[2], dtype=q.dtype, device=q.device)
        each = to_qkv.permute(2, 0, 3, 1, 4)
        for place, left, right in ((each[0], to_scores, k), (each[1], to_scores.transpose(1, 2), q)):
            turned = torch.baddbmm(q.new_zeros(1), left, right, beta=0, alpha=ctx.scale).unflatten(0, split)
            if turned.dtype == cos.dtype:
                rotate(turned, (cos, -sin), place)
            else:
                place.copy_(rotate(turned.to(cos.dtype), (cos, -sin)))
        each[2].copy_((weights.transpose(1, 2) @ grad).unflatten(0, split))
        return to_qkv.flatten(2), None, None, None, None
