"""Commands work from any folder: what the project carries is found there, the user's paths are relative to the user."""

import os
import subprocess
import sys
from pathlib import Path

from tests.commands import run
from utils.run.project import ROOT, found


def test_what_the_user_has_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert found("save/mocap2d") == str(ROOT / "save" / "mocap2d") and found("./assets") == str(ROOT / "assets")
    for path in ("nowhere", "", "../save/mocap2d", str(tmp_path / "save"), "."):
        assert found(path) == path
    (tmp_path / "save" / "mocap2d").mkdir(parents=True)
    assert found("save/mocap2d") == "save/mocap2d" and found(Path("save/mocap_text")) == str(ROOT / "save/mocap_text")


def test_shipped_weights_and_prompts_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kinds.txt").write_text("walk\n")
    fast = "--motion_length 0.5 --sampling_steps 2 --sampler ddim --seed 3"
    run("sample.generate", "--action_file kinds.txt --model_path save/mocap2d --output_dir out", fast)
    assert (tmp_path / "out" / "results.npy").is_file()


def test_a_process_elsewhere(tmp_path):
    line = [sys.executable, "-m", "sample.generate", "--text_prompt", "x", "--num_samples", "1", "--output_dir", "out"]
    line += ["--motion_length", "0.5", "--sampling_steps", "2", "--sampler", "ddim"]
    subprocess.run(line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    assert (tmp_path / "out" / "results.npy").is_file()
