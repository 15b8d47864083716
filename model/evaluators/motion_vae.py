"""The network that evaluates generated motion: a transformer variational autoencoder of clips (MAS, Kapon et al. 2023,
section 5; after ACTOR, Petrovich et al. 2021, section 3).

Encoder: layers over [mu query, sigma query, frames]; what comes out in the first two places is the mean and the log
variance of the latent. Decoder: layers over nothing but positions, which read the latent. A clip's embedding is that
mean.
The weights lie in files under the published names, complete for the published program's strict loading.
"""

import torch
from torch import Tensor, nn

from model.denoisers.layers import Layer, sinusoids, visible_keys
from model.denoisers.published import TABLE_ROWS, renamed
from model.options import EvaluatorOptions
from utils.run.errors import UsageError

QUERIES = 2
PUBLISHED_PREFIX = {
    "encoder.mu_query": "encoder.mu_query",
    "encoder.sigma_query": "encoder.sigma_query",
    "encoder.embed_pose.": "encoder.input_process.poseEmbedding.",
    "encoder.layers.": "encoder.seqTransEncoder.layers.",
    "decoder.head.": "decoder.output_process.poseFinal.",
    "decoder.layers.": "decoder.seqTransDecoder.layers.",
}
OUR_PREFIX = {theirs: ours for ours, theirs in PUBLISHED_PREFIX.items()}
TABLES = ("encoder.sequence_pos_encoder.pe", "decoder.sequence_pos_encoder.pe")


class MotionEncoder(nn.Module):
    """Frames [B, T, F] -> mean and log variance of the latent, both [B, d]."""

    def __init__(self, features: int, options: EvaluatorOptions):
        super().__init__()
        width = options.e_latent_dim
        self.embed_pose = nn.Linear(features, width)
        self.layers = _layers(options, reads_memory=False)
        self.mu_query = nn.Parameter(torch.randn(width))
        self.sigma_query = nn.Parameter(torch.randn(width))
        self.dropout = nn.Dropout(options.e_dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Frames beyond the `lengths` [B] are not looked at (None: all are)."""
        queries = torch.stack((self.mu_query, self.sigma_query)).expand(len(x), -1, -1)
        sequence = torch.cat((queries, self.embed_pose(x).to(queries.dtype)), dim=1)
        sequence = self.dropout(sequence + _positions(sequence.shape[1], self.mu_query))
        visible = visible_keys(lengths, x.shape[1], QUERIES)
        for layer in self.layers:
            sequence = layer(sequence, visible)
        return sequence[:, 0], sequence[:, 1]


class MotionDecoder(nn.Module):
    """A latent [B, d] -> frames [B, T, F]."""

    def __init__(self, features: int, options: EvaluatorOptions):
        super().__init__()
        self.head = nn.Linear(options.e_latent_dim, features)
        self.layers = _layers(options, reads_memory=True)
        self.dropout = nn.Dropout(options.e_dropout)

    def forward(self, latent: Tensor, frames: int, lengths: Tensor | None) -> Tensor:
        """Frames beyond the `lengths` [B] are not looked at, but are made too."""
        sequence = self.dropout(_positions(frames, self.head.weight).expand(len(latent), -1, -1))
        visible = visible_keys(lengths, frames, 0)
        for layer in self.layers:
            sequence = layer(sequence, visible, latent[:, None])
        return self.head(sequence)


class MotionVAE(nn.Module):
    """The autoencoder of clips of `features` numbers a frame. Sub-modules are made in the published order."""

    def __init__(self, features: int, options: EvaluatorOptions):
        super().__init__()
        width, heads = options.e_latent_dim, options.e_num_heads
        if width % 2 or width % heads:
            raise UsageError(f"--e_latent_dim {width} is not even and a multiple of --e_num_heads {heads}")
        self.encoder = MotionEncoder(features, options)
        self.decoder = MotionDecoder(features, options)

    def forward(self, x: Tensor, lengths: Tensor | None, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frames [B, T, F], normalised, and standard noise [B, d] -> the frames again, mean and log variance [B, d].

        The latent is mean + exp(log variance / 2) * noise (Kingma & Welling 2014, equation 10).
        """
        mu, logvar = self.encoder(x, lengths)
        latent = mu + (logvar / 2).exp() * noise
        return self.decoder(latent, x.shape[1], lengths), mu, logvar


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """Divergence [B] of N(mu, exp(logvar)) [B, d] from the standard normal, summed over d (ibid., appendix B)."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(-1)


def from_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a `MotionVAE` from a published one. Raises DataError for a name that no evaluator has."""
    return renamed({name: value for name, value in state.items() if name not in TABLES}, OUR_PREFIX, "evaluator")


def to_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published state dict from that of a `MotionVAE`, positional tables and all."""
    width = state["encoder.mu_query"].shape[0]
    table = sinusoids(torch.arange(TABLE_ROWS), width)[:, None]
    return renamed(state, PUBLISHED_PREFIX, "evaluator") | dict.fromkeys(TABLES, table)


def _layers(options: EvaluatorOptions, reads_memory: bool) -> nn.ModuleList:
    size = (options.e_latent_dim, options.e_num_heads, options.e_ff_size, options.e_dropout, options.e_activation)
    return nn.ModuleList(Layer(*size, reads_memory=reads_memory) for _ in range(options.e_num_layers))


def _positions(count: int, like: Tensor) -> Tensor:
    """The sinusoids [count, d] of the first positions, in the type of [..., d]."""
    return sinusoids(torch.arange(count, device=like.device), like.shape[-1]).to(like.dtype)
