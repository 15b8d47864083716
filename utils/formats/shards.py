"""Packed motion shards: many clips in one `.npz`, positions and rotations as quantised second differences.

Keys: `start` [C+1], `pos_dd` int16 [3J, N] with `pos_quantum` (metres), `rot_dd` int16 [66, N] with `rot_quantum`
(radians, local axis-angle), `meta` (JSON: joints, parents, fps, licence, credit, clips).
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from utils.geometry.motion import Motion
from utils.geometry.rotations import axis_angle_to_matrix
from utils.run.errors import DataError, MissingFileError


def _integrate(second_differences: np.ndarray) -> np.ndarray:
    """Twice the running sum in int16, wrap-around intended (the coder relies on it); [C, N] -> [N, C]."""
    return np.cumsum(np.cumsum(second_differences, axis=1, dtype=np.int16), axis=1, dtype=np.int16).T


def read(path: str | Path) -> Iterator[Motion]:
    """The clips of a shard, one `Motion` each, its label record in `meta`.

    Raises MissingFileError or DataError.
    """
    try:
        with np.load(path, allow_pickle=False) as packed:
            meta = json.loads(bytes(packed["meta"]))
            start, joints = packed["start"], tuple(meta["joints"])
            frames = int(start[-1])
            positions = _integrate(packed["pos_dd"]).reshape(frames, len(joints), 3) * packed["pos_quantum"]
            positions[:, 1:] += positions[:, :1]
            rotations = None
            if "rot_dd" in packed:
                rotations = _integrate(packed["rot_dd"]).reshape(frames, -1, 3) * packed["rot_quantum"]
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist") from error
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise DataError(f"{path} is not a packed motion shard: {error}") from error
    shared = {name: meta.get(name, "") for name in ("licence", "credit", "dataset")}
    for clip, record in enumerate(meta["clips"]):
        span = slice(start[clip], start[clip + 1])
        local = None if rotations is None else axis_angle_to_matrix(torch.from_numpy(rotations[span])).numpy()
        yield Motion(
            positions[span].astype(np.float32),
            meta["fps"],
            joints,
            tuple(meta["parents"]),
            local,
            record["name"],
            shared | record,
        )
