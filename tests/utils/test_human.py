"""Human skeletons by name: every naming is found, heads look forward, a T-pose is zero, the nba joints are right."""

from pathlib import Path

import numpy as np
import pytest
import torch

from utils.formats import asf_amc, bvh, shards
from utils.geometry import human
from utils.geometry import kinematics as K
from utils.geometry import rotations as R
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError

SMPL22, NBA = SKELETONS["smpl22"], SKELETONS["nba"]
REST = {
    "pelvis": (0, 1, 0), "spine1": (0, 1.1, 0), "spine2": (0, 1.2, 0), "spine3": (0, 1.3, 0), "neck": (0, 1.5, 0),
    "head": (0, 1.6, 0), "left_hip": (0.1, 0.9, 0), "left_knee": (0.1, 0.5, 0), "left_ankle": (0.1, 0.1, 0),
    "left_foot": (0.1, 0, 0.15), "left_collar": (0.1, 1.45, 0), "left_shoulder": (0.2, 1.45, 0),
    "left_elbow": (0.5, 1.45, 0), "left_wrist": (0.75, 1.45, 0),
}  # fmt: skip


def t_pose() -> np.ndarray:
    """A person in a T facing +z, [22, 3]."""
    rows = [REST.get(name) or np.array(REST[name.replace("right", "left")]) * (-1, 1, 1) for name in SMPL22.joints]
    return np.array(rows, dtype=np.float32)


def moving_person(frames: int = 6) -> Motion:
    rest = t_pose()
    offsets = torch.from_numpy(rest - rest[[max(parent, 0) for parent in SMPL22.parents]])
    vectors = torch.from_numpy(np.random.RandomState(0).normal(0, 0.4, (frames, 22, 3)).astype(np.float32))
    local = R.axis_angle_to_matrix(vectors)
    positions, _ = K.forward(local, offsets, SMPL22.parents, torch.tensor(rest[0]))
    return Motion(positions.numpy(), 30, SMPL22.joints, SMPL22.parents, local.numpy(), "person")


def renamed(motion: Motion, names: dict[str, str]) -> Motion:
    """The clip as a source with other names and another order of joints."""
    order = sorted(range(22), key=lambda joint: names[SMPL22.joints[joint]])
    return Motion(
        motion.positions[:, order],
        motion.fps,
        tuple(names[SMPL22.joints[joint]] for joint in order),
        tuple(order.index(SMPL22.parents[joint]) if SMPL22.parents[joint] >= 0 else -1 for joint in order),
        None if motion.rotations is None else motion.rotations[:, order],
        motion.name,
    )


MIXAMO_NAMES = (
    "Hips LeftUpLeg RightUpLeg Spine LeftLeg RightLeg Spine1 LeftFoot RightFoot Spine2 LeftToeBase RightToeBase "
    "Neck LeftShoulder RightShoulder Head LeftArm RightArm LeftForeArm RightForeArm LeftHand RightHand"
)
MIXAMO = dict(zip(SMPL22.joints, MIXAMO_NAMES.split(), strict=True))


@pytest.mark.parametrize("prefix", ["", "mixamorig:", "mixamorig_", "mixamorig1:", "Character1:"])
def test_mixamo_names_in_any_order_keep_positions_and_rotations(prefix: str):
    person = moving_person()
    found = human.to_smpl22(renamed(person, {joint: prefix + name for joint, name in MIXAMO.items()}))
    assert found.joints == SMPL22.joints and found.parents == SMPL22.parents
    np.testing.assert_array_equal(found.positions, person.positions)
    np.testing.assert_allclose(found.rotations, person.rotations, atol=1e-5)


def test_a_person_already_on_the_22_joints_is_left_alone():
    person = moving_person()
    assert human.to_smpl22(person) is person


@pytest.mark.parametrize("naming", human._NAMINGS)
def test_every_naming_finds_all_joints_and_its_midpoints(naming: str):
    sides, trunk, limbs = (row.split() for row in human._NAMINGS[naming])
    names = [name.split("|")[0] for name in trunk]
    names += [limb.split("|")[0].replace("*", side) for side in sides for limb in limbs]
    names = sorted({part for name in names for part in name.split("+")})
    motion = Motion(np.random.RandomState(1).normal(size=(2, len(names), 3)), 30, tuple(names), (-1,) * len(names))
    found = human.to_smpl22(motion)
    where = dict(zip(SMPL22.joints, found.positions.swapaxes(0, 1), strict=True))
    left_knee = names.index(limbs[1].replace("*", sides[0]))
    np.testing.assert_array_equal(where["left_knee"], motion.positions[:, left_knee])
    if "+" in trunk[2]:
        np.testing.assert_allclose(where["spine2"], (where["spine1"] + where["spine3"]) / 2)


