"""SMPL parameters as .npz: the model's formula gives our mesh in a z-up world, and the readers of others are served."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.bodies import PELVIS, angle_between, small_body, walking
from utils.formats import smpl_motion
from utils.formats.smpl_motion import CONTACTS, at_rate, read, smpl_rotations, to_motion, write
from utils.geometry.body import BodyMotion, joints_of, skinned, vertices_of
from utils.geometry.rotations import axis_angle_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError

SMPL22, SMPL24 = SKELETONS["smpl22"].joints, SKELETONS["smpl24"].joints
MODELS = {"smpl": 72, "smplh": 156, "smplx": 165}


def z_up(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def loaded(path: Path) -> dict[str, np.ndarray]:
    """Everything in the file, without pickle."""
    with np.load(path, allow_pickle=False) as content:
        return dict(content)


def test_the_formula_of_smpl_gives_our_mesh_in_a_world_with_z_up(tmp_path: Path):
    """SMPL evaluated on the file, which knows of no y: vertices = LBS(poses, J + trans)."""
    motion = walking(body=small_body("smpl"))
    write(tmp_path / "clip.npz", motion, "smpl")
    content = loaded(tmp_path / "clip.npz")
    rotations = axis_angle_to_matrix(torch.from_numpy(content["poses"].reshape(-1, 24, 3)))
    posed = skinned(motion.body, rotations, torch.from_numpy(content["trans"] + motion.body.rest[0])).numpy()
    np.testing.assert_allclose(posed, z_up(vertices_of(motion)), atol=1e-5)


def test_walking_forward_goes_along_minus_y_and_height_is_z(tmp_path: Path):
    still = np.tile(np.eye(3, dtype=np.float32), (12, 24, 1, 1))
    motion = replace(walking(body=small_body("smpl")), rotations=still)
    write(tmp_path / "clip.npz", motion)
    content = loaded(tmp_path / "clip.npz")
    way = content["trans"][-1] - content["trans"][0]
    np.testing.assert_allclose(way, [0, -11 / 20, 0], atol=1e-6)
    np.testing.assert_allclose(content["trans"][0], [0, 0, 0.95] - PELVIS, atol=1e-6)
    np.testing.assert_allclose(content["poses"][:, :3], [[np.pi / 2, 0, 0]] * 12, atol=1e-6)
    assert not content["poses"][:, 3:].any()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["free", "smpl_female"])
def test_what_is_written_comes_back(tmp_path: Path, model: str, name: str):
    rng = np.random.RandomState(0)
    contacts = np.zeros((12, 24), bool)
    contacts[:, [SMPL24.index(foot) for foot in CONTACTS]] = rng.rand(12, 4) < 0.5
    motion = walking(12, 30.0, small_body(name), contacts=contacts, meta={"betas": np.arange(5) / 4})
    write(tmp_path / "clip.npz", motion, model)
    clip = read(tmp_path / "clip.npz")
    assert clip.poses.shape == (12, MODELS[model] // 3, 3) and clip.text == "a person walks" and clip.fps == 30
    back = to_motion(clip, motion.body)
    kept = 24 if model == "smpl" else 22
    assert angle_between(back.rotations[:, :kept], motion.rotations[:, :kept]) < 0.001
    np.testing.assert_allclose(back.root, motion.root, atol=1e-5)
    np.testing.assert_array_equal(back.contacts, contacts)
    assert (back.name, back.text, back.fps) == ("clip", motion.text, 30.0)


def test_only_shapes_that_mean_the_same_go_into_betas(tmp_path: Path):
    betas = np.arange(1, 6, dtype=np.float32)
    for name, model, same, gender in (
        ("smpl", "smpl", True, "neutral"),
        ("smpl_male", "smplh", True, "male"),
        ("smpl_female", "smplx", False, "female"),
        ("free", "smpl", False, "neutral"),
        ("smpl22", "smplh", False, "neutral"),
    ):
        write(tmp_path / "clip.npz", walking(body=small_body(name), meta={"betas": betas}), model)
        content = loaded(tmp_path / "clip.npz")
        assert content["betas"].shape == ((16,) if model == "smplh" else (10,))
        assert content["betas"][:5].tolist() == (betas.tolist() if same else [0] * 5) and not content["betas"][5:].any()
        assert content["body_betas"].tolist() == betas.tolist() and str(content["body_name"]) == name
        assert str(content["gender"]) == gender and content["gender"].shape == ()
        own = np.allclose(content["trans_pelvis"], PELVIS)
        assert own == same, "the pelvis is that of the mean model that will be posed, where it is not ours"
    write(tmp_path / "clip.npz", walking(body=small_body("smpl"), meta={"betas": np.ones(300)}), "smpl")
    assert loaded(tmp_path / "clip.npz")["betas"].shape == (300,)


def test_programs_for_amass_find_what_they_look_for(tmp_path: Path):
    write(tmp_path / "clip.npz", walking(7, 20.0), "smplh")
    content = loaded(tmp_path / "clip.npz")
    assert content["poses"].shape == (7, 156) and content["trans"].shape == (7, 3)
    assert content["dmpls"].shape == (7, 8) and content["betas"].shape == (16,)
    assert float(content["mocap_framerate"]) == 20.0 and content["gender"] == "neutral"
    assert not content["poses"][:, 66:].any(), "hands at rest"
    assert all(value.dtype.kind in "fiuU" for value in content.values())


def added(path: Path, target: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """What the SMPL-X add-on makes of a file (2022-06-23): the pelvis [T, 3] and its up [T, 3] in Blender's world.

    It puts `trans` on the pelvis bone, whose axes are those of the model (y up), and turns the root bone by -90
    degrees about x; its rig stands the model's y up along Blender's z.
    """
    with np.load(path) as data:
        rate = int(data["mocap_frame_rate"]) if "mocap_frame_rate" in data else int(data["mocap_framerate"])
        assert rate >= target and all(key in data for key in ("trans", "gender", "betas", "poses"))
        assert str(data["gender"]) in ("male", "female", "neutral")
        assert [float(beta) for beta in data["betas"]] and len(data["betas"]) <= 10
        step = int(rate / target)
        poses = np.stack([data["poses"][frame].reshape(-1, 3)[:55] for frame in range(0, len(data["trans"]), step)])
        pelvis = np.array([0.0, -0.35, 0.01]) + data["trans"][::step]
    assert poses.shape[1:] == (55, 3)
    up = axis_angle_to_matrix(torch.from_numpy(poses[:, 0])).numpy()[:, :, 1]
    return tuple(z_up(np.stack([v[:, 0], v[:, 2], -v[:, 1]], -1)) for v in (pelvis, up))


def test_the_add_on_puts_the_person_where_ours_is(tmp_path: Path):
    motion = walking(21, 20.0)
    write(tmp_path / "clip.npz", motion, "smplx")
    pelvis, up = added(tmp_path / "clip.npz")
    assert len(pelvis) == 31
    np.testing.assert_allclose(pelvis[::3], z_up(motion.root[::2]), atol=1e-5)
    np.testing.assert_allclose(up[::3], z_up(motion.rotations[::2, 0, :, 1]), atol=1e-5)


@pytest.mark.parametrize("fps", [12.5, 20.0, 23.976, 25.0, 29.97, 30.0, 60.0, 120.0])
def test_the_add_ons_file_is_at_30_frames_a_second(tmp_path: Path, fps: float):
    motion = walking(round(2 * fps) + 1, fps)
    write(tmp_path / "clip.npz", motion, "smplx")
    content = loaded(tmp_path / "clip.npz")
    assert content["mocap_frame_rate"] == content["mocap_framerate"] == 30
    assert content["mocap_frame_rate"].dtype.kind == "i" and content["source_fps"] == fps
    frames = len(content["trans"])
    assert (frames - 1) / 30 <= (len(motion.root) - 1) / fps + 1e-6 < frames / 30
    assert content["mocap_time_length"] == pytest.approx(frames / 30)
    parts = [content[name] for name in ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")]
    assert [part.shape[1] for part in parts] == [3, 63, 3, 6, 90]
    np.testing.assert_array_equal(np.concatenate(parts, 1), content["poses"])
    assert content["expression"].shape == (frames, 10) and str(content["surface_model_type"]) == "smplx"
    assert not content["poses"][:, 66:].any(), "hands are flat"


def test_another_rate_keeps_the_motion():
    """A clip that turns at an even speed does so at any rate; frames that both rates have are the same."""
    seconds = np.arange(41) / 20
    turns = np.zeros((41, 24, 3))
    turns[..., 1] = 3 * seconds[:, None]
    matrices = axis_angle_to_matrix(torch.from_numpy(turns)).float().numpy()
    contacts = np.zeros((41, 24), bool)
    contacts[21:] = True
    motion = replace(walking(41), rotations=matrices, contacts=contacts)
    new = at_rate(motion, 30)
    assert new.fps == 30 and len(new.root) == len(new.rotations) == len(new.contacts) == 61
    turns = np.zeros((61, 24, 3))
    turns[..., 1] = 3 * (np.arange(61) / 30)[:, None]
    assert angle_between(new.rotations, axis_angle_to_matrix(torch.from_numpy(turns)).numpy()) < 0.01
    np.testing.assert_allclose(new.root[2:-2, 2], np.arange(2, 59) / 30, atol=1e-5)
    np.testing.assert_array_equal(new.root[::3], motion.root[::2])
    assert new.contacts[:, 0].tolist() == [False] * 31 + [True] * 30
    assert at_rate(motion, 20) is motion
    assert len(at_rate(walking(1), 30).root) == 1


def test_joints_are_found_by_name():
    shuffled = tuple(np.random.RandomState(1).permutation(SMPL22).tolist())
    motion = walking(body=small_body(joints=shuffled))
    rotations = smpl_rotations(motion)
    for joint, name in enumerate(SMPL24):
        wanted = motion.rotations[:, shuffled.index(name)] if name in shuffled else np.eye(3)
        np.testing.assert_array_equal(rotations[:, joint], np.broadcast_to(wanted, (12, 3, 3)))
    back = BodyMotion(small_body(joints=SMPL22), rotations[:, :22], motion.root, 20.0)
    np.testing.assert_allclose(
        joints_of(back)[0], joints_of(motion)[0][:, [shuffled.index(n) for n in SMPL22]], atol=1e-6
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: replace(body, joints=("nose", *body.joints[1:])), "no pelvis"),
        (lambda body: replace(body, joints=(*body.joints[:4], "knee", *body.joints[5:])), "no left_knee on left_hip"),
        (lambda body: replace(body, parents=(*body.parents[:4], 3, *body.parents[5:])), "no left_knee on left_hip"),
    ],
)
def test_other_skeletons_are_refused(tmp_path: Path, change, words: str):
    motion = walking()
    for model in MODELS:
        with pytest.raises(UsageError, match=words):
            write(tmp_path / "clip.npz", replace(motion, body=change(motion.body)), model)
    with pytest.raises(UsageError, match="choose from smpl, smplh, smplx"):
        write(tmp_path / "clip.npz", motion, "flame")
    assert not list(tmp_path.iterdir())


def test_nan_is_not_written(tmp_path: Path):
    motion = walking()
    rotations = motion.rotations.copy()
    rotations[3, 2] = np.nan
    with pytest.raises(NumericError, match="rotations of walk"):
        write(tmp_path / "clip.npz", replace(motion, rotations=rotations))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(4, 72), (4, 24, 3), (4, 156), (4, 52, 3), (4, 165), (4, 55, 3)])
def test_files_of_others_are_read(tmp_path: Path, shape: tuple[int, ...]):
    rng = np.random.RandomState(0)
    poses = rng.uniform(-1, 1, shape)
    trans = rng.uniform(-1, 1, (4, 3))
    np.savez(tmp_path / "a.npz", poses=poses, trans=trans, betas=np.ones((4, 10)), gender=np.array(b"female"),
             mocap_framerate=np.array(120.0), dmpls=np.array([None]))  # fmt: skip
    clip = read(tmp_path / "a.npz")
    assert clip.poses.shape == (4, poses[0].size // 3, 3) and clip.betas.shape == (10,) and clip.gender == "female"
    assert clip.fps == 120 and clip.pelvis is None and clip.name == "a"
    motion = to_motion(clip, small_body())
    np.testing.assert_allclose(z_up(motion.root), trans + PELVIS, atol=1e-6)
    turned = axis_angle_to_matrix(torch.from_numpy(poses.reshape(4, -1, 3)[:, :22])).numpy()
    np.testing.assert_allclose(z_up(motion.rotations[:, 0].swapaxes(-1, -2)).swapaxes(-1, -2), turned[:, 0], atol=1e-6)
    np.testing.assert_allclose(motion.rotations[:, 1:22], turned[:, 1:], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"poses": None}, "has no poses"),
        ({"poses": np.zeros((4, 66))}, r"poses \(4, 66\)"),
        ({"poses": np.full((4, 72), np.nan)}, "finite"),
        ({"poses": np.zeros((4, 72), complex)}, "finite"),
        ({"poses": np.array([None])}, "not a readable .npz"),
        ({"trans": np.zeros((3, 3))}, r"trans \(3, 3\)"),
        ({"trans": np.zeros(3)}, r"trans \(3,\)"),
        ({"trans": np.zeros((0, 3)), "poses": np.zeros((0, 72))}, r"trans \(0, 3\)"),
        ({"mocap_framerate": 0}, "mocap_framerate of 0"),
        ({"mocap_framerate": None}, "mocap_framerate of None"),
        ({"mocap_framerate": "30"}, "mocap_framerate"),
        ({"trans_pelvis": np.zeros(2)}, "trans_pelvis"),
        ({"contacts": np.zeros((4, 3))}, "contacts"),
        ({"betas": np.array("x")}, "betas"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, change: dict, words: str):
    whole = {"poses": np.zeros((4, 72)), "trans": np.zeros((4, 3)), "betas": np.zeros(10), "mocap_framerate": 30}
    content = {name: value for name, value in (whole | change).items() if value is not None}
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(DataError, match=words):
        read(tmp_path / "a.npz")


def test_no_archive(tmp_path: Path):
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a readable"):
        read(tmp_path / "a.npz")
    with pytest.raises(MissingFileError, match="does not exist"):
        smpl_motion.read(tmp_path / "b.npz")


@pytest.mark.parametrize("model", ["smpl", "smplh", "smplx"])
def test_what_is_written_is_read_as_motion_with_its_bones_and_rotations(tmp_path: Path, model: str):
    motion = replace(walking(12), fps=30.0, text="a person walks")
    write(tmp_path / "a.npz", motion, model)
    clip = smpl_motion.clip_of(tmp_path / "a.npz")
    positions, _ = joints_of(motion)
    count = len(clip.joints)
    np.testing.assert_allclose(clip.positions, positions[:, :count], atol=1e-5)
    np.testing.assert_allclose(clip.rotations, motion.rotations[:, :count], atol=1e-5)
    np.testing.assert_allclose(clip.rest, motion.body.rest[:count], atol=1e-6)
    assert (clip.fps, clip.up, clip.gender, clip.texts, clip.note) == (30, "z", "neutral", ("a person walks",), "")


@pytest.mark.parametrize(("key", "gender"), [("mocap_framerate", b"female"), ("mocap_frame_rate", "female")])
@pytest.mark.parametrize("shape", [(72,), (156,), (165,), (55, 3), (52, 3)])
def test_archives_of_others_stand_upright(tmp_path: Path, shape: tuple[int, ...], key: str, gender: object):
    poses = np.zeros((5, *shape))
    poses.reshape(5, -1)[:, 0] = np.pi / 2  # AMASS: the body's y to the world's z
    trans = np.stack([np.zeros(5), -np.arange(5) / 10, np.ones(5)], 1)
    np.savez(tmp_path / "a.npz", poses=poses, trans=trans, betas=np.ones(16), gender=np.array(gender), **{key: 120})
    clip = smpl_motion.clip_of(tmp_path / "a.npz")
    at = {name: clip.positions[:, joint] for joint, name in enumerate(clip.joints)}
    assert (at["head"][:, 1] > at["left_foot"][:, 1] + 1.2).all() and (
        at["left_hip"][:, 0] > at["right_hip"][:, 0]
    ).all()
    np.testing.assert_allclose(np.diff(at["pelvis"][:, 2]), 0.1, atol=1e-6)
    assert (clip.fps, clip.gender, clip.betas.tolist()) == (120, "female", [1] * 16) and "mean body" in clip.note


def test_the_rate_of_an_archive_that_says_none_can_be_said(tmp_path: Path):
    np.savez(tmp_path / "a.npz", poses=np.zeros((4, 72)), trans=np.zeros((4, 3)), betas=np.zeros(10))
    with pytest.raises(DataError, match="--input_fps"):
        smpl_motion.clip_of(tmp_path / "a.npz")
    assert smpl_motion.clip_of(tmp_path / "a.npz", fps=50).fps == 50


def test_a_rate_of_0_counts_as_none_said(tmp_path: Path):
    content = {"poses": np.zeros((4, 72)), "trans": np.zeros((4, 3)), "betas": np.zeros(10)}
    np.savez(tmp_path / "a.npz", **content, mocap_framerate=0.0)
    with pytest.raises(DataError, match="--input_fps"):
        smpl_motion.clip_of(tmp_path / "a.npz")
    assert smpl_motion.clip_of(tmp_path / "a.npz", fps=50).fps == 50


@pytest.mark.parametrize("name", ["poses", "trans", "betas"])
def test_numbers_that_only_float64_holds_are_refused(tmp_path: Path, name: str):
    content = {"poses": np.zeros((4, 72)), "trans": np.zeros((4, 3)), "betas": np.zeros(10)}
    content[name].flat[0] = 1e300
    np.savez(tmp_path / "a.npz", **content, mocap_framerate=30)
    with pytest.raises(DataError, match=f"{name} is float64 .* not made of finite numbers"):
        read(tmp_path / "a.npz")
