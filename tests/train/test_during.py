"""Motions from the milestones of a training: that they are there, what they are, and that the training is the same."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.commands import TINY, run, toy, train, words
from tests.people import moving, record, write_folder
from tests.toys import humanact12_folder
from train import train_mdm
from train.common import commands
from train.common.callbacks import milestones, videos
from utils.formats import results
from utils.formats.video import frame_count
from utils.run import checkpoint
from utils.run.errors import DataError
from utils.run.folders import locked

TEXT = "--dataset mocap --text_encoder_type minilm --use_ema"
FEW = "--gen_during_training --gen_num_samples 2 --gen_num_repetitions 1"


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Less than six seconds of motion, to be drawn sooner."""
    monkeypatch.setattr("sample.common.request.DEFAULT_SECONDS", 1.0)


@pytest.fixture(scope="module")
def bodies(tmp_path_factory) -> Path:
    """Motion with sentences; a ninth of it is held out."""
    return toy(tmp_path_factory.mktemp("toy") / "mocap", "mocap", 9)


def weights(path: Path) -> dict[str, torch.Tensor]:
    content = checkpoint.load(path)
    return content["model"] | {f"average of {name}": value for name, value in content.get("model_avg", {}).items()}


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_motions_of_each_milestone_and_the_same_training(bodies, tmp_path):
    """With and without them, whole and resumed: the same weights, bit for bit, dropout and all."""
    flags = f"{TEXT} --num_steps 4 --save_interval 2"
    quiet = train(tmp_path / "quiet", bodies, flags)
    shown = train(tmp_path / "shown", bodies, f"{flags} {FEW}")
    assert same(quiet / "checkpoint_2.pth", shown / "checkpoint_2.pth")
    assert same(quiet / "checkpoint_4.pth", shown / "checkpoint_4.pth")
    folders = sorted(path.name for path in shown.iterdir() if path.is_dir())
    assert folders == ["checkpoint_2.pth.samples", "checkpoint_4.pth.samples"]
    for name in folders:
        made = results.load(shown / name / "results.npy")
        assert made["motion"].shape == (2, 22, 3, 20) and frame_count(shown / name / "sample01_rep00.mp4") == 20
    first, last = (results.load(shown / name / "results.npy") for name in folders)
    assert first["text"] == last["text"] and np.abs(first["features"] - last["features"]).max() > 1e-4
    part = shutil.copytree(shown, tmp_path / "part")
    for path in (part / "checkpoint_4.pth", *part.glob("checkpoint_4.pth.samples/*")):
        path.unlink()
    run("train.train_mdm", "--resume_checkpoint", part)
    assert same(part / "checkpoint_4.pth", quiet / "checkpoint_4.pth")
    again = results.load(part / "checkpoint_4.pth.samples" / "results.npy")
    assert np.array_equal(again["features"], last["features"])


def test_they_are_what_generate_makes_of_the_test_parts_sentences(bodies, tmp_path):
    flags = f"{TEXT} --gen_during_training --gen_num_samples 2 --gen_num_repetitions 2 --gen_guidance_param 1.5"
    folder = train(tmp_path / "run", bodies, flags)
    made = results.load(folder / "checkpoint_3.pth.samples" / "results.npy")
    run(
        "sample.generate", "--model_path", folder, "--datapath", bodies, "--output_dir", tmp_path / "out",
        "--num_samples 2 --num_repetitions 2 --guidance_param 1.5 --threads 1",
    )  # fmt: skip
    by_hand = results.load(tmp_path / "out" / "results.npy")
    assert np.array_equal(made["features"], by_hand["features"]) and made["text"] == by_hand["text"]
    files = [bodies / "texts" / f"{name}.txt" for name in (bodies / "test.txt").read_text().split()]
    known = {line.split("#")[0] for file in files for line in file.read_text().splitlines()}
    assert len(made["text"]) == 4 and set(made["text"]) <= known


@pytest.mark.parametrize("compat", ["none", "published"])
def test_six_seconds_in_two_dimensions(compat, tmp_path, monkeypatch):
    monkeypatch.undo()
    data = toy(tmp_path / "nba", count=10)
    quiet = train(tmp_path / "quiet", data, f"--compat {compat}")
    random.seed(7), np.random.seed(7)
    shown = train(tmp_path / "shown", data, f"--compat {compat} {FEW}")
    assert (random.random(), np.random.rand()) == (random.Random(7).random(), np.random.RandomState(7).rand())
    assert same(quiet / "checkpoint_3.pth", shown / "checkpoint_3.pth")
    made = results.load(shown / "checkpoint_3.pth.samples" / "results.npy")
    assert made["motions"].shape == (2, 16, 2, 180)
    assert frame_count(shown / "checkpoint_3.pth.samples" / "result_1.mp4") == 180


