"""Fewer faces for a closed mesh: vertices are merged into neighbours, cheapest first (Garland & Heckbert 1997).

A vertex moves onto one of its neighbours, so that what remains are vertices of the mesh as it was: their weights and
shapes stay true. The cost is the sum of squared distances from the planes of all faces that were merged. Vertices
that are mirror images of each other are merged together.
"""

import heapq

import numpy as np

_LEAST_TURN = 0.2  # cosine by which a face may turn in one merge


class _Mesh:
    """A triangle mesh that knows the faces around each vertex."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        self.vertices = vertices
        self.faces: dict[int, tuple[int, int, int]] = {i: (a, b, c) for i, (a, b, c) in enumerate(faces.tolist())}
        self.around: list[set[int]] = [set() for _ in vertices]
        for face, corners in self.faces.items():
            for corner in corners:
                self.around[corner].add(face)

    def neighbours(self, vertex: int) -> set[int]:
        return {corner for face in self.around[vertex] for corner in self.faces[face]} - {vertex}

    def may_merge(self, vertex: int, into: int) -> bool:
        """Whether the mesh stays a closed surface, and no face turns over."""
        near, there = self.neighbours(vertex), self.neighbours(into)
        if len(near & there) != 2 or len(near) == len(there) == 3:  # of the latter, four faces are all there are
            return False
        for face in self.around[vertex] - self.around[into]:
            before = self.vertices[list(self.faces[face])]
            after = self.vertices[[into if corner == vertex else corner for corner in self.faces[face]]]
            normals = [np.cross(places[1] - places[0], places[2] - places[0]) for places in (before, after)]
            size = np.linalg.norm(normals[0]) * np.linalg.norm(normals[1])
            if normals[0] @ normals[1] <= _LEAST_TURN * size:
                return False
        return True

    def merge(self, vertex: int, into: int) -> None:
        for face in self.around[vertex] & self.around[into]:
            for corner in self.faces.pop(face):
                self.around[corner].discard(face)
        for face in self.around[vertex]:
            a, b, c = (into if corner == vertex else corner for corner in self.faces[face])
            self.faces[face] = (a, b, c)
            self.around[into].add(face)
        self.around[vertex] = set()


def reduced(vertices: np.ndarray, faces: np.ndarray, free: np.ndarray, mirror: np.ndarray, count: int) -> np.ndarray:
    """About `count` faces, of corners that index the same vertices [V, 3], out of `faces` [F, 3] of a closed mesh.

    Only vertices that are `free` [V] go; `mirror` [V] is each vertex's mirror image, itself on the midline.
    """
    mesh, quadrics = _Mesh(vertices, faces), _quadrics(vertices, faces)
    heap: list[tuple[float, int, int]] = []

    def cost(vertex: int, into: int) -> float:
        place = np.append(vertices[into], 1.0)
        return float(place @ quadrics[vertex] @ place)

    def offer(vertex: int) -> None:
        for into in mesh.neighbours(vertex) if free[vertex] else ():
            heapq.heappush(heap, (cost(vertex, into), vertex, into))

    for vertex in range(len(vertices)):
        offer(vertex)
    while heap and len(mesh.faces) > count:
        price, vertex, into = heapq.heappop(heap)
        pairs = list(dict.fromkeys(((vertex, into), (int(mirror[vertex]), int(mirror[into])))))
        if price != cost(vertex, into) or not _merge_all(mesh, pairs):
            continue
        for gone, kept in pairs:
            quadrics[kept] += quadrics[gone]
            for near in (kept, *mesh.neighbours(kept)):
                offer(near)
    return np.array(list(mesh.faces.values()))


def _merge_all(mesh: _Mesh, pairs: list[tuple[int, int]]) -> bool:
    """Merge both vertices of a mirrored pair, or neither; those that touch each other are in each other's way."""
    if any(into not in mesh.neighbours(vertex) for vertex, into in pairs):
        return False
    if len(pairs) == 2 and pairs[1][0] in {pairs[0][0], *mesh.neighbours(pairs[0][0])}:
        return False
    if not all(mesh.may_merge(*pair) for pair in pairs):
        return False
    for pair in pairs:
        mesh.merge(*pair)
    return True


def _quadrics(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The sum [V, 4, 4] over the faces of a vertex of p p^T, p their planes, weighted by area."""
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals / np.maximum(areas, 1e-12)
    planes = np.concatenate([normals, -(normals * corners[:, 0]).sum(1, keepdims=True)], 1)
    squares = areas[..., None] * planes[:, :, None] * planes[:, None, :]
    summed = np.zeros((len(vertices), 4, 4))
    for corner in range(3):
        np.add.at(summed, faces[:, corner], squares)
    return summed
