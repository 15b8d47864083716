"""`eval.evaluators`: the published encodings, independence of what is encoded beside, and who is refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.registry import dataset_spec
from eval.mas.evaluators import Evaluator, load_evaluator, parts_of_like_length
from model.evaluators.motion_vae import MotionVAE, to_published
from model.options import EvaluatorOptions
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError

NBA, HORSE, MOCAP = (dataset_spec(name) for name in ("nba", "horse", "mocap2d"))
SMALL = EvaluatorOptions(e_num_layers=2, e_latent_dim=8, e_num_heads=2, e_ff_size=16)
CPU = torch.device("cpu")


def written(folder: Path, dataset: str = "nba", truth: str = "2d", step: int = 3) -> Path:
    """An evaluator as training leaves it, with random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    joints, channels = len(dataset_spec(dataset).skeleton.joints), 3 if truth == "3d" else 2
    torch.manual_seed(step)
    checkpoint.save(folder, step, {"model": to_published(MotionVAE(joints * channels, SMALL).state_dict())})
    options = dataclasses.asdict(dataclasses.replace(SMALL, truth=truth))
    (folder / "args.json").write_text(json.dumps(options | {"dataset": dataset, "lr": 1e-4}))
    for name, value in (("Mean.npy", 0.25), ("Std.npy", 2.0)):
        np.save(folder / name, np.full((joints, channels), value))
    return folder


