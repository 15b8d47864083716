"""Which kind of motion a clip shows: a small classifier that learns from labelled real clips in seconds.

A clip is [T, J, 3] in the world, metres, y up. It is described by poses as the body faces and by how fast, how often
and where to it moves (`describe`), whatever its length; two layers turn the description into a kind. Every draw is
keyed by the seed, so training twice gives the same classifier; several such networks vote, for one alone changes its
mind about a few motions from seed to seed.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data_loaders.common.labels import recognised_as
from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec
from data_loaders.representations import hml
from data_loaders.text import humanml
from data_loaders.text.humanml import TextMotions
from eval.common.held_out import held_out_part
from eval.metrics.physical import SWIFT, band
from utils.geometry.resample import sample_frames
from utils.run.errors import DataError
from utils.run.files import read_json
from utils.run.randomness import numpy_rng, seeded

KINDS = (
    "walk", "run", "wave", "raise arms", "bow", "dance", "punch", "kick", "jump", "sit", "climb", "laugh", "drink",
    "basketball", "idle", "swing", "direct traffic",
)  # fmt: skip
WINDOW = (40, 120)  # frames of the windows that are learnt from
EACH = 300  # windows of each kind
TEMPO, SHAKE = 0.12, 0.02  # how their tempo is varied, and by how many metres their joints are moved
BANDS = (0.05, 0.5, 1.0, 2.0, SWIFT)  # Hz
NETWORKS, HIDDEN, DROPOUT, STEPS, RATE, DECAY = 5, 64, 0.3, 200, 0.01, 0.1
FURTHEST = 5.0  # deviations from the mean beyond which a number of the description says no more

_MIXED = {"exercise"}  # clips of many things in turn: no window of them is sure to show what they are named after


@dataclass(frozen=True)
class RealMotions:
    """A part of a folder of real motion, and the kinds (indices into `KINDS`) that each of its clips shows."""

    motions: TextMotions
    shown: list[list[int]]

    def window(self, item: int, first: int, frames: int) -> np.ndarray:
        """Joints [frames, J, 3] of a window, which begins at the origin and faces z."""
        start = self.motions.starts[item] + first
        features = torch.from_numpy(np.array(self.motions.features[start : start + frames]))
        return hml.decode(features, hml.layout_of(self.motions.spec.skeleton)).numpy()


@dataclass(frozen=True)
class Windows:
    """Windows described: features [N, D], the kind [N] that each was taken for, all kinds that its clip shows [N, K],
    and the take [N] that it is from; a clip, its mirror image and its other parts are one take."""

    features: np.ndarray
    kind: np.ndarray
    shown: np.ndarray
    take: np.ndarray

    def part(self, keep: np.ndarray) -> "Windows":
        """The windows where `keep` [N] is true."""
        return Windows(self.features[keep], self.kind[keep], self.shown[keep], self.take[keep])


@dataclass(frozen=True)
class Recogniser:
    """A trained classifier."""

    mean: np.ndarray
    scale: np.ndarray
    networks: tuple[nn.Module, ...]
    fps: float
    layout: hml.Layout

    def kinds(self, features: np.ndarray) -> np.ndarray:
        """The kind [N] of descriptions [N, D]: the likeliest by the mean of the networks' probabilities."""
        shown = _scaled(features, self.mean, self.scale)
        with torch.no_grad():
            return torch.stack([network(shown).softmax(-1) for network in self.networks]).mean(0).argmax(-1).numpy()

    def __call__(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """The kind [N] of each clip [T, J, 3], an index into `KINDS`."""
        return self.kinds(np.stack([describe(clip, self.fps, self.layout) for clip in clips]))


def kinds_of(labels: Sequence[str]) -> list[int]:
    """The kinds that a clip with these labels shows, each source's spelling allowed; none for labels of other kinds."""
    if not labels or _MIXED & set(labels):
        return []
    names = {recognised_as(label) for label in labels}
    if "climb" in names:
        names.discard("swing")  # who hangs on a climbing frame swings; all other swinging is of a sword
    return sorted(KINDS.index(name) for name in names if name in KINDS)


def load_real(folder: str | Path, part: str) -> RealMotions:
    """The labelled clips of a part of a folder that `prepare.humanml` made. Raises MissingFileError or DataError."""
    spec = dataset_spec("mocap")
    with held_out_part(spec, str(folder)) if part == "test" else contextlib.nullcontext():
        motions = humanml.load(spec, DataOptions(dataset=spec.name, datapath=str(folder), data_split=part))
    path = Path(folder) / "index.json"
    clips = read_json(path)["clips"]
    try:
        labels = [clips[humanml.clip_of(name)]["actions"] for name in motions.names]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} must tell the actions of every clip; make the folder anew") from error
    return RealMotions(motions, [kinds_of(names) for names in labels])


