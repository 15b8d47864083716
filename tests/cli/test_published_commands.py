"""`--compat published` gives the published programs' files for a seed, and checkpoints go both ways."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.commands import TINY, run, train
from tests.published import tensors
from utils.formats import results
from utils.run import checkpoint

OURS = {"fps", "joint_names", "parents", "dataset", "provenance", "format_version"}
TABLES = {"sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe"}

# Command, model, flags, largest difference: as the golden files' index says they were made.
CASES = {
    "generate_nba": ("sample.generate", "nba", "--num_samples 2 --motion_length 0.7", 1e-4),
    "generate_horse": ("sample.generate", "horse", "--num_samples 2 --motion_length 0.5", 1e-4),
    "mas_nba": ("sample.mas", "nba", "--num_samples 2 --motion_length 0.7 --num_views 5", 5e-3),
    "mas_horse": ("sample.mas", "horse", "--num_samples 2 --motion_length 0.5", 5e-3),
    "mas_gymnastics": ("sample.mas", "gymnastics", "--num_samples 1 --motion_length 0.5", 5e-3),
    "ablation_random_angles_gymnastics": (
        "sample.ablations", "gymnastics",
        "--num_samples 1 --motion_length 0.5 --num_views 3 --ablation_name random_angles", 5e-3,
    ),
    "mas_nba_use_data": ("sample.mas", "nba", "--num_samples 3 --num_views 3 --use_data", 5e-3),
}  # fmt: skip


@pytest.fixture
def model(golden, request):
    """The function from a dataset's name to the published checkpoint of it."""

    def find(name: str) -> Path:
        here = golden if name != "nba" else request.getfixturevalue("shared") / "golden"
        return here / "mas" / "cli" / name / "checkpoint_20.pth"

    return find


@pytest.mark.parametrize("case", CASES)
def test_published_numbers(case, golden, model, tmp_path):
    module, dataset, flags, tolerance = CASES[case]
    recorded = tensors(golden / "mas" / "cli" / f"{case}.npz")
    run(
        module, "--compat published --seed 0 --device -1 --model_path", model(dataset), "--output_dir", tmp_path / "a",
        flags, *(["--datapath", golden / "mas" / "tiny_data" / "nba"] if "--use_data" in flags else []),
    )  # fmt: skip
    content = results.load(tmp_path / "a" / "results.npy")
    motions = torch.from_numpy(content["motions"])
    torch.testing.assert_close(motions, recorded["motions"], atol=tolerance, rtol=0)
    conditions = content["model_kwargs"]["y"]
    for name, value in recorded.items():
        if name.startswith("y/"):
            np.testing.assert_array_equal(np.atleast_1d(conditions[name[2:]]), value)
    assert {f"y/{name}" for name in conditions} == {name for name in recorded if name.startswith("y/")}


@pytest.mark.parametrize("case", ["generate_nba", "mas_nba"])
@pytest.mark.parametrize("compat", ["published", "none"])
def test_layout_of_the_results_file(case, compat, shared, model, tmp_path):
    published = results.load(shared / "golden" / "mas" / "cli" / f"{case}_results.npy")
    module, dataset, flags, _ = CASES[case]
    run(module, "--compat", compat, "--model_path", model(dataset), "--output_dir", tmp_path / "out", flags)
    ours = np.load(tmp_path / "out" / "results.npy", allow_pickle=True).item()  # as published readers open it
    assert set(ours) == set(published) | OURS
    assert (ours["motions"].shape, ours["motions"].dtype) == (published["motions"].shape, published["motions"].dtype)
    assert set(ours["model_kwargs"]) == set(published["model_kwargs"]) == {"y"}
    theirs = published["model_kwargs"]["y"]
    assert set(ours["model_kwargs"]["y"]) == set(theirs)
    for name, value in theirs.items():
        mine = ours["model_kwargs"]["y"][name]
        assert (mine.shape, mine.dtype, mine.tolist()) == (value.shape, value.dtype, value.tolist())
    plain = np.load(tmp_path / "out" / "results.npz")
    np.testing.assert_array_equal(plain["motions"], ours["motions"])


