"""`prepare.ship`: what a shipped checkpoint holds, and that it can be sampled from."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.options import DataOptions
from data_loaders.poses.folder import write_samples
from diffusion.options import DiffusionOptions
from eval.mas.evaluators import load_evaluator
from model.evaluators import motion_vae
from model.options import EvaluatorOptions
from model.poses import statistics
from prepare import ship
from sample.common.plain import sample_plain
from sample.common.request import make_request
from sample.common.session import open_session
from sample.options import SamplingLine, SamplingOptions, parse_sampling_line
from tests.people import SPEC, TINY, tiny_dit
from train.options import TrainingOptions
from utils.geometry.rotations import axis_angle_to_quaternion
from utils.run import checkpoint
from utils.run.errors import MissingFileError, NumericError, UsageError
from utils.run.folders import RECORD
from utils.run.options import RunOptions


@pytest.fixture
def trained(tmp_path) -> Path:
    """A training folder: plain and averaged weights, an optimiser, and what lies beside them."""
    folder = tmp_path / "run"
    folder.mkdir()
    model, averaged = (tiny_dit(len(SPEC.actions), seed).state_dict() for seed in (0, 1))
    for step in (20, 40):
        content = {"model": model, "model_avg": averaged, "optimizer": {"state": {}}, "step": step, "run": {"seed": 0}}
        checkpoint.save(folder, step, content)
    groups = (RunOptions(), DataOptions("mocap2d", cond="action"), TINY, DiffusionOptions(), TrainingOptions())
    args = {name: value for group in groups for name, value in dataclasses.asdict(group).items()}
    (folder / "args.json").write_text(json.dumps(args | {"save_dir": str(folder), "resume_checkpoint": "earlier"}))
    for name in ("Mean.npy", "Std.npy"):
        np.save(folder / name, np.full((16, 2), 0.5))
    lines = [json.dumps({"step": step, "loss": 1 / step}) for step in (1, 2, 3)]
    (folder / "progress.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def shipped(trained: Path, *arguments: str) -> Path:
    out = trained.parent / "shipped"
    ship.main(["--model_path", str(trained), "--output_dir", str(out), *arguments])
    return out


def test_statistics_of_poses_go_with_a_pose_prior(trained, tmp_path):
    turns = torch.randn(300, 21, 3, generator=torch.Generator().manual_seed(0))
    poses = axis_angle_to_quaternion(0.2 * turns)
    write_samples(tmp_path / "poses" / "samples" / "train" / "a.npz", poses, poses[:, 0])
    out = shipped(trained, "--references", str(tmp_path / "poses"))
    found = statistics.read_statistics(out / statistics.BESIDE)
    assert float((found.rotations[:, 0] - 1).abs().max()) < 0.01, "the mean is the T"
    assert float(found.covariances.diagonal(dim1=1, dim2=2).sqrt().mean()) == pytest.approx(0.2, rel=0.1)


def test_averaged_weights_in_half_precision_and_nothing_else(trained, capsys):
    out = shipped(trained)
    assert {path.name for path in out.iterdir()} == {
        RECORD,
        "checkpoint_40.pth", "manifest.json", "args.json", "Mean.npy", "Std.npy", "training_curve.png",
    }  # fmt: skip
    content = torch.load(out / "checkpoint_40.pth", weights_only=True)
    assert set(content) == {"model"}
    averaged = tiny_dit(len(SPEC.actions), 1).state_dict()
    assert list(content["model"]) == list(averaged)
    for name, value in content["model"].items():
        assert value.dtype == torch.float16
        torch.testing.assert_close(value.float(), averaged[name], atol=1e-7, rtol=2**-11)
    small, large = ((folder / "checkpoint_40.pth").stat().st_size for folder in (out, trained))
    assert small < 0.5 * large
    assert checkpoint.verify(out / "checkpoint_40.pth")
    args = json.loads((out / "args.json").read_text())
    assert args["save_dir"] == str(out) and args["resume_checkpoint"] == "" and args["latent_dim"] == 32
    assert np.load(out / "Mean.npy").tolist() == np.full((16, 2), 0.5).tolist()
    assert "40 updates" in capsys.readouterr().out


def test_it_can_be_sampled_from_and_says_the_same(trained):
    motions = []
    for folder in (trained, shipped(trained)):
        flags = "--num_samples 2 --motion_length 0.5 --sampling_steps 5 --action_name kick".split()
        line = parse_sampling_line(SamplingLine, "test", "", ["--model_path", str(folder), *flags])
        assert (line.data.dataset, line.model.arch) == ("mocap2d", "dit")
        assert line.sampling.model_path == str(folder)
        session = open_session(line)
        assert session.path.name == "checkpoint_40.pth" and not session.model.training
        assert all(weight.dtype == torch.float32 for weight in session.model.parameters())
        torch.testing.assert_close(session.mean, torch.full((16, 2), 0.5))
        motions.append(sample_plain(session, make_request(session)))
    assert motions[0].shape == (2, 10, 16, 2) and motions[0].std() > 0.1
    torch.testing.assert_close(motions[1], motions[0], atol=0.02, rtol=0)
    assert not torch.equal(motions[1], motions[0])


def test_text_beside_it_stays_when_it_is_replaced(trained):
    out = shipped(trained)
    (out / "README.md").write_text("how it was made")
    (out / "quality.md").write_text("the table")
    (out / "checkpoint_3.pth").write_bytes(b"older")
    with pytest.raises(UsageError, match="--overwrite"):
        shipped(trained)
    shipped(trained, "--overwrite")
    assert (out / "README.md").read_text() == "how it was made" and (out / "quality.md").read_text() == "the table"
    assert not (out / "checkpoint_3.pth").exists() and checkpoint.newest(out) == out / "checkpoint_40.pth"


def test_a_chosen_checkpoint_without_a_history(trained):
    (trained / "progress.jsonl").unlink()
    out = trained.parent / "older"
    ship.main(["--model_path", str(trained / "checkpoint_20.pth"), "--output_dir", str(out)])
    assert {path.name for path in out.glob("*.p*")} == {"checkpoint_20.pth"}


def test_a_training_run_is_never_replaced_by_its_own_shipment(trained):
    for path in (trained, trained / "checkpoint_20.pth"):
        with pytest.raises(UsageError, match="another folder"):
            ship.main(["--model_path", str(path), "--output_dir", str(trained), "--overwrite"])
    assert set(torch.load(trained / "checkpoint_40.pth", weights_only=True)) >= {"optimizer", "model_avg"}


def test_refusals_leave_nothing_behind(trained):
    for arguments in ([], ["--model_path", str(trained)], ["--output_dir", "x"]):
        with pytest.raises(UsageError, match="required"):
            ship.main(arguments)
    with pytest.raises(MissingFileError, match="none"):
        ship.main(["--model_path", str(trained / "none.pth"), "--output_dir", str(trained.parent / "shipped")])
    huge = tiny_dit(len(SPEC.actions)).state_dict() | {"head.bias": torch.full((128,), 1e6)}
    checkpoint.save(trained, 60, {"model": huge})
    with pytest.raises(NumericError, match="head.bias"):
        shipped(trained)
    assert [path.name for path in trained.parent.iterdir()] == ["run"]


def test_defaults_of_the_commands_are_the_shipped_model():
    """The sampling commands name a folder that the repository carries, with all that belongs beside the weights."""
    folder = Path(__file__).parents[2] / SamplingOptions().model_path
    assert checkpoint.newest(folder) is not None
    assert all((folder / name).is_file() for name in ("args.json", "Mean.npy", "Std.npy"))
    assert json.loads((folder / "args.json").read_text())["dataset"] == "mocap2d"


@pytest.mark.parametrize("truth", ["2d", "3d"])
def test_an_evaluator_finds_the_same_once_shipped(truth, tmp_path):
    """Weights in half precision, the positional table once, and the figures that belong to them."""
    channels = int(truth[0])
    options = EvaluatorOptions(e_num_layers=2, e_latent_dim=32, e_num_heads=2, e_ff_size=64, truth=truth)
    torch.manual_seed(0)
    weights = motion_vae.to_published(motion_vae.MotionVAE(16 * channels, options).state_dict())
    (tmp_path / "run").mkdir()
    checkpoint.save(tmp_path / "run", 20, {"model": weights, "optimizer": {"state": {}}, "step": 20})
    (tmp_path / "run" / "args.json").write_text(json.dumps(dataclasses.asdict(options) | {"dataset": "mocap2d"}))
    for name, value in (("Mean.npy", 0.5), ("Std.npy", 2.0)):
        np.save(tmp_path / "run" / name, np.full((16, channels), value))
    out = shipped(tmp_path / "run")
    one, other = (load_evaluator(folder, SPEC, truth, torch.device("cpu")) for folder in (tmp_path / "run", out))
    motions = torch.randn(5, 30, 16, channels, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([30, 4, 17, 9, 30])
    found, expected = other.encode(motions, lengths), one.encode(motions, lengths)
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert not np.array_equal(found, expected) and expected.std() > 0.5
    content = torch.load(other.path, weights_only=True)["model"]
    tables = [content[name] for name in motion_vae.TABLES]
    assert tables[0].data_ptr() == tables[1].data_ptr() and tables[0].dtype == torch.float16
    assert other.path.stat().st_size < 2 * 5000 * 32 + 2 * sum(each.numel() for each in one.model.parameters()) + 30_000
