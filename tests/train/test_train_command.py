"""`train.train_mdm` from data to motions: every network, both targets, resuming, the run's folder and its lock."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion.options import DiffusionOptions
from diffusion.process import Process
from sample.common.plain import sample_plain
from sample.common.session import Request
from sample.options import SamplingOptions
from tests.commands import TINY, listing, refusal, run, toy, train
from tests.published import tiny_session
from utils.formats import results
from utils.run import checkpoint
from utils.run.folders import RECORD, locked

RUN_FILES = {RECORD, "args.json", "Mean.npy", "Std.npy", "manifest.json", "progress.jsonl"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy(tmp_path_factory.mktemp("toy") / "nba", count=10)


def same_weights(one: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same weights, plain and averaged, and the same optimiser, bit for bit."""
    a, b = checkpoint.load(one), checkpoint.load(other)
    parts = [name for name in ("model", "model_avg") if name in a]
    equal = all(torch.equal(a[part][name], b[part][name]) for part in parts for name in a[part])
    states = zip(a["optimizer"]["state"].values(), b["optimizer"]["state"].values(), strict=True)
    return equal and set(a) == set(b) and all(torch.equal(x[k], y[k]) for x, y in states for k in x)


@pytest.mark.parametrize("target", ["x_start", "epsilon"])
@pytest.mark.parametrize("arch", ["trans_enc", "trans_dec", "emb_trans_dec", "gru", "dit"])
def test_from_data_to_motions(arch, target, data, tmp_path, capsys):
    size = "--latent_dim 32 --frames_per_token 1" if target == "epsilon" else ""
    flags = f"--arch {arch.removeprefix('emb_')} --model_mean_type {target} {size}"
    folder = train(tmp_path / "run", data, flags + " --emb_trans_dec" * arch.startswith("emb_"))
    said = capsys.readouterr().out
    assert f"{arch.removeprefix('emb_')} with 0." in said and f"trained: {folder / 'checkpoint_3.pth'}" in said
    assert set(listing(folder)) == RUN_FILES | {"checkpoint_3.pth"}
    args = json.loads((folder / "args.json").read_text())
    assert (args["arch"], args["model_mean_type"], args["num_steps"]) == (arch.removeprefix("emb_"), target, 3)
    for module, shape in (("sample.generate", (2, 16, 2, 9)), ("sample.mas", (2, 9, 16, 3))):
        out = tmp_path / module
        views = "--num_views 2" if module == "sample.mas" else ""
        run(module, "--model_path", folder, "--output_dir", out, "--num_samples 2 --motion_length 0.3", views)
        motions = results.load(out / "results.npy")["motions"]
        assert motions.shape == shape and np.isfinite(motions).all() and np.abs(motions).max() < 60


@pytest.mark.parametrize(
    "flags",
    [
        "--lambda_vel 2 --loss_weight inv_sqrt_noise",
        "--loss_weight inv_noise --grad_clip 1 --use_ema True --avg_model_beta 0.9 --lr_schedule cosine",
        "--data_augmentations length_aug scale_aug shift_aug",
        "--data_split test --train_batch_size 1",
        "--precision bf16",
        "--noise_schedule cosine --diffusion_steps 10 --sigma_small False",
        "--compat published",
        "--train_platform_type TensorboardPlatform",
    ],
)
def test_ways_to_train(flags, data, tmp_path):
    (tmp_path / "data").symlink_to(data)
    if "test" in flags:
        shutil.copytree(data, tmp_path / "split")
        names = sorted(path.stem for path in (data / "motions").iterdir())
        (tmp_path / "split" / "split.json").write_text(json.dumps({"train": names[1:], "test": names[:1]}))
    folder = train(tmp_path / "run", tmp_path / ("split" if "test" in flags else "data"), flags)
    plain = train(tmp_path / "plain", data)
    assert not same_weights(folder / "checkpoint_3.pth", plain / "checkpoint_3.pth") or "platform" in flags
    if "platform" in flags:
        assert list(folder.glob("events.out.tfevents.*"))
    args = json.loads((folder / "args.json").read_text())
    for flag in flags.removeprefix("--").split(" --"):
        name, *values = flag.split()
        assert str(args[name]) in (values[0], str(values), str(float(values[0])) if values[0].isdigit() else "")


