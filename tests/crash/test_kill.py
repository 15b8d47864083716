"""A training process killed at random instants and resumed ends with the weights of one that was not."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from utils.run import checkpoint

ROOT = Path(__file__).parents[2]
SMALL = (
    "--arch dit --layers 1 --latent_dim 16 --num_heads 2 --ff_size 16 --train_batch_size 4 --ema_decay 0.9 "
    "--num_steps 60 --resume_interval 5 --save_interval 1000 --threads 1"
).split()


def start(*arguments: str) -> subprocess.Popen:
    """`train.train_mdm` in the background."""
    line = [sys.executable, "-m", "train.train_mdm", *arguments]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def saved(folder: Path) -> int:
    """The step of the newest save that verifies, 0 before the first."""
    path = checkpoint.newest(folder) if folder.is_dir() else None
    return checkpoint.step_of(path) if path else 0


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "nba"
    line = [sys.executable, "-m", "prepare.toy_motion", "--dataset", "nba", "--num_motions", "8"]
    subprocess.run([*line, "--output_dir", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    process = start("--datapath", str(data), "--save_dir", str(folder), *SMALL)
    assert process.wait(120) == 0, process.stdout.read()
    return checkpoint.load(folder / "checkpoint_60.pth")


def assert_same(folder: Path, whole: dict) -> None:
    content = checkpoint.load(folder / "checkpoint_60.pth")
    for part in ("model", "model_avg"):
        for name, value in whole[part].items():
            assert torch.equal(content[part][name], value), name


@pytest.mark.slow
def test_kill_nine_at_random_instants(data, whole, tmp_path):
    folder, chance = tmp_path / "run", random.Random(0)
    for kill in range(4):
        before = saved(folder)
        where = ["--resume_checkpoint", str(folder)] if before else ["--save_dir", str(folder), "--overwrite_model"]
        process = start("--datapath", str(data), *where, *SMALL)
        while kill < 3 and process.poll() is None and saved(folder) <= before:
            time.sleep(0.01)
        if kill < 3:
            time.sleep(chance.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        process.wait(120)
    assert_same(folder, whole)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_signal_saves_and_leaves(data, whole, tmp_path, number, code):
    folder = tmp_path / "run"
    process = start("--datapath", str(data), "--save_dir", str(folder), *SMALL)
    while process.poll() is None and not saved(folder):
        time.sleep(0.01)
    process.send_signal(number)
    if process.wait(60) == code:
        assert "continue with --resume_checkpoint" in process.stdout.read()
        assert start("--resume_checkpoint", str(folder)).wait(120) == 0
    assert_same(folder, whole)
