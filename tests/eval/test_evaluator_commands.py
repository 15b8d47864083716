"""`eval.train_evaluator` and `eval.test_evaluator` from data to videos, 2D and 3D: resuming, ranks' parts, refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.registry import dataset_spec
from eval.mas.evaluators import load_evaluator
from tests.commands import listing, refusal, run, toy
from tests.people import moving, record, write_folder
from utils.formats.video import frame_count
from utils.run import checkpoint
from utils.run.folders import RECORD

SMALL = "--e_num_layers 2 --e_latent_dim 8 --e_num_heads 2 --e_ff_size 16 --train_batch_size 2 --threads 1 --lr 1e-3"
RUN_FILES = {RECORD, "args.json", "Mean.npy", "Std.npy", "manifest.json", "progress.jsonl"}
TRUTHS = ("2d", "3d")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, tuple[str, Path]]:
    """For each truth a dataset and its folder."""
    folder = tmp_path_factory.mktemp("toy")
    write_folder(folder / "people", [(moving(90 + 10 * i, i), record(f"c{i}")) for i in range(6)])
    return {"2d": ("nba", toy(folder / "nba", count=10)), "3d": ("mocap2d", folder / "people")}


def train(folder: Path, data: dict[str, tuple[str, Path]], truth: str = "2d", flags: str = "") -> Path:
    name, datapath = data[truth]
    line = f"--dataset {name} --truth {truth} {SMALL} --num_steps 3 {flags}"
    run("eval.train_evaluator", "--datapath", datapath, "--save_dir", folder, line)
    return folder


def same(one: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same weights, plain and averaged, bit for bit."""
    a, b = checkpoint.load(one), checkpoint.load(other)
    parts = [name for name in ("model", "model_avg") if name in a]
    return set(a) == set(b) and all(torch.equal(a[part][name], b[part][name]) for part in parts for name in a[part])


@pytest.mark.parametrize("truth", TRUTHS)
def test_from_data_to_videos(truth, data, tmp_path, capsys):
    folder = train(tmp_path / "evaluator", data, truth)
    said = capsys.readouterr().out
    assert f"evaluated in {truth.upper()}" in said and f"trained: {folder / 'checkpoint_3.pth'}" in said
    assert set(listing(folder)) == RUN_FILES | {"checkpoint_3.pth"}
    args = json.loads((folder / "args.json").read_text())
    assert (args["truth"], args["dataset"], args["e_latent_dim"]) == (truth, data[truth][0], 8)
    channels = int(truth[0])
    assert np.load(folder / "Mean.npy").shape == np.load(folder / "Std.npy").shape == (16, channels)
    evaluator = load_evaluator(folder, dataset_spec(data[truth][0]), truth, torch.device("cpu"))
    assert evaluator.encode(torch.zeros(2, 9, 16, channels), torch.tensor([9, 4])).shape == (2, 8)
    line = ("eval.test_evaluator", "--model_path", folder, "--datapath", data[truth][1], "--num_samples 2 --seed 5")
    run(*line, "--motion_length 0.5")
    out, played = folder / "eval_test_seed_5", 2 if truth == "3d" else 1
    assert set(listing(out)) == {RECORD, *(f"{name}_{i}.mp4" for name in ("sample", "input_motion") for i in (0, 1))}
    frames = int(0.5 * evaluator.spec.fps) * played
    assert {frame_count(path) for path in out.iterdir() if path.name != RECORD} == {frames}
    run(*line, "--evaluator_sampling_mode generate --motion_length 0.7 --output_dir", tmp_path / "made")
    assert {path.name: frame_count(path) for path in (tmp_path / "made").iterdir() if path.name != RECORD} == {
        f"sample_{i}.mp4": int(0.7 * evaluator.spec.fps) * played for i in (0, 1)
    }
    run(*line, "--overwrite --use_data --num_samples 1")
    assert {frame_count(path) for path in out.iterdir() if path.name != RECORD} != {frames}, (
        "whole clips without --motion_length"
    )


@pytest.mark.parametrize("truth", TRUTHS)
def test_a_resumed_run_is_the_whole_one(truth, data, tmp_path):
    flags = "--use_ema --avg_model_beta 0.9 --lr_schedule cosine --resume_interval 2 --num_steps 6"
    whole = train(tmp_path / "whole", data, truth, flags)
    part = shutil.copytree(whole, tmp_path / "part")
    (part / "checkpoint_6.pth").unlink()
    run("eval.train_evaluator", "--resume_checkpoint", part)
    assert same(part / "checkpoint_6.pth", whole / "checkpoint_6.pth")
    for name in ("args.json", "Mean.npy", "Std.npy"):
        assert (part / name).read_bytes() == (whole / name).read_bytes() or name == "args.json"
    again = json.loads((part / "args.json").read_text())
    assert (again["truth"], again["e_latent_dim"], again["e_num_layers"]) == (truth, 8, 2), "resuming keeps the size"


def test_parts_of_a_batch_make_the_same_update(data, tmp_path):
    """What a rank sees of a batch, or one of several parts, adds up to the whole."""
    flags = "--train_batch_size 4 --num_steps 2 --e_dropout 0"
    whole, parts = (train(tmp_path / name, data, "3d", f"{flags} --accumulate {n}") for name, n in (("a", 1), ("b", 2)))
    a, b = (checkpoint.load(folder / "checkpoint_2.pth")["model"] for folder in (whole, parts))
    for name, value in a.items():
        if not name.endswith("in_proj_bias"):  # keys' has no gradient but rounding, which AdamW enlarges
            torch.testing.assert_close(b[name], value, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "flags", ["--precision bf16", "--compat published", "--e_dropout 0.5", "--e_activation relu", "--seed 4"]
)
def test_ways_to_train(flags, data, tmp_path):
    plain, other = train(tmp_path / "plain", data), train(tmp_path / "other", data, flags=flags)
    assert not same(plain / "checkpoint_3.pth", other / "checkpoint_3.pth")
    name, value = flags.removeprefix("--").split()
    assert str(json.loads((other / "args.json").read_text())[name]) == value