def test_unknown_joints_are_named():
    person = moving_person()
    motion = renamed(person, MIXAMO | {"left_knee": "Kneecap"})
    with pytest.raises(DataError) as refusal:
        human.to_smpl22(motion)
    assert all(word in str(refusal.value) for word in ("person", "not found: left_knee;", "Kneecap", "Mixamo"))


@pytest.mark.parametrize("angle", [0.0, 2.0])
def test_a_pose_with_lowered_arms_turned_away_still_means_t(angle: float):
    """The same movement told against an A-pose that faces elsewhere: world rotations of the trunk come back."""
    person = moving_person()
    turn = R.about_axis("Y", torch.tensor(angle)).numpy()
    world = K.global_rotations(torch.from_numpy(person.rotations), SMPL22.parents).numpy()
    bends = np.stack([turn] * 22)
    for side, sign in (("left_", -1.0), ("right_", 1.0)):
        lowered = R.about_axis("Z", torch.tensor(sign * 0.8)).numpy()
        for joint in ("shoulder", "elbow", "wrist"):
            bends[SMPL22.index(side + joint)] = turn @ lowered
    told = world @ np.swapaxes(bends, -1, -2)
    local = told.copy()
    for joint, parent in enumerate(SMPL22.parents):
        if parent >= 0:
            local[:, joint] = np.swapaxes(told[:, parent], -1, -2) @ told[:, joint]
    source = renamed(Motion(person.positions, 30, SMPL22.joints, SMPL22.parents, local, "person"), MIXAMO)
    np.testing.assert_allclose(human.to_smpl22(source).rotations, person.rotations, atol=1e-5)


def test_a_rest_pose_that_is_no_person_gives_no_rotations():
    person = moving_person()
    strange = np.stack([R.about_axis("Z", torch.tensor(float(joint))).numpy() for joint in range(22)])
    source = renamed(
        Motion(person.positions, 30, SMPL22.joints, SMPL22.parents, person.rotations @ strange, "person"), MIXAMO
    )
    assert human.to_smpl22(source).rotations is None


def test_a_standing_person_as_sixteen_joints():
    rest = np.repeat(t_pose()[None], 3, 0)
    straight = np.tile(np.eye(3, dtype=np.float32), (3, 22, 1, 1))
    for points in (human.to_nba16(rest), human.to_nba16(rest, straight)):
        assert points.shape == (3, 16, 3) and points.dtype == np.float32
        at = dict(zip(NBA.joints, points[0], strict=True))
        for name in ("Knee", "Ankle", "Hip", "Shoulder", "Elbow", "Wrist"):
            np.testing.assert_array_equal(at["L" + name], np.float32(REST["left_" + name.lower()]))
            np.testing.assert_array_equal(at["R" + name], at["L" + name] * np.array([-1, 1, 1]))
        assert at["Hip"][1] == 1 and at["Neck"][1] == 1.5
        assert at["Nose"][0] == 0 and 1.64 < at["Nose"][1] < 1.67 and 0.08 < at["Nose"][2] < 0.12
        assert 1.75 < at["Head"][1] < 1.8


def test_the_head_follows_its_rotation_and_the_size_of_the_body():
    rest = np.repeat(t_pose()[None], 2, 0)
    local = np.tile(np.eye(3, dtype=np.float32), (2, 22, 1, 1))
    local[:, SMPL22.index("head")] = R.about_axis("Y", torch.tensor(torch.pi / 2)).numpy()
    nose, top = human.head_points(rest, local)
    head = rest[:, SMPL22.index("head")]
    assert (nose - head)[0, 0] > 0.08 and abs((nose - head)[0, 2]) < 1e-6
    twice = human.head_points(2 * rest, local)
    np.testing.assert_allclose(twice, (2 * nose, 2 * top), rtol=1e-6)


