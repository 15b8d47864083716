"""three.js plays our GLB in Chromium: vertices and bones where they belong at the asked time, and the picture of them.

Needs Chromium, node and the package three: `npm install three` in this folder or one above it, or NODE_PATH.
"""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from body.models import load_body
from body.retarget import character as characters
from tests import rigs
from tests.bodies import walking
from tests.clients.browser import CAMERA, MARKS, PAPER, SIZE, chromium, figure, overlap, pictured, silhouette
from utils.formats import glb
from utils.geometry.body import BodyMotion, joints_of, vertices_of
from visualize.page.html import FIELD_OF_VIEW

pytestmark = MARKS
FLAGS = ("--allow-file-access-from-files",)  # three.js is imported from beside the page
FRAMES = (6, 26)
PAGE = """<!doctype html><meta charset="utf-8"><style>body {margin: 0}</style>
<script type="importmap">{"imports": {"three": "FOLDER/build/three.module.js", "three/": "FOLDER/"}}</script>
<script type="module">
import * as THREE from 'three';
import {GLTFLoader} from 'three/examples/jsm/loaders/GLTFLoader.js';
const time = Number(location.hash.slice(1)), [azimuth, elevation, distance, ...middle] = CAMERA;
const bytes = Uint8Array.from(atob('BYTES'), letter => letter.charCodeAt(0));
const file = await new GLTFLoader().parseAsync(bytes.buffer, '');
const mixer = new THREE.AnimationMixer(file.scene), scene = new THREE.Scene();
mixer.clipAction(THREE.AnimationClip.findByName(file.animations, 'CLIP')).play();
mixer.setTime(time);
scene.add(file.scene, new THREE.HemisphereLight('white', 'gray', 2));
scene.background = new THREE.Color('PAPER');
scene.updateMatrixWorld(true);
const joints = {}, vertices = [];
file.scene.traverse(node => {
    if (node.userData.name) joints[node.userData.name] = node.getWorldPosition(new THREE.Vector3()).toArray();
    if (node.isSkinnedMesh)
        for (let number = 0; number < node.geometry.attributes.position.count; number += 50)
            vertices.push(node.getVertexPosition(number, new THREE.Vector3()).applyMatrix4(node.matrixWorld).toArray());
});
const camera = new THREE.PerspectiveCamera(FIELD, 1, 0.01, 100), renderer = new THREE.WebGLRenderer();
const [a, e] = [azimuth, elevation].map(THREE.MathUtils.degToRad);
camera.position.set(Math.cos(e) * Math.sin(a), Math.sin(e), Math.cos(e) * Math.cos(a)).multiplyScalar(distance);
camera.position.add(new THREE.Vector3(...middle));
camera.lookAt(...middle);
renderer.setSize(SIZE, SIZE);
document.body.append(renderer.domElement);
renderer.render(scene, camera);
document.documentElement.dataset.seen = btoa(JSON.stringify({joints, vertices, clips: file.animations.length}));
</script>"""


@pytest.fixture(scope="module")
def three() -> Path:
    """The folder of the package."""
    program = shutil.which("node")
    look = [program or "", "-p", "require.resolve('three')"]
    if not program or (found := subprocess.run(look, cwd=Path(__file__).parent, capture_output=True)).returncode:
        pytest.skip("needs node and `npm install three` (found beside the tests or through NODE_PATH)")
    return Path(found.stdout.decode().strip()).parents[1]


@pytest.fixture(scope="module")
def person() -> BodyMotion:
    return walking(40, 20.0, load_body("free").shaped())


def page_of(path: Path, clip: str, three: Path) -> Path:
    """A page beside a GLB that shows it at the second behind its address's #."""
    filled = {
        "FOLDER": three.as_uri(),
        "CAMERA": json.dumps(CAMERA),
        "CLIP": clip,
        "PAPER": "#{:02x}{:02x}{:02x}".format(*PAPER),
        "FIELD": str(FIELD_OF_VIEW),
        "SIZE": str(SIZE),
        "BYTES": base64.b64encode(path.read_bytes()).decode(),
    }
    text = re.sub("|".join(filled), lambda word: filled[word[0]], PAGE)
    path.with_suffix(".html").write_text(text, encoding="utf-8")
    return path.with_suffix(".html")


def shown(page: Path, seconds: float) -> dict:
    """Places of joints by name and of every fiftieth vertex, and the number of clips."""
    document, told = chromium(page.parent, *FLAGS, "--dump-dom", f"{page.as_uri()}#{seconds}")
    found = re.search(r'data-seen="([^"]*)"', document)
    assert told == [] and found, told
    return json.loads(base64.b64decode(found[1]))


def test_the_free_body(person: BodyMotion, three: Path, tmp_path: Path):
    glb.write(tmp_path / "motion.glb", [person])
    page = page_of(tmp_path / "motion.glb", person.name, three)
    for frame in FRAMES:
        seen = shown(page, frame / person.fps)
        joints = [seen["joints"][name] for name in person.body.joints]
        np.testing.assert_allclose(joints, joints_of(person)[0][frame], atol=1e-4)
        np.testing.assert_allclose(seen["vertices"], vertices_of(person)[frame][::50], atol=1e-4)
    pictures = [figure(pictured(page, str(frame / person.fps), *FLAGS)) for frame in FRAMES]
    wanted = [silhouette(person, frame) for frame in FRAMES]
    assert [overlap(*pair) > 0.96 for pair in zip(pictures, wanted, strict=True)] == [True, True]


@pytest.mark.parametrize("style", ["mixamo", "unreal", "vrm"])
def test_a_character(style: str, person: BodyMotion, three: Path, tmp_path: Path):
    rigs.write(tmp_path / "mine.glb", rigs.STYLES[style])
    character = characters.open_character(tmp_path / "mine.glb")
    posed, _ = characters.moved(person, character)
    character.file.write(tmp_path / "out.glb", posed, person.fps, "onto it")
    page = page_of(tmp_path / "out.glb", "onto it", three)
    for frame in FRAMES:
        seen = shown(page, frame / person.fps)
        assert seen["clips"] == 2
        joints = [seen["joints"][name] for name in character.rig.joints]
        np.testing.assert_allclose(joints, posed.places[frame], atol=1e-4)
