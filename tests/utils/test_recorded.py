"""Recorded rotations come onto SMPL's joints from any rest pose: T, A, arms down, sitting, turned, or none at all."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.people import standing_smpl22
from utils.geometry.human import to_smpl22
from utils.geometry.kinematics import bone_vectors, forward, global_rotations, local_rotations
from utils.geometry.motion import Motion
from utils.geometry.rotations import about_axis, matrix_to_axis_angle
from utils.geometry.skeleton import SKELETONS

SMPL22 = SKELETONS["smpl22"]
MIXAMO = (
    "Hips LeftUpLeg RightUpLeg Spine LeftLeg RightLeg Spine1 LeftFoot RightFoot Spine2 LeftToeBase RightToeBase "
    "Neck LeftShoulder RightShoulder Head LeftArm RightArm LeftForeArm RightForeArm LeftHand RightHand"
).split()
BOTH = ("left_", "right_")


def turn(axis: str, degrees: float | np.ndarray) -> Tensor:
    return about_axis(axis, torch.deg2rad(torch.as_tensor(degrees, dtype=torch.float64)))


def t_pose() -> Tensor:
    rest = torch.from_numpy(standing_smpl22()).clone()
    rest[[4, 5, 7, 8], 2] = 0  # legs and arms that are straight, so that no bend has a direction of its own
    rest[[13, 14], 1] = 1.42
    return rest


def moving(frames: int = 40) -> Tensor:
    """World rotations [T, 22, 3, 3] of someone who walks, bends elbows, shakes the head, turns a hand and a forearm."""
    seconds = np.arange(frames) / 20
    swing = 30 * np.sin(5 * seconds)
    local = torch.eye(3, dtype=torch.float64).repeat(frames, 22, 1, 1)

    def put(name: str, *turns: Tensor) -> None:
        for each in turns:
            local[:, SMPL22.index(name)] = local[:, SMPL22.index(name)] @ each

    put("pelvis", turn("Y", 40 + 20 * np.sin(seconds)))
    put("spine2", turn("Y", 0.3 * swing))
    put("head", turn("Y", 50 * np.sin(4 * seconds)))
    for side, out in zip(BOTH, (1, -1), strict=True):
        put(f"{side}hip", turn("X", -out * swing))
        put(f"{side}knee", turn("X", 35 + out * swing))
        put(f"{side}shoulder", turn("Z", -65 * out + 0 * swing), turn("X", swing))
        put(f"{side}elbow", turn("Y", -out * (50 + swing)), turn("X", 40 * np.sin(3 * seconds)))
        put(f"{side}wrist", turn("Z", swing))
    return global_rotations(local, SMPL22.parents)


def told(world: Tensor, constant: Tensor, rest: Tensor | None = None, given: bool = False) -> Motion:
    """A clip under Mixamo's names whose joints have the axes `constant` [22, 3, 3] when the person stands in a T."""
    rest = t_pose() if rest is None else rest
    own = world @ constant.mT
    place = torch.tensor((1.0, 0.9, 2.0), dtype=torch.float64).expand(len(world), 3)
    offsets = bone_vectors(rest, SMPL22.parents)
    positions, _ = forward(local_rotations(world, SMPL22.parents), offsets, SMPL22.parents, place)
    start = [max(parent, 0) for parent in SMPL22.parents]
    bones = (constant[start] @ offsets[..., None]).squeeze(-1)
    still = torch.eye(3, dtype=torch.float64).repeat(22, 1, 1)
    there, _ = forward(still, bones, SMPL22.parents, torch.zeros(3, dtype=torch.float64))
    return Motion(
        positions.float().numpy(),
        20.0,
        tuple(MIXAMO),
        SMPL22.parents,
        local_rotations(own, SMPL22.parents).float().numpy(),
        "told",
        rest=there.numpy() if given else None,
    )


def of_pose(**turns: Tensor) -> Tensor:
    """C of a rest pose that local turns of some joints ("hip": of both sides, mirrored about z and y) make of the T."""
    local = torch.eye(3, dtype=torch.float64).repeat(22, 1, 1)
    for name, each in turns.items():
        if name in SMPL22.joints:
            local[SMPL22.index(name)] = each
        else:
            flip = torch.diag(torch.tensor((-1.0, 1.0, 1.0), dtype=torch.float64))
            local[SMPL22.index(f"left_{name}")] = each
            local[SMPL22.index(f"right_{name}")] = flip @ each @ flip
    return global_rotations(local, SMPL22.parents)


def apart(one: Tensor, other: np.ndarray | None) -> np.ndarray:
    """Degrees [T, 22] between world rotations and those of a clip's local ones."""
    assert other is not None
    found = global_rotations(torch.as_tensor(other, dtype=torch.float64), SMPL22.parents)
    return torch.rad2deg(matrix_to_axis_angle(one.mT @ found).norm(dim=-1)).numpy()


