"""Where the arithmetic happens and how exactly."""

import contextlib
import re
from typing import Any

import torch

from utils.run import processor
from utils.run.errors import UsageError
from utils.run.options import RunOptions
from utils.run.parallel import own_device


def pick_device(name: str) -> torch.device:
    """The device that `--device` names: cpu, cuda, cuda:1, mps or a CUDA index; the CPU where there is no such GPU.

    Upper case is lower case. A negative index means the CPU, as published. Raises UsageError for another word.
    """
    word = name.strip().lower()
    if word in ("mps", "mps:0"):
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    number = word.removeprefix("cuda:")
    if word not in ("cpu", "cuda") and not re.fullmatch(r"-?[0-9]{1,4}", number):
        raise UsageError(f"--device {name}: choose cpu, cuda, mps or a GPU index")
    if word == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if word == "cuda":
        return torch.device("cuda")
    index = int(number)
    if index >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: there are only {torch.cuda.device_count()} GPUs")
    return torch.device("cuda", index) if index >= 0 else torch.device("cpu")


def device_of(run: RunOptions) -> torch.device:
    """The device that `--device` and `--cuda` name, and of several ranks the one of this rank. Raises UsageError.

    What `--linear` says holds from here on.
    """
    processor.choose(run.linear)
    return own_device(pick_device(run.device if run.cuda else "cpu"))


def arithmetic(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context in which a network runs: float32, or bfloat16 products for `bf16`."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
