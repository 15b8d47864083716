"""A folder of 3D motion packed in one array: `positions.npy` [N, J, 3] (metres, y up, right-handed) and `index.json`.

The index holds `fps`, `skeleton` and for each clip its name, start, stop, split, actions, source and licence.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.errors import DataError, MissingFileError
from utils.run.files import atomic_folder, read_json


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
    with atomic_folder(folder, overwrite) as made:
        np.save(made / "positions.npy", np.concatenate(arrays))
        (made / "index.json").write_text(
            json.dumps({"fps": fps, "skeleton": skeleton, "clips": index}, indent=0, allow_nan=False)
        )
    return len(index)


def read(folder: str | Path) -> PackedMotions:
    """Read a packed folder. Raises MissingFileError or DataError (sizes that disagree, NaN)."""
    folder = Path(folder)
    if not (folder / "index.json").is_file():
        raise MissingFileError(
            f"{folder} holds no index.json: make it with `python -m prepare.mocap --output_dir {folder} --sources ...`"
        )
    index = read_json(folder / "index.json")
    try:
        positions = np.load(folder / "positions.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / 'positions.npy'} cannot be read: {error}") from error
    skeleton = SKELETONS[index["skeleton"]]
    if positions.ndim != 3 or positions.shape[1:] != (len(skeleton.joints), 3):
        raise DataError(f"{folder / 'positions.npy'} has shape {positions.shape}, not [N, {len(skeleton.joints)}, 3]")
    if index["clips"][-1]["stop"] != len(positions):
        raise DataError(f"{folder}: index.json and positions.npy disagree about the number of frames")
    if not np.isfinite(positions).all():
        raise DataError(f"{folder / 'positions.npy'} holds NaN or infinite coordinates")
    return PackedMotions(positions, index["fps"], skeleton, index["clips"])
