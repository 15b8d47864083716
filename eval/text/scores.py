"""How well a text model obeys sentences, and how near its motion is to real motion, as published (Guo et al. 2022).

Each replication is a set of its own: the real motions of a part, twice with other windows and sentences, and as many
generated ones as requested, conditioned on sentences and lengths of real ones. Rows are `ground truth` and `vald` (the
model), metrics the matching score, R-precision, FID, diversity and, if requested, multimodality.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.common.order import epoch_order
from data_loaders.points.keypoints import denormalise
from data_loaders.registry import load_dataset
from data_loaders.text.humanml import TextMotions
from eval.common.evaluation import Evaluation, Read, iteration_seed
from eval.common.held_out import held_out_part
from eval.common.work import Arrays, Unit, parts
from eval.metrics import distances as metrics
from eval.reporting import record
from eval.text.protocol import TextEvaluator
from model.text.encoders import Remembering
from sample.common.plain import sample_plain
from sample.common.session import Request, Session
from sample.endless.windows import sample_endless
from utils.run.errors import DataError, NumericError, UsageError
from utils.run.randomness import key_of, numpy_rng

REAL, GENERATED, REPEATED = "ground truth", "vald", "repeats"
TITLES = {
    "Matching Score": ("matching_score",),
    "R_precision": ("r_precision_top1", "r_precision_top2", "r_precision_top3"),
    "FID": ("fid",),
    "Diversity": ("diversity",),
    "MultiModality": ("multimodality",),
}  # published titles, and the metrics below them
BETTER = {"matching_score": "lower", "fid": "lower", "diversity": "closer"}  # of the others higher is better
BATCH = metrics.BATCH  # of R-precision; sets are whole multiples of it
TOP = 3
DIVERSITY_PAIRS = 300
REPEATS, REPEATED_PAIRS = 30, 10  # motions of a sentence, and pairs among them, of multimodality
SENTENCES = 100  # of multimodality, at least
UNIT_ROWS = 64  # motions that a unit generates
REAL_ROWS = 256  # real motions that are encoded at once
OFFSET = 4  # frames within which a clip's start is shown to a model that goes on from there, as published

Values = Mapping[str, Mapping[str, list[float]]]  # row -> metric -> one value a replication


@dataclass(frozen=True)
class TextSettings:
    """How much is generated, and for which part of the data.

    `samples` is rounded up to whole batches. `keep` keeps the joints of the first replication's motions.
    """

    replications: int = 20
    samples: int = 1000
    multimodality: bool = False
    split: str = "test"
    include_prefix: bool = False
    keep: bool = False

    @property
    def count(self) -> int:
        """Generated motions in a replication."""
        return _whole(self.samples)

    @property
    def sentences(self) -> int:
        """Sentences of multimodality."""
        return min(_whole(SENTENCES), self.count) if self.multimodality else 0


def _whole(samples: int) -> int:
    return -(-samples // BATCH) * BATCH


MODES = {"wo_mm": (20, False), "mm_short": (5, True), "debug": (5, False), "full": (20, True)}  # replications, modality


@dataclass(frozen=True)
class Requested:
    """What is requested of the model in a replication: indices of captions [N], lengths [N], frames before (DiP)."""

    captions: np.ndarray
    lengths: Tensor
    prefix: Tensor | None


@dataclass(frozen=True, kw_only=True)
class TextEvaluation(Evaluation):
    """A model, its evaluator, and the real motion, which is loaded once."""

    kind = "text"
    reference = REAL

    evaluator: TextEvaluator
    settings: TextSettings
    dataset: TextMotions
    usable: np.ndarray  # items whose captions may be requested of the model

    @property
    def identity(self) -> dict[str, str]:
        """See Evaluation."""
        return self.evaluator.identity

    def seed(self, replication: int) -> int:
        """The seed of a replication."""
        return iteration_seed(self.session.run.seed, replication)

    @functools.cached_property
    def sentences(self) -> np.ndarray:
        """Embeddings [C, D] of the dataset's captions: each is embedded once, among the same others in every run."""
        return self.evaluator.embed_text(self.dataset.captions, self.dataset.tags)

    def units(self) -> dict[str, Unit]:
        """The units of all replications: real motions, generated ones, and those repeated for multimodality."""
        requested = functools.lru_cache(2)(self.requested)
        work: dict[str, Unit] = {}
        for k in range(self.settings.replications):
            for again in (False, True):
                work[real_name(k, again)] = functools.partial(self.encode_real, k, again)
            for what in (GENERATED, REPEATED):
                for part, name in enumerate(self.unit_names(k, what)):
                    work[name] = functools.partial(self.generate, requested, k, what, part)
        return work

    def unit_names(self, replication: int, what: str) -> list[str]:
        """The units of generated motions, or of the repeated ones of multimodality."""
        count = self.settings.count if what == GENERATED else self.settings.sentences * REPEATS
        return [f"{replication}_{what}_{part}" for part, _ in enumerate(parts(count, UNIT_ROWS))]

    def encode_real(self, replication: int, again: bool) -> Arrays:
        """Embeddings of all real motions in whole batches, `motion` and, unless `again`, of their sentences, `text`."""
        dataset, seed = self.dataset, iteration_seed(self.seed(replication), int(again))
        order = epoch_order(seed, 0, len(dataset))[: len(dataset) // BATCH * BATCH]
        motion, text = [], []
        for rows in parts(len(order), REAL_ROWS):
            batch = dataset.batch(order[rows].tolist(), lambda k, first=rows.start: numpy_rng(seed, "real", first + k))
            features = denormalise(batch["motion"], dataset.mean, dataset.std) * batch["mask"]
            motion.append(self.evaluator.embed_motion(features, batch["lengths"]))
            if not again:
                text.append(self.sentences[batch["caption"].numpy()])
        return {"motion": np.concatenate(motion)} | ({} if again else {"text": np.concatenate(text)})

    def requested(self, replication: int) -> Requested:
        """Sentences and lengths of real motions, each once before any comes twice."""
        dataset, usable, count = self.dataset, self.usable, self.settings.count
        seed, context = self.seed(replication), self.session.model_options.context_len
        whole = len(usable) // BATCH * BATCH
        epochs = range(-(-count // whole))
        chosen = usable[np.concatenate([epoch_order(seed, epoch, len(usable))[:whole] for epoch in epochs])[:count]]
        captions, lengths = [], []
        for rows in parts(count, REAL_ROWS):
            batch = dataset.batch(
                chosen[rows].tolist(), lambda k, first=rows.start: numpy_rng(seed, "asked", first + k)
            )  # fmt: skip
            captions.append(batch["caption"].numpy())
            lengths.append(batch["lengths"])
        prefix = None
        if context:
            starts = [_beginning(dataset.item(i), context, numpy_rng(seed, "prefix", k)) for k, i in enumerate(chosen)]
            prefix = torch.stack(starts)
        return Requested(np.concatenate(captions), torch.cat(lengths), prefix)

    def generate(self, requested: Callable[[int], Requested], replication: int, what: str, part: int) -> Arrays:
        """Generate motions and embed them: `motion`, `place` (which of the set they are), `text` of their sentences.

        Motions of about one length are generated together. Raises NumericError for what is not finite.
        """
        settings, wanted = self.settings, requested(replication)
        every = np.arange(settings.count) if what == GENERATED else np.repeat(np.arange(settings.sentences), REPEATS)
        order = np.argsort(wanted.lengths.numpy()[every], kind="stable")
        place = order[part * UNIT_ROWS : (part + 1) * UNIT_ROWS]
        rows = every[place]
        captions = [self.dataset.captions[index] for index in wanted.captions[rows]]
        lengths, prefix = wanted.lengths[rows], None if wanted.prefix is None else wanted.prefix[rows]
        session = own_session(self.session, key_of(self.seed(replication), what, part))
        features = generated(session, captions, lengths, prefix, settings.include_prefix)
        if not torch.isfinite(features).all():
            raise NumericError(f"{session.path} made motions that hold NaN or infinity: nothing can be said of it")
        found = {"place": place, "motion": self.evaluator.embed_motion(features, lengths)}
        if what == REPEATED:
            return found
        found["text"] = self.sentences[wanted.captions[rows]]
        if settings.keep and replication == 0:
            found |= {"joints": session.joints(features).float().numpy(), "lengths": lengths.numpy()}
        return found

    def gathered(self, read: Read, replication: int, what: str) -> Arrays:
        """Embeddings of the units of a set, in the order in which they were requested."""
        found = [read(name) for name in self.unit_names(replication, what)]
        order = np.argsort(np.concatenate([unit["place"] for unit in found]), kind="stable")
        names = [name for name in ("motion", "text") if name in found[0]]
        return {name: np.concatenate([unit[name] for unit in found])[order] for name in names}

    def scores(self, read: Read) -> Values:
        """The metrics of every replication."""
        values: dict[str, dict[str, list[float]]] = {REAL: {}, GENERATED: {}}
        for k in range(self.settings.replications):
            reference = read(real_name(k, again=True))["motion"]
            sets = {REAL: read(real_name(k, again=False)), GENERATED: self.gathered(read, k, GENERATED)}
            for row, found in sets.items():
                rng = numpy_rng(self.seed(k), "figures", row)
                for name, value in metrics_of(found["text"], found["motion"], reference, rng).items():
                    values[row].setdefault(name, []).append(value)
            if self.settings.multimodality:
                repeats = self.gathered(read, k, REPEATED)["motion"]
                pairs = metrics.draw_pairs(REPEATS, REPEATED_PAIRS, numpy_rng(self.seed(k), "repeats"))
                each = repeats.reshape(self.settings.sentences, REPEATS, -1)
                values[GENERATED].setdefault("multimodality", []).append(metrics.multimodality(each, pairs))
        return values

    def pick_examples(self, read: Read) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Motions of the first replication by the distance from their sentence: joints [T, J, 3], and what they are.

        None where their joints are not kept.
        """
        if not self.settings.keep:
            return {}, {}
        found = self.gathered(read, 0, GENERATED)
        distance = np.linalg.norm(found["text"] - found["motion"], axis=1)
        chosen = record.best_median_worst(distance)
        wanted = {int(row): f"{GENERATED}/{kind}/{k}" for kind, rows in chosen.items() for k, row in enumerate(rows)}
        motions: dict[str, np.ndarray] = {}
        for name in self.unit_names(0, GENERATED):
            unit = read(name)
            for joints, length, place in zip(unit["joints"], unit["lengths"], unit["place"], strict=True):
                if place in wanted:
                    motions[wanted[place]] = joints[:length]
        captions = [self.dataset.captions[index] for index in self.requested(0).captions]
        described = {
            kind: [
                {"motion": wanted[int(row)], "distance": float(distance[row]), "title": captions[row]} for row in rows
            ]
            for kind, rows in chosen.items()
        }
        return motions, {GENERATED: described}

    def better(self, metric: str) -> str:
        """See Evaluation."""
        return BETTER.get(metric, "higher")

    def unit_settings(self) -> dict[str, Any]:
        """All that the units depend on."""
        session, settings = self.session, self.settings
        return record.sampling_settings(session) | {
            "evaluator_sha256": self.evaluator.identity["sha256"],
            "data_split": settings.split,
            "num_frames": session.data.num_frames or session.spec.max_frames,
            "motions": len(self.dataset),
            "eval_num_samples": settings.count,
            "multimodality_sentences": settings.sentences,
            "autoregressive_include_prefix": settings.include_prefix,
        }

    def amounts(self) -> dict[str, Any]:
        """See Evaluation."""
        return {
            "eval_rep_times": self.settings.replications,
            "diversity_pairs": {row: diversity_pairs(count) for row, count in self.counts().items()},
        }

    def counts(self) -> dict[str, int]:
        """Motions of each row."""
        return {REAL: len(self.dataset) // BATCH * BATCH, GENERATED: self.settings.count}


def prepared(
    session: Session, evaluator: TextEvaluator, settings: TextSettings, folder: Path | None = None, resume: bool = False
) -> TextEvaluation:
    """All that an evaluation needs, the data loaded. Raises what a user should see, before anything is generated."""
    spec = session.spec
    if session.encode is None or spec.representation != "hml":
        raise UsageError(f"{session.path} reads no sentences: the evaluation of text models has nothing to ask it for")
    options = replace(session.data, data_split=settings.split, data_augmentations=(), data_size=None)
    with held_out_part(spec, session.data.datapath):
        dataset = load_dataset(spec, options, session.run.compat, session.run.seed)
        usable = _usable(session, dataset, settings.split)
    return TextEvaluation(
        session=session, evaluator=evaluator, settings=settings, dataset=dataset, usable=usable, folder=folder,
        resume=resume,
    )  # fmt: skip


def _usable(session: Session, dataset: TextMotions, split: str) -> np.ndarray:
    """The motions that are long enough to be requested. Raises DataError for too few."""
    spec, model = session.spec, session.model_options
    needed = model.context_len + (model.pred_len or model.context_len)
    usable = np.flatnonzero(dataset.frames >= needed)
    if len(usable) < BATCH:
        of = f" of {needed} frames or more" if needed else ""
        raise DataError(
            f"the {split} part of {spec.folder(session.data.datapath)} holds {len(usable)} motions{of} with sentences; "
            f"R-precision compares {BATCH}, so it takes at least so many"
        )
    return usable


def real_name(replication: int, again: bool) -> str:
    """The unit of real motion, or of the same with other windows and sentences."""
    return f"{replication}_real{'_again' * again}"


def _beginning(clip: np.ndarray, frames: int, rng: np.random.RandomState) -> Tensor:
    """Frames [frames, F] at about the beginning of a clip."""
    first = rng.randint(min(OFFSET, len(clip) - frames) + 1)
    return torch.from_numpy(clip[first : first + frames])


def own_session(session: Session, seed: int) -> Session:
    """The session with a seed of its own, and sentences that are encoded among each other alone.

    The last digits of a vector depend on what it is computed beside, and no unit's may on what was done before.
    """
    encode = session.encode
    fresh = Remembering(encode.encoder) if isinstance(encode, Remembering) else encode
    return replace(session, run=replace(session.run, seed=seed), encode=fresh)


def generated(
    session: Session, captions: list[str], lengths: Tensor, prefix: Tensor | None, include_prefix: bool
) -> Tensor:
    """Motions of sentences, features [N, T, F] in data units, zero beyond `lengths` [N].

    A model with a context continues from `prefix` [N, C, F]. One that looks at padding was trained on motions padded to
    the dataset's longest, and has to generate as many frames.
    """
    if prefix is not None:
        request = Request(lengths, titles=captions, inputs={"prefix": prefix})
        return sample_endless(session, request, include_prefix).features
    frames = lengths if session.model_options.mask_frames else torch.full_like(lengths, session.spec.max_frames)
    features = sample_plain(session, Request(frames, session.told(captions, frames.tolist()), captions))
    wanted = Request(lengths)
    return features[:, : wanted.frames] * wanted.valid[..., None]


def metrics_of(
    text: np.ndarray, motion: np.ndarray, reference: np.ndarray, rng: np.random.RandomState
) -> dict[str, float]:
    """The metrics of a set of pairs [N, D], beside the embeddings [M, D] of real motion."""
    found = {"matching_score": metrics.matching_score(text, motion)}
    found |= dict(zip(TITLES["R_precision"], metrics.r_precision(text, motion, TOP).tolist(), strict=True))
    pairs = metrics.draw_pairs(len(motion), diversity_pairs(len(motion)), rng)
    return found | {
        "fid": metrics.frechet_distance(motion, reference), "diversity": metrics.diversity(motion, pairs)
    }  # fmt: skip


def diversity_pairs(count: int) -> int:
    """Pairs among `count` motions: 300, or as many as there are."""
    return min(DIVERSITY_PAIRS, count - 1)


def scalars(values: Values) -> dict[str, float]:
    """The means under the published names: `FID_vald`, `top1_R_precision_ground truth`, ..."""
    found = {}
    for title, names in TITLES.items():
        for row, of in values.items():
            for k, name in enumerate(names, start=1):
                if name in of:
                    key = f"{title}_{row}"
                    found[f"top{k}_{key}" if len(names) > 1 else key] = float(np.mean(of[name]))
    return found
