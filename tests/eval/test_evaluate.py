"""eval.evaluate as a command: tables and records, 2D and 3D truth, the same on two ranks and after a kill, refusals."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.commands import TINY, listing, refusal, run, toy, train
from tests.people import moving, record, write_folder
from utils.run.arrays import load_archive
from utils.run.folders import RECORD

ROOT = Path(__file__).parents[2]
SMALL = "--e_latent_dim 8 --e_num_layers 1 --e_num_heads 2 --e_ff_size 16"
FEW = "--eval_num_samples 6 --num_eval_iterations 2 --num_views 2 --motion_length 1.5 --threads 1"
ALL = "train_data test_data model flat mas no_3d_noise"


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """3D clips, a 2D model and evaluators of 2D and 3D motion that saw them for a few updates."""
    folder = tmp_path_factory.mktemp("people")
    clips = [(moving(60 + 5 * i, i), record(f"c{i}", "test" if i % 2 else "train")) for i in range(12)]
    write_folder(folder / "data", clips, 20.0)
    train(folder / "model", folder / "data", "--dataset mocap2d", TINY)
    for truth in ("2d", "3d"):
        run(
            "eval.train_evaluator", "--dataset mocap2d --datapath", folder / "data", "--truth", truth, SMALL,
            "--train_batch_size 4 --num_steps 3 --threads 1 --save_dir", folder / f"evaluator_{truth}",
        )  # fmt: skip
    return folder


def evaluate(people: Path, out: Path, flags: str = "", truth: str = "2d") -> tuple[str, dict]:
    """The table and the record of an evaluation whose motions are kept in `out`."""
    run("eval.evaluate", *arguments(people, out, flags, truth))
    stem = out / f"checkpoint_3_eval_{'3d' if truth == '3d' else 'uniform'}"
    return stem.with_suffix(".txt").read_text(), json.loads(stem.with_suffix(".json").read_text())


def arguments(people: Path, out: Path, flags: str = "", truth: str = "2d") -> list:
    subjects = ALL if truth == "2d" else ALL.replace("model ", "")
    return [
        "--model_path", people / "model", "--datapath", people / "data", "--truth", truth, "--subjects", subjects,
        "--evaluator_path", people / f"evaluator_{truth}", "--output_dir", out, "--samples_dir", out / "samples", FEW,
        flags,
    ]  # fmt: skip


def test_a_table_its_record_and_example_motions(people, tmp_path, capsys):
    text, found = evaluate(people, tmp_path, "--vis_subjects model mas --num_visualize_samples 1")
    out = capsys.readouterr().out
    assert text in out and f"Saved eval log to [{tmp_path / 'checkpoint_3_eval_uniform.txt'}]" in out
    rows = [line[:24].strip() for line in text.splitlines()]
    assert rows == ["", *ALL.split()] and "fid " in text.splitlines()[0]
    assert list(found["subjects"]) == sorted(ALL.split())
    for subject in ALL.split():
        for name in ("fid", "diversity", "precision", "recall"):
            each = found["subjects"][subject][name]
            assert len(each["values"]) == 2 and np.isfinite(each["values"]).all()
            assert each["mean"] == pytest.approx(np.mean(each["values"]))
    assert len(set(found["subjects"]["mas"]["fid"]["values"])) == 2, "iterations are sets of their own"
    assert found["evaluator"]["sha256"] and found["settings"]["bones"] == "raw" and found["provenance"]["seed"] == 0
    examples = load_archive(tmp_path / "checkpoint_3_eval_uniform_examples.npz")
    assert examples["mas/worst/1"].shape[1:] == (16, 2) and len(examples) == 6 * len(ALL.split())
    distances = [found["examples"]["mas"][kind][0]["distance"] for kind in ("best", "median", "worst")]
    assert distances == sorted(distances)
    videos = sorted(path.name for path in (tmp_path / "checkpoint_3_eval_uniform_videos").iterdir())
    assert videos == [RECORD, "mas_sample_0.mp4", "model_sample_0.mp4"]


def test_the_same_seed_prints_the_same_table_and_another_does_not(people, tmp_path):
    first, second = (evaluate(people, tmp_path / name) for name in "ab")
    assert first[0] == second[0] and first[1]["subjects"] == second[1]["subjects"]
    assert evaluate(people, tmp_path / "c", "--seed 1")[1]["subjects"] != first[1]["subjects"]


def test_real_3d_motion_as_referee(people, tmp_path):
    """The same motions, kept by the first evaluation, are held against 3D truth by the second."""
    evaluate(people, tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "samples").glob("*.npz")}
    text, found = evaluate(people, tmp_path, "--resume", truth="3d")
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "samples").glob("*.npz")}
    assert found["truth"] == "3d" and "model" not in found["subjects"] and len(text.splitlines()) == 6
    examples = load_archive(tmp_path / "checkpoint_3_eval_3d_examples.npz")
    assert examples["flat/best/0"].shape[1:] == (16, 3)


def test_further_iterations_leave_the_first_as_they_were(people, tmp_path):
    _, two = evaluate(people, tmp_path)
    _, three = evaluate(people, tmp_path, "--resume --num_eval_iterations 3")
    for subject in ALL.split():
        assert three["subjects"][subject]["fid"]["values"][:2] == two["subjects"][subject]["fid"]["values"]


def test_every_motion_is_made_and_encoded_once_and_real_data_loaded_once(people, tmp_path, monkeypatch):
    made, encoded, loaded = [], [], []

    def counting(module: str, name: str, note) -> None:
        owner = importlib.import_module(module)
        for part in name.split(".")[:-1]:
            owner = getattr(owner, part)
        real = getattr(owner, name.split(".")[-1])
        monkeypatch.setattr(owner, name.split(".")[-1], lambda *args, **more: (note(*args), real(*args, **more))[1])

    counting(
        "eval.mas.subjects",
        "generate",
        lambda session, request, subject, _: made.append((subject, len(request.lengths))),
    )
    counting("eval.mas.evaluators", "Evaluator.encode", lambda _, motions, lengths: encoded.append(len(lengths)))
    counting("eval.mas.subjects", "load_dataset", lambda spec, data, *_: loaded.append(data.data_split))
    evaluate(people, tmp_path)
    assert sorted(made) == sorted([(subject, 6) for subject in ("model", "mas", "no_3d_noise")] * 2)
    assert sum(encoded) == 6 * 2 * (1 + len(ALL.split()))
    assert sorted(loaded) == ["test", "train"]


def command(people: Path, out: Path, flags: str = "") -> list[str]:
    return [word for part in arguments(people, out, flags) for word in str(part).split()]


@pytest.mark.slow
def test_two_ranks_give_the_table_of_one(people, tmp_path):
    text, found = evaluate(people, tmp_path / "one")
    ranks = [Path(sys.executable).with_name("torchrun"), "--standalone", "--nproc-per-node", "2", "-m", "eval.evaluate"]
    done = subprocess.run(
        [*map(str, ranks), *command(people, tmp_path / "two")], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("train_data") == 1
    assert (tmp_path / "two" / "checkpoint_3_eval_uniform.txt").read_text() == text
    again = json.loads((tmp_path / "two" / "checkpoint_3_eval_uniform.json").read_text())
    assert again["subjects"] == found["subjects"]


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_to_the_same_table(people, tmp_path):
    text, found = evaluate(people, tmp_path / "whole")
    line = [sys.executable, "-m", "eval.evaluate", *command(people, tmp_path / "killed")]
    process = subprocess.Popen(line, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    samples, deadline = tmp_path / "killed" / "samples", time.monotonic() + 120
    while len(list(samples.glob("[!.]*.npz"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = {path.name: path.stat().st_mtime_ns for path in samples.glob("[!.]*.npz")}
    assert len(made) >= 2 and not list((tmp_path / "killed").glob("*.txt"))
    again, record_again = evaluate(people, tmp_path / "killed", "--resume")
    assert again == text and record_again["subjects"] == found["subjects"]
    assert made.items() <= {path.name: path.stat().st_mtime_ns for path in samples.glob("*.npz")}.items()


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--subjects mass", "did you mean mas?"),
        ("--metrics_names fld", "did you mean fid?"),
        ("--subjects motionBert", "its predictions are those of nba"),
        ("--truth 3d --subjects model", "it makes 2D motion; with --truth 3d choose from"),
        ("--truth 3d --subjects mas", "is for 2D motion, not 3D"),
        ("--vis_subjects dreamfusion", "--vis_subjects dreamfusion: name it in --subjects too"),
        ("--eval_num_samples 1", "is less than 2"),
    ],
)
def test_what_cannot_be_asked_for(people, tmp_path, capsys, flags, said):
    before = listing(people)
    assert said in refusal(capsys, 2, "eval.evaluate", *arguments(people, tmp_path / "out"), flags)
    assert listing(people) == before and not (tmp_path / "out").exists()


def test_what_is_missing_or_too_little(people, tmp_path, capsys):
    line = refusal(capsys, 3, "eval.evaluate", *arguments(people, tmp_path), "--evaluator_path", tmp_path / "none")
    assert "eval.train_evaluator" in line
    data = toy(tmp_path / "nba", "nba", 60)
    train(tmp_path / "model", data)
    flags = f"--dataset nba --datapath {data} --train_batch_size 2 --num_steps 1 {SMALL}"
    run("eval.train_evaluator", flags, "--save_dir", tmp_path / "evaluator")
    own = ["--model_path", tmp_path / "model", "--datapath", data, "--evaluator_path", tmp_path / "evaluator"]
    line = refusal(capsys, 4, "eval.evaluate", *own, "--subjects model")
    assert "lower that" in line and "--eval_num_samples 1024" in line
    line = refusal(capsys, 3, "eval.evaluate", *own, "--eval_num_samples 2 --subjects ElePose")
    assert "elepose_predictions" in line
    (data / "elepose_predictions").mkdir()
    clips = np.zeros((2, 5, 17, 3), np.float32)
    clips[1, 3, 0, 0] = np.nan
    for k, clip in enumerate(clips):
        np.save(data / "elepose_predictions" / f"{k}.npy", clip)
    line = refusal(capsys, 4, "eval.evaluate", *own, "--eval_num_samples 2 --subjects ElePose")
    assert "1.npy holds NaN or infinity in frame 3" in line
    line = refusal(capsys, 2, "eval.evaluate", *own, "--evaluator_path", people / "evaluator_2d")
    assert "trained for mocap2d" in line


def test_predictions_of_other_programs(tmp_path, shared):
    """The published run's dataset, predictions and evaluator: every subject gives figures, one angle a sample."""
    given = shared / "golden" / "mas" / "cli_eval"
    data = tmp_path / "nba"
    files = {"motions": "dataset_nba"} | dict.fromkeys(
        ("motionBert_predictions", "elepose_predictions"), "predictions17"
    )
    for folder, file in files.items():
        (data / folder).mkdir(parents=True)
        packed = load_archive(given / f"{file}.npz")
        clips = np.split(packed["frames"].astype(np.float32), np.cumsum(packed["lengths"])[:-1])
        for k, clip in enumerate(clips):
            np.save(data / folder / f"e{k:03d}.npy", clip)
    model = shutil.copytree(shared / "golden" / "mas" / "cli" / "nba", tmp_path / "model")
    run(
        "eval.evaluate", "--model_path", model / "checkpoint_20.pth", "--datapath", data, "--evaluator_path",
        given / "evaluator" / "checkpoint_5.pth", "--subjects", "ElePose motionBert",
        "--eval_num_samples 12 --num_eval_iterations 2 --threads 1 --compat published --angle_mode side",
    )  # fmt: skip
    rows = (model / "checkpoint_20_eval_side.txt").read_text().splitlines()
    assert [row.split()[0] for row in rows] == ["fid", "ElePose", "motionBert"]


def test_figures_of_the_published_encodings(shared):
    """What the published program found for its encodings (`cli_eval`)."""
    from eval.metrics.distances import frechet_distance, precision_recall

    values = load_archive(shared / "golden" / "mas" / "cli_eval" / "values.npz")
    for subject in ("ElePose", "motionBert", "train_data", "model", "mas", "no_3d_noise"):
        encoded, real = values[f"enc/{subject}"], values["enc/test_data"]
        wanted = {name: values[f"iter0/{subject}/{name}"][0] for name in ("fid", "precision", "recall")}
        assert frechet_distance(encoded, real) == pytest.approx(wanted["fid"], rel=1e-5)
        assert precision_recall(encoded, real) == (wanted["precision"], wanted["recall"])
