"""Running commands inside the test process, on models that take a moment to train."""

import contextlib
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from utils.run.errors import run_command

TINY = "--layers 2 --latent_dim 8 --num_heads 2 --ff_size 16 --train_batch_size 2 --diffusion_steps 6 --threads 1"


def words(*parts: object) -> list[str]:
    """A command line from texts, which are split at blanks, and from paths, which are not."""
    return [word for part in parts for word in (part.split() if isinstance(part, str) else [str(part)])]


@contextlib.contextmanager
def called(module: str, *parts: object) -> Iterator[None]:
    """The command line of the process is this command's."""
    before, sys.argv = sys.argv, [module, *words(*parts)]
    try:
        yield
    finally:
        sys.argv = before


def run(module: str, *parts: object) -> None:
    """Run a command's `main`."""
    with called(module, *parts):
        importlib.import_module(module).main(words(*parts))


def refusal(capsys: pytest.CaptureFixture[str], code: int, module: str, *parts: object) -> str:
    """The one line in which a command ends with an exit code."""
    capsys.readouterr()
    with called(module, *parts), pytest.raises(SystemExit) as end:
        run_command(importlib.import_module(module).main)
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert end.value.code == code, said
    assert len(said) == 1 and said[0].startswith("error: "), said
    return said[0]


def listing(folder: Path) -> dict[str, int]:
    """Every file and folder below a folder, with its time of change: equal before and after if nothing was written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def toy(folder: Path, dataset: str = "nba", count: int = 8) -> Path:
    """A folder of procedural motions."""
    run("prepare.toy_motion", "--dataset", dataset, "--output_dir", folder, f"--num_motions {count}")
    return folder


def train(folder: Path, data: Path, flags: str = "", base: Sequence[str] | str = TINY) -> Path:
    """A model of a few updates."""
    run("train.train_mdm", "--datapath", data, "--save_dir", folder, str(base), "--num_steps 3", flags)
    return folder
