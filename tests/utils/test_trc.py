"""TRC: what the file says, holes in it, and the person in it."""

from pathlib import Path

import numpy as np
import pytest

from tests.bodies import walking
from utils.formats import trc
from utils.geometry.body import joints_of
from utils.geometry.joint_maps import DERIVED, to_smpl
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError

NAMES = (
    "RHip RKnee RAnkle RBigToe RSmallToe RHeel LHip LKnee LAnkle LBigToe LSmallToe LHeel Neck Head Nose "
    "RShoulder RElbow RWrist LShoulder LElbow LWrist"
).split()  # fmt: skip


LIMBS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")


def person(frames: int) -> np.ndarray:
    """The 22 joints of a walking body."""
    return joints_of(walking(frames, 60.0))[0][:, :22]


def text(rows: list[str], names: list[str] | None = None, units: str = "mm", rate: str = "50", frames: int = 0) -> str:
    names = ["a", "b"] if names is None else names
    keys = "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames"
    values = f"{rate}\t{rate}\t{frames or len(rows)}\t{len(names)}\t{units}\t{rate}\t1\t{len(rows)}"
    axes = "\t".join(f"{axis}{number}" for number in range(1, len(names) + 1) for axis in "XYZ")
    head = ["PathFileType\t4\t(X/Y/Z)\ta.trc", keys, values, "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t"]
    return "\n".join([*head, "\t\t" + axes, "", *rows]) + "\n"


ROWS = ["1\t0.00\t1000\t2000\t-500\t4\t5\t6", "2\t0.02\t1001\t\t-500\t4\t5\t6", "3\t0.04\t1002\t2000\t-500\t\t\t\t"]


def test_numbers_holes_units_and_rate(tmp_path: Path):
    path = tmp_path / "walk.trc"
    path.write_text(text(ROWS))
    found = trc.read(path)
    assert (found.name, found.fps, found.joints, found.parents) == ("walk", 50.0, ("a", "b"), (-1, -1))
    assert (found.unit, found.note, found.source) == (0.001, "", str(path))
    expected = np.array(
        [[[1000, 2000, -500], [4, 5, 6]], [[1001, np.nan, -500], [4, 5, 6]], [[1002, 2000, -500], [np.nan] * 3]]
    )
    np.testing.assert_allclose(found.positions, expected / 1000, rtol=1e-6)
    for units, metres in (("m", 1.0), ("cm", 0.01)):
        path.write_text(text(ROWS, units=units).replace("\n", "\r\n"))
        np.testing.assert_allclose(trc.read(path).positions, expected * metres, rtol=1e-6)
    path.write_text(text(ROWS[:1]).replace("\t", "  "))
    np.testing.assert_allclose(trc.read(path).positions, expected[:1] / 1000, rtol=1e-6)


def test_what_contradicts_itself_is_said(tmp_path: Path):
    (tmp_path / "a.trc").write_text(text(ROWS, rate="60", frames=4))
    found = trc.read(tmp_path / "a.trc")
    assert found.fps == 60 and "4 frames are announced and 3 are there" in found.note
    assert "states 60 frames a second, and its times go on by 0.02 s" in found.note


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: 'PathFileType' was expected"),
        (text([]), "has no frames"),
        (text(ROWS, units="ft"), r"line 3: Units is 'ft' \(known: m, cm, mm\)"),
        (text(ROWS, rate="0"), "line 3: DataRate '0' is no frame rate"),
        (text(ROWS, rate="nan"), "is no frame rate"),
        (text(ROWS, ["a", "a"]), "line 4: two points have one name"),
        (text(ROWS, []), "line 4"),
        (text(ROWS).replace("Z2", "W2"), "line 5: the axes X, Y, Z of 2 points"),
        (text([*ROWS, "4\t0.06\t1\t2"]), "line 10: 8 cells were expected and 4 are there"),
        (text([ROWS[0] + "\t7"]), "line 7: 8 cells were expected and 9 are there"),
        (text([ROWS[0].replace("2000", "many")]), "line 7: could not convert"),
        (text([ROWS[0].replace("2000", "inf")]), "line 7: a number is infinite"),
        (text([ROWS[0].replace("2000", "1e200")]), "too large"),
    ],
)  # fmt: skip
def test_what_is_no_trc(tmp_path: Path, content: str, said: str):
    (tmp_path / "a.trc").write_text(content)
    with pytest.raises(DataError, match=said) as refused:
        trc.read(tmp_path / "a.trc")
    assert len(str(refused.value)) <= 300
    with pytest.raises(MissingFileError):
        trc.read(tmp_path / "b.trc")


