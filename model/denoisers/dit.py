"""A diffusion transformer for motion of any length: several frames a token, rotary positions, adaptive norms.

Tokens of `frames_per_token` frames are projected to width d, run through pre-norm transformer layers whose norms are
scaled, shifted and gated by the diffusion step and what the model is told (adaLN-zero, Peebles & Xie 2023, section
3.2; one table for all layers with an offset for each, Chen et al. 2023, PixArt-alpha), with rotary positions (Su et al.
2021), and projected back. Where a sentence is given word by word, every second layer attends to its words
(PixArt-alpha, section 2.2). Output layers start at zero. Frames shown before the motion (the prefix of DiP) are tokens
with a mark of their own. x: [B, T, F], step: [B], condition -> [B, T, F].
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.denoisers.conditions import action_vector
from model.denoisers.linear import dense
from model.denoisers.rotary import Table, rotary_attention, rotary_table
from model.denoisers.words import WordAttention, WordReader
from utils.run.errors import UsageError

Words = tuple[Tensor, Tensor, Tensor]  # keys and values of one layer [B, heads, S, w], which are read [B, 1, 1, S]
CPU_TOKENS_AT_ONCE = 1024  # without gradients: their activations stay near the core


def sinusoid(step: Tensor, width: int) -> Tensor:
    """Sinusoidal features [B, width] of diffusion steps [B] (Vaswani et al. 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, width, 2, device=step.device) * (-9.210340371976184 / width))
    angle = step[:, None].float() * rate
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


class DiTLayer(nn.Module):
    """One transformer layer; `modulation` [B, 6, d] holds shift, scale, gate of attention and of the feed-forward.

    With `reads_words` its tokens attend to a memory of words between the two.
    """

    def __init__(self, width: int, heads: int, ff_size: int, reads_words: bool):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, ff_size)
        self.down = nn.Linear(ff_size, width)
        self.offset = nn.Parameter(torch.zeros(6, width))
        self.words = WordAttention(width, heads) if reads_words else None

    def forward(
        self, x: Tensor, modulation: Tensor, table: Table, hidden: Tensor | None, memory: Words | None
    ) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + self.offset).unsqueeze(2).unbind(1)  # [B, 1, d]
        y = torch.addcmul(shift1, F.layer_norm(x, x.shape[-1:]), 1 + scale1)
        read = rotary_attention(dense(self.qkv, y), self.heads, table, hidden)
        x = torch.addcmul(x, gate1, dense(self.out, read))
        if self.words is not None and memory is not None:
            x = self.words(x, *memory)
        y = torch.addcmul(shift2, F.layer_norm(x, x.shape[-1:]), 1 + scale2)
        return torch.addcmul(x, gate2, dense(self.down, dense(self.up, y, F.gelu)))


