"""The Khronos validator has nothing to say about our GLB files: no error, warning, information or hint.

Needs node and the package gltf-validator: `npm install gltf-validator` in this folder or one above it, or NODE_PATH.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from body.retarget import character as characters
from tests import rigs, skinned
from utils.formats import glb

pytestmark = pytest.mark.clients
SCRIPT = """
const validator = require('gltf-validator'), fs = require('fs');
Promise.all(process.argv.slice(1).map(path => validator.validateBytes(new Uint8Array(fs.readFileSync(path)))))
    .then(reports => console.log(JSON.stringify(reports.map(report => report.issues))));
"""


@pytest.fixture(scope="module")
def node() -> str:
    program = shutil.which("node")
    look = [program or "", "-e", "require('gltf-validator')"]
    if not program or subprocess.run(look, cwd=Path(__file__).parent, capture_output=True).returncode:
        pytest.skip("needs node and `npm install gltf-validator` (found beside the tests or through NODE_PATH)")
    return program


def validate(node: str, *paths: Path) -> list[dict]:
    line = [node, "-e", SCRIPT, *map(str, paths)]
    return json.loads(
        subprocess.run(line, cwd=Path(__file__).parent, capture_output=True, check=True, timeout=60).stdout
    )


def test_nothing_to_say(node: str, tmp_path: Path):
    from body.models import load_body

    egg, free = skinned.body(influences=6), load_body("free").shaped()
    files = {
        "free": [skinned.dance(free, 196)],
        "two": [skinned.dance(egg), skinned.dance(egg, 7, 12.5)],
        "one frame": [skinned.dance(egg, 1)],
    }
    for name, motions in files.items():
        glb.write(tmp_path / f"{name}.glb", motions)
    for issues in validate(node, *(tmp_path / f"{name}.glb" for name in files)):
        assert issues["messages"] == []


@pytest.mark.parametrize("style", rigs.STYLES)
def test_nothing_new_to_say_of_characters(node: str, style: str, tmp_path: Path):
    """What the validator says of a user's file it says of the one with our clip, and nothing else."""
    from body.models import load_body

    rigs.write(tmp_path / "mine.glb", rigs.STYLES[style])
    character = characters.open_character(tmp_path / "mine.glb")
    posed, _ = characters.moved(skinned.dance(load_body("free").shaped(), 60), character)
    character.file.write(tmp_path / "out.glb", posed, 20.0, "dance")
    before, after = validate(node, tmp_path / "mine.glb", tmp_path / "out.glb")
    assert before["messages"] == after["messages"]


def test_the_validator_looks(node: str, tmp_path: Path):
    path = tmp_path / "wrong.glb"
    glb.write(path, [skinned.dance(skinned.body())])
    path.write_bytes(re.sub(rb'"max":\[0\.\d', b'"max":[0.9', path.read_bytes(), count=1))
    (issues,) = validate(node, path)
    assert issues["numErrors"] > 0
