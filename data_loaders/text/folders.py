"""Folders of motion with sentences: those of HumanML3D and KIT-ML (Guo et al. 2022), and our own in their layout.

On disk: the lists `train.txt`, `val.txt`, `test.txt`, `new_joint_vecs/NAME.npy` (features [frames, F]),
`texts/NAME.txt` (see `texts`), `Mean.npy` and `Std.npy` [F], and in folders of ours `index.json` with each clip's share
of an epoch, and `phases/NAME.json`, what is done in each window of a clip.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_loaders.captioner import plans as plans_of
from data_loaders.common import cache
from data_loaders.points import keypoints as base
from data_loaders.registry import DatasetSpec
from data_loaders.texts import TextLine, read_lines
from utils.run.arrays import array_shape, load_array
from utils.run.errors import DataError, MissingFileError, PolykineError, reading
from utils.run.files import read_json, read_text
from utils.run.names import is_file_name

UNIT = 4  # lengths are multiples of this many frames
LONGEST = 200  # HumanML3D and KIT-ML clips of this many frames or more are passed over
NO_CAPTION = "lines without a caption"

Window = tuple[int, int, list[int]]  # first frame in the clip, frames, captions
Span = tuple[int, int]  # first frame in the clip, frames
Rows = list[list[Any]]  # phases, as `captioner.plans` writes them


def own(spec: DatasetSpec) -> bool:
    """Whether a dataset is made here: clips of any length, seen through windows."""
    return spec.name == "mocap"


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


def content_of(spec: DatasetSpec, folder: Path, split: str, names: list[str], fps: float) -> dict[str, np.ndarray]:
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
