"""The text half of OpenAI's CLIP (Radford et al. 2021): the published files in the terms of transformers."""

import gzip
import zipfile
from pathlib import Path
from typing import Any

from torch import Tensor

from utils.run.errors import DataError

MERGES = 48894  # that CLIP's vocabulary took from the published list, which goes on
HEAD_WIDTH = 64
NAMES = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}
PARTS = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
BLOCKS = "transformer.resblocks."


def is_program(path: Path) -> bool:
    """Whether a `.pt` file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def from_openai(state: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
    """The configuration and the state dict of transformers' network from the tensors of OpenAI's; images are left out.

    Raises DataError for tensors that are not CLIP's.
    """
    from transformers.models.clip.configuration_clip import CLIPTextConfig

    lacking = {*NAMES, "text_projection", f"{BLOCKS}0.ln_1.weight"} - set(state)
    if lacking:
        raise DataError(f"the weights hold no {min(lacking)}, so they are not those of CLIP")
    weights = {ours: state[theirs] for theirs, ours in NAMES.items()}
    weights["text_projection.weight"] = state["text_projection"].T.contiguous()
    blocks = [name.removeprefix(BLOCKS) for name in state if name.startswith(BLOCKS)]
    for name in blocks:
        weights |= block_weights(name, state[BLOCKS + name])
    words, width = state["token_embedding.weight"].shape
    config = CLIPTextConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=state["text_projection"].shape[1],
        num_hidden_layers=len({name.split(".")[0] for name in blocks}),
        num_attention_heads=width // HEAD_WIDTH,
        max_position_embeddings=len(state["positional_embedding"]),
        hidden_act="quick_gelu",
    )
    return config, weights


def block_weights(name: str, value: Tensor) -> dict[str, Tensor]:
    """The entries of transformers for one `layer.part.kind` of OpenAI's, which packs queries, keys and values."""
    layer, rest = name.split(".", 1)
    prefix = f"text_model.encoder.layers.{layer}"
    if rest.startswith("attn.in_proj_"):
        kind = rest.removeprefix("attn.in_proj_")
        rows = zip("qkv", value.chunk(3), strict=True)
        return {f"{prefix}.self_attn.{letter}_proj.{kind}": block for letter, block in rows}
    part, kind = rest.rsplit(".", 1)
    return {f"{prefix}.{PARTS.get(part, part)}.{kind}": value}


def read_merges(path: Path) -> tuple[dict[str, int], Any]:
    """The vocabulary, word to number, and the merges, pairs of symbols, of `bpe_simple_vocab_16e6.txt.gz`.

    Numbers go to the 256 bytes, to the bytes that end a word, to what each merge makes, and to the marks of start and
    end. Raises DataError for another file.
    """
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
        merges = [(left, right) for left, right in map(str.split, lines[:MERGES])]
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not the list of merges of CLIP's tokeniser: {error}") from error
    letters = list(bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}, merges