class DiT(nn.Module):
    """The whole network.

    `text_width` is that of the vectors of a sentence, of which it reads the mean (0: it reads none), or the first and,
    with `word_layers` of their own, the others as words. `context` is the number of frames that it is shown before the
    motion, `goals` what reads where joints shall be. `smooth_width` is that of a convolution over nine frames that sees
    across the seams of the tokens (0: none), `plan_width` that of a plan, which tells what is done in each frame.
    `text_limit` is the longest that the vector of a sentence, read, may be (0: any).
    """

    def __init__(
        self,
        features: int,
        latent_dim: int,
        layers: int,
        num_heads: int,
        ff_size: int,
        frames_per_token: int,
        num_actions: int = 0,
        text_width: int = 0,
        context: int = 0,
        goals: nn.Module | None = None,
        smooth_width: int = 0,
        word_layers: int = 0,
        plan_width: int = 0,
        text_limit: float = 0.0,
    ):
        super().__init__()
        if num_heads < 1 or latent_dim % (2 * num_heads):
            raise UsageError(f"--latent_dim {latent_dim} is not a multiple of twice --num_heads {num_heads}")
        if frames_per_token < 1:
            raise UsageError(f"--frames_per_token {frames_per_token}: at least 1")
        if context % frames_per_token:
            raise UsageError(f"--context_len {context} is not a multiple of --frames_per_token {frames_per_token}")
        self.frames_per_token, self.context = frames_per_token, context
        self.latent_dim, self.text_width, self.text_limit = latent_dim, text_width, text_limit
        self.head_width = latent_dim // num_heads
        self.embed = nn.Linear(features * frames_per_token, latent_dim)
        self.step = _two_layers(latent_dim, latent_dim)
        self.action = nn.Embedding(num_actions, latent_dim) if num_actions else None
        self.text = _two_layers(text_width, latent_dim) if text_width else None
        readers = range(min(1, layers - 1), layers, 2) if text_width and word_layers else range(0)
        self.words = WordReader(text_width, latent_dim, num_heads, word_layers, len(readers)) if readers else None
        self.plan = _two_layers(plan_width * frames_per_token, latent_dim) if plan_width else None
        self.goals = goals
        self.shown = nn.Parameter(torch.zeros(latent_dim)) if context else None
        self.modulation = nn.Linear(latent_dim, 6 * latent_dim)
        self.layers = nn.ModuleList(
            DiTLayer(latent_dim, num_heads, ff_size, number in readers) for number in range(layers)
        )
        self.final = nn.Linear(latent_dim, 2 * latent_dim)
        self.head = nn.Linear(latent_dim, features * frames_per_token)
        self.smooth_in = nn.Conv1d(features, smooth_width, 5, padding=2) if smooth_width else None
        self.smooth_out = nn.Conv1d(smooth_width, features, 5, padding=2) if smooth_width else None
        silent = [self.modulation, self.final, self.head] + ([self.smooth_out] if self.smooth_out else [])
        silent += [self.plan[-1]] if self.plan else []
        for weight in (weight for layer in silent for weight in layer.parameters()):
            nn.init.zeros_(weight)
        if self.action is not None:
            nn.init.normal_(self.action.weight, std=0.02)

    def forward(self, x: Tensor, step: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """The denoised (or noise) sequence; frames at or beyond `lengths` neither count nor mean anything."""
        lengths = condition.get("lengths")
        if self.context:
            x = torch.cat((condition["prefix"].to(x.dtype), x), dim=1)
            lengths = None if lengths is None else lengths + self.context
        batch, frames, features = x.shape
        hidden = None
        if lengths is not None and bool((lengths < frames).any()):
            position = torch.arange(frames, device=x.device)
            x = x * (position < lengths[:, None])[..., None]
            first = position[:: self.frames_per_token]
            hidden = torch.zeros(batch, len(first), device=x.device).masked_fill(first >= lengths[:, None], -torch.inf)
            hidden = hidden[:, None, None]
        x = F.pad(x, (0, 0, 0, -frames % self.frames_per_token))
        tokens = dense(self.embed, x.reshape(batch, -1, features * self.frames_per_token))
        if self.shown is not None:
            seen = torch.arange(tokens.shape[1], device=x.device) < self.context // self.frames_per_token
            tokens = tokens + seen[:, None] * self.shown
        if self.plan is not None and "plan" in condition:
            tokens = tokens + self.planned(condition["plan"], tokens.shape[1])
        condition = self.with_words(condition, batch)
        told = F.silu(self.told(step, condition))
        modulation = self.modulation(told).unflatten(-1, (6, -1))
        table = rotary_table(tokens.shape[1], self.head_width, x.device)
        tokens = self.run_layers(tokens, modulation, table, hidden, condition)
        shift, scale = self.final(told)[:, None].chunk(2, dim=-1)
        output = dense(self.head, torch.addcmul(shift, F.layer_norm(tokens, tokens.shape[-1:]), 1 + scale))
        output = output.float().reshape(batch, -1, features)[:, self.context : frames]
        if self.context:
            output = torch.cat((x[:, : self.context].float(), output), dim=1)
        return self.smoothed(output, lengths)[:, self.context :]

    def planned(self, plan: Tensor, tokens: int) -> Tensor:
        """What tokens [B, L, d] are told of a plan [B, T, P] for the last of them; nothing where it is zeros."""
        assert self.plan is not None
        plan = F.pad(plan, (0, 0, 0, -plan.shape[1] % self.frames_per_token))
        plan = plan.reshape(len(plan), -1, self.frames_per_token * plan.shape[-1])
        told = self.plan(plan) * (plan != 0).any(-1, keepdim=True)
        return F.pad(told, (0, 0, tokens - told.shape[1], 0))

    def run_layers(
        self, x: Tensor, modulation: Tensor, table: Table, hidden: Tensor | None, condition: Mapping[str, Tensor]
    ) -> Tensor:
        """All layers on x [B, L, d]; without gradients a CPU takes a large batch in parts."""
        whole = torch.is_grad_enabled() or x.device.type != "cpu"
        part = len(x) if whole else max(1, CPU_TOKENS_AT_ONCE // x.shape[1])
        done = []
        for first in range(0, len(x), part):
            rows = slice(first, first + part)
            y, seen = x[rows], None if hidden is None else hidden[rows]
            for layer, words in zip(self.layers, self.words_of_layers(condition, rows), strict=True):
                y = layer(y, modulation[rows], table, seen, words)
            done.append(y)
        return done[0] if len(done) == 1 else torch.cat(done)

    def words_of_layers(self, condition: Mapping[str, Tensor], rows: slice) -> list[Words | None]:
        """What each layer is given of the words of some motions."""
        if self.words is None:
            return [None] * len(self.layers)
        memory = iter(self.words.split(condition["word_memory"][rows]))
        readable = condition["words_read"][rows, None, None]
        return [(*next(memory), readable) if layer.words is not None else None for layer in self.layers]

    def smoothed(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """x [B, T, F] and what the convolution adds to it; frames at or beyond `lengths` count as 0."""
        if self.smooth_in is None or self.smooth_out is None:
            return x
        valid = torch.ones(1, 1, 1, device=x.device)
        if lengths is not None:
            valid = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[:, None].float()
        inner = F.gelu(self.smooth_in(x.mT * valid)) * valid
        return x + self.smooth_out(inner).mT.float()

    def with_words(self, condition: Mapping[str, Tensor], batch: int) -> Mapping[str, Tensor]:
        """The condition of `batch` motions with the words of its text as they are read, the same at every step."""
        if self.words is None or "word_memory" in condition:
            return condition
        text, visible = self.text_of(condition, batch)
        return {**condition, **self.words(text[:, 1:], visible[:, 1:])}

    def text_of(self, condition: Mapping[str, Tensor], batch: int) -> tuple[Tensor, Tensor]:
        """The vectors of a text [B, L, E], and which count [B, L]; zeros where there are none."""
        text = condition.get("text")
        if text is None:
            text = torch.zeros(batch, 1, self.text_width, device=self.embed.weight.device)
        return text, condition.get("text_visible", torch.ones(text.shape[:2], dtype=torch.bool, device=text.device))

    def told(self, step: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """The sum [B, d] of the vectors of the diffusion step and of what the model is told."""
        vector = self.step(sinusoid(step, self.latent_dim))
        if self.action is not None and "action" in condition:
            vector = vector + action_vector(self.action, condition["action"])
        if self.text is not None:
            text, visible = self.text_of(condition, len(step))
            if self.words is not None:
                text, visible, vector = text[:, :1], visible[:, :1], vector + condition["words_told"]
            weight = visible[..., None].float()
            vector = vector + self.limited(self.text((text * weight).sum(1) / weight.sum(1).clamp(min=1)))
        if self.goals is not None and "goal" in condition:
            vector = vector + self.goals(condition)
        return vector

    def limited(self, vector: Tensor) -> Tensor:
        """Vectors [B, d] no longer than the limit."""
        if not self.text_limit:
            return vector
        return vector * (self.text_limit / vector.norm(dim=-1, keepdim=True).clamp(min=1e-6)).clamp(max=1)


def _two_layers(width: int, latent_dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, latent_dim), nn.SiLU(), nn.Linear(latent_dim, latent_dim))
