"""The words of a sentence in dit: what is hidden, padding, order, and what their vectors may say."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.denoisers.build import build_denoiser
from model.denoisers.conditions import hidden
from model.denoisers.words import WordReader
from model.options import ModelOptions
from utils.run.errors import UsageError

FEATURES, WIDTH = 12, 16
OPTIONS = ModelOptions(
    arch="dit", layers=3, latent_dim=32, num_heads=2, ff_size=48, word_layers=1, text_encoder_type="minilm_words"
)
STEP = torch.tensor([3, 40])


@pytest.fixture
def network() -> torch.nn.Module:
    """A network whose weights are all random (as built, its output is zero)."""
    model, draws = build_denoiser(OPTIONS, FEATURES, text_width=WIDTH), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=draws) / max(1, weight.shape[-1]) ** 0.5)
    return model.eval()


def sentence(words: int, batch: int = 2, seed: int = 1) -> dict[str, Tensor]:
    """The vector of a sentence and of so many words."""
    text = torch.randn(batch, 1 + words, WIDTH, generator=torch.Generator().manual_seed(seed))
    return {"text": text, "text_visible": torch.ones(batch, 1 + words, dtype=torch.bool)}


@torch.no_grad()
def run(model: torch.nn.Module, told: Mapping[str, Tensor]) -> Tensor:
    return model(torch.randn(2, 20, FEATURES, generator=torch.Generator().manual_seed(5)), STEP, told)


def test_what_follows_a_sentence_does_not_count(network):
    told = sentence(5)
    longer = {name: torch.cat((value, value[:, :3]), dim=1) for name, value in told.items()}
    longer["text_visible"][:, 6:] = False
    longer["text"][:, 6:] = 0
    torch.testing.assert_close(run(network, longer), run(network, told), atol=1e-5, rtol=0)


def test_a_hidden_sentence_says_as_much_as_none(network):
    torch.testing.assert_close(run(network, hidden(sentence(5))), run(network, {}), atol=1e-6, rtol=0)
    assert (run(network, sentence(5)) - run(network, {})).abs().max() > 0.05


def test_each_word_and_their_order_count(network):
    told = sentence(4)
    first = run(network, told)
    swapped = dict(told, text=told["text"][:, [0, 2, 1, 3, 4]])
    other = dict(told, text=told["text"].clone())
    other["text"][:, 3] += 1
    for change in (swapped, other):
        assert (run(network, change) - first).abs().max() > 0.01


def test_as_built_it_is_the_network_without_words():
    torch.manual_seed(0)
    with_words = build_denoiser(OPTIONS, FEATURES, text_width=WIDTH)
    plain = build_denoiser(replace(OPTIONS, word_layers=0, text_encoder_type="minilm"), FEATURES, text_width=WIDTH)
    missing = with_words.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing and all("words" in name for name in missing)
    with torch.no_grad():
        for model in (with_words, plain):
            model.head.weight.fill_(0.1)
            model.final.weight.fill_(0.01)
    told = sentence(5)
    alone = {"text": told["text"][:, :1]}
    torch.testing.assert_close(run(with_words, told), run(plain, alone), atol=1e-6, rtol=0)


def test_where_nothing_is_seen_nothing_is_read():
    reader = WordReader(WIDTH, 32, heads=2, layers=1, readers=3).eval()
    torch.nn.init.eye_(reader.told.weight)
    words = torch.randn(2, 3, WIDTH)
    visible = torch.tensor([[True, True, False], [False, False, False]])
    read = reader(words, visible)
    assert read["words_read"].tolist() == [[True, True, True, False], [True, False, False, False]]
    assert torch.isfinite(read["word_memory"]).all() and not read["words_told"][1].any()
    assert read["words_told"][0].any()
    parts = reader.split(read["word_memory"])
    assert len(parts) == 3 and all(value.shape == (2, 2, 4, 16) for pair in parts for value in pair)


def test_words_that_were_read_before_are_not_read_again(network):
    told = sentence(5)
    before = network.with_words(told, 2)
    assert network.with_words(before, 2) is before
    with torch.no_grad():
        torch.testing.assert_close(run(network, before), run(network, told), atol=0, rtol=0)
    other = {**before, "word_memory": before["word_memory"] + 1}
    assert (run(network, other) - run(network, told)).abs().max() > 0.01


@pytest.mark.parametrize("encoder", ["minilm", "clip"])
def test_words_need_an_encoder_that_gives_them(encoder):
    with pytest.raises(UsageError, match="--word_layers.*minilm_words"):
        build_denoiser(replace(OPTIONS, text_encoder_type=encoder), FEATURES, text_width=WIDTH)


def test_the_published_encoder_takes_one_vector():
    with pytest.raises(UsageError, match="minilm_words.*trans_dec"):
        build_denoiser(ModelOptions(arch="trans_enc", text_encoder_type="minilm_words"), FEATURES, text_width=WIDTH)