def describe(clip: np.ndarray, fps: float, layout: hml.Layout) -> np.ndarray:
    """The description of a clip [T, J, 3] of at least 4 frames [19 J - 4 = 414 numbers for 22 joints].

    Of each joint, seen from below the root as the body faces: mean, deviation, 10th and 90th percentile of x, y and z,
    logarithms of its mean and largest speed and of its amplitude in four bands up to 4 Hz; of the root: how fast it
    goes ahead, aside, up and around, how far it gets, how much its height changes. Faster change is left out.
    """
    clip = band(clip, fps, SWIFT)
    heading = hml.heading(torch.from_numpy(clip), layout).numpy()
    body = _as_faced(clip - clip[:, :1] * (1, 0, 1), heading[:, None])
    speed = np.linalg.norm(np.diff(body, axis=0), axis=-1) * fps
    root = _root_figures(clip[:, 0], heading, fps)
    parts = (
        body.mean(0), body.std(0), *np.quantile(body, (0.1, 0.9), axis=0),
        np.log(0.01 + speed.mean(0)), np.log(0.05 + speed.max(0)), *_amplitudes(body, fps),
        root, np.log(0.03 + np.abs(root)),
    )  # fmt: skip
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float32)


def _as_faced(points: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Points or steps [..., 3] rotated about y so that the heading [...] becomes z."""
    x, y, z = np.moveaxis(points, -1, 0)
    cos, sin = np.cos(heading), np.sin(heading)
    return np.stack((cos * x - sin * z, y, sin * x + cos * z), -1)


def _root_figures(root: np.ndarray, heading: np.ndarray, fps: float) -> np.ndarray:
    """How the root [T, 3] goes: mean speeds (m/s, rad/s), their variation, the way made good (m/s), rise (m)."""
    step = _as_faced(np.diff(root, axis=0), heading[:-1]) * fps
    yaw = np.diff(np.unwrap(heading)) * fps
    gained = np.linalg.norm((root[-1] - root[0])[[0, 2]]) * fps / len(root)
    aside, up, ahead = np.abs(step).mean(0)
    return np.array(
        (
            aside, step[:, 2].mean(), ahead, np.linalg.norm(step[:, [0, 2]], axis=-1).std(), up,
            np.abs(yaw).mean(), abs(yaw.mean()), gained, np.ptp(root[:, 1]),
        )
    )  # fmt: skip


def _amplitudes(body: np.ndarray, fps: float) -> list[np.ndarray]:
    """Logarithm of each joint's amplitude of change in each of the bands, [J] a band."""
    mirrored = np.concatenate([body, body[::-1]])
    power = 2 * np.square(np.abs(np.fft.rfft(mirrored, axis=0)) / len(mirrored)).sum(-1)
    hz = np.fft.rfftfreq(len(mirrored), 1 / fps)
    limits = zip(BANDS[:-1], BANDS[1:], strict=True)
    return [np.log(1e-3 + np.sqrt(power[(low < hz) & (hz <= high)].sum(0))) for low, high in limits]


def draw_windows(real: RealMotions, seed: int, each: int = EACH) -> Windows:
    """`each` windows of every kind that there is, to learn from: drawn from clips by the root of their frames, varied.

    Tempo and joints are varied a little, as no two takes are alike.
    """
    drawn = []
    for kind in range(len(KINDS)):
        if items := _items(real, kind):
            rng = numpy_rng(seed, "windows", kind)
            shares = np.sqrt(np.minimum(real.motions.frames[items], 400))
            for item in rng.choice(items, each, p=shares / shares.sum()):
                frames = min(int(real.motions.frames[item]), rng.randint(WINDOW[0], WINDOW[1] + 1))
                first = int(rng.randint(real.motions.frames[item] - frames + 1))
                drawn.append((kind, item, _varied(real.window(item, first, frames), rng)))
    return _described(real, drawn)


def equal_windows(real: RealMotions, kind: int, frames: int, limit: int) -> list[tuple[int, np.ndarray]]:
    """Windows [frames, J, 3] of a kind, each with its item: clips cut end to end, shorter ones whole.

    At most `limit`, equally spaced over all there are.
    """
    places = []
    for item in _items(real, kind):
        have = int(real.motions.frames[item])
        shown = min(frames, have)
        places += [(item, first, shown) for first in range(0, have - shown + 1, shown)]
    chosen = np.linspace(0, len(places) - 1, min(limit, len(places))).round().astype(int)
    return [(places[k][0], real.window(*places[k])) for k in chosen]


def all_windows(real: RealMotions, frames: int = 80, limit: int = 200) -> Windows:
    """The windows of every kind, unvaried, to measure on (see `equal_windows`)."""
    return _described(
        real, [(kind, *window) for kind in range(len(KINDS)) for window in equal_windows(real, kind, frames, limit)]
    )


def _items(real: RealMotions, kind: int) -> list[int]:
    """The items that show a kind."""
    return [item for item, shown in enumerate(real.shown) if kind in shown]


def _varied(clip: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A clip at another tempo, its joints moved slowly and independently."""
    frames = max(20, round(len(clip) * rng.uniform(1 - TEMPO, 1 + TEMPO)))
    clip = sample_frames(clip, np.linspace(0, len(clip) - 1, frames), 0, len(clip) - 1)
    knots = rng.normal(0, SHAKE * rng.uniform(), (frames // 10 + 3, *clip.shape[1:]))
    return clip + sample_frames(knots, np.arange(frames) / 10, 0, len(knots) - 1).astype(clip.dtype)


def _described(real: RealMotions, drawn: Sequence[tuple[int, int, np.ndarray]]) -> Windows:
    """Windows (kind, item, clip) described. Raises DataError if there are none."""
    if not drawn:
        raise DataError("no clip shows a kind of motion that is evaluated")
    spec = real.motions.spec
    layout = hml.layout_of(spec.skeleton)
    return Windows(
        np.stack([describe(clip, spec.fps, layout) for _, _, clip in drawn]),
        np.array([kind for kind, _, _ in drawn]),
        np.array([[kind in real.shown[item] for kind in range(len(KINDS))] for _, item, _ in drawn]),
        np.array([humanml.take_of(real.motions.names[item]) for _, item, _ in drawn]),
    )


def train(windows: Windows, seed: int, fps: float, layout: hml.Layout) -> Recogniser:
    """Learn to tell the kinds; of a window with several any one is right."""
    mean, scale = windows.features.mean(0), windows.features.std(0) + 1e-3
    shown, right = _scaled(windows.features, mean, scale), torch.from_numpy(windows.shown)
    networks = tuple(_network(shown, right, seed, member) for member in range(NETWORKS))
    return Recogniser(mean, scale, networks, fps, layout)


def _network(shown: Tensor, right: Tensor, seed: int, member: int) -> nn.Module:
    """One of the networks, trained on descriptions [N, D] of which the kinds `right` [N, K] are right."""
    with seeded(seed, "recogniser", member):
        network = nn.Sequential(
            nn.Linear(shown.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, len(KINDS))
        )
        optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
        for _ in range(STEPS):
            likelihood = network(shown).log_softmax(-1).masked_fill(~right, -torch.inf).logsumexp(-1)
            optimiser.zero_grad()
            (-likelihood.mean()).backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def _scaled(features: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> Tensor:
    return torch.from_numpy((features - mean) / scale).clamp(-FURTHEST, FURTHEST)


def confusion(recogniser: Recogniser, windows: Windows) -> np.ndarray:
    """How many windows of each kind (rows) were taken for each (columns), [K, K].

    A window of several kinds that is taken for one of them counts as right.
    """
    found = recogniser.kinds(windows.features)
    found = np.where(windows.shown[np.arange(len(found)), found], windows.kind, found)
    table = np.zeros((len(KINDS), len(KINDS)), np.int64)
    np.add.at(table, (windows.kind, found), 1)
    return table


def cross_confusion(learnt: Windows, measured: Windows, folds: int, seed: int, like: Recogniser) -> np.ndarray:
    """The sum [K, K] of the confusions of `folds` classifiers, each measured on takes that it did not learn from.

    The takes of every kind among `measured` are dealt out in turn.
    """
    fold_of: dict[str, int] = {}
    for kind in range(len(KINDS)):
        for take_ in sorted(set(measured.take[measured.kind == kind])):
            fold_of.setdefault(take_, len(fold_of) % folds)
    total = np.zeros((len(KINDS), len(KINDS)), np.int64)
    for fold in range(folds):
        left_out = [take_ for take_, place in fold_of.items() if place == fold]
        recogniser = train(learnt.part(~np.isin(learnt.take, left_out)), seed, like.fps, like.layout)
        total += confusion(recogniser, measured.part(np.isin(measured.take, left_out)))
    return total


def accuracy(table: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Share of all windows that are right, mean of the kinds' shares, and those shares [K] (NaN: kind not there)."""
    counts = table.sum(1)
    shares = np.where(counts > 0, np.diag(table) / np.maximum(counts, 1), np.nan)
    return float(np.trace(table) / table.sum()), float(np.nanmean(shares)), shares
