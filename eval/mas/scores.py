"""How near generated motion is to held-out motion in the space of an evaluator: MAS, its ablations and its rivals.

Each iteration is a set of its own: real test motions, and as many of each subject with their lengths (MAS, Kapon et al.
2023, section 6). 3D motion is seen from an angle of each sample's own, or compared in 3D (`truth` 3d). Motions are made
in parts, each once (`eval.common.work`), and so are their encodings.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval.common.work import Arrays, Unit, parts, path_of, run_units, unit_folder
from eval.mas import subjects
from eval.mas.evaluators import Evaluator
from eval.mas.subjects import Motions
from eval.metrics import distances as metrics
from eval.options import PREDICTIONS, REAL
from eval.reporting import record
from sample.common.request import choose_conditions, frames_in
from sample.common.session import Request, Session
from sample.options import MasOptions
from train.options import JudgeOptions
from utils.run.arrays import load_archive
from utils.run.parallel import group
from utils.run.randomness import numpy_rng

PART = 32  # motions that are made at once
REFERENCE = "test_data"  # the part of the data that all are held against
REFERENCE_SET = "reference"  # the draw of it that an iteration takes
BETTER = {"diversity": "closer", "precision": "higher", "recall": "higher"}  # of the others lower is better


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, by what, how much of it, and where its motions are kept."""

    session: Session
    mas: MasOptions
    judge: JudgeOptions
    evaluator: Evaluator
    samples: int
    iterations: int
    folder: Path
    resume: bool = False

    @property
    def longest(self) -> int | None:
        """Frames that `--motion_length` allows."""
        seconds = self.session.sampling.motion_length
        return frames_in(seconds, self.session.spec) if seconds else None

    @functools.cached_property
    def predictions(self) -> dict[str, list[Tensor]]:
        """What each program predicted whose predictions are asked for, loaded once."""
        spec, datapath = self.session.spec, self.session.data.datapath
        asked = [name for name in self.judge.subjects if name in PREDICTIONS]
        return {name: subjects.load_predictions(spec, name, datapath, self.samples) for name in asked}

    @functools.cached_property
    def real(self) -> dict[str, Any]:
        """The parts of the real data that are needed, each loaded once."""
        session, wanted = self.session, {REFERENCE, *self.judge.subjects} & set(REAL)
        spec, data, run = session.spec, session.data, session.run
        return {
            name: subjects.load_real(spec, data, name.removesuffix("_data"), self.samples, run.compat, run.seed)
            for name in sorted(wanted)
        }

    def seed(self, iteration: int) -> int:
        """The seed of an iteration."""
        return subjects.iteration_seed(self.session.run.seed, iteration)

    def reference(self, iteration: int, truth: str) -> Motions:
        """The real test motions of an iteration, which all others are held against."""
        return subjects.real_motions(self.real[REFERENCE], self.samples, self.seed(iteration), truth, self.longest)

    def other_real(self, name: str, iteration: int) -> Motions:
        """Other real motions of an iteration, of the test part too."""
        seed = subjects.iteration_seed(self.seed(iteration), 1)
        return subjects.real_motions(self.real[name], self.samples, seed, self.judge.truth, self.longest)


def evaluate(evaluation: Evaluation) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record of an evaluation (see `eval.record`) and example motions, the same on every rank.

    Raises what a user should see as one sentence; whatever was made until then is kept in the folder.
    """
    started = time.monotonic()
    _ = evaluation.predictions, evaluation.real, evaluation.longest  # what is wrong is told before anything is made
    rounds, chosen = range(evaluation.iterations), evaluation.judge.subjects
    with group(evaluation.session.device), contextlib.ExitStack() as held:
        held.enter_context(unit_folder(evaluation.folder, generation_settings(evaluation), evaluation.resume))
        read = make_motions(evaluation)

        def encode(subject: str, iteration: int) -> Arrays:
            motions = to_judge(evaluation, read, iteration, subject)
            return {"encodings": evaluation.evaluator.encode(motions.points, motions.lengths)}

        kept = evaluation.folder / _encoded_name(evaluation)
        held.enter_context(unit_folder(kept, {"evaluator_sha256": evaluation.evaluator.sha256}, evaluation.resume))
        units = {
            f"{subject}_{k}": functools.partial(encode, subject, k)
            for k in rounds
            for subject in (REFERENCE_SET, *chosen)
        }
        run_units(kept, units, "sets encoded")
    encodings = {name: load_archive(path_of(kept, name))["encodings"] for name in units}
    values = {subject: scores(evaluation, encodings, subject) for subject in chosen}
    examples, described = pick_examples(evaluation, read, encodings)
    return recorded(evaluation, values, described, time.monotonic() - started), examples


def make_motions(evaluation: Evaluation) -> Callable[[str], Arrays]:
    """Generate all motions that are not there yet; returns the function that reads a unit's."""
    made = dict.fromkeys(filter(None, map(made_of, evaluation.judge.subjects)))
    units: dict[str, Unit] = {}
    for iteration in range(evaluation.iterations):
        for subject in made:
            units |= generation(evaluation, iteration, subject)
    run_units(evaluation.folder, units, "parts of motions")
    return reader(evaluation)


def reader(evaluation: Evaluation) -> Callable[[str], Arrays]:
    """The function that reads the motions of a unit."""
    return lambda name: load_archive(path_of(evaluation.folder, name))


def made_of(subject: str) -> str:
    """The subject whose generated motions a subject shows ("": none are generated for it)."""
    return "model" if subject == "flat" else "" if subject in (*REAL, *PREDICTIONS) else subject


