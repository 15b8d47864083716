"""Normals of meshes."""

import numpy as np

from tests import skinned
from utils.geometry.mesh import vertex_normals


def test_normals_of_a_ball_point_outwards():
    vertices, faces = skinned.ball(60, 80)
    normals = vertex_normals(np.stack([vertices, 3 * vertices + 1]), faces)
    assert (normals * vertices).sum(-1).min() > 0.999
    assert np.abs(np.linalg.norm(normals, axis=-1) - 1).max() < 1e-6
    np.testing.assert_allclose(vertex_normals(vertices, faces[:, ::-1]), -normals[0], atol=1e-6)


def test_larger_faces_count_more():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 3.0], [9, 9, 9]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 4, 4]])  # areas 1/2 along z and 3/2 along x, and none at all
    normals = vertex_normals(vertices, faces)
    np.testing.assert_allclose(normals[0], np.array([3, 0, 1]) / np.sqrt(10), atol=1e-6)
    np.testing.assert_allclose(normals[4], [0, 1, 0])
