"""Blender shows our motion: the vertices of GLB and USD and the joints of BVH, at the right frames; FBX, Alembic.

Needs Blender, or bpy in an environment of its own (python3.11 -m venv ENV; ENV/bin/pip install bpy==5.0.1; 1 GB):
`blender` on PATH, or POLYKINE_BLENDER=ENV/bin/python. USD also needs usd-core here (pip install usd-core).
"""

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from body.retarget import character as characters
from tests import rigs, skinned
from tests.bodies import angle_between
from utils.formats import bvh, fbx, glb, usd
from utils.geometry.body import BodyMotion, joints_of, on_floor, vertices_of
from utils.geometry.kinematics import global_rotations
from utils.run.errors import DataError, MissingFileError
from visualize.files import blender
from visualize.files.exporting import TABLE

pytestmark = [pytest.mark.clients, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
FRAMES = (0, 33, 59)


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    try:
        blender.command("")
    except MissingFileError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def motion() -> BodyMotion:
    from body.models import load_body

    return skinned.dance(load_body("free").shaped(), 60, 30.0)


@pytest.fixture
def seen(tmp_path: Path) -> Callable[[Path], dict[str, np.ndarray]]:
    """What Blender has after importing a file, in our axes."""

    def look(path: Path, frames: tuple[int, ...] = FRAMES) -> dict[str, np.ndarray]:
        script, ours = ROOT / "tests" / "clients" / "blender_dump.py", ROOT / "visualize" / "blender_import.py"
        line = blender.command(script, ours, path, tmp_path / "seen.npz", *map(str, frames))
        ended = subprocess.run(line, capture_output=True, text=True, timeout=300)
        assert ended.returncode == 0, ended.stderr
        with np.load(tmp_path / "seen.npz") as found:
            return {
                name: values[..., [0, 2, 1]] * [1, 1, -1] if values.ndim == 3 else values
                for name, values in found.items()
            }  # Blender: z up, y away

    return look


def agree(theirs: np.ndarray, ours: np.ndarray, where: str) -> None:
    apart = np.linalg.norm(theirs - ours, axis=-1) * 1000
    print(f"{where}: mean {apart.mean():.5f} mm, largest {apart.max():.5f} mm")
    assert apart.mean() < 0.1 and apart.max() < 5


@pytest.mark.parametrize("suffix", [".glb", ".usdc", ".usda"])
def test_vertices(motion: BodyMotion, seen, tmp_path: Path, suffix: str):
    if suffix != ".glb":
        pytest.importorskip("pxr", reason="needs usd-core: pip install usd-core")
    path = tmp_path / f"motion{suffix}"
    (glb if suffix == ".glb" else usd).write(path, [motion])
    found = seen(path)
    assert (found["fps"], found["start"], found["end"]) == (30, 0, 59)
    agree(found["mesh0"], vertices_of(motion)[list(FRAMES)], suffix)
    names = found["bones0"].tolist()
    order = [names.index(joint) for joint in motion.body.joints]
    agree(found["heads0"][:, order], joints_of(motion)[0][list(FRAMES)], f"{suffix} joints")


def test_joints_of_bvh(motion: BodyMotion, seen, tmp_path: Path):
    bvh.write(tmp_path / "motion.bvh", motion)
    found = seen(tmp_path / "motion.bvh")
    assert (found["fps"], found["start"], found["end"]) == (pytest.approx(30), 0, 59)
    names = found["bones0"].tolist()
    order = [names.index(joint) for joint in motion.body.joints]
    agree(found["heads0"][:, order], joints_of(motion)[0][list(FRAMES)], ".bvh joints")


def test_two_clips_play_at_once_at_a_rate_that_is_not_whole(seen, tmp_path: Path):
    one, two = (skinned.dance(skinned.body(seed=k), 30, 12.5, seed=k, name=f"clip {k}") for k in range(2))
    glb.write(tmp_path / "two.glb", [one, two])
    found = seen(tmp_path / "two.glb", (0, 20))
    assert (found["fps"], found["end"]) == (pytest.approx(12.5), 29)
    for number, motion in enumerate((one, two)):
        agree(found[f"mesh{number}"], vertices_of(motion)[[0, 20]], motion.name)


@pytest.mark.parametrize("suffix", [".fbx", ".abc"])
def test_what_only_blender_writes(motion: BodyMotion, seen, tmp_path: Path, suffix: str):
    glb.write(tmp_path / "motion.glb", [motion])
    path = tmp_path / f"motion{suffix}"
    blender.convert(tmp_path / "motion.glb", path)
    agree(seen(path)["mesh0"], vertices_of(motion)[list(FRAMES)], suffix)


@pytest.mark.parametrize("suffix", [".glb", ".bvh", ".fbx"])
@pytest.mark.parametrize("root_bone", [False, True])
def test_bones_point_along_the_limbs_after_a_plain_import(
    motion: BodyMotion, tmp_path: Path, suffix: str, root_bone: bool
):
    """By the operators' own settings; the action has the name of the clip, and the rest pose stands on the floor."""
    shown = dataclasses.replace(motion, name="a clip", body=on_floor(motion.body), root_bone=root_bone)
    path = tmp_path / f"a clip{suffix}"
    TABLE[suffix[1:]].write(path, [shown])
    script = ROOT / "tests" / "clients" / "blender_bones.py"
    line = blender.command(script, path, tmp_path / "bones.npz")
    ended = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    with np.load(tmp_path / "bones.npz") as found:
        (action,), names = found["actions"].tolist(), found["bones"].tolist()
        heads, ways = found["heads"], found["tails"] - found["heads"]
    assert action.split("|")[-1] == "a clip"
    for joint, parent in zip(motion.body.joints, motion.body.parents, strict=True):
        if parent >= 0 and motion.body.parents.count(parent) == 1:
            bone, way = ways[names.index(motion.body.joints[parent])], heads[names.index(joint)]
            way = way - heads[names.index(motion.body.joints[parent])]
            assert bone @ way > 0.999 * np.linalg.norm(bone) * np.linalg.norm(way), joint
    if suffix != ".bvh" or root_bone:
        assert 0 < heads[names.index("left_foot"), 2] < 0.1
    if root_bone:
        np.testing.assert_allclose(heads[names.index("Root")], 0, atol=1e-5)


@pytest.mark.parametrize(("root_bone", "fps"), [(False, 30.0), (True, 25.0), (False, 60.0)])
def test_fbx_comes_back_as_it_was(motion: BodyMotion, tmp_path: Path, root_bone: bool, fps: float):
    """Through Blender out and in again: places, rotations, rest pose, rate, names."""
    path = tmp_path / "a clip.fbx"
    clip = dataclasses.replace(motion, name="a clip", fps=fps, root_bone=root_bone)
    TABLE["fbx"].write(path, [clip])
    (found,) = fbx.read(path)
    assert (found.name, found.fps, found.source) == ("a clip", fps, str(path)) and found.rotations is not None
    places = [found.joints.index(joint) for joint in clip.body.joints]
    positions, turned = joints_of(clip)
    assert np.abs(found.positions[:, places] - positions).max() < 1e-4
    assert found.rest is not None and np.abs(found.rest[places] - clip.body.rest).max() < 1e-4
    theirs = global_rotations(torch.from_numpy(found.rotations).double(), found.parents).numpy()
    assert angle_between(theirs[:, places], turned) < 0.01
    assert ("Root" in found.joints) == root_bone


def test_two_people_come_back_from_one_fbx(motion: BodyMotion, tmp_path: Path):
    TABLE["fbx"].write(tmp_path / "a.fbx", [motion, dataclasses.replace(motion, name="other", root=motion.root + 1)])
    one, other = fbx.read(tmp_path / "a.fbx")
    assert len(one.joints) == len(other.joints) == len(motion.body.joints)
    np.testing.assert_allclose(
        np.sort([one.positions[0, 0, 0], other.positions[0, 0, 0]]), motion.root[0, 0] + [0, 1], atol=1e-4
    )


@pytest.mark.parametrize("style", ["mixamo", "unreal", "vrm"])
def test_a_character_moves(style: str, motion: BodyMotion, tmp_path: Path):
    """After a plain import the bones of the user's file are where they were put; its clip and material are there."""
    rigs.write(tmp_path / "mine.glb", rigs.STYLES[style])
    character = characters.open_character(tmp_path / "mine.glb")
    posed, _ = characters.moved(motion, character)
    character.file.write(tmp_path / "out.glb", posed, 30.0, "onto it")
    script = ROOT / "tests" / "clients" / "blender_character.py"
    line = blender.command(script, tmp_path / "out.glb", "onto it", "30", tmp_path / "seen.npz", *map(str, FRAMES))
    ended = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    with np.load(tmp_path / "seen.npz") as found:
        heads, names = found["heads"][..., [0, 2, 1]] * [1, 1, -1], found["bones"].tolist()
        assert len(found["actions"]) == 2 and found["materials"].tolist() == ["coat"]
    order = [character.rig.joints.index(name) for name in names]
    agree(heads, posed.places[list(FRAMES)][:, order], style)


def test_scene_and_picture(motion: BodyMotion, tmp_path: Path):
    import cv2

    glb.write(tmp_path / "motion.glb", [motion])
    blender.convert(tmp_path / "motion.glb", tmp_path / "motion.blend")
    assert (tmp_path / "motion.blend").stat().st_size > 100_000
    blender.convert(tmp_path / "motion.glb", tmp_path / "motion.png", "--size", "96", "--frame", "33")
    picture = cv2.imread(str(tmp_path / "motion.png"))
    assert picture is not None and picture.shape == (96, 96, 3)
    bluish = picture[..., 0].astype(int) - picture[..., 2] > 15  # the figure, before grey
    assert 0.01 < bluish.mean() < 0.4
    border = np.concatenate([bluish[0], bluish[-1], bluish[:, 0], bluish[:, -1]])
    assert not border.any()


def test_what_blender_refuses_is_said_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "broken.glb").write_bytes(b"glTF" + bytes(40))
    with pytest.raises(DataError, match="broken"):
        blender.convert(tmp_path / "broken.glb", tmp_path / "broken.fbx")
    with pytest.raises(DataError, match="nothing.glb"):
        blender.convert(tmp_path / "nothing.glb", tmp_path / "nothing.fbx")
    assert [item.name for item in tmp_path.iterdir()] == ["broken.glb"]
