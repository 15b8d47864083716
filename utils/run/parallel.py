"""The one process group: ranks that `torchrun` starts, which train together, each on its share of every batch.

Without torchrun there is one rank, and nothing here does anything. torch is imported when it is needed, so that an
entry can ask `is_first` while it reads its options.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING

from utils.run.errors import UsageError

if TYPE_CHECKING:
    import torch

# How long the ranks wait for the first one, which evaluates alone; where one dies, torchrun ends the others.
PATIENCE = timedelta(days=1)


_alone = ContextVar("alone", default=False)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Run a block as if there were no other ranks: what the first one does while the others wait."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def ranks() -> tuple[int, int]:
    """The number of this rank, from 0, and how many there are."""
    if _alone.get():
        return 0, 1
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def is_first() -> bool:
    """Whether this is the rank that writes files, prints and reports."""
    return ranks()[0] == 0


def shares(count: int, accumulate: int = 1) -> dict[int, slice]:
    """This rank's parts of a batch of `count` samples, by their numbers among all parts: `accumulate` of each rank.

    Parts differ by one sample at most. Raises UsageError if there are more parts than samples.
    """
    rank, world = ranks()
    parts = world * accumulate
    if count < parts:
        raise UsageError(
            f"--train_batch_size {count} cannot be cut into {parts} parts (ranks: {world}, --accumulate {accumulate})"
        )
    own = range(rank * accumulate, (rank + 1) * accumulate)
    return {part: slice(count * part // parts, count * (part + 1) // parts) for part in own}


def own_device(device: "torch.device") -> "torch.device":
    """The GPU of this rank where several share a machine, else `device`. Raises UsageError if there are too few."""
    import torch

    if device.type != "cuda" or ranks()[1] == 1:
        return device
    local, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if local >= there:
        raise UsageError(
            f"rank {local} of this machine has no GPU, there are {there}; start fewer, or add --device cpu"
        )
    return torch.device("cuda", local)


@contextlib.contextmanager
def group(device: "torch.device") -> Iterator[None]:
    """Hold the process group: gloo for the CPU, nccl for GPUs."""
    if ranks()[1] == 1:
        yield
        return
    from torch import distributed

    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    yield
    # Left alone after an error: the others may be waiting, and torchrun ends them once this process has ended.
    distributed.destroy_process_group()


def sum_over_ranks(tensors: Sequence["torch.Tensor"]) -> None:
    """Replace each of the tensors, of one type and device, by its sum over the ranks, in one message."""
    if ranks()[1] == 1:
        return
    import torch
    from torch import distributed

    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def wait_for_ranks() -> None:
    """Return once every rank has come here."""
    if ranks()[1] > 1:
        from torch import distributed

        distributed.barrier()
