"""Light, shut-out light and shadow of surfaces: where they fall, told in the axes of the viewer."""

import numpy as np
import pytest

from visualize.meshes.light import SKIN, body_shadow, lit, openness, surface_points
from visualize.sticks.figures import fitted_camera
from visualize.sticks.floor import empty_floor, horizon

SIZE = 300


def sheet(x: float, steps: int = 24) -> np.ndarray:
    """Points [N, 3] of a square upright wall of side 1 at x."""
    y, z = np.meshgrid(np.linspace(0, 1, steps), np.linspace(0, 1, steps))
    return np.stack([np.full(y.size, x), y.ravel(), z.ravel()], axis=1).astype(np.float32)


def test_points_lie_evenly_on_the_surface():
    vertices = np.float32([[0, 0, 0], [3, 0, 0], [3, 2, 0], [0, 2, 0], [0, 0, 5]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4]])  # 3 x 2, and a triangle of 5
    corners, weights, area = surface_points(vertices, faces)
    assert area * len(corners) == pytest.approx(11.0)
    assert weights.min() >= 0 and np.allclose(weights.sum(1), 1)
    points = np.einsum("pc,pcx->px", weights, vertices[corners])
    on_floor = points[points[:, 2] == 0]
    assert len(on_floor) / len(points) == pytest.approx(6 / 11, abs=0.01)
    counts = np.histogram2d(on_floor[:, 0], on_floor[:, 1], (6, 4), ((0, 3), (0, 2)))[0]
    assert counts.min() > 0.85 * counts.mean() and counts.max() < 1.15 * counts.mean()


def test_what_faces_the_lamp_is_brightest_and_what_is_shut_in_is_darker():
    normals = np.float32([[-0.5, 0.72, -0.48], [0.5, -0.72, 0.48], [0, 1, 0], [0, -1, 0]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    bright, under, up, down = lit(normals, np.array(SKIN), np.ones(4)).mean(1)
    assert bright > up > down > 0.2 * 255 and bright > under + 60
    shut = lit(normals, np.array(SKIN), np.full(4, 0.25)).mean(1)
    assert (shut < 0.8 * lit(normals, np.array(SKIN), np.ones(4)).mean(1)).all()
    each = lit(np.tile(normals[:1], (2, 1)), np.array([SKIN, (10, 200, 30)]), np.ones(2))
    assert np.allclose(each[0], lit(normals[:1], np.array(SKIN), np.ones(1))[0]) and each[1, 1] > 3 * each[1, 0]


def test_space_is_open_outside_and_shut_between_walls():
    walls = np.concatenate([sheet(0.0), sheet(0.06)])
    towards = np.repeat(np.float32([[1, 0, 0], [-1, 0, 0]]), len(walls) // 2, axis=0)
    area = 2 / len(walls)
    inside, outside = (openness(walls, area, walls, side * towards, 1.0) for side in (1, -1))
    assert outside.mean() > inside.mean() + 0.15 and inside.min() > 0.3 and outside.max() <= 1
    alone = openness(sheet(0.0), area, sheet(0.0), towards[: len(walls) // 2], 1.0)
    assert alone.min() > 0.9


def test_openness_moves_and_grows_with_the_body():
    rng = np.random.default_rng(1)
    vertices = rng.uniform(0, 0.5, (300, 3))
    normals = rng.normal(size=(300, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    here = openness(vertices, 0.004, vertices, normals, 1.0)
    assert np.allclose(openness(vertices + 7, 0.004, vertices + 7, normals, 1.0), here, atol=1e-4)
    assert np.allclose(openness(9 * vertices, 0.004 * 81, 9 * vertices, normals, 9.0), here, atol=1e-4)
    far = np.concatenate([vertices, [[400.0, 0, 0]]])  # what has flown off costs neither memory nor sense
    assert np.isfinite(openness(far, 0.004, far, np.concatenate([normals, normals[:1]]), 1.0)).all()


@pytest.mark.parametrize("point", [(0.0, 0.0, 0.0), (0.4, 0.0, -0.3), (-0.3, 0.5, 0.2), (0.1, 1.4, -0.2)])
def test_the_shadow_of_a_point_lies_along_the_light(point):
    figure = np.array([[[-0.5, 0, 0], [0.5, 0, 0], [0, 1.7, 0]]])
    camera = fitted_camera(figure, np.zeros(1), 0.4, SIZE)
    fade = empty_floor(camera, SIZE)[1]
    half = np.zeros(((SIZE - horizon(fade) + 1) // 2, SIZE // 2), np.uint8)
    right, up, away = point
    body_shadow(np.array([[point]]), 0.004, camera, fade)(half, 0)
    expected = camera.project(np.array([[(right + 0.3 * up, 0, away + 0.3 * up)]]), np.zeros(1))[0][0, 0]
    rows, columns = np.nonzero(half)
    found = np.average([2 * columns + 0.5, 2 * rows + 0.5 + horizon(fade)], axis=1, weights=half[rows, columns])
    np.testing.assert_allclose(found, expected, atol=2.5)
    assert half.max() > (20 if up == 0 else 0)


def test_no_shadow_of_what_is_beyond_the_floor():
    camera = fitted_camera(np.array([[[0, 0, 0], [0, 1.7, 0]]]), np.zeros(1), 0.4, SIZE)
    fade = empty_floor(camera, SIZE)[1]
    half = np.full(((SIZE - horizon(fade) + 1) // 2, SIZE // 2), 9, np.uint8)
    body_shadow(np.array([[(100.0, 0.0, 0.0)]]), 0.01, camera, fade)(half, 0)
    assert half.max() == 0
