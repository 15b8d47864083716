"""The whole command on toy people: log and record, the same again, after an interruption, on two ranks, refusals."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eval.reporting import record
from eval.text.scores import TextEvaluation
from tests.commands import refusal, run, words
from tests.conftest import ROOT
from tests.evaluators import write_evaluator, write_words

TINY = (
    "--arch trans_enc --layers 1 --latent_dim 16 --num_heads 2 --ff_size 16 --train_batch_size 4 --diffusion_steps 3 "
    "--threads 1 --num_steps 2 --save_interval 2 --text_encoder_type minilm"
)
FEW = "--eval_mode debug --eval_rep_times 2 --eval_num_samples 96 --threads 1"
NAME = "eval_humanml_run_2_gscale2.5_debug"
ENTRY = "eval.eval_humanml"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Toy people whose test part is all of them: 48."""
    folder = tmp_path_factory.mktemp("toy") / "humanml"
    run("prepare.toy_motion", "--dataset humanml --num_motions 24", "--output_dir", folder)
    (folder / "test.txt").write_text((folder / "all.txt").read_text())
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "run"
    run("train.train_mdm", "--dataset humanml", "--datapath", data, "--save_dir", folder, TINY)
    return folder


@pytest.fixture
def model(trained, tmp_path) -> Path:
    """A copy of the model's folder, to write beside."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def evaluators(tmp_path, monkeypatch) -> Path:
    """The working folder, which holds the evaluator where the published download puts it."""
    write_words(tmp_path / "glove")
    write_evaluator(tmp_path / "t2m" / "text_mot_match" / "model" / "finest.tar")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def timeless(log: Path) -> list[str]:
    """The lines of a log but for its times."""
    return [line for line in log.read_text().splitlines() if not line.startswith("Time: ")]


def test_log_record_and_examples(data, model, evaluators, capsys):
    run(ENTRY, "--model_path", model, "--datapath", data, FEW, "--max_batch 16")
    said = capsys.readouterr().out
    log = model / f"{NAME}.log"
    assert log.read_text() in said and f"Saved eval log to [{log}]" in said
    assert "fewer than 300 pairs: 31 of ground truth, 95 of vald" in said
    lines = timeless(log)
    assert lines[0] == "==================== Replication 0 ===================="
    assert re.fullmatch(r"---> \[vald\] R_precision: (\(top \d\): [01]\.\d{4} ){3}", lines[4])
    assert lines.count("!!! DONE !!!") == 2
    found = record.read(model / f"{NAME}.json")
    record.check_comparable({"a": found, "b": found})
    assert (found["kind"], found["dataset"], found["evaluator"]["name"]) == ("text", "humanml", "t2m")
    assert found["settings"]["eval_num_samples"] == 96 and found["settings"]["eval_rep_times"] == 2
    fid = found["subjects"]["vald"]["fid"]
    assert len(fid["values"]) == 2 and f"---> [vald] FID: {fid['values'][1]:.4f}" in lines
    summary = lines[lines.index("========== FID Summary ==========") + 2]
    assert summary == f"---> [vald] Mean: {fid['mean']:.4f} CInterval: {fid['interval']:.4f}"
    with np.load(model / f"{NAME}_examples.npz") as kept:
        for of in found["examples"]["vald"].values():
            for entry in of:
                assert kept[entry["motion"]].shape[1:] == (22, 3) and entry["title"]
    distances = [found["examples"]["vald"][kind][0]["distance"] for kind in ("best", "median", "worst")]
    assert distances == sorted(distances)
    assert (model / f"{NAME}.txt").read_text().startswith(" " * 24 + "matching_score")


def test_the_same_again_and_after_an_interruption(data, model, evaluators, monkeypatch, capsys):
    asked = words("--model_path", model, "--datapath", data, FEW)
    run(ENTRY, *asked)
    first, figures = timeless(model / f"{NAME}.log"), json.loads((model / f"{NAME}.json").read_text())["subjects"]
    run(ENTRY, *asked)
    assert timeless(model / f"{NAME}.log") == first
    (model / f"{NAME}.log").unlink()
    generate, done = TextEvaluation.generate, []

    def killed(evaluation, ask, *unit):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(unit)
        return generate(evaluation, ask, *unit)

    monkeypatch.setattr(TextEvaluation, "generate", killed)
    with pytest.raises(KeyboardInterrupt):
        run(ENTRY, *asked)
    assert not (model / f"{NAME}.log").exists()
    monkeypatch.setattr(TextEvaluation, "generate", lambda *parts: (done.append(parts[2:]), generate(*parts))[1])
    capsys.readouterr()
    run(ENTRY, *asked, "--resume")
    assert "units were there already" in capsys.readouterr().err
    assert len(done) == len(set(done)) == 4, "each unit is made once"
    assert timeless(model / f"{NAME}.log") == first
    assert json.loads((model / f"{NAME}.json").read_text())["subjects"] == figures


def test_neither_memory_nor_the_number_of_replications_changes_a_figure(data, model, evaluators):
    run(ENTRY, "--model_path", model, "--datapath", data, FEW)
    whole = record.read(model / f"{NAME}.json")["subjects"]["vald"]["fid"]["values"]
    once = FEW.replace("--eval_rep_times 2", "--eval_rep_times 1")
    run(ENTRY, "--model_path", model, "--datapath", data, once, "--max_batch 7 --output_dir", evaluators / "other")
    alone = record.read(evaluators / "other" / f"{NAME}.json")["subjects"]["vald"]["fid"]["values"]
    assert alone == pytest.approx(whole[:1], rel=1e-4)


def test_units_of_other_settings_are_not_mixed_in(data, model, evaluators, capsys):
    asked = words("--model_path", model, "--datapath", data, "--eval_mode debug --eval_rep_times 1 --threads 1")
    run(ENTRY, *asked, "--eval_num_samples 32")
    said = refusal(capsys, 2, ENTRY, *asked, "--eval_num_samples 64 --resume")
    assert "eval_num_samples 32, now it is 64" in said
    write_evaluator(evaluators / "t2m" / "text_mot_match" / "model" / "finest.tar", seed=1)
    said = refusal(capsys, 2, ENTRY, *asked, "--eval_num_samples 32 --resume")
    assert "evaluator_sha256" in said


@pytest.mark.slow
def test_two_ranks_find_the_same(data, model, evaluators):
    asked = words("--model_path", model, "--datapath", data, FEW)
    run(ENTRY, *asked)
    first = timeless(model / f"{NAME}.log")
    (model / f"{NAME}.log").unlink()
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", ENTRY, *asked]
    done = subprocess.run(
        line, cwd=evaluators, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    assert timeless(model / f"{NAME}.log") == first


def test_bad_input_is_one_sentence(data, model, evaluators, capsys, tmp_path):
    asked = words("--model_path", model, "--datapath", data, "--eval_mode debug")
    said = refusal(capsys, 2, ENTRY, *asked, "--text_prompt", "walks")
    assert "--text_prompt means nothing here" in said
    said = refusal(capsys, 2, ENTRY, *asked, "--autoregressive_init isaac")
    assert "no simulator" in said
    said = refusal(capsys, 2, ENTRY, *asked, "--eval_mode short")
    assert "wo_mm" in said
    kit = write_evaluator(tmp_path / "kit" / "finest.tar", features=251)
    said = refusal(capsys, 4, ENTRY, *asked, "--evaluator_path", kit)
    assert "251 features a frame, humanml has 263" in said
    shutil.rmtree(evaluators / "glove")
    said = refusal(capsys, 3, ENTRY, *asked)
    assert "our_vab_data.npy, our_vab_words.pkl, our_vab_idx.pkl" in said and "download_glove.sh" in said
    shutil.rmtree(evaluators / "t2m")
    said = refusal(capsys, 3, ENTRY, *asked)
    assert "t2m/text_mot_match/model/finest.tar" in said and "download_t2m_evaluators.sh" in said
    assert not list(model.glob("eval_humanml*")), "nothing was written"


def test_a_model_that_reads_nothing_is_refused(data, evaluators, tmp_path, capsys):
    folder = tmp_path / "silent"
    run("train.train_mdm", "--dataset humanml --unconstrained --datapath", data, "--save_dir", folder, TINY)
    said = refusal(capsys, 2, ENTRY, "--model_path", folder, "--datapath", data)
    assert "models that read sentences" in said


def test_the_means_on_a_platform(data, model, evaluators, monkeypatch):
    points, closed = {}, []

    class Board:
        def report_scalar(self, name: str, value: float, step: int, group: str) -> None:
            points[group, name] = (value, step)

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr("train.common.platforms.check_platform", lambda name: None)
    monkeypatch.setattr("train.common.platforms.open_platform", lambda *_: Board())
    run(ENTRY, "--model_path", model, "--datapath", data, FEW, "--train_platform_type WandBPlatform")
    fid = record.read(model / f"{NAME}.json")["subjects"]["vald"]["fid"]["mean"]
    assert points["Eval", "FID_vald"] == (pytest.approx(fid), 2)
    assert ("Eval", "Matching Score_ground truth") in points and closed == [True]


def test_a_platform_that_is_not_installed(data, model, evaluators, capsys):
    said = refusal(
        capsys, 3, ENTRY, "--model_path", model, "--datapath", data, FEW, "--train_platform_type WandBPlatform"
    )
    assert "wandb" in said and "pip install" in said
