"""What the evaluation of text models asks of an evaluator: sentences and motions in one space, with its identity."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor


class TextEvaluator(Protocol):
    """Embeds sentences and motions [N, D]; the distance of a pair tells how well they fit."""

    @property
    def identity(self) -> dict[str, str]:
        """`name`, `path` and `sha256` of the evaluator: tables made by different evaluators are not compared."""
        ...

    def embed_motion(self, features: Tensor, lengths: Tensor) -> np.ndarray:
        """Embeddings [N, D] of motions: features [N, T, F] in data units, lengths [N]; the order is kept."""
        ...

    def embed_text(self, captions: Sequence[str], tags: Sequence[str]) -> np.ndarray:
        """Embeddings [N, D] of sentences; `tags` are their words with the part of speech, `word/TAG word/TAG`."""
        ...
