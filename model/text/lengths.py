"""How long what a sentence says takes, for motion whose length nobody asked for: a linear map of the sentence's vector.

log(seconds) = w . v + b, v the vector of all-MiniLM-L6-v2; fitted by `prepare.lengths` (ridge regression).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.text.encoders import same_sentences
from utils.run.arrays import load_archive
from utils.run.errors import DataError
from utils.run.project import ROOT

FILE = ROOT / "assets" / "lengths.npz"
ENCODER = "minilm"


@dataclass(frozen=True)
class Lengths:
    """The map: `weights` [W], `bias`, and `spread`, the standard deviation of log(seconds) about it."""

    weights: np.ndarray
    bias: float
    spread: float

    def seconds(self, vectors: Tensor) -> Tensor:
        """Seconds [N, 3] of what sentences with vectors [N, W] say: the least and the greatest of two in three, and
        between them the middle."""
        middle = vectors.double() @ torch.from_numpy(self.weights).double() + self.bias
        return torch.stack([middle - self.spread, middle, middle + self.spread], dim=1).exp()


def knows(encoder: str) -> bool:
    """Whether the map is of the vectors of this text encoder."""
    return same_sentences(encoder, ENCODER)


def seconds_of(vectors: Tensor) -> Tensor:
    """`Lengths.seconds` of the shipped map. Raises MissingFileError or DataError."""
    return load(FILE).seconds(vectors)


@cache
def load(path: Path) -> Lengths:
    """The map in a file that `prepare.lengths` wrote. Raises MissingFileError or DataError."""
    content = load_archive(path)
    try:
        weights, bias, spread = (np.asarray(content[name], np.float64) for name in ("weights", "bias", "spread"))
        found = Lengths(weights, float(bias), float(spread))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no map from sentences to lengths") from error
    if weights.ndim != 1 or not np.isfinite([*weights, found.bias, found.spread]).all() or found.spread < 0:
        raise DataError(f"{path} holds no map from sentences to lengths")
    return found


def fit(vectors: np.ndarray, seconds: np.ndarray, weight: np.ndarray, ridge: float) -> Lengths:
    """Ridge regression of log(`seconds`) [N] on `vectors` [N, W], each counting by its `weight` [N]; the mean is free.

    `ridge` is in units of the vectors' mean square, as the weights sum to 1.
    """
    share, log = weight / weight.sum(), np.log(seconds)
    mean, middle = share @ vectors, share @ log
    centred = vectors - mean
    gram = (centred * share[:, None]).T @ centred + ridge * np.eye(vectors.shape[1])
    weights = np.linalg.solve(gram, (centred * share[:, None]).T @ (log - middle))
    bias = float(middle - mean @ weights)
    spread = float(np.sqrt(share @ (log - vectors @ weights - bias) ** 2))
    return Lengths(weights.astype(np.float32), bias, spread)
