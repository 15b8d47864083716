"""Conditions of a denoiser: what it is told, how that becomes vectors, and how training and guidance hide it.

A condition is a mapping of tensors, batch leading; a missing entry is not told:
`lengths` [B] frames of x that count; `action` [B] labels; `text` [B, L, E] vectors of a sentence (L = 1) or of its
words, `text_visible` [B, L] true at real words; `plan` [B, T, P] what is done in each frame; `prefix` [B, C, F] frames
before x; `goal` [B, 8, 3] where joints shall be at the end, in the order of GOALS, `goal_asked` [B, 8] true at those
that are told (the heading's too), `goal_hidden` [B] true where none is. Hidden is an action of -1, which embeds as
zeros, a text of zeros, which embeds as the bias of its projection, and a plan of zeros or a hidden goal, which add
nothing (Ho & Salimans 2022, section 3.2).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model.options import GOALS
from utils.run.errors import UsageError

KEYS = ("lengths", "action", "text", "text_visible", "plan", "prefix", "goal", "goal_asked", "goal_hidden")
HIDDEN = -1
PLAN_HIDDEN = 0.15  # share of the samples that are told a sentence alone
Condition = Mapping[str, Tensor]


def action_vector(table: nn.Embedding, action: Tensor) -> Tensor:
    """The embedding [B, d] of actions [B]; zeros where hidden."""
    return table(action.clamp(min=0)) * (action != HIDDEN)[:, None]


def hidden(condition: Condition) -> dict[str, Tensor]:
    """The condition with what guidance hides hidden: action, text, plan. Goals and prefix stay told, as published."""
    unconditional = dict(condition)
    if "action" in condition:
        unconditional["action"] = torch.full_like(condition["action"], HIDDEN)
    for name in ("text", "plan"):
        if name in condition:
            unconditional[name] = torch.zeros_like(condition[name])
    return unconditional


def drop(condition: Condition, share: float, generator: torch.Generator) -> dict[str, Tensor]:
    """The condition with each sample's text and action hidden with probability `share`, and each goal by another draw.

    A plan is hidden with the text, and by itself in `PLAN_HIDDEN` of the samples.
    What training shows a network that guidance will ask without its condition.
    """
    shown = dict(condition)
    told = next((condition[name] for name in ("action", "text") if name in condition), None)
    gone = torch.zeros((), dtype=torch.bool)
    if told is not None:
        gone = torch.rand(len(told), generator=generator, device=told.device) < share
        for name, blank in (("action", HIDDEN), ("text", 0.0)):
            if name in condition:
                value = condition[name]
                shown[name] = value.masked_fill(gone.view(-1, *[1] * (value.ndim - 1)), blank)
    if "plan" in condition:
        plan = condition["plan"]
        alone = torch.rand(len(plan), generator=generator, device=plan.device) < PLAN_HIDDEN
        shown["plan"] = plan.masked_fill((alone | gone)[:, None, None], 0.0)
    if "goal" in condition:
        goal = condition["goal"]
        gone = torch.rand(len(goal), generator=generator, device=goal.device) < share
        shown["goal_hidden"] = gone | condition["goal_hidden"] if "goal_hidden" in condition else gone
    return shown


class GoalEncoder(nn.Module):
    """The vector [B, d] of where joints shall be at the end of a motion (Tevet et al. 2025, DiP, section 3.3).

    `kind` single: one network on (x, y, z, asked) of all goals. split: a network each, every one giving an eighth of
    the vector. multi: a network each on (x, y, z); the vectors of those asked for are summed with learned weights,
    which are divided by the sum of all eight and start equal: random ones may sum to nearly nothing.
    `layers` is the number of hidden layers (multi has one). Raises UsageError for a width that split cannot divide.
    """

    def __init__(self, kind: str, width: int, layers: int):
        super().__init__()
        self.kind = kind
        if kind == "single":
            self.mlp = mlp(4 * len(GOALS), width, layers)
        elif kind == "split":
            if width % len(GOALS):
                raise UsageError(f"--latent_dim {width}: --multi_encoder_type split takes a multiple of {len(GOALS)}")
            self.parts = nn.ModuleList(mlp(4, width // len(GOALS), layers) for _ in GOALS)
        else:
            self.joints = nn.ModuleDict({name: mlp(3, width, 1) for name in sorted(GOALS)})
            self.sum = nn.ParameterDict({"weights": torch.ones(len(GOALS))})

    def forward(self, condition: Condition) -> Tensor:
        """The vector; zeros where the goals are hidden."""
        dtype = next(self.parameters()).dtype
        goal, asked = condition["goal"].to(dtype), condition["goal_asked"].to(dtype)
        vector = self.mix(goal, asked) if self.kind == "multi" else self.join(torch.cat((goal, asked[..., None]), -1))
        if "goal_hidden" in condition:
            vector = vector.masked_fill(condition["goal_hidden"][:, None], 0.0)
        return vector

    def join(self, goal: Tensor) -> Tensor:
        """Single and split: goals with their flags [B, 8, 4] -> [B, d]."""
        if self.kind == "single":
            return self.mlp(goal.flatten(1))
        return torch.cat([part(each) for part, each in zip(self.parts, goal.unbind(1), strict=True)], dim=-1)

    def mix(self, goal: Tensor, asked: Tensor) -> Tensor:
        """Multi: goals [B, 8, 3], asked [B, 8] -> [B, d]."""
        weights = self.sum["weights"]
        vectors = torch.stack([self.joints[name](goal[:, i]) for i, name in enumerate(GOALS)], dim=1)
        return ((weights / weights.sum() * asked)[:, None] @ vectors)[:, 0]


def mlp(inputs: int, width: int, hidden_layers: int) -> nn.Sequential:
    """A linear map to `width`, then `hidden_layers` times SiLU and a linear map."""
    more = [module for _ in range(hidden_layers) for module in (nn.SiLU(), nn.Linear(width, width))]
    return nn.Sequential(nn.Linear(inputs, width), *more)