def test_the_person_of_pose2sim_is_found(tmp_path: Path):
    """Under its names the joints that it has come as they are; a short hole is closed on the way."""
    smpl = SKELETONS["smpl22"]
    body, words, points = person(12), {"R": "right_", "L": "left_"}, {}
    for side, word in words.items():
        for part in LIMBS:
            points[side + part.title()] = body[:, smpl.index(word + part)]
        foot = body[:, smpl.index(word + "foot")]
        points |= {f"{side}BigToe": foot + (0, 0, 0.02), f"{side}SmallToe": foot, f"{side}Heel": foot - (0, 0, 0.2)}
    head = body[:, smpl.index("head")]
    points |= {"Neck": body[:, smpl.index("neck")], "Head": head + (0, 0.18, 0), "Nose": head + (0, 0.06, 0.1)}
    table = np.stack([points[name] for name in NAMES], 1).reshape(12, -1)
    rows = ["\t".join([str(number + 1), str(number / 60), *map(str, row)]) for number, row in enumerate(table.tolist())]
    cells = rows[5].split("\t")
    cells[2:5] = [""] * 3
    rows[5] = "\t".join(cells)
    (tmp_path / "a.trc").write_text(text(rows, NAMES, "m", "60"))
    fittable = to_smpl(trc.read(tmp_path / "a.trc"))
    assert "RHip 5" in fittable.note and fittable.motion.fps == 60
    trust = dict(zip(smpl.joints, fittable.confidence[0].tolist(), strict=True))
    observed = {name for name, value in trust.items() if value == 1}
    assert observed == {"neck"} | {side + part for side in words.values() for part in LIMBS}
    assert all(trust[name] == DERIVED for name in ("pelvis", "head", "left_foot", "right_foot"))
    for name in ("left_wrist", "right_knee", "neck"):
        joint = smpl.index(name)
        np.testing.assert_allclose(fittable.motion.positions[:, joint], body[:, joint], atol=1e-6)


@pytest.mark.parametrize("name", ["CHip", "MidHip", "Hip"])
def test_the_middle_of_the_hips_is_the_pelvis(tmp_path: Path, name: str):
    body = person(1)[0]
    order = [2, 5, 8, 11, 11, 8, 1, 4, 7, 10, 10, 7, 12, 15, 15, 17, 19, 21, 16, 18, 20, 0]  # as NAMES, then the pelvis
    row = "\t".join(["1", "0", *map(str, body[order].ravel().tolist())])
    (tmp_path / "a.trc").write_text(text([row], [*NAMES, name], "m"))
    fittable = to_smpl(trc.read(tmp_path / "a.trc"))
    assert fittable.confidence[0, 0] == 1
    np.testing.assert_allclose(fittable.motion.positions[0, 0], body[0], atol=1e-6)


def test_real_files(shared: Path):
    """Every TRC of Pose2Sim's demo: numbers against numpy's own reading, people of people's size, head up."""
    files = sorted((shared / "data").rglob("*.trc"))
    if not files:
        pytest.skip("needs ../shared/data with TRC files")
    for path in files:
        found = trc.read(path)
        lines = [line for line in path.read_text().splitlines()[5:] if line.strip()]
        values = np.loadtxt(lines, delimiter="\t")
        np.testing.assert_allclose(found.positions.reshape(len(values), -1), values[:, 2:], atol=1e-6)
        assert found.fps == 60 and not found.note and list(found.joints[:21]) == NAMES, path
        fittable = to_smpl(found)
        at = {joint: fittable.motion.positions[:, k] for k, joint in enumerate(fittable.motion.joints)}
        leg = [
            np.linalg.norm(at[f"left_{a}"] - at[f"left_{b}"], axis=-1) for a, b in (("hip", "knee"), ("knee", "ankle"))
        ]
        assert 0.45 < np.median(np.sum(leg, 0)) < 1 and "scaled" not in fittable.note, path  # one is a child
        assert np.median(at["head"][:, 1]) > np.median(at["left_ankle"][:, 1]) + 0.4, path
        assert (fittable.confidence > 0).all(), path
