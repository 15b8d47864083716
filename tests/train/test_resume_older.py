"""A run that is resumed from an older checkpoint keeps its own saves, and those that it supersedes are not lost."""

import json
import shutil
from pathlib import Path

import pytest

from tests.train.test_train_command import data as data  # noqa: PLC0414  # a fixture
from tests.train.test_train_command import run, same_weights, train
from utils.run import checkpoint


def saves(folder: Path) -> list[int]:
    return sorted(checkpoint.step_of(path) for path in folder.glob("checkpoint_[0-9]*.pth"))


@pytest.fixture
def long_run(data, tmp_path) -> Path:
    """A run of 9 updates, milestones at 4 and 8."""
    folder = train(tmp_path / "run", data, "--num_steps 9 --save_interval 4 --resume_interval 1")
    assert saves(folder) == [4, 7, 8, 9]
    return folder


def test_the_new_branch_is_kept_and_the_old_one_moved_aside(long_run, tmp_path, capsys):
    (long_run / "checkpoint_8.pth.samples").mkdir()
    (long_run / "checkpoint_best.pth").write_bytes(b"mine")
    whole = shutil.copytree(long_run, tmp_path / "whole")
    capsys.readouterr()
    run("train.train_mdm", "--resume_checkpoint", long_run / "checkpoint_4.pth", "--num_steps", "7", "--lr", "0.01")
    aside = long_run / "superseded_4"
    assert f"saves later than step 4, which this run makes anew, were moved to {aside}" in capsys.readouterr().err
    assert saves(long_run) == [4, 5, 6, 7] and saves(aside) == [7, 8, 9]
    assert (aside / "checkpoint_8.pth.samples").is_dir() and not (long_run / "checkpoint_8.pth.samples").exists()
    assert (long_run / "checkpoint_best.pth").read_bytes() == b"mine"
    for step in (7, 8, 9):
        assert checkpoint.verify(aside / f"checkpoint_{step}.pth")
        assert same_weights(aside / f"checkpoint_{step}.pth", whole / f"checkpoint_{step}.pth")
    assert checkpoint.resolve(aside).name == "checkpoint_9.pth"
    assert checkpoint.resolve(long_run) == long_run / "checkpoint_7.pth"
    assert not same_weights(long_run / "checkpoint_7.pth", whole / "checkpoint_7.pth"), (
        "the new branch, at another rate"
    )
    assert json.loads((aside / "args.json").read_text()) == json.loads((whole / "args.json").read_text())
    assert (aside / "progress.jsonl").read_text() == (whole / "progress.jsonl").read_text()


def test_a_second_time_has_a_folder_of_its_own(long_run):
    for end in ("6", "7", "6"):
        run("train.train_mdm", "--resume_checkpoint", long_run / "checkpoint_4.pth", "--num_steps", end)
    folders = [long_run / name for name in ("superseded_4", "superseded_4_2", "superseded_4_3")]
    assert list(map(saves, folders)) == [[7, 8, 9], [5, 6], [5, 6, 7]] and saves(long_run) == [4, 5, 6]


def test_a_whole_folder_goes_on_where_it_was(long_run, capsys):
    capsys.readouterr()
    run("train.train_mdm", "--resume_checkpoint", long_run, "--num_steps", "11")
    assert "moved to" not in capsys.readouterr().err and not list(long_run.glob("superseded_*"))
    assert saves(long_run) == [4, 8, 9, 10, 11], "9 was the last of its run"


def test_milestones_stay_whatever_the_interval_becomes(long_run):
    run("train.train_mdm", "--resume_checkpoint", long_run, "--num_steps", "15", "--save_interval", "5")
    assert saves(long_run) == [4, 8, 9, 10, 13, 14, 15]
