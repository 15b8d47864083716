"""A folder of 3D motion packed in one array: `positions.npy` [N, J, 3] (metres, y up, right-handed) and `index.json`.

The index holds `fps`, `skeleton` and for each clip its name, start, stop, split, actions, source and licence, and
`texts` where there are sentences that describe it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.arrays import load_array
from utils.run.errors import DataError, MissingFileError
from utils.run.files import read_json
from utils.run.folders import atomic_folder

_RECORD = ("name", "start", "stop", "split", "actions", "source")


@dataclass(frozen=True)
class PackedMotions:
    """The whole folder in memory: `positions` [N, J, 3] and one record a clip."""

    positions: np.ndarray
    fps: float
    skeleton: Skeleton
    clips: list[dict[str, Any]]


def write(
    folder: str | Path, clips: Iterable[tuple[np.ndarray, dict[str, Any]]], fps: float, skeleton: str, overwrite: bool
) -> int:
    """Write clips (positions [T, J, 3], record) as a packed folder, atomically; returns the number of clips."""
    index, arrays, start = [], [], 0
    for positions, record in clips:
        arrays.append(positions.astype(np.float32))
        index.append(record | {"start": start, "stop": start + len(positions)})
        start += len(positions)
    if not arrays:
        raise DataError("no clip was found to pack")
    with atomic_folder(folder, overwrite) as temporary:
        np.save(temporary / "positions.npy", np.concatenate(arrays))
        (temporary / "index.json").write_text(
            json.dumps({"fps": fps, "skeleton": skeleton, "clips": index}, indent=0, allow_nan=False)
        )
    return len(index)


def read(folder: str | Path) -> PackedMotions:
    """Read a packed folder. Raises MissingFileError or DataError (an index or sizes that disagree, NaN)."""
    folder = Path(folder)
    fps, skeleton, clips = read_index(folder)
    positions = load_array(folder / "positions.npy")
    if positions.ndim != 3 or positions.shape[1:] != (len(skeleton.joints), 3):
        raise DataError(f"{folder / 'positions.npy'} has shape {positions.shape}, not [N, {len(skeleton.joints)}, 3]")
    if positions.dtype.kind != "f":
        raise DataError(f"{folder / 'positions.npy'} holds {positions.dtype} values, not numbers of metres")
    if not all(type(clip[end]) is int for clip in clips for end in ("start", "stop")):
        raise DataError(f"{folder / 'index.json'}: a clip's start or stop is no number of a frame")
    starts = [0, *(clip["stop"] for clip in clips)]
    if [clip["start"] for clip in clips] != starts[:-1] or sorted(starts) != starts or starts[-1] != len(positions):
        raise DataError(f"{folder}: index.json and positions.npy disagree about the number of frames")
    if not np.isfinite(positions).all():
        raise DataError(f"{folder / 'positions.npy'} holds NaN or infinite coordinates")
    return PackedMotions(positions, fps, skeleton, clips)


def read_index(folder: str | Path) -> tuple[float, Skeleton, list[dict[str, Any]]]:
    """Frame rate, skeleton and the records of the clips of a packed folder. Raises MissingFileError or DataError."""
    path = Path(folder) / "index.json"
    if not path.is_file():
        raise MissingFileError(
            f"{folder} holds no index.json: make it with `python -m prepare.mocap --output_dir {folder} --sources ...`"
        )
    index = read_json(path)
    fields = {"fps": (int, float), "skeleton": str, "clips": list}
    for name, kind in fields.items():
        if not isinstance(index, dict) or not isinstance(index.get(name), kind) or not index[name]:
            raise DataError(f"{path} must name {', '.join(fields)}; {name} is missing, empty or of another kind")
    if index["skeleton"] not in SKELETONS:
        raise DataError(f"{path} names the skeleton {index['skeleton']!r}; known are {', '.join(SKELETONS)}")
    if index["fps"] <= 0:
        raise DataError(f"{path}: fps is {index['fps']}, which is no frame rate")
    for number, clip in enumerate(index["clips"]):
        if missing := [name for name in _RECORD if not isinstance(clip, dict) or name not in clip]:
            raise DataError(f"{path}: clip {number} lacks {', '.join(missing)}")
        texts = clip.get("texts", [])
        if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
            raise DataError(f"{path}: the texts of clip {number} are no list of sentences")
    return index["fps"], SKELETONS[index["skeleton"]], index["clips"]
