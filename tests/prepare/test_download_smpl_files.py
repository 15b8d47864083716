"""`prepare/download_smpl_files.sh`: what a user's download becomes, and what is said without one."""

import pickle
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from utils.formats import smpl_files


def put(*arguments: object) -> subprocess.CompletedProcess[str]:
    script = ROOT / "prepare" / "download_smpl_files.sh"
    return subprocess.run(["bash", script, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def raw(golden: Path) -> bytes:
    """A small body as a pickle."""
    with np.load(golden / "mesh" / "smpl_like_body.npz") as packed:
        return pickle.dumps(dict(packed), 2)


def test_the_bodies_of_a_zip_get_their_names(raw: bytes, tmp_path: Path):
    source, folder = tmp_path / "SMPL python.zip", tmp_path / "body models"
    with zipfile.ZipFile(source, "w") as packed:
        packed.writestr("smpl/models/basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl", raw)
        packed.writestr("smpl/models/basicmodel_f_lbs_10_207_0_v1.1.0.pkl", raw)
        packed.writestr("smpl/other.pkl", b"not a body")
    done = put(source, folder)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["SMPL_FEMALE.pkl", "SMPL_NEUTRAL.pkl"]
    assert smpl_files.read(folder / "SMPL_NEUTRAL.pkl").template.shape == (200, 3)


def test_what_is_no_body_is_refused(raw: bytes, tmp_path: Path):
    folder = tmp_path / "models"
    (tmp_path / "SMPL_NEUTRAL.pkl").write_bytes(raw[:5000])
    for source, code, said in (
        (tmp_path / "SMPL_NEUTRAL.pkl", 4, "error: "),
        (tmp_path / "none.zip", 3, "does not exist"),
    ):
        done = put(source, folder)
        assert done.returncode == code
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_without_a_file_it_says_what_to_do():
    done = put()
    assert done.returncode == 2
    assert "register at https://smpl.is.tue.mpg.de" in done.stdout
