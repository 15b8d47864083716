"""The light on a body and the shadow that it throws on the floor.

Both are told in the axes of the viewer: right, up along y, away (left-handed), so that the light stands still for who
looks on, to the left and above. The light is soft: the higher a part of the body, the wider and fainter its shadow.
Shadow: points spread evenly over the surface are moved along the light onto the floor, each with the area that it
stands for. With the area A above a point of the floor that it shades, blurred, the darkness is 1 - exp(-a A).
"""

import functools
import itertools
import math
from collections.abc import Iterator

import cv2
import numpy as np

from visualize.sticks.floor import Camera, Painter, horizon

SKIN = (0x98, 0xBD, 0xCB)
# Lamps: where they stand, and how bright they are. The wrap is how far a wide one reaches round into the shade.
_LAMPS = (((-0.50, 0.72, -0.48), 0.92, 0.25), ((0.85, 0.25, -0.46), 0.14, 0.0))
_SKY, _GROUND = (0.36, 0.38, 0.42), (0.23, 0.21, 0.19)  # the light from above and from below, everywhere
_GAMMA = 2.2
_POINTS = 8192  # of a surface
# Where light is shut out: size of a cell and where is looked, in lengths of the body; blur in cells; the surface that
# any place has around it; how fast more of it darkens, and the least that is left.
_CELL, _BEFORE, _SPREAD, _ALONE, _CLOSE, _LEAST = 0.028, 0.05, 1.1, 0.13, 1.4, 0.45
# The shadow: cells along a side of its map; right and away for each metre up; height and blur in heights of the body,
# and strength, of its layers; brightness that it takes at most.
_CELLS, _LEAN = 160, (0.30, 0.30)
_LAYERS = ((0.03, 0.012, 1.1), (0.22, 0.035, 0.55), (0.7, 0.075, 0.40))
_DARKEST = 98


def lit(normals: np.ndarray, colours: np.ndarray, openness: np.ndarray) -> np.ndarray:
    """Colours [V, 3], 0 to 255, of a matt surface of `colours` [3] or [V, 3] with normals [V, 3] in viewer's axes.

    `openness` [V] is the share of the light from all around that comes in, and its root that of the lamps' light.
    """
    up, share = 0.5 + 0.5 * normals[:, 1:2], openness[:, None]
    light = (up * np.array(_SKY, np.float32) + (1 - up) * np.array(_GROUND, np.float32)) * share
    for direction, strength, wrap in _LAMPS:
        facing = normals @ (np.array(direction, np.float32) / np.linalg.norm(direction))
        light += strength * np.maximum((facing[:, None] + wrap) / (1 + wrap), 0) * np.sqrt(share)
    albedo = (np.asarray(colours, np.float32) / 255) ** _GAMMA
    return 255 * np.clip(albedo * light, 0, 1) ** (1 / _GAMMA)


def openness(points: np.ndarray, area: float, vertices: np.ndarray, normals: np.ndarray, extent: float) -> np.ndarray:
    """How open [V] the space before each vertex is, 0 to 1: less in armpits, between legs, under a chin.

    It falls with the surface around a place a little before the vertex: `points` [P, 3] of some `area` each, counted
    in cells and blurred. `extent` is the length of the body.
    """
    cell = _CELL * extent
    middle, room = vertices.mean(0), 1.2 * extent  # what has flown off, such as a ball, may do without
    low, high = (np.clip(side, middle - room, middle + room) for side in (vertices.min(0), vertices.max(0)))
    low, shape = low - 4 * cell, tuple(np.ceil((high - low) / cell).astype(int) + 9)
    dense = _counted((points - low) / cell, np.full(len(points), area / cell**2), shape)
    dense = cv2.GaussianBlur(dense, (5, 5), _SPREAD)
    dense = cv2.GaussianBlur(dense.reshape(-1, shape[2]), (5, 1), _SPREAD).ravel()  # the third axis after the two
    before = (vertices + _BEFORE * extent * normals - low) / cell
    around = sum(dense[place] * share for place, share in _neighbours(before, shape))
    return _LEAST + (1 - _LEAST) * np.exp(-_CLOSE * np.maximum(around - _ALONE, 0))


