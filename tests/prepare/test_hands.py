"""`prepare.body.hands` on a glove of cubes, flat in a T-pose, and on the free body, whose hands were relaxed by it."""

import numpy as np
import pytest

from body.models import load_body
from prepare.body.hands import Finger, find_fingers, relaxed

CELL = 0.005
WRIST, KNUCKLES = np.array((0.6, 0.4, 0.0)), np.array((0.7, 0.4, 0.0))
# First and last cell along x and z from the wrist, two cells thick: four fingers, and a thumb in steps.
FINGERS = ((20, 34, 6, 9), (20, 36, 1, 4), (20, 34, -4, -1), (20, 28, -9, -6))
PALM, THUMB = (-4, 20, -9, 9), tuple((8 + 2 * k, 11 + 2 * k, 9 + 3 * k, 12 + 3 * k) for k in range(4))


def glove(parts: tuple[tuple[int, int, int, int], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and outward faces of the surface of boxes of cells, for the left hand and its image."""
    filled = {(x, y, z) for a, b, c, d in parts for x in range(a, b) for y in (-1, 0) for z in range(c, d)}
    places: dict[tuple[int, ...], int] = {}
    faces = []
    for cell in filled:
        for axis, side in ((axis, side) for axis in range(3) for side in (0, 1)):
            if tuple(np.add(cell, (2 * side - 1) * np.eye(3, dtype=int)[axis])) in filled:
                continue
            corners = []
            for step in ((0, 0), (1, 0), (1, 1), (0, 1))[:: 1 if side else -1]:
                corner = np.zeros(3, int)
                corner[[axis, (axis + 1) % 3, (axis + 2) % 3]] = side, *step
                corners.append(places.setdefault(tuple(np.add(cell, corner).tolist()), len(places)))
            faces += [[corners[k] for k in triangle] for triangle in ((0, 1, 2), (0, 2, 3))]
    left, triangles = WRIST + CELL * np.array(list(places)), np.array(faces)
    return np.concatenate([left, left * (-1, 1, 1)]), np.concatenate([triangles, triangles[:, ::-1] + len(left)])


@pytest.fixture(scope="module")
def flat() -> tuple[np.ndarray, np.ndarray]:
    return glove((PALM, *FINGERS, *THUMB))


@pytest.fixture(scope="module")
def fingers(flat: tuple[np.ndarray, np.ndarray]) -> list[Finger]:
    return find_fingers(*flat, WRIST, KNUCKLES)


def normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return across / np.linalg.norm(across, axis=1, keepdims=True)


def lengths(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vertices[faces] - vertices[np.roll(faces, 1, 1)], axis=-1)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    corners = vertices[faces]
    return float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def test_the_fingers_of_a_hand_are_found(flat: tuple[np.ndarray, np.ndarray], fingers: list[Finger]):
    """Each is a box from where the fingers part to its tip, the index first; the thumb stands out forwards."""
    cells = (flat[0] - WRIST) / CELL
    assert len(fingers) == 10
    for finger, (_, last, low, high) in zip(fingers, FINGERS, strict=False):
        own = cells[finger.vertices]
        assert own.max(0)[[0, 2]] == pytest.approx([last, high])
        assert own[:, 2].min() == pytest.approx(low)
        assert own[:, 0].min() == pytest.approx(21)
    thumb = cells[fingers[4].vertices]
    assert thumb[:, 2].max() == pytest.approx(THUMB[-1][3])
    assert thumb[:, 0].max() < 20
    assert set(np.concatenate([finger.vertices for finger in fingers[5:]])) == {
        vertex + len(cells) // 2 for finger in fingers[:5] for vertex in finger.vertices
    }


def test_fingers_curl_and_the_palm_stays(flat: tuple[np.ndarray, np.ndarray], fingers: list[Finger]):
    vertices = flat[0]
    bent = relaxed(vertices, fingers)
    still = np.ones(len(vertices), bool)
    still[np.concatenate([finger.vertices for finger in fingers])] = False
    assert (bent[still] == vertices[still]).all()
    lower = [float((bent - vertices)[finger.tip, 1].mean()) for finger in fingers]
    reach = [float(np.ptp(vertices[finger.vertices, 0])) for finger in fingers]
    assert max(lower) < -0.003
    curls = [-drop / length for drop, length in zip(lower[:4], reach[:4], strict=True)]
    assert curls == sorted(curls)
    assert 0.25 < curls[0] < curls[3] < 0.7
    assert (bent[fingers[4].tip, 2] < vertices[fingers[4].tip, 2]).all()
    half = len(vertices) // 2
    assert np.abs(bent[:half] * (-1, 1, 1) - bent[half:]).max() < 1e-12


def test_a_bent_hand_is_not_torn_or_creased(flat: tuple[np.ndarray, np.ndarray], fingers: list[Finger]):
    """No face turns by more than the joints together, no edge or volume changes much."""
    vertices, faces = flat
    bent = relaxed(vertices, fingers)
    assert (normals(vertices, faces) * normals(bent, faces)).sum(1).min() > np.cos(np.radians(75))
    ratio = lengths(bent, faces) / lengths(vertices, faces)
    assert 0.7 < ratio.min() < ratio.max() < 1.4
    assert volume(vertices, faces) > 0
    assert volume(bent, faces) == pytest.approx(volume(vertices, faces), rel=0.02)


def test_fingers_that_were_found_on_one_shape_bend_another(flat: tuple[np.ndarray, np.ndarray], fingers: list[Finger]):
    vertices = flat[0].astype(np.float32)
    larger = relaxed(1.3 * vertices, fingers)
    assert larger.dtype == np.float32
    assert np.abs(larger - 1.3 * relaxed(vertices, fingers)).max() < 1e-6


@pytest.mark.parametrize("parts", [(PALM,), (PALM, *FINGERS[:3], *THUMB), (PALM, *FINGERS), (PALM, *THUMB)])
def test_what_is_no_hand_has_no_fingers(parts: tuple[tuple[int, int, int, int], ...]):
    vertices, faces = glove(parts)
    assert find_fingers(vertices, faces, WRIST, KNUCKLES) == []
    assert (relaxed(vertices, []) == vertices).all()
    assert find_fingers(vertices, faces, WRIST + (1, 0, 0), KNUCKLES + (1, 0, 0)) == []


@pytest.mark.parametrize("shape", [{}, {"child": 1}, {"heavy": 1, "male": 1}, {"old": 1, "thin": 1}])
def test_the_free_body_has_relaxed_hands(shape: dict[str, float]):
    """From knuckles to tips, index to little finger go down by 40 to 57 degrees; as flat boards, by 20 to 32."""
    model = load_body("free")
    rest = {name: model.rest[joint].astype(np.float64) for joint, name in enumerate(model.joints)}
    fingers = find_fingers(model.template, model.faces, rest["left_wrist"], rest["left_hand"])
    assert len(fingers) == 10
    vertices = model.shaped(shape).vertices
    ways = np.array([vertices[finger.tip].mean(0) - vertices[finger.base].mean(0) for finger in fingers])
    down = np.degrees(np.arctan2(-ways[:4, 1], ways[:4, 0]))
    assert down == pytest.approx([40, 46, 52, 57], abs=3)
    assert np.degrees(np.arctan2(-ways[5:9, 1], -ways[5:9, 0])) == pytest.approx(down, abs=0.5)
