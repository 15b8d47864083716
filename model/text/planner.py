"""A planner: from the words of a sentence to what is done when, phase after phase.

A decoder (Vaswani et al. 2017) over the phases written so far reads the words of the sentence and how long the motion
is. A phase is a row of whole numbers, which are drawn one after another, each knowing those before it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.denoisers.layers import sinusoids
from model.options import PlannerOptions

LONGEST = 10.0  # seconds that count as 1


class Planner(nn.Module):
    """The network; `sizes` are how many values each number of a row has, `text_width` the width of words."""

    def __init__(self, options: PlannerOptions, text_width: int, sizes: Sequence[int]):
        super().__init__()
        width = options.planner_width
        layer = {"d_model": width, "nhead": 4, "dim_feedforward": 4 * width, "dropout": options.planner_dropout}
        kind = {"activation": "gelu", "batch_first": True, "norm_first": True}
        self.words = nn.Linear(text_width, width)
        self.length = nn.Linear(1, width)
        self.reader = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**layer, **kind), options.planner_layers, enable_nested_tensor=False
        )
        self.begin = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.written = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.writer = nn.TransformerDecoder(nn.TransformerDecoderLayer(**layer, **kind), options.planner_layers)
        self.known = nn.ModuleList(nn.Embedding(size, width) for size in sizes[:-1])
        self.heads = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, size)) for size in sizes)

    def read(self, text: Tensor, visible: Tensor, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """A memory [B, 1 + L, d] of words [B, L, E] where `visible` and of a length [B], and what of it is hidden."""
        words = self.words(text) + sinusoids(torch.arange(text.shape[1], device=text.device), self.words.out_features)
        memory = torch.cat((self.length(seconds[:, None, None] / LONGEST), words), dim=1)
        hidden = torch.cat((visible.new_zeros(len(text), 1), ~visible), dim=1)
        return self.reader(memory, src_key_padding_mask=hidden), hidden

    def state(self, rows: Tensor, memory: Tensor, hidden: Tensor) -> Tensor:
        """What is known [B, N + 1, d] before each row and after the last of rows [B, N, F]."""
        written = torch.stack([embed(rows[..., i]) for i, embed in enumerate(self.written)]).sum(0)
        x = torch.cat((self.begin.expand(len(rows), -1, -1), written), dim=1)
        x = x + sinusoids(torch.arange(x.shape[1], device=x.device), x.shape[-1])
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        return self.writer(x, memory, tgt_mask=later, memory_key_padding_mask=hidden)

    def forward(self, text: Tensor, visible: Tensor, seconds: Tensor, rows: Tensor) -> list[Tensor]:
        """Logits [B, N, size] of each number of rows [B, N, F], given all that come before it."""
        known = self.state(rows[:, :-1], *self.read(text, visible, seconds))
        logits = []
        for i, head in enumerate(self.heads):
            logits.append(head(known))
            if i < len(self.known):
                known = known + self.known[i](rows[..., i])
        return logits

    @torch.no_grad()
    def sample(
        self, text: Tensor, visible: Tensor, seconds: Tensor, draws: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Rows [B, <= N, F], zeros from where a plan ends on, and the logarithm of their probability [B].

        `draws` [B, N, F], uniform in 0 to 1, decide; a `temperature` below 1 makes what is likely likelier.
        """
        memory, hidden = self.read(text, visible, seconds)
        rows = torch.zeros(draws.shape, dtype=torch.int64, device=text.device)
        likely, going = torch.zeros_like(seconds), torch.arange(len(text), device=text.device)
        for number in range(draws.shape[1]):
            known = self.state(rows[going, :number], memory[going], hidden[going])[:, -1]
            for i, head in enumerate(self.heads):
                log = F.log_softmax(head(known).float(), dim=-1)
                below = (log / temperature).softmax(-1).cumsum(-1)
                drawn = torch.searchsorted(below, below[:, -1:] * draws[going, number, i, None])
                drawn = drawn.clamp(max=log.shape[-1] - 1)
                likely[going] += log.gather(1, drawn)[:, 0]
                rows[going, number, i] = drawn[:, 0]
                if i == 0:
                    goes_on = drawn[:, 0] > 0
                    known, drawn, going = known[goes_on], drawn[goes_on], going[goes_on]
                if i < len(self.known):
                    known = known + self.known[i](drawn[:, 0])
            if not len(going):
                break
        return rows[:, : int((rows[..., 0] > 0).sum(1).max()) + 1], likely


def plan_loss(logits: Sequence[Tensor], rows: Tensor) -> dict[str, Tensor]:
    """The mean over phases of -log p of each row [B, N, F], ends counting by their first number alone; and per number.

    Rows after the first of zeros do not count.
    """
    going = rows[..., 0] > 0
    counted = torch.cat((going.new_ones(len(rows), 1), going[:, :-1]), dim=1)  # phases, and the row that ends them
    losses = []
    for i, each in enumerate(logits):
        error = F.cross_entropy(each.mT, rows[..., i], reduction="none")
        losses.append((error * (counted if i == 0 else going)).sum() / counted.sum())
    return {"loss": torch.stack(losses).sum(), "kind": losses[0]}
