"""What the evaluation of text models asks of an evaluator: sentences and motions in one space, with its identity."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from utils.run.errors import DataError, NumericError


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


def check_motion(features: Tensor, lengths: Tensor, width: int, shortest: int) -> None:
    """Raise DataError for motions that are not `width` features wide or too short, NumericError for NaN in them."""
    if features.dim() != 3 or features.shape[-1] != width or len(features) != len(lengths):
        raise DataError(
            f"motions of shape {list(features.shape)} with {len(lengths)} lengths: the evaluator reads [N, T, {width}]"
        )
    if len(lengths) and (int(lengths.min()) < shortest or int(lengths.max()) > features.shape[1]):
        raise DataError(
            f"motions of {int(lengths.min())} to {int(lengths.max())} frames in {features.shape[1]}: the evaluator "
            f"reads {shortest} or more"
        )
    if not torch.isfinite(features).all():
        raise NumericError("motions to be evaluated hold NaN or infinity")
