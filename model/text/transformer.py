"""The networks that read sentences: BERT (Devlin et al. 2019), DistilBERT (Sanh et al. 2019) and the text half of CLIP
(Radford et al. 2021), whose tokens see only those before them and whose norms come first.

Token ids [N, L] -> vectors [N, L, width]. Weights are read under the names of transformers' files; sizes are theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.denoisers.layers import Layer
from utils.run.errors import DataError

Weights = Mapping[str, Tensor]
ACTIVATIONS = {"gelu": F.gelu, "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x)}


@dataclass(frozen=True)
class Family:
    """What the files of one kind of network call the parts of ours, and what their configuration leaves unsaid.

    `root` leads the names in files of a larger network. `layer` is the list of layers, `parts` of a layer maps ours to
    theirs, several of theirs to one of ours packed; `tops` are the parts outside of layers, and `kinds` a table whose
    first row is added at every position. `heads` and `activation` are a word of the configuration and its default.
    """

    root: str
    layer: str
    parts: Mapping[str, tuple[str, ...]]
    tops: Mapping[str, str]
    heads: tuple[str, int]
    activation: tuple[str, str]
    eps: float
    kinds: str = ""
    causal: bool = False

    def sources(self, state: Weights) -> dict[str, tuple[str, ...]]:
        """Which of their weights make each of ours."""
        found: dict[str, tuple[str, ...]] = {ours: (theirs,) for ours, theirs in self.tops.items()}
        begin = f"{self.layer}."
        for index in sorted({name.removeprefix(begin).split(".")[0] for name in state if name.startswith(begin)}):
            for ours, theirs in self.parts.items():
                for kind in ("weight", "bias"):
                    name = f"layers.{index}.{ours}{'_' if ours.endswith('in_proj') else '.'}{kind}"
                    found[name] = tuple(f"{begin}{index}.{part}.{kind}" for part in theirs)
        return found


BERT = Family(
    root="bert.",
    layer="encoder.layer",
    parts={
        "self_attn.in_proj": ("attention.self.query", "attention.self.key", "attention.self.value"),
        "self_attn.out_proj": ("attention.output.dense",),
        "norm1": ("attention.output.LayerNorm",),
        "linear1": ("intermediate.dense",),
        "linear2": ("output.dense",),
        "norm2": ("output.LayerNorm",),
    },
    tops={
        "words.weight": "embeddings.word_embeddings.weight",
        "positions.weight": "embeddings.position_embeddings.weight",
        "norm.weight": "embeddings.LayerNorm.weight",
        "norm.bias": "embeddings.LayerNorm.bias",
    },
    heads=("num_attention_heads", 12),
    activation=("hidden_act", "gelu"),
    eps=1e-12,
    kinds="embeddings.token_type_embeddings.weight",
)
DISTILBERT = Family(
    root="distilbert.",
    layer="transformer.layer",
    parts={
        "self_attn.in_proj": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        "self_attn.out_proj": ("attention.out_lin",),
        "norm1": ("sa_layer_norm",),
        "linear1": ("ffn.lin1",),
        "linear2": ("ffn.lin2",),
        "norm2": ("output_layer_norm",),
    },
    tops=BERT.tops,
    heads=("n_heads", 12),
    activation=("activation", "gelu"),
    eps=1e-12,
)
CLIP = Family(
    root="",
    layer="text_model.encoder.layers",
    parts={
        "self_attn.in_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "self_attn.out_proj": ("self_attn.out_proj",),
        "norm1": ("layer_norm1",),
        "linear1": ("mlp.fc1",),
        "linear2": ("mlp.fc2",),
        "norm2": ("layer_norm2",),
    },
    tops={
        "words.weight": "text_model.embeddings.token_embedding.weight",
        "positions.weight": "text_model.embeddings.position_embedding.weight",
        "norm.weight": "text_model.final_layer_norm.weight",
        "norm.bias": "text_model.final_layer_norm.bias",
        "projection.weight": "text_projection.weight",
    },
    heads=("num_attention_heads", 8),
    activation=("hidden_act", "quick_gelu"),
    eps=1e-5,
    causal=True,
)


class PreNormLayer(Layer):
    """A layer whose norms stand before what they norm."""

    def forward(
        self, x: Tensor, visible: Tensor | None, memory: Tensor | None = None, readable: Tensor | None = None
    ) -> Tensor:
        """x [B, T, d], and what of it may be looked at, broadcast to [B, heads, T, T] -> [B, T, d]; no memory."""
        x = self.read(x, self.self_attn, self.norm1(x), None, visible)
        return self.feed_forward(x, self.norm2(x))


class TextTransformer(nn.Module):
    """A network of one family, of the sizes of its `weights` (under our names), which it takes without a copy."""

    def __init__(self, weights: Weights, heads: int, activation: str, eps: float, causal: bool):
        super().__init__()
        self.causal = causal
        depth, width = sum(name.endswith("linear1.bias") for name in weights), weights["words.weight"].shape[1]
        kind = PreNormLayer if causal else Layer
        self.words = nn.Embedding.from_pretrained(weights["words.weight"])
        self.positions = nn.Embedding.from_pretrained(weights["positions.weight"])
        with torch.device("meta"):  # nothing is drawn that would be thrown away
            self.norm = nn.LayerNorm(width)
            ff_size = len(weights["layers.0.linear1.bias"]) if depth else 1
            self.layers = nn.ModuleList(kind(width, heads, ff_size, 0.0, "gelu", False) for _ in range(depth))
            projection = weights.get("projection.weight")
            self.projection = None if projection is None else nn.Linear(width, len(projection), bias=False)
        self.load_state_dict(dict(weights), assign=True)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = eps
            if isinstance(module, Layer):
                module.activation = ACTIVATIONS[activation]
        self.requires_grad_(False).eval()

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self.words.embedding_dim

    def project(self, x: Tensor) -> Tensor:
        """CLIP's last map, of vectors [..., width] into the space of pictures."""
        return x if self.projection is None else self.projection(x)

    def embedded(self, ids: Tensor) -> Tensor:
        """The vectors [N, L, width] of ids [N, L] at their positions, which the first layer is given."""
        x = self.words(ids) + self.positions.weight[: ids.shape[1]]
        return x if self.causal else self.norm(x)

    def forward(self, ids: Tensor, visible: Tensor | None = None) -> Tensor:
        """ids [N, L], at most as many as there are positions, `visible` [N, L] true at real ones -> [N, L, width]."""
        x, length = self.embedded(ids), ids.shape[1]
        seen = None if visible is None else visible[:, None, None]
        if self.causal:
            seen = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        for layer in self.layers:
            x = layer(x, seen)
        return self.norm(x) if self.causal else x


