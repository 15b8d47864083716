"""How far an evaluator of sentences and motion can be trusted: what it says of real motion, and of motion made worse.

Pairs are drawn from the held-out part as a batch of training is: each clip once, a random window and sentence. Motion
is made worse in the world (`WORSE`), each way in rising strength, and turned into features again: its Fréchet distance
from the train part has to rise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_loaders.common.order import epoch_order
from data_loaders.points.keypoints import denormalise
from data_loaders.representations import hml
from data_loaders.text.folders import UNIT
from data_loaders.text.humanml import TextMotions
from eval.metrics import distances as metrics
from sample.choosing.evaluator import SCALE, OwnTextEvaluator
from train.tasks.contrastive import describe
from utils.geometry.resample import sample_frames
from utils.run.errors import DataError
from utils.run.randomness import numpy_rng

TOPS = (1, 2, 3)
ROUNDS = 10  # sets of pairs, for intervals
REFERENCE = 2000  # windows of the train part, at most
AT_ONCE = 256  # clips whose windows are cut at once
NEVER = 2.0  # a cosine that no two sentences have

Worsen = Callable[[np.ndarray, float, np.random.RandomState], np.ndarray]


@dataclass(frozen=True)
class Pairs:
    """Windows in data units [N, T, F], lengths [N], the items [N] they are of and the captions [N] drawn for them."""

    features: Tensor
    lengths: Tensor
    items: Tensor
    captions: Tensor


def draw(motions: TextMotions, seed: int, count: int = 0) -> Pairs:
    """A random window and sentence of `count` (0: all) of the clips, in random order, each clip once."""
    order = epoch_order(seed, 0, len(motions))[: count or None]
    windows, lengths, captions = [], [], []
    for first in range(0, len(order), AT_ONCE):
        rows = order[first : first + AT_ONCE].tolist()
        batch = motions.batch(rows, lambda k, first=first: numpy_rng(seed, "pairs", first + k))
        windows += list(denormalise(batch["motion"], motions.mean, motions.std) * batch["mask"])
        lengths.append(batch["lengths"])
        captions.append(batch["caption"])
    features = torch.nn.utils.rnn.pad_sequence(windows, batch_first=True)
    return Pairs(features, torch.cat(lengths), torch.from_numpy(order), torch.cat(captions))


def noisy(clip: np.ndarray, metres: float, rng: np.random.RandomState) -> np.ndarray:
    """Every joint of every frame moved by a normal number of this deviation."""
    return clip + rng.normal(0, metres, clip.shape)


def shuffled(clip: np.ndarray, share: float, rng: np.random.RandomState) -> np.ndarray:
    """This share of the frames in each other's places."""
    chosen = rng.permutation(len(clip))[: round(share * len(clip))]
    clip = clip.copy()
    clip[chosen] = clip[rng.permutation(chosen)]
    return clip


def slowed(clip: np.ndarray, speed: float, rng: np.random.RandomState) -> np.ndarray:
    """The beginning, at this share of its speed."""
    return sample_frames(clip, np.arange(len(clip)) * speed, 0, len(clip) - 1)


def frozen(clip: np.ndarray, share: float, rng: np.random.RandomState) -> np.ndarray:
    """This share of the frames, the last ones, as still as the frame before them (the first at 1)."""
    last = max(0, round((1 - share) * len(clip)) - 1)
    return clip[np.minimum(np.arange(len(clip)), last)]


# What is done to clips [T, J, 3], in metres, and how much: from little to much.
WORSE: dict[str, tuple[Worsen, tuple[float, ...]]] = {
    "noise of so many metres": (noisy, (0.005, 0.01, 0.02, 0.04)),
    "share of frames shuffled": (shuffled, (0.1, 0.25, 0.5, 1.0)),
    "slowed to this speed": (slowed, (0.8, 0.65, 0.5)),
    "share of frames frozen": (frozen, (0.25, 0.5, 0.75, 1.0)),
}


def made_worse(pairs: Pairs, motions: TextMotions, worsen: Worsen, strength: float, seed: int) -> Pairs:
    """The same pairs with worse motion, as features again; one frame shorter, hence one unit."""
    layout = hml.layout_of(motions.spec.skeleton)
    clips = [
        worsen(hml.decode(window[:length], layout).numpy(), strength, numpy_rng(seed, "worse", k)).astype(np.float32)
        for k, (window, length) in enumerate(zip(pairs.features, pairs.lengths.tolist(), strict=True))
    ]
    features = hml.encode(clips, layout, **motions.spec.encoding)
    lengths = (pairs.lengths - 1) // UNIT * UNIT
    return Pairs(torch.nn.utils.rnn.pad_sequence(features, batch_first=True), lengths, pairs.items, pairs.captions)


