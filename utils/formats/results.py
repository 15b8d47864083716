"""`results.npy`: what sampling writes. A pickled dict in the published layout plus names of our own, read safely.

`motions` float32: 2D [B, J, 2, T], or 3D [B, T, J, 3] in the camera frame (x right, y up, z away: left-handed).
`model_kwargs` {"y": {"lengths" int64 [B], ...}}. Ours: `fps`, `joint_names`, `parents`, `format_version`, `provenance`.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from utils.geometry.motion import Motion
from utils.run.errors import DataError
from utils.run.files import atomic_write, load_array

FORMAT_VERSION = 1


def write(path: str | Path, content: dict[str, Any]) -> None:
    """Write `content` as `results.npy` (a 0-d object array), atomically."""
    with atomic_write(path) as handle:
        np.save(handle, np.array(content | {"format_version": FORMAT_VERSION}, dtype=object), allow_pickle=True)


def load(path: str | Path) -> dict[str, Any]:
    """The content of a results file, published or ours. Raises MissingFileError or DataError."""
    holder = load_array(path)
    content = holder.item() if holder.dtype == object and holder.ndim == 0 else None
    motions = content.get("motions") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(motions, np.ndarray) or motions.dtype.kind not in "fiu":
        raise DataError(f"{path} holds no motions: it is not a results file of sample.generate or sample.mas")
    if not np.isfinite(motions).all():
        raise DataError(f"{path} holds NaN or infinite coordinates")
    return content


def read(path: str | Path) -> list[Motion]:
    """The 3D motions of a results file as records in our right-handed frame (z towards the viewer), cut to length.

    Raises MissingFileError, or DataError where the motions are 2D, carry no joint names, or are not what is said of
    them.
    """
    content = load(path)
    motions = content["motions"]
    if motions.ndim != 4 or motions.shape[-1] != 3:
        raise DataError(f"{path} holds motions of shape {motions.shape}, not 3D ones [B, T, J, 3]")
    if "joint_names" not in content:
        raise DataError(f"{path} names no joints (it was not written by this project): say which skeleton it has")
    names, parents, fps = content["joint_names"], content.get("parents") or [], content.get("fps")
    if not len(names) == len(parents) == motions.shape[2]:
        raise DataError(f"{path} has {len(names)} joint names and {len(parents)} parents for {motions.shape[2]} joints")
    if not isinstance(fps, int | float) or not 0 < fps < math.inf:
        raise DataError(f"{path} says fps {fps!r}, which is no frame rate")
    return [
        Motion(
            motion[:length] * np.array([1, 1, -1], np.float32), fps, tuple(names), tuple(parents), name=f"result_{i}"
        )
        for i, (motion, length) in enumerate(zip(motions, _lengths(path, content), strict=True))
    ]


def _lengths(path: str | Path, content: dict[str, Any]) -> list[int]:
    """The frames of each motion. Raises DataError unless they fit the motions."""
    count, frames = content["motions"].shape[:2]
    try:
        lengths = np.asarray(content["model_kwargs"]["y"]["lengths"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} says no lengths") from error
    fits = lengths.shape == (count,) and lengths.dtype.kind in "iu"
    if not fits or not all(1 <= length <= frames for length in lengths.tolist()):
        raise DataError(f"{path} says lengths {lengths.tolist()} for {count} motions of {frames} frames")
    return lengths.tolist()