def test_the_same_command_gives_the_same_weights(data, tmp_path):
    one, same, other = (
        train(tmp_path / name, data, f"--seed {seed}") for name, seed in (("one", 1), ("same", 1), ("other", 2))
    )
    assert same_weights(one / "checkpoint_3.pth", same / "checkpoint_3.pth")
    assert not same_weights(one / "checkpoint_3.pth", other / "checkpoint_3.pth")


@pytest.mark.parametrize("name", ["the folder", "the file"])
def test_a_resumed_run_is_the_whole_one(name, data, tmp_path):
    flags = "--use_ema --avg_model_beta 0.9 --lr_schedule cosine --resume_interval 2 --data_augmentations length_aug"
    whole = train(tmp_path / "whole", data, f"{flags} --num_steps 6")
    part = shutil.copytree(whole, tmp_path / "part")
    (part / "checkpoint_6.pth").unlink()
    source = part if name == "the folder" else part / "checkpoint_4.pth"
    run("train.train_mdm", "--resume_checkpoint", source)
    assert same_weights(part / "checkpoint_6.pth", whole / "checkpoint_6.pth")
    assert set(listing(part)) == set(listing(whole))
    run("train.train_mdm", "--resume_checkpoint", whole / "checkpoint_2.pth", "--save_dir", tmp_path / "branch")
    assert same_weights(tmp_path / "branch" / "checkpoint_6.pth", whole / "checkpoint_6.pth")


def test_nothing_left_to_do(data, tmp_path, capsys):
    folder = train(tmp_path / "run", data)
    before = (folder / "checkpoint_3.pth").read_bytes()
    run("train.train_mdm", "--resume_checkpoint", folder)
    assert (folder / "checkpoint_3.pth").read_bytes() == before
    run("train.train_mdm", "--resume_checkpoint", folder, "--save_dir", tmp_path / "copy")
    assert f"trained: {tmp_path / 'copy' / 'checkpoint_3.pth'}" in capsys.readouterr().out
    assert same_weights(tmp_path / "copy" / "checkpoint_3.pth", folder / "checkpoint_3.pth")


def test_saves_are_pruned_and_milestones_kept(data, tmp_path):
    folder = train(tmp_path / "run", data, "--num_steps 9 --save_interval 4 --resume_interval 1")
    assert sorted(checkpoint.step_of(path) for path in folder.glob("*.pth")) == [4, 7, 8, 9]
    records = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [9]


