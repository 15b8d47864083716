"""Tables of joint positions: one row a frame, and back."""

import csv as stdlib_csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.bodies import walking
from utils.formats import csv
from utils.geometry.body import joints_of
from utils.run.errors import DataError, MissingFileError, NumericError


def test_one_row_a_frame(tmp_path: Path):
    motion = walking(4)
    csv.write(tmp_path / "a.csv", motion)
    with open(tmp_path / "a.csv", newline="") as handle:
        rows = list(stdlib_csv.DictReader(handle))
    assert len(rows) == 4 and len(rows[0]) == 1 + 24 * 3
    assert [float(row["time"]) for row in rows] == pytest.approx([0, 0.05, 0.1, 0.15])
    ankle = joints_of(motion)[0][3, motion.body.joints.index("left_ankle")]
    assert [float(rows[3][f"left_ankle_{axis}"]) for axis in "xyz"] == pytest.approx(ankle.tolist(), abs=1e-6)


@pytest.mark.parametrize("fps", [12.5, 20.0, 29.97, 30.0, 59.94, 120.0])
@pytest.mark.parametrize("known", [True, False])
def test_it_comes_back(tmp_path: Path, fps: float, known: bool):
    contacts = np.random.RandomState(0).rand(9, 24) < 0.5 if known else None
    motion = walking(9, fps, contacts=contacts)
    csv.write(tmp_path / "a.csv", motion)
    back = csv.read(tmp_path / "a.csv")
    assert back.joints == motion.body.joints and back.fps == pytest.approx(fps, rel=1e-6) and back.name == "a"
    np.testing.assert_allclose(back.positions, joints_of(motion)[0], atol=1e-6)
    assert ("contacts" in back.meta) == known
    if known:
        np.testing.assert_array_equal(back.meta["contacts"], contacts)


def test_names_with_commas_and_one_frame(tmp_path: Path):
    motion = walking(1)
    body = replace(motion.body, joints=('a,"b', *motion.body.joints[1:]))
    csv.write(tmp_path / "a.csv", replace(motion, body=body))
    assert csv.read(tmp_path / "a.csv").joints[0] == 'a,"b'


def test_nan_is_not_written(tmp_path: Path):
    motion = walking()
    with pytest.raises(NumericError, match="path of walk"):
        csv.write(tmp_path / "a.csv", replace(motion, root=motion.root * np.nan))
    with pytest.raises(NumericError, match="infinite positions"), np.errstate(all="ignore"):
        body = replace(motion.body, rest=motion.body.rest * np.float32(1e38) * 1.5)
        csv.write(tmp_path / "a.csv", replace(motion, body=body, root=motion.root * np.float32(3e38)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1"),
        ("time\n0\n", "line 1"),
        ("time,a_x,a_y,a_z\n", "line 2: the table has no frames"),
        ("time,a_x,a_y\n0,1,2\n", "line 1"),
        ("time,a_x,a_y,b_z\n0,1,2,3\n", "line 1"),
        ("time,a_x,a_y,a_z,a_x,a_y,a_z\n0,1,2,3,1,2,3\n", "line 1"),
        ("time,a_x,a_y,a_z,b_contact\n0,1,2,3,1\n", "line 1"),
        ("time,a_x,a_y,a_z\n0,1,2\n", "line 2: 4 numbers"),
        ("time,a_x,a_y,a_z\n0,1,2,x\n", "line 2"),
        ("time,a_x,a_y,a_z\n0,1,2,inf\n", "line 2"),
        ("time,a_x,a_y,a_z\n0,1,2,1e39\n", "too large"),
        ("time,a_x,a_y,a_z\n0,1,2,3\n0,1,2,3\n", "even steps"),
        ("time,a_x,a_y,a_z\n0,1,2,3\n1,1,2,3\n3,1,2,3\n", "even steps"),
        ("time,a_x,a_y,a_z\n0,1,2,3\n1e9,1,2,3\n", "no frame rate"),
    ],
)
def test_wrong_files_are_refused_by_line(tmp_path: Path, text: str, words: str):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        csv.read(tmp_path / "a.csv")
    with pytest.raises(MissingFileError):
        csv.read(tmp_path / "b.csv")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "'=1", "'", '=HYPERLINK("x","y")'])
def test_no_name_is_a_formula(tmp_path: Path, name: str):
    """A spreadsheet runs a cell that begins with one of these signs, and takes one that begins with ' for a text."""
    motion = walking(2, contacts=np.ones((2, 24), bool))
    motion = replace(motion, body=replace(motion.body, joints=(name, *motion.body.joints[1:])))
    csv.write(tmp_path / "a.csv", motion)
    with open(tmp_path / "a.csv", newline="") as handle:
        cells = next(stdlib_csv.reader(handle))
    assert [cell for cell in cells if cell[0] in "=+-@\t\r\n"] == []
    if name.strip() == name:  # the ends of lines are those of all systems
        assert csv.read(tmp_path / "a.csv").joints == motion.body.joints
