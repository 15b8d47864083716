"""Training on several ranks: the same updates as on one, exact resumption, one writer, signals, refusals."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.commands import TINY, run, toy, words
from train.common import loop
from train.common.loop import Training
from train.options import TrainingOptions
from utils.run import checkpoint, parallel
from utils.run.errors import UsageError
from utils.run.randomness import torch_generator

ROOT = Path(__file__).parents[2]
FORK = multiprocessing.get_context("fork")  # a fresh process would import torch anew


class Bits(nn.Module):
    """A small network with weights that nothing uses, and others that only some samples use."""

    def __init__(self, dropout: float = 0.0):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))
        self.rare = nn.Linear(3, 1)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        rare = x[:, 0] > 1.5
        return y.index_put((rare,), self.rare(x[rare])) if rare.any() else y


class Regression:
    """Batches of 7, of which in some steps only the last samples use the rare weights."""

    def __init__(self, at: dict[int, Callable[[], None]] | None = None):
        self.at = at or {}

    def batch(self, step: int) -> dict[str, Tensor]:
        self.at.get(step, lambda: None)()
        x = torch.randn(7, 3, generator=torch_generator("x", step)).clamp(max=1.4)
        x[5:, 0] += step % 2
        return {"x": x, "y": x.sum(1, keepdim=True)}

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        missed = model(batch["x"]) - batch["y"]
        return {"loss": missed.square().mean(), "absolute": missed.abs().mean()}


def options(folder: Path, **changes) -> TrainingOptions:
    base = dict(save_dir=str(folder), lr=0.01, num_steps=6, resume_interval=2, log_interval=1, use_ema=True)
    return TrainingOptions(**{**base, "avg_model_beta": 0.9, "grad_clip": 1.0, **changes})


def network(dropout: float = 0.0) -> Bits:
    torch.manual_seed(0)
    return Bits(dropout)


@pytest.fixture(scope="module", autouse=True)
def imported():
    """The first optimiser of a process imports for three seconds: once here rather than in every rank."""
    torch.optim.AdamW(network().parameters())


def on_ranks(count: int, run: Callable[[int], object], folder: Path) -> list[int]:
    """Run `run(rank)` in as many processes as ranks, and give their exit codes; what they say lies in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)

    def start(rank: int) -> None:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
        os.environ["MASTER_PORT"] = str(port)
        sys.stdout = open(folder / f"out_{rank}.txt", "w", buffering=1)  # noqa: SIM115
        sys.stderr = open(folder / f"err_{rank}.txt", "w", buffering=1)  # noqa: SIM115
        run(rank)

    processes = [FORK.Process(target=start, args=(rank,)) for rank in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        process.kill()
    return [process.exitcode or 0 for process in processes]


def train(folder: Path, count: int, resume: Path | None = None, dropout: float = 0.0, **changes) -> dict:
    """The last checkpoint of a training on `count` ranks."""

    def run(rank: int) -> None:
        content = checkpoint.load(resume) if resume else None
        loop.train(Training(network(dropout), Regression(), options(folder, **changes), seed=5), content)

    assert on_ranks(count, run, folder.parent / "said") == [0] * count
    return checkpoint.load(checkpoint.newest(folder))


def difference(one: dict, other: dict) -> float:
    return max(
        float((one[part][name] - other[part][name]).abs().max())
        for part in ("model", "model_avg")
        for name in one[part]
    )


@pytest.mark.parametrize(("count", "accumulate"), [(2, 1), (3, 1), (2, 3)])
def test_several_ranks_make_the_updates_of_one(count, accumulate, tmp_path):
    """Uneven shares, weights used by one rank's samples or by none, clipping, averages, and the losses said."""
    one = train(tmp_path / "one", 1)
    several = train(tmp_path / "several", count, accumulate=accumulate)
    assert 0 < difference(one, several) < 1e-6
    records = [
        [json.loads(line) for line in (tmp_path / name / "progress.jsonl").read_text().splitlines()]
        for name in ("one", "several")
    ]
    for a, b in zip(*records, strict=True):
        for name in ("loss", "absolute", "grad_norm", "param_norm"):
            assert a[name] == pytest.approx(b[name], rel=1e-5)
    assert set(one["optimizer"]["state"]) == set(several["optimizer"]["state"]) == set(range(6))


def test_a_resumed_run_on_two_ranks_is_the_whole_one(tmp_path):
    whole = train(tmp_path / "run", 2, dropout=0.5)
    middle = tmp_path / "run" / "checkpoint_4.pth"
    assert difference(whole, train(tmp_path / "same", 2, middle, dropout=0.5)) == 0
    assert not (tmp_path / "said" / "err_0.txt").read_text()
    train(tmp_path / "other", 1, middle, dropout=0.5)
    assert "the continued run may differ" in (tmp_path / "said" / "err_0.txt").read_text()


def test_each_part_of_a_batch_has_its_own_dropout(tmp_path):
    class Masks(Regression):
        def loss(self, model, batch):
            masks.append(nn.functional.dropout(torch.ones(40), 0.5).tolist())
            return super().loss(model, batch)

    masks = []

    def run(rank: int) -> None:
        loop.train(Training(network(), Masks(), options(tmp_path / "run", num_steps=2, accumulate=2)))
        (tmp_path / f"{rank}.json").write_text(json.dumps(masks))

    assert on_ranks(2, run, tmp_path / "said") == [0, 0]
    found = [tuple(mask) for rank in range(2) for mask in json.loads((tmp_path / f"{rank}.json").read_text())]
    assert len(found) == len(set(found)) == 8


def test_the_first_rank_alone_writes_says_and_is_called(tmp_path):
    def run(rank: int) -> None:
        folder, called = tmp_path / f"run_{rank}", lambda saved: (tmp_path / f"called_{rank}").touch()
        saved = loop.train(Training(network(), Regression(), options(folder)), after_save=called)
        assert saved == folder / "checkpoint_6.pth"

    assert on_ranks(2, run, tmp_path / "said") == [0, 0]
    assert {path.name for path in tmp_path.iterdir()} == {"run_0", "called_0", "said"}
    assert "step: 6" in (tmp_path / "said" / "out_0.txt").read_text()
    assert not (tmp_path / "said" / "out_1.txt").read_text()


@pytest.mark.parametrize("told", [0, 1])
def test_a_signal_to_any_rank_stops_all_at_one_step(told, tmp_path):
    def run(rank: int) -> None:
        at = {2: lambda: os.kill(os.getpid(), signal.SIGTERM)} if rank == told else {}
        loop.train(Training(network(0.5), Regression(at), options(tmp_path / "run"), seed=5))

    assert on_ranks(2, run, tmp_path / "said") == [143, 0]
    assert "stopped after 3 updates" in (tmp_path / "said" / "err_0.txt").read_text()
    assert not (tmp_path / "said" / "err_1.txt").read_text()
    resumed = train(tmp_path / "run", 2, tmp_path / "run" / "checkpoint_3.pth", dropout=0.5)
    assert difference(resumed, train(tmp_path / "whole", 2, dropout=0.5)) == 0


def test_a_bad_share_is_a_bad_update_for_all(tmp_path):
    class Broken(Regression):
        def loss(self, model, batch):
            terms = super().loss(model, batch)
            return terms | {"loss": terms["loss"] * (float("nan") if parallel.ranks()[0] else 1)}

    def run(rank: int) -> None:
        try:
            loop.train(Training(network(), Broken(), options(tmp_path / "run")))
        except loop.NumericError:
            sys.exit(5)

    assert on_ranks(2, run, tmp_path / "said") == [5, 5]


@pytest.mark.parametrize(("count", "ranks", "accumulate"), [(7, 2, 1), (7, 3, 2), (64, 8, 1), (4, 4, 1), (5, 1, 5)])
def test_shares_are_the_whole_batch_once(count, ranks, accumulate, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", str(ranks))
    numbers, rows = [], []
    for rank in range(ranks):
        monkeypatch.setenv("RANK", str(rank))
        for number, part in parallel.shares(count, accumulate).items():
            numbers.append(number)
            rows.append(list(range(count))[part])
    assert numbers == list(range(ranks * accumulate)) and sum(rows, []) == list(range(count))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1 and min(map(len, rows)) > 0


def test_fewer_samples_than_ranks_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(UsageError, match=r"cannot be cut into 8 parts \(ranks: 8, --accumulate 1\)"):
        parallel.shares(7)


def test_a_rank_without_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert parallel.own_device(cpu) == cpu and parallel.own_device(gpu) == gpu
    monkeypatch.setenv("WORLD_SIZE", "3")
    for local, own in (("0", 0), ("1", 1)):
        monkeypatch.setenv("LOCAL_RANK", local)
        assert parallel.own_device(gpu) == torch.device("cuda", own) and parallel.own_device(cpu) == cpu
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UsageError, match="rank 2 of this machine has no GPU, there are 2"):
        parallel.own_device(gpu)


@pytest.mark.slow
def test_torchrun_trains_as_one_process_does_and_resumes(tmp_path):
    """`train.train_mdm` from the command line; two ranks kill and resume in tests/crash."""
    flags = (
        "--arch dit --frames_per_token 1 --lr 1e-3 --train_batch_size 5 --num_steps 6 --use_ema --resume_interval 2 "
        "--grad_clip 1 --data_augmentations length_aug --dataset nba --cond_mask_prob 0.5"
    )
    one, two = tmp_path / "one", tmp_path / "two"
    run("train.train_mdm", "--datapath", toy(tmp_path / "toy", count=10), "--save_dir", one, TINY, flags)

    def torchrun(*parts: object) -> str:
        line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        line += ["-m", "train.train_mdm", *words(*parts)]
        done = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        assert done.returncode == 0, done.stdout
        return done.stdout

    said = torchrun("--datapath", tmp_path / "toy", "--save_dir", two, TINY, flags)
    assert said.count("trained: ") == said.count("step: 6") == said.count("M parameters on") == 1
    whole = checkpoint.load(two / "checkpoint_6.pth")
    assert difference(checkpoint.load(one / "checkpoint_6.pth"), whole) < 1e-5
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    (two / "checkpoint_6.pth").unlink()
    torchrun("--resume_checkpoint", two)
    assert difference(whole, checkpoint.load(two / "checkpoint_6.pth")) == 0
