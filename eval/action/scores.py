"""How well motion generated for actions is recognised, how varied it is, and how near real motion (HumanAct12, UESTC).

The protocol of Guo et al. 2020 (Action2Motion, section 5.1) as ACTOR (Petrovich et al. 2021) and MDM run it: each
evaluation seed is a set of its own, of three subjects: `gen`, samples for the actions and lengths of `gt`, a draw of
real motion, and `gt2`, another draw. All are held against `gt`. Unconditional models of HumanAct12 are also evaluated
as by Raab et al. 2023 (MoDi): by 15 joints, against all real motion.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.action.windows import ActionDataset
from data_loaders.registry import load_dataset
from eval.action.evaluators import REAL_POSES, Recognisers
from eval.common.evaluation import Evaluation, Read, iteration_seed
from eval.common.work import Arrays, Unit, parts, say
from eval.metrics import distances as metrics
from eval.reporting import record
from model.evaluators.action_recognition import HIDDEN, LAYERS
from sample.common.plain import sample_plain
from sample.common.session import Request, Session
from utils.run.errors import DataError, NumericError, UsageError
from utils.run.randomness import key_of, numpy_rng, torch_generator

GENERATED, REAL = "gen", "gt"
SUBJECTS = (GENERATED, REAL, "gt2")
PARTS = {"humanact12": {"": "train"}, "uestc": {"_train": "train", "_test": "test"}}  # a key's ending, the data's part
UNIT_ROWS = 64  # motions of a unit; published models whose GRU runs over the batch depend on it
DIVERSITY_PAIRS, MULTIMODALITY_PAIRS = 200, 20  # of a set, and of each action
MIN_SAMPLES = metrics.NEIGHBOURS + 1  # of a set

Values = dict[str, list[float]]  # published key -> one value an evaluation seed
BETTER = {"accuracy": "higher", "precision": "higher", "recall": "higher", "fid": "lower", "kid": "lower"}
UNCONSTRAINED = "_unconstrained"  # the ending of keys of metrics of poses


@dataclass(frozen=True, kw_only=True)
class ActionEvaluation(Evaluation):
    """A model, its recognisers, how much is generated, and the parts of the real data by the ending of their keys."""

    kind = "action"
    reference = REAL
    what = "parts of motions"

    recognisers: Recognisers
    samples: int
    seeds: int
    real: dict[str, ActionDataset]

    @property
    def identity(self) -> dict[str, str]:
        """See Evaluation."""
        return self.recognisers.identity

    @property
    def conditional(self) -> bool:
        """Whether motion is generated for actions that it can be recognised by."""
        return self.session.data.cond == "action"

    def seed(self, ending: str, k: int) -> int:
        """What the draws of evaluation seed `k` are keyed by, in one part of the data."""
        return iteration_seed(key_of(self.session.run.seed, "part", ending), k)

    def drawn(self, ending: str, subject: str, k: int) -> list[int]:
        """The real motions of a subject, none twice; for generated motion those of `gt`."""
        name = REAL if subject == GENERATED else subject
        order = numpy_rng(self.seed(ending, k), "real", name).permutation(len(self.real[ending]))
        return order[: self.samples].tolist()

    def labels(self, ending: str, subject: str, k: int) -> np.ndarray:
        """The actions [N] of a subject."""
        clips = self.real[ending].clips
        return np.array([clips[i].label for i in self.drawn(ending, subject, k)])

    def units(self) -> dict[str, Unit]:
        """The work by name: the motions of each subject of each seed in parts, and the real poses."""
        work: dict[str, Unit] = {}
        for k in range(self.seeds):
            for ending in self.real:
                for subject in SUBJECTS:
                    for name, rows in self.unit_names(ending, subject, k).items():
                        work[name] = functools.partial(self.encode, ending, subject, k, rows)
        real = self.recognisers.real_poses
        for name, rows in self.pose_names().items():
            assert real is not None
            work[name] = lambda rows=rows: {"poses": self.recognisers.see_poses(real[rows])}
        return work

    def unit_names(self, ending: str, subject: str, k: int) -> dict[str, slice]:
        """The units of a subject of a seed, and which of its motions each holds."""
        rows = parts(self.samples, UNIT_ROWS)
        return {f"{subject}{ending}_{k:02d}_{i:03d}": part for i, part in enumerate(rows)}

    def pose_names(self) -> dict[str, slice]:
        """The same of the real poses, if there are any."""
        real = self.recognisers.real_poses
        rows = parts(0 if real is None else len(real), UNIT_ROWS)
        return {f"poses_{i:03d}": part for i, part in enumerate(rows)}

    def encode(self, ending: str, subject: str, k: int, rows: slice) -> Arrays:
        """Of some motions of a subject `embeddings`, `logits`, and `poses` of those generated unconditionally.

        The joints [B, T, 24, 3] of the first seed's generated ones are kept too. Raises NumericError for what is not
        finite.
        """
        session, recognisers, seed = self.session, self.recognisers, self.seed(ending, k)
        motions = self.generated if subject == GENERATED else self.real_motions
        features, lengths = motions(ending, subject, k, rows)
        if not torch.isfinite(features).all():
            raise NumericError(f"{session.path} made motions that hold NaN or infinity, of which there are no metrics")
        before = hidden_state(seed, subject, rows) if session.run.compat == "published" else None
        found = recognisers.recognise(features, lengths, before)
        if subject == GENERATED and recognisers.poses is not None:
            found["poses"] = recognisers.see_generated_poses(features)
        if subject == GENERATED and k == 0:
            found |= {"joints": session.joints(features).numpy(), "lengths": lengths.numpy()}
        return found

    def generated(self, ending: str, subject: str, k: int, rows: slice) -> tuple[Tensor, Tensor]:
        """Features [B, T, 150] and lengths [B] of some of a seed's generated motions, sample i by (seed, i)."""
        session = self.session
        session = replace(session, run=replace(session.run, seed=self.seed(ending, k)))
        actions = torch.from_numpy(self.labels(ending, subject, k)[rows])
        lengths = torch.full((len(actions),), self.real[ending].frames)
        conditions = {"action": actions} if self.conditional else {}
        return sample_plain(session, Request(lengths, conditions, first=rows.start)), lengths

    def real_motions(self, ending: str, subject: str, k: int, rows: slice) -> tuple[Tensor, Tensor]:
        """The same of some of a draw of real motions, each cut where (seed, its place) says."""
        seed, chosen = self.seed(ending, k), self.drawn(ending, subject, k)[rows]
        batch = self.real[ending].batch(chosen, lambda i: numpy_rng(seed, "window", subject, rows.start + i))
        return batch["motion"], batch["lengths"]

    def scores(self, read: Read) -> Values:
        """Every metric by its published key."""
        values: Values = {}
        for k in range(self.seeds):
            for ending in self.real:
                for key, value in self.metrics_of(ending, k, read).items():
                    values.setdefault(key, []).append(value)
        return values

    def metrics_of(self, ending: str, k: int, read: Read) -> dict[str, float]:
        """The metrics of one seed and part of the data. Motion that was generated for no action has no accuracy."""
        found: dict[str, float] = {}
        seen = {subject: gathered(read, self.unit_names(ending, subject, k)) for subject in SUBJECTS}
        for subject, arrays in seen.items():
            key, embeddings = f"{subject}{ending}", arrays["embeddings"]
            rng = numpy_rng(self.seed(ending, k), "metrics", subject)
            found[f"fid_{key}"] = metrics.frechet_distance(embeddings, seen[REAL]["embeddings"])
            found[f"diversity_{key}"] = diversity(embeddings, rng)
            if subject != GENERATED or self.conditional:
                labels = self.labels(ending, subject, k)
                found[f"accuracy_{key}"] = metrics.accuracy(arrays["logits"], labels)
                found[f"multimodality_{key}"] = multimodality(embeddings, labels, rng)
        if names := self.pose_names():
            rng = numpy_rng(self.seed(ending, k), "metrics", "poses")
            found |= pose_metrics(seen[GENERATED]["poses"], gathered(read, names)["poses"], rng)
        return found

    def by_subject(self, values: Mapping[str, Any]) -> record.Values:
        """The values by subject and metric: `fid_gen_train` is the metric fid_train of gen."""
        return rows_of(values)

    def pick_examples(self, read: Read) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Motions of the first seed by the distance from the nearest real one: joints [T, J, 3], y up.

        Of UESTC those of the training part.
        """
        ending = next(iter(self.real))
        generated, real = (gathered(read, self.unit_names(ending, subject, 0)) for subject in (GENERATED, REAL))
        distance = metrics.nearest_distance(generated["embeddings"], real["embeddings"])
        chosen = record.best_median_worst(distance)
        labels, actions = self.labels(ending, GENERATED, 0), self.session.spec.actions
        motions, described = {}, {kind: [] for kind in chosen}
        for kind, places in chosen.items():
            for k, place in enumerate(places):
                name = f"{GENERATED}/{kind}/{k}"
                motions[name] = generated["joints"][place, : generated["lengths"][place]]
                title = actions[labels[place]] if self.conditional else ""
                described[kind].append({"motion": name, "distance": float(distance[place]), "title": title})
        return motions, {GENERATED: described}

    def better(self, metric: str) -> str:
        """See Evaluation."""
        return BETTER.get(metric.split("_")[0], "closer")

    def unit_settings(self) -> dict[str, Any]:
        """All that the units depend on; more seeds may follow."""
        session = self.session
        return record.sampling_settings(session) | {
            "recogniser": self.recognisers.identity["name"],
            "recogniser_sha256": self.recognisers.identity["sha256"],
            "cond": session.data.cond,
            "motions": [len(real) for real in self.real.values()],
            "num_frames": next(iter(self.real.values())).frames,
            "eval_num_samples": self.samples,
        }

    def amounts(self) -> dict[str, Any]:
        """See Evaluation."""
        return {"num_seeds": self.seeds}


def prepared(
    session: Session, recognisers: Recognisers, samples: int, seeds: int, folder: Path | None = None,
    resume: bool = False,
) -> ActionEvaluation:  # fmt: skip
    """All that an evaluation needs, the data loaded. Raises what a user should see, before anything is generated."""
    spec, real = session.spec, {}
    if samples < MIN_SAMPLES:
        raise UsageError(f"--eval_num_samples {samples}: a set takes at least {MIN_SAMPLES}")
    for ending, part in PARTS[spec.name].items():
        data = replace(session.data, data_split=part, data_augmentations=(), data_size=None)
        real[ending] = load_dataset(spec, data, session.run.compat, session.run.seed)
        _check_count(f"the {part} part of {spec.folder(data.datapath)}", len(real[ending]), samples)
    if recognisers.real_poses is not None:
        _check_count(REAL_POSES, len(recognisers.real_poses), samples)
    return ActionEvaluation(
        session=session, recognisers=recognisers, samples=samples, seeds=seeds, real=real, folder=folder, resume=resume
    )


def _check_count(where: str, there: int, samples: int) -> None:
    if there < samples:
        raise DataError(f"{where} holds {there} motions, fewer than --eval_num_samples {samples}: lower that")


def hidden_state(seed: int, subject: str, rows: slice) -> Tensor:
    """What the recurrent recogniser begins with under `--compat published`, [layers, B, H]: draws by (seed, i)."""
    places = range(rows.start, rows.stop)
    draws = [torch.randn(LAYERS, HIDDEN, generator=torch_generator(seed, "hidden", subject, i)) for i in places]
    return torch.stack(draws, 1)


def rows_of(values: Mapping[str, list[float]]) -> dict[str, dict[str, list[float]]]:
    """The values by subject and metric: `fid_gen_train` is the metric fid_train of gen."""
    table: dict[str, dict[str, list[float]]] = {subject: {} for subject in SUBJECTS}
    for key, found in values.items():
        name, *rest = key.removesuffix(UNCONSTRAINED).split("_")
        subject = rest.pop(0) if rest else GENERATED
        ending = UNCONSTRAINED if key.endswith(UNCONSTRAINED) else "".join(f"_{word}" for word in rest)
        table[subject][name + ending] = found
    return table


def gathered(read: Read, names: dict[str, slice]) -> Arrays:
    """The arrays of units, one after another."""
    found = [read(name) for name in names]
    return {name: np.concatenate([arrays[name] for arrays in found]) for name in found[0]}


def diversity(embeddings: np.ndarray, rng: np.random.RandomState) -> float:
    """Mean distance of 200 pairs of a set, drawn with repetition."""
    return metrics.diversity(embeddings, metrics.draw_pairs(len(embeddings), DIVERSITY_PAIRS, rng, repeat=True))


def multimodality(embeddings: np.ndarray, labels: np.ndarray, rng: np.random.RandomState) -> float:
    """Mean over actions of the mean distance of 20 pairs of motions of the action, drawn with repetition.

    Over the actions that come twice at least (the published program counts those that are absent as 0). Where none
    does, there is no pair of two motions, and the metric is 0; that is said.
    """
    often = np.bincount(labels)[labels] > 1
    if not often.any():
        say(f"note: no action comes twice among {len(labels)} motions, multimodality is 0: raise --eval_num_samples")
        return 0.0
    actions, own = np.unique(labels[often], return_inverse=True)
    pairs = metrics.draw_labelled_pairs(own, MULTIMODALITY_PAIRS, rng)
    return metrics.labelled_multimodality(embeddings[often], own, pairs, len(actions))


def pose_metrics(generated: np.ndarray, real: np.ndarray, rng: np.random.RandomState) -> dict[str, float]:
    """The metrics of unconditional motions [N, 256] against real ones [M, 256], M at least N.

    KID in subsets of 1000, or of N where that is less; precision and recall against N of the real ones.
    """
    alike = real[rng.permutation(len(real))[: len(generated)]]
    precision, recall = metrics.precision_recall(generated, alike)
    found = {
        "fid": metrics.frechet_distance(generated, real), "kid": metrics.METRICS["kid"](generated, real, rng),
        "diversity_gen": diversity(generated, rng), "diversity_gt": diversity(real, rng),
        "precision": precision, "recall": recall,
    }  # fmt: skip
    return {f"{name}_unconstrained": value for name, value in found.items()}
