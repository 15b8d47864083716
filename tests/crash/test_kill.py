"""A training killed at random instants and resumed ends with the weights of one that was not, on one rank or two."""

import os
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
    "--arch dit --layers 1 --latent_dim 16 --num_heads 2 --ff_size 16 --train_batch_size 4 --use_ema "
    "--avg_model_beta 0.9 --num_steps 60 --resume_interval 5 --save_interval 1000 --threads 1"
).split()
LONGER = [*SMALL, "--num_steps", "300"]


def start(*arguments: str, ranks: int = 1) -> subprocess.Popen:
    """`train.train_mdm` in the background, under torchrun where there are several ranks."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)] if ranks > 1 else []
    line = [sys.executable, *torchrun, "-m", "train.train_mdm", *arguments]
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
    finish(start("--datapath", str(data), "--save_dir", str(folder), *SMALL))
    return checkpoint.load(folder / "checkpoint_60.pth")


@pytest.fixture(scope="module")
def whole_of_two(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "two"
    finish(start("--datapath", str(data), "--save_dir", str(folder), *LONGER, ranks=2))
    return checkpoint.load(folder / "checkpoint_300.pth")


def finish(process: subprocess.Popen) -> None:
    said = process.communicate(timeout=600)[0]
    assert process.returncode == 0, said


def assert_same(folder: Path, whole: dict) -> None:
    content = checkpoint.load(folder / f"checkpoint_{whole['step']}.pth")
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


def children(process: subprocess.Popen) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the ranks in /proc")
@pytest.mark.parametrize("victim", ["torchrun, politely", "first rank", "second rank"])
def test_two_ranks_are_stopped_or_lose_one(victim, data, whole_of_two, tmp_path):
    folder = tmp_path / "run"
    process = start("--datapath", str(data), "--save_dir", str(folder), *LONGER, ranks=2)
    while process.poll() is None and not saved(folder):
        time.sleep(0.01)
    if victim.startswith("torchrun"):
        process.send_signal(signal.SIGTERM)
    else:
        os.kill(children(process)[victim == "second rank"], signal.SIGKILL)
    said = process.communicate(timeout=600)[0]
    assert process.returncode != 0 and saved(folder) < 300
    assert said.count("continue with --resume_checkpoint") == victim.startswith("torchrun"), said
    finish(start("--resume_checkpoint", str(folder), ranks=2))
    assert_same(folder, whole_of_two)
