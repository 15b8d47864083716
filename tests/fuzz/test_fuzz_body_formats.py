"""Exported files cut short or with bytes flipped end in a DataError or in sound arrays, in time."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bodies import small_body, walking
from tests.fuzz.test_fuzz_formats import CASES, SECONDS, damaged
from utils.formats import bvh, csv, hik, obj, smpl_motion, smpl_params
from utils.run.errors import DataError, UsageError

CLIP = walking(3, 30.0, small_body(), contacts=np.zeros((3, 24), bool))


def write_mesh(path: Path) -> None:
    obj.write_sequence(path.with_suffix(""), CLIP)
    (path.with_suffix("") / "frame001.obj").rename(path)


def write_plain(path: Path) -> None:
    """The same numbers without compression, so that damage reaches the headers of the arrays."""
    smpl_motion.write(path, CLIP, "smpl")
    with np.load(path) as archive:
        content = dict(archive)
    np.savez(path, **content)


def arrays(found: Any) -> list[np.ndarray]:
    """All arrays of numbers in what a reader gave."""
    if isinstance(found, np.ndarray):
        return [found]
    parts = found.values() if isinstance(found, dict) else found if isinstance(found, list | tuple) else ()
    parts = vars(found).values() if hasattr(found, "__dict__") else parts
    return [array for part in parts for array in arrays(part)]


@pytest.mark.parametrize(
    ("name", "write", "read"),
    [
        ("a.bvh", lambda path: bvh.write(path, CLIP), bvh.read),
        ("a.csv", lambda path: csv.write(path, CLIP), csv.read),
        ("a.json", lambda path: hik.write(path, [CLIP]), hik.read),
        ("a.obj", write_mesh, obj.read),
        ("a.npz", lambda path: smpl_motion.write(path, CLIP, "smplx"), smpl_motion.read),
        ("plain.npz", write_plain, smpl_motion.read),
        ("a.npy", lambda path: smpl_params.write(path, CLIP), smpl_params.read),
    ],
)
def test_damaged_exports(tmp_path: Path, name: str, write: Callable[[Path], None], read: Callable[[Path], Any]):
    path, rng, refused = tmp_path / name, np.random.RandomState(4), 0
    write(path)
    whole = path.read_bytes()
    assert arrays(read(path))
    for case in range(CASES):
        path.write_bytes(damaged(whole, rng))
        begin = time.perf_counter()
        try:
            found = read(path)
        except DataError as error:
            refused += 1
            assert 10 < len(str(error)) < 1000, case
        else:
            assert all(array.size and np.isfinite(array).all() for array in arrays(found)), case
        assert time.perf_counter() - begin < SECONDS, case
    assert refused


@pytest.mark.parametrize("frames", [1, 2])
def test_short_clips(tmp_path: Path, frames: int):
    """A clip of one frame goes into every format and out of it."""
    clip = walking(frames, 30.0)
    bvh.write(tmp_path / "a.bvh", clip)
    csv.write(tmp_path / "a.csv", clip)
    hik.write(tmp_path / "a.json", [clip])
    obj.write_sequence(tmp_path / "a", clip)
    smpl_params.write(tmp_path / "a.npy", clip)
    assert len(bvh.read(tmp_path / "a.bvh").positions) == len(csv.read(tmp_path / "a.csv").positions) == frames
    assert len(hik.read(tmp_path / "a.json")[0][1]) == smpl_params.read(tmp_path / "a.npy")["length"] == frames
    for model in ("smpl", "smplh", "smplx"):
        smpl_motion.write(tmp_path / "a.npz", clip, model)
        assert len(smpl_motion.read(tmp_path / "a.npz").trans) == frames


def test_what_has_not_smpls_joints_goes_into_bvh_csv_and_obj(tmp_path: Path):
    """A figure of one joint, with a name that is not plain ASCII, in a folder with a space."""
    from utils.geometry.body import Body, BodyMotion

    folder = tmp_path / "mein Ördner"
    folder.mkdir()
    point, faces = np.zeros((3, 3), np.float32), np.array([[0, 1, 2]])
    body = Body("ball", ("der Bäll",), (-1,), point[:1], point, faces, np.ones((3, 1), np.float32))
    clip = BodyMotion(body, np.eye(3, dtype=np.float32)[None, None], point[:1], 25.0)
    bvh.write(folder / "a.bvh", clip)
    csv.write(folder / "a.csv", clip)
    obj.write_sequence(folder / "a", clip)
    assert bvh.read(folder / "a.bvh").joints == ("der Bäll", "der Bäll_end")
    assert csv.read(folder / "a.csv").joints == ("der Bäll",)
    for write in (smpl_params.write, smpl_motion.write, lambda path, motion: hik.write(path, [motion])):
        with pytest.raises(UsageError, match="ball has no pelvis"):
            write(folder / "b", clip)
    assert sorted(path.name for path in folder.iterdir()) == ["a", "a.bvh", "a.csv"]
