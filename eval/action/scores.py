"""How well motion generated for actions is recognised, how varied it is, and how near real motion (HumanAct12, UESTC).

The protocol of Guo et al. 2020 (Action2Motion, section 5.1) as ACTOR (Petrovich et al. 2021) and MDM run it: each
evaluation seed is a set of its own, of three subjects: `gen`, what the model makes for the actions and lengths of `gt`,
a draw of real motion, and `gt2`, another draw. All are held against `gt`. Models of HumanAct12 that are told nothing
are also judged as by Raab et al. 2023 (MoDi): by 15 joints, against all real motion. Work is cut into units, each done
once (`eval.common.work`); a unit's numbers depend on its name, the seed and the settings alone.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from data_loaders.action.windows import ActionDataset
from data_loaders.registry import load_dataset
from eval.action.evaluators import REAL_POSES, Judges
from eval.common.work import Arrays, Unit, parts, say
from eval.mas.subjects import iteration_seed
from eval.metrics import distances as metrics
from model.evaluators.action_recognition import HIDDEN, LAYERS
from sample.common.plain import sample_plain
from sample.common.session import Request, Session
from utils.run.errors import DataError, NumericError, UsageError
from utils.run.randomness import key_of, numpy_rng, torch_generator

MADE, REAL = "gen", "gt"
SUBJECTS = (MADE, REAL, "gt2")
PARTS = {"humanact12": {"": "train"}, "uestc": {"_train": "train", "_test": "test"}}  # a key's ending, the data's part
UNIT_ROWS = 64  # motions of a unit; published models whose GRU runs over the batch depend on it
DIVERSITY_PAIRS, MULTIMODALITY_PAIRS = 200, 20  # of a set, and of each action
LEAST = metrics.NEIGHBOURS + 1  # motions of a set

Values = dict[str, list[float]]  # published key -> one value an evaluation seed
Read = Callable[[str], Arrays]


@dataclass(frozen=True)
class ActionEvaluation:
    """A model, its judges, how much is made, and the parts of the real data by the ending of their keys."""

    session: Session
    judges: Judges
    samples: int
    seeds: int
    real: dict[str, ActionDataset]

    @property
    def told_actions(self) -> bool:
        """Whether generated motion was made for actions that it can be recognised by."""
        return self.session.data.cond == "action"

    def seed(self, ending: str, k: int) -> int:
        """What the draws of evaluation seed `k` are keyed by, in one part of the data."""
        return iteration_seed(key_of(self.session.run.seed, "part", ending), k)

    def drawn(self, ending: str, subject: str, k: int) -> list[int]:
        """The real motions of a subject, none twice; for generated motion those of `gt`."""
        name = REAL if subject == MADE else subject
        order = numpy_rng(self.seed(ending, k), "real", name).permutation(len(self.real[ending]))
        return order[: self.samples].tolist()

    def labels(self, ending: str, subject: str, k: int) -> np.ndarray:
        """The actions [N] of a subject."""
        clips = self.real[ending].clips
        return np.array([clips[i].label for i in self.drawn(ending, subject, k)])


def prepared(session: Session, judges: Judges, samples: int, seeds: int) -> ActionEvaluation:
    """All that an evaluation needs, the data loaded. Raises what a user should see, before anything is made."""
    spec, real = session.spec, {}
    if samples < LEAST:
        raise UsageError(f"--eval_num_samples {samples}: a set takes at least {LEAST}")
    for ending, part in PARTS[spec.name].items():
        data = replace(session.data, data_split=part, data_augmentations=(), data_size=None)
        real[ending] = load_dataset(spec, data, session.run.compat, session.run.seed)
        _check_count(f"the {part} part of {spec.folder(data.datapath)}", len(real[ending]), samples)
    if judges.real_poses is not None:
        _check_count(REAL_POSES, len(judges.real_poses), samples)
    return ActionEvaluation(session, judges, samples, seeds, real)


def _check_count(where: str, there: int, samples: int) -> None:
    if there < samples:
        raise DataError(f"{where} holds {there} motions, fewer than --eval_num_samples {samples}: lower that")


def evaluate(session: Session, judges: Judges, samples: int, seeds: int) -> Values:
    """The figures of a model, made here and now by this rank alone. Raises what a user should see as one sentence."""
    evaluation = prepared(session, judges, samples, seeds)
    work = units(evaluation)
    return scores(evaluation, functools.cache(lambda name: work[name]()))


def units(evaluation: ActionEvaluation) -> dict[str, Unit]:
    """The work by name: the motions of each subject of each seed in parts, and the real poses."""
    work: dict[str, Unit] = {}
    for k in range(evaluation.seeds):
        for ending in evaluation.real:
            for subject in SUBJECTS:
                for name, rows in unit_names(evaluation, ending, subject, k).items():
                    work[name] = functools.partial(judged, evaluation, ending, subject, k, rows)
    real = evaluation.judges.real_poses
    for name, rows in pose_names(evaluation).items():
        assert real is not None
        work[name] = lambda rows=rows: {"poses": evaluation.judges.see_poses(real[rows])}
    return work


def unit_names(evaluation: ActionEvaluation, ending: str, subject: str, k: int) -> dict[str, slice]:
    """The units of a subject of a seed, and which of its motions each holds."""
    rows = parts(evaluation.samples, UNIT_ROWS)
    return {f"{subject}{ending}_{k:02d}_{i:03d}": part for i, part in enumerate(rows)}


def pose_names(evaluation: ActionEvaluation) -> dict[str, slice]:
    """The same of the real poses, if there are any."""
    real = evaluation.judges.real_poses
    rows = parts(0 if real is None else len(real), UNIT_ROWS)
    return {f"poses_{i:03d}": part for i, part in enumerate(rows)}


def judged(evaluation: ActionEvaluation, ending: str, subject: str, k: int, rows: slice) -> Arrays:
    """What is seen in some motions of a subject: `embeddings`, `logits`, and `poses` of those told nothing.

    The joints [B, T, 24, 3] of what the first seed made are kept too. Raises NumericError for what is not finite.
    """
    session, judges, seed = evaluation.session, evaluation.judges, evaluation.seed(ending, k)
    motions = generated if subject == MADE else real_motions
    features, lengths = motions(evaluation, ending, subject, k, rows)
    if not torch.isfinite(features).all():
        raise NumericError(f"{session.path} made motions that hold NaN or infinity, of which there are no figures")
    before = hidden_state(seed, subject, rows) if session.run.compat == "published" else None
    found = judges.recognise(features, lengths, before)
    if subject == MADE and judges.poses is not None:
        found["poses"] = judges.see_generated_poses(features)
    if subject == MADE and k == 0:
        found |= {"joints": session.joints(features).numpy(), "lengths": lengths.numpy()}
    return found


def generated(evaluation: ActionEvaluation, ending: str, subject: str, k: int, rows: slice) -> tuple[Tensor, Tensor]:
    """Features [B, T, 150] and lengths [B] of some of a seed's generated motions, sample i by (seed, i)."""
    session = evaluation.session
    session = replace(session, run=replace(session.run, seed=evaluation.seed(ending, k)))
    actions = torch.from_numpy(evaluation.labels(ending, subject, k)[rows])
    lengths = torch.full((len(actions),), evaluation.real[ending].frames)
    told = {"action": actions} if evaluation.told_actions else {}
    return sample_plain(session, Request(lengths, told, first=rows.start)), lengths


