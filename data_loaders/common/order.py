"""The order of training: which samples make up a step, from (seed, step) alone, so that resuming needs no state."""

import numpy as np

from utils.run.errors import DataError
from utils.run.randomness import numpy_rng


def epoch_order(seed: int, epoch: int, count: int, weights: np.ndarray | None = None) -> np.ndarray:
    """The indices [count] of one epoch: a permutation, or with `weights` [count] a weighted draw.

    The weighted draw is systematic sampling (Kish 1965, section 4.1), shuffled: sample i comes up
    count * weights[i] / sum(weights) times, rounded up or down.
    """
    rng = numpy_rng(seed, "order", epoch)
    if weights is None:
        return rng.permutation(count)
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    ticks = (np.arange(count) + rng.random_sample()) / count * edges[-1]
    return rng.permutation(np.minimum(np.searchsorted(edges, ticks, side="right"), count - 1))


def batch_indices(
    seed: int, step: int, count: int, batch_size: int, weights: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """The indices [batch_size] of step `step` (counted from 0) and the epoch that it lies in.

    Epochs follow each other without their incomplete last batch. Raises DataError if not even one batch is full.
    """
    if count < batch_size:
        raise DataError(
            f"the dataset holds {count} motions, fewer than a batch of {batch_size}; lower --train_batch_size"
        )
    epoch, position = divmod(step, count // batch_size)
    order = epoch_order(seed, epoch, count, weights)
    return order[position * batch_size : (position + 1) * batch_size], epoch
