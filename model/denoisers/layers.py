"""Transformer layers after torch's own (post-norm, packed projections, same names and initial values), batch first.

One layer, x [B, T, d] (Vaswani et al. 2017, sections 3.1 to 3.3, norms after the residual sums):
x = norm1(x + attention(x, x)); decoder only: x = norm2(x + attention(x, memory)); x = norm(x + feed_forward(x)).
torch's containers are not used: in evaluation they may take another path, with other results for padded frames.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.denoisers.linear import dense, linear

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu}


def sinusoids(position: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding [N, width] of positions [N] (section 3.5): sine in even channels, cosine in odd ones.

    Computed when asked for, in float32 and in the order of operations of the published table, for any position.
    """
    rate = torch.exp(torch.arange(0, width, 2, device=position.device).float() * (-math.log(10000.0) / width))
    angle = position[:, None].float() * rate
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


def visible_keys(lengths: Tensor | None, frames: int, lead: int) -> Tensor | None:
    """Which of `lead` tokens and `frames` frames may be looked at [B, 1, 1, lead + frames], or None: all of them.

    A sequence without a leading token keeps its first frame, so that no row of an attention is empty.
    """
    if lengths is None or bool((lengths >= frames).all()):
        return None
    last = (lengths + lead).clamp(min=1)
    return (torch.arange(lead + frames, device=lengths.device) < last[:, None])[:, None, None]


class Attention(nn.Module):
    """Multi-head attention with the parameters, and their order, of torch.nn.MultiheadAttention."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, memory: Tensor | None = None, visible: Tensor | None = None) -> Tensor:
        """What x [B, T, d] reads from memory [B, S, d] (from itself without one), where `visible` [B, 1, 1, S].

        It has yet to go through `out_proj`. From a memory of one token everyone reads the same: one row [B, 1, d].
        """
        dropout = self.dropout if self.training else 0.0
        if memory is None:
            q, k, v = self.split(self.project(x, 0, 3), 3)
        elif memory.shape[1] == 1 and not dropout:
            return self.project(memory, 2, 3)
        else:
            (q,) = self.split(self.project(x, 0, 1), 1)
            k, v = self.split(self.project(memory, 1, 3), 2)
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, dropout_p=dropout)
        return read.transpose(1, 2).flatten(2)

    def project(self, x: Tensor, first: int, last: int) -> Tensor:
        """Of queries, keys and values those from `first` to before `last`, [B, T, d] -> [B, T, (last - first) * d]."""
        width = x.shape[-1]
        return linear(x, self.in_proj_weight, self.in_proj_bias, rows=slice(first * width, last * width))

    def split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """[B, T, parts * d] as `parts` tensors [B, heads, T, d / heads]."""
        return x.unflatten(-1, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()


class Layer(nn.Module):
    """An encoder layer, or a decoder layer if it reads a memory; parameters named and ordered as in torch's."""

    def __init__(self, width: int, heads: int, ff_size: int, dropout: float, activation: str, reads_memory: bool):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.self_attn = Attention(width, heads, dropout)
        self.multihead_attn = Attention(width, heads, dropout) if reads_memory else None
        self.linear1 = nn.Linear(width, ff_size)
        self.linear2 = nn.Linear(ff_size, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width) if reads_memory else None
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, visible: Tensor | None, memory: Tensor | None = None, readable: Tensor | None = None
    ) -> Tensor:
        """x [B, T, d], memory [B, S, d], and what of each may be looked at [B, 1, 1, T or S] -> [B, T, d]."""
        x = self.norm1(self.read(x, self.self_attn, x, None, visible))
        if self.multihead_attn is None or self.norm3 is None:
            return self.norm2(self.feed_forward(x))
        x = self.norm2(self.read(x, self.multihead_attn, x, memory, readable))
        return self.norm3(self.feed_forward(x))

    def read(
        self, x: Tensor, attention: Attention, query: Tensor, memory: Tensor | None, visible: Tensor | None
    ) -> Tensor:
        """x and what `query`, x or its norm, reads."""
        return self.add(x, attention.out_proj, attention(query, memory, visible))

    def feed_forward(self, x: Tensor, inner: Tensor | None = None) -> Tensor:
        """x and two linear maps of `inner` (x without one), with the activation between them."""
        inner = dense(self.linear1, x if inner is None else inner, self.activation)
        return self.add(x, self.linear2, self.dropout(inner))

    def add(self, x: Tensor, layer: nn.Linear, y: Tensor) -> Tensor:
        """x and a linear map of y, of which dropout leaves some."""
        if (self.training and self.dropout.p) or y.shape != x.shape:
            return x + self.dropout(dense(layer, y))
        return dense(layer, y, added=x)
