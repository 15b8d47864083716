"""The published denoisers of motion: transformer encoder, transformer decoder and GRU (Tevet et al. 2023, section 3).

x [B, T, F], diffusion step [B], condition -> [B, T, F]. The step becomes one token z = mlp(sinusoids(step)), plus the
vectors of the action and of the goal. trans_enc: layers over [z + text; frames]. trans_dec: layers over the frames,
which read z + text as memory, a token for each word (with `emb_trans_dec` z also leads the frames). gru: z + text is
appended to every frame. Positions are sinusoids added to the sequence. A prefix of known frames (Tevet et al. 2025,
DiP, section 3.2) leads the frames through the network; what comes out for it is dropped.
"""

import torch
from torch import Tensor, nn

from model.denoisers.conditions import Condition, GoalEncoder, action_vector
from model.denoisers.layers import Layer, sinusoids, visible_keys
from model.denoisers.linear import dense
from utils.run.errors import UsageError

# Without gradients a CPU takes a large batch in parts: their activations stay near the core and, being under 32 MB
# each, are not handed back to the system and faulted in again at every layer.
CPU_TOKENS_AT_ONCE = 2048


class SequenceDenoiser(nn.Module):
    """A published architecture.

    `recurrence` batch runs the GRU across the samples of a batch, `mask_frames` False lets a transformer look at padded
    frames: both are what published checkpoints were trained with. `text_width` is that of the vectors of a text (0: no
    text), `goals` the kind of goal encoder ("": none). Sub-modules are made in the published order, so that an
    optimiser state, a list by position, fits both ways.
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
        mask_frames: bool = True,
        text_width: int = 0,
        emb_policy: str = "add",
        goals: str = "",
        goal_layers: int = 1,
    ):
        super().__init__()
        if latent_dim % 2 or latent_dim % num_heads:
            raise UsageError(f"--latent_dim {latent_dim} is not even and a multiple of --num_heads {num_heads}")
        self.arch = arch
        self.over_batch = recurrence == "batch"
        self.mask_frames = mask_frames
        self.step_is_word = emb_policy == "concat"
        self.lead = int(arch == "trans_enc" or (arch == "trans_dec" and emb_trans_dec))
        is_gru = arch == "gru"
        self.embed_pose = nn.Linear(features + latent_dim * is_gru, latent_dim)
        self.embed_goal = GoalEncoder(goals, latent_dim, goal_layers) if goals else None
        if is_gru:
            self.gru = nn.GRU(latent_dim, latent_dim, layers, batch_first=True)
        else:
            size = (latent_dim, num_heads, ff_size, dropout, activation)
            self.layers = nn.ModuleList(Layer(*size, reads_memory=arch == "trans_dec") for _ in range(layers))
        self.embed_step = nn.Sequential(nn.Linear(latent_dim, latent_dim), nn.SiLU(), nn.Linear(latent_dim, latent_dim))
        self.embed_text = nn.Linear(text_width, latent_dim) if text_width else None
        self.embed_action = nn.Embedding(num_actions, latent_dim) if num_actions else None
        self.head = nn.Linear(latent_dim, features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, step: Tensor, condition: Condition) -> Tensor:
        """The network's answer [B, T, F] to x [B, T, F] at original diffusion steps [B], told the `condition`.

        Its entries are those of model.conditions. What the network was not built for is ignored.
        Raises UsageError for a text of several vectors where the architecture takes one.
        """
        dtype = self.head.weight.dtype
        token = self.step_token(step, condition)  # [B, 1, d]
        text = self.read_text(condition, len(x))  # [B, L, d] or None
        shown = token if text is None or self.arch == "trans_dec" else token + text
        sequence, lengths = x.to(dtype), condition.get("lengths")
        if "prefix" in condition:
            sequence = torch.cat((condition["prefix"].to(sequence), sequence), dim=1)
            lengths = None if lengths is None else lengths + condition["prefix"].shape[1]
        frames = sequence.shape[1]
        if self.arch == "gru":
            sequence = torch.cat((sequence, shown.expand(-1, frames, -1)), dim=-1)
        sequence = dense(self.embed_pose, sequence)
        if self.lead:
            sequence = torch.cat((shown, sequence), dim=1)
        position = torch.arange(sequence.shape[1], device=x.device)
        sequence = self.dropout(sequence + sinusoids(position, sequence.shape[-1]).to(dtype))
        if self.arch == "gru":
            sequence = self.recur(sequence)
        else:
            visible = visible_keys(lengths, frames, self.lead) if self.mask_frames else None
            memory = self.memory(token, text, condition) if self.arch == "trans_dec" else (None, None)
            sequence = self.attend(sequence, visible, *memory)
        # By torch's own map: a hundredth of the work, whose rounding nothing evens out; oneDNN's is 1.4 times as large.
        return self.head(sequence[:, sequence.shape[1] - x.shape[1] :]).to(x.dtype)

    def step_token(self, step: Tensor, condition: Condition) -> Tensor:
        """The token [B, 1, d] of the step, the action and the goal."""
        token = self.embed_step(sinusoids(step, self.head.in_features).to(self.head.weight.dtype))
        if self.embed_action is not None and "action" in condition:
            token = token + action_vector(self.embed_action, condition["action"])
        if self.embed_goal is not None and "goal" in condition:
            token = token + self.embed_goal(condition)
        return token[:, None]

    def read_text(self, condition: Condition, batch: int) -> Tensor | None:
        """The text's vectors [B, L, d]; one of a hidden text where there is none, None if the network takes no text."""
        if self.embed_text is None:
            return None
        weight = self.embed_text.weight
        text = condition.get("text")
        text = weight.new_zeros(batch, 1, weight.shape[1]) if text is None else text.to(weight.dtype)
        if self.arch != "trans_dec" and text.shape[1] != 1:
            raise UsageError(f"--arch {self.arch} takes one vector a text, not {text.shape[1]}: choose trans_dec")
        return self.embed_text(text)

    def memory(self, token: Tensor, text: Tensor | None, condition: Condition) -> tuple[Tensor, Tensor | None]:
        """What a decoder reads [B, S, d], and which of it may be looked at [B, 1, 1, S] (None: all).

        The step's token is added to each vector of the text or, as `emb_policy` says, is a word of its own before them.
        """
        if text is None:
            return token, None
        visible = condition.get("text_visible") if text.shape[1] > 1 else None
        if visible is not None:  # the first word always: no row of an attention may be empty
            visible = torch.cat((torch.ones_like(visible[:, :1]), visible[:, 1 - self.step_is_word :]), dim=1)
            visible = visible[:, None, None]
        return torch.cat((token, text), dim=1) if self.step_is_word else token + text, visible

    def recur(self, x: Tensor) -> Tensor:
        """The GRU over the frames of x [B, T, d], or over its samples."""
        if self.over_batch:
            return self.gru(x.transpose(0, 1))[0].transpose(0, 1)
        return self.gru(x)[0]

    def attend(self, x: Tensor, visible: Tensor | None, memory: Tensor | None, readable: Tensor | None) -> Tensor:
        """All layers on x [B, T, d], whose keys may be hidden and who may read a memory [B, S, d], `readable` of it."""
        if torch.is_grad_enabled() or x.device.type != "cpu":
            return self.run_layers(x, visible, memory, readable)
        part = max(1, CPU_TOKENS_AT_ONCE // x.shape[1])
        count = -(-len(x) // part)
        parts = [[None] * count if rest is None else rest.split(part) for rest in (visible, memory, readable)]
        return torch.cat([self.run_layers(*each) for each in zip(x.split(part), *parts, strict=True)])

    def run_layers(self, x: Tensor, visible: Tensor | None, memory: Tensor | None, readable: Tensor | None) -> Tensor:
        for layer in self.layers:
            x = layer(x, visible, memory, readable)
        return x
