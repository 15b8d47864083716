"""Motion with sentences: the folders of HumanML3D and KIT-ML (Guo et al. 2022), and our own in their layout.

On disk: the lists `train.txt`, `val.txt`, `test.txt`, `new_joint_vecs/NAME.npy` (features [frames, F]),
`texts/NAME.txt` (see `texts`), `Mean.npy` and `Std.npy` [F], and in folders of ours `index.json` with each clip's share
of an epoch, and `phases/NAME.json`, what is done in each window of a clip. A caption that tells a span of seconds makes
an item of its own of that span; in folders of ours it tells of a window of its clip, and clips that have such are seen
through them alone.
In memory: all frames end to end; an item is a span of them with the captions that describe it.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.captioner import plans as plans_of
from data_loaders.common import cache
from data_loaders.options import DataOptions
from data_loaders.points import keypoints as base
from data_loaders.registry import DatasetSpec
from data_loaders.representations.hml import layout_of
from data_loaders.text.transitions import gone_over
from data_loaders.texts import TextLine, read_lines
from utils.run.arrays import array_shape, load_array
from utils.run.errors import DataError, MissingFileError, PolykineError, UsageError, reading
from utils.run.files import read_json, read_text
from utils.run.names import is_file_name

UNIT = 4  # lengths are multiples of this many frames
ROOT = 4  # features of the root: its turn, its step in x and z, its height
LONGEST = 200  # HumanML3D and KIT-ML clips of this many frames or more are passed over
SHORTEST_WINDOW = 40  # of length_aug
PUBLISHED_FPS = 20  # by which the published loader finds spans, in KIT-ML too
AUGMENTATIONS = ("length_aug", "transition_aug")
GO_OVER = 0.35  # share of items that begin as another, under transition_aug
NO_CAPTION = "lines without a caption"
BATCH = -1  # position of the draw that belongs to the whole batch

RngOf = Callable[[int], np.random.RandomState]
Window = tuple[int, int, list[int]]  # first frame in the clip, frames, captions
Span = tuple[int, int]  # first frame in the clip, frames
Rows = list[list[Any]]  # phases, as `captioner.plans` writes them


@dataclass(frozen=True)
class TextMotions:
    """Items of a part: rows `starts[i]` to `starts[i] + frames[i]` of `features` [N, F], and their captions.

    `texts[i]` are indices into `captions`; `tags` are the captions' words with their part of speech. `weights` are the
    items' shares of an epoch, or None for equal ones; `skipped` counts what was passed over, by reason, and `faults`
    names each file, and line, that is wrong. `windows[i]` are the windows of clip i that captions tell of, if any, and
    `phases[i]` what is done in each of them, as rows, if that is known. `planned`: batches tell it.
    """

    spec: DatasetSpec
    names: list[str]
    features: np.ndarray
    starts: np.ndarray
    frames: np.ndarray
    texts: list[list[int]]
    captions: list[str]
    tags: list[str]
    mean: np.ndarray
    std: np.ndarray
    windows: list[list[Window]] = field(default_factory=list)
    phases: list[list[Rows]] = field(default_factory=list)
    planned: bool = False
    weights: np.ndarray | None = None
    longest: int = 196
    augmentations: tuple[str, ...] = ()
    exact: int = 0
    pad_to: int = 0
    context: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def item(self, index: int) -> np.ndarray:
        """All frames of an item as stored, [frames, F]."""
        start = self.starts[index]
        return np.array(self.features[start : start + self.frames[index]])

    def batch(self, indices: Sequence[int], rng_of: RngOf) -> dict[str, Tensor]:
        """The items `indices` as one batch; item k draws its window and caption from `rng_of(k)`.

        Returns motion [B, T, F] (normalised, then zero after each end) and mask [B, T, 1], both float32, lengths [B],
        action [B] (-1: none) and caption [B] (an index into `captions`), all int64; if `planned` also plan [B, T, P],
        zeros where it is not known what is done. Every item counts `exact` frames if that is set, else a multiple of 4;
        T is the longest of the batch, or `pad_to`.
        """
        longest = self._longest(rng_of)
        windows, chosen, plans = [], [], []
        for k, index in enumerate(map(int, indices)):
            rng = rng_of(k)
            first, length, caption, number = self._shown(index, longest, rng)
            chosen.append(caption)
            plans.append(self._plan(index, number, first, length) if self.planned else None)
            start = int(self.starts[index]) + first
            window = self.features[start : start + length]
            if "transition_aug" in self.augmentations and rng.uniform() < GO_OVER:
                window = self._from_another(window, rng)
            windows.append(window)
        lengths = torch.tensor([len(window) for window in windows])
        frames = max(self.pad_to, int(lengths.max()))
        motion = np.zeros((len(windows), frames, self.spec.features), np.float32)
        for k, window in enumerate(windows):
            motion[k, : len(window)] = base.normalise(window, self.mean, self.std)
        batch = {
            "motion": torch.from_numpy(motion),
            "mask": (torch.arange(frames) < lengths[:, None])[..., None].float(),
            "lengths": lengths,
            "action": torch.full((len(windows),), -1, dtype=torch.int64),
            "caption": torch.tensor(chosen, dtype=torch.int64),
        }
        if self.planned:
            batch["plan"] = torch.zeros(len(windows), frames, plans_of.WIDTH)
            for row, plan in zip(batch["plan"], plans, strict=True):
                if plan is not None:
                    row[: len(plan)] = torch.from_numpy(plan)
        return batch

    def plans(self, indices: Sequence[int], rng_of: RngOf) -> list[tuple[int, float, Rows]]:
        """What is shown of items, as `batch` draws it: caption, seconds, and what is done, where that is known."""
        longest, found = self._longest(rng_of), []
        for k, index in enumerate(map(int, indices)):
            _, length, caption, number = self._shown(index, longest, rng_of(k))
            if number >= 0 and (rows := self.phases[index][number]):
                found.append((caption, length / self.spec.fps, rows))
        return found

    def _plan(self, index: int, number: int, first: int, length: int) -> np.ndarray | None:
        """What is done in the frames shown of a window of an item [length, P], if that is known."""
        if number < 0 or not self.phases or not (rows := self.phases[index][number]):
            return None
        start = self.windows[index][number][0]
        return plans_of.plan_of(plans_of.from_rows(rows), length, self.spec.fps, (first - start) / self.spec.fps)

    def _shown(self, index: int, longest: int, rng: np.random.RandomState) -> tuple[int, int, int, int]:
        """First frame, number of frames and caption of what is shown of an item, and the number of its window or -1."""
        have = int(self.frames[index])
        if self.windows and self.windows[index]:
            return self._window(self.windows[index], self.exact or longest, rng)
        caption = self.texts[index][rng.randint(len(self.texts[index]))]
        length = self.exact or self._length(have, longest, rng)
        return rng.randint(have - length + 1), length, caption, -1

    def _window(self, windows: list[Window], length: int, rng: np.random.RandomState) -> tuple[int, int, int, int]:
        """One of the windows nearest to a length; where every item has `exact` frames, those of one no shorter."""
        enough = [number for number, window in enumerate(windows) if window[1] >= self.exact]
        least = min(abs(windows[number][1] - length) for number in enough)
        near = [number for number in enough if abs(windows[number][1] - length) == least]
        number = near[rng.randint(len(near))]
        first, frames, texts = windows[number]
        caption = texts[rng.randint(len(texts))]
        if self.exact:
            first, frames = first + rng.randint(frames - self.exact + 1), self.exact
        return first, frames, caption, number

    def _from_another(self, window: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """The window [exact, F] that begins with frames of another item, those that a model is shown."""
        other = rng.randint(len(self))
        start = int(self.starts[other]) + rng.randint(int(self.frames[other]) - self.context + 1)
        before = np.asarray(self.features[start : start + self.context])
        after = gone_over(before, np.asarray(window[self.context :]), layout_of(self.spec.skeleton))
        return np.concatenate((before, after))

    def _longest(self, rng_of: RngOf) -> int:
        """Frames that an item of this batch may have: under length_aug one draw for all, so that little is padded."""
        if "length_aug" not in self.augmentations:
            return self.longest
        low = min(SHORTEST_WINDOW, self.longest) // UNIT
        return UNIT * int(rng_of(BATCH).randint(low, self.longest // UNIT + 1))

    def _length(self, have: int, longest: int, rng: np.random.RandomState) -> int:
        """Frames to show of an item: whole units, and of the published datasets one unit less one time in three."""
        length = min(have, longest) // UNIT
        if not own(self.spec) and rng.randint(3) == 0:
            length -= 1
        return UNIT * max(length, 1)


def clip_of(item: str) -> str:
    """The name of the clip that an item is all or a span (...#1) of."""
    return item.split("#")[0]


def take_of(item: str) -> str:
    """The take that an item is from: its mirror image (M...), other parts (..._p1) and spans are of the same."""
    return re.sub(r"_p\d+$", "", clip_of(item).removeprefix("M"))


def own(spec: DatasetSpec) -> bool:
    """Whether a dataset is made here: clips of any length, seen through windows."""
    return spec.name == "mocap"


def load(
    spec: DatasetSpec,
    options: DataOptions,
    compat: str = "none",
    seed: int = 0,
    exact: int = 0,
    pad_to: int = 0,
    context: int = 0,
    stats: Path | None = None,
    planned: bool = False,
) -> TextMotions:
    """The part `options.data_split` of a folder with motion and sentences.

    `exact` is the number of frames of every item (shorter clips are passed over), `pad_to` the least number of frames
    of a batch, `context` that of the frames that a model is shown. The Mean and Std of the folder `stats` normalise as
    they stand, in place of the data's own with `options.root_emphasis`. `compat="published"` takes KIT-ML's spans at 20
    frames a second, as the published loader does. `planned`: batches tell what is done when.
    Raises MissingFileError, DataError or UsageError.
    """
    augmentations = base.chosen_augmentations(spec, options, AUGMENTATIONS if own(spec) else ())
    if "transition_aug" in augmentations and not context:
        raise UsageError("transition_aug is for models that are shown the frames before: add --context_len")
    folder = spec.folder(options.datapath)
    longest = (options.num_frames or spec.max_frames) if own(spec) else spec.max_frames
    if exact and exact > longest and not own(spec):
        raise UsageError(f"--context_len and --pred_len ask for {exact} frames; {spec.name} clips have {longest}")
    names = listed(spec, folder, options.data_split)
    mean, std = (value.astype(np.float32) for value in base.load_stats(spec, stats or folder))
    if stats is None:
        std[:ROOT] /= options.root_emphasis
    fps = PUBLISHED_FPS if compat == "published" else spec.fps
    content = _content(spec, folder, options.data_split, names, fps)
    told = json.loads(bytes(content["told"]))
    windows, phases = told["windows"], told["phases"]
    longest_of = [
        max((frames for _, frames, _ in each), default=have)
        for each, have in zip(windows, content["frames"], strict=True)
    ]
    kept = [k for k, count in enumerate(longest_of) if count >= exact][: options.data_size]
    if not kept:
        raise DataError(f"the {options.data_split} part of {folder} has no clip of {exact} frames")
    shares = content["shares"][kept]
    skipped = told["skipped"]
    if len(kept) < len(told["names"]) and not options.data_size:
        skipped |= {f"shorter than {exact} frames": len(told["names"]) - len(kept)}
    return TextMotions(
        spec=spec,
        names=[told["names"][k] for k in kept],
        features=content["features"],
        starts=content["starts"][kept],
        frames=content["frames"][kept],
        texts=[told["texts"][k] for k in kept],
        captions=told["captions"],
        tags=told["tags"],
        mean=mean,
        std=std,
        windows=[windows[k] for k in kept],
        phases=[phases[k] for k in kept],
        planned=planned,
        weights=shares / shares.sum() if shares.min() >= 0 and shares.sum() > 0 else None,
        longest=max(UNIT, longest // UNIT * UNIT),
        augmentations=augmentations,
        exact=exact,
        pad_to=pad_to,
        context=context,
        skipped=skipped,
        faults=[f"{folder / fault}" for fault in told["faults"]],
    )


def listed(spec: DatasetSpec, folder: str | Path, split: str) -> list[str]:
    """The names of a part. Raises MissingFileError, or DataError if the list is empty."""
    path = Path(folder) / f"{split}.txt"
    if not path.is_file():
        raise MissingFileError(f"{path} is missing: {_remedy(spec, folder)}")
    names = [line.strip() for line in read_text(path).split("\n") if line.strip()]
    if strange := [name for name in names if not is_file_name(name)]:
        raise DataError(f"{path}: {strange[0]!r} is not the name of a clip")
    if not names:
        raise DataError(f"{path} names no clip; choose another --data_split, or make the folder anew")
    return names


def read_captions(spec: DatasetSpec, datapath: str | Path, split: str) -> list[tuple[str, int]]:
    """Every caption of a part with the frames of the motion that it describes, read from the sentences alone.

    Where the motion itself is not there, the frames are the most that the dataset has. Raises MissingFileError.
    """
    folder = Path(datapath)
    captions = []
    for name in listed(spec, folder, split):
        path = folder / "texts" / f"{name}.txt"
        if path.is_file():
            whole = _frames_of(folder / "new_joint_vecs" / f"{name}.npy") or spec.max_frames
            for line in read_lines(path):
                frames = whole if line.whole else min(whole, int(line.end * spec.fps)) - int(line.start * spec.fps)
                captions.append((line.caption, min(max(frames // UNIT, 1) * UNIT, spec.max_frames)))
    if not captions:
        raise MissingFileError(f"{folder / 'texts'} holds no sentences of the {split} part: {_remedy(spec, folder)}")
    return captions


def _frames_of(path: Path) -> int:
    """Rows of an array file, from its header; 0 if it is not there or no array."""
    try:
        return array_shape(path)[0]
    except (PolykineError, OSError, IndexError):
        return 0


def _remedy(spec: DatasetSpec, folder: str | Path) -> str:
    """What makes the folder of a dataset."""
    if own(spec):
        return f"make it with `python -m prepare.humanml --sources FILE_OR_FOLDER ... --output_dir {folder}`"
    return (
        f"dataset/README.md says where {spec.name} is found, `python -m prepare.check {folder}` what is missing, "
        "`python -m prepare.toy_motion` makes a small dataset to try"
    )


def _content(spec: DatasetSpec, folder: Path, split: str, names: list[str], fps: float) -> dict[str, np.ndarray]:
    """The items of a part, from the cache or from their files. Raises MissingFileError or DataError."""
    files = [folder / f"{split}.txt", folder / "index.json"]
    files += [folder / "new_joint_vecs" / f"{name}.npy" for name in names]
    files += [folder / "texts" / f"{name}.txt" for name in names]
    files += [path for path in (_phases_file(folder, name) for name in names) if path.is_file()]
    key = cache.key_of(files, "phases", spec.name, spec.features, spec.minimum_length, fps)
    content = cache.read(folder, split, key)
    if content is None:
        content = _read(spec, folder, split, names, fps)
        cache.write(folder, split, key, content)
    return content


@dataclass
class _Items:
    """Items in the making."""

    names: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    texts: list[list[int]] = field(default_factory=list)
    windows: list[list[Window]] = field(default_factory=list)
    phases: list[list[Rows]] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    captions: dict[str, int] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def skip(self, reason: str, fault: str = "") -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        self.faults += [fault] if fault else []

    def known(self, line: TextLine) -> int:
        """The index of a line's caption."""
        if line.caption not in self.captions:
            self.captions[line.caption] = len(self.captions)
            self.tags.append(" ".join(line.tags))
        return self.captions[line.caption]

    def add(self, name: str, start: int, frames: int, lines: Sequence[TextLine], share: float) -> None:
        self.texts.append([self.known(line) for line in lines])
        self.windows.append([])
        self.phases.append([])
        self.names.append(name)
        self.starts.append(start)
        self.frames.append(frames)
        self.shares.append(share)


def _read(spec: DatasetSpec, folder: Path, split: str, names: list[str], fps: float) -> dict[str, np.ndarray]:
    """The items of a part as arrays, `told` being JSON. Raises MissingFileError or DataError."""
    shares = _shares(spec, folder)
    items, parts, rows = _Items(), [], 0
    for name in names:
        path, words = folder / "new_joint_vecs" / f"{name}.npy", folder / "texts" / f"{name}.txt"
        if not (path.is_file() and words.is_file()):
            items.skip("not there")
            continue
        before = len(items.faults)
        try:
            features, lines = _features(spec, path), read_lines(words, items.faults)
            phases = _read_phases(_phases_file(folder, name), fps) if own(spec) else {}
        except DataError as error:
            items.skip("unreadable", str(error))
            continue
        if without := len(items.faults) - before:
            items.skipped[NO_CAPTION] = items.skipped.get(NO_CAPTION, 0) + without
        if not np.isfinite(features).all():
            frame = int(np.flatnonzero(~np.isfinite(features).all(1))[0])
            items.skip("not finite", f"{path}: not finite from frame {frame} on")
        elif features.size and np.abs(features).max() > base.LARGEST:
            items.skip("too large", f"{path}: numbers up to {np.abs(features).max():g}, too large for motion")
        elif not _fits(spec, len(features)):
            items.skip("too short" if len(features) < spec.minimum_length else "too long")
        elif not lines:
            items.skip("without a sentence")
        else:
            _add_clip(items, spec, name, rows, len(features), lines, phases, shares.get(name, -1.0), fps)
            parts.append(features)
            rows += len(features)
    if not items.names:
        why = ", ".join(f"{count} {reason}" for reason, count in items.skipped.items())
        kind = MissingFileError if set(items.skipped) == {"not there"} else DataError
        what = f"{items.faults[0]}: " if items.faults else ""
        raise kind(
            f"{what}none of the {len(names)} clips that {folder / split}.txt names can be used ({why}): "
            f"{_remedy(spec, folder)}"
        )
    told = {"names": items.names, "texts": items.texts, "windows": items.windows, "captions": list(items.captions)}
    told |= {
        "phases": items.phases,
        "tags": items.tags,
        "skipped": items.skipped,
        "faults": [fault.removeprefix(f"{folder}{os.sep}") for fault in items.faults],
    }
    return {
        "features": np.concatenate(parts),
        "starts": np.array(items.starts, np.int64),
        "frames": np.array(items.frames, np.int64),
        "shares": np.array(items.shares, np.float64),
        "told": np.frombuffer(json.dumps(told).encode(), np.uint8),
    }


def _fits(spec: DatasetSpec, frames: int) -> bool:
    return spec.minimum_length <= frames and (own(spec) or frames < LONGEST)


def _add_clip(
    items: _Items,
    spec: DatasetSpec,
    name: str,
    start: int,
    frames: int,
    lines: Sequence[TextLine],
    phases: Mapping[Span, Rows],
    share: float,
    fps: float,
) -> None:
    """The clip with the captions of all of it, and for each other caption the span that it tells.

    Clips of ours stay one item, with those spans as windows.
    """
    if own(spec):
        items.add(name, start, frames, lines, share)
        items.windows[-1] = _windows(items, lines, frames, fps)
        items.phases[-1] = [phases.get((first, count), []) for first, count, _ in items.windows[-1]]
        return
    if whole := [line for line in lines if line.whole]:
        items.add(name, start, frames, whole, share)
    for number, line in enumerate(lines):
        if not line.whole:
            first, last = int(line.start * fps), min(int(line.end * fps), frames)
            if _fits(spec, last - first):
                items.add(f"{name}#{number}", start + first, last - first, [line], share)
            else:
                items.skip("span too short" if last - first < spec.minimum_length else "span too long")


def _windows(items: _Items, lines: Sequence[TextLine], frames: int, fps: float) -> list[Window]:
    """The spans, in whole units of frames, that lines tell of, each with its captions."""
    windows: dict[tuple[int, int], list[int]] = {}
    for line in lines:
        if not line.whole:
            first = round(line.start * fps)
            count = (min(round(line.end * fps), frames) - first) // UNIT * UNIT
            if count >= UNIT:
                windows.setdefault((first, count), []).append(items.known(line))
            else:
                items.skip("span too short")
    return [(first, count, texts) for (first, count), texts in windows.items()]


def _phases_file(folder: Path, name: str) -> Path:
    return folder / "phases" / f"{name}.json"


def _read_phases(path: Path, fps: float) -> dict[Span, Rows]:
    """What is done in the windows of a clip, by their frames; nothing where there is no such file. Raises DataError."""
    if not path.is_file():
        return {}
    with reading(path, "a list of windows with what is done in them"):
        found = {}
        for start, end, rows in read_json(path):
            plans_of.from_rows(rows)
            first = round(start * fps)
            found[first, (round(end * fps) - first) // UNIT * UNIT] = rows
        return found


def _features(spec: DatasetSpec, path: Path) -> np.ndarray:
    """The features [frames, F] of a clip as float32. Raises DataError."""
    features = load_array(path)
    if features.ndim != 2 or features.shape[1] != spec.features or features.dtype.kind != "f":
        raise DataError(f"{path} holds {features.dtype} {features.shape}; {spec.name} has [frames, {spec.features}]")
    return features.astype(np.float32, copy=False)


def _shares(spec: DatasetSpec, folder: Path) -> dict[str, float]:
    """Each clip's share of an epoch, if the folder tells them. Raises DataError."""
    path = folder / "index.json"
    if not path.is_file():
        return {}
    index = read_json(path)
    clips: Any = index.get("clips") if isinstance(index, dict) else None
    if not isinstance(clips, dict):
        raise DataError(f"{path} must hold the clips by name; make the folder anew with `python -m prepare.humanml`")
    if index.get("fps") != spec.fps:
        raise DataError(f"{path} tells {index.get('fps')} frames a second; {spec.name} has {spec.fps:g}")
    shares = {name: clip.get("share", -1) if isinstance(clip, dict) else -1 for name, clip in clips.items()}
    with reading(path, "an index of clips"):
        return {name: float(share) for name, share in shares.items() if isinstance(share, int | float)}
