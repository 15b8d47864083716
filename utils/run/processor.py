"""Which processor this is, and what multiplies float32 matrices on it: MKL, torch's own choice, or oneDNN beside it.

Both give the same numbers but for their last bits. What is chosen depends on the processor alone, so that one machine
always computes the same. GFLOP/s of one thread, on the sizes of the networks here:

                                       frozen weights            forward and backward
    AMD, AVX-512                       MKL 108, oneDNN 230       MKL 102, oneDNN 175
    Intel Sapphire Rapids, AVX-512     MKL 142, oneDNN 155       MKL 132, oneDNN 115
"""

import functools
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Ways:
    """Who multiplies by weights that stay as they are, and by those that are being trained: mkl or onednn."""

    frozen: str
    trained: str

    def __str__(self) -> str:
        return self.frozen if self.frozen == self.trained else f"{self.frozen}, {self.trained} in training"


@functools.cache
def processor() -> tuple[str, str]:
    """The maker (AMD, Intel, or nothing for another) and the name of the processor."""
    facts = {}
    if Path("/proc/cpuinfo").is_file():
        rows = Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n")[0].splitlines()
        facts = {name.strip(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
    said = facts.get("vendor_id") or os.environ.get("PROCESSOR_IDENTIFIER") or platform.processor()
    name = facts.get("model name") or platform.processor() or platform.machine()
    makers = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}
    return next((maker for word, maker in makers.items() if word in said), ""), name


def onednn_is_there() -> bool:
    """Whether this torch multiplies by packed float32 weights through oneDNN."""
    there = all(hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight"))
    return torch.backends.mkldnn.is_available() and there


def ways_of(choice: str, maker: str, there: bool = True) -> Ways:
    """The ways of `--linear` on a processor of a maker; without the operators (`there` False) all is left to torch."""
    if choice == "mkl" or not there or (choice == "auto" and not maker):
        return Ways("mkl", "mkl")
    return Ways("onednn", "mkl" if choice == "auto" and maker == "Intel" else "onednn")


_ways = ways_of("auto", processor()[0], onednn_is_there())


def ways() -> Ways:
    """What holds in this process."""
    return _ways


def choose(choice: str) -> None:
    """Take up what `--linear` says: for this process, like torch's number of threads."""
    global _ways
    _ways = ways_of(choice, processor()[0], onednn_is_there())
