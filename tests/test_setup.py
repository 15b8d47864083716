"""Which build of torch `make setup` asks for, with a `uv` that installs nothing and writes down what it was told."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

CPU = "--torch-backend=cpu -c constraints.txt torch"
UV = """#!/bin/bash
echo "$*" >> "{log}"
if [ "$1" = venv ]; then
    mkdir -p "{venv}/bin"
    printf '#!/bin/bash\\n[ "$*" != "-m pip --disable-pip-version-check config list" ] || cat "{settings}"\\n' > "{venv}/bin/python"
    chmod +x "{venv}/bin/python"
fi
[ -z "{fails}" ] || [[ "$*" != *torch-backend* ]]
"""  # noqa: E501


@pytest.fixture(autouse=True)
def without_gpu():
    if not shutil.which("make") or shutil.which("nvidia-smi", path="/usr/bin:/bin") or os.uname().sysname != "Linux":
        pytest.skip("make on Linux without a GPU")


def setup(folder: Path, settings: str, fails: bool = False, *more: str) -> tuple[str, str]:
    """What uv was told and what was printed, where `settings` are those of pip."""
    log, venv, uv = folder / "log", folder / "venv", folder / "uv"
    (folder / "settings").write_text(settings)
    uv.write_text(UV.format(log=log, venv=venv, settings=folder / "settings", fails="yes" if fails else ""))
    uv.chmod(0o755)
    line = ["make", "setup", f"VENV={venv}", f"UV={uv}", *more]
    done = subprocess.run(
        line, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return log.read_text(), done.stdout


def test_the_cpu_build_where_there_is_no_gpu_whatever_indexes_there_are(tmp_path: Path):
    assert CPU in setup(tmp_path, "")[0]


def test_an_extra_index_changes_nothing(tmp_path: Path):
    assert CPU in setup(tmp_path, "global.extra-index-url='https://packages.example/simple'\n")[0]


def test_a_folder_of_packages_is_taken_as_it_is(tmp_path: Path):
    assert "torch-backend" not in setup(tmp_path, "global.find-links='/wheels'\n")[0]


def test_a_build_by_name(tmp_path: Path):
    assert "--torch-backend=cu130" in setup(tmp_path, "", False, "TORCH=cu130")[0]


def test_what_cannot_be_fetched_is_told_with_the_line_that_does_it_by_hand(tmp_path: Path):
    told, said = setup(tmp_path, "", True)
    assert CPU in told and "-r constraints.txt" in told, "the usual build follows"
    assert "pip install -c constraints.txt torch --index-url https://download.pytorch.org/whl/cpu" in " ".join(
        said.split()
    )
