"""Where a folder of our own holds out too few clips, what holds out more is named."""

import shutil
from pathlib import Path

import pytest

from data_loaders.registry import dataset_spec
from eval.common.held_out import held_out_part
from eval.recognition.classifier import load_real
from tests.commands import refusal, run
from utils.run.errors import DataError, MissingFileError

ADVICE = r"`python -m prepare.humanml --test_share 0\.5` holds out half of the clips"


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder that `train.txt` gives three clips, and that holds out none."""
    run("prepare.toy_motion", "--dataset mocap --num_motions 3", "--output_dir", tmp_path / "mocap")
    folder = tmp_path / "mocap"
    (folder / "train.txt").write_text((folder / "all.txt").read_text())
    (folder / "test.txt").write_text("")
    return folder


def test_the_classifier_of_prompts(three: Path):
    with pytest.raises(DataError, match=f"names no clip.*{ADVICE}"):
        load_real(three, "test")
    (three / "test.txt").unlink()
    with pytest.raises(MissingFileError, match=ADVICE):
        load_real(three, "test")


def test_the_evaluation_of_a_text_model(three: Path, capsys):
    line = "--model_path save/mocap_text --evaluator_path save/evaluator/mocap_text --threads 1 --datapath"
    assert "--test_share 0.5" in refusal(capsys, 4, "eval.eval_humanml", line, three)
    shutil.copy(three / "all.txt", three / "test.txt")
    said = refusal(capsys, 4, "eval.eval_humanml", line, three)
    assert "R-precision compares 32" in said and "--test_share 0.5" in said and len(said) <= 300


def test_a_folder_that_is_not_there_or_not_ours_gets_no_such_advice(tmp_path: Path):
    for name in ("mocap", "humanml"):
        (tmp_path / "train.txt").unlink(missing_ok=True)
        if name == "humanml":
            (tmp_path / "train.txt").write_text("a")
        with pytest.raises(DataError, match="^few$"), held_out_part(dataset_spec(name), str(tmp_path)):
            raise DataError("few")
