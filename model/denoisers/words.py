"""The words of a sentence as a memory that the frames of a denoiser attend to.

A sentence as one vector hardly tells left from right, or what comes first; its words do.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.denoisers.layers import Layer, sinusoids
from model.denoisers.linear import dense

# `word_memory` [B, 1 + L, .]: keys and values of every layer that attends to words, its first place being the same for
# every sentence; `words_read` [B, 1 + L]: which of them are read; `words_told` [B, d]: the sentence for all frames.
Memory = dict[str, Tensor]


class WordReader(nn.Module):
    """Transformer layers over the vectors of words, and a place of their own where nobody said anything.

    `text_width` is that of the words' vectors, `width` that of the frames', of which `readers` layers attend to words.
    """

    def __init__(self, text_width: int, width: int, heads: int, layers: int, readers: int):
        super().__init__()
        self.heads, self.readers = heads, readers
        self.project = nn.Linear(text_width, width)
        self.layers = nn.ModuleList(Layer(width, heads, width, 0.0, "gelu", False) for _ in range(layers))
        self.nothing = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.memory = nn.Linear(width, 2 * readers * width)
        self.told = nn.Linear(width, width)
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)

    def forward(self, words: Tensor, visible: Tensor) -> Memory:
        """What the frames attend to, of words [B, L, E] where `visible` [B, L]; words of zeros are hidden."""
        seen = visible & (words != 0).any(-1)
        x = self.project(words)
        x = x + sinusoids(torch.arange(words.shape[1], device=words.device), x.shape[-1])
        # An attention without keys has no value: where nothing is seen, nothing that is read is used.
        keys = (seen | ~seen.any(1, keepdim=True))[:, None, None]
        for layer in self.layers:
            x = layer(x, keys)
        x = x * seen[..., None]
        told = dense(self.told, x.sum(1) / seen.sum(1, keepdim=True).clamp(min=1))
        x = torch.cat((self.nothing.expand(len(x), -1, -1).to(x.dtype), x), dim=1)
        readable = torch.cat((seen.new_ones(len(x), 1), seen), dim=1)
        return {"word_memory": dense(self.memory, x), "words_read": readable, "words_told": told}

    def split(self, memory: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values [B, heads, 1 + L, d / heads] of each layer that attends to words."""
        parts = memory.unflatten(-1, (2 * self.readers, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        return list(zip(parts[::2], parts[1::2], strict=True))


class WordAttention(nn.Module):
    """What frames read from words: queries of their own, keys and values of the reader. As built it reads nothing."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, readable: Tensor) -> Tensor:
        """x [B, T, d] with what it reads where `readable` [B, 1, 1, 1 + L]."""
        query = dense(self.query, F.layer_norm(x, x.shape[-1:])).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        read = F.scaled_dot_product_attention(query, keys, values, attn_mask=readable)
        return x + dense(self.out, read.transpose(1, 2).flatten(2))
