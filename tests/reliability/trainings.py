"""Trainings of a tiny model: how they are begun and gone on with, and what must be there whenever they are stopped."""

import importlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tests.commands import TINY, words
from utils.run import checkpoint
from utils.run.errors import run_command

STEPS, MILESTONE = 8, 4
LINE = f"{TINY} --arch dit --layers 1 --use_ema --num_steps {STEPS} --save_interval {MILESTONE} --resume_interval 2"
LOG = "--log_interval 1"


def command(module: str, *parts: object) -> Callable[[], None]:
    """A command as `python -m module` runs it, to be called in a process of its own."""

    def work() -> None:
        sys.argv = [module, *words(*parts)]
        run_command(importlib.import_module(module).main)

    return work


@dataclass(frozen=True)
class Place:
    """A run's folder and the data that it trains on; `flags` are what this training has beside `LINE`."""

    data: Path
    folder: Path
    flags: str = ""

    def begin(self, *more: object) -> Callable[[], None]:
        """A training from the start."""
        where = ("--datapath", self.data, "--save_dir", self.folder)
        return command("train.train_mdm", *where, LINE, LOG, self.flags, *more)

    def resume(self, path: Path | None = None) -> Callable[[], None]:
        """A training that goes on from a save (default: the newest)."""
        where = ("--datapath", self.data, "--resume_checkpoint", path or self.folder)
        return command("train.train_mdm", *where, LINE, LOG, self.flags)

    def go_on(self) -> Callable[[], None]:
        """What a user does after any end: resume where there is a save, else begin again."""
        return self.resume() if newest(self.folder) else self.begin("--overwrite_model")


def newest(folder: Path) -> int:
    """The step of the newest save that verifies; 0 without one."""
    found = checkpoint.newest(folder) if folder.is_dir() else None
    return checkpoint.step_of(found) if found else 0


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a save, plain and averaged."""
    content = checkpoint.load(path)
    return {f"{part}.{name}": value for part in ("model", "model_avg") for name, value in content[part].items()}


def assert_finished(folder: Path, whole: Path) -> None:
    """A run that was stopped and went on is the run that was not: its weights, its milestones, its curve, no more."""
    for step in (MILESTONE, STEPS):
        name = f"checkpoint_{step}.pth"
        assert checkpoint.verify(folder / name), f"{name} is whole"
        expected, found = weights_of(whole / name), weights_of(folder / name)
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[key], value) for key, value in expected.items()), f"{name} is the same"
    assert curve(folder) == curve(whole)
    assert leftovers(folder.parent) == []


def curve(folder: Path) -> list[dict[str, float]]:
    """The records of progress.jsonl, without what the clock says."""
    records = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def leftovers(folder: Path) -> list[str]:
    """What has the name of a thing in the making, or put aside, anywhere below a folder; locks too."""
    names = re.compile(r"\.(tmp|old|new)-.*|run\.lock", re.DOTALL)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if names.fullmatch(path.name))


def assert_said(code: int, said: str, codes: tuple[int, ...]) -> None:
    """A command ended with one of the codes, a bad one in one sentence."""
    assert "Traceback" not in said and code in codes, said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == (code in (2, 3, 4, 5)), said
    assert all(len(line) <= len("error: ") + 300 for line in errors), said
