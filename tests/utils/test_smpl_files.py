"""SMPL's pickles are read without chumpy or SciPy, and nothing in a pickle is run."""

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utils.formats import smpl_files
from utils.run.errors import DataError, MissingFileError, UsageError


class _Thing:
    """What the pretended modules hold: an object that pickles by its state."""

    def __init__(self, **state: Any):
        self.__dict__.update(state)


@pytest.fixture
def content(golden: Path) -> dict[str, Any]:
    """A small body with SMPL's keys, as plain arrays."""
    with np.load(golden / "mesh" / "smpl_like_body.npz") as packed:
        return {key: packed[key] for key in smpl_files._KEYS}


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch):
    """Makes classes of modules that are not installed, so that they can be pickled; they go before the reading."""

    def make(module: str, name: str) -> type:
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            path = ".".join(parts[:depth])
            monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
        kind = type(name, (_Thing,), {"__module__": module})
        setattr(sys.modules[module], name, kind)
        return kind

    return make


def columns(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """The parts of a compressed sparse column matrix."""
    filled = matrix.T != 0
    rows = np.nonzero(filled)[1].astype(np.int32)
    return {"data": matrix.T[filled], "indices": rows, "indptr": np.append(0, filled.sum(1).cumsum()).astype(np.int32)}


def written(path: Path, content: Any, protocol: int = 2, module: bytes = b"numpy.core") -> Path:
    path.write_bytes(pickle.dumps(content, protocol).replace(b"numpy._core", module))
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("sparse", ["scipy.sparse.csc", "scipy.sparse._csc"])
def test_a_pickle_of_chumpy_objects(
    content: dict[str, Any], tmp_path: Path, pretend, monkeypatch: pytest.MonkeyPatch, protocol: int, sparse: str
):
    array, select = pretend("chumpy.ch", "Ch"), pretend("chumpy.reordering", "Select")
    matrix = pretend(sparse, "csc_matrix")
    shapes = np.concatenate([content["shapedirs"], np.ones((200, 3, 290), np.float32)], -1)
    whole = np.arange(700.0)
    whole[np.arange(600) + 50] = content["v_template"].ravel()
    old = content | {
        "v_template": select(a=array(x=whole), idxs=np.arange(600) + 50, preferred_shape=(200, 3)),
        "shapedirs": array(x=shapes.astype(np.float64)),
        "posedirs": array(x=content["posedirs"], _dirty_vars=set()),
        "J_regressor": matrix(_shape=(24, 200), **columns(content["J_regressor"])),
        "bs_type": "lrotmin",
        "bs_style": "lbs",
    }
    written(tmp_path / "SMPL_NEUTRAL.pkl", old, protocol)
    for name in [name for name in sys.modules if name.split(".")[0] in ("chumpy", "scipy")]:
        monkeypatch.delitem(sys.modules, name)
    arrays = smpl_files.read(tmp_path / "SMPL_NEUTRAL.pkl")
    assert np.array_equal(arrays.template, content["v_template"])
    assert np.array_equal(arrays.shape_directions, content["shapedirs"])
    assert np.array_equal(arrays.pose_directions, content["posedirs"])
    assert np.array_equal(arrays.regressor, content["J_regressor"])
    assert np.array_equal(arrays.faces, content["f"])
    assert "chumpy" not in sys.modules


def test_npz_and_pickle_agree(content: dict[str, Any], tmp_path: Path):
    np.savez(tmp_path / "a.npz", **content)
    written(tmp_path / "a.pkl", content)
    for one, other in zip(
        *(vars(smpl_files.read(tmp_path / f"a.{end}")).values() for end in ("npz", "pkl")), strict=True
    ):
        assert np.array_equal(one, other)
        assert one.dtype in (np.float32, np.int32)


class _Runs:
    """A pickle that calls something when it is read."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("nested", [False, True])
def test_a_hostile_pickle_runs_nothing(content: dict[str, Any], tmp_path: Path, protocol: int, nested: bool):
    import os

    for call in (
        _Runs(os.mkdir, str(tmp_path / "hacked")),
        _Runs(eval, f"__import__('os').mkdir({str(tmp_path / 'hacked')!r})"),
        _Runs(getattr, content, "clear"),
        _Runs(np.load, "x"),
    ):
        path = written(tmp_path / "a.pkl", content | {"v_template": call} if nested else call, protocol)
        with pytest.raises(DataError, match="which no") as caught:
            smpl_files.read(path)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "hacked").exists()


def test_old_style_objects_are_of_known_kinds_only(tmp_path: Path):
    """`copy_reg._reconstructor` would make an object of any class."""
    raw = b"ccopy_reg\n_reconstructor\n(cnumpy\nndarray\nc__builtin__\nobject\nNtR."
    (tmp_path / "a.pkl").write_bytes(raw)
    with pytest.raises(DataError, match="an object of an unknown class"):
        smpl_files.read(tmp_path / "a.pkl")


def _cut(content: dict[str, Any], key: str, values: Any) -> dict[str, Any]:
    return content | {key: values}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: {k: v for k, v in c.items() if k != "posedirs"}, "it has no posedirs"),
        (lambda c: _cut(c, "v_template", c["v_template"][:50]), r"weights has shape \(200, 24\), not \(50, 24\)"),
        (lambda c: _cut(c, "v_template", c["v_template"][:, :2]), r"v_template has shape \(200, 2\)"),
        (lambda c: _cut(c, "shapedirs", c["shapedirs"][..., 0]), "shapedirs has shape"),
        (lambda c: _cut(c, "posedirs", c["posedirs"][..., :9]), "posedirs has shape"),
        (lambda c: _cut(c, "weights", np.full((200, 24), np.nan)), "weights holds NaN"),
        (lambda c: _cut(c, "f", c["f"] + 5), "names other vertices"),
        (lambda c: _cut(c, "kintree_table", np.zeros((2, 55), np.uint32)), r"55 joints \(SMPL-X, not SMPL"),
        (lambda c: _cut(c, "kintree_table", np.zeros((2, 17), np.uint32)), r"17 joints \(not SMPL"),
        (lambda c: _cut(c, "kintree_table", np.zeros((2, 24), np.uint32)), "do not hang together"),
        (lambda c: _cut(c, "kintree_table", np.zeros(24, np.uint32)), "kintree_table has shape"),
        (lambda c: [1, 2], "holds no SMPL body but a list"),
    ],
)
def test_what_is_no_smpl_body(content: dict[str, Any], tmp_path: Path, change, said: str):
    path = written(tmp_path / "a.pkl", change(content))
    with pytest.raises(DataError, match=said) as caught:
        smpl_files.read(path)
    assert str(path) in str(caught.value)


def test_broken_sparse_matrices(content: dict[str, Any], tmp_path: Path, pretend):
    matrix = pretend("scipy.sparse.csc", "csc_matrix")
    parts = columns(content["J_regressor"])
    for state, said in (
        (parts | {"_shape": (10**9, 10**9)}, "a sparse matrix has shape"),
        (parts | {"_shape": (24, 200), "indptr": parts["indptr"][::-1].copy()}, "broken columns"),
        (parts | {"_shape": (24, 200), "indices": parts["indices"] + 1000}, "out of bounds"),
    ):
        with pytest.raises(DataError, match=said):
            smpl_files.read(written(tmp_path / "a.pkl", content | {"J_regressor": matrix(**state)}))


def test_an_array_that_holds_itself(content: dict[str, Any], tmp_path: Path, pretend):
    loop = pretend("chumpy.ch", "Ch")()
    loop.x = loop
    with pytest.raises(DataError, match="nested more than 64 deep, or holds itself"):
        smpl_files.read(written(tmp_path / "a.pkl", content | {"posedirs": loop}))


def test_files_that_are_no_files(tmp_path: Path):
    for name in ("a.pkl", "a.npz"):
        with pytest.raises(MissingFileError, match="does not exist"):
            smpl_files.read(tmp_path / name)
        for raw in (b"", b"garbage", b"\x80\x02."):
            (tmp_path / name).write_bytes(raw)
            with pytest.raises(DataError, match="is not a readable"):
                smpl_files.read(tmp_path / name)
            (tmp_path / name).unlink()
    with pytest.raises(UsageError, match="ends in .pkl or .npz"):
        smpl_files.read(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("SMPL_NEUTRAL.pkl", "smpl"),
        ("SMPL_FEMALE.npz", "smpl_female"),
        ("SMPL_MALE.pkl", "smpl_male"),
        ("basicmodel_m_lbs_10_207_0_v1.0.0.pkl", "smpl_male"),
        ("basicModel_f_lbs_10_207_0_v1.0.0.pkl", "smpl_female"),
        ("basicModel_neutral_lbs_10_207_0_v1.0.0.pkl", "smpl"),
    ],
)
def test_names_tell_the_gender(file: str, name: str):
    assert smpl_files.name_of(file) == name
