"""The published evaluators of HumanML3D and KIT-ML (Guo et al. 2022): networks, normalisation, vectors of words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_loaders.points.keypoints import normalise
from data_loaders.registry import DatasetSpec
from data_loaders.text import word_vectors
from data_loaders.text.word_vectors import WordVectors
from model.evaluators.text_motion import UNIT, TextMotion, from_published
from sample.choosing.evaluator import check_motion
from utils.run import checkpoint
from utils.run.arrays import load_array
from utils.run.errors import DataError
from utils.run.project import ROOT

FINEST = "text_mot_match/model/finest.tar"
PUBLISHED = {"smpl22": "t2m", "kit21": "kit"}  # the folder of the published evaluator, by skeleton
STATS = ROOT / "data_loaders" / "stats" / "text_evaluators"
AT_ONCE = 64  # motions or sentences that the networks see


@dataclass(frozen=True)
class PublishedEvaluator:
    """The published encoders: motions normalised by their own mean and spread, padded with zeros to `frames`."""

    network: TextMotion
    words: WordVectors
    mean: np.ndarray
    std: np.ndarray
    name: str
    path: Path
    sha256: str
    frames: int
    device: torch.device

    @property
    def identity(self) -> dict[str, str]:
        """See TextEvaluator."""
        return {"name": self.name, "path": str(self.path), "sha256": self.sha256}

    def embed_motion(self, features: Tensor, lengths: Tensor) -> np.ndarray:
        """See TextEvaluator. Raises DataError for other features or less than 4 frames, NumericError for NaN."""
        check_motion(features, lengths, len(self.mean), UNIT)
        found = []
        for rows, count in zip(features.split(AT_ONCE), lengths.split(AT_ONCE), strict=True):
            normalised = normalise(rows.float(), self.mean, self.std)
            normalised = normalised.masked_fill((torch.arange(rows.shape[1]) >= count[:, None])[..., None], 0)
            normalised = torch.nn.functional.pad(normalised, (0, 0, 0, max(0, self.frames - rows.shape[1])))
            with torch.no_grad():
                found.append(self.network.embed_motion(normalised.to(self.device), count).cpu())
        return torch.cat(found).numpy()

    def embed_text(self, captions: Sequence[str], tags: Sequence[str]) -> np.ndarray:
        """See TextEvaluator: these read the tags."""
        found = []
        for first in range(0, len(tags), AT_ONCE):
            words, tagged, lengths = map(torch.from_numpy, self.words(tags[first : first + AT_ONCE]))
            with torch.no_grad():
                found.append(self.network.embed_text(words.to(self.device), tagged.to(self.device), lengths).cpu())
        return torch.cat(found).numpy()


def published_path(spec: DatasetSpec) -> str:
    """Where the published archive of a dataset of one of the two skeletons unpacks."""
    return f"./{PUBLISHED[spec.skeleton.name]}/{FINEST}"


def load_published(spec: DatasetSpec, path: Path, words: str | Path, device: torch.device) -> PublishedEvaluator:
    """A published evaluator. Raises MissingFileError or DataError."""
    name = PUBLISHED[spec.skeleton.name]
    try:
        network = from_published(checkpoint.load(path))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    mean, std = (load_array(STATS / f"{name}_{which}.npy") for which in ("mean", "std"))
    if network.features != len(mean):
        raise DataError(
            f"{path} is for motion of {network.features} features a frame, {spec.name} has {len(mean)}; its evaluator "
            f"is {published_path(spec)}"
        )
    read = word_vectors.load(words)
    if network.word_width != read.vectors.shape[1]:
        raise DataError(
            f"{path} reads words of {network.word_width} numbers, those in {words} have {read.vectors.shape[1]}"
        )
    return PublishedEvaluator(
        network.to(device), read, mean, std, name, path, checkpoint.digest(path), spec.max_frames, device
    )
