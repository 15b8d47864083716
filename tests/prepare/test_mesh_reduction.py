"""Merging vertices keeps a closed surface, its shape, its symmetry, and what must not go."""

import numpy as np
import pytest

from prepare.body.mesh_reduction import _Mesh, reduced


def ellipsoid(shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces and mirror images of an ellipsoid of rings about y, each side the other's mirror image.

    Shifted by half a step it has edges across the middle in place of vertices on it.
    """
    rings, around = 15, 24
    heights, turns = np.pi * np.arange(1, rings + 1) / (rings + 1), 2 * np.pi * (np.arange(around) + shift) / around
    sines, cosines = np.sin(heights)[:, None], np.broadcast_to(np.cos(heights)[:, None], (rings, around))
    sphere = np.stack([sines * np.sin(turns), cosines, sines * np.cos(turns)], -1).reshape(-1, 3)
    vertices = np.concatenate([sphere, [[0, 1, 0], [0, -1, 0]]]) * (0.5, 1.0, 0.3)
    faces = []
    for ring, k in np.ndindex(rings - 1, around):
        a, b, c, d = (r * around + s % around for r, s in ((ring, k), (ring + 1, k), (ring + 1, k + 1), (ring, k + 1)))
        faces += [(a, b, c), (a, c, d)] if k < around // 2 else [(a, b, d), (b, c, d)]
    for k in range(around):
        top, bottom, last = rings * around, rings * around + 1, (rings - 1) * around
        faces += [(top, k, (k + 1) % around), (bottom, last + (k + 1) % around, last + k)]
    mirror = np.array([np.abs(vertices * (-1, 1, 1) - vertex).sum(1).argmin() for vertex in vertices])
    return vertices, np.array(faces), mirror


def assert_closed(faces: np.ndarray) -> None:
    """Each edge has two faces, and all hang together as on a sphere."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    directed = set(map(tuple, edges.tolist()))
    assert len(directed) == len(edges)
    assert all((b, a) in directed for a, b in directed)
    assert len(np.unique(faces)) - len(edges) // 2 + len(faces) == 2


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    corners = vertices[faces]
    return float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def test_fewer_faces_of_the_same_surface():
    vertices, faces, mirror = ellipsoid()
    fewer = reduced(vertices, faces, np.ones(len(vertices), bool), mirror, 300)
    assert 295 < len(fewer) <= 300
    assert_closed(fewer)
    assert volume(vertices, fewer) == pytest.approx(volume(vertices, faces), rel=0.06)
    corners = vertices[fewer]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((outward * corners.mean(1)).sum(1) > 0).all()


def test_both_sides_lose_the_same():
    vertices, faces, mirror = ellipsoid()
    fewer = reduced(vertices, faces, np.ones(len(vertices), bool), mirror, 200)
    assert {frozenset(face) for face in mirror[fewer].tolist()} == {frozenset(face) for face in fewer.tolist()}


def test_edges_across_the_middle():
    vertices, faces, mirror = ellipsoid(0.5)
    fewer = reduced(vertices, faces, np.ones(len(vertices), bool), mirror, 100)
    assert len(fewer) < 0.5 * len(faces)
    assert_closed(fewer)
    kept = set(np.unique(fewer).tolist())
    assert set(mirror[list(kept)].tolist()) == kept


def test_what_is_not_free_stays():
    vertices, faces, mirror = ellipsoid()
    free = vertices[:, 1] > 0.3
    kept = np.unique(reduced(vertices, faces, free, mirror, 0))
    assert set(np.flatnonzero(~free)) <= set(kept)
    assert len(kept) < (~free).sum() + 40


def test_flat_parts_go_first():
    """Where the surface bends most, at the ends, it keeps its corners."""
    vertices, faces, mirror = ellipsoid()
    kept = np.unique(reduced(vertices, faces, np.ones(len(vertices), bool), mirror, 200))
    assert np.abs(vertices[kept]).max(0) == pytest.approx([0.5, 1.0, 0.3], rel=0.08)


def lid(rim: np.ndarray, rings: int) -> tuple[np.ndarray, np.ndarray]:
    """A closed prism over a polygon [N, 2]; rings about the middle of both lids, the rims last."""
    count = len(rim)
    scales = np.append(np.arange(1, rings) / rings, 1)
    flat = np.concatenate([[[0, 0]], *(scale * rim for scale in scales)])
    vertices = np.concatenate([np.insert(flat, 1, height, 1) for height in (1.0, 0.0)])
    faces, here = [], np.arange(count)
    after, lower, last = (here + 1) % count, len(flat), 1 + (rings - 1) * count
    for a, b in zip(here, after, strict=True):
        top = [(0, 1 + a, 1 + b)]
        for first in range(1, last, count):
            low = first + count
            top += [(first + a, low + a, low + b), (first + a, low + b, first + b)]
        faces += top + [(x + lower, z + lower, y + lower) for x, y, z in top]
        faces += [(last + a, lower + last + a, lower + last + b), (last + a, lower + last + b, last + b)]
    return vertices, np.array(faces)


def test_no_face_turns_over_where_the_outline_is_hollow():
    turns = 2 * np.pi * np.arange(10) / 10
    star = np.where(np.arange(10) % 2, 0.35, 1.0)[:, None] * np.stack([np.sin(turns), np.cos(turns)], -1)
    vertices, faces = lid(star, 4)
    free = np.linalg.norm(vertices[:, [0, 2]], axis=1) < 0.34
    fewer = reduced(vertices, faces, free, np.arange(len(vertices)), 0)
    assert len(fewer) < len(faces) - 20
    corners = vertices[fewer]
    up = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 1]
    height = corners[..., 1].mean(1)
    assert (up[height == 1] > 0).all() and (up[height == 0] < 0).all()
    assert volume(vertices, fewer) == pytest.approx(volume(vertices, faces))


def test_a_thin_tube_is_not_pinched():
    ring = np.array([[0, 0, 0.2], [1, 0, 0], [0, 0, -0.2]])  # two of its three sides may go without turning much
    heights = np.linspace(0, 5, 12)
    vertices = np.concatenate([ring * (0.1 + 0.02 * (height - 2) ** 2) + (0, height, 0) for height in heights])
    faces = [(0, 2, 1), (33, 34, 35)]
    for low in range(0, 33, 3):
        for a, b in ((0, 1), (1, 2), (2, 0)):
            faces += [(low + a, low + b, low + 3 + b), (low + a, low + 3 + b, low + 3 + a)]
    mesh = _Mesh(vertices, np.array(faces))
    assert not mesh.may_merge(15, 17) and mesh.may_merge(15, 12)
    fewer = reduced(vertices, np.array(faces), np.ones(36, bool), np.arange(36), 0)
    assert_closed(fewer)
    assert 4 <= len(fewer) < len(faces)