def test_an_old_model_is_replaced_only_when_told(data, tmp_path, capsys):
    folder = train(tmp_path / "run", data)
    before = listing(tmp_path)
    line = ("train.train_mdm", "--datapath", data, "--save_dir", folder, TINY, "--num_steps 2")
    assert "add --overwrite_model to replace it" in refusal(capsys, 2, *line)
    assert listing(tmp_path) == before
    run(*line, "--overwrite_model")
    assert set(listing(folder)) == RUN_FILES | {"checkpoint_2.pth"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_model_keeps_the_figures_that_it_was_trained_with(data, tmp_path):
    own = shutil.copytree(data, tmp_path / "data")
    for name, value in (("Mean.npy", 0.25), ("Std.npy", 2.0)):
        np.save(own / name, np.full((16, 2), value))
    folder = train(tmp_path / "run", own)
    assert np.all(np.load(folder / "Mean.npy") == 0.25) and np.all(np.load(folder / "Std.npy") == 2)
    line = ("sample.generate", "--model_path", folder, "--num_samples 2 --motion_length 0.3")
    run(*line, "--output_dir", tmp_path / "a")
    for name, value in (("Mean.npy", 1.25), ("Std.npy", 2.0)):
        np.save(folder / name, np.full((16, 2), value))
    run(*line, "--output_dir", tmp_path / "b")
    a, b = (results.load(tmp_path / name / "results.npy")["motions"] for name in "ab")
    np.testing.assert_allclose(b, a + 1, atol=1e-5)


def test_one_trainer_holds_a_folder(data, tmp_path, capsys):
    folder = train(tmp_path / "run", data)
    fresh = ("train.train_mdm", "--datapath", data, "--save_dir", folder, TINY, "--num_steps 4 --overwrite_model")
    with locked(folder):
        before = listing(folder)
        for line in (("train.train_mdm", "--resume_checkpoint", folder, "--num_steps 4"), fresh):
            said = refusal(capsys, 2, *line)
            assert said == f"error: {folder} is in use by another run; wait for its end, or choose another folder"
        assert listing(folder) == before
    run("train.train_mdm", "--resume_checkpoint", folder, "--num_steps 4")
    assert not (folder / "run.lock").exists()


def test_the_folder_is_held_while_training(data, tmp_path, monkeypatch):
    """Held from the first update to the last save, and free again when the training fails."""
    from train.common import loop

    held = []

    def watch(*_, **__):
        held.append((tmp_path / "run" / "run.lock").exists())
        raise RuntimeError("the end")

    monkeypatch.setattr(loop, "save", watch)
    for flags in ("", "--overwrite_model"):
        with pytest.raises(RuntimeError, match="the end"):
            train(tmp_path / "run", data, flags)
        assert not (tmp_path / "run" / "run.lock").exists()
    assert held == [True, True]


def test_what_a_killed_run_left_in_the_making_is_removed(data, tmp_path):
    folder = train(tmp_path / "run", data)
    (folder / ".tmp-4242-checkpoint_4.pth").write_bytes(b"half")
    run("train.train_mdm", "--resume_checkpoint", folder, "--num_steps 5")
    assert set(listing(folder)) == RUN_FILES | {"checkpoint_3.pth", "checkpoint_5.pth"}


class Gaussian(torch.nn.Module):
    """The best possible network for data whose numbers are all normal: mean 0.7, deviation 0.3."""

    def __init__(self, process: Process, target: str):
        super().__init__()
        self.process, self.target = process, target

    def forward(self, x: torch.Tensor, step: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        abar = torch.from_numpy(self.process.abar).float()[step][:, None, None]
        away = (x - abar.sqrt() * 0.7) / (abar * 0.09 + 1 - abar)
        return (1 - abar).sqrt() * away if self.target == "epsilon" else 0.7 + abar.sqrt() * 0.09 * away


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@pytest.mark.parametrize("target", ["x_start", "epsilon"])
def test_either_target_leads_to_the_distribution(target, sampler, golden):
    session = tiny_session(golden, 100, compat="none")
    session = dataclasses.replace(
        session, model=Gaussian(session.process, target), diffusion=DiffusionOptions(model_mean_type=target),
        sampling=SamplingOptions(sampler=sampler),
    )  # fmt: skip
    request = Request(torch.full((16,), 40))
    made = session.to_model(sample_plain(session, request))
    assert made.mean().item() == pytest.approx(0.7, abs=0.01) and made.std().item() == pytest.approx(0.3, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["x_start", "epsilon"])
def test_motions_come_to_look_like_the_data(target, tmp_path):
    """After a minute of training, each joint's mean and spread over the samples are near those of the data."""
    data = toy(tmp_path / "data", count=64)
    flags = (
        "--arch dit --layers 2 --latent_dim 96 --num_heads 4 --ff_size 192 --train_batch_size 8 --threads 1 --lr 3e-3 "
        "--frames_per_token 1 --lr_schedule cosine --warmup_steps 50 --use_ema "
        "--avg_model_beta 0.99 --data_augmentations length_aug"
    )
    folder = train(
        tmp_path / "run", data, f"--model_mean_type {target} --num_steps 1500 --log_interval 500", base=flags
    )  # fmt: skip
    run(
        "sample.generate",
        "--model_path",
        folder,
        "--output_dir",
        tmp_path / "out",
        "--num_samples 64 --motion_length 2",
    )
    made = results.load(tmp_path / "out" / "results.npy")["motions"].transpose(0, 3, 1, 2)
    real = [np.load(path)[::2, :, :2] for path in sorted((data / "motions").iterdir())]
    frames = np.concatenate(real)
    moving = frames.std(0) > 0.05
    mean, spread = frames.mean(0)[moving], frames.std(0)[moving]
    assert np.abs((made.mean((0, 1))[moving] - mean) / spread).max() < 0.6
    ratio = made.std((0, 1))[moving] / spread
    assert ratio.min() > 0.5 and ratio.max() < 1.6, ratio
    speed = np.abs(np.diff(made, axis=1)).mean() / np.mean([np.abs(np.diff(motion, axis=0)).mean() for motion in real])
    assert 0.4 < speed < 2, speed


def test_a_run_may_begin_with_the_weights_of_another(data, tmp_path, capsys):
    """Parts that the other lacks begin as built, and are named; what does not fit is refused at once."""
    small = "--arch dit --frames_per_token 2 --lr 0"
    first = train(tmp_path / "first", data, small)
    after = train(tmp_path / "after", data, f"{small} --smooth_width 4 --seed 5 --initial_weights {first}")
    assert "has no smooth_in.weight, smooth_in.bias" in capsys.readouterr().err
    old, new = (checkpoint.load(folder / "checkpoint_3.pth")["model"] for folder in (first, after))
    assert set(old) < set(new) and all(torch.equal(new[name], value) for name, value in old.items())
    run("train.train_mdm", "--resume_checkpoint", after, "--num_steps 4 --lr 0")
    assert all(torch.equal(checkpoint.load(after / "checkpoint_4.pth")["model"][name], new[name]) for name in new)
    for flags, code, said in (
        (f"--initial_weights {after} --arch dit --frames_per_token 2 --smooth_width 0", 4, "which has no smooth_"),
        (f"--initial_weights {first} --arch dit --frames_per_token 4", 4, "does not fit the model"),
        (f"--initial_weights {tmp_path / 'nowhere'}", 3, "nowhere"),
    ):
        line = ("train.train_mdm", "--datapath", data, "--save_dir", tmp_path / "refused", TINY, flags)
        assert said in refusal(capsys, code, *line)
        assert not (tmp_path / "refused").exists()


def test_a_run_is_of_the_kind_that_its_first_weights_are_of(data, tmp_path, capsys):
    """Network and process are those beside the weights but for what the line says; the recipe is not."""
    first = train(
        tmp_path / "first",
        data,
        "--arch dit --frames_per_token 2 --lr 0.5 --diffusion_steps 30 --noise_schedule linear",
    )
    capsys.readouterr()
    line = ("train.train_mdm", "--datapath", data, "--train_batch_size 2 --threads 1 --num_steps 1 --lr 0")
    run(*line, "--save_dir", tmp_path / "after", "--initial_weights", first)
    said = capsys.readouterr().err
    assert f"note: as in {first / 'args.json'}: --arch dit --layers 2 --latent_dim 8 --num_heads 2" in said
    assert "--frames_per_token 2" in said and "--lr" not in said and "--activation" not in said
    args = json.loads((tmp_path / "after" / "args.json").read_text())
    assert (args["arch"], args["ff_size"], args["noise_schedule"], args["lr"]) == ("dit", 16, "linear", 0)
    old, new = (checkpoint.load(checkpoint.resolve(tmp_path / name))["model"] for name in ("first", "after"))
    assert old.keys() == new.keys() and all(torch.equal(new[name], value) for name, value in old.items())
    run(*line, "--save_dir", tmp_path / "wins", "--initial_weights", first, "--smooth_width 4")
    assert json.loads((tmp_path / "wins" / "args.json").read_text())["smooth_width"] == 4
    (first / "args.json").unlink()
    assert "embed.weight" in refusal(capsys, 4, *line, "--save_dir", tmp_path / "no", "--initial_weights", first)


def test_a_run_is_normalised_as_its_first_weights_are(data, tmp_path, capsys):
    first = train(tmp_path / "first", data)
    own = np.load(first / "Std.npy")
    np.save(first / "Std.npy", 2 * own)
    line = ("train.train_mdm", "--train_batch_size 2 --threads 1 --lr 0 --log_interval 1")
    errors = []
    for name, weights in (("after", first), ("again", tmp_path / "after"), ("fresh", "")):
        begin = ("--initial_weights", weights) if weights else (TINY,)
        run(*line, "--datapath", data, "--save_dir", tmp_path / name, "--num_steps 1", *begin)
        expected = 2 * own if weights else own
        assert np.array_equal(np.load(tmp_path / name / "Std.npy"), expected)
        assert (f"normalised by Mean and Std of {weights}" in capsys.readouterr().out) == bool(weights)
        errors.append(json.loads((tmp_path / name / "progress.jsonl").read_text().splitlines()[0])["rot_mse"])
    assert errors[0] == errors[1] != errors[2]
    run(*line, "--resume_checkpoint", tmp_path / "after", "--num_steps 2")
    assert np.array_equal(np.load(tmp_path / "after" / "Std.npy"), 2 * own)
    (first / "Mean.npy").unlink()
    run(*line, "--datapath", data, "--save_dir", tmp_path / "without", "--num_steps 1", "--initial_weights", first)
    assert np.array_equal(np.load(tmp_path / "without" / "Std.npy"), own)
