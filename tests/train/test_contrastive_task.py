"""Pairs for the contrastive evaluator: which of them say the same, and batches that depend on the step alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_loaders.registry import dataset_spec
from data_loaders.text.humanml import TextMotions
from model.evaluators.contrastive import Contrastive
from model.options import ContrastiveOptions
from train.tasks.contrastive import ContrastiveTask, describe, sides_of

SPEC = dataset_spec("mocap")
CAPTIONS = [
    "bows",
    "takes a bow",
    "walks",
    "strolls",
    "waves the left hand",
    "waves the right hand",
    "waves",
    "greets",
    "hails",
]
# Likeness as MiniLM has it: strolling is as far from walking as from anything, left and right are nearly one.
VECTORS = torch.eye(9)
VECTORS[5] = torch.tensor([0, 0, 0, 0, 0.98, (1 - 0.98**2) ** 0.5, 0, 0, 0])
VECTORS[1] = torch.tensor([0.95, (1 - 0.95**2) ** 0.5, 0, 0, 0, 0, 0, 0, 0])
TEXTS = [[0, 1], [0], [2], [3], [4, 6, 7], [5, 6], [4, 6, 8]]
NAMES = ["bow_1", "bow_2", "walk_p1", "Mwalk_p2", "wave_1", "Mwave_1", "wave_2#0"]


def motions(weights: np.ndarray | None = None) -> TextMotions:
    frames = np.array([24, 40, 28, 60, 44, 20, 32])
    rng = np.random.RandomState(0)
    return TextMotions(
        spec=SPEC, names=NAMES, features=rng.normal(size=(frames.sum(), 263)).astype(np.float32),
        starts=np.cumsum(frames) - frames, frames=frames, texts=TEXTS, captions=CAPTIONS, tags=CAPTIONS,
        mean=np.zeros(263, np.float32), std=np.ones(263, np.float32), longest=40, weights=weights,
    )  # fmt: skip


def alike(pairs: list[tuple[int, int]], cosine: float = 0.9) -> np.ndarray:
    items, captions = (torch.tensor(each) for each in zip(*pairs, strict=True))
    return describe(motions(), VECTORS).alike(items, captions, cosine).numpy()


def same(one: tuple[int, int], other: tuple[int, int], cosine: float = 0.9) -> bool:
    found = alike([one, other], cosine)
    assert found[0, 0] and found[1, 1] and found[0, 1] == found[1, 0]
    return bool(found[0, 1])


def test_pairs_that_say_the_same():
    assert same((0, 0), (1, 0)), "one sentence"
    assert same((0, 0), (0, 1)), "one clip"
    assert same((1, 0), (0, 1), cosine=2), "the sentence of one is among the other's"
    assert same((2, 2), (3, 3), cosine=2), "parts of one take, and its mirror image"
    assert same((4, 7), (6, 8), cosine=2), "two sentences in common"


def test_pairs_that_say_something_else():
    assert not same((0, 0), (2, 2))
    assert not same((1, 0), (3, 3))
    assert not same((4, 4), (2, 2), cosine=0.5)


def test_left_and_right_are_opposites_however_alike_the_words():
    """The clips are of two takes here: a take and its mirror image are left out of account."""
    names = [*NAMES[:5], "Mwave_9", NAMES[6]]
    found = describe(replace(motions(), names=names), VECTORS)
    assert not found.alike(torch.tensor([4, 5]), torch.tensor([4, 5]), 0.9)[0, 1]
    blind = replace(found, sides=torch.zeros(9, dtype=torch.int64))
    assert blind.alike(torch.tensor([4, 5]), torch.tensor([4, 5]), 0.9)[0, 1]


def test_sentences_that_are_alike_count_from_the_threshold():
    names, texts = [*NAMES[:1], "other", *NAMES[2:]], [[0], [1], *TEXTS[2:]]
    found = describe(replace(motions(), names=names, texts=texts), 0.3 * VECTORS)
    pairs = torch.tensor([0, 1]), torch.tensor([0, 1])
    assert found.alike(*pairs, 0.94)[0, 1] and not found.alike(*pairs, 0.96)[0, 1]


def test_sides():
    assert sides_of(CAPTIONS).tolist() == [0, 0, 0, 0, 1, 2, 0, 0, 0]
    assert sides_of(["Left, then right", "to the RIGHT"]).tolist() == [3, 2]


def task(noise: float = 0.0, batch: int = 4, weights: np.ndarray | None = None) -> ContrastiveTask:
    data = motions(weights)
    return ContrastiveTask(data, VECTORS, describe(data, VECTORS), batch, 0, 0.9, noise)


def test_a_batch_is_a_function_of_its_step():
    one, again, next_ = task(0.3).batch(5), task(0.3).batch(5), task(0.3).batch(6)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["item"], next_["item"]) or not torch.equal(one["text"], next_["text"])


def test_what_a_batch_holds():
    batch = task().batch(0)
    for k, (item, caption) in enumerate(zip(batch["item"].tolist(), batch["caption"].tolist(), strict=True)):
        assert caption in TEXTS[item]
        torch.testing.assert_close(batch["text"][k], VECTORS[caption])
        length = int(batch["lengths"][k])
        assert length % 4 == 0 and length <= 40 and not batch["motion"][k, length:].any()
    noisy = task(0.3).batch(0)["text"]
    torch.testing.assert_close(noisy.norm(dim=-1), batch["text"].norm(dim=-1))
    assert not torch.allclose(noisy, batch["text"])


def test_shares_of_an_epoch_are_kept():
    weights = np.array([0, 0, 0, 0, 0.5, 0.5, 0])
    assert set(task(weights=weights).batch(0)["item"].tolist()) <= {4, 5}


@pytest.mark.parametrize("rows", [slice(0, 4), slice(1, 3)])
def test_the_loss_of_a_part_of_a_batch(rows):
    """Several ranks see parts: whatever the rows, the loss is finite, and its gradient reaches every weight."""
    torch.manual_seed(0)
    model = Contrastive(263, 9, ContrastiveOptions(c_embedding=8, c_width=16, c_layers=1, c_heads=2, c_ff_size=8))
    found = task().loss(model, {name: value[rows] for name, value in task().batch(1).items()})
    assert torch.isfinite(found["loss"]) and 0 <= found["top1"] <= 1
    found["loss"].backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in model.parameters())
