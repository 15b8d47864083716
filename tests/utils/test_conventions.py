"""Unit and up axis of a file: from bones and rest pose, whatever the pose; what is impossible is said."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from utils.formats.options import ReadingOptions
from utils.formats.reading import read_motion
from utils.geometry.conventions import AXES, UNITS, in_our_world, oddities, unit_of, up_of
from utils.geometry.kinematics import forward
from utils.geometry.motion import Motion
from utils.geometry.rest import rest_joints, rest_offsets
from utils.geometry.rotations import about_axis
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, UsageError

SMPL24 = SKELETONS["smpl24"]


def person(lying: bool = False, frames: int = 12) -> Motion:
    """Someone in a T who walks on at 1 m/s, or lies on the back, metres, y up, with rest pose and rotations."""
    rotations = torch.eye(3).repeat(frames, 24, 1, 1)
    rotations[:, 2] = about_axis("X", torch.linspace(0, 0.6, frames))
    if lying:
        rotations[:, 0] = about_axis("X", torch.full((frames,), -np.pi / 2))
    root = torch.stack([torch.zeros(frames), torch.full((frames,), 0.9), torch.arange(frames) / 30], -1)
    positions, _ = forward(rotations, rest_offsets(), SMPL24.parents, root)
    return Motion(
        positions.numpy(), 30.0, SMPL24.joints, SMPL24.parents, rotations.numpy(), "person", rest=rest_joints().numpy()
    )


def with_arms(times: float) -> Motion:
    """The same with arms so much longer from the shoulder on; they are 0.6 of the legs by themselves."""
    positions = person().positions.copy()
    for side in ("left", "right"):
        start = SMPL24.index(f"{side}_shoulder")
        for name in ("elbow", "wrist"):
            joint = SMPL24.index(f"{side}_{name}")
            positions[:, joint] += (times - 1) * (positions[:, joint] - positions[:, start])
    return replace(person(), positions=positions)


def as_filed(motion: Motion, metres: float, up: str) -> Motion:
    """The clip as a file holds it whose unit is so many metres, and whose axis `up` points up."""
    turn = AXES[up].T
    return replace(
        motion,
        positions=motion.positions @ turn.T / metres,
        rotations=turn @ motion.rotations @ turn.T,
        rest=motion.rest @ turn.T / metres,
    )


@pytest.mark.parametrize("lying", [False, True])
@pytest.mark.parametrize("metres", UNITS.values())
@pytest.mark.parametrize("size", [0.8, 1.2])
def test_the_unit_is_that_of_the_bones(lying: bool, metres: float, size: float):
    assert unit_of(as_filed(person(lying), metres / size, "y"))[1] == metres


@pytest.mark.parametrize("lying", [False, True])
@pytest.mark.parametrize("up", AXES)
def test_any_axis_up_comes_out_the_same(lying: bool, up: str):
    wanted, filed = person(lying), as_filed(person(lying), 0.01, up)
    assert up_of(filed) == up
    found = in_our_world(filed, 0.01, up)
    np.testing.assert_allclose(found.positions, wanted.positions, atol=1e-5)
    np.testing.assert_allclose(found.rotations, wanted.rotations, atol=1e-6)
    np.testing.assert_allclose(found.rest, wanted.rest, atol=1e-6)
    assert (found.unit, found.up) == (0.01, up)
    offsets = torch.from_numpy(found.rest - found.rest[[max(parent, 0) for parent in found.parents]])
    posed = forward(torch.from_numpy(found.rotations), offsets, found.parents, torch.from_numpy(found.positions[:, 0]))
    np.testing.assert_allclose(posed[0], found.positions, atol=1e-5)


def test_where_rest_is_no_person_the_clip_tells_or_nobody_does():
    flat = replace(person(), rest=np.linspace(0, 1, 24)[:, None] * (1.0, 0.0, 0.0))
    assert up_of(flat) == "y"
    slanted = (about_axis("X", torch.tensor(0.6)) @ about_axis("Y", torch.tensor(np.pi / 4))).numpy()
    with pytest.raises(DataError, match="which way is up .* --up y or --up z"):
        up_of(replace(flat, positions=person(lying=True).positions @ slanted.T))
    assert up_of(replace(person(), joints=tuple(f"bone{i}" for i in range(24)))) == "y"


def test_facing_turns_that_axis_forward():
    ahead = in_our_world(person(), 1.0, "y", "x").positions
    np.testing.assert_allclose(ahead[..., 2], person().positions[..., 0], atol=1e-6)
    np.testing.assert_allclose(ahead[..., 1], person().positions[..., 1], atol=1e-6)
    with pytest.raises(UsageError, match="nobody faces up"):
        in_our_world(person(), 1.0, "y", "y")


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        (person(), ""),
        (replace(person(), positions=person().positions * 3), "5.1 m tall"),
        (replace(person(), fps=600.0), "move at 20 m/s"),
        (replace(person(), positions=person().positions + np.float32([0, 4, 0])), "4.1 m from the floor"),
        (replace(person(lying=True), rest=None), "stands along -z"),
        (person(lying=True), ""),
        (with_arms(1.4), ""),
        (with_arms(2), "arms are 1.2 times as long as its legs"),
        (with_arms(0.5), "arms are 0.3 times as long as its legs"),
    ],
)
def test_what_is_impossible_for_a_person_is_said(clip: Motion, said: str):
    assert said in oddities(clip) and bool(said) == bool(oddities(clip))


def test_flags_win_over_what_would_be_concluded(tmp_path):
    np.save(tmp_path / "a.npy", person().positions[:, :22] * 100)
    with pytest.raises(DataError, match="--scale says the unit"):
        read_motion(tmp_path / "a.npy")
    (found,) = read_motion(tmp_path / "a.npy", ReadingOptions(scale=0.01, input_fps=50.0))
    np.testing.assert_allclose(found.positions, person().positions[:, :22], atol=1e-5)
    assert found.fps == 50 and found.source == str(tmp_path / "a.npy")


@pytest.mark.parametrize("joints", [52, 55])
def test_hands_and_faces_of_arrays_are_left_out_and_that_is_said(tmp_path, joints: int):
    points = np.pad(person().positions[:, :22], ((0, 0), (0, joints - 22), (0, 0)))
    np.save(tmp_path / "a.npy", points)
    (found,) = read_motion(tmp_path / "a.npy")
    assert found.joints == SKELETONS["smpl22"].joints and f"the {joints - 22} joints after them" in found.note