def test_head_points_follow_rotation_and_translation():
    person = moving_person()
    turn, shift = R.axis_angle_to_matrix(torch.tensor([0.3, -1.0, 0.5])).numpy(), np.float32([1, 2, 3])
    moved = human.to_nba16(person.positions @ turn.T + shift)
    np.testing.assert_allclose(moved, human.to_nba16(person.positions) @ turn.T + shift, atol=1e-5)


@pytest.mark.parametrize("shard", ["cmu_actions", "sie", "cmu"])
def test_recorded_noses_point_where_the_body_faces(shared: Path, shard: str):
    for number, clip in enumerate(shards.read(shared / f"data/{shard}.npz")):
        if number % 10:
            continue
        points = dict(zip(NBA.joints, human.to_nba16(clip.positions, clip.rotations).swapaxes(0, 1), strict=True))
        head = clip.positions[:, SMPL22.index("head")]
        facing = clip.rotations[:, 0, :, 2]
        assert ((points["Nose"] - head) * facing).sum(-1).mean() > 0.04
        assert (points["Head"] - head)[:, 1].mean() > 0.1
        assert ((points["LHip"] - points["RHip"]) * clip.rotations[:, 0, :, 0]).sum(-1).min() > 0.1


@pytest.mark.parametrize(
    ("name", "has_rotations"),
    [("reactidle_001_acted_first120", True), ("cmu_iclone_002_03", True), ("dataset-1_dash_normal_001", True)],
)
def test_recorded_bvh_files_become_people(shared: Path, name: str, has_rotations: bool):
    body = human.to_smpl22(bvh.read(shared / f"data/fixtures/bvh/{name}.bvh"))
    assert (body.rotations is not None) == has_rotations
    points = human.to_nba16(body.positions, body.rotations)
    size = np.ptp(points[..., 1], axis=1).max()
    hip, neck, head = (points[:, NBA.index(joint)] for joint in ("Hip", "Neck", "Head"))
    assert (head - neck)[:, 1].min() > 0.1 * size and (neck - hip)[:, 1].min() > 0.15 * size


def test_acclaim_rotations_reach_the_positions(shared: Path):
    folder = shared / "data/fixtures/asf_amc/cmu"
    body = human.to_smpl22(asf_amc.read(folder / "11.asf", folder / "11_01_first240.amc"))
    turned = K.global_rotations(torch.from_numpy(body.rotations), body.parents).numpy()
    for joint, child, bone in (("left_hip", "left_knee", [0, -1, 0]), ("right_elbow", "right_wrist", [-1, 0, 0])):
        limb = body.positions[:, SMPL22.index(child)] - body.positions[:, SMPL22.index(joint)]
        limb /= np.linalg.norm(limb, axis=-1, keepdims=True)
        along = turned[:, SMPL22.index(joint)] @ np.array(bone)
        assert (limb * along).sum(-1).min() > (0.9999 if joint == "left_hip" else 0.9)
    with pytest.raises(DataError, match="known person"):
        human.to_smpl22(bvh.read(shared / "data/fixtures/bvh/fairmotion_sinusoidal.bvh"))


@pytest.mark.parametrize("prefix", ["m_avg_", "f_avg_", "mixamorig1_", "mixamorig12:", "Character1_", "Bip01 ", "DEF-"])
@pytest.mark.parametrize("naming", ["SMPL's own files (m_avg, f_avg)", "Mixamo, HIK, LAFAN1", "Unity", "3ds Max Biped"])
def test_whatever_prefix_all_names_share_does_not_count(prefix: str, naming: str):
    sides, trunk, limbs = (row.split() for row in human._NAMINGS[naming])
    names = [name.split("|")[0] for name in trunk]
    names += [limb.split("|")[0].replace("*", side) for side in sides for limb in limbs]
    joints = ("Armature", *(prefix + name for name in dict.fromkeys(names)))
    motion = Motion(np.random.RandomState(1).normal(size=(2, len(joints), 3)), 30, joints, (-1,) * len(joints))
    found = human.to_smpl22(motion)
    knee = joints.index(prefix + limbs[1].split("|")[0].replace("*", sides[0]))
    np.testing.assert_array_equal(found.positions[:, SMPL22.index("left_knee")], motion.positions[:, knee])
