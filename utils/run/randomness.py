"""Randomness by name: every draw comes from a generator keyed by what it is for, never from a global one.

Sample i draws from (seed, i), a training step from (seed, step), an epoch's order from (seed, epoch): so neither the
number of samples, nor the batch size, nor an interruption changes a draw.
"""

import contextlib
import hashlib
from collections.abc import Iterator

import numpy as np
import torch


def key_of(*parts: int | str) -> int:
    """A 63-bit key of the parts, the same on every machine."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1


def numpy_rng(*parts: int | str) -> np.random.RandomState:
    """A numpy generator keyed by `parts` (counter-based Philox under the interface that the published code uses)."""
    return np.random.RandomState(np.random.Philox(key=key_of(*parts)))


def torch_generator(*parts: int | str) -> torch.Generator:
    """A torch CPU generator keyed by `parts`."""
    return torch.Generator().manual_seed(key_of(*parts))


@contextlib.contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Run a block under torch generators keyed by `parts` (dropout knows no other), and put the old state back."""
    with torch.random.fork_rng():
        torch.manual_seed(key_of(*parts))
        yield
