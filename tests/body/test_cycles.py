"""Cycles that are cut out and closed, and motion in place."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from body.motion.cycles import in_place, looped
from tests.bodies import angle_between, small_body
from utils.geometry.body import BodyMotion, joints_of
from utils.geometry.rotations import about_axis
from utils.run.errors import DataError

FPS = 30.0


def striding(seconds: float = 4.0, period: float = 1.2, noise: float = 0.0, turn: float = 0.0) -> BodyMotion:
    """Legs and arms that swing with a period, of someone who goes on at 1.3 m/s, sways and bobs."""
    body, time = small_body(), np.arange(int(seconds * FPS)) / FPS
    phase = 2 * np.pi * time / period
    rotations = torch.eye(3).repeat(len(time), len(body.joints), 1, 1)
    drift = noise * np.sin(0.7 * time + 1)
    for name, sign in (("left_hip", 1), ("right_hip", -1), ("left_shoulder", -1), ("right_shoulder", 1)):
        swing = torch.from_numpy(sign * 0.5 * np.sin(phase) + drift).float()
        rotations[:, body.joints.index(name)] = about_axis("X", swing)
    heading = turn * time
    rotations[:, 0] = about_axis("Y", torch.from_numpy(heading).float()) @ rotations[:, 0]
    steps = 1.3 / FPS * np.stack([np.sin(heading), 0 * time, np.cos(heading)], -1)
    root = np.cumsum(steps, 0) + np.stack([0.03 * np.sin(phase), 0.95 + 0.02 * np.sin(2 * phase), 0 * time], -1)
    contacts = np.zeros(rotations.shape[:2], bool)
    contacts[:, body.joints.index("left_foot")] = np.sin(phase) > 0
    return BodyMotion(body, rotations.numpy(), root.astype(np.float32), FPS, "stride", contacts=contacts)


def seen(motion: BodyMotion) -> np.ndarray:
    """Joints from the root, by its own axes."""
    positions, world = joints_of(motion)
    return (positions - positions[:, :1]) @ world[:, 0]


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_a_cycle_is_a_period_and_closes(turn: float):
    motion, said = looped(striding(noise=0.05, turn=turn))
    periods = (len(motion.root) - 1) / FPS / 1.2
    assert periods >= 1 and periods == pytest.approx(round(periods), abs=0.03)
    assert "cycle" in said and "cm apart" in said
    points = seen(motion)
    np.testing.assert_allclose(points[-1], points[0], atol=1e-5)
    assert motion.root[-1, 1] == pytest.approx(motion.root[0, 1], abs=1e-5)
    assert np.linalg.norm(motion.root[-1] - motion.root[0]) > 1  # it went on
    step = np.abs(np.diff(points, axis=0)).max((1, 2))
    assert np.abs(points[1] - points[-2]).max() < 2.5 * step.max()
    assert motion.contacts is not None and len(motion.contacts) == len(motion.root)


def test_standing_still_is_no_cycle():
    """Of someone who strides and then stands the cycle is a stride, though any two moments of standing are alike."""
    stride, body = striding(3.0), small_body()
    still = np.tile(np.eye(3, dtype=np.float32), (60, len(body.joints), 1, 1))
    motion = replace(
        stride,
        rotations=np.concatenate([stride.rotations, still]),
        root=np.concatenate([stride.root, np.tile(stride.root[-1:], (60, 1))]),
        contacts=None,
    )
    found, said = looped(motion)
    assert (len(found.root) - 1) / FPS / 1.2 == pytest.approx(round((len(found.root) - 1) / FPS / 1.2), abs=0.03), said
    assert np.ptp(found.root[:, 2]) > 1


def test_what_is_too_short_is_said():
    with pytest.raises(DataError, match="too short"):
        looped(striding(0.4))


def test_in_place_loses_the_path_and_keeps_the_bob():
    motion = striding()
    still = in_place(motion)
    assert np.abs(still.root[:, [0, 2]]).max() < 0.08 and np.ptp(motion.root[:, 2]) > 4
    np.testing.assert_array_equal(still.root[:, 1], motion.root[:, 1])
    assert np.ptp(still.root[30:90, 0]) > 0.04  # the sway of the steps
    np.testing.assert_array_equal(still.rotations, motion.rotations)
    assert in_place(replace(motion, rotations=motion.rotations[:1], root=motion.root[:1])).root[0, 0] == 0


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_a_cycle_in_place_is_closed(turn: float):
    motion = in_place(looped(striding(noise=0.05, turn=turn))[0])
    np.testing.assert_allclose(motion.root[-1], motion.root[0], atol=1e-5)
    assert angle_between(motion.rotations[-1], motion.rotations[0]) < 0.01
    assert np.abs(motion.root[:, [0, 2]]).max() < 0.15
