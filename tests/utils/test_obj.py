"""OBJ sequences: the mesh of every frame, vertex for vertex, as a whole folder or not at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.bodies import walking
from utils.formats import obj
from utils.geometry.body import vertices_of
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError
from utils.run.folders import RECORD


def test_every_vertex_of_every_frame_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(obj, "_BLOCK", 5)
    motion = walking(12)
    obj.write_sequence(tmp_path / "walk_obj", motion)
    assert sorted(path.name for path in (tmp_path / "walk_obj").iterdir()) == [RECORD] + [
        f"frame{k:03d}.obj" for k in range(12)
    ]
    wanted = vertices_of(motion)
    for frame in range(12):
        vertices, faces = obj.read(tmp_path / f"walk_obj/frame{frame:03d}.obj")
        np.testing.assert_allclose(vertices, wanted[frame], atol=2e-8)
        np.testing.assert_array_equal(faces, motion.body.faces)


def test_the_lines(tmp_path: Path):
    vertices = np.array([[0, -1.5, 2], [1e-8, 12345.678, -0.25], [3, 4, 5]])
    text = obj.vertices_text(vertices) + obj.faces_text(np.array([[0, 1, 2]], np.uint32))
    assert text == (
        b"v 0.00000000 -1.50000000 2.00000000\nv 0.00000001 12345.67800000 -0.25000000\n"
        b"v 3.00000000 4.00000000 5.00000000\nf 1 2 3\n"
    )


def test_equal_vertices_are_not_merged(tmp_path: Path):
    motion = walking(1)
    vertices = motion.body.vertices.copy()
    vertices[:4] = vertices[0]
    obj.write_sequence(tmp_path / "out", replace(motion, body=replace(motion.body, vertices=vertices)))
    assert len(obj.read(tmp_path / "out/frame000.obj")[0]) == len(vertices)


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path):
    obj.write_sequence(tmp_path / "out", walking(2))
    with pytest.raises(UsageError, match="exists already"):
        obj.write_sequence(tmp_path / "out", walking(1))
    assert len(list((tmp_path / "out").iterdir())) == 3
    obj.write_sequence(tmp_path / "out", walking(1), overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [RECORD, "frame000.obj"]


def test_nothing_is_left_of_what_cannot_be_written(tmp_path: Path, full_disk):
    motion = walking(40)
    root = motion.root.copy()
    root[39] = np.nan
    with pytest.raises(NumericError, match="path of walk"):
        obj.write_sequence(tmp_path / "out", replace(motion, root=root))
    huge = replace(
        motion, root=np.full_like(motion.root, 3e38), body=replace(motion.body, vertices=motion.body.vertices * 1e38)
    )
    with pytest.raises(NumericError, match="frame 0 of the mesh"), np.errstate(all="ignore"):
        obj.write_sequence(tmp_path / "out", huge)
    with pytest.raises(OSError), full_disk(9000):
        obj.write_sequence(tmp_path / "out", walking(3))
    assert not list(tmp_path.iterdir())


def test_files_of_other_programs_are_read(tmp_path: Path):
    path = tmp_path / "a.obj"
    path.write_text(
        "# made elsewhere\r\nmtllib a.mtl\r\nv 0 0 0 1 1 1\r\nv 1e0 0 0\r\nv 0\t1 0\r\nvn 0 0 1\r\nvt 0 0\r\n"
        "o thing\r\ns off\r\nf 1/1/1 2//1 3/1\r\n"
    )
    vertices, faces = obj.read(path)
    assert vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]] and faces.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "0 vertices"),
        ("v 0 0 0\n", "0 faces"),
        ("v 0 0\nf 1 1 1\n", "line 1: 3 numbers"),
        ("v 0 0 nan\nf 1 1 1\n", "line 1"),
        ("v 0 0 x\nf 1 1 1\n", "line 1"),
        ("v 0 0 1e39\nf 1 1 1\n", "too large"),
        ("v 0 0 0\nf 1 1 2\n", "line 2: a face"),
        ("v 0 0 0\nf 1 1 0\n", "line 2: a face"),
        ("v 0 0 0\nf 1 1 -1\n", "line 2: a face"),
        ("v 0 0 0\nf 1 1 1 1\n", "line 2: a face"),
        ("v 0 0 0\nf 1 1\n", "line 2: a face"),
        ("v 0 0 0\nf\n", "line 2: a face"),
    ],
)
def test_wrong_files_are_refused_by_line(tmp_path: Path, text: str, words: str):
    (tmp_path / "a.obj").write_text(text)
    with pytest.raises(DataError, match=words):
        obj.read(tmp_path / "a.obj")
    with pytest.raises(MissingFileError):
        obj.read(tmp_path / "b.obj")
