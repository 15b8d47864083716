"""How feet stand, against closed forms: a foot that slides at a known speed, a foot that rolls, feet in the air."""

import numpy as np
import pytest

from utils.geometry.contacts import HEIGHT, carrying, sliding

FPS = 20.0
FEET = ((0, 1), (2, 3))  # ankle and toe, left and right
TOES = (1, 3)


def standing(frames: int) -> np.ndarray:
    """Two feet on the floor [T, 4, 3]: ankles 8 cm up, toes on the ground."""
    clip = np.zeros((frames, 4, 3))
    clip[:, [0, 2], 1] = 0.08
    clip[:, [2, 3], 0] = 0.3
    return clip


def along(frames: int, speed: float) -> np.ndarray:
    """Metres gone [T] at so many metres a second."""
    return speed * np.arange(frames) / FPS


def test_feet_at_rest_do_not_slide():
    assert sliding(standing(30), FPS, FEET) == 0
    assert sliding(standing(30) + (5, 0.7, -2), FPS, FEET) == 0, "wherever the floor is"


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 0, -1), (0.6, 0, 0.8)])
def test_both_feet_slide_at_a_known_speed(direction):
    clip = standing(30) + along(30, 0.3)[:, None, None] * np.array(direction)
    assert sliding(clip, FPS, FEET) == pytest.approx(0.3)
    assert sliding(clip, 2 * FPS, FEET) == pytest.approx(0.6)


def test_only_the_foot_with_the_lower_toe_counts():
    clip = standing(30)
    clip[:, 2:, 1] += 0.03
    clip[:, 2:, 2] += along(30, 2.0)[:, None]
    assert sliding(clip, FPS, FEET) == 0, "the other foot swings past just above the floor"
    clip[:, :2, 2] += along(30, 0.1)[:, None]
    assert sliding(clip, FPS, FEET) == pytest.approx(0.1)


def test_a_foot_that_rolls_over_its_toe_or_its_heel_is_at_rest():
    for moved in (0, 1):
        clip = standing(30)
        clip[:, 2:, 1] += 1
        clip[:, moved, 2] += along(30, 0.5)
        assert sliding(clip, FPS, FEET) == 0


def test_a_step_of_height_is_no_sliding():
    clip = standing(30)
    clip[:, :, 1] += 0.02 * np.sin(np.arange(30))[:, None]
    assert sliding(clip, FPS, FEET) == 0


def test_feet_in_the_air_do_not_count():
    """A jump: 10 frames on the floor, 10 that fly forward above it, 10 on the floor."""
    clip = standing(30)
    clip[10:20, :, 1] += HEIGHT + 0.01
    clip[10:, :, 2] += np.minimum(along(20, 3.0), along(20, 3.0)[10])[:, None]
    foot, stands = carrying(clip, TOES)
    assert stands.tolist() == [True] * 10 + [False] * 10 + [True] * 10
    assert sliding(clip, FPS, FEET) == 0
    clip[10:20, :, 1] -= 0.02
    assert sliding(clip, FPS, FEET) == pytest.approx(3.0 * 10 / 29), "10 of 29 steps at 3 m/s"


def test_one_low_frame_does_not_make_the_floor():
    clip = standing(60) + along(60, 0.2)[:, None, None] * np.array((1, 0, 0))
    clip[30, :, 1] -= 1
    assert carrying(clip, TOES)[1].all()


def test_where_the_foot_changes_nothing_is_measured():
    clip = standing(20)
    clip[:10, 2:, 1] += 0.02
    clip[10:, :2, 1] += 0.02
    clip[10:, :, 2] += 5
    assert carrying(clip, TOES)[0].tolist() == [0] * 10 + [1] * 10
    assert sliding(clip, FPS, FEET) == 0
    assert sliding(standing(1), FPS, FEET) == 0
