"""The published encoders of motion and sentences: golden embeddings, any order and padding, the files' keys."""

import json
from pathlib import Path

import pytest
import torch

from model.evaluators.text_motion import CONTACTS, PARTS, UNIT, MovementEncoder, Reader, TextMotion, from_published
from tests.published import tensors
from utils.run.errors import DataError


@pytest.fixture
def record(golden: Path) -> dict[str, torch.Tensor]:
    return tensors(golden / "mdm" / "eval_t2m_nets.npz")


def content_of(record: dict[str, torch.Tensor]) -> dict:
    """The golden weights as a published file holds them."""
    return {
        part: {name.removeprefix(f"{part}/"): value for name, value in record.items() if name.startswith(f"{part}/")}
        for part in PARTS
    }


@pytest.fixture
def network(record) -> TextMotion:
    return from_published(content_of(record))


def by_length(lengths: torch.Tensor) -> torch.Tensor:
    """The published order of a batch: descending lengths, the last of equal ones first."""
    return torch.from_numpy(lengths.numpy().argsort()[::-1].copy())


def test_golden_embeddings_in_the_order_of_what_comes_in(network, record):
    words, tags, caption_lengths = record["word_embs"], record["pos_onehot"], record["cap_lens"]
    motion = network.embed_motion(record["motions"], record["m_lens"])
    text = network.embed_text(words, tags, caption_lengths)
    order = by_length(record["m_lens"])
    torch.testing.assert_close(text, record["text_embedding_input_order"], atol=1e-5, rtol=0)
    torch.testing.assert_close(text[order], record["text_embedding"], atol=1e-5, rtol=0)
    torch.testing.assert_close(motion[order], record["motion_embedding"], atol=1e-5, rtol=0)
    torch.testing.assert_close(motion[order], record["motion_only_embedding"], atol=1e-5, rtol=0)
    assert not torch.allclose(motion, record["motion_embedding"]), "the published order is another"
    tokens = network.movement_encoder(record["motions"][..., :-CONTACTS])
    torch.testing.assert_close(tokens, record["movements"], atol=1e-5, rtol=0)


def test_neither_order_nor_batch_mates_nor_padding_changes_an_embedding(network, record):
    motions, lengths = record["motions"].clone(), record["m_lens"]
    for row, length in zip(motions, lengths, strict=True):
        row[length:] = 0
    motions = torch.nn.functional.pad(motions, (0, 0, 0, 2 * UNIT))
    whole = network.embed_motion(motions, lengths)
    one_by_one = torch.cat([network.embed_motion(motions[i : i + 1], lengths[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(one_by_one, whole, atol=1e-6, rtol=0)
    turned = network.embed_motion(motions.flip(0), lengths.flip(0))
    torch.testing.assert_close(turned.flip(0), whole, atol=1e-6, rtol=0)
    longer = network.embed_motion(torch.nn.functional.pad(motions, (0, 0, 0, 40)), lengths)
    torch.testing.assert_close(longer, whole, atol=1e-6, rtol=0)


def test_contacts_are_not_seen_and_words_beyond_the_end_are_not_read(network, record):
    motions, other = record["motions"], record["motions"].clone()
    other[..., -CONTACTS:] += 1
    torch.testing.assert_close(
        network.embed_motion(other, record["m_lens"]), network.embed_motion(motions, record["m_lens"])
    )
    words, lengths = record["word_embs"].clone(), record["cap_lens"]
    for row, length in zip(words, lengths, strict=True):
        row[length:] = 7
    read = network.embed_text(words, record["pos_onehot"], lengths)
    torch.testing.assert_close(read, record["text_embedding_input_order"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "features"), [("t2m", 263), ("kit", 251)])
def test_keys_and_shapes_of_the_published_files(golden: Path, name: str, features: int):
    published = json.loads((golden / "mdm" / "state_dict_keys.json").read_text())
    with torch.device("meta"):
        network = TextMotion(
            MovementEncoder(features - CONTACTS, 512, 512), Reader(512, 1024, 512), Reader(300, 512, 512, tags=15)
        )
    assert network.features == features and network.word_width == 300
    for part in PARTS:
        wanted = published.get(f"evaluator_{name}_{part}") or published[f"evaluator_{part}"]
        found = getattr(network, part).state_dict()
        assert {key: list(value.shape) for key, value in found.items()} == dict(map(tuple, wanted["keys"]))
        assert sum(value.numel() for value in found.values()) == wanted["n_params"]


def test_other_files_are_refused(record):
    content = content_of(record)
    for broken in (
        {},
        {name: content[name] for name in PARTS[:2]},
        content | {"text_encoder": content["motion_encoder"]},
        content | {"motion_encoder": "weights"},
        content | {"motion_encoder": content["motion_encoder"] | {"hidden": torch.zeros(2, 1, 3)}},
    ):
        with pytest.raises(DataError, match="no published evaluator"):
            from_published(broken)
