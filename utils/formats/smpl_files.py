"""Reads SMPL's model files: the pickles of its release, which hold chumpy arrays, and `.npz` with the same keys.

Nothing of chumpy or SciPy is imported, and nothing of a pickle is run: their objects get stand-ins that keep what they
are told, and everything else is refused. Layout: Loper et al. 2015, SMPL, section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.geometry.skeleton import SKELETONS
from utils.run.arrays import load_archive, load_pickle
from utils.run.errors import DataError, UsageError
from utils.run.pickles import Kept

SHAPES = 10  # files of version 1.1 have 300 components; everything published uses the first ten
_KEYS = ("v_template", "f", "weights", "J_regressor", "shapedirs", "posedirs", "kintree_table")
_OTHERS = {55: "SMPL-X", 52: "SMPL+H", 16: "MANO", 5: "FLAME", 33: "SMAL", 35: "SMAL"}


@dataclass(frozen=True)
class SmplArrays:
    """Template [V, 3], faces [F, 3], weights [V, 24], joint regressor [24, V]; float32 and int32.

    Shape directions [V, 3, S], S at most 10, and pose directions [V, 3, 207], metres.
    """

    template: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    regressor: np.ndarray
    shape_directions: np.ndarray
    pose_directions: np.ndarray


class _Sparse(Kept):
    """Stands in for a compressed sparse column matrix."""


def _stand_in(module: str, name: str) -> type[Kept] | None:
    """What is given for a class of a SMPL pickle, or nothing."""
    if module.split(".")[0] in ("chumpy", "scipy"):
        return _Sparse if name == "csc_matrix" else Kept
    return None


def read(path: str | Path) -> SmplArrays:
    """The arrays of a SMPL file. Raises UsageError, MissingFileError or DataError; opening a file never runs code."""
    path = Path(path)
    if path.suffix not in (".pkl", ".npz"):
        raise UsageError(f"{path} is not a body: choose free, smpl, or a SMPL file that ends in .pkl or .npz")
    content = load_archive(path, _KEYS) if path.suffix == ".npz" else load_pickle(path, _stand_in, "latin1")
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no SMPL body but a {type(content).__name__}")
    try:
        return _checked(content)
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, RecursionError) as error:
        raise DataError(f"{path} is no SMPL body: {str(error) or type(error).__name__}") from error


def name_of(path: str | Path) -> str:
    """`smpl`, `smpl_male` or `smpl_female`, by the names that the release and its packagers gave their files."""
    stem = Path(path).stem.lower()
    if "female" in stem or stem.startswith("basicmodel_f"):
        return "smpl_female"
    return "smpl_male" if "male" in stem or stem.startswith("basicmodel_m") else "smpl"


def _checked(content: Mapping[str, Any]) -> SmplArrays:
    """The arrays, their shapes held against each other. Raises ValueError or its like."""
    for key in _KEYS:
        if key not in content:
            raise ValueError(f"it has no {key}")
    kintree = _dense(content["kintree_table"])
    if kintree.ndim != 2:
        raise ValueError(f"kintree_table has shape {kintree.shape}, not (2, 24)")
    parents = kintree[0].astype(np.int64)
    joints, wanted = len(parents), SKELETONS["smpl24"].parents
    if joints != len(wanted):
        kind = f"{_OTHERS[joints]}, " if joints in _OTHERS else ""
        raise ValueError(f"it has {joints} joints ({kind}not SMPL, which has {len(wanted)})")
    parents[0] = -1  # written as 4294967295
    if tuple(parents.tolist()) != wanted:
        raise ValueError("its joints do not hang together as SMPL's do")
    vertices = len(_dense(content["v_template"]))
    arrays = SmplArrays(
        _floats(content, "v_template", (vertices, 3)),
        _dense(content["f"]).astype(np.int64).astype(np.int32),
        _floats(content, "weights", (vertices, joints)),
        _floats(content, "J_regressor", (joints, vertices)),
        _floats(content, "shapedirs", (vertices, 3, None))[..., :SHAPES],
        _floats(content, "posedirs", (vertices, 3, 9 * (joints - 1))),
    )
    if (
        arrays.faces.ndim != 2
        or arrays.faces.shape[1] != 3
        or not ((arrays.faces >= 0) & (arrays.faces < vertices)).all()
    ):
        raise ValueError(f"f has shape {arrays.faces.shape}, or names other vertices than its {vertices}")
    return arrays


def _floats(content: Mapping[str, Any], key: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of the file as float32 of this shape; None is any length."""
    values = content[key]
    values = _dense(values, (shape[0] or 0, shape[1] or 0)) if isinstance(values, _Sparse) else _dense(values)
    if values.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, values.shape, strict=True)):
        raise ValueError(f"{key} has shape {values.shape}, not {tuple(n or 'any' for n in shape)}")
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{key} holds NaN or infinity")
    return values


def _dense(value: Any, shape: tuple[int, int] = (0, 0)) -> np.ndarray:
    """An array from what a file holds: an array, one of chumpy's, or a sparse matrix of this shape."""
    if isinstance(value, _Sparse):
        return _dense_columns(value.state, shape)
    if isinstance(value, Kept):
        state = value.state
        if "x" in state:
            return _dense(state["x"])
        if "a" in state and "idxs" in state:  # chumpy's Select: some entries of another array
            picked = _dense(state["a"]).ravel()[_dense(state["idxs"])]
            return picked.reshape(tuple(int(n) for n in state.get("preferred_shape", picked.shape)))
        raise ValueError(f"it holds a chumpy object of an unknown kind, with {sorted(state)}")
    return np.asarray(value)


def _dense_columns(state: Mapping[str, Any], shape: tuple[int, int]) -> np.ndarray:
    """A compressed sparse column matrix, filled in."""
    stored = tuple(int(n) for n in state.get("_shape", state.get("shape", ())))
    if stored != shape:
        raise ValueError(f"a sparse matrix has shape {stored}, not {shape}")
    data, rows, starts = (_dense(state[name]) for name in ("data", "indices", "indptr"))
    if starts.shape != (shape[1] + 1,) or starts[0] != 0 or starts[-1] != len(data) or (np.diff(starts) < 0).any():
        raise ValueError("a sparse matrix has broken columns")
    dense = np.zeros(shape)
    np.add.at(dense, (rows, np.repeat(np.arange(shape[1]), np.diff(starts))), data)
    return dense
