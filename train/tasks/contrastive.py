"""Training motion and text encoders to agree: batches of pairs, and which of them describe the same thing.

Sentences made from labels describe many clips, and two clips may have the same labels: such pairs are no negatives of
one another (TMR, Petrovich et al. 2023, section 3.2, filters by the likeness of the sentences alone; here left and
right differ by 0.02 in cosine, and two sentences of one thing by 0.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data_loaders.common.order import batch_indices
from data_loaders.text.humanml import TextMotions, take_of
from model.evaluators.contrastive import Contrastive, contrastive_loss
from train.tasks.diffusion import Batch, noisy_text
from utils.run.randomness import numpy_rng, torch_generator

SHARED = 2  # sentences that two clips must have in common to be of one description


def sides_of(captions: Sequence[str]) -> np.ndarray:
    """Which side each caption tells [C]: 0 none, 1 left, 2 right, 3 both."""
    return np.array([("left" in words) + 2 * ("right" in words) for words in map(str.lower, captions)])


@dataclass(frozen=True)
class Descriptions:
    """What tells which pairs describe the same thing.

    vectors [C, W]: of unit length, a sentence each; sides [C] (see `sides_of`); texts: the sentences of each of N
    items; takes [N]: which take it is from.
    """

    vectors: Tensor
    sides: Tensor
    texts: Sequence[Tensor]
    takes: Tensor

    def alike(self, items: Tensor, captions: Tensor, cosine: float) -> Tensor:
        """Which of the pairs (`items` [B], `captions` [B]) describe the same thing, [B, B], symmetric.

        Two do if they are of one take, or have `SHARED` sentences in common, or the sentence of one is also the
        other's, or the sentences' vectors are alike by `cosine` and do not tell opposite sides.
        """
        device, items, captions = items.device, items.cpu(), captions.cpu()
        vectors, sides = self.vectors[captions], self.sides[captions]
        has, said = self._has(items, captions)
        common = has.float() @ has.float().T >= SHARED
        opposite = (sides[:, None] * sides > 0) & (sides[:, None] != sides)
        same = (vectors @ vectors.T >= cosine) & ~opposite
        takes = self.takes[items]
        return (same | common | said | said.T | (takes[:, None] == takes)).to(device)

    def _has(self, items: Tensor, captions: Tensor) -> tuple[Tensor, Tensor]:
        """Which of all sentences of these items each has [B, S], and which of `captions` [B, B]."""
        texts = [self.texts[item] for item in items.tolist()]
        known, place = torch.unique(torch.cat([*texts, captions]), return_inverse=True)
        *places, asked = place.split([*map(len, texts), len(captions)])
        has = torch.zeros(len(texts), len(known), dtype=torch.bool)
        for row, columns in zip(has, places, strict=True):
            row[columns] = True
        return has, has[:, asked]


def describe(motions: TextMotions, vectors: Tensor) -> Descriptions:
    """The descriptions of a dataset whose sentences have the `vectors` [C, W]."""
    texts = [torch.tensor(captions) for captions in motions.texts]
    takes = np.unique([take_of(name) for name in motions.names], return_inverse=True)[1]
    sides = torch.from_numpy(sides_of(motions.captions))
    return Descriptions(F.normalize(vectors, dim=-1), sides, texts, torch.from_numpy(takes))


@dataclass(frozen=True)
class ContrastiveTask:
    """Pairs of motion and sentence that shall find each other (InfoNCE).

    `vectors` [C, W] are those of the dataset's captions, to which `text_noise` is added. With several ranks or
    `accumulate` each part of a batch is contrasted within itself.
    """

    motions: TextMotions
    vectors: Tensor
    descriptions: Descriptions
    batch_size: int
    seed: int
    cosine: float = 0.9
    text_noise: float = 0.0

    def batch(self, step: int) -> dict[str, Tensor]:
        """Motion [B, T, F], lengths, item and caption [B], and the caption's vector, text [B, W]."""
        indices, _ = batch_indices(self.seed, step, len(self.motions), self.batch_size, self.motions.weights)
        batch = self.motions.batch(indices.tolist(), lambda position: numpy_rng(self.seed, "data", step, position))
        text = self.vectors[batch["caption"]]
        if self.text_noise:
            text = noisy_text(text, self.text_noise, torch_generator(self.seed, "sentences", step))
        kept = {name: batch[name] for name in ("motion", "lengths", "caption")}
        return kept | {"item": torch.from_numpy(indices), "text": text}

    def loss(self, model: Any, batch: Batch) -> dict[str, Tensor]:
        """The contrastive loss, and the share of sentences [0, 1] that find their motion before all negatives."""
        assert isinstance(model, Contrastive)
        text = model.embed_text(batch["text"])
        motion = model.embed_motion(batch["motion"], batch["lengths"])
        alike = self.descriptions.alike(batch["item"], batch["caption"], self.cosine)
        loss = contrastive_loss(text, motion, model.sharpness(), alike).mean()
        found = (text @ motion.T).float().masked_fill(alike, -2)
        right = ((text * motion).sum(-1) > found.amax(-1)).float().mean()
        return {"loss": loss, "top1": right.detach()}
