"""Write clips and their captions as a folder in the layout of HumanML3D (Guo et al. 2022).

`Mean.npy`, `Std.npy` [F], the lists `train.txt`, `val.txt`, `test.txt`, `all.txt`, and for each name in them
`new_joint_vecs/NAME.npy` (features [T - 1, F]), `new_joints/NAME.npy` (positions [T - 1, J, 3]) and `texts/NAME.txt`;
mirrored copies are called `M` + NAME. Our additions are `index.json`: where each clip is from and its share of an
epoch, and with captions of windows `phases/NAME.json`: of each window its first and last second, and what the captioner
sees in it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_loaders.captioner.phases import mirrored_phases
from data_loaders.captioner.plans import as_rows
from data_loaders.points.projections import clip_weights
from data_loaders.registry import RIGHT, dataset_spec
from data_loaders.representations import hml
from data_loaders.text.captions import sentences
from data_loaders.texts import TextLine, mirrored, normalised, tagged, written
from prepare.text.windows import Told, told_of, with_rare_ones
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError
from utils.run.folders import atomic_folder
from utils.run.names import file_names

PARTS = ("train", "val", "test")
CHUNK = 256  # clips that are encoded at once
_BODY = SKELETONS["smpl22"]
BALANCE = 0.55  # rare kinds of motion count more than in 2D, where nobody asks for them by a sentence
_RECORD = ("name", "source", "actions", "content", "turn", "style", "split", "licence")


@dataclass(frozen=True)
class Clip:
    """Positions [T, 22, 3] at the folder's rate, what the source says of them, and captions read from a text file.

    `record` has name, source, actions (labels), style, split and licence, and may have texts, content, turn and pace;
    without `lines` captions are made from it.
    """

    positions: np.ndarray
    record: dict[str, Any]
    lines: tuple[TextLine, ...] = ()


@dataclass(frozen=True)
class Written:
    """What became of the clips: how many are in each part, their frames, how many were left out and why."""

    parts: dict[str, int]
    frames: int
    captions: int
    skipped: dict[str, int]


def write(
    folder: str | Path,
    clips: Sequence[Clip],
    fps: float,
    mirror: bool,
    overwrite: bool,
    encoding: Mapping[str, Any] = RIGHT,
    windows: bool = False,
) -> Written:
    """Write the folder, whole or not at all; `encoding` are the ways of `hml.encode`.

    With `windows` the text files also tell what is to be seen in windows of the clips (`prepare.text.windows`).
    Raises DataError if no clip of the training part can be used.
    """
    usable, skipped = _usable(clips)
    records = [clip.record | {"start": 0, "stop": len(clip.positions)} for clip in usable]
    shares = clip_weights(records, dataset_spec("mocap2d"), BALANCE) if usable else np.zeros(0)
    names, index, seen = _named(usable), {}, []
    told = [
        told_of(clip.positions[:-1], clip.record, name, fps) if windows else Told([], [])
        for clip, name in zip(usable, names, strict=True)
    ]
    shares = with_rare_ones(shares, told) if windows and usable else shares
    captions: set[str] = set()
    with atomic_folder(folder, overwrite) as made:
        for part in ("new_joint_vecs", "new_joints", "texts", *(["phases"] if windows else [])):
            (made / part).mkdir()
        for flip in (False, True)[: 1 + mirror]:
            for number, features in enumerate(_encoded(usable, flip, encoding)):
                clip, name = usable[number], "M" * flip + names[number]
                if not features.isfinite().all():
                    skipped["not finite"] += 1
                    continue
                lines = [*_captions(clip, name, flip), *_mirrored(told[number].lines, flip)]
                _write_clip(made, name, features, lines)
                if windows:
                    _write_phases(made, name, told[number], flip)
                index[name] = {field: clip.record.get(field, "") for field in _RECORD}
                index[name] |= {"frames": len(features), "share": float(shares[number])}
                captions.update(line.caption for line in lines)
                if clip.record["split"] == "train":
                    seen.append(features)
        if not seen:
            raise DataError(f"no clip is left to train on: of {len(clips)} that were read {_reasons(skipped)}")
        _write_statistics(made, seen)
        parts = {part: [name for name in index if index[name]["split"] == part] for part in PARTS}
        for part, members in (parts | {"all": list(index)}).items():
            (made / f"{part}.txt").write_text("".join(f"{name}\n" for name in members), encoding="utf-8")
        (made / "index.json").write_text(json.dumps({"fps": fps, "clips": index}, indent=0, allow_nan=False))
    frames = sum(record["frames"] for record in index.values())
    return Written({part: len(members) for part, members in parts.items()}, frames, len(captions), dict(skipped))


def _usable(clips: Sequence[Clip]) -> tuple[list[Clip], Counter[str]]:
    """The clips that can be encoded, and how many cannot for each reason."""
    shortest = dataset_spec("mocap").minimum_length
    usable, skipped = [], Counter()
    for clip in clips:
        if len(clip.positions) <= shortest:
            skipped[f"shorter than {shortest + 1} frames"] += 1
        elif not np.isfinite(clip.positions).all():
            skipped["not finite"] += 1
        elif not hml.has_legs(torch.from_numpy(clip.positions), hml.layout_of(_BODY)):
            skipped["without legs of any length"] += 1
        else:
            usable.append(clip)
    return usable, skipped


def _reasons(skipped: Counter[str]) -> str:
    return ", ".join(f"{count} were {reason}" for reason, count in skipped.items()) or "none is in that part"


def _named(clips: Sequence[Clip]) -> list[str]:
    """A file name for each clip, from its source and its name: words alone, as lists of clips have them."""
    whole = (f"{clip.record['source']}_{clip.record['name']}" for clip in clips)
    return file_names([re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") for name in whole])


def _encoded(clips: Sequence[Clip], flip: bool, encoding: Mapping[str, Any]) -> Iterator[torch.Tensor]:
    """The features of each clip, or of its mirror image."""
    layout = hml.layout_of(_BODY)
    for start in range(0, len(clips), CHUNK):
        points = [clip.positions for clip in clips[start : start + CHUNK]]
        if flip:
            points = [p[:, list(_BODY.mirror)] * np.array([-1, 1, 1], p.dtype) for p in points]
        yield from hml.encode(points, layout, **encoding)


def _captions(clip: Clip, name: str, flip: bool) -> list[TextLine]:
    """The captions of a clip, or of its mirror image."""
    lines = clip.lines or [TextLine(text, tagged(text)) for text in sentences(clip.record, name)]
    return _mirrored([replace(line, caption=normalised(line.caption)) for line in lines], flip)


def _mirrored(lines: list[TextLine], flip: bool) -> list[TextLine]:
    """The lines as they are, or of the mirror image."""
    if not flip:
        return lines
    return [replace(line, caption=mirrored(line.caption), tags=tuple(map(mirrored, line.tags))) for line in lines]


def _write_clip(folder: Path, name: str, features: torch.Tensor, lines: Sequence[TextLine]) -> None:
    np.save(folder / "new_joint_vecs" / f"{name}.npy", features.numpy())
    np.save(folder / "new_joints" / f"{name}.npy", hml.decode(features, hml.layout_of(_BODY)).numpy())
    text = "".join(f"{written(line)}\n" for line in lines)
    (folder / "texts" / f"{name}.txt").write_text(text, encoding="utf-8")


def _write_phases(folder: Path, name: str, told: Told, flip: bool) -> None:
    """What the captioner sees in each window of a clip, or of its mirror image."""
    rows = [[start, end, as_rows(mirrored_phases(phases) if flip else phases)] for start, end, phases in told.windows]
    (folder / "phases" / f"{name}.json").write_text(json.dumps(rows, allow_nan=False), encoding="utf-8")


def _write_statistics(folder: Path, features: Sequence[torch.Tensor]) -> None:
    mean, std = hml.statistics(features)
    # A feature that never changes (a contact, say) must not be divided by nothing.
    std = hml.block_std(std, hml.layout_of(_BODY)).clamp_min(1e-3)
    np.save(folder / "Mean.npy", mean.numpy())
    np.save(folder / "Std.npy", std.numpy())
