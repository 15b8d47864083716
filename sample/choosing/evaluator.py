"""The evaluator of our own text models, which needs no download: `model.evaluators.contrastive`, from its file.

It chooses among motions of one sentence, and is a `TextEvaluator` of evaluations (eval/text/protocol.py).

Embeddings are unit vectors times `SCALE`: the Euclidean distance d of a pair, by which the published metrics go, tells
its cosine, 1 - (d / SCALE)^2 / 2, and lies between 0 and 20.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_loaders.options import DataOptions
from data_loaders.points.keypoints import load_stats, normalise
from data_loaders.registry import DatasetSpec
from model.evaluators.contrastive import Contrastive
from model.options import ContrastiveOptions
from model.text.encoders import TextEncoder, load_text_encoder, same_sentences
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, NumericError
from utils.run.options import read_saved

OURS = {"mocap": "save/evaluator/mocap_text"}  # by the name of the dataset
SCALE = 10.0
AT_ONCE = 64  # motions that the network sees
STATS = ("Mean.npy", "Std.npy")


@dataclass(frozen=True)
class OwnTextEvaluator:
    """Trained encoders, and the frozen one of sentences below them; `mean` and `std` [F] are in data units."""

    network: Contrastive
    encode: TextEncoder
    mean: np.ndarray
    std: np.ndarray
    spec: DatasetSpec
    path: Path
    sha256: str
    device: torch.device

    @property
    def identity(self) -> dict[str, str]:
        """See TextEvaluator."""
        return {"name": f"polykine {self.spec.name} text", "path": str(self.path), "sha256": self.sha256}

    @torch.no_grad()
    def embed_motion(self, features: Tensor, lengths: Tensor) -> np.ndarray:
        """See TextEvaluator. Each motion is encoded beside others of about its length; up to 3 frames at its end, what
        makes no whole token, are not seen. Raises DataError for other features or less than a token, NumericError for
        NaN.
        """
        per_token = self.network.motion.frames_per_token
        check_motion(features, lengths, len(self.mean), per_token)
        found = torch.empty(len(features), self.network.motion.out.out_features)
        for rows in torch.argsort(lengths, stable=True).split(AT_ONCE):
            normalised = normalise(features[rows, : int(lengths[rows].max())].float(), self.mean, self.std)
            found[rows] = self.network.embed_motion(normalised.to(self.device), lengths[rows].to(self.device)).cpu()
        return found.numpy() * SCALE

    @torch.no_grad()
    def embed_text(self, captions: Sequence[str], tags: Sequence[str]) -> np.ndarray:
        """See TextEvaluator: this one reads the sentences, not the tags. Raises UsageError for an empty sentence."""
        vectors = self.encode(captions)[0][:, 0]
        return self.network.embed_text(vectors.to(self.device)).cpu().numpy() * SCALE


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
        raise NumericError("motions to be evaluated hold NaN or infinity")


def training_command(spec: DatasetSpec) -> str:
    """The command that makes an evaluator."""
    return f"`python -m eval.train_text_evaluator --dataset {spec.name} --save_dir FOLDER` makes one"


def load_contrastive(
    path: str | Path,
    spec: DatasetSpec,
    device: str | torch.device = "cpu",
    text_encoder_path: str = "",
    encode: TextEncoder | None = None,
) -> OwnTextEvaluator:
    """The evaluator in a checkpoint file, or in a folder its newest, for motion of `spec`.

    `encode` is a text encoder that is there already; another is loaded where its vectors of sentences are others.
    Raises MissingFileError with the command that makes one, DataError for one of another dataset or damaged files.
    """
    try:
        found = checkpoint.resolve(path)
        saved = read_saved(
            found, (DataOptions, ContrastiveOptions), {"dataset", *ContrastiveOptions.__dataclass_fields__}, ()
        )
        for name in STATS:
            if not (found.parent / name).is_file():
                raise MissingFileError(f"{found.parent / name} is missing; it belongs beside the evaluator")
    except MissingFileError as error:
        raise MissingFileError(f"{error}; {training_command(spec)}") from error
    if "c_embedding" not in saved:
        raise DataError(f"{found} is no evaluator of sentences and motion; {training_command(spec)}")
    if (dataset := saved.pop("dataset")) != spec.name:
        raise DataError(f"{found} is for motion of {dataset}, not of {spec.name}; {training_command(spec)}")
    mean, std = (value.astype(np.float32) for value in load_stats(spec, found.parent))
    options = ContrastiveOptions(**saved)
    if encode is None or not same_sentences(encode.name, options.c_text_encoder):
        encode = load_text_encoder(options.c_text_encoder, text_encoder_path, device)
    network = Contrastive(spec.features, encode.width, options)
    try:
        network.load_state_dict(checkpoint.weights(checkpoint.load(found)))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()[:160]
        raise DataError(f"{found} does not fit the evaluator that its args.json describes: {reason}") from error
    device = torch.device(device)
    return OwnTextEvaluator(network.to(device).eval(), encode, mean, std, spec, found, checkpoint.digest(found), device)
