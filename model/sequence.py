"""The published denoisers of motion: transformer encoder, transformer decoder and GRU (Tevet et al. 2023, section 3).

x [B, T, F], diffusion step [B] -> [B, T, F]. The step becomes one token z = mlp(sinusoids(step)), plus the action's
vector. trans_enc: layers over [z; frames]. trans_dec: layers over the frames, which read z as memory (with
`emb_trans_dec` z also leads them). gru: z is appended to every frame. Positions are sinusoids added to the sequence.
"""

import torch
from torch import Tensor, nn

from model.conditions import action_vector
from model.layers import Layer, sinusoids, visible_keys
from utils.run.errors import UsageError

# Without gradients a CPU takes a large batch in parts: their activations stay near the core and, being under 32 MB
# each, are not handed back to the system and faulted in again at every layer.
CPU_TOKENS_AT_ONCE = 2048


class SequenceDenoiser(nn.Module):
    """A published architecture.

    `recurrence` batch runs the GRU across the samples of a batch, `padding` attended lets the decoder look at padded
    frames: both are what published checkpoints were trained with. The encoder always hides padded frames.
    Sub-modules are made in the published order, so that an optimiser state, a list by position, fits both ways.
    """

    def __init__(
        self,
        arch: str,
        features: int,
        latent_dim: int,
        layers: int,
        num_heads: int,
        ff_size: int,
        dropout: float,
        activation: str,
        emb_trans_dec: bool = False,
        num_actions: int = 0,
        recurrence: str = "time",
        padding: str = "masked",
    ):
        super().__init__()
        if latent_dim % 2 or latent_dim % num_heads:
            raise UsageError(f"--latent_dim {latent_dim} is not even and a multiple of --num_heads {num_heads}")
        self.arch = arch
        self.over_batch = recurrence == "batch"
        self.masked = arch == "trans_enc" or padding == "masked"
        self.lead = int(arch == "trans_enc" or (arch == "trans_dec" and emb_trans_dec))
        is_gru = arch == "gru"
        self.embed_pose = nn.Linear(features + latent_dim * is_gru, latent_dim)
        if is_gru:
            self.gru = nn.GRU(latent_dim, latent_dim, layers, batch_first=True)
        else:
            size = (latent_dim, num_heads, ff_size, dropout, activation)
            self.layers = nn.ModuleList(Layer(*size, reads_memory=arch == "trans_dec") for _ in range(layers))
        self.embed_step = nn.Sequential(nn.Linear(latent_dim, latent_dim), nn.SiLU(), nn.Linear(latent_dim, latent_dim))
        self.embed_action = nn.Embedding(num_actions, latent_dim) if num_actions else None
        self.head = nn.Linear(latent_dim, features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, step: Tensor, lengths: Tensor | None = None, action: Tensor | None = None) -> Tensor:
        """The network's answer [B, T, F] to x [B, T, F] at original diffusion steps [B].

        Frames at or beyond `lengths` [B] are padding; an action [B] of -1, or none at all, is no condition.
        """
        frames, dtype = x.shape[1], self.head.weight.dtype
        token = self.embed_step(sinusoids(step, self.head.in_features).to(dtype))[:, None]  # [B, 1, d]
        if self.embed_action is not None and action is not None:
            token = token + action_vector(self.embed_action, action)[:, None]
        sequence = x.to(dtype)
        if self.arch == "gru":
            sequence = torch.cat((sequence, token.expand(-1, frames, -1)), dim=-1)
        sequence = self.embed_pose(sequence)
        if self.lead:
            sequence = torch.cat((token, sequence), dim=1)
        position = torch.arange(sequence.shape[1], device=x.device)
        sequence = self.dropout(sequence + sinusoids(position, sequence.shape[-1]).to(dtype))
        if self.arch == "gru":
            sequence = self.recur(sequence)
        else:
            visible = visible_keys(lengths, frames, self.lead) if self.masked else None
            sequence = self.attend(sequence, visible, token if self.arch == "trans_dec" else None)
        return self.head(sequence[:, self.lead :]).to(x.dtype)

    def recur(self, x: Tensor) -> Tensor:
        """The GRU over the frames of x [B, T, d], or over its samples."""
        if self.over_batch:
            return self.gru(x.transpose(0, 1))[0].transpose(0, 1)
        return self.gru(x)[0]

    def attend(self, x: Tensor, visible: Tensor | None, memory: Tensor | None) -> Tensor:
        """All layers on x [B, T, d], whose keys may be hidden and who may read a memory [B, 1, d]."""
        if torch.is_grad_enabled() or x.device.type != "cpu":
            return self.run_layers(x, visible, memory)
        part = max(1, CPU_TOKENS_AT_ONCE // x.shape[1])
        count = -(-len(x) // part)
        parts = [[None] * count if rest is None else rest.split(part) for rest in (visible, memory)]
        return torch.cat([self.run_layers(*each) for each in zip(x.split(part), *parts, strict=True)])

    def run_layers(self, x: Tensor, visible: Tensor | None, memory: Tensor | None) -> Tensor:
        for layer in self.layers:
            x = layer(x, visible, memory)
        return x