def from_transformers(family: Family, config: Mapping[str, Any], state: Weights) -> TextTransformer:
    """The network of transformers' `config.json` and weights, in float32; what else they hold is left out.

    Raises DataError for weights that are missing or do not fit each other, and for an activation that is not known.
    """
    if isinstance(own := config.get("text_config"), Mapping):
        config = own
    state = {name.removeprefix(family.root): value for name, value in state.items()}
    sources = family.sources(state)
    wanted = {each for theirs in sources.values() for each in theirs} | ({family.kinds} if family.kinds else set())
    if lacking := wanted - set(state):
        raise DataError(f"it lacks the weights {min(lacking)}")
    try:
        weights = {ours: torch.cat([state[each].float() for each in theirs]) for ours, theirs in sources.items()}
        if family.kinds:
            weights["positions.weight"] = weights["positions.weight"] + state[family.kinds][0].float()
    except RuntimeError as error:
        raise _misfit(error) from error
    heads, activation = config.get(*family.heads), config.get(*family.activation)
    return build(weights, heads, activation, config.get("layer_norm_eps", family.eps), family.causal)


def build(weights: Weights, heads: int, activation: str, eps: float, causal: bool) -> TextTransformer:
    """A network of weights under our names. Raises DataError for what makes none."""
    if activation not in ACTIVATIONS:
        raise DataError(f"its activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
    width = weights["words.weight"].shape[-1]
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise DataError(f"vectors of {width} numbers cannot be divided among {heads!r} heads")
    try:
        return TextTransformer(weights, heads, activation, eps, causal)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _misfit(error) from error


def _misfit(error: Exception) -> DataError:
    """What torch says of weights whose sizes do not go together, as one sentence."""
    return DataError(f"its weights do not fit: {(str(error).strip() or 'sizes').splitlines()[-1].strip()[:120]}")
