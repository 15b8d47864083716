"""The download scripts of the published evaluators, with a `gdown` that takes its archive from this machine."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

FINEST = "text_mot_match/model/finest.tar"


def fetch(place: Path, script: str = "download_t2m_evaluators.sh", path: str = "") -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PATH": f"{path}:/usr/bin:/bin"}
    line = ["bash", ROOT / "prepare" / script, place]
    return subprocess.run(line, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "with a blank"
    folder.mkdir()
    return folder


@pytest.fixture
def gdown(tmp_path: Path) -> Path:
    """A folder with a `gdown` that copies `<id>.zip` from beside itself."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gdown").write_text('#!/bin/bash\ncp "$(dirname "$0")/${1##*=}.zip" "$3" 2>/dev/null\n')
    (folder / "gdown").chmod(0o755)
    for name, identity in (("t2m", "1O_GUHgjDbl2tgbyfSwZOUYXDACnk25Kb"), ("kit", "12liZW5iyvoybXD8eOw4VanTgsMtynCuU")):
        with zipfile.ZipFile(folder / f"{identity}.zip", "w") as packed:
            packed.writestr(f"{name}/{FINEST}", b"weights of " + name.encode())
            packed.writestr(f"{name}/Comp_v6_KLD01/meta/mean.npy", b"more")
    return folder


def test_the_archives_become_folders(place: Path, gdown: Path):
    done = fetch(place, path=str(gdown))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in place.iterdir()} == {"t2m", "kit"}
    assert (place / "kit" / FINEST).read_bytes() == b"weights of kit"
    (place / "t2m" / FINEST).write_bytes(b"mine")
    again = fetch(place, path=str(gdown))
    assert again.returncode == 0 and "is there already" in again.stdout
    assert (place / "t2m" / FINEST).read_bytes() == b"mine"


def test_what_is_not_the_archive_is_not_kept(place: Path, gdown: Path):
    with zipfile.ZipFile(gdown / "1O_GUHgjDbl2tgbyfSwZOUYXDACnk25Kb.zip", "w") as packed:
        packed.writestr("t2m/other", b"")
    done = fetch(place, path=str(gdown))
    assert done.returncode == 4 and f"has no t2m/{FINEST}" in done.stderr
    (gdown / "1O_GUHgjDbl2tgbyfSwZOUYXDACnk25Kb.zip").write_bytes(b"<html>too many downloads</html>")
    done = fetch(place, path=str(gdown))
    assert done.returncode == 4 and "no zip archive" in done.stderr
    done = fetch(place, "download_glove.sh", str(gdown))
    assert done.returncode == 3 and "glove could not be fetched" in done.stderr
    assert list(place.iterdir()) == []


def test_without_gdown_it_says_what_to_do(place: Path):
    done = fetch(place)
    assert done.returncode == 3 and "pip install gdown" in done.stderr
    assert list(place.iterdir()) == []