def test_two_dimensions_told_sentences_or_labels(tmp_path):
    clips = [
        (moving(90, i), record(f"clip{i}", "test" if i > 3 else "train") | {"texts": [f"a person waves {i} times"]})
        for i in range(6)
    ]
    write_folder(tmp_path / "data", clips)
    flags = f"--dataset mocap2d --arch dit --text_encoder_type minilm {FEW} --num_steps 1"
    made = {}
    for cond in ("text", "action"):
        folder = train(tmp_path / cond, tmp_path / "data", f"{flags} --cond {cond}")
        made[cond] = results.load(folder / "checkpoint_1.pth.samples" / "results.npy")["model_kwargs"]["y"]
    assert sorted(made["text"]["text"]) == ["a person waves 4 times", "a person waves 5 times"]
    assert made["action"]["action"].tolist() == [[-1], [-1]]


@pytest.mark.parametrize("flags", ["--cond_mask_prob 0", "--unconstrained"])
def test_actions_and_nothing(flags, tmp_path):
    """The published commands of action models end here with an error; guidance means nothing to them."""
    data = humanact12_folder(tmp_path / "data", clips=12)
    line = f"--dataset humanact12 {TINY} {FEW} --num_steps 1 {flags}"
    train_mdm.main(words("--datapath", data.datapath, "--save_dir", tmp_path / "run", line))
    made = results.load(tmp_path / "run" / "checkpoint_1.pth.samples" / "results.npy")
    assert made["motion"].shape == (2, 24, 3, 20) and np.isfinite(made["motion"]).all()


def test_models_that_are_shown_frames_go_on_from_them(bodies, tmp_path):
    flags = f"{TEXT} --arch dit --context_len 8 --pred_len 16 --num_steps 1 {FEW} --autoregressive"
    folder = train(tmp_path / "run", bodies, flags)
    assert results.load(folder / "checkpoint_1.pth.samples" / "results.npy")["motion"].shape == (2, 22, 3, 20)
    longer = train(tmp_path / "more", bodies, f"{flags} --autoregressive_include_prefix")
    made = results.load(longer / "checkpoint_1.pth.samples" / "results.npy")
    assert made["motion"].shape[-1] == 20 and np.isfinite(made["motion"]).all()


class Board:
    """A platform that remembers its films."""

    def __init__(self):
        self.films = {}

    def report_scalar(self, name: str, value: float, step: int, group: str) -> None:
        """Nothing."""

    def report_media(self, films: list[Path], step: int) -> None:
        self.films[step] = [(path.parent.name, path.name) for path in films if frame_count(path)]

    def close(self) -> None:
        """Nothing."""


def test_the_platform_is_shown_the_grids_or_each_film(bodies, tmp_path, monkeypatch):
    board = Board()
    monkeypatch.setattr(commands, "open_platform", lambda *_: board)
    train(tmp_path / "text", bodies, f"{TEXT} {FEW} --num_steps 2 --save_interval 1")
    assert board.films == {step: [(f"checkpoint_{step}.pth.samples", "samples_00_to_01.mp4")] for step in (1, 2)}
    board.films.clear()
    train(tmp_path / "nba", toy(tmp_path / "data", count=10), f"{FEW} --num_steps 1")
    assert board.films == {1: [("checkpoint_1.pth.samples", f"result_{i}.mp4") for i in range(2)]}


def test_what_cannot_be_made_is_told_and_the_training_goes_on(bodies, tmp_path, capsys):
    data = shutil.copytree(bodies, tmp_path / "data")
    (data / "test.txt").unlink()
    folder = train(tmp_path / "run", data, f"{TEXT} {FEW} --num_steps 2 --save_interval 1")
    said = [line for line in capsys.readouterr().err.splitlines() if "the training goes on" in line]
    assert len(said) == 2 and said[0].startswith(f"note: {folder / 'checkpoint_1.pth'}: {data / 'test.txt'} is missing")
    assert not list(folder.glob("*.samples")) and (folder / "checkpoint_2.pth").is_file()


def test_what_a_kill_left_of_them_is_removed(bodies, tmp_path):
    folder = train(tmp_path / "run", bodies, f"{TEXT} --num_steps 1")
    half = folder / ".tmp-4242-checkpoint_1.pth.samples"
    half.mkdir()
    (half / "results.npy").write_bytes(b"half")
    with locked(folder):
        assert not half.exists()


def test_looks_come_in_order_and_leave_chance_alone(tmp_path, capsys):
    seen = []

    def broken(_: Path) -> None:
        raise DataError("no film today")

    def greedy(path: Path) -> None:
        seen.append((path.name, torch.rand(3).tolist()))

    look = milestones([broken, greedy, videos(lambda _: seen.append("film") or [], None)], 5)
    torch.manual_seed(1)
    for step in (7, 8):
        look(tmp_path / f"checkpoint_{step}.pth")
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(3))
    assert [each if each == "film" else each[0] for each in seen] == [
        "checkpoint_7.pth",
        "film",
        "checkpoint_8.pth",
        "film",
    ]
    assert capsys.readouterr().err.count("no film today (the training goes on)") == 2
    with pytest.raises(ZeroDivisionError):
        milestones([lambda _: 1 / 0], 0)(tmp_path / "checkpoint_1.pth")
