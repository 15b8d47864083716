"""Motions and sentences in one space, to evaluate text models without a download: two contrastive encoders.

After TMR (Petrovich et al. 2023, section 3) and the evaluators of Guo et al. (2022): a transformer reads tokens of
several frames beside a query token, whose output is the motion's embedding; two layers turn the vector of a sentence,
which a frozen text encoder gives, into that of the sentence. Embeddings are of unit length.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.denoisers.layers import Layer, sinusoids, visible_keys
from model.options import ContrastiveOptions
from utils.run.errors import UsageError

UNSEEN = 4  # contacts of the feet, the last features of a frame: not shown, as in the published evaluators
SHARPNESS = 10.0  # of the likelihood at the beginning: the inverse of its temperature
SHARPEST = 100.0  # as in CLIP (Radford et al. 2021, section 2.5)


class MotionEncoder(nn.Module):
    """Features [B, T, F] of motions of `lengths` [B] frames -> embeddings [B, D], not yet of unit length.

    Only whole tokens are seen: of 4 frames a token, up to 3 frames at the end of a motion are not.
    """

    def __init__(self, features: int, options: ContrastiveOptions):
        super().__init__()
        width, heads = options.c_width, options.c_heads
        if width % (2 * heads):
            raise UsageError(f"--c_width {width} is not a multiple of twice --c_heads {heads}")
        self.frames_per_token, self.shown = options.c_frames_per_token, features - UNSEEN
        self.embed = nn.Linear(self.shown * self.frames_per_token, width)
        self.query = nn.Parameter(torch.randn(width) * 0.02)
        self.dropout = nn.Dropout(options.c_dropout)
        self.layers = nn.ModuleList(
            Layer(width, heads, options.c_ff_size, options.c_dropout, "gelu", False) for _ in range(options.c_layers)
        )
        self.out = nn.Linear(width, options.c_embedding)

    def forward(self, motion: Tensor, lengths: Tensor) -> Tensor:
        whole = motion.shape[1] // self.frames_per_token
        counts = lengths // self.frames_per_token
        grouped = motion[:, : whole * self.frames_per_token, : self.shown].reshape(len(motion), whole, -1)
        tokens = self.embed(grouped)
        tokens = tokens + sinusoids(torch.arange(whole, device=motion.device), tokens.shape[-1])
        tokens = torch.cat((self.query.expand(len(motion), 1, -1), tokens), dim=1)
        tokens, visible = self.dropout(tokens), visible_keys(counts, whole, 1)
        for layer in self.layers:
            tokens = layer(tokens, visible)
        return self.out(tokens[:, 0])


class Contrastive(nn.Module):
    """Both encoders, and how sharply a match counts. `text_width` is that of the vector of a sentence."""

    def __init__(self, features: int, text_width: int, options: ContrastiveOptions):
        super().__init__()
        self.motion = MotionEncoder(features, options)
        self.text = nn.Sequential(
            nn.Linear(text_width, options.c_ff_size),
            nn.GELU(),
            nn.Dropout(options.c_dropout),
            nn.Linear(options.c_ff_size, options.c_embedding),
        )
        self.log_sharpness = nn.Parameter(torch.tensor(SHARPNESS).log())

    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor:
        """Embeddings [B, D] of unit length of motions: normalised features [B, T, F], at least one token long."""
        return F.normalize(self.motion(motion, lengths).float(), dim=-1)

    def embed_text(self, vectors: Tensor) -> Tensor:
        """Embeddings [B, D] of unit length of sentences, from their vectors [B, W]."""
        return F.normalize(self.text(vectors).float(), dim=-1)

    def sharpness(self) -> Tensor:
        """What the cosine of a pair is multiplied by to be its log-likelihood."""
        return self.log_sharpness.exp().clamp(max=SHARPEST)


def contrastive_loss(text: Tensor, motion: Tensor, sharpness: Tensor, alike: Tensor) -> Tensor:
    """The symmetric InfoNCE loss of each pair [B] (van den Oord et al. 2018; TMR, equation 2).

    text and motion [B, D] are of unit length; pairs that `alike` [B, B] (symmetric) calls descriptions of one thing are
    no negatives of one another.
    """
    with torch.autocast(text.device.type, enabled=False):
        scores = sharpness * text @ motion.T
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(alike & ~own, -torch.inf)
    right = torch.arange(len(scores), device=scores.device)
    ways = (F.cross_entropy(each, right, reduction="none") for each in (scores, scores.T))
    return sum(ways, torch.zeros(len(scores), device=scores.device)) / 2
