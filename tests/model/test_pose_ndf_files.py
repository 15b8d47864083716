"""Pose priors in files: published checkpoints of both formats with their configuration, ours, and what is refused."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from model.options import PoseNDFOptions
from model.poses.pose_ndf import PoseNDF
from model.poses.reading import is_dead, load_pose_ndf, read_config
from tests.model.test_pose_ndf import TINY, some_poses, tiny
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, UsageError

# As the published program writes it: what it does not use among what it does.
CONFIG = """\
data:
  data_dir: ./training_data/
  sample_sigmas: [0, .001]
experiment: {root_dir: ./posendf/exp1/, num_part: 21, val: False}
model:
  DFNet: {name: DFNet, in_dim: 126, num_parts: 21, dims: "32, 16", act: softplus, beta: 100}
  StrEnc: {use: True, out_dim: 6, in_dim: 84, act: softplus, beta: 100, pose_enc: False}
train:
  optimizer_param: 1e-5
"""


def published(folder: Path, network: PoseNDF, config: str = CONFIG, new_zip: bool = False) -> Path:
    """A checkpoint of the published program in its folders."""
    path = folder / "checkpoints" / "checkpoint_epoch_best.tar"
    path.parent.mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    optimiser = torch.optim.Adam(network.parameters(), 1e-5).state_dict()
    content = {"epoch": 3, "model_state_dict": network.state_dict(), "optimizer_state_dict": optimiser}
    torch.save(content, path, _use_new_zipfile_serialization=new_zip)
    return path


def ours(folder: Path, options: PoseNDFOptions = TINY) -> Path:
    """A checkpoint as this project writes it; its network and that of the same options are the same."""
    torch.manual_seed(0)
    (folder / "args.json").write_text(json.dumps(dataclasses.asdict(options)))
    return checkpoint.save(folder, 5, {"model": PoseNDF(options).state_dict(), "step": 5})


@pytest.mark.parametrize("new_zip", [False, True])
def test_a_published_checkpoint(golden, tmp_path, new_zip):
    """By its file and by either folder; it says what it said where it was trained."""
    network, record = tiny(golden)
    path = published(tmp_path / "run", network, new_zip=new_zip)
    for named in (path, path.parent, tmp_path / "run"):
        found = load_pose_ndf(named)
        torch.testing.assert_close(found(record["quats"]), record["dist"][:, 0], atol=0, rtol=1e-5)
        assert not any(weight.requires_grad for weight in found.parameters())
    right = load_pose_ndf(path, parents="right")
    torch.testing.assert_close(right(record["quats"]), record["dist_true_parents"][:, 0], atol=0, rtol=1e-5)


def test_the_configuration_elsewhere(golden, tmp_path):
    path = published(tmp_path / "run", tiny(golden)[0])
    elsewhere = (tmp_path / "run" / "config.yaml").rename(tmp_path / "other.yaml")
    with pytest.raises(MissingFileError, match="--model_config"):
        load_pose_ndf(path)
    assert load_pose_ndf(path, elsewhere)


def test_our_checkpoint_with_its_options(tmp_path):
    path = ours(tmp_path, dataclasses.replace(TINY, parents="right", act="softplus"))
    torch.manual_seed(0)
    made, poses = PoseNDF(dataclasses.replace(TINY, parents="right")), some_poses(4)
    for named in (path, tmp_path):
        assert torch.equal(load_pose_ndf(named)(poses), made(poses))
    with pytest.raises(UsageError, match="published checkpoints"):
        load_pose_ndf(path, parents="published")


def test_the_configuration_is_read_as_it_is(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.replace("act: softplus, beta: 100}", "act: relu}"))
    assert read_config(path) == PoseNDFOptions("32,16", "relu", 100.0, "published", "softplus", 100.0)
    path.write_text(CONFIG.replace('"32, 16"', "[8, 4]").replace("softplus", "lrelu"))
    assert read_config(path) == PoseNDFOptions("8,4", "lrelu", 100.0, "published")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("DFNet:", "CanSDF:"), "another network"),
        (("in_dim: 126", "in_dim: 84"), "in_dim '84'|in_dim 84"),
        (("num_parts: 21", "num_parts: 24"), "num_parts '24'"),
        (("use: True", "use: False"), "StrEnc use"),
        (("act: softplus", "act: tanh"), "act 'tanh'"),
        (('"32, 16"', '"32; 16"'), "dims '32; 16'"),
        (("beta: 100", "beta: many"), "beta 'many'"),
        (("name: DFNet", "name: !!python/object/apply:os.system ['touch run.txt']"), "not plain YAML, line 6"),
        (("data:", "data: ["), "not plain YAML"),
    ],
)
def test_a_configuration_that_is_refused(golden, tmp_path, monkeypatch, change, said):
    """In one sentence; nothing in it is run."""
    monkeypatch.chdir(tmp_path)
    path = published(tmp_path / "run", tiny(golden)[0], CONFIG.replace(*change))
    with pytest.raises(DataError, match=said) as refusal:
        load_pose_ndf(path)
    assert "config.yaml" in str(refusal.value) and "\n" not in str(refusal.value)
    assert not (tmp_path / "run.txt").exists()


def test_a_checkpoint_that_is_refused(golden, tmp_path):
    network = tiny(golden)[0]
    path = published(tmp_path / "wide", network, CONFIG.replace("32, 16", "32, 8"))
    with pytest.raises(DataError, match="does not fit"):
        load_pose_ndf(path)
    torch.save({"weights": 1}, path)
    with pytest.raises(DataError, match="model_state_dict"):
        load_pose_ndf(path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match="opened safely"):
        load_pose_ndf(path)
    with pytest.raises(MissingFileError, match="train_posendf"):
        load_pose_ndf(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match="train_posendf"):
        load_pose_ndf(tmp_path / "empty")
    (tmp_path / "args.json").write_text('{"layers": 2}')
    with pytest.raises(DataError, match="no pose prior"):
        load_pose_ndf(checkpoint.save(tmp_path, 1, {"model": network.state_dict(), "step": 1}))


def test_a_dead_network_is_refused(golden, tmp_path):
    network, _ = tiny(golden, "lrelu")
    assert not is_dead(network)
    with torch.no_grad():
        network.state_dict()["dfnet.lin2.bias"].fill_(-100.0)
    assert is_dead(network)
    with pytest.raises(DataError, match="has not learned"):
        load_pose_ndf(published(tmp_path / "run", network, CONFIG.replace("softplus", "lrelu")))
