"""Bodies for any skeleton: closed, facing outwards, rigid with their bones, whatever the tree."""

from collections import Counter

import numpy as np
import pytest

from body.capsules import capsule_body
from utils.geometry.body import Body, BodyMotion, vertices_of
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError


def made(name: str, seed: int = 0) -> Body:
    skeleton = SKELETONS[name]
    rest = np.random.RandomState(seed).uniform(-1, 1, (len(skeleton.joints), 3))
    return capsule_body(skeleton.joints, skeleton.parents, rest, name)


def components(body: Body) -> list[np.ndarray]:
    """The faces of each closed part: those whose vertices follow each other."""
    label = np.arange(len(body.vertices))
    while True:
        least = label[body.faces].min(1)
        before = label.copy()
        for corner in range(3):
            np.minimum.at(label, body.faces[:, corner], least)
        if (label == before).all():
            break
    return [body.faces[label[body.faces[:, 0]] == part] for part in np.unique(label)]


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    corners = vertices[faces].astype(np.float64) - vertices[faces[0, 0]]
    return float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


@pytest.mark.parametrize("name", sorted(SKELETONS))
def test_each_bone_is_a_closed_convex_part(name: str):
    body = made(name)
    edges = Counter(map(tuple, body.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()))
    assert set(edges.values()) == {1}
    assert all((b, a) in edges for a, b in edges)
    assert set(np.unique(body.faces)) == set(range(len(body.vertices)))
    parts = components(body)
    loose = sum(
        parent < 0 and joint not in SKELETONS[name].parents for joint, parent in enumerate(SKELETONS[name].parents)
    )
    assert len(parts) == sum(parent >= 0 for parent in SKELETONS[name].parents) + loose
    for faces in parts:
        corners = body.vertices[faces].astype(np.float64)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert ((normals * (corners.mean(1) - corners.mean((0, 1)))).sum(1) > 0).all()
        assert volume(body.vertices, faces) > 0


@pytest.mark.parametrize("name", sorted(SKELETONS))
def test_one_root_and_one_influence(name: str):
    body = made(name)
    assert sum(parent < 0 for parent in body.parents) == 1
    assert ((body.weights == 0) | (body.weights == 1)).all()
    assert (body.weights.sum(1) == 1).all()


def test_the_ball_hangs_on_the_root_and_is_round():
    skeleton, body = SKELETONS["gymnastics"], made("gymnastics")
    ball = skeleton.index("Ball")
    assert body.parents[ball] == skeleton.index("LeftHip")
    assert body.parents[:ball] == skeleton.parents[:ball]
    own = body.vertices[body.weights[:, ball] == 1]
    distances = np.linalg.norm(own - body.rest[ball], axis=1)
    assert len(own) > 50
    assert np.ptp(distances) < 1e-5
    others = body.vertices[body.weights[:, ball] == 0]
    assert len(others) % (len(skeleton.joints) - 2) == 0


def test_bones_reach_from_joint_to_joint():
    """Both joints are as deep inside the part as it is thick there."""
    rest = np.array([[0, 1, 0], [0.5, 1, 0], [0.5, 0.4, 0.2]])
    body = capsule_body(("a", "b", "c"), (-1, 0, 1), rest, "arm")
    for parent, joint in ((0, 1), (1, 2)):
        own = body.vertices[body.weights[:, parent] == 1]
        way = (rest[joint] - rest[parent]) / np.linalg.norm(rest[joint] - rest[parent])
        along = (own - rest[parent]) @ way
        aside = np.linalg.norm(own - rest[parent] - along[:, None] * way, axis=1)
        length = np.linalg.norm(rest[joint] - rest[parent])
        assert 0.01 < -along.min() < 0.3 * length
        assert 0.01 < along.max() - length < 0.3 * length
        assert aside.max() == pytest.approx(max(-along.min(), along.max() - length), rel=0.05)


def test_the_sides_touch_both_spheres():
    """The cone leaves each sphere where its side is at right angles to the radius."""
    rest = np.array([[0, 0, 0], [0, 1, 0], [0, 1.2, 0], [0.3, 1.2, 0.3]])
    body = capsule_body("abcd", (-1, 0, 1, 1), rest, "taper")
    own = body.vertices[body.weights[:, 0] == 1]
    along, aside = own[:, 1], np.linalg.norm(own[:, [0, 2]], axis=1)
    wide, narrow = -along.min(), along.max() - 1
    assert wide - narrow > 0.02
    sine = wide - narrow  # of the taper, by a length of 1
    for radius, middle in ((wide, 0), (narrow, 1)):
        ring = np.abs(along - middle - radius * sine) < 1e-5
        assert ring.sum() == 12
        assert aside[ring] == pytest.approx(radius * np.sqrt(1 - sine**2), abs=1e-5)


def test_parts_move_rigidly_and_stay_together():
    body = made("horse", seed=3)
    rng = np.random.RandomState(1)
    angles = rng.uniform(-1, 1, (2, len(body.joints)))
    turns = np.tile(np.eye(3), (*angles.shape, 1, 1))
    turns[..., 0, 0] = turns[..., 1, 1] = np.cos(angles)
    turns[..., 0, 1], turns[..., 1, 0] = -np.sin(angles), np.sin(angles)
    moved = vertices_of(BodyMotion(body, turns, np.zeros((2, 3)), 30.0))
    for faces in components(body):
        assert volume(moved[1], faces) == pytest.approx(volume(body.vertices, faces), rel=1e-4)


def test_small_enough_for_the_largest_skeleton():
    body = capsule_body([f"j{k}" for k in range(51)], (-1, *range(50)), np.random.RandomState(0).rand(51, 3), "horse")
    assert len(body.vertices) < 6000
    assert body.vertices.dtype == np.float32
    assert body.faces.dtype == np.int32


def test_what_carries_more_is_thicker():
    """A trunk is thicker than a finger, and neither is thicker than its length allows."""
    rest = np.array([[0, 0, 0], [0, 1, 0], [0, 1.5, 0], [0, 1.8, 0], [0, 1.82, 0]])
    body = capsule_body("abcde", (-1, 0, 1, 2, 3), rest, "tree")
    widths = [np.ptp(body.vertices[body.weights[:, joint] == 1][:, 0]) for joint in range(4)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 * widths[3]


@pytest.mark.parametrize("rest", [np.zeros((1, 3)), np.zeros((3, 3)), np.eye(3) * 1e-9, np.eye(3) * 1e4])
def test_odd_skeletons_get_a_body(rest: np.ndarray):
    body = capsule_body("abc"[: len(rest)], (-1, 0, 1)[: len(rest)], rest, "odd")
    assert np.isfinite(body.vertices).all()
    for faces in components(body):
        assert volume(body.vertices, faces) > 0


def test_what_has_no_body():
    with pytest.raises(DataError, match="3 joints need as many parents"):
        capsule_body("abc", (-1, 0, 1), np.zeros((2, 3)), "x")
    with pytest.raises(DataError, match="finite places"):
        capsule_body("abc", (-1, 0, 1), np.full((3, 3), np.nan), "x")
