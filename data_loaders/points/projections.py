"""Any 3D dataset seen as 2D keypoints by random cameras: the dataset `mocap2d`.

Windows of 3D clips are centred on the root, rotated by a random azimuth, projected by the camera of the spec and
normalised. The data are right-handed (y up, facing +z); the camera frame is left-handed: z changes sign here.
Augmentations, each with a name: `facing_aug` (azimuth), `mirror_aug`, `tempo_aug` (+-12 %), `size_aug` (+-6 %),
`length_aug` (windows of 40 to 120 frames; without it the longest that fits 120).
Clips may have sentences; those of a mirrored window are mirrored too.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.common import packed
from data_loaders.common.labels import action_of
from data_loaders.common.order import epoch_order
from data_loaders.options import DataOptions
from data_loaders.points import keypoints as base
from data_loaders.registry import DatasetSpec
from data_loaders.texts import mirrored
from utils.geometry.cameras import Camera, project, view_rotations
from utils.geometry.resample import sample_frames
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.randomness import numpy_rng

AUGMENTATIONS = ("facing_aug", "mirror_aug", "tempo_aug", "size_aug", "length_aug")
WINDOW = (40, 120)  # frames at the dataset's rate
TEMPO, SIZE = 0.12, 0.06
IDLE_SHARE = 0.15  # long standing takes would otherwise fill a sixth of all frames
BALANCE = 0.3  # frames of a class count by its frequency to the power of minus this
BATCH = -1  # position of the draw that belongs to the whole batch


def action_ids(actions: Sequence[str], spec: DatasetSpec) -> list[int]:
    """Indices in `spec.actions` of a clip's labels, spelt in each source's way; unknown ones are `other`."""
    names = [action_of(label) for label in actions]
    return sorted({spec.actions.index(name if name in spec.actions else "other") for name in names or ["other"]})


@dataclass(frozen=True)
class ProjectedDataset:
    """3D clips that show themselves as 2D windows; `weights` are the clips' shares of an epoch.

    `texts[i]` [2, S] are indices into `captions`: of the sentences of clip i, and of those of its mirror image.
    """

    spec: DatasetSpec
    motions: packed.PackedMotions
    clips: list[dict[str, Any]]
    weights: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    augmentations: tuple[str, ...]
    detector_noise: float = 0.0
    captions: list[str] = field(default_factory=list)
    texts: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def names(self) -> list[str]:
        """Clip names in order."""
        return [clip["name"] for clip in self.clips]

    def frames(self, clip: int) -> int:
        """Number of frames of a clip at the dataset's rate."""
        return frames_of(self.clips[clip], self.motions.fps, self.spec)

    def windows(self, indices: Sequence[int], rng_of: Callable[[int], np.random.RandomState]) -> dict[str, Tensor]:
        """3D windows: points [B, T, J, 3] in the camera frame, root at the origin; azimuth, lengths, action [B].

        Where there are sentences also caption [B], an index into `captions` (-1: none). Position i draws from
        `rng_of(i)`, what the batch shares (its number of frames) from `rng_of(BATCH)`.
        """
        chosen = self.augmentations
        low, high = WINDOW
        frames = int(rng_of(BATCH).randint(low, high + 1)) if "length_aug" in chosen else high
        times = np.zeros((len(indices), frames))
        first, last = np.zeros((2, len(indices), 1), np.int64)
        lengths, actions, captions = np.zeros((3, len(indices)), np.int64)
        size, azimuth = np.ones((2, len(indices)), np.float32)
        flip = np.zeros(len(indices), bool)
        for i, clip in enumerate(indices):
            rng, record = rng_of(i), self.clips[clip]
            tempo, scale, side, place, label, facing = rng.uniform(size=6)
            step = self.motions.fps / self.spec.fps
            if "tempo_aug" in chosen:
                step *= 1 + TEMPO * (2 * tempo - 1)
            if "size_aug" in chosen:
                size[i] = 1 + SIZE * (2 * scale - 1)
            azimuth[i] = 2 * np.pi * facing if "facing_aug" in chosen else 0
            flip[i] = "mirror_aug" in chosen and side < 0.5
            span = record["stop"] - record["start"] - 1
            lengths[i] = min(frames, int(span / step + 1e-6) + 1)
            start = place * (span - (lengths[i] - 1) * step)
            first[i], last[i] = record["start"], record["stop"] - 1
            times[i] = record["start"] + start + np.arange(frames) * step
            labels = action_ids(record["actions"], self.spec)
            actions[i] = labels[int(label * len(labels))]
            captions[i] = self._caption(clip, flip[i], rng)
        points = sample_frames(self.motions.positions, np.minimum(times, last), first, last)
        points -= points[:, :, self.spec.pinned_root, None]
        points *= size[:, None, None, None] * np.array([1, 1, -1], np.float32)
        mirror = list(self.spec.skeleton.mirror)
        points[flip] = points[flip][:, :, mirror] * np.array([-1, 1, 1], np.float32)
        content = {"points": points, "azimuth": azimuth, "lengths": lengths, "action": actions}
        content |= {"caption": captions} if self.captions else {}
        return {name: torch.from_numpy(values) for name, values in content.items()}

    def _caption(self, clip: int, flipped: bool, rng: np.random.RandomState) -> int:
        """One of a clip's sentences, or of its mirror image's, by a draw; -1, without one, where there is none."""
        if not self.captions or not self.texts[clip].size:
            return -1
        return int(self.texts[clip][int(flipped), rng.randint(self.texts[clip].shape[1])])

    def batch(self, indices: Sequence[int], rng_of: Callable[[int], np.random.RandomState]) -> dict[str, Tensor]:
        """Normalised 2D windows: motion [B, T, J, 2], mask [B, T, J, 1]; lengths, action, caption as in `windows`."""
        windows = self.windows(indices, rng_of)
        lengths = windows["lengths"]
        seen = see(windows["points"], windows["azimuth"], self.spec)
        valid = (torch.arange(seen.shape[1]) < lengths[:, None])[..., None, None].float()
        mask = valid.expand(*seen.shape[:3], 1).clone()
        if self.detector_noise:
            for i in range(len(indices)):
                noisy, found = detector_noise(seen[i].numpy(), rng_of(i), self.detector_noise)
                seen[i], mask[i] = torch.from_numpy(noisy), mask[i] * torch.from_numpy(found)[..., None]
        motion = base.normalise(seen, self.mean, self.std) * valid
        condition = {name: windows[name] for name in ("action", "caption") if name in windows}
        return {"motion": motion, "mask": mask, "lengths": lengths} | condition