def random_clips(count: int, channels: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    motions = torch.randn(count, 40, 16, channels, generator=draws)
    return motions, torch.randint(1, 41, (count,), generator=draws)


@pytest.fixture
def evaluator(tmp_path) -> Evaluator:
    return load_evaluator(written(tmp_path / "evaluator"), NBA, "2d", CPU)


def test_the_published_encodings_of_the_test_data(shared, golden):
    """The published evaluator on the published test part: the twelve encodings, in whatever order it drew them."""
    folder = shared / "golden" / "mas" / "cli_eval"
    loaded = load_evaluator(folder / "evaluator", NBA, "2d", CPU)
    assert loaded.path.name == "checkpoint_5.pth" and loaded.identity["name"] == "evaluator/checkpoint_5"
    with np.load(folder / "dataset_nba.npz") as packed:
        files = np.split(packed["frames"].astype(np.float32), np.cumsum(packed["lengths"])[:-1])
    test = [torch.from_numpy(points[::2, :, :2]) for points in files[: len(files) // 10]]
    counts = torch.tensor([len(clip) for clip in test])
    found = loaded.encode(torch.nn.utils.rnn.pad_sequence(test, batch_first=True), counts)
    with np.load(folder / "values.npz") as values:
        expected = values["enc/test_data"]
    distances = np.abs(found[:, None] - expected[None]).max(-1)
    assert sorted(distances.argmin(1).tolist()) == list(range(12))
    assert distances.min(1).max() < 1e-5


def test_order_and_company_change_nothing(evaluator, monkeypatch):
    motions, lengths = random_clips(30)
    whole = evaluator.encode(motions, lengths)
    assert whole.shape == (30, 8) and whole.dtype == np.float32
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    close = lambda found, expected: np.testing.assert_allclose(found, expected, atol=3e-6)  # noqa: E731
    close(evaluator.encode(motions[order], lengths[order]), whole[order])
    close(np.concatenate([evaluator.encode(motions[i : i + 7], lengths[i : i + 7]) for i in range(0, 30, 7)]), whole)
    close([evaluator.encode(motions[i : i + 1, : lengths[i]], lengths[i : i + 1])[0] for i in range(30)], whole)
    monkeypatch.setattr("eval.mas.evaluators.CPU_FRAMES_AT_ONCE", 50)
    close(evaluator.encode(motions, lengths), whole)
    assert evaluator.encode(motions[:0], lengths[:0]).shape == (0, 8)
    far = np.abs(whole[:, None] - whole[None]).max(-1)
    assert far[~np.eye(30, dtype=bool)].min() > 1e-3


def test_every_clip_is_encoded_once(evaluator, monkeypatch):
    motions, lengths = random_clips(50)
    seen = []
    forward = type(evaluator.model.encoder).forward
    monkeypatch.setattr(
        type(evaluator.model.encoder), "forward",
        lambda self, x, lengths: (seen.append((len(x), x.shape[1])), forward(self, x, lengths))[1],
    )  # fmt: skip
    monkeypatch.setattr("eval.mas.evaluators.CPU_FRAMES_AT_ONCE", 100)
    evaluator.encode(motions, lengths)
    assert sum(count for count, _ in seen) == 50
    assert all(count * frames <= 100 for count, frames in seen)
    assert sum(count * frames for count, frames in seen) < 1.2 * int(lengths.sum())


def test_parts_hold_like_lengths():
    lengths = torch.tensor([5, 90, 30, 90, 7, 300])
    parts = [part.tolist() for part in parts_of_like_length(lengths, 180)]
    assert parts == [[5], [1, 3], [2, 4, 0]]
    assert parts_of_like_length(lengths[:0], 180) == []


def test_what_it_was_trained_with_is_used(tmp_path):
    """Mean and Std beside the checkpoint put the data right: what both change alike stays."""
    folder = written(tmp_path / "evaluator")
    motions, lengths = random_clips(4)
    before = load_evaluator(folder, NBA, "2d", CPU).encode(motions, lengths)
    for name, value in (("Mean.npy", 1 + 3 * 0.25), ("Std.npy", 6.0)):
        np.save(folder / name, np.full((16, 2), value))
    after = load_evaluator(folder, NBA, "2d", CPU).encode(1 + 3 * motions, lengths)
    np.testing.assert_allclose(after, before, atol=1e-5)
    for name in ("Mean.npy", "Std.npy"):
        (folder / name).unlink()
    published = load_evaluator(folder, NBA, "2d", CPU)
    assert published.mean.shape == (16, 2) and published.mean.std() > 0.5


def test_three_dimensions(tmp_path):
    loaded = load_evaluator(written(tmp_path / "solid", "mocap2d", "3d"), MOCAP, "3d", CPU)
    motions, lengths = random_clips(6, channels=3)
    found = loaded.encode(motions, lengths)
    assert found.shape == (6, 8) and loaded.identity["truth"] == "3d"
    made = loaded.decode(torch.from_numpy(found), lengths)
    assert made.shape == (6, int(lengths.max()), 16, 3)
    assert all(not each[length:].any() for each, length in zip(made, lengths.tolist(), strict=True))


def test_its_identity_is_that_of_the_file(tmp_path):
    folder = written(tmp_path / "evaluator")
    loaded = load_evaluator(folder / "checkpoint_3.pth", NBA, "2d", CPU)
    assert loaded.identity == {
        "name": "evaluator/checkpoint_3", "path": str(folder / "checkpoint_3.pth"), "truth": "2d",
        "sha256": checkpoint.digest(folder / "checkpoint_3.pth"),
    }  # fmt: skip
    other = load_evaluator(written(tmp_path / "other", step=4), NBA, "2d", CPU)
    assert other.identity["sha256"] != loaded.identity["sha256"]
    assert not loaded.model.training


def test_motion_that_cannot_be_evaluated_is_refused(evaluator):
    motions, lengths = random_clips(5)
    beyond = motions.clone()
    for i, length in enumerate(lengths.tolist()):
        beyond[i, length:] = float("nan")
    np.testing.assert_allclose(evaluator.encode(beyond, lengths), evaluator.encode(motions, lengths), atol=3e-6)
    for value in (float("nan"), float("inf")):
        bad = motions.clone()
        bad[3, lengths[3] - 1, 4, 1] = value
        with pytest.raises(NumericError, match=rf"motion 3 holds NaN or infinity in frame {int(lengths[3]) - 1}"):
            evaluator.encode(bad, lengths)
    for wrong in (motions[:, :, :15], motions[..., :1], motions.flatten(2), motions[:4]):
        with pytest.raises(DataError, match=r"which takes \[N, T, 16, 2\]"):
            evaluator.encode(wrong, lengths)
    for length in (0, 41):
        with pytest.raises(DataError, match="1 to 40 are allowed"):
            evaluator.encode(motions, lengths.clone().index_fill(0, torch.tensor([2]), length))


def test_an_evaluator_of_something_else_is_refused(tmp_path):
    horse, flat = written(tmp_path / "horse", "horse"), written(tmp_path / "flat", "mocap2d")
    with pytest.raises(UsageError, match=r"trained for horse \(17 joints\), the model is of nba \(16\); `python -m"):
        load_evaluator(horse, NBA, "2d", CPU)
    with pytest.raises(UsageError, match=r"trained for mocap2d \(16 joints\), the model is of nba \(16\)"):
        load_evaluator(flat, NBA, "2d", CPU)
    with pytest.raises(UsageError, match=r"is for 2D motion, not 3D.*train_evaluator --dataset mocap2d --truth 3d"):
        load_evaluator(flat, MOCAP, "3d", CPU)
    with pytest.raises(UsageError, match="is for 3D motion, not 2D"):
        load_evaluator(written(tmp_path / "solid", "mocap2d", "3d"), MOCAP, "2d", CPU)


def test_missing_and_foreign_files_are_refused(tmp_path):
    made_by = r"`python -m eval.train_evaluator --dataset nba --save_dir FOLDER` makes an evaluator"
    (tmp_path / "empty").mkdir()
    for path in ("nowhere", "empty", "empty/checkpoint_3.pth"):
        with pytest.raises(MissingFileError, match=made_by):
            load_evaluator(tmp_path / path, NBA, "2d", CPU)
    alone = written(tmp_path / "alone")
    (alone / "args.json").unlink()
    with pytest.raises(MissingFileError, match=r"args.json is missing.*" + made_by):
        load_evaluator(alone, NBA, "2d", CPU)
    (alone / "args.json").write_text(json.dumps({"dataset": "nba", "latent_dim": 8}))
    with pytest.raises(DataError, match="is not an evaluator"):
        load_evaluator(alone, NBA, "2d", CPU)
    (alone / "args.json").write_text(json.dumps({"e_latent_dim": 8}))
    with pytest.raises(DataError, match="names no dataset"):
        load_evaluator(alone, NBA, "2d", CPU)
    other = dataclasses.asdict(SMALL) | {"dataset": "nba", "e_ff_size": 24}
    (alone / "args.json").write_text(json.dumps(other))
    with pytest.raises(DataError, match="does not fit the evaluator that its args.json describes"):
        load_evaluator(alone, NBA, "2d", CPU)
    damaged = written(tmp_path / "damaged")
    with open(damaged / "checkpoint_3.pth", "r+b") as handle:
        handle.seek(500)
        handle.write(b"\x00\xff\x00\xff")
    with pytest.raises(DataError, match="damaged"):
        load_evaluator(damaged / "checkpoint_3.pth", NBA, "2d", CPU)
    solid = written(tmp_path / "solid", "mocap2d", "3d")
    (solid / "Mean.npy").unlink()
    with pytest.raises(MissingFileError, match="Mean.npy"):
        load_evaluator(solid, MOCAP, "3d", CPU)