POSES = {
    "T": of_pose(),
    "A": of_pose(shoulder=turn("Z", -50)),
    "arms down": of_pose(shoulder=turn("Z", -88)),
    "sitting": of_pose(shoulder=turn("Z", -70), hip=turn("X", -90), knee=turn("X", 85), ankle=turn("X", 5)),
    "turned about y": of_pose(pelvis=turn("Y", 130)),
    "lying, as of a world whose z is up": of_pose(pelvis=turn("X", -90)),
    "turned on its side": of_pose(pelvis=turn("Z", 90), shoulder=turn("Z", -30)),
}


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("pose", POSES)
def test_any_rest_pose_of_a_person(pose: str, given: bool):
    world = moving()
    found = to_smpl22(told(world, POSES[pose], given=given)).rotations
    assert found is not None and found.dtype == np.float32
    assert apart(world, found).max() < 0.1


def along_one_axis(axis: str) -> Tensor:
    """C of joints whose bones all lie along one axis of their own, as some programs write them."""
    constant = torch.eye(3, dtype=torch.float64).repeat(22, 1, 1)
    rest, unit = t_pose(), torch.eye(3, dtype=torch.float64)["XYZ".index(axis)]
    for name in SMPL22.joints:
        part = name.removeprefix("left_").removeprefix("right_")
        if part in ("hip", "knee", "shoulder", "elbow", "wrist"):
            limb = name.replace("wrist", "elbow")
            joint = SMPL22.index(limb)
            bone = rest[SMPL22.parents.index(joint)] - rest[joint]
            other = torch.tensor((0.0, -1.0 if name.startswith("left") else 1.0, 0.0), dtype=torch.float64)
            hinge = torch.tensor((1.0, 0.0, 0.0), dtype=torch.float64) if part in ("hip", "knee") else other
            bone = torch.nn.functional.normalize(bone, dim=-1)
            own = torch.stack([bone, hinge, torch.linalg.cross(bone, hinge)], -1)
            next_axis = torch.roll(unit, 1)
            to = torch.stack([unit, next_axis, torch.linalg.cross(unit, next_axis)], -1)
            constant[SMPL22.index(name)] = to @ own.mT
        elif part in ("ankle", "foot"):
            constant[SMPL22.index(name)] = constant[SMPL22.index(name.replace(part, "knee"))]
    return constant


@pytest.mark.parametrize("axis", ["X", "Y", "Z"])
def test_a_rest_pose_in_which_all_limbs_lie_along_one_axis(axis: str):
    """What it leaves open is read off the motion: knees and elbows show about which axis they bend."""
    world = moving()
    found = to_smpl22(told(world, along_one_axis(axis))).rotations
    assert found is not None
    off = apart(world, found)
    limbs = [SMPL22.index(side + part) for side in BOTH for part in ("hip", "knee", "shoulder")]
    assert off[:, limbs].max() < 6
    steady = off - off.mean(0)  # hands and forearms, to which a bend says less, by the same turn all the time
    assert off.max() < 45 and np.abs(steady).max() < 8


def test_rotations_pass_by_joints_that_smpl_does_not_have():
    """A twist bone and a second neck bone take part of a turn; the forearm's and the head's are whole."""
    world = moving()
    plain = told(world, POSES["A"])
    local = torch.as_tensor(plain.rotations, dtype=torch.float64)
    names, parents = list(plain.joints), list(plain.parents)
    positions = plain.positions
    for name, below in (("Neck1", "Head"), ("LeftArmTwist", "LeftForeArm")):
        child, count = names.index(below), len(names)
        names.append(name)
        parents.append(parents[child])
        parents[child] = count
        half = turn("Y", 20)
        local = torch.cat([local, half.expand(len(local), 1, 3, 3)], 1)
        local[:, child] = half.mT @ local[:, child]
        positions = np.concatenate([positions, positions[:, child, None]], 1)
    longer = Motion(positions, 20.0, tuple(names), tuple(parents), local.float().numpy(), "longer")
    found, wanted = to_smpl22(longer), to_smpl22(plain)
    assert (
        apart(global_rotations(torch.from_numpy(wanted.rotations), SMPL22.parents).double(), found.rotations).max()
        < 0.1
    )


def test_a_clip_on_smpls_joints_is_brought_to_the_t_only_where_its_rest_pose_is_none():
    world = moving()
    straight = replace(told(world, POSES["T"]), joints=SMPL22.joints)
    assert to_smpl22(straight) is straight
    lowered = replace(told(world, POSES["arms down"]), joints=SMPL22.joints)
    found = to_smpl22(lowered)
    assert found.rest is None and apart(world, found.rotations).max() < 0.1
    np.testing.assert_array_equal(found.positions, lowered.positions)


def test_rotations_that_do_not_move_the_joints_are_none():
    clip = told(moving(), POSES["T"])
    assert clip.rotations is not None
    for spoilt in (
        replace(clip, rotations=np.roll(clip.rotations, 7, 1)),
        replace(clip, rotations=np.full_like(clip.rotations, np.nan)),
        replace(clip, meta={"features": np.zeros((40, 263), np.float32)}),  # bones that end at joints, without twist
        replace(clip, rotations=None),
    ):
        assert to_smpl22(spoilt).rotations is None


def test_hips_in_one_point_tell_no_rotations():
    rest = t_pose()
    rest[1], rest[2] = rest[0].clone(), rest[0].clone()
    rest[16], rest[17] = rest[12].clone(), rest[12].clone()
    assert to_smpl22(told(moving(), POSES["T"], rest)).rotations is None