def test_padding_counts_as_published_only(data, tmp_path):
    """Clips of mocap2d are the same either way, so only what counts of them can make a difference."""
    plain, published = (train(tmp_path / name, data, "3d", f"--compat {name}") for name in ("none", "published"))
    assert not same(plain / "checkpoint_3.pth", published / "checkpoint_3.pth")


def test_it_learns(data, tmp_path):
    """Clips come back closer after some updates."""
    name, datapath = data["3d"]
    run(
        "eval.train_evaluator", "--datapath", datapath, "--save_dir", tmp_path / "evaluator", "--threads 1",
        f"--dataset {name} --truth 3d --e_num_layers 1 --e_latent_dim 32 --e_ff_size 32 --train_batch_size 4",
        "--e_dropout 0 --data_augmentations --num_steps 60 --lr 1e-2 --lr_schedule cosine --log_interval 10",
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "evaluator" / "progress.jsonl").read_text().splitlines()]
    assert lines[-1]["mse"] < 0.85 * lines[0]["mse"] and {"mse", "kl", "loss"} <= set(lines[-1])


def test_the_same_command_gives_the_same_videos(data, tmp_path):
    """Sample i depends on (seed, i) only."""
    folder = train(tmp_path / "evaluator", data)
    for name, count in (("one", 1), ("two", 2), ("other", 1)):
        run(
            "eval.test_evaluator", "--model_path", folder, "--output_dir", tmp_path / name, "--motion_length 0.3",
            f"--evaluator_sampling_mode generate --num_samples {count} --seed {9 if name == 'other' else 0}",
        )  # fmt: skip
    one, two, other = ((tmp_path / name / "sample_0.mp4").read_bytes() for name in ("one", "two", "other"))
    assert one == two != other
    assert (tmp_path / "two" / "sample_1.mp4").read_bytes() != two


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--dataset mocap", 2, "is for keypoints; choose from nba, horse, gymnastics, mocap2d"),
        ("--dataset nba --truth 3d", 2, "nba holds no 3D motion; choose 2d, or a dataset that does: mocap2d"),
        ("--dataset mocap2d --cond text", 2, "an evaluator sees no condition"),
        ("--dataset nba --lambda_vel 1", 2, "--lambda_vel is for train.train_mdm"),
        ("--dataset nba --gen_during_training", 2, "--gen_during_training is for train.train_mdm"),
        ("--dataset nba --e_latent_dim 9", 2, "is not even and a multiple of --e_num_heads 4"),
        ("--dataset nba --train_batch_size 100", 4, "fewer than a batch of 100"),
        ("--dataset nba --e_activation tanh", 2, "gelu"),
    ],
)
def test_what_cannot_be_trained_is_refused(line, code, said, data, tmp_path, capsys):
    datapath = data["3d" if "mocap2d" in line else "2d"][1]
    parts = ("eval.train_evaluator", "--datapath", datapath, "--save_dir", tmp_path / "evaluator", line)
    assert said in refusal(capsys, code, *parts)
    assert not (tmp_path / "evaluator").exists()


def test_folders_are_kept(data, tmp_path, capsys):
    folder = train(tmp_path / "evaluator", data)
    before = listing(folder)
    line = ("--datapath", data["2d"][1], SMALL)
    assert "--save_dir is required" in refusal(capsys, 2, "eval.train_evaluator", *line)
    said = refusal(capsys, 2, "eval.train_evaluator", *line, "--save_dir", folder)
    assert "add --overwrite_model to replace it" in said
    other = ("--resume_checkpoint", folder, "--e_latent_dim 16 --num_steps 5")
    assert "does not fit the model" in refusal(capsys, 4, "eval.train_evaluator", *other)
    assert listing(folder) == before


def test_what_cannot_be_looked_at_is_refused(data, tmp_path, capsys):
    folder = train(tmp_path / "evaluator", data)
    (folder / "eval_test_seed_1").mkdir()
    before = listing(tmp_path)
    line = ("eval.test_evaluator", "--model_path", folder, "--datapath", data["2d"][1])
    for flags, code, said in (
        ("--seed 1", 2, "add --overwrite"),
        ("--num_samples 99", 4, "part holds 10 motions; --num_samples 99"),
        ("--text_prompt walking", 2, "--text_prompt is for models that make motion"),
        ("--evaluator_sampling_mode generate --use_data", 2, "takes no motions of the dataset: choose reconstruct"),
        ("--evaluator_sampling_mode invent", 2, "reconstruct"),
        ("--motion_length 0.01", 2, "less than a frame"),
        ("--e_num_heads 4", 2, "was trained with 2; leave that flag out"),
        ("--truth 3d", 2, "is for 2D motion, not 3D"),
        ("--dataset horse", 2, "trained for nba (16 joints), the model is of horse (17)"),
    ):
        assert said in refusal(capsys, code, *line, flags)
    missing = ("eval.test_evaluator", "--model_path", tmp_path / "nowhere")
    assert "python -m eval.train_evaluator makes evaluators" in refusal(capsys, 3, *missing)
    assert listing(tmp_path) == before
