"""Acclaim files: a small body by hand, refusals by line, CMU against heights, HDM05 against its own markers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from utils.formats import asf_amc
from utils.geometry.human import to_smpl22
from utils.geometry.kinematics import bone_lengths
from utils.run.errors import DataError, MissingFileError

SKELETON = """# comment
:version 1.10
:name TEST
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
  nothing
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name femur
    direction 0 -1 0
    length 4.5
    axis 0 0 0 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
    id 2
    name tibia
    direction 0 -1 0
    length 9
    axis 0 90 0 XYZ
    dof rx
    limits (-10.0 170.0)
  end
:hierarchy
  begin
    root femur
    femur tibia
  end
"""
MOTION = """#!OML:ASF x.asf
:FULLY-SPECIFIED
:DEGREES
1
root 0 9 0 0 0 0
femur 0 0 0
tibia 0
2
root 4.5 9 0 0 0 0
femur 90 0 90
tibia 90
"""
UNIT = 0.0254 / 0.45


def read(folder: Path, skeleton: str = SKELETON, motion: str = MOTION, **options):
    (folder / "body.asf").write_text(skeleton)
    (folder / "walk.amc").write_text(motion)
    return asf_amc.read(folder / "body.asf", folder / "walk.amc", **options)


def test_a_small_body_by_hand(tmp_path: Path):
    motion = read(tmp_path)
    assert motion.joints == ("root", "femur", "tibia", "tibia_end") and motion.parents == (-1, 0, 1, 2)
    assert motion.fps == 120 and motion.name == "walk"
    straight = [[0, 9, 0], [0, 9, 0], [0, 4.5, 0], [0, -4.5, 0]]
    # Femur: x first takes -y to -z, z then leaves it there. Tibia: 90 degrees about its own axis y90(x) = -z.
    bent = [[4.5, 9, 0], [4.5, 9, 0], [4.5, 9, -4.5], [4.5 - 9 * 0, 9, -4.5]]
    np.testing.assert_allclose(motion.positions[0], np.array(straight) * UNIT, atol=1e-6)
    np.testing.assert_allclose(motion.positions[1, :3], np.array(bent[:3]) * UNIT, atol=1e-6)
    # In the femur's axes the tibia turns from -y about -z to -x; the femur's turn takes x to y.
    np.testing.assert_allclose(motion.positions[1, 3], np.array([4.5, 0, -4.5]) * UNIT, atol=1e-6)


def test_units_and_rates(tmp_path: Path):
    plain = read(tmp_path).positions
    np.testing.assert_allclose(read(tmp_path, SKELETON.replace("length 0.45", "length 0.9")).positions * 2, plain)
    scaled = read(tmp_path, metres_per_unit=1.0, fps=60)
    np.testing.assert_allclose(scaled.positions * UNIT, plain, rtol=1e-6, atol=1e-6)
    assert scaled.fps == 60
    half_pi = repr(np.pi / 2)
    radians = MOTION.replace(":DEGREES", ":RADIANS").replace("femur 90 0 90", f"femur {half_pi} 0 {half_pi}")
    radians = radians.replace("tibia 90", f"tibia {half_pi}")
    np.testing.assert_allclose(read(tmp_path, motion=radians).positions, plain, atol=1e-6)


def test_the_order_of_the_degrees_of_freedom_counts(tmp_path: Path):
    swapped = read(
        tmp_path, SKELETON.replace("dof rx ry rz", "dof rz rx ry"), MOTION.replace("femur 90 0 90", "femur 90 90 0")
    )
    # z first takes -y to x, x then leaves it there.
    np.testing.assert_allclose(swapped.positions[1, 2] / UNIT, [9, 9, 0], atol=1e-5)


def test_the_order_of_the_root_counts(tmp_path: Path):
    turned = MOTION.replace("root 4.5 9 0 0 0 0", "root 90 0 0 0 9 4.5").replace("femur 90 0 90", "femur 0 0 0")
    turned = turned.replace("root 0 9 0 0 0 0", "root 0 0 0 0 9 0")
    motion = read(tmp_path, SKELETON.replace("order TX TY TZ RX RY RZ", "order RX RY RZ TZ TY TX"), turned)
    np.testing.assert_allclose(motion.positions[1, 0] / UNIT, [4.5, 9, 0], atol=1e-5)
    np.testing.assert_allclose(motion.positions[1, 2] / UNIT, [4.5, 9, -4.5], atol=1e-5)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("asf", "direction 0 -1 0\n    length 9", "direction 0 -1\n    length 9", ["line 30", "3 numbers"]),
        ("asf", "length 9", "length many", ["line 31", "many"]),
        ("asf", "axis 0 90 0 XYZ", "axis 0 90 0 XYY", ["line 32", "XYY"]),
        ("asf", "dof rx\n", "dof l\n", ["line 33", "'l'"]),
        ("asf", "dof rx\n", "dof tx\n", ["line 33", "only the root"]),
        ("asf", "name tibia", "name femur", ["line 27", "femur"]),
        ("asf", "    femur tibia\n", "", ["tibia"]),
        ("asf", "femur tibia", "femur foot", ["line 39", "foot"]),
        ("asf", "femur tibia", "femur femur", ["line 39", "femur has two parents"]),
        ("asf", "  length 0.45", "  length 0", ["line 5", "length"]),
        ("asf", ":hierarchy", ":tree", [":hierarchy"]),
        ("asf", "  order TX TY TZ RX RY RZ\n", "", ["order"]),
        ("asf", "order TX TY TZ", "order TX TX TZ", ["line 11"]),
        ("amc", "femur 90 0 90", "femur 90 0", ["line 10", "3 numbers"]),
        ("amc", "femur 90 0 90", "femur 90 0 inf", ["line 10"]),
        ("amc", "femur 90 0 90", "thigh 90 0 90", ["line 10", "thigh"]),
        ("amc", "femur 90 0 90", "root 0 0 0 0 0 0", ["line 10", "root"]),
        ("amc", "tibia 90\n", "", ["line 10", "tibia"]),
        ("amc", "\n2\n", "\n4\n", ["line 8", "frame 2", "4"]),
        ("amc", MOTION, "", ["0 frames"]),
        ("amc", "root 4.5", "root 1e300", ["too large"]),
    ],
)
def test_wrong_files_are_refused_by_line(tmp_path: Path, file: str, old: str, new: str, words: list[str]):
    texts = {"asf": SKELETON, "amc": MOTION}
    texts[file] = texts[file].replace(old, new, 1)
    assert texts != {"asf": SKELETON, "amc": MOTION}
    with pytest.raises(DataError) as refusal:
        read(tmp_path, texts["asf"], texts["amc"])
    assert all(word in str(refusal.value) for word in [f".{file}", *words]), refusal.value


def test_missing_files(tmp_path: Path):
    with pytest.raises(MissingFileError, match="nothing.asf"):
        asf_amc.read(tmp_path / "nothing.asf", tmp_path / "nothing.amc")


def test_cmu(shared: Path):
    folder = shared / "data/fixtures/asf_amc/cmu"
    motion = asf_amc.read(folder / "11.asf", folder / "11_01_first240.amc")
    assert motion.positions.shape == (240, 38, 3) and motion.fps == 120
    lengths = bone_lengths(torch.from_numpy(motion.positions), motion.parents)
    assert float((lengths - lengths[:1]).abs().max()) < 1e-5
    at = dict(zip(motion.joints, motion.positions.swapaxes(0, 1), strict=True))
    assert 0.40 < lengths[0, motion.joints.index("ltibia")] < 0.43
    assert (at["head_end"][:, 1] - np.minimum(at["ltoes"], at["rtoes"])[:, 1]).min() > 1.5
    assert abs(at["head_end"][:, 1].mean() - 1.63) < 0.1 and at["ltoes"][:, 1].min() > 0


def markers(path: Path) -> dict[str, np.ndarray]:
    """Marker tracks [T, 3] in metres, y up, of a C3D file with floating point frames."""
    raw = path.read_bytes()
    count, frames = np.frombuffer(raw, "<u2", 1, 2)[0], int(np.diff(np.frombuffer(raw, "<u2", 2, 6))[0]) + 1
    begin = 512 * (int(np.frombuffer(raw, "<u2", 1, 16)[0]) - 1)
    points = np.frombuffer(raw, "<f4", frames * int(count) * 4, begin).reshape(frames, count, 4)
    labels = raw.index(b"LABELS") + 6
    width = raw[labels + 4]
    names = [raw[labels + 6 + k * width :][:width].decode("latin-1").strip() for k in range(count)]
    return {name.split(":")[-1]: points[:, k, [1, 2, 0]] / 1000 for k, name in enumerate(names)}


def test_hdm05_lies_under_its_markers(shared: Path):
    folder = shared / "data/fixtures/asf_amc/hdm05"
    source = asf_amc.read(folder / "HDM_dg.asf", folder / "HDM_dg_06-03_03_120.amc")
    motion = to_smpl22(source)
    at = dict(zip(motion.joints, motion.positions.swapaxes(0, 1), strict=True))
    seen = markers(folder / "HDM_dg_06-03_03_120.c3d")
    pairs = {"KNE": "knee", "ANK": "ankle", "ELB": "elbow", "SHO": "shoulder"}
    for letter, side in (("L", "left_"), ("R", "right_")):
        for marker, joint in pairs.items():
            apart = np.linalg.norm(seen[letter + marker] - at[side + joint], axis=-1)
            assert apart.mean() < 0.1 and np.ptp(apart) < 0.08, (marker, apart.mean(), np.ptp(apart))
        wrist = (seen[letter + "WRA"] + seen[letter + "WRB"]) / 2
        bone = source.positions[:, source.joints.index(letter.lower() + "wrist")]
        apart, bone_apart = (np.linalg.norm(wrist - joint, axis=-1).mean() for joint in (at[side + "wrist"], bone))
        assert apart < 0.07 and bone_apart > apart + 0.02
    band = (seen["LFHD"] + seen["RFHD"] + seen["LBHD"] + seen["RBHD"]) / 4
    assert 0.05 < (band - at["head"])[:, 1].mean() < 0.12
