"""An evaluation of a model, whatever its family: samples are gathered and encoded, scored, recorded.

    units      encodings of samples, real or generated, in parts that are done once and kept (`eval.common.work`)
    scores     metrics of the encodings, a value an iteration
    outcome    the record of it all (`eval.reporting.record`), with the motions that it shows as examples

A family fills these in (`eval.mas.scores`, `eval.text.scores`, `eval.action.scores`) and writes its published files
beside the record. What a unit gives depends on its name, the seed and the settings alone.
"""

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from eval.common.work import Arrays, Unit, path_of, run_units, unit_folder
from eval.reporting import record
from sample.common.session import Session
from utils.run.arrays import load_archive
from utils.run.parallel import group, is_first
from utils.run.randomness import key_of

Read = Callable[[str], Arrays]  # the arrays of a unit by its name


def iteration_seed(seed: int, iteration: int) -> int:
    """The seed of an iteration: its sets share nothing with another's."""
    return key_of(seed, "iteration", iteration) % 2**32


def read_from(folder: Path) -> Read:
    """The function that reads the units that are kept in a folder."""
    return lambda name: load_archive(path_of(folder, name))


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found: its scores, the record of them, and example motions [T, J, 2 or 3] by name."""

    values: Mapping[str, Any]
    content: dict[str, Any]
    examples: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Evaluation(ABC):
    """A session on a model, and the folder where units are kept (None: nowhere, this rank does all here and now)."""

    kind: ClassVar[str]  # of its record
    reference: ClassVar[str]  # the subject that others are compared with
    what: ClassVar[str] = "units"  # for messages
    truth = "3d"
    angle_mode = ""

    session: Session
    folder: Path | None = None
    resume: bool = False

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, str]:
        """The evaluator's `name`, `path` and `sha256`: records of different ones are not compared."""

    @abstractmethod
    def units(self) -> dict[str, Unit]:
        """The work by name."""

    @abstractmethod
    def unit_settings(self) -> dict[str, Any]:
        """All that the units depend on: those of other settings are not mixed in."""

    @abstractmethod
    def amounts(self) -> dict[str, Any]:
        """The settings beside these: how many iterations, of what."""

    @abstractmethod
    def scores(self, read: Read) -> Mapping[str, Any]:
        """The metrics of every iteration, from the units that `read` gives."""

    @abstractmethod
    def pick_examples(self, read: Read) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Motions of the first iteration, the best, median and worst, and what they are."""

    @abstractmethod
    def better(self, metric: str) -> str:
        """Whether `lower`, `higher` or `closer` (to the reference) is better."""

    def by_subject(self, values: Mapping[str, Any]) -> record.Values:
        """The scores as a record has them: subject -> metric -> one value an iteration."""
        return values

    def gather(self) -> Read:
        """Do all units that are not there yet, this rank its share; returns the function that reads one.

        Raises what a user should see as one sentence; what was done until then stays in the folder.
        """
        work = self.units()
        if self.folder is None:
            return functools.cache(lambda name: work[name]())
        with unit_folder(self.folder, self.unit_settings(), self.resume):
            run_units(self.folder, work, self.what)
        return read_from(self.folder)

    def evaluate(self) -> Outcome | None:
        """Gather, score and record; the outcome is the first rank's, the others get nothing."""
        started = time.monotonic()
        with group(self.session.device):
            read = self.gather()
        return self.outcome(read, time.monotonic() - started) if is_first() else None

    def outcome(self, read: Read, seconds: float) -> Outcome:
        """Scores, record and examples of units that are done, which took so many seconds."""
        values = self.scores(read)
        examples, described = self.pick_examples(read)
        by_subject = self.by_subject(values)
        content = record.content(
            self.session, by_subject, kind=self.kind, truth=self.truth, angle_mode=self.angle_mode,
            reference=self.reference, evaluator=self.identity, settings=self.unit_settings() | self.amounts(),
            better={name: self.better(name) for found in by_subject.values() for name in found},
            examples=described, seconds=seconds,
        )  # fmt: skip
        return Outcome(values, content, examples)
