"""BVH that we write: what comes back, what other programs rely on, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bodies import PELVIS, angle_between, chain, small_body, walking
from utils.formats import bvh
from utils.formats.reading import read_motion
from utils.geometry.body import Body, joints_of
from utils.geometry.conventions import unit_of
from utils.geometry.human import to_smpl22
from utils.geometry.rotations import axis_angle_to_matrix, euler_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, NumericError


def columns(path: Path) -> np.ndarray:
    """The numbers of the frames."""
    return np.loadtxt(path.read_text().split("\n")[path.read_text().split("\n").index("MOTION") + 3 :])


@given(st.integers(0, 2**31), st.sampled_from([12.5, 20.0, 24.0, 29.97, 30.0, 120.0]), st.sampled_from([1.0, 100.0]))
@settings(max_examples=20, deadline=None)
def test_what_is_written_comes_back(tmp_path_factory, seed: int, fps: float, units: float):
    """Under 0.1 mm and 0.01 degrees, for any rotations at all, half turns and turns by 90 degrees among them."""
    path = tmp_path_factory.mktemp("bvh") / "clip.bvh"
    rng = np.random.RandomState(seed)
    motion = walking(6, fps, small_body(joints=SKELETONS["smpl24"].joints))
    turns = rng.normal(size=(6, 24, 3)) * rng.choice([0, 1e-6, 1, 3], size=(6, 24, 1))
    quarter = np.pi / 2 * rng.randint(-2, 3, size=(6, 24, 3))
    turns = np.where(rng.rand(6, 24, 1) < 0.3, quarter, turns)
    motion = replace(motion, rotations=axis_angle_to_matrix(torch.from_numpy(turns)).float().numpy())
    bvh.write(path, motion, units)
    back = bvh.read(path, 1 / units)
    places = [back.joints.index(name) for name in motion.body.joints]
    assert back.fps == pytest.approx(fps, rel=1e-8) and back.rotations is not None
    assert np.abs(back.positions[:, places] - joints_of(motion)[0]).max() < 1e-4
    assert angle_between(back.rotations[:, places], motion.rotations) < 0.01


def test_the_tree_is_that_of_the_body(tmp_path: Path):
    motion = walking()
    bvh.write(tmp_path / "clip.bvh", motion)
    back = bvh.read(tmp_path / "clip.bvh")
    kept = [name for name in back.joints if not name.endswith("_end")]
    assert sorted(kept) == sorted(motion.body.joints)
    for name in kept:
        above = motion.body.parents[motion.body.joints.index(name)]
        there = back.parents[back.joints.index(name)]
        assert (above < 0 and there < 0) or back.joints[there] == motion.body.joints[above]
    ends = {name for name in back.joints if name.endswith("_end")}
    assert ends == {f"{leaf}_end" for leaf in ("left_foot", "right_foot", "head", "left_hand", "right_hand")}


def test_the_rest_pose_is_a_t_that_faces_z_with_the_root_at_the_origin(tmp_path: Path):
    motion = walking(1)
    still = replace(motion, rotations=np.tile(np.eye(3, dtype=np.float32), (1, 24, 1, 1)), root=np.zeros((1, 3), "f4"))
    bvh.write(tmp_path / "clip.bvh", still)
    assert (columns(tmp_path / "clip.bvh") == 0).all()
    back = bvh.read(tmp_path / "clip.bvh")
    places = [back.joints.index(name) for name in motion.body.joints]
    np.testing.assert_allclose(back.positions[0, places], motion.body.rest - PELVIS, atol=1e-6)
    wrist, elbow = (back.positions[0, back.joints.index(f"left_{name}")] for name in ("wrist", "elbow"))
    assert wrist[0] > elbow[0] + 0.2 and abs(wrist[1] - elbow[1]) < 0.01
    assert "  OFFSET 0.000000 0.000000 0.000000\n  CHANNELS 6 X" in (tmp_path / "clip.bvh").read_text()


def test_the_channels_are_zxy_and_the_root_is_where_it_stands(tmp_path: Path):
    motion = walking(4)
    bvh.write(tmp_path / "clip.bvh", motion)
    text, numbers = (tmp_path / "clip.bvh").read_text(), columns(tmp_path / "clip.bvh")
    assert text.count("Zrotation Xrotation Yrotation") == 24 and text.count("rotation") == 72
    np.testing.assert_allclose(numbers[:, :3], motion.root, atol=1e-6)
    turned = euler_to_matrix(torch.from_numpy(np.radians(numbers[:, 3:6])), "ZXY").numpy()
    np.testing.assert_allclose(turned, motion.rotations[:, 0], atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_angles_do_not_jump(tmp_path: Path, axis: int):
    """A joint that turns twice about an axis, slightly out of it, with its angles running on."""
    motion = walking(121)
    turns = np.zeros((121, 24, 3))
    turns[..., axis] = np.linspace(0, 4 * np.pi, 121)[:, None]
    tilt = axis_angle_to_matrix(torch.tensor([0.2, 0.3, 0.1], dtype=torch.float64))
    matrices = (axis_angle_to_matrix(torch.from_numpy(turns)) @ tilt).float().numpy()
    bvh.write(tmp_path / "clip.bvh", replace(motion, rotations=matrices))
    steps = np.abs(np.diff(columns(tmp_path / "clip.bvh")[:, 3:], axis=0)).max()
    assert steps < (70 if axis == 0 else 8), "6 a frame; about x they pass near the poles, where Z and Y turn fast"


def test_end_sites_reach_to_the_end_of_the_flesh(tmp_path: Path):
    motion = walking(1)
    body = motion.body
    head = body.joints.index("head")
    vertices = body.vertices.copy()
    flesh = [[0, 0.2, 0.04], [0, 0.19, 0.05], [0, 0.05, 0], [0, 0, -0.5]]  # crown twice, skull, a long tail behind
    vertices[4 * head : 4 * head + 4] = body.rest[head] + flesh
    bvh.write(tmp_path / "clip.bvh", replace(motion, body=replace(body, vertices=vertices.astype("f4"))))
    back = bvh.read(tmp_path / "clip.bvh")
    way = back.positions[0, back.joints.index("head_end")] - back.positions[0, back.joints.index("head")]
    assert np.linalg.norm(way) == pytest.approx(np.hypot(0.195, 0.045), abs=1e-4)
    bare = Body("bones", ("a", "b"), (-1, 0), np.array([[0, 1, 0], [0, 1, 0.4]], "f4"),
                np.zeros((0, 3), "f4"), np.zeros((0, 3), "i4"), np.zeros((0, 2), "f4"))  # fmt: skip
    eye = np.tile(np.eye(3, dtype=np.float32), (1, 2, 1, 1))
    bvh.write(tmp_path / "bare.bvh", replace(motion, body=bare, rotations=eye, root=np.zeros((1, 3), "f4")))
    np.testing.assert_allclose(bvh.read(tmp_path / "bare.bvh").positions[0, 2], [0, 0, 0.5], atol=1e-6)


def test_joints_in_any_order(tmp_path: Path):
    shuffled = tuple(np.random.RandomState(1).permutation(SKELETONS["smpl24"].joints).tolist())
    motion = walking(5, body=small_body(joints=shuffled))
    bvh.write(tmp_path / "clip.bvh", motion)
    back = bvh.read(tmp_path / "clip.bvh")
    places = [back.joints.index(name) for name in shuffled]
    np.testing.assert_allclose(back.positions[:, places], joints_of(motion)[0], atol=1e-5)


@pytest.mark.parametrize("units", [1.0, 100.0])
def test_our_own_reader_finds_the_unit_and_the_joints(tmp_path: Path, units: float):
    motion = walking(20)
    bvh.write(tmp_path / "clip.bvh", motion, units)
    assert unit_of(bvh.read(tmp_path / "clip.bvh"))[1] == pytest.approx(1 / units)
    (clip,) = read_motion(tmp_path / "clip.bvh")
    person = to_smpl22(clip)
    np.testing.assert_allclose(person.positions, joints_of(motion)[0][:, :22], atol=1e-4)


def test_what_cannot_be_written(tmp_path: Path):
    motion, path = walking(3), tmp_path / "clip.bvh"
    for part in ("rotations", "root"):
        broken = getattr(motion, part).copy()
        broken[1] = np.nan
        with pytest.raises(NumericError, match="NaN or infinity"):
            bvh.write(path, replace(motion, **{part: broken}))
    with pytest.raises(NumericError, match="NaN or infinity"):
        bvh.write(path, replace(motion, body=replace(motion.body, rest=motion.body.rest * np.inf)))
    with pytest.raises(DataError, match="2 roots"):
        bvh.write(path, replace(motion, body=replace(motion.body, parents=(-1, -1, *motion.body.parents[2:]))))
    with pytest.raises(DataError, match="frames a second"):
        bvh.write(path, replace(motion, fps=0.0))
    with pytest.raises(DataError, match="rotations"):
        bvh.write(path, replace(motion, rotations=motion.rotations[:0], root=motion.root[:0]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("root_bone", [False, True])
def test_a_chain_of_any_length(tmp_path: Path, root_bone: bool):
    motion = replace(chain(1500, frames=2), root_bone=root_bone)
    bvh.write(tmp_path / "rope.bvh", motion)
    back = bvh.read(tmp_path / "rope.bvh")
    assert len(back.joints) == 1501 + root_bone  # with the end of the last one
    found = back.positions[:, [back.joints.index(name) for name in motion.body.joints]]
    np.testing.assert_allclose(found, joints_of(motion)[0], atol=0.01)