def generation(evaluation: Evaluation, iteration: int, subject: str) -> dict[str, Unit]:
    """The units in which an iteration's motions of a subject are made."""
    session, seed = evaluation.session, evaluation.seed(iteration)
    session = dataclasses.replace(session, run=dataclasses.replace(session.run, seed=seed))

    @functools.cache
    def request() -> Request:
        told, titles = choose_conditions(session, evaluation.samples)
        return Request(evaluation.reference(iteration, "2d").lengths, told, titles)

    def unit(rows: slice) -> Arrays:
        return subjects.generate(session, request().part(rows), subject, evaluation.mas)

    rows = parts(evaluation.samples, PART)
    return {f"{subject}_{iteration}_{k}": functools.partial(unit, part) for k, part in enumerate(rows)}


def generation_settings(evaluation: Evaluation) -> dict[str, Any]:
    """All that generated motions depend on."""
    more = ("motion_length", "action_name", "action_file")
    return record.sampling_settings(evaluation.session, *more) | {
        "eval_num_samples": evaluation.samples, **vars(evaluation.mas)
    }  # fmt: skip


def motions_of(evaluation: Evaluation, read: Callable[[str], Arrays], iteration: int, subject: str) -> Motions:
    """The motions of a subject in an iteration, 2D or 3D as they come; `read` gives those that were generated."""
    spec = evaluation.session.spec
    if subject == REFERENCE_SET:
        return evaluation.reference(iteration, evaluation.judge.truth)
    if subject in REAL:
        return evaluation.other_real(subject, iteration)
    if subject in PREDICTIONS:
        return subjects.predicted(evaluation.predictions[subject], evaluation.samples, evaluation.seed(iteration))
    motions = joined([read(name) for name in generation(evaluation, iteration, made_of(subject))])
    return subjects.flat(motions, spec) if subject == "flat" else motions


def to_judge(evaluation: Evaluation, read: Callable[[str], Arrays], iteration: int, subject: str) -> Motions:
    """The same as the evaluator sees them; real motion has its own view already."""
    judge, motions = evaluation.judge, motions_of(evaluation, read, iteration, subject)
    if subject in (REFERENCE_SET, *REAL) or motions.points.shape[-1] == 2:
        return motions
    return subjects.shown(motions, evaluation.session.spec, evaluation.seed(iteration), judge.truth, judge.angle_mode)


def joined(made: Sequence[Arrays]) -> Motions:
    """The motions of units as one set."""
    frames = max(part["points"].shape[1] for part in made)
    padded = [np.pad(part["points"], ((0, 0), (0, frames - part["points"].shape[1]), (0, 0), (0, 0))) for part in made]
    lengths = np.concatenate([part["lengths"] for part in made])
    return Motions(torch.from_numpy(np.concatenate(padded)), torch.from_numpy(lengths))


def _encoded_name(evaluation: Evaluation) -> str:
    """The folder of the encodings by one evaluator, seen in one way."""
    judge = evaluation.judge
    return f"encoded_{evaluation.evaluator.sha256[:12]}_{judge.angle_mode if judge.truth == '2d' else '3d'}"


def scores(evaluation: Evaluation, encodings: Mapping[str, np.ndarray], subject: str) -> dict[str, list[float]]:
    """Each metric of a subject, a value an iteration."""

    def score(name: str, k: int) -> float:
        generated, real = encodings[f"{subject}_{k}"], encodings[f"{REFERENCE_SET}_{k}"]
        return metrics.METRICS[name](generated, real, numpy_rng(evaluation.seed(k), "metric", name, subject))

    return {name: [score(name, k) for k in range(evaluation.iterations)] for name in evaluation.judge.metrics_names}


def pick_examples(
    evaluation: Evaluation, read: Callable[[str], Arrays], encodings: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Motions of each subject in the first iteration by their distance from the nearest real one, and what they are."""
    kept: dict[str, np.ndarray] = {}
    described: dict[str, Any] = {}
    for subject in evaluation.judge.subjects:
        distance = metrics.nearest_distance(encodings[f"{subject}_0"], encodings[f"{REFERENCE_SET}_0"])
        rows = record.best_median_worst(distance)
        motions = to_judge(evaluation, read, 0, subject)
        described[subject] = {kind: [] for kind in rows}
        for kind, row in ((kind, row) for kind, chosen in rows.items() for row in chosen):
            name = f"{subject}/{kind}/{len(described[subject][kind])}"
            kept[name] = motions.points[row, : int(motions.lengths[row])].numpy()
            entry = {"motion": name, "distance": float(distance[row]), "title": f"{subject} {row}"}
            described[subject][kind].append(entry)
    return kept, described


def recorded(evaluation: Evaluation, values: record.Values, examples: dict[str, Any], seconds: float) -> dict[str, Any]:
    """All that is known of an evaluation, for its JSON file."""
    judge = evaluation.judge
    how_much = {"num_eval_iterations": evaluation.iterations, "subjects": list(judge.subjects)}
    return record.content(
        evaluation.session, values, kind="mas", truth=judge.truth, reference=REFERENCE, examples=examples,
        better={name: BETTER.get(name, "lower") for name in judge.metrics_names},
        evaluator=evaluation.evaluator.identity, settings=generation_settings(evaluation) | how_much, seconds=seconds,
        angle_mode=judge.angle_mode if judge.truth == "2d" else "uniform",
    )  # fmt: skip
