"""The scripts that fetch recognisers of actions, with programs that fetch nothing in place of curl and gdown."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from model.evaluators.action_recognition import FILES
from tests.conftest import ROOT


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """A folder of programs: curl and gdown copy `files/<last part of the link>` to where they are told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "files").mkdir()
    for name, link, target in (("curl", 5, 7), ("gdown", 2, 4)):
        program = folder / name
        program.write_text(f'#!/usr/bin/env bash\nlink=${link}\ncp "{tmp_path}/files/${{link##*[/=]}}" "${target}"\n')
        program.chmod(0o755)
    return folder


def fetch(script: str, folder: Path, programs: Path | None) -> subprocess.CompletedProcess[str]:
    path = f"{programs}:/usr/bin:/bin" if programs else "/usr/bin:/bin"
    command = ["bash", ROOT / "prepare" / script, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path})


def put(folder: Path, kind: str, name: str) -> None:
    weights = FILES[kind].build().state_dict()
    torch.save({"model": weights} if kind == "humanact12" else weights, folder / "files" / name)


def test_what_is_fetched_is_checked_and_kept(tmp_path: Path, bin_folder: Path):
    put(tmp_path, "humanact12", "action_recognition_model_humanact12.tar")
    put(tmp_path, "uestc", "1bSSD69s1dHY7Uk0RGbGc6p7uhUxSDSBK")
    put(tmp_path, "poses", "1xfigimkPxKt3a8zvn_ME_NAR6CyTqneK")
    there = tmp_path / "action recognition"
    for script in ("download_recognition_models.sh", "download_recognition_unconstrained_models.sh"):
        done = fetch(script, there, bin_folder)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in there.iterdir()) == sorted(file.name for file in FILES.values())
    before = {path: path.stat().st_mtime_ns for path in there.iterdir()}
    assert "is there already" in fetch("download_recognition_models.sh", there, None).stdout
    assert {path: path.stat().st_mtime_ns for path in there.iterdir()} == before


def test_what_is_not_the_network_is_not_kept(tmp_path: Path, bin_folder: Path):
    (tmp_path / "files" / "1xfigimkPxKt3a8zvn_ME_NAR6CyTqneK").write_text("<html>too many downloads</html>")
    done = fetch("download_recognition_unconstrained_models.sh", tmp_path / "there", bin_folder)
    assert done.returncode == 4 and "is not it" in done.stderr and "Traceback" not in done.stderr
    assert list((tmp_path / "there").iterdir()) == []


def test_what_cannot_be_fetched_is_said(tmp_path: Path, bin_folder: Path):
    (bin_folder / "gdown").unlink()
    done = fetch("download_recognition_unconstrained_models.sh", tmp_path / "there", bin_folder)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 3 and "pip install gdown" in lines[-1] and "with a browser" in lines[-1]
    assert len(lines) == 1 and list((tmp_path / "there").iterdir()) == []
