"""The text half of OpenAI's CLIP (Radford et al. 2021) from the published files: its network and its tokeniser."""

import gzip
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from model.text.transformer import CLIP, TextTransformer, build
from utils.run.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MERGES = 48894  # that CLIP's vocabulary took from the published list, which goes on
HEAD_WIDTH = 64
NAMES = {
    "token_embedding.weight": "words.weight",
    "positional_embedding": "positions.weight",
    "ln_final.weight": "norm.weight",
    "ln_final.bias": "norm.bias",
}
PARTS = {
    "attn.in_proj_weight": "self_attn.in_proj_weight",
    "attn.in_proj_bias": "self_attn.in_proj_bias",
    "attn.out_proj.weight": "self_attn.out_proj.weight",
    "attn.out_proj.bias": "self_attn.out_proj.bias",
    "ln_1.weight": "norm1.weight",
    "ln_1.bias": "norm1.bias",
    "mlp.c_fc.weight": "linear1.weight",
    "mlp.c_fc.bias": "linear1.bias",
    "mlp.c_proj.weight": "linear2.weight",
    "mlp.c_proj.bias": "linear2.bias",
    "ln_2.weight": "norm2.weight",
    "ln_2.bias": "norm2.bias",
}
BLOCKS = "transformer.resblocks."
START, END = "<|startoftext|>", "<|endoftext|>"
# What a sentence falls into before its words are looked up.
PIECES = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def is_program(path: Path) -> bool:
    """Whether a `.pt` file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def from_openai(state: Mapping[str, Tensor]) -> TextTransformer:
    """The network of OpenAI's tensors, float32; those of pictures are left out.

    Raises DataError for tensors that are not CLIP's.
    """
    lacking = {*NAMES, "text_projection", f"{BLOCKS}0.ln_1.weight"} - set(state)
    if lacking:
        raise DataError(f"the weights hold no {min(lacking)}, so they are not those of CLIP")
    weights = {ours: state[theirs] for theirs, ours in NAMES.items()}
    weights["projection.weight"] = state["text_projection"].T.contiguous()
    for name, value in state.items():
        layer, _, part = name.removeprefix(BLOCKS).partition(".")
        if name.startswith(BLOCKS) and part in PARTS:
            weights[f"layers.{layer}.{PARTS[part]}"] = value
    width = state["token_embedding.weight"].shape[1]
    return build(weights, width // HEAD_WIDTH, CLIP.activation[1], CLIP.eps, CLIP.causal)


def tokenizer(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> "Tokenizer":
    """CLIP's tokeniser of a vocabulary, word to number, and of merges, pairs of symbols."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import BPE

    made = Tokenizer(BPE(dict(vocabulary), list(merges), end_of_word_suffix="</w>", unk_token=END))
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    made.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
    pieces = pre_tokenizers.Split(Regex(PIECES), behavior="removed", invert=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([pieces, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.add_special_tokens([START, END])
    start, end = ((word, made.get_vocab()[word]) for word in (START, END))
    made.post_processor = processors.RobertaProcessing(end, start, trim_offsets=False, add_prefix_space=False)
    return made


def read_merges(path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary, word to number, and the merges, pairs of symbols, of `bpe_simple_vocab_16e6.txt.gz`.

    Numbers go to the 256 bytes, to the bytes that end a word, to what each merge makes, and to the marks of start and
    end. Raises DataError for another file.
    """
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
        merges = [(left, right) for left, right in map(str.split, lines[:MERGES])]
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not the list of merges of CLIP's tokeniser: {error}") from error
    letters = letters_of_bytes()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), START, END]
    return {word: number for number, word in enumerate(words)}, merges


def letters_of_bytes() -> list[str]:
    """A letter for each byte, in the order of CLIP's vocabulary: those that print stand for themselves, first."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [*map(chr, shown), *(chr(256 + index) for index in range(256 - len(shown)))]
