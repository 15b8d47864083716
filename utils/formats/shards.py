"""Packed motion shards: many clips in one `.npz`, positions and rotations as quantised second differences.

Keys: `start` [C+1], `pos_dd` int16 [3J, N] with `pos_quantum` (metres), `rot_dd` int16 [66, N] with `rot_quantum`
(radians, local axis-angle), `meta` (JSON: joints, parents, fps, licence, credit, clips).
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.geometry.motion import Motion
from utils.geometry.rotations import axis_angle_to_matrix
from utils.geometry.skeleton import check_tree
from utils.run.arrays import load_archive
from utils.run.errors import DataError, reading


def _integrate(second_differences: np.ndarray) -> np.ndarray:
    """Twice the running sum in int16, wrap-around intended (the coder relies on it); [C, N] -> [N, C]."""
    return np.cumsum(np.cumsum(second_differences, axis=1, dtype=np.int16), axis=1, dtype=np.int16).T


def _unpack(content: dict[str, np.ndarray]) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray | None]:
    """Meta, start [C + 1], positions [N, J, 3], axis-angles [N, J, 3] or None. Raises ValueError or its like."""
    meta, start = json.loads(bytes(content["meta"])), content["start"]
    joints, names = len(meta["joints"]), [clip["name"] for clip in meta["clips"]]
    check_tree(meta["joints"], meta["parents"])
    if not isinstance(meta["fps"], int | float) or not 0 < meta["fps"] < math.inf:
        raise ValueError("meta must name a frame rate")
    if not all(isinstance(name, str) for name in names):
        raise ValueError("meta has a clip without a name")
    if start.dtype.kind not in "iu" or start.shape != (len(names) + 1,) or start[0] != 0 or (np.diff(start) < 0).any():
        raise ValueError("start does not divide the frames into the clips of meta")
    found: list[np.ndarray] = []
    for kind in ("pos", "rot"):
        if kind == "rot" and "rot_dd" not in content:
            break
        coded, quantum = content[f"{kind}_dd"], content[f"{kind}_quantum"]
        if coded.dtype.kind not in "iu" or quantum.dtype.kind not in "fiu" or quantum.size != 1:
            raise ValueError(
                f"{kind}_dd holds {coded.dtype}, and its quantum {quantum.dtype}, not whole numbers and one"
            )
        if coded.shape != (3 * joints, start[-1]) or not np.isfinite(quantum):
            raise ValueError(f"{kind}_dd has shape {coded.shape}, not {(3 * joints, int(start[-1]))}, or no quantum")
        found.append(_integrate(coded).reshape(-1, joints, 3) * quantum)
    with np.errstate(over="ignore"):
        found[0][:, 1:] += found[0][:, :1]
        if not all(np.isfinite(part.astype(np.float32)).all() for part in found):
            raise ValueError("its quanta make numbers that are not finite")
    return meta, start, found[0], found[1] if len(found) > 1 else None


def read(path: str | Path) -> Iterator[Motion]:
    """The clips of a shard, one `Motion` each, its label record in `meta`.

    Raises MissingFileError or DataError.
    """
    try:
        content = load_archive(path)
    except DataError as error:
        raise DataError(f"{path} is not a packed motion shard: {error}") from error
    with reading(path, "a packed motion shard"):
        meta, start, positions, rotations = _unpack(content)
    shared = {name: meta.get(name, "") for name in ("licence", "credit", "dataset")}
    for clip, record in enumerate(meta["clips"]):
        span = slice(start[clip], start[clip + 1])
        local = None if rotations is None else axis_angle_to_matrix(torch.from_numpy(rotations[span])).numpy()
        yield Motion(
            positions[span].astype(np.float32),
            meta["fps"],
            tuple(meta["joints"]),
            tuple(meta["parents"]),
            local,
            record["name"],
            shared | record,
            texts=tuple(record.get("texts") or ()),
        )
