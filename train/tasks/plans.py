"""What the training loop needs of a planner: sentences, and what is done when in the motion that they are about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from data_loaders.captioner.plans import from_rows
from data_loaders.captioner.reworded import reworded
from data_loaders.captioner.symbols import rows_of
from data_loaders.common.order import batch_indices
from data_loaders.text.humanml import TextMotions
from model.text.planner import plan_loss
from train.tasks.diffusion import Batch
from utils.run.errors import DataError
from utils.run.randomness import numpy_rng, torch_generator

WORDINGS = 2  # of each sentence, beside its own
CYCLE = 1200  # batches: their sentences take a gigabyte


@dataclass(frozen=True)
class PlanTask:
    """Write the plan of a sentence, which is often told in other words; `word_noise` is added to its vectors.

    `encode` turns sentences into vectors [N, L, E] and says which are real [N, L]. Encoding takes longer than all
    else, so batches come again after `CYCLE` updates, with other noise.
    """

    motions: TextMotions
    encode: Callable[[Sequence[str]], tuple[Tensor, Tensor]]
    batch_size: int
    seed: int
    word_noise: float = 0.0
    told: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def batch(self, step: int) -> dict[str, Tensor]:
        """text [B, L, E], text_visible [B, L], seconds [B], rows [B, N, 8]. Raises DataError where nothing is known."""
        number = step % CYCLE
        if number not in self.told:
            self.told[number] = self._told(number)
        told = self.told[number]
        text, visible = told["text"].float(), told["text_visible"]
        noise = torch.randn(text.shape, generator=torch_generator(self.seed, "words", step))
        size = text.square().mean((1, 2), keepdim=True).sqrt()
        return told | {"text": (text + self.word_noise * size * noise) * visible[..., None]}

    def _told(self, number: int) -> dict[str, Tensor]:
        """A batch without noise, its text in half precision."""
        indices, _ = batch_indices(self.seed, number, len(self.motions), self.batch_size, self.motions.weights)
        found = self.motions.plans(indices.tolist(), lambda place: numpy_rng(self.seed, "plans", number, place))
        if not found:
            raise DataError(
                "it is not known what is done in these clips; make the folder with `python -m prepare.humanml "
                "--captions motion`"
            )
        rng = numpy_rng(self.seed, "wordings", number)
        text, visible = self.encode([self.wording(caption, rng.randint(WORDINGS + 1)) for caption, *_ in found])
        return {
            "text": text.half(), "text_visible": visible, "seconds": torch.tensor([each for _, each, _ in found]),
            "rows": pad_sequence([torch.from_numpy(rows_of(from_rows(rows))) for *_, rows in found], batch_first=True),
        }  # fmt: skip

    def wording(self, caption: int, number: int) -> str:
        """A sentence as it is (0), or one of its other wordings, always the same."""
        sentence = self.motions.captions[caption]
        return reworded(sentence, numpy_rng("wording", sentence, number)) if number else sentence

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """-log p of a phase, its numbers together, and that of its kind."""
        rows = batch["rows"]
        return plan_loss(model(batch["text"], batch["text_visible"], batch["seconds"], rows), rows)
