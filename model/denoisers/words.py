"""The words of a sentence as a memory that the frames of a denoiser attend to.

A sentence as one vector hardly tells left from right, or what comes first; its words do.
"""

import torch
from torch import Tensor, nn

from model.denoisers.layers import Layer, sinusoids


class WordReader(nn.Module):
    """Transformer layers over the vectors of words, and a place of their own where nobody said anything.

    `text_width` is that of the words' vectors, `width` that of what comes out.
    """

    def __init__(self, text_width: int, width: int, heads: int, layers: int):
        super().__init__()
        self.project = nn.Linear(text_width, width)
        self.layers = nn.ModuleList(Layer(width, heads, width, 0.0, "gelu", False) for _ in range(layers))
        self.nothing = nn.Parameter(0.02 * torch.randn(1, 1, width))

    def forward(self, words: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Words [B, L, E], `visible` [B, L] -> memory [B, 1 + L, d], what of it is read [B, 1, 1, 1 + L], mean [B, d].

        Words of zeros are hidden. The first place of the memory is the same for every sentence, the mean is without it.
        """
        seen = visible & (words != 0).any(-1)
        x = self.project(words)
        x = x + sinusoids(torch.arange(words.shape[1], device=words.device), x.shape[-1])
        # An attention without keys has no value: where nothing is seen, nothing that is read is used.
        keys = (seen | ~seen.any(1, keepdim=True))[:, None, None]
        for layer in self.layers:
            x = layer(x, keys)
        x = x * seen[..., None]
        memory = torch.cat((self.nothing.expand(len(x), -1, -1).to(x.dtype), x), dim=1)
        readable = torch.cat((seen.new_ones(len(x), 1), seen), dim=1)[:, None, None]
        return memory, readable, x.sum(1) / seen.sum(1, keepdim=True).clamp(min=1)