def real_motions(evaluation: ActionEvaluation, ending: str, subject: str, k: int, rows: slice) -> tuple[Tensor, Tensor]:
    """The same of some of a draw of real motions, each cut where (seed, its place) says."""
    seed, chosen = evaluation.seed(ending, k), evaluation.drawn(ending, subject, k)[rows]
    batch = evaluation.real[ending].batch(chosen, lambda i: numpy_rng(seed, "window", subject, rows.start + i))
    return batch["motion"], batch["lengths"]


def hidden_state(seed: int, subject: str, rows: slice) -> Tensor:
    """What the recurrent recogniser begins with under `--compat published`, [layers, B, H]: draws by (seed, i)."""
    places = range(rows.start, rows.stop)
    draws = [torch.randn(LAYERS, HIDDEN, generator=torch_generator(seed, "hidden", subject, i)) for i in places]
    return torch.stack(draws, 1)


def scores(evaluation: ActionEvaluation, read: Read) -> Values:
    """Every figure by its published key from the units that `read` gives."""
    values: Values = {}
    for k in range(evaluation.seeds):
        for ending in evaluation.real:
            for key, value in figures(evaluation, ending, k, read).items():
                values.setdefault(key, []).append(value)
    return values


def figures(evaluation: ActionEvaluation, ending: str, k: int, read: Read) -> dict[str, float]:
    """The figures of one seed and part of the data. Motion that was made for no action has no accuracy."""
    found: dict[str, float] = {}
    seen = {subject: gathered(read, unit_names(evaluation, ending, subject, k)) for subject in SUBJECTS}
    for subject, arrays in seen.items():
        key, embeddings = f"{subject}{ending}", arrays["embeddings"]
        rng = numpy_rng(evaluation.seed(ending, k), "metrics", subject)
        found[f"fid_{key}"] = metrics.frechet_distance(embeddings, seen[REAL]["embeddings"])
        found[f"diversity_{key}"] = diversity(embeddings, rng)
        if subject != MADE or evaluation.told_actions:
            labels = evaluation.labels(ending, subject, k)
            found[f"accuracy_{key}"] = metrics.accuracy(arrays["logits"], labels)
            found[f"multimodality_{key}"] = multimodality(embeddings, labels, rng)
    if names := pose_names(evaluation):
        rng = numpy_rng(evaluation.seed(ending, k), "metrics", "poses")
        found |= pose_figures(seen[MADE]["poses"], gathered(read, names)["poses"], rng)
    return found


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
    does, there is no pair of two motions, and the figure is 0; that is said.
    """
    often = np.bincount(labels)[labels] > 1
    if not often.any():
        say(f"note: no action comes twice among {len(labels)} motions, multimodality is 0: raise --eval_num_samples")
        return 0.0
    actions, own = np.unique(labels[often], return_inverse=True)
    pairs = metrics.draw_labelled_pairs(own, MULTIMODALITY_PAIRS, rng)
    return metrics.labelled_multimodality(embeddings[often], own, pairs, len(actions))


def pose_figures(made: np.ndarray, real: np.ndarray, rng: np.random.RandomState) -> dict[str, float]:
    """The figures of motions told nothing [N, 256] against real ones [M, 256], M at least N.

    KID in subsets of 1000, or of N where that is less; precision and recall against N of the real ones.
    """
    alike = real[rng.permutation(len(real))[: len(made)]]
    precision, recall = metrics.precision_recall(made, alike)
    found = {
        "fid": metrics.frechet_distance(made, real), "kid": metrics.METRICS["kid"](made, real, rng),
        "diversity_gen": diversity(made, rng), "diversity_gt": diversity(real, rng),
        "precision": precision, "recall": recall,
    }  # fmt: skip
    return {f"{name}_unconstrained": value for name, value in found.items()}
