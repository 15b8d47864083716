"""--eval_during_training of every task: figures of each milestone, on the platform, and the same training."""

import json
from pathlib import Path

import pytest

from tests.commands import TINY, refusal, run, toy, train
from tests.eval.test_action_scores import recogniser_files
from tests.evaluators import write_evaluator, write_words
from tests.people import moving, record, write_folder
from tests.toys import humanact12_folder
from utils.run import checkpoint

SMALL = "--e_latent_dim 8 --e_num_layers 1 --e_num_heads 2 --e_ff_size 16"


class Board:
    """A platform that remembers its points."""

    def __init__(self):
        self.points: dict[tuple[str, str, int], float] = {}

    def report_scalar(self, name: str, value: float, step: int, group: str) -> None:
        self.points[group, name, step] = value

    def close(self) -> None:
        """Nothing is left to send."""


@pytest.fixture
def board(monkeypatch) -> Board:
    """What every platform is here."""
    board = Board()
    monkeypatch.setattr("train.common.platforms.open_platform", lambda *_: board)
    monkeypatch.setattr("train.common.commands.open_platform", lambda *_: board)
    return board


def evaluated(board: Board) -> dict[tuple[str, int], float]:
    """The figures of milestones by name and step."""
    return {(name, step): value for (group, name, step), value in board.points.items() if group == "Eval"}


def test_a_2d_model_and_mas(tmp_path, board):
    clips = [(moving(60 + 5 * i, i), record(f"c{i}", "test" if i % 2 else "train")) for i in range(12)]
    write_folder(tmp_path / "data", clips, 20.0)
    run(
        "eval.train_evaluator", "--dataset mocap2d --datapath", tmp_path / "data", SMALL,
        "--train_batch_size 4 --num_steps 2 --threads 1 --save_dir", tmp_path / "evaluator",
    )  # fmt: skip
    flags = "--dataset mocap2d --eval_during_training --eval_num_samples 5 --eval_rep_times 2 --save_interval 2"
    evaluator = f"--evaluator_path {tmp_path / 'evaluator'} --subjects model mas --metrics_names fid --num_steps 4"
    folder = train(tmp_path / "run", tmp_path / "data", f"{flags} {evaluator}")
    assert set(evaluated(board)) == {(f"fid_{name}", step) for name in ("model", "mas") for step in (2, 4)}
    found = json.loads((folder / "checkpoint_4_eval_uniform.json").read_text())
    assert found["subjects"]["mas"]["fid"]["mean"] == evaluated(board)["fid_mas", 4]
    assert (folder / "checkpoint_2_eval_uniform.txt").read_text().startswith(" " * 24 + "fid")
    quiet = train(tmp_path / "quiet", tmp_path / "data", "--dataset mocap2d --num_steps 4 --save_interval 2")
    one, other = (checkpoint.load(path / "checkpoint_4.pth")["model"] for path in (folder, quiet))
    assert all((one[name] == other[name]).all() for name in one)


def test_a_text_model(tmp_path, board, monkeypatch):
    data = toy(tmp_path / "humanml", "humanml", 24)
    (data / "test.txt").write_text((data / "all.txt").read_text())
    write_words(tmp_path / "glove")
    write_evaluator(tmp_path / "t2m" / "text_mot_match" / "model" / "finest.tar")
    monkeypatch.chdir(tmp_path)
    flags = (
        "--dataset humanml --text_encoder_type minilm --eval_during_training --eval_num_samples 32 --eval_rep_times 1"
    )
    folder = train(tmp_path / "run", data, flags)
    names = {name for name, _ in evaluated(board)}
    assert {"FID_vald", "FID_ground truth", "top3_R_precision_vald", "Matching Score_vald", "Diversity_vald"} <= names
    log = (folder / "eval_humanml_000000003.log").read_text()
    assert f"---> [vald] FID: {evaluated(board)['FID_vald', 3]:.4f}" in log


def test_an_action_model(tmp_path, board, monkeypatch):
    data = humanact12_folder(tmp_path / "data", clips=24)
    recogniser_files(tmp_path / "recognisers")
    flags = "--dataset humanact12 --eval_during_training --eval_num_samples 12 --eval_rep_times 2 --evaluator_path"
    folder = train(tmp_path / "run", Path(data.datapath), f"{flags} {tmp_path / 'recognisers'}")
    assert {"accuracy_gen", "fid_gen", "fid_gt2"} <= {name for name, _ in evaluated(board)}
    assert list(folder.glob("evaluation_results_iter3_samp12_scale*_a2m.yaml"))


def test_what_is_missing_is_told_before_the_training(tmp_path, capsys):
    data = toy(tmp_path / "nba")
    line = refusal(
        capsys, 3, "train.train_mdm", "--datapath", data, "--save_dir", tmp_path / "run", TINY,
        "--eval_during_training --evaluator_path", tmp_path / "none",
    )  # fmt: skip
    assert "eval.train_evaluator" in line and not (tmp_path / "run").exists()


def test_figures_that_fail_do_not_end_the_training(tmp_path, capsys, monkeypatch):
    """Too few motions in the test part: a note, and the training goes on."""
    data = toy(tmp_path / "nba", "nba", 30)
    flags = f"--dataset nba --datapath {data} --train_batch_size 2 --num_steps 1 {SMALL}"
    run("eval.train_evaluator", flags, "--save_dir", tmp_path / "evaluator")
    folder = train(tmp_path / "run", data, f"--eval_during_training --evaluator_path {tmp_path / 'evaluator'}")
    assert (folder / "checkpoint_3.pth").is_file() and "(the training goes on)" in capsys.readouterr().err
