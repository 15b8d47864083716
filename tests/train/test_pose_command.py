"""`train.train_posendf` from poses to a network: figures, resuming, published folders and YAML, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.poses.folder import Pairs, write_pairs, write_samples
from data_loaders.poses.neighbours import nearest_of
from data_loaders.poses.noise import LEVELS, perturbed
from model.poses.reading import load_pose_ndf
from tests.commands import listing, refusal, run
from tests.data_loaders.test_pose_neighbours import people
from tests.train.test_train_command import same_weights
from utils.run import checkpoint

TINY = "--dims 32,16 --train_batch_size 64 --num_steps 6 --save_interval 4 --resume_interval 2 --log_interval 2"
YAML = """
data: {{data_dir: {pairs}, amass_dir: {samples}, num_pts: 16, flip: true, single: false}}
experiment: {{root_dir: {root}, exp_name: main, num_part: 21, val: false}}
model:
  DFNet: {{name: DFNet, in_dim: 126, dims: "32,16", act: softplus, beta: 100}}
  StrEnc: {{use: true, act: softplus, beta: 100, out_dim: 6}}
train: {{batch_size: 4, optimizer_param: 1e-4, loss_type: l2, man_loss: 0.5, dist: 1, eikonal: 0.25, max_epoch: 200000}}
"""


def pose_folder(folder: Path, names: tuple[str, ...] = ("train", "val"), k: int = 2) -> Path:
    """A folder of made-up poses in the layout of `prepare.poses`, or with other names of its parts."""
    real = people(120, 0.3)
    for number, name in enumerate(names):
        rows = np.arange(240)
        levels = torch.tensor(LEVELS)[torch.from_numpy(rows) % len(LEVELS)]
        poses = perturbed(real[rows % 120], levels, "gaussian", rows, number)
        distances, numbers = nearest_of(poses, real, k)
        write_pairs(folder / "pairs" / name / "a.npz", Pairs(poses, distances, real[numbers], levels))
        write_samples(folder / "samples" / name / "a.npz", real, real[:, 0])
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return pose_folder(tmp_path_factory.mktemp("poses"))


def train(folder: Path, data: Path, *flags: str) -> Path:
    run("train.train_posendf", "--poses", data, "--save_dir", folder, TINY, *flags)
    return folder


def test_from_poses_to_a_network(data, tmp_path, capsys):
    folder = train(tmp_path / "run", data)
    said = capsys.readouterr().out
    assert f"240 pairs and 120 poses of {data}" in said and f"trained: {folder / 'checkpoint_6.pth'}" in said
    assert said.count("held-out poses after") == 2 and "  level   rows     true" in said
    assert set(listing(folder)) >= {"args.json", "checkpoint_4.pth", "checkpoint_6.pth", "progress.jsonl"}
    assert not (folder / "Mean.npy").exists()
    records = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert {"dist", "man", "eikonal", "grad_norm"} <= set(records[-1])
    network = load_pose_ndf(folder)
    assert network(people(3, 0.3)).shape == (3,)


def test_it_learns(data, tmp_path, capsys):
    train(tmp_path / "run", data, "--num_steps 150 --lr 0.003 --save_interval 150 --warmup_steps 0 --use_ema False")
    said = capsys.readouterr()
    figures = dict(part.rsplit(" ", 1) for part in said.err.split("updates: ")[1].splitlines()[0].split(", "))
    assert float(figures["correlation"]) > 0.8


def test_resuming_is_exact(data, tmp_path):
    whole = train(tmp_path / "whole", data, "--lr_schedule constant")
    train(tmp_path / "half", data, "--lr_schedule constant --num_steps 4")
    run("train.train_posendf", "--resume_checkpoint", tmp_path / "half", "--num_steps", "6")
    assert same_weights(whole / "checkpoint_6.pth", tmp_path / "half" / "checkpoint_6.pth")


@pytest.mark.parametrize(
    "flags",
    [
        "--eikonal_form slope --loss_type l2",
        "--eikonal_form published --neighbours 1",
        "--eikonal 0 --accumulate 3",
        "--man_loss 0 --dist 0",
        "--parents published --act lrelu --seed 1 --train_platform_type TensorboardPlatform",
    ],
)
def test_ways_to_train(flags, data, tmp_path):
    folder = train(tmp_path / "run", data, flags)
    assert checkpoint.resolve(folder).name == "checkpoint_6.pth"
    assert bool(list(folder.glob("events.*"))) == ("Tensorboard" in flags)


def test_published_folders_and_configuration(tmp_path, capsys):
    data = pose_folder(tmp_path / "data", ("CMU", "SFU"))
    config = tmp_path / "amass.yaml"
    config.write_text(YAML.format(pairs=data / "pairs", samples=data / "samples", root=tmp_path / "exp1"))
    run("train.train_posendf", "--config", config, "--num_steps 2", "--man_loss 0.75")
    args = json.loads((tmp_path / "exp1" / "main" / "args.json").read_text())
    told = {
        "dims": "32,16", "parents": "published", "train_batch_size": 64, "lr": 1e-4, "loss_type": "l2", "dist": 1.0,
        "man_loss": 0.75, "eikonal": 0.25, "eikonal_form": "published", "use_ema": False,
    }  # fmt: skip
    assert {name: args[name] for name in told} == told
    assert "held-out poses after 2 updates" in capsys.readouterr().out, "SFU is of the published validation part"


def test_a_configuration_with_tags_runs_nothing(tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("model: !!python/object/apply:os.system ['touch pwned']\n")
    said = refusal(capsys, 4, "train.train_posendf", "--config", tmp_path / "bad.yaml")
    assert "bad.yaml" in said
    (tmp_path / "other.yaml").write_text("model: {resnet: 50}\n")
    assert "another network" in refusal(capsys, 4, "train.train_posendf", "--config", tmp_path / "other.yaml")


def dead_seed() -> int:
    """A seed with which a network with lrelu begins dead."""
    from model.options import PoseNDFOptions
    from model.poses.pose_ndf import PoseNDF
    from model.poses.reading import is_dead
    from utils.run.randomness import seeded

    for seed in range(40):
        with seeded(seed, "weights"):
            network = PoseNDF(PoseNDFOptions(dims="32,16", act="lrelu"))
        if is_dead(network):
            return seed
    raise AssertionError("four of ten are dead")


def test_a_dead_network_ends_the_training(data, tmp_path, capsys):
    line = (TINY, "--poses", data, "--save_dir", tmp_path / "run", "--act", "lrelu", "--seed", str(dead_seed()))
    assert "says about 0 for every pose" in refusal(capsys, 5, "train.train_posendf", *line)


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ("--poses no/such", 3, "prepare.poses"),
        ("--neighbours 3", 2, "the pairs tell of 2"),
        ("--dist 0 --man_loss 0 --eikonal 0", 2, "nothing to learn"),
        ("--data_dir somewhere", 2, "--amass_dir"),
        ("--train_batch_size 999", 4, "lower --train_batch_size"),
        ("--lambda_vel 1", 2, "lambda_vel"),
        ("--dims 12,x", 2, "--dims"),
    ],
)
def test_refusals_leave_nothing(flags, code, said, data, tmp_path, capsys):
    line = (TINY, "--poses", data, "--save_dir", tmp_path / "run", flags)
    assert said in refusal(capsys, code, "train.train_posendf", *line)
    assert not (tmp_path / "run").exists()
