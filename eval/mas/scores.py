"""How near generated motion is to held-out motion in the space of an evaluator: MAS, its ablations and its rivals.

Each iteration is a set of its own: real test motions, and as many of each subject with their lengths (MAS, Kapon et al.
2023, section 6). 3D motion is projected from an angle of each sample's own, or compared in 3D (`truth` 3d). Samples are
generated in parts, each once (`eval.common.work`), and so are their encodings.
"""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval.common.evaluation import Evaluation, Read, iteration_seed, read_from
from eval.common.work import Arrays, Unit, parts, run_units, unit_folder
from eval.mas import subjects
from eval.mas.evaluators import Evaluator
from eval.mas.subjects import Motions
from eval.metrics import distances as metrics
from eval.options import PREDICTIONS, REAL
from eval.reporting import record
from sample.common.request import choose_conditions, frames_in
from sample.common.session import Request
from sample.options import MasOptions
from train.options import ComparisonOptions
from utils.run.randomness import numpy_rng

PART = 32  # motions that are generated at once
REFERENCE = "test_data"  # the part of the data that all are held against
REFERENCE_SET = "reference"  # the draw of it that an iteration takes
BETTER = {"diversity": "closer", "precision": "higher", "recall": "higher"}  # of the others lower is better


@dataclass(frozen=True, kw_only=True)
class MasEvaluation(Evaluation):
    """What is compared, in the space of which evaluator, and how many `samples` in how many `iterations`."""

    kind = "mas"
    reference = REFERENCE
    what = "sets encoded"

    mas: MasOptions
    comparison: ComparisonOptions
    evaluator: Evaluator
    samples: int
    iterations: int

    @property
    def identity(self) -> dict[str, str]:
        """See Evaluation."""
        return self.evaluator.identity

    @property
    def truth(self) -> str:
        """Whether motion is compared in 2d or 3d."""
        return self.comparison.truth

    @property
    def angle_mode(self) -> str:
        """From where 3D motion is projected."""
        return self.comparison.angle_mode if self.truth == "2d" else "uniform"

    @property
    def generated_folder(self) -> Path:
        """Where generated samples are kept, as several evaluators take them: this family has to have a folder."""
        assert self.folder is not None
        return self.folder

    @property
    def longest(self) -> int | None:
        """Frames that `--motion_length` allows."""
        seconds = self.session.sampling.motion_length
        return frames_in(seconds, self.session.spec) if seconds else None

    @functools.cached_property
    def predictions(self) -> dict[str, list[Tensor]]:
        """What each program predicted whose predictions are requested, loaded once."""
        spec, datapath = self.session.spec, self.session.data.datapath
        requested = [name for name in self.comparison.subjects if name in PREDICTIONS]
        return {name: subjects.load_predictions(spec, name, datapath, self.samples) for name in requested}

    @functools.cached_property
    def real(self) -> dict[str, Any]:
        """The parts of the real data that are needed, each loaded once."""
        session, wanted = self.session, {REFERENCE, *self.comparison.subjects} & set(REAL)
        spec, data, run = session.spec, session.data, session.run
        return {
            name: subjects.load_real(spec, data, name.removesuffix("_data"), self.samples, run.compat, run.seed)
            for name in sorted(wanted)
        }

    def seed(self, iteration: int) -> int:
        """The seed of an iteration."""
        return iteration_seed(self.session.run.seed, iteration)

    def reference_set(self, iteration: int, truth: str) -> Motions:
        """The real test motions of an iteration, which all others are held against."""
        return subjects.real_motions(self.real[REFERENCE], self.samples, self.seed(iteration), truth, self.longest)

    def other_real(self, name: str, iteration: int) -> Motions:
        """Other real motions of an iteration, of the test part too."""
        seed = iteration_seed(self.seed(iteration), 1)
        return subjects.real_motions(self.real[name], self.samples, seed, self.truth, self.longest)

    def gather(self) -> Read:
        """Generate all samples that are not there yet, then encode what is not encoded; returns what reads encodings.

        Raises what a user should see as one sentence; whatever was done until then is kept in the folder.
        """
        _ = self.predictions, self.real, self.longest  # what is wrong is said before anything is generated
        encodings = self.generated_folder / self.encodings_name
        with unit_folder(self.generated_folder, self.unit_settings(), self.resume):
            run_units(self.generated_folder, self.generation_units(), "parts of motions")
            with unit_folder(encodings, {"evaluator_sha256": self.evaluator.sha256}, self.resume):
                run_units(encodings, self.units(), self.what)
        return functools.cache(read_from(encodings))

    @property
    def encodings_name(self) -> str:
        """The folder of the encodings by one evaluator, projected in one way."""
        return f"encoded_{self.evaluator.sha256[:12]}_{self.angle_mode if self.truth == '2d' else '3d'}"

    def generation_units(self) -> dict[str, Unit]:
        """The units in which samples are generated, those of all iterations."""
        generated = dict.fromkeys(filter(None, map(generated_as, self.comparison.subjects)))
        units: dict[str, Unit] = {}
        for iteration in range(self.iterations):
            for subject in generated:
                units |= self.generation(iteration, subject)
        return units

    def generation(self, iteration: int, subject: str) -> dict[str, Unit]:
        """The units in which an iteration's samples of a subject are generated."""
        session, seed = self.session, self.seed(iteration)
        session = dataclasses.replace(session, run=dataclasses.replace(session.run, seed=seed))

        @functools.cache
        def request() -> Request:
            conditions, titles = choose_conditions(session, self.samples)
            return Request(self.reference_set(iteration, "2d").lengths, conditions, titles)

        def unit(rows: slice) -> Arrays:
            return subjects.generate(session, request().part(rows), subject, self.mas)

        rows = parts(self.samples, PART)
        return {f"{subject}_{iteration}_{k}": functools.partial(unit, part) for k, part in enumerate(rows)}

    def units(self) -> dict[str, Unit]:
        """The encodings of each set of each iteration; what is generated lies in the folder already."""

        def encode(subject: str, iteration: int) -> Arrays:
            motions = self.projected(iteration, subject)
            return {"encodings": self.evaluator.encode(motions.points, motions.lengths)}

        return {
            f"{subject}_{k}": functools.partial(encode, subject, k)
            for k in range(self.iterations)
            for subject in (REFERENCE_SET, *self.comparison.subjects)
        }

    def motions(self, iteration: int, subject: str) -> Motions:
        """The motions of a subject in an iteration, 2D or 3D as they come."""
        if subject == REFERENCE_SET:
            return self.reference_set(iteration, self.truth)
        if subject in REAL:
            return self.other_real(subject, iteration)
        if subject in PREDICTIONS:
            return subjects.predicted(self.predictions[subject], self.samples, self.seed(iteration))
        read = read_from(self.generated_folder)
        motions = joined([read(name) for name in self.generation(iteration, generated_as(subject))])
        return subjects.flat(motions, self.session.spec) if subject == "flat" else motions

    def projected(self, iteration: int, subject: str) -> Motions:
        """The same as the evaluator takes them; real motion has its own view already."""
        motions = self.motions(iteration, subject)
        if subject in (REFERENCE_SET, *REAL) or motions.points.shape[-1] == 2:
            return motions
        return subjects.projected(motions, self.session.spec, self.seed(iteration), self.truth, self.angle_mode)

    def scores(self, read: Read) -> dict[str, dict[str, list[float]]]:
        """Each metric of each subject, a value an iteration."""

        def score(subject: str, name: str, k: int) -> float:
            generated, real = (read(f"{each}_{k}")["encodings"] for each in (subject, REFERENCE_SET))
            return metrics.METRICS[name](generated, real, numpy_rng(self.seed(k), "metric", name, subject))

        return {
            subject: {
                name: [score(subject, name, k) for k in range(self.iterations)]
                for name in self.comparison.metrics_names
            }
            for subject in self.comparison.subjects
        }

    def pick_examples(self, read: Read) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Motions of each subject in the first iteration by their distance from the nearest real one."""
        kept: dict[str, np.ndarray] = {}
        described: dict[str, Any] = {}
        real = read(f"{REFERENCE_SET}_0")["encodings"]
        for subject in self.comparison.subjects:
            distance = metrics.nearest_distance(read(f"{subject}_0")["encodings"], real)
            rows = record.best_median_worst(distance)
            motions = self.projected(0, subject)
            described[subject] = {kind: [] for kind in rows}
            for kind, row in ((kind, row) for kind, chosen in rows.items() for row in chosen):
                name = f"{subject}/{kind}/{len(described[subject][kind])}"
                kept[name] = motions.points[row, : int(motions.lengths[row])].numpy()
                entry = {"motion": name, "distance": float(distance[row]), "title": f"{subject} {row}"}
                described[subject][kind].append(entry)
        return kept, described

    def better(self, metric: str) -> str:
        """See Evaluation."""
        return BETTER.get(metric, "lower")

    def unit_settings(self) -> dict[str, Any]:
        """All that generated samples depend on."""
        more = ("motion_length", "action_name", "action_file")
        mas = dict(vars(self.mas))
        # Folders and records that users have know it by the flag's first name.
        mas["evidence"] = mas.pop("snr_scale")
        return record.sampling_settings(self.session, *more) | {"eval_num_samples": self.samples, **mas}

    def amounts(self) -> dict[str, Any]:
        """See Evaluation."""
        return {"num_eval_iterations": self.iterations, "subjects": list(self.comparison.subjects)}


def generated_as(subject: str) -> str:
    """The subject whose samples a subject takes ("": none are generated for it)."""
    return "model" if subject == "flat" else "" if subject in (*REAL, *PREDICTIONS) else subject


def joined(samples: Sequence[Arrays]) -> Motions:
    """The motions of units as one set."""
    frames = max(part["points"].shape[1] for part in samples)
    padded = [
        np.pad(part["points"], ((0, 0), (0, frames - part["points"].shape[1]), (0, 0), (0, 0))) for part in samples
    ]
    lengths = np.concatenate([part["lengths"] for part in samples])
    return Motions(torch.from_numpy(np.concatenate(padded)), torch.from_numpy(lengths))
