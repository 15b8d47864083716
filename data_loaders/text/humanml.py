"""Motion with sentences in windows and batches: HumanML3D and KIT-ML (Guo et al. 2022), and our own in their layout.

In memory (`folders` reads them): all frames end to end; an item is a span of them with the captions that describe it.
A caption that tells a span of seconds makes an item of its own of that span; in folders of ours it tells of a window of
its clip, and clips that have such are seen through them alone.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_loaders.captioner import plans as plans_of
from data_loaders.options import DataOptions
from data_loaders.points import keypoints as base
from data_loaders.registry import DatasetSpec
from data_loaders.representations.hml import layout_of
from data_loaders.text.folders import UNIT, Rows, Window, content_of, listed, own
from data_loaders.text.transitions import gone_over
from utils.run.errors import DataError, UsageError

ROOT = 4  # features of the root: its turn, its step in x and z, its height
SHORTEST_WINDOW = 40  # of length_aug
PUBLISHED_FPS = 20  # by which the published loader finds spans, in KIT-ML too
AUGMENTATIONS = ("length_aug", "transition_aug")
GO_OVER = 0.35  # share of items that begin as another, under transition_aug
BATCH = -1  # position of the draw that belongs to the whole batch

RngOf = Callable[[int], np.random.RandomState]


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
    content = content_of(spec, folder, options.data_split, names, fps)
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
