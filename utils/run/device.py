"""Where the arithmetic happens and how exactly."""

import contextlib
from typing import Any

import torch

from utils.run.errors import UsageError
from utils.run.options import RunOptions
from utils.run.parallel import own_device


def pick_device(name: str) -> torch.device:
    """The device that `--device` names: cpu, cuda, mps or a CUDA index; the CPU where there is no such GPU.

    A negative index means the CPU, as published. Raises UsageError for another word.
    """
    if name == "mps":
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name == "cpu" or not torch.cuda.is_available():
        if name not in ("cpu", "cuda") and not name.lstrip("-").isdigit():
            raise UsageError(f"--device {name}: choose cpu, cuda, mps or a GPU index")
        return torch.device("cpu")
    if name == "cuda":
        return torch.device("cuda")
    try:
        index = int(name)
    except ValueError:
        raise UsageError(f"--device {name}: choose cpu, cuda, mps or a GPU index") from None
    if index >= torch.cuda.device_count():
        raise UsageError(f"--device {index}: there are only {torch.cuda.device_count()} GPUs")
    return torch.device("cuda", index) if index >= 0 else torch.device("cpu")


def device_of(run: RunOptions) -> torch.device:
    """The device that `--device` and `--cuda` name, and of several ranks the one of this rank. Raises UsageError."""
    return own_device(pick_device(run.device if run.cuda else "cpu"))


def arithmetic(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context in which a network runs: float32, or bfloat16 products for `bf16`."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
