"""What judges a text model: encoders of sentences and of motion into one space, with their identity.

Two kinds: the published networks of HumanML3D and KIT-ML (Guo et al. 2022), and ours, trained contrastively.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from data_loaders.points.keypoints import normalise
from data_loaders.registry import DatasetSpec
from data_loaders.text import word_vectors
from data_loaders.text.word_vectors import WordVectors
from model.evaluators.text_motion import UNIT, TextMotion, from_published
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError
from utils.run.files import load_array
from utils.run.project import ROOT, found

FINEST = "text_mot_match/model/finest.tar"
PUBLISHED = {"smpl22": "t2m", "kit21": "kit"}  # the folder of the published evaluator, by skeleton
STATS = ROOT / "data_loaders" / "stats" / "text_evaluators"
OURS = {"mocap": "save/evaluator/mocap_text"}
REMEDY = "`bash prepare/download_t2m_evaluators.sh` brings the published ones (t2m, kit)"
AT_ONCE = 64  # motions or sentences that the networks see


class TextEvaluator(Protocol):
    """Embeds sentences and motions [N, D]; the distance of a pair tells how well they fit."""

    @property
    def identity(self) -> dict[str, str]:
        """`name`, `path` and `sha256` of what judges: tables made by different evaluators are not compared."""
        ...

    def embed_motion(self, features: Tensor, lengths: Tensor) -> np.ndarray:
        """Embeddings [N, D] of motions: features [N, T, F] in data units, lengths [N]; the order is kept."""
        ...

    def embed_text(self, captions: Sequence[str], tags: Sequence[str]) -> np.ndarray:
        """Embeddings [N, D] of sentences; `tags` are their words with the part of speech, `word/TAG word/TAG`."""
        ...


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
            shown = normalise(rows.float(), self.mean, self.std)
            shown = shown.masked_fill((torch.arange(rows.shape[1]) >= count[:, None])[..., None], 0)
            shown = torch.nn.functional.pad(shown, (0, 0, 0, max(0, self.frames - rows.shape[1])))
            with torch.no_grad():
                found.append(self.network.embed_motion(shown.to(self.device), count).cpu())
        return torch.cat(found).numpy()

    def embed_text(self, captions: Sequence[str], tags: Sequence[str]) -> np.ndarray:
        """See TextEvaluator: these read the tags."""
        found = []
        for first in range(0, len(tags), AT_ONCE):
            words, told, lengths = map(torch.from_numpy, self.words(tags[first : first + AT_ONCE]))
            with torch.no_grad():
                found.append(self.network.embed_text(words.to(self.device), told.to(self.device), lengths).cpu())
        return torch.cat(found).numpy()


def check_motion(features: Tensor, lengths: Tensor, width: int, shortest: int) -> None:
    """Raise DataError for motions that are not `width` features wide or too short, NumericError for NaN in them."""
    if features.dim() != 3 or features.shape[-1] != width or len(features) != len(lengths):
        raise DataError(
            f"motions of shape {list(features.shape)} with {len(lengths)} lengths: the evaluator reads [N, T, {width}]"
        )
    if len(lengths) and (int(lengths.min()) < shortest or int(lengths.max()) > features.shape[1]):
        raise DataError(
            f"motions of {int(lengths.min())} to {int(lengths.max())} frames in {features.shape[1]}: the evaluator "
            f"reads {shortest} or more"
        )
    if not torch.isfinite(features).all():
        raise NumericError("motions to be judged hold NaN or infinity")


def default_path(spec: DatasetSpec) -> str:
    """Where the evaluator of a dataset lies: the published one, or for our own dataset ours. Raises UsageError."""
    if spec.representation != "hml" or spec.skeleton.name not in PUBLISHED:
        raise UsageError(f"no evaluator of sentences knows motion of {spec.name}; humanml, kit and mocap have one")
    return found(OURS.get(spec.name, f"./{PUBLISHED[spec.skeleton.name]}/{FINEST}"))


def load_text_evaluator(
    spec: DatasetSpec,
    path: str | Path = "",
    words: str | Path = "./glove",
    device: str | torch.device = "cpu",
    text_encoder_path: str = "",
) -> TextEvaluator:
    """The evaluator at a path (default: the dataset's): a published `finest.tar`, or the folder of one of ours.

    `words` is the folder of the vectors of words, which the published ones read, `text_encoder_path` that of the text
    encoder, which ours read. Raises UsageError for a dataset without evaluator, MissingFileError, or DataError for a
    file that holds something else or judges other motion.
    """
    path = Path(path or default_path(spec))
    default_path(spec)
    if not path.is_file() and not (path / "args.json").is_file():
        kinds = "a published finest.tar, or a folder that `python -m eval.train_text_evaluator` made"
        raise MissingFileError(f"there is no evaluator of sentences at {path} ({kinds}); {REMEDY}")
    if path.is_dir() or (path.parent / "args.json").is_file():
        from eval.text.own_evaluator import load_contrastive  # which reads this module too

        return load_contrastive(path, spec, device, text_encoder_path)
    return load_published(spec, path, words, torch.device(device))


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
            f"{path} judges motion of {network.features} features a frame, {spec.name} has {len(mean)}; its evaluator "
            f"is {default_path(spec)}"
        )
    read = word_vectors.load(words)
    if network.word_width != read.vectors.shape[1]:
        raise DataError(
            f"{path} reads words of {network.word_width} numbers, those in {words} have {read.vectors.shape[1]}"
        )
    return PublishedEvaluator(
        network.to(device), read, mean, std, name, path, checkpoint.digest(path), spec.max_frames, device
    )
