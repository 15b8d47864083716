"""A body for any skeleton: each bone a rounded cone between the spheres about its two joints, rigid with its parent.

Neighbouring bones share the sphere of their joint, so that the figure stays closed however it bends.
"""

from collections.abc import Sequence

import numpy as np
import torch

from utils.geometry.body import Body
from utils.geometry.kinematics import main_root, walk
from utils.geometry.rotations import between_vectors
from utils.run.errors import DataError

_SEGMENTS = 12  # around a bone
_RINGS = 4  # of each of its two spheres
_STOUT = 0.075  # radius of a bone that carries all others, by the size of the figure
_THINNEST = 0.006  # by the size of the figure,
_STUBBY = 0.35  # and by the length of all that a bone carries
_BALL = 0.07  # radius of a joint that hangs on nothing, by the size of the figure
_TIP = 0.7  # of which a joint without children has this part


def capsule_body(joints: Sequence[str], parents: Sequence[int], rest: np.ndarray, name: str) -> Body:
    """A closed mesh about the bones of a tree whose joints stand at `rest` [K, 3]; one influence a vertex.

    Joints that hang on nothing while another root has children (a gymnast's ball) become balls and children of that
    root, as a `BodyMotion` moves one root. The same holds for further trees. Raises DataError for places that are not
    finite or not as many as the joints.
    """
    rest = np.asarray(rest, np.float32)
    if rest.shape != (len(joints), 3) or len(parents) != len(joints) or not np.isfinite(rest).all():
        raise DataError(f"{len(joints)} joints need as many parents and finite places [K, 3], not {rest.shape}")
    radii = _radii(parents, rest)
    parts, weights = [], []
    for joint, parent in enumerate(parents):
        if parent >= 0:
            parts.append(_rounded_cone(rest[parent], rest[joint], radii[parent], radii[joint]))
            weights.append(parent)
        elif joint not in parents:
            parts.append(_rounded_cone(rest[joint], rest[joint], radii[joint], radii[joint]))
            weights.append(joint)
    sizes = [len(vertices) for vertices, _ in parts]
    starts = np.cumsum([0, *sizes[:-1]])
    return Body(
        name,
        tuple(joints),
        _one_tree(parents),
        rest,
        np.concatenate([vertices for vertices, _ in parts]).astype(np.float32),
        np.concatenate([faces + start for (_, faces), start in zip(parts, starts, strict=True)]).astype(np.int32),
        np.repeat(np.eye(len(joints), dtype=np.float32)[weights], sizes, 0),
    )


def _one_tree(parents: Sequence[int]) -> tuple[int, ...]:
    """Parents with the first root that has children as the only root."""
    root = main_root(parents)
    return tuple(root if parent < 0 and joint != root else parent for joint, parent in enumerate(parents))


def _radii(parents: Sequence[int], rest: np.ndarray) -> np.ndarray:
    """The radius [K] of the sphere about each joint: the mean over its bones, less at the tips.

    The section of a bone grows with the length of all that hangs on it, as that of a branch (Shinozaki et al. 1964).
    """
    size = float(np.linalg.norm(np.ptp(rest, axis=0))) or 1.0
    carried = np.array([np.linalg.norm(rest[k] - rest[p]) if p >= 0 else 0.0 for k, p in enumerate(parents)])
    whole = max(float(carried.sum()), 1e-9)
    for joint in reversed(walk(parents)):
        if parents[joint] >= 0:
            carried[parents[joint]] += carried[joint]
    found: list[list[float]] = [[] for _ in parents]
    for joint, parent in enumerate(parents):
        if parent >= 0:
            radius = min(_STOUT * size * float(np.sqrt(carried[joint] / whole)), _STUBBY * float(carried[joint]))
            radius = max(radius, _THINNEST * size)
            found[parent].append(radius)
            found[joint].append(radius if joint in parents else _TIP * radius)
    return np.array([np.mean(each) if each else _BALL * size for each in found])


def _rounded_cone(start: np.ndarray, end: np.ndarray, wide: float, narrow: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and outward faces of the hull of two spheres; of one where it holds the other."""
    way = (end - start).astype(np.float64)
    length = float(np.linalg.norm(way))
    if length <= abs(wide - narrow) + 1e-9:
        start, way, length = (start, way, 0.0) if wide >= narrow else (end, way, 0.0)
        wide = narrow = max(wide, narrow)
    # The angle from the way at which the cone touches both spheres.
    touch = np.arccos((wide - narrow) / length) if length else np.pi / 2
    first = np.linspace(np.pi, touch, _RINGS + 1)[1:]
    last = np.linspace(touch, 0, _RINGS + 1)[:-1]
    if not length:  # the two rings at the touch are one
        last = last[1:]
    heights = np.concatenate([wide * np.cos(first), length + narrow * np.cos(last)])
    widths = np.concatenate([wide * np.sin(first), narrow * np.sin(last)])
    around = np.arange(_SEGMENTS) * 2 * np.pi / _SEGMENTS
    circle = np.stack([np.sin(around), np.zeros(_SEGMENTS), np.cos(around)], -1)
    rings = widths[:, None, None] * circle + heights[:, None, None] * np.array([0.0, 1.0, 0.0])
    poles = np.array([[0, -wide, 0], [0, length + narrow, 0]])
    turn = np.eye(3)
    if length:
        turn = between_vectors(torch.tensor([0.0, 1.0, 0.0]).double(), torch.from_numpy(way)).numpy()
    vertices = np.concatenate([rings.reshape(-1, 3), poles]) @ turn.T + start
    return vertices, _tube_faces(len(rings))


def _tube_faces(rings: int) -> np.ndarray:
    """Faces of stacked rings, closed by a pole at the bottom and one at the top."""
    here = np.arange(_SEGMENTS)
    after = (here + 1) % _SEGMENTS
    faces = []
    for low in range(0, (rings - 1) * _SEGMENTS, _SEGMENTS):
        high = low + _SEGMENTS
        faces += [np.stack([low + here, low + after, high + after], -1)]
        faces += [np.stack([low + here, high + after, high + here], -1)]
    bottom, top, last = rings * _SEGMENTS, rings * _SEGMENTS + 1, (rings - 1) * _SEGMENTS
    faces += [np.stack([np.full_like(here, bottom), after, here], -1)]
    faces += [np.stack([np.full_like(here, top), last + here, last + after], -1)]
    return np.concatenate(faces)