def camera_of(spec: DatasetSpec) -> Camera:
    """The camera that a dataset is seen by."""
    return Camera(spec.camera_distance, spec.visualization_scale)


def see(points: Tensor, azimuth: Tensor, spec: DatasetSpec) -> Tensor:
    """Project each sample [B, T, J, 3] at its own azimuth [B] (radians) -> [B, T, J, 2] in data units."""
    views = view_rotations(azimuth, torch.full_like(azimuth, spec.elevation))
    return project(torch.einsum("btjc,bcd->btjd", points, views), torch.eye(3)[None], camera_of(spec))[0]


def drawn_windows(dataset: ProjectedDataset, count: int, seed: int) -> dict[str, Tensor]:
    """`count` windows, as `ProjectedDataset.windows` gives them, of clips drawn by their shares of an epoch."""
    epochs = range(-(-count // len(dataset)))
    drawn = np.concatenate([epoch_order(seed, epoch, len(dataset), dataset.weights) for epoch in epochs])
    return dataset.windows(drawn[:count].tolist(), lambda position: numpy_rng(seed, "real", position))


def rotate_y(points: Tensor, azimuth: Tensor) -> Tensor:
    """Each sample [B, T, J, 3] rotated about y by its azimuth [B] (radians), as `see` turns it, but left upright."""
    return torch.einsum("btjc,bcd->btjd", points, view_rotations(azimuth, torch.zeros_like(azimuth)))


def detector_noise(points: np.ndarray, rng: np.random.RandomState, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """What a keypoint detector would make of points [T, J, 2]: points with noise, and confidences [T, J].

    Strength 1: 0.02 units of jitter, a slow bias of the same size for each joint, and joints that go missing for up
    to a second about once in ten seconds (confidence 0; the point keeps its last place).
    """
    frames, joints, _ = points.shape
    jitter = rng.normal(0, 0.02 * strength, points.shape)
    knots = rng.normal(0, 0.02 * strength, (frames // 15 + 3, joints, 2))
    bias = sample_frames(knots, np.arange(frames) / 15, 0, len(knots) - 1)
    noisy = (points + jitter + bias).astype(np.float32)
    confidence = np.clip(rng.normal(0.85, 0.08, (frames, joints)), 0.4, 1).astype(np.float32)
    for joint in range(joints):
        for start in np.flatnonzero(rng.uniform(size=frames) < 0.005 * strength):
            stop = start + 1 + rng.randint(20)
            noisy[start:stop, joint] = noisy[start, joint]
            confidence[start:stop, joint] = 0
    return noisy, confidence


def clip_weights(clips: list[dict[str, Any]], spec: DatasetSpec, balance: float = BALANCE) -> np.ndarray:
    """Share of an epoch that each clip gets [C]: by its frames, standing takes less, rare classes of motion more.

    A class counts by its frames to the power of 1 - `balance`.
    """
    labels = [action_ids(clip["actions"], spec)[0] for clip in clips]
    frames = np.array([clip["stop"] - clip["start"] for clip in clips], np.float64)
    frames *= [IDLE_SHARE if clip["source"] == "reactidle" else 1.0 for clip in clips]
    counts: Counter[int] = Counter()
    for label, count in zip(labels, frames, strict=True):
        counts[label] += count
    frames *= [(counts[label] / frames.sum()) ** -balance for label in labels]
    return frames / frames.sum()


def frames_of(clip: dict[str, Any], fps: float, spec: DatasetSpec) -> int:
    """Number of frames of a clip, stored at `fps`, at the dataset's rate."""
    return int((clip["stop"] - clip["start"] - 1) * spec.fps / fps + 1e-6) + 1


def known_texts(clips: Sequence[dict[str, Any]]) -> tuple[list[str], list[np.ndarray]]:
    """The distinct sentences of clips and of their mirror images; each clip's [2, S] as indices into them."""
    known: dict[str, int] = {}
    texts = []
    for clip in clips:
        own = clip.get("texts", [])
        both = [known.setdefault(text, len(known)) for text in [*own, *map(mirrored, own)]]
        texts.append(np.array(both, np.int64).reshape(2, -1))
    return list(known), texts


def read_captions(spec: DatasetSpec, datapath: str | Path, split: str) -> list[tuple[str, int]]:
    """Every sentence of a part with the frames of the clip that it describes, at most those of a window.

    Raises MissingFileError where there are none, or DataError.
    """
    fps, _, clips = packed.read_index(datapath)
    captions = [
        (text, min(frames_of(clip, fps, spec), WINDOW[1]))
        for clip in clips
        if clip["split"] == split
        for text in clip.get("texts", [])
    ]
    if not captions:
        raise MissingFileError(_without_sentences(datapath, split))
    return captions


def _without_sentences(datapath: str | Path, split: str) -> str:
    return (
        f"{datapath} has clips without sentences in its {split} part: make it anew with `python -m prepare.mocap "
        f"--output_dir {datapath} --overwrite --sources ...`"
    )


def load(
    spec: DatasetSpec, options: DataOptions, compat: str = "none", seed: int = 0, stats: Path | None = None
) -> ProjectedDataset:
    """The packed folder `options.datapath` as 2D data, normalised by the Mean and Std of the folder `stats` (its own).

    Raises MissingFileError, DataError or UsageError.
    """
    augmentations = base.chosen_augmentations(spec, options, AUGMENTATIONS)
    if options.data_size is not None and options.data_size < 1:
        raise UsageError(f"--data_size must be at least 1, not {options.data_size}")
    datapath = spec.folder(options.datapath)
    motions = packed.read(datapath)
    if motions.skeleton != spec.skeleton:
        raise DataError(f"{datapath} holds the skeleton {motions.skeleton.name}, not {spec.skeleton.name}")
    shortest = WINDOW[0] / 2 * motions.fps / spec.fps
    clips = [
        clip
        for clip in motions.clips
        if clip["split"] == options.data_split and clip["stop"] - clip["start"] > shortest
    ][: options.data_size]
    if not clips:
        raise DataError(f"{datapath} has no {options.data_split} clip of at least {WINDOW[0] // 2} frames")
    if options.cond == "text" and not all(clip.get("texts") for clip in clips):
        raise MissingFileError(_without_sentences(datapath, options.data_split))
    mean, std = base.load_stats(spec, stats or datapath)
    return ProjectedDataset(
        spec, motions, clips, clip_weights(clips, spec), mean, std, augmentations, options.detector_noise,
        *known_texts(clips),
    )  # fmt: skip
