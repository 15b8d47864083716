"""What a pose prior is trained on: training pairs, and poses of the manifold, of one part of a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_loaders.poses.folder import Pairs, read_pairs, read_samples
from data_loaders.poses.sampling import AMASS_PARTS, PARTS
from utils.run.errors import DataError, MissingFileError, UsageError


@dataclass(frozen=True)
class PosePairs:
    """Pairs of poses and distances, and poses [M, 21, 4] that are real."""

    pairs: Pairs
    manifold: Tensor

    def __len__(self) -> int:
        return len(self.pairs.poses)


def folders_of(poses: str, data_dir: str, amass_dir: str) -> tuple[Path, Path]:
    """The folders of pairs and of samples: of `prepare.poses`, or the two that are published. Raises UsageError."""
    if bool(data_dir) != bool(amass_dir):
        raise UsageError("--data_dir and --amass_dir go together: training pairs, and sampled poses")
    if data_dir:
        return Path(data_dir), Path(amass_dir)
    return Path(poses) / "pairs", Path(poses) / "samples"


def files_of(folder: Path, part: str) -> list[Path]:
    """The files `<name>/*.npz` of a folder whose name is that of the part, or of a dataset of AMASS that is of it."""
    names = {part, *AMASS_PARTS[part]}
    return sorted(path for path in folder.glob("*/*.npz") if path.parent.name in names)


def load(pairs: Path, samples: Path, part: str, first_only: bool = False) -> PosePairs:
    """All pairs and samples of a part in memory. Raises MissingFileError or DataError."""
    if part not in PARTS:
        raise UsageError(f"there is no part {part}: choose from {', '.join(PARTS)}")
    files = files_of(pairs, part)[: 1 if first_only else None]
    if not files:
        raise MissingFileError(
            f"{pairs} holds no training pairs of {part} (`{part}/*.npz`): make them with `python -m prepare.poses "
            "--sources ...`"
        )
    found = [read_pairs(path) for path in files]
    if len({each.distances.shape[1] for each in found}) > 1:
        raise DataError(f"{pairs}: some files have distances to more poses than others; make them again")
    return PosePairs(_together(found), load_samples(samples, part, first_only))


def load_samples(folder: Path, part: str, first_only: bool = False) -> Tensor:
    """The real poses [M, 21, 4] of a part. Raises MissingFileError or DataError."""
    found = [read_samples(path) for path in files_of(folder, part)[: 1 if first_only else None]]
    if not found or not sum(map(len, found)):
        raise MissingFileError(f"{folder} holds no sampled poses of {part} (`{part}/*.npz`)")
    return torch.cat(found)


def _together(found: Sequence[Pairs]) -> Pairs:
    return Pairs(*(torch.cat([getattr(each, name) for each in found]) for name in Pairs.__dataclass_fields__))


def rows(pairs: Pairs, chosen: np.ndarray | Tensor) -> Pairs:
    """Some rows of pairs."""
    where = torch.as_tensor(chosen)
    return Pairs(*(getattr(pairs, name)[where] for name in Pairs.__dataclass_fields__))
