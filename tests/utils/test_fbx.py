"""FBX without Blender: what is said. With it: tests/clients/test_blender.py."""

import sys
from pathlib import Path

import pytest

from utils.formats import fbx
from utils.formats.fbx_in_blender import take
from utils.run import blender
from utils.run.errors import DataError, MissingFileError

START = b"Kaydara FBX Binary  \x00\x1a\x00" + bytes(100)


def test_without_blender_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(blender.VARIABLE, str(tmp_path / "nothing"))
    (tmp_path / "a.fbx").write_bytes(START)
    with pytest.raises(MissingFileError, match="is no program: install Blender, or bpy .* and set POLYKINE_BLENDER"):
        fbx.read(tmp_path / "a.fbx")
    with pytest.raises(MissingFileError, match="b.fbx does not exist"):
        fbx.read(tmp_path / "b.fbx")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"; FBX 7.3.0 project file\n", "FBX as text.*save it as binary FBX"),
        (b"glTF", "does not begin"),
        (b"", "begin"),
    ],
)
def test_what_is_no_binary_fbx_is_said_without_asking_blender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
):
    monkeypatch.setenv(blender.VARIABLE, str(tmp_path / "nothing"))
    (tmp_path / "a.fbx").write_bytes(content)
    with pytest.raises(DataError, match=said):
        fbx.read(tmp_path / "a.fbx")


def test_a_program_that_writes_nothing_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A python without bpy in the place of Blender; one that sleeps."""
    monkeypatch.setenv(blender.VARIABLE, sys.executable)
    (tmp_path / "a.fbx").write_bytes(START)
    with pytest.raises(DataError, match="Blender could not read .*a.fbx: .*No module named 'bpy'"):
        fbx.read(tmp_path / "a.fbx")
    with pytest.raises(DataError, match="nothing came within 0 s"):
        blender.run([sys.executable, "-c", "import time; time.sleep(9)"], tmp_path / "b", "nothing came", timeout=0.2)
    assert [item.name for item in tmp_path.iterdir()] == ["a.fbx"]


def test_names_of_takes():
    takes = ["walk", "walk|fast", "Rig|Rig|sit"]
    assert take("walk|BaseLayer", takes) == "walk" and take("walk|fast|BaseLayer", takes) == "walk|fast"
    assert take("Rig|Rig|sit", takes) == "Rig|Rig|sit" and take("other|Layer", takes) == "other|Layer"
