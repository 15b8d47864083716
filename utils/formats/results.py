"""`results.npy`: what sampling writes. A pickled dict in the published layout plus names of our own, read safely.

`motions` float32: 2D [B, J, 2, T], or 3D [B, T, J, 3] in the camera frame (x right, y up, z away: left-handed).
`model_kwargs` {"y": {"lengths" int64 [B], ...}}. Ours: `fps`, `joint_names`, `parents`, `format_version`, `provenance`.
"""

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
    if not isinstance(content, dict) or not isinstance(content.get("motions"), np.ndarray):
        raise DataError(f"{path} holds no motions: it is not a results file of sample.generate or sample.mas")
    if not np.isfinite(content["motions"]).all():
        raise DataError(f"{path} holds NaN or infinite coordinates")
    return content


def read(path: str | Path) -> list[Motion]:
    """The 3D motions of a results file as records in our right-handed frame (z towards the viewer), cut to length.

    Raises MissingFileError, or DataError where the motions are 2D or carry no joint names.
    """
    content = load(path)
    motions = content["motions"]
    if motions.ndim != 4 or motions.shape[-1] != 3:
        raise DataError(f"{path} holds motions of shape {motions.shape}, not 3D ones [B, T, J, 3]")
    if "joint_names" not in content:
        raise DataError(f"{path} names no joints (it was not written by this project): say which skeleton it has")
    lengths = content["model_kwargs"]["y"]["lengths"]
    return [
        Motion(
            motion[:length] * np.array([1, 1, -1], np.float32), content["fps"], tuple(content["joint_names"]),
            tuple(content["parents"]), name=f"result_{i}",
        )
        for i, (motion, length) in enumerate(zip(motions, lengths, strict=True))
    ]  # fmt: skip
