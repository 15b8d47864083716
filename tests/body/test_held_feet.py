"""Feet held in motion that is joints alone: they stand still, legs are as long as before, knees ahead."""

import numpy as np
import pytest
import torch

from body.motion.held_feet import hold_feet
from tests.people import crouching, drifting
from utils.geometry.contacts import sliding
from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.errors import DataError

SMPL22 = SKELETONS["smpl22"]
FPS, FEET = 20.0, [(7, 10), (8, 11)]
BONES = [(1, 4), (4, 7), (7, 10), (2, 5), (5, 8), (8, 11)]


def lengths(clip: np.ndarray) -> np.ndarray:
    return np.stack([np.linalg.norm(clip[:, a] - clip[:, b], axis=-1) for a, b in BONES], 1)


def test_feet_stand_still_and_nothing_above_the_legs_is_moved_sideways():
    clip = drifting()
    held = hold_feet(clip, FPS, SMPL22).positions
    assert sliding(clip, FPS, FEET) > 0.1 and sliding(held, FPS, FEET) < 0.01
    np.testing.assert_allclose(lengths(held), lengths(clip), atol=1e-6)
    upper = [joint for joint in range(22) if joint not in (4, 5, 7, 8, 10, 11)]
    np.testing.assert_allclose(held[:, upper][..., [0, 2]], clip[:, upper][..., [0, 2]], atol=1e-9)
    np.testing.assert_allclose(held[:, [10, 11]] - held[:, [7, 8]], clip[:, [10, 11]] - clip[:, [7, 8]], atol=1e-6)
    assert np.abs(held - clip).max() < 0.16


@pytest.mark.parametrize("turn", [0.0, 1.2, 3.0])
def test_knees_stay_ahead_whatever_way_the_body_faces(turn):
    """And the feet of a turned motion are held as the turned feet: nothing depends on where the world's axes point."""
    around = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    held = hold_feet(drifting() @ around.T, FPS, SMPL22).positions @ around
    np.testing.assert_allclose(held, hold_feet(drifting(), FPS, SMPL22).positions, atol=1e-6)
    for hip, knee, ankle in ((1, 4, 7), (2, 5, 8)):
        assert (held[:, knee, 2] > (held[:, hip, 2] + held[:, ankle, 2]) / 2 + 0.05).all()


def test_the_turns_are_those_of_the_bones():
    clip = drifting()
    found = hold_feet(clip, FPS, SMPL22)
    for start, end in BONES:
        before, after = clip[:, end] - clip[:, start], found.positions[:, end] - found.positions[:, start]
        np.testing.assert_allclose((found.turned[:, end] @ before[..., None])[..., 0], after, atol=1e-6)
    legs = {4, 5, 7, 8}
    others = [joint for joint in range(22) if joint not in legs]
    np.testing.assert_allclose(found.turned[:, others], np.broadcast_to(np.eye(3), (60, len(others), 3, 3)))
    assert np.abs(found.turned[:, list(legs)] - np.eye(3)).max() > 0.05
    np.testing.assert_allclose(np.linalg.det(found.turned), 1, atol=1e-6)


def test_feet_in_the_floor_are_lifted_out_of_it():
    clip = crouching()[None].repeat(40, 0)
    clip[:, :, 1] -= 0.05
    held = hold_feet(clip, FPS, SMPL22).positions
    assert clip[:, [10, 11], 1].min() < -0.02 and held[:, [7, 8, 10, 11], 1].min() > -1e-6


def test_motion_whose_feet_do_not_stand_or_slide_stays():
    flying = crouching()[None] + np.arange(40)[:, None, None] * np.array([0.2, 0, 0.1])
    still = crouching()[None].repeat(40, 0)
    for clip in (flying, still, still[:1], still[:2]):
        np.testing.assert_allclose(hold_feet(clip, FPS, SMPL22).positions, clip, atol=1e-9)


def test_a_skeleton_without_legs_is_refused():
    with pytest.raises(DataError, match="do not name legs"):
        hold_feet(np.zeros((4, 2, 3)), FPS, Skeleton("worm", ("a", "b"), ((0, 1),), (-1, 0)))


def test_numbers_keep_their_kind():
    clip = drifting().astype(np.float32)
    assert hold_feet(clip, FPS, SMPL22).positions.dtype == np.float32
    assert torch.from_numpy(hold_feet(clip, FPS, SMPL22).turned).dtype == torch.float32
