"""Our evaluator of text models: identity, order and batches, refusals, and what the shipped one knows."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.registry import DATASETS, dataset_spec
from eval.metrics import distances as metrics
from model.evaluators.contrastive import Contrastive
from model.options import TEXT_WIDTHS, ContrastiveOptions
from sample.choosing.evaluator import AT_ONCE, SCALE, load_contrastive
from tests.conftest import ROOT
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError
from utils.run.files import read_json, write_json

SPEC = dataset_spec("mocap")
TINY = ContrastiveOptions(c_embedding=8, c_width=16, c_layers=1, c_heads=2, c_ff_size=16)
SHIPPED = ROOT / "save" / "evaluator" / "mocap_text"


def written(folder: Path, args: dict | None = None, features: int = 263) -> Path:
    """A folder with an evaluator of random weights."""
    torch.manual_seed(0)
    network = Contrastive(263, TEXT_WIDTHS["minilm"], TINY)
    folder.mkdir()
    checkpoint.save(folder, 7, {"model": network.state_dict()})
    np.save(folder / "Mean.npy", np.full(features, 0.5, np.float32))
    np.save(folder / "Std.npy", np.full(features, 2, np.float32))
    write_json(folder / "args.json", asdict(TINY) | {"dataset": "mocap"} if args is None else args)
    return folder


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    return load_contrastive(written(tmp_path_factory.mktemp("evaluators") / "tiny"), SPEC)


def motions(count: int, frames: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.RandomState(1)
    lengths = torch.from_numpy(4 * rng.randint(1, frames // 4 + 1, count))
    return torch.from_numpy(rng.normal(size=(count, frames, 263)).astype(np.float32)), lengths


def test_identity(evaluator):
    path = evaluator.path
    assert evaluator.identity == {
        "name": "polykine mocap text", "path": str(path), "sha256": checkpoint.digest(path),
    }  # fmt: skip
    assert path.name == "checkpoint_7.pth" and len(evaluator.identity["sha256"]) == 64


def test_embeddings_do_not_depend_on_the_batch_or_the_order(evaluator):
    features, lengths = motions(AT_ONCE + 9)
    together = evaluator.embed_motion(features, lengths)
    assert together.shape == (AT_ONCE + 9, 8) and together.dtype == np.float32
    parts = [evaluator.embed_motion(features[rows], lengths[rows]) for rows in torch.arange(len(lengths)).split(11)]
    np.testing.assert_allclose(np.concatenate(parts), together, atol=1e-5)
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(2))
    np.testing.assert_allclose(evaluator.embed_motion(features[order], lengths[order]), together[order], atol=1e-5)


def test_embeddings_are_the_networks_times_the_scale(evaluator):
    features, lengths = motions(3)
    with torch.no_grad():
        wanted = evaluator.network.embed_motion((features - 0.5) / 2, lengths)
        vectors = evaluator.encode(["someone runs"])[0][:, 0]
        said = evaluator.network.embed_text(vectors)
    np.testing.assert_allclose(evaluator.embed_motion(features, lengths), SCALE * wanted.numpy(), atol=1e-5)
    found = evaluator.embed_text(["a man walks", "someone runs"], ["", ""])
    np.testing.assert_allclose(found[1:], SCALE * said.numpy(), atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_what_lies_beyond_the_end_does_not_count(evaluator):
    features, lengths = motions(5)
    before = evaluator.embed_motion(features, lengths)
    for row, length in enumerate(lengths.tolist()):
        features[row, length:] = 1e3
    np.testing.assert_allclose(evaluator.embed_motion(features, lengths), before, atol=1e-5)


def test_motions_that_cannot_be_evaluated(evaluator):
    features, lengths = motions(4)
    spoiled = features.clone()
    spoiled[2, 0, 9] = float("nan")
    with pytest.raises(NumericError, match="NaN"):
        evaluator.embed_motion(spoiled, lengths)
    with pytest.raises(DataError, match=r"\[4, 40, 251\]"):
        evaluator.embed_motion(features[..., :251], lengths)
    with pytest.raises(DataError, match="3 to"):
        evaluator.embed_motion(features, torch.tensor([3, 8, 8, 8]))
    with pytest.raises(DataError, match="lengths"):
        evaluator.embed_motion(features, lengths[:3])
    with pytest.raises(UsageError, match="empty"):
        evaluator.embed_text(["someone runs", " "], ["", ""])


@pytest.mark.parametrize("missing", ["folder", "checkpoint_7.pth", "args.json", "Mean.npy", "Std.npy"])
def test_what_is_missing_names_the_command(missing, tmp_path):
    folder = tmp_path / "tiny"
    if missing != "folder":
        (written(folder) / missing).unlink()
    with pytest.raises(MissingFileError, match="eval.train_text_evaluator --dataset mocap"):
        load_contrastive(folder if missing != "folder" else folder / "checkpoint_7.pth", SPEC)


@pytest.mark.parametrize("other", ["humanml", "kit"])
def test_an_evaluator_of_other_motion(other, evaluator):
    with pytest.raises(DataError, match=f"is for motion of mocap, not of {other}.*--dataset {other}"):
        load_contrastive(evaluator.path, DATASETS[other])


def test_files_that_are_no_evaluator(tmp_path):
    with pytest.raises(DataError, match="no evaluator of sentences"):
        load_contrastive(written(tmp_path / "denoiser", {"dataset": "mocap", "arch": "dit"}), SPEC)
    with pytest.raises(DataError, match="does not fit"):
        load_contrastive(written(tmp_path / "other", asdict(replace(TINY, c_layers=2)) | {"dataset": "mocap"}), SPEC)
    with pytest.raises(DataError, match="Mean.npy"):
        load_contrastive(written(tmp_path / "narrow", features=251), SPEC)
    (damaged := written(tmp_path / "damaged") / "checkpoint_7.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(DataError, match="damaged"):
        load_contrastive(damaged, SPEC)


@pytest.fixture(scope="module")
def shipped():
    if not (SHIPPED / "args.json").is_file():
        pytest.skip("save/evaluator/mocap_text is not here")
    return load_contrastive(SHIPPED, SPEC)


def test_the_shipped_evaluator_is_small_and_whole():
    if not (SHIPPED / "args.json").is_file():
        pytest.skip("save/evaluator/mocap_text is not here")
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 6 * 2**20
    weights = checkpoint.load(checkpoint.resolve(SHIPPED))["model"]
    assert all(value.dtype == torch.float16 for value in weights.values())
    assert "NOTICE.md" in (SHIPPED / "README.md").read_text() and read_json(SHIPPED / "args.json")["dataset"] == "mocap"


def test_the_shipped_evaluator_tells_sentences_apart(shipped):
    """Sentences of one thing lie nearer to each other than to others, left and right among them."""
    said = [
        ("a person walks", "someone strolls"), ("a person bows", "taking a bow politely"),
        ("a person raises the left hand", "someone lifts the left arm up"),
        ("a person raises the right hand", "someone lifts the right arm up"),
        ("a man runs", "someone is jogging ahead"), ("a person waves both hands", "waving hello with both hands"),
    ]  # fmt: skip
    one, other = (shipped.embed_text(each, each) for each in zip(*said, strict=True))
    distances = np.linalg.norm(one[:, None] - other[None], axis=-1)
    assert (distances.argmin(1) == np.arange(len(said))).all()
    assert metrics.matching_score(one, other) < 0.6 * distances[~np.eye(len(said), dtype=bool)].mean()
