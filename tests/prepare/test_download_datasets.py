"""The download scripts of motion with actions, with a `gdown` that takes its archives from this machine."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT

ACTS, UESTC, REAL = "1130gHSvNyJmii7f6pv5aY5IyQIWc3t7R", "1LE-EmYNzECU8o7A2DmqDKtqDMucnSJsy", (
    "1KqOBTtLFgkvWSZb8ao-wdBMG7sTP3Q7d"
)  # fmt: skip
ARRAY = "humanact12_unconstrained_modi_struct.npy"


def fetch(place: Path, script: str, programs: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PATH": f"{programs}:/usr/bin:/bin"}
    line = ["bash", ROOT / "prepare" / script, place]
    return subprocess.run(line, env=env, capture_output=True, text=True, check=False)


def pack(path: Path, mode: str, files: dict[str, bytes]) -> None:
    with tarfile.open(path, mode) as packed:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))


@pytest.fixture
def gdown(tmp_path: Path) -> Path:
    """A folder with a `gdown` that copies the file called by the link's ID from beside itself."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gdown").write_text('#!/bin/bash\ncp "$(dirname "$0")/${1##*=}" "$3" 2>/dev/null\n')
    (folder / "gdown").chmod(0o755)
    pack(folder / ACTS, "w:gz", {"HumanAct12Poses/humanact12poses.pkl": b"poses"})
    pack(folder / UESTC, "w:bz2", {"uestc/vibe_cache_refined.pkl": b"vibe", "uestc/info/names.txt": b"a\n"})
    with open(folder / REAL, "wb") as handle:
        np.save(handle, np.zeros((2, 16, 3, 60), np.float32))
    return folder


def test_the_archives_become_folders(tmp_path: Path, gdown: Path):
    place = tmp_path / "data sets"
    done = fetch(place, "download_a2m_datasets.sh", gdown)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in place.iterdir()} == {"HumanAct12Poses", "uestc"}
    assert (place / "HumanAct12Poses" / "humanact12poses.pkl").read_bytes() == b"poses"
    assert (place / "uestc" / "info" / "names.txt").read_bytes() == b"a\n"
    done = fetch(place, "download_unconstrained_datasets.sh", gdown)
    assert done.returncode == 0 and "HumanAct12Poses is there already" in done.stdout, done.stderr
    assert np.load(place / "HumanAct12Poses" / ARRAY).shape == (2, 16, 3, 60)
    assert fetch(place, "download_unconstrained_datasets.sh", gdown).stdout.count("is there already") == 2
    assert not list(place.rglob(".tmp-*"))


def test_what_is_not_the_dataset_is_not_kept(tmp_path: Path, gdown: Path):
    (gdown / REAL).write_text("<html>too many downloads</html>")
    done = fetch(tmp_path / "place", "download_unconstrained_datasets.sh", gdown)
    assert done.returncode == 4 and f"what came for {ARRAY} is no array" in done.stderr
    assert [path.name for path in (tmp_path / "place" / "HumanAct12Poses").iterdir()] == ["humanact12poses.pkl"]
    pack(gdown / UESTC, "w:bz2", {"uestc/other": b""})
    done = fetch(tmp_path / "place", "download_a2m_datasets.sh", gdown)
    assert done.returncode == 4 and "has no uestc/vibe_cache_refined.pkl" in done.stderr
    (gdown / UESTC).write_text("<html>too many downloads</html>")
    done = fetch(tmp_path / "place", "download_a2m_datasets.sh", gdown)
    assert done.returncode == 4 and "no zip archive and no tar archive" in done.stderr
    assert not (tmp_path / "place" / "uestc").exists()


def test_a_dead_link_is_told_with_what_to_do(tmp_path: Path, gdown: Path):
    (gdown / ACTS).unlink()
    done = fetch(tmp_path / "place", "download_a2m_datasets.sh", gdown)
    assert done.returncode == 3 and f"https://drive.google.com/file/d/{ACTS}/view" in done.stderr
    assert "where the link is dead, dataset/README.md says whom to ask" in done.stderr
    assert "motion-diffusion-model" in (ROOT / "dataset" / "README.md").read_text()
    (gdown / "gdown").unlink()
    assert "pip install gdown" in fetch(tmp_path / "place", "download_a2m_datasets.sh", gdown).stderr
