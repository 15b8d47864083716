"""What it takes to make a result again."""

import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from utils.run.files import digest
from utils.run.processor import processor, ways
from utils.run.program import command_line
from utils.run.project import ROOT

VERSION = "0.1.0"


def revision() -> str:
    """The commit of the checkout, or nothing outside of one."""
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return found.stdout.strip()


def provenance(seed: int, checkpoint: Path) -> dict[str, Any]:
    """Command, seed, versions, processor, threads, what multiplied matrices, and the digest of the weights."""
    return {
        "command": command_line(),
        "seed": seed,
        "version": VERSION,
        "revision": revision(),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "processor": processor()[1],
        "threads": torch.get_num_threads(),
        "linear": ways().frozen,
        "checkpoint": str(checkpoint),
        "checkpoint_sha256": digest(checkpoint),
    }