@dataclass(frozen=True)
class Quality:
    """Metrics by name, with their values over the rounds; `distances`: by way and strength, FID and matching score."""

    values: Mapping[str, list[float]]
    distances: Mapping[str, Mapping[float, tuple[float, float]]]
    count: int


def measure(evaluator: OwnTextEvaluator, learnt: TextMotions, held_out: TextMotions, seed: int) -> Quality:
    """What the evaluator says of two parts of a dataset. Raises DataError for too few clips."""
    whole = len(held_out) // metrics.BATCH * metrics.BATCH
    if not whole:
        raise DataError(f"the held-out part has {len(held_out)} motions; R-precision compares {metrics.BATCH}")
    vectors = evaluator.encode(held_out.captions)[0][:, 0]
    texts = torch.from_numpy(evaluator.embed_text(held_out.captions, ()))
    descriptions = describe(held_out, vectors)
    train = draw(learnt, seed, REFERENCE)
    real = evaluator.embed_motion(train.features, train.lengths)
    metrics_of: dict[str, list[float]] = {}
    for k in range(ROUNDS):
        pairs = draw(held_out, seed + k, whole)
        motion = evaluator.embed_motion(pairs.features, pairs.lengths)
        text = texts[pairs.captions].numpy()
        alike = [
            descriptions.alike(pairs.items[rows], pairs.captions[rows], NEVER).numpy()
            for rows in torch.arange(whole).split(metrics.BATCH)
        ]
        shares = metrics.r_precision(text, motion, len(TOPS)).tolist()
        found = {f"R-precision, top {top}": share for top, share in zip(TOPS, shares, strict=True)}
        found |= among_others(text, motion, alike)
        found["FID from the train part"] = metrics.frechet_distance(motion, real)
        for name, value in found.items():
            metrics_of.setdefault(name, []).append(value)
    pairs = draw(held_out, seed)
    text = texts[pairs.captions].numpy()
    distances: dict[str, dict[float, tuple[float, float]]] = {}
    for way, (worsen, strengths) in {"unchanged": (noisy, (0.0,)), **WORSE}.items():
        for strength in strengths:
            worse = made_worse(pairs, held_out, worsen, strength, seed)
            motion = evaluator.embed_motion(worse.features, worse.lengths)
            scores = metrics.frechet_distance(motion, real), metrics.matching_score(text, motion)
            distances.setdefault(way, {})[strength] = scores
    return Quality(metrics_of, distances, whole)


def among_others(text: np.ndarray, motion: np.ndarray, alike: list[np.ndarray]) -> dict[str, float]:
    """R-precision where negatives that are `alike` [batch, batch] do not count, and its chance level (shares of 1).

    And the mean distance of a motion from its own sentence and from those of other descriptions.
    """
    nearer, others, right, wrong = [], [], [], []
    for k, same in enumerate(alike):
        rows = slice(k * len(same), (k + 1) * len(same))
        distance = np.linalg.norm(text[rows, None] - motion[None, rows], axis=-1)
        own = np.diag(distance)
        nearer.append(((distance <= own[:, None]) & ~same).sum(1))
        others.append((~same).sum(1))
        right.append(own)
        wrong.append(distance[~same])
    place, candidates = np.concatenate(nearer), np.concatenate(others) + 1
    found = {f"R-precision among other descriptions, top {top}": float((place < top).mean()) for top in TOPS}
    found |= {f"the same by chance, top {top}": float(np.minimum(top / candidates, 1).mean()) for top in TOPS}
    found["distance from its own sentence"] = float(np.concatenate(right).mean())
    found["distance from sentences of other descriptions"] = float(np.concatenate(wrong).mean())
    return found


def page(quality: Quality, evaluator: OwnTextEvaluator, command: str) -> str:
    """The metrics as Markdown, with the command that made them."""
    who = evaluator.identity
    lines = [
        f"# {who['name']}: what it says of real motion",
        "",
        f"`{evaluator.path.name}` (SHA-256 {who['sha256'][:16]}) on {quality.count} held-out motions. Distances are in",
        f"its own units, unit vectors times {SCALE:g}. Mean and half the width of the 95 % interval, {ROUNDS} draws",
        f"of windows, sentences and batches of {metrics.BATCH}.",
        "",
        "| figure | value |",
        "| --- | --- |",
    ]
    for name, values in quality.values.items():
        mean, half = metrics.interval(np.array(values))
        lines.append(f"| {name} | {mean:.3f} ± {half:.3f} |")
    lines += [
        "",
        "Motion made worse (one draw; every row is encoded anew from joints in the world):",
        "",
        "| what was done | how much | FID from the train part | matching score |",
        "| --- | --- | --- | --- |",
    ]
    for way, strengths in quality.distances.items():
        for strength, (fid, score) in strengths.items():
            lines.append(f"| {way} | {strength:g} | {fid:.3f} | {score:.3f} |")
    return "\n".join([*lines, "", f"    {command}", ""])
