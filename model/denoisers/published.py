"""Published denoiser checkpoints: their parameter names, both ways, and the draws that building one takes.

Only prefixes differ. Published checkpoints also hold the positional table, twice (one storage), and may hold the text
encoder, under the name clip_model whichever it is.
"""

import torch
from torch import Tensor, nn

from model.denoisers.layers import sinusoids
from model.options import ModelOptions
from utils.run.errors import DataError

PUBLISHED_PREFIX = {
    "embed_pose.": "input_process.poseEmbedding.",
    "embed_goal.mlp.": "embed_target_cond.mlp.",
    "embed_goal.parts.": "embed_target_cond.mini_mlps.",
    "embed_goal.joints.": "embed_target_cond.target_loc_emb.",
    "embed_goal.sum.": "embed_target_cond.target_all_loc_emb.",
    "layers.": "seqTransEncoder.layers.",
    "gru.": "gru.",
    "embed_step.": "embed_timestep.time_embed.",
    "embed_text.": "embed_text.",
    "embed_action.weight": "embed_action.action_embedding",
    "head.": "output_process.poseFinal.",
}
OUR_PREFIX = {theirs: ours for ours, theirs in PUBLISHED_PREFIX.items()} | {"seqTransDecoder.layers.": "layers."}
TABLES = ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe")
TABLE_ROWS = 5000


def renamed(state: dict[str, Tensor], prefixes: dict[str, str], kind: str = "denoiser") -> dict[str, Tensor]:
    """Weights under other names: the first prefix that fits is replaced. Raises DataError where none does."""
    found = {}
    for name, value in state.items():
        prefix = next(filter(name.startswith, prefixes), None)
        if prefix is None:
            raise DataError(f"the weights hold {name}, which belongs to no published {kind} that is known here")
        found[prefixes[prefix] + name.removeprefix(prefix)] = value
    return found


def from_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a `SequenceDenoiser` from a published one; tables and CLIP are dropped.

    Tables of any length are dropped, and missing ones are not missed. Raises DataError for a name that no published
    denoiser has.
    """
    kept = {name: value for name, value in state.items() if name not in TABLES and not name.startswith("clip_model.")}
    return renamed(kept, OUR_PREFIX)


def to_published(state: dict[str, Tensor], latent_dim: int, rows: int = TABLE_ROWS) -> dict[str, Tensor]:
    """The published state dict from that of a `SequenceDenoiser`, complete for the published strict loading.

    `rows` are those of the positional table.
    """
    is_decoder = any(".multihead_attn." in name for name in state)
    prefixes = PUBLISHED_PREFIX | ({"layers.": "seqTransDecoder.layers."} if is_decoder else {})
    table = sinusoids(torch.arange(rows), latent_dim)[:, None]
    return renamed(state, prefixes) | dict.fromkeys(TABLES, table)


def consume_construction(options: ModelOptions, features: int, num_actions: int = 0) -> None:
    """Advance torch's global generator as building the published denoiser does.

    The published programs seed that generator, build the network, whose initial values are then overwritten by the
    checkpoint, and draw their noise from what is left of the stream: one seed gives their numbers only if the same
    torch modules are built here in the same order. All layers are copies of one.
    """
    width, layer_size = options.latent_dim, (options.latent_dim, options.num_heads, options.ff_size)
    nn.Linear(features + width * (options.arch == "gru"), width)
    if options.arch == "trans_enc":
        nn.TransformerEncoderLayer(*layer_size)
    elif options.arch == "trans_dec":
        nn.TransformerDecoderLayer(*layer_size)
    elif options.arch == "gru":
        nn.GRU(width, width, options.layers)
    nn.Linear(width, width)
    nn.Linear(width, width)
    if num_actions:
        torch.randn(num_actions, width)
    nn.Linear(width, features)
