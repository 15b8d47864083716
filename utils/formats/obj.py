"""Wavefront OBJ: a mesh a file, a folder of them for a clip.

`v x y z` in metres with 8 decimals and `f a b c` counted from 1, in the order of the body: vertex i is line i of all
frames, so that a frame can serve as a shape key of another. No normals, no texture coordinates.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from utils.formats.checks import check_motion
from utils.formats.export_format import Format, Look, single
from utils.formats.lines import Refused, numbers
from utils.geometry.body import BodyMotion, skinned, vertices_of
from utils.run.errors import DataError, NumericError
from utils.run.files import read_text
from utils.run.folders import RECORD, atomic_folder

_BLOCK = 16  # frames skinned at a time
_FRAME = re.compile(r"frame\d{3,}\.obj")


def write_sequence(folder: str | Path, motion: BodyMotion, overwrite: bool = False) -> None:
    """Write `frame000.obj` and so on into a new folder that appears whole or not at all.

    Raises UsageError if the folder exists and may not be replaced, DataError or NumericError for a motion that cannot
    be written.
    """
    check_motion(motion, folder)
    faces = faces_text(motion.body.faces)
    with atomic_folder(folder, overwrite) as target:
        for first in range(0, len(motion.root), _BLOCK):
            some = slice(first, first + _BLOCK)
            parts = (torch.as_tensor(motion.rotations[some]), torch.as_tensor(motion.root[some]))
            for frame, vertices in enumerate(skinned(motion.body, *parts).numpy(), first):
                if not np.isfinite(vertices).all():
                    raise NumericError(f"frame {frame} of the mesh holds NaN or infinity, so {folder} was not written")
                with open(target / f"frame{frame:03d}.obj", "wb") as handle:
                    handle.write(vertices_text(vertices) + faces)


def vertices_text(vertices: np.ndarray) -> bytes:
    """The lines of vertices [V, 3]."""
    flat = np.asarray(vertices, np.float64).reshape(-1).tolist()
    return ("v %.8f %.8f %.8f\n" * (len(flat) // 3) % tuple(flat)).encode()


def faces_text(faces: np.ndarray) -> bytes:
    """The lines of faces [F, 3] that count vertices from 0; the file counts from 1."""
    flat = (np.asarray(faces, np.int64) + 1).reshape(-1).tolist()
    return ("f %d %d %d\n" * (len(flat) // 3) % tuple(flat)).encode()


def read(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] float32 and faces [F, 3] int64, counted from 0, of a file of triangles.

    Normals, texture coordinates, groups and materials are passed over. Raises MissingFileError or DataError.
    """
    path = Path(path)
    lines = read_text(path, otherwise="latin-1").split("\n")
    vertices: list[list[float]] = []
    faces: list[list[int]] = []
    try:
        for number, line in enumerate(lines, 1):
            kind, *words = line.split() or [""]
            if kind == "v":
                vertices.append(numbers(words[:3], 3, number))
            elif kind == "f":
                faces.append(_corners(words, len(vertices), number))
    except Refused as refused:
        raise DataError(f"{path}, {refused}") from refused
    if not vertices or not faces:
        raise DataError(f"{path} has {len(vertices)} vertices and {len(faces)} faces; that is no mesh")
    found = np.array(vertices)
    if np.abs(found).max() > np.finfo(np.float32).max:
        raise DataError(f"{path} holds numbers too large for a position")
    return found.astype(np.float32), np.array(faces)


def _corners(words: list[str], count: int, line: int) -> list[int]:
    """The three vertices of a face, each `a`, `a/b`, `a//c` or `a/b/c`. Raises Refused."""
    corners = [word.partition("/")[0] for word in words]
    if len(corners) != 3 or not all(corner.isdecimal() and 1 <= int(corner[:12]) <= count for corner in corners):
        raise Refused(line, f"a face is three of the {count} vertices before it, not {' '.join(words)[:60]!r}")
    return [int(corner) - 1 for corner in corners]


def read_last(folder: str | Path) -> tuple[int, np.ndarray]:
    """How many meshes a folder of `write_sequence` holds, and the vertices [V, 3] of the last. Raises as `read`."""
    frames = sum(_FRAME.fullmatch(path.name) is not None for path in Path(folder).iterdir())
    return frames, read(Path(folder) / f"frame{frames - 1:03d}.obj")[0]


def _look(found: tuple[int, np.ndarray], motion: BodyMotion, number: int) -> Look:
    frames, vertices = found
    last = replace(motion, rotations=motion.rotations[-1:], root=motion.root[-1:])
    return frames, vertices, vertices_of(last)[0]


def _in_the_way(path: Path) -> list[Path]:
    """What a new sequence would take with it: a file of that name, or what is in the folder besides frames."""
    if not path.is_dir():
        return [path] if path.exists() else []
    return [entry for entry in sorted(path.iterdir()) if entry.name != RECORD and not _FRAME.fullmatch(entry.name)]


FORMAT = Format("_obj", single(write_sequence), read_last, _look, in_the_way=_in_the_way)