def test_our_checkpoint_is_laid_out_as_the_published_one(golden, model, tmp_path):
    published = checkpoint.load(model("horse"))
    data = golden / "mas" / "tiny_data" / "horse"
    ours = checkpoint.load(train(tmp_path / "run", data, "--dataset horse") / "checkpoint_3.pth")
    assert set(ours) == set(published) | {"run"} and ours["step"] == 3
    assert list(ours["model"]) != [] and set(ours["model"]) == set(published["model"])
    for name, value in published["model"].items():
        assert (ours["model"][name].shape, ours["model"][name].dtype) == (value.shape, value.dtype), name
        if name in TABLES:
            torch.testing.assert_close(ours["model"][name], value, atol=5e-4, rtol=0)
    ours_group, their_group = (content["optimizer"]["param_groups"][0] for content in (ours, published))
    assert ours_group["params"] == their_group["params"]
    assert set(their_group) <= set(ours_group)
    # An optimiser's state goes by the position of the parameters: theirs is the order of their names in the file.
    parameters = [value for name, value in published["model"].items() if name not in TABLES]
    for index, state in ours["optimizer"]["state"].items():
        assert set(state) == {"step", "exp_avg", "exp_avg_sq"}
        assert state["exp_avg"].shape == parameters[index].shape


@pytest.mark.parametrize("arch", ["trans_enc", "trans_dec", "emb_trans_dec", "gru"])
def test_every_published_architecture_is_written_with_its_names(arch, golden, tmp_path):
    published = tensors(golden / "mas" / "weights" / f"w_{arch}_nba.npz")
    flags = f"--arch {arch.removeprefix('emb_')} --emb_trans_dec {arch.startswith('emb_')} --latent_dim 32 --ff_size 64"
    data = golden / "mas" / "tiny_data" / "nba"
    ours = checkpoint.load(train(tmp_path / "run", data, flags) / "checkpoint_3.pth")["model"]
    assert set(ours) == set(published) | TABLES
    for name, value in published.items():
        assert ours[name].shape == value.shape, name


def test_a_published_run_is_continued(golden, model, tmp_path, capsys):
    source = model("horse")
    data = golden / "mas" / "tiny_data" / "horse"
    run(
        "train.train_mdm", "--resume_checkpoint", source, "--save_dir", tmp_path / "run", "--datapath", data,
        "--train_batch_size 2 --num_steps 23 --lr 0.001 --log_interval 1",
    )  # fmt: skip
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("step")] == ["22", "23"]
    before, after = checkpoint.load(source)["model"], checkpoint.load(tmp_path / "run" / "checkpoint_23.pth")["model"]
    moved = [(after[name] - before[name]).abs().max().item() for name in before if name not in TABLES]
    assert 0 < max(moved) < 0.01, "two updates from the published weights"


@pytest.mark.parametrize(
    ("arch", "habit", "published"), [("gru", "recurrence", "batch"), ("trans_dec", "mask_frames", False)]
)
def test_a_file_that_does_not_name_a_habit_has_the_published_one(arch, habit, published, golden, tmp_path, capsys):
    folder = train(tmp_path / "run", golden / "mas" / "tiny_data" / "nba", f"--arch {arch}")
    args = folder / "args.json"
    kept = json.loads(args.read_text())
    assert kept.pop(habit) != published
    line = ("--use_data --num_samples 3 --model_path", folder, "--datapath", golden / "mas" / "tiny_data" / "nba")

    def sampled(name: str, *flags: str) -> np.ndarray:
        run("sample.generate", *line, "--output_dir", tmp_path / name, *flags)
        return results.load(tmp_path / name / "results.npy")["motions"]

    ours = sampled("ours")
    assert "as published" not in capsys.readouterr().out
    args.write_text(json.dumps(kept))
    theirs = sampled("theirs")
    assert "as published" in capsys.readouterr().out
    np.testing.assert_array_equal(theirs, sampled("flag", f"--{habit} {published}"))
    assert np.abs(theirs - ours).max() > 1e-4


def test_tiny_flags_are_the_golden_sizes(golden):
    """The comparison with the published horse model above relies on equal sizes."""
    assert "--layers 2 --latent_dim 8 --num_heads 2 --ff_size 16" in TINY
