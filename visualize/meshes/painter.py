"""Triangles into pixels with numpy alone: every sample that each row of a triangle covers, and a buffer of depths.

Four samples a pixel (a picture of twice the sides, averaged) smooth the edges. A sample belongs to the triangle whose
left edge is on or left of it and whose right edge is right of it, so that neighbours neither overlap nor leave gaps.
"""

import cv2
import numpy as np

from visualize.meshes.renderer import ProjectedMesh, Renderer

_FINE = 2  # samples along each side of a pixel


class Painter(Renderer):
    """The renderer that needs no OpenGL."""

    name = "painter"

    def fill(self, box: np.ndarray, corner: tuple[int, int], mesh: ProjectedMesh) -> None:
        """See Renderer."""
        shape, faces = (_FINE * box.shape[0], _FINE * box.shape[1]), mesh.faces
        fine = (mesh.pixels - corner + 0.5) * _FINE - 0.5
        corners = np.concatenate([fine, mesh.nearness[:, None], mesh.colours], axis=1).T.astype(np.float32)  # [6, V]
        triangles = np.stack([corners.take(faces[:, k], axis=1) for k in range(3)])  # [3, 6, F]
        triangles, steps = _facing(triangles)
        owner, row, start, count = _spans(triangles, shape)
        span, column = _spread(start, count)
        owner, row = owner[span], row[span]
        nearest = _at(triangles, steps, 2, owner, row, column)
        places, depths = row * shape[1] + column, np.zeros(shape[0] * shape[1], np.float32)
        np.maximum.at(depths, places, nearest)
        seen = np.flatnonzero(depths[places] == nearest)
        places, owner, row, column = places[seen], owner[seen], row[seen], column[seen]
        canvas = cv2.resize(box, shape[::-1], interpolation=cv2.INTER_NEAREST)
        for channel in range(3):
            level = _at(triangles, steps, 3 + channel, owner, row, column)
            canvas.reshape(-1, 3)[places, channel] = np.clip(level + 0.5, 0, 255)
        box[:] = cv2.resize(canvas, None, fx=1 / _FINE, fy=1 / _FINE, interpolation=cv2.INTER_AREA)

    def close(self) -> None:
        """Nothing is held."""


def _facing(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of triangles [3, 6, F] those that face the viewer, and how their values [6, F] change along x and y: [2, 6, F].

    The six values are x, y, nearness and the colour, all linear over the picture. Faces run counter-clockwise seen
    from outside, so clockwise where y counts downwards.
    """
    u, v = triangles[1] - triangles[0], triangles[2] - triangles[0]
    area = u[0] * v[1] - u[1] * v[0]
    front = np.flatnonzero(area < -1e-6)
    u, v, area = u[:, front], v[:, front], area[front]
    return triangles[:, :, front], np.stack([u * v[1] - v * u[1], v * u[0] - u * v[0]]) / area


def _spans(triangles: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The runs of samples that triangles [3, 6, F] cover: whose it is, its row, first column and length."""
    first = np.clip(np.ceil(triangles[:, 1].min(0)), 0, shape[0]).astype(np.int32)
    last = np.clip(np.ceil(triangles[:, 1].max(0)), 0, shape[0]).astype(np.int32)
    owner, row = _spread(first, last - first)
    left, right = np.full(len(row), np.inf, np.float32), np.full(len(row), -np.inf, np.float32)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        # From the upper end to the lower one, whichever triangle asks: neighbours must find the same crossing.
        swap = triangles[a, 1] > triangles[b, 1]
        upper, lower = (
            np.where(swap, triangles[b, :2], triangles[a, :2]),
            np.where(swap, triangles[a, :2], triangles[b, :2]),
        )
        fall = lower[1] - upper[1]
        slope = np.divide(lower[0] - upper[0], fall, out=np.zeros_like(fall), where=fall > 0)
        down = row - upper[1][owner]
        crossed = (down >= 0) & (row < lower[1][owner])
        across = upper[0][owner] + down * slope[owner]
        left = np.where(crossed, np.minimum(left, across), left)
        right = np.where(crossed, np.maximum(right, across), right)
    start, end = (np.clip(np.ceil(side), 0, shape[1]).astype(np.int32) for side in (left, right))
    some = np.flatnonzero(end > start)
    return owner[some], row[some], start[some], (end - start)[some]


def _spread(start: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges that begin at `start` [N] and have `count` [N] members: the number of its range, and each member."""
    owner = np.repeat(np.arange(len(start), dtype=np.int32), count)
    before = np.cumsum(count, dtype=np.int32) - count
    return owner, np.arange(len(owner), dtype=np.int32) + (start - before)[owner]


def _at(
    triangles: np.ndarray, steps: np.ndarray, value: int, owner: np.ndarray, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """One of the six values of the triangles `owner` [N] at samples of a row and column."""
    along_x, along_y = steps[:, value]
    origin = triangles[0, value] - along_x * triangles[0, 0] - along_y * triangles[0, 1]
    values = origin[owner] + along_x[owner] * column + along_y[owner] * row
    return values.astype(np.float32)