def surface_points(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Points spread evenly over a surface: corners [P, 3] of each one's face, their weights [P, 3], area of a point."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).astype(np.float64) / 2
    steps = (np.arange(_POINTS) + 0.5) * (area.sum() / _POINTS)
    owner = np.minimum(np.searchsorted(np.cumsum(area), steps), len(faces) - 1)
    # Within a face by the plastic sequence (Roberts 2018), folded from the square into the triangle.
    square = (np.arange(_POINTS)[:, None] * (0.7548776662, 0.5698402910)) % 1
    square = np.where(square.sum(1, keepdims=True) > 1, 1 - square, square)
    weights = np.concatenate([1 - square.sum(1, keepdims=True), square], axis=1)
    return faces[owner], weights.astype(np.float32), float(area.sum() / _POINTS)


def body_shadow(points: np.ndarray, area: float, camera: Camera, fade: np.ndarray) -> Painter:
    """Draws the shadow that surfaces cast, for `floor.floor_painter`.

    They are told by points [F, P, 3] in viewer's axes, y = 0 the floor, of some `area` each (`surface_points`).
    """
    top, levels = horizon(fade), [level for level, _, _ in _LAYERS]
    tall, reach = 2 * camera.height, 0.62 * camera.reach
    cell = 2 * reach / _CELLS
    to_floor = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]]) * (0.2 * reach)
    seen = (camera.project(to_floor[None], np.zeros(1))[0][0] - (0, top)) / 2 + (-0.25, -0.25)
    cells = (to_floor[:, [0, 2]] + reach) / cell - 0.5
    warp = cv2.getPerspectiveTransform(cells.astype(np.float32), seen.astype(np.float32))

    def shade(half: np.ndarray, f: int) -> None:
        right, up, away = points[f].T
        shift, height = np.maximum(up, 0), up / tall
        across = np.stack([away + _LEAN[1] * shift, right + _LEAN[0] * shift], axis=1)
        across = (across + reach) / cell - 0.5
        depth = np.zeros((_CELLS, _CELLS), np.float32)
        for layer, (_, blur, strength) in enumerate(_LAYERS):
            share = np.interp(height, levels, np.eye(len(levels))[layer])
            some = np.flatnonzero(share)
            dense = _counted(across[some], share[some] * (strength * area / cell**2), (_CELLS, _CELLS))
            depth += cv2.GaussianBlur(dense, (0, 0), blur * tall / cell)
        dark = np.rint(_DARKEST * (1 - np.exp(-depth))).astype(np.uint8)
        cv2.warpPerspective(dark, warp, half.shape[::-1], dst=half, flags=cv2.INTER_LINEAR)

    return shade


def _counted(cells: np.ndarray, weights: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sums `shape` of weights [N] at places [N, D] in cells, each shared among those around; none from outside."""
    inside = ((cells >= 0) & (cells <= np.array(shape) - 1)).all(1)
    total = np.zeros(math.prod(shape))
    for place, share in _neighbours(cells, shape):
        total += np.bincount(place, share * weights * inside, len(total))
    return total.reshape(shape).astype(np.float32)


def _neighbours(cells: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The 2^D cells around places [N, D], which are held inside `shape`: flat numbers [N], and shares [N] of it."""
    cells = np.clip(cells, 0, np.array(shape) - 1.001)
    low = cells.astype(np.int32)
    part = (cells - low).T
    sides = list(zip(1 - part, part, strict=True))
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    flat = low @ np.array(strides, np.int32)
    for corner in itertools.product((0, 1), repeat=len(shape)):
        shares = [side[end] for side, end in zip(sides, corner, strict=True)]
        yield flat + int(np.dot(corner, strides)), functools.reduce(np.multiply, shares)
