"""Evaluators of text models by dataset and path: the published ones, and ours, which are trained contrastively."""

from pathlib import Path

import torch

from data_loaders.registry import DatasetSpec
from eval.text.protocol import TextEvaluator
from eval.text.published_evaluator import PUBLISHED, load_published, published_path
from sample.choosing.evaluator import OURS, load_contrastive
from utils.run.errors import MissingFileError, UsageError
from utils.run.project import found

REMEDY = "`bash prepare/download_t2m_evaluators.sh` brings the published ones (t2m, kit)"


def default_path(spec: DatasetSpec) -> str:
    """Where the evaluator of a dataset lies: the published one, or for our own dataset ours. Raises UsageError."""
    if spec.representation != "hml" or spec.skeleton.name not in PUBLISHED:
        raise UsageError(f"no evaluator of sentences knows motion of {spec.name}; humanml, kit and mocap have one")
    return found(OURS.get(spec.name, published_path(spec)))


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
    file that holds something else or evaluates other motion.
    """
    path = Path(path or default_path(spec))
    default_path(spec)
    if not path.is_file() and not (path / "args.json").is_file():
        kinds = "a published finest.tar, or a folder that `python -m eval.train_text_evaluator` made"
        raise MissingFileError(f"there is no evaluator of sentences at {path} ({kinds}); {REMEDY}")
    if path.is_dir() or (path.parent / "args.json").is_file():
        return load_contrastive(path, spec, device, text_encoder_path)
    return load_published(spec, path, words, torch.device(device))
