"""BVH: odd but legal files are read as meant, wrong ones refused by line, recorded ones agree with the shards."""

from pathlib import Path

import numpy as np
import pytest
import torch

from utils.formats import bvh, shards
from utils.geometry.human import to_smpl22
from utils.geometry.kinematics import bone_lengths, global_rotations
from utils.geometry.resample import resample
from utils.run.errors import DataError, MissingFileError

TREE = """HIERARCHY
ROOT hips
{
  OFFSET 0 1 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT leg.L
  {
    OFFSET 1 0 0
    CHANNELS 3 Yrotation Zrotation Xrotation
    End Site
    {
      OFFSET 0 -2 0
    }
  }
}
"""
FRAMES = """MOTION
Frames: 2
Frame Time: 0.033333
1 2 3 0 0 0 0 0 0
1 2 3 90 0 0 0 90 0
"""


def write(folder: Path, text: str, name: str = "clip") -> Path:
    path = folder / f"{name}.bvh"
    path.write_bytes(text.encode())
    return path


def test_a_small_file_by_hand(tmp_path: Path):
    motion = bvh.read(write(tmp_path, TREE + FRAMES), scale=10)
    assert motion.joints == ("hips", "leg.L", "leg.L_end") and motion.parents == (-1, 0, 1)
    assert motion.fps == 30 and motion.name == "clip"
    assert motion.positions.dtype == np.float32 and motion.rotations is not None
    expected = [[[10, 20, 30], [20, 20, 30], [20, 0, 30]], [[10, 20, 30], [10, 30, 30], [10, 50, 30]]]
    np.testing.assert_allclose(motion.positions, expected, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace("  ", "").replace("\n{", " {"),
        lambda text: text.replace("End Site", "END SITE").replace("Xrotation", "XROTATION").replace("ROOT", "root"),
        lambda text: text.replace("1 2 3 90", "1e0 +2.0E+00 .3e1 90.000"),
        lambda text: "\ufeff" + text.replace("MOTION", "\n\nMOTION") + "\n\n",
        lambda text: text.replace("Frames: 2", "Frames:2").replace("Frame Time: ", "FRAME TIME :"),
    ],
)
def test_spelling_does_not_matter(tmp_path: Path, change):
    plain = bvh.read(write(tmp_path, TREE + FRAMES))
    other = bvh.read(write(tmp_path, change(TREE + FRAMES), "other"))
    assert other.joints == plain.joints and other.fps == plain.fps
    np.testing.assert_array_equal(other.positions, plain.positions)


def chain(channels: list[str], rows: list[str], site: bool = False, names: tuple[str, ...] = ("a", "b", "c")) -> str:
    head, tail = "HIERARCHY\n", ""
    for k, channel in enumerate(channels):
        head += f"{'JOINT' if k else 'ROOT'} {names[k]}\n{{\nOFFSET 1 0 0\nCHANNELS {len(channel.split())} {channel}\n"
        tail += "}\n"
    head += "End Site\n{\nOFFSET 1 0 0\n}\n" if site else ""
    return head + tail + f"MOTION\nFrames: {len(rows)}\nFrame Time: 0.01\n" + "\n".join(rows) + "\n"


def test_position_channels_on_any_joint_replace_the_offset(tmp_path: Path):
    every = "Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    text = chain([every, every, "Zrotation Yposition"], ["0 0 0 90 0 0  5 6 7 0 0 0  0 4"])
    motion = bvh.read(write(tmp_path, text))
    np.testing.assert_allclose(motion.positions[0], [[0, 0, 0], [-6, 5, 7], [-10, 6, 7]], atol=1e-5)


def test_a_file_without_end_sites(tmp_path: Path):
    text = chain(["Xrotation Yrotation Zrotation"] * 2, ["0 0 0 0 0 0"])
    assert bvh.read(write(tmp_path, text)).joints == ("a", "b")


def test_names_with_dots_spaces_and_accents(tmp_path: Path):
    names = ("pelvis.001", "Bip01 L Thigh", "Hüfte")
    text = chain(["Zrotation"] * 3, ["1 2 3"], site=True, names=names)
    assert bvh.read(write(tmp_path, text)).joints == (*names, "Hüfte_end")


@pytest.mark.parametrize("order", ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX", "ZXZ", "Z", "YX"])
def test_rotations_apply_in_the_order_of_the_channels(tmp_path: Path, order: str):
    angles = [30, -50, 110][: len(order)]
    channels = " ".join(f"{axis}rotation" for axis in order)
    motion = bvh.read(write(tmp_path, chain([channels, "Xrotation"], [" ".join(map(str, angles)) + " 0"])))
    matrix = np.eye(3)
    for axis, angle in zip(order, np.radians(angles), strict=True):
        i, j = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    np.testing.assert_allclose(motion.rotations[0, 0], matrix, atol=1e-6)
    np.testing.assert_allclose(motion.positions[0, 1] - motion.positions[0, 0], matrix[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("time", "fps"),
    [("0.033333", 30), ("0.0333333", 30), ("0.03333", 30), ("0.033", 30), ("3.3333e-2", 30), ("0.008333", 120),
     ("0.0083333337679505", 120), ("0.041667", 24), ("0.04", 25), ("0.016667", 60), ("0.0166", 60), ("0.01", 100),
     ("0.033367", 1 / 0.033367), ("0.0166833", 1 / 0.0166833), ("1", 1), ("0.0125", 80), ("0.5", 2)],
)  # fmt: skip
def test_rounded_frame_times_are_snapped(tmp_path: Path, time: str, fps: float):
    assert bvh.read(write(tmp_path, TREE + FRAMES.replace("0.033333", time))).fps == pytest.approx(fps, rel=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Frames: 2", "Frames: 3", ["line 17", "3 frames", "2 are there"]),
        ("Frames: 2", "Frames: 0", ["line 17", "0 frames", "2 are there"]),
        ("Frames: 2", "Frames: two", ["line 17", "'two'"]),
        ("Frame Time: 0.033333", "Frame Time: 0", ["line 18", "frame time"]),
        ("Frame Time: 0.033333", "Frame Time: nan", ["line 18", "frame time"]),
        ("1 2 3 90 0 0", "1 2 3 90 0", ["line 20", "9 numbers", "8 are there"]),
        ("1 2 3 90", "1 2 x 90", ["line 20", "x"]),
        ("1 2 3 90", "1 2 nan 90", ["line 20"]),
        ("1 2 3 90", "1 1e300 3 90", ["too large"]),
        ("CHANNELS 3", "CHANNELS 4", ["line 9", "CHANNELS 4 is followed by 3"]),
        ("Yrotation Zrotation Xrotation", "Yrotation Yrotation Xrotation", ["line 9", "YYX"]),
        ("Yrotation Zrotation Xrotation", "Yrotation Zrotation Xtwist", ["line 9", "Xtwist"]),
        ("OFFSET 0 -2 0", "OFFSET 0 -2", ["line 12", "3 numbers"]),
        ("OFFSET 0 -2 0", "", ["leg.L_end has an OFFSET"]),
        ("JOINT leg.L", "JOINT hips", ["line 6", "hips"]),
        ("JOINT leg.L", "ROOT leg.L", ["line 6", "ROOT"]),
        ("  }\n}\n", "  }\n", ["line 15", "complete"]),
        ("HIERARCHY\n", "HIERARCHY\n}\n", ["line 2"]),
        ("MOTION\n", "", ["line 16", "'Frames:'"]),
    ],
)
def test_wrong_files_are_refused_by_line(tmp_path: Path, old: str, new: str, words: list[str]):
    text = (TREE + FRAMES).replace(old, new, 1)
    assert text != TREE + FRAMES
    with pytest.raises(DataError) as refusal:
        bvh.read(write(tmp_path, text))
    assert all(word in str(refusal.value) for word in ["clip.bvh", *words]), refusal.value


def test_no_frames_no_file(tmp_path: Path):
    with pytest.raises(DataError, match="0 frames are announced and 0 are there"):
        bvh.read(write(tmp_path, TREE + "MOTION\nFrames: 0\nFrame Time: 0.1\n"))
    for text in ("", "\n", "HIERARCHY\n", TREE):
        with pytest.raises(DataError, match="line"):
            bvh.read(write(tmp_path, text))
    with pytest.raises(MissingFileError):
        bvh.read(tmp_path / "nothing.bvh")


def test_long_clips_are_posed_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = "".join(f"{k} 0 0 {k * 7} {k} 0 0 {k} 3\n" for k in range(50))
    path = write(tmp_path, TREE + "MOTION\nFrames: 50\nFrame Time: 0.01\n" + rows)
    whole = bvh.read(path)
    monkeypatch.setattr(bvh, "_BLOCK", 27 * 7)
    np.testing.assert_array_equal(bvh.read(path).positions, whole.positions)


FIXTURES = {
    "dataset-1_dash_normal_001": (0.01, 20, 27, 30, ("bandai", "dataset-1_dash_normal_001")),
    "cmu_iclone_002_03": (0.01, 86, 142, 60, ("cmu", "02_03")),
    "reactidle_001_acted_first120": (1.0, 120, 26, 24, ("reactidle", "001_acted_00")),
    "fairmotion_sinusoidal": (1.0, 120, 4, 60, None),
}


@pytest.mark.parametrize("name", FIXTURES)
def test_recorded_files(shared: Path, name: str):
    scale, frames, joints, fps, _ = FIXTURES[name]
    motion = bvh.read(shared / f"data/fixtures/bvh/{name}.bvh", scale)
    assert motion.positions.shape == (frames, joints, 3) and motion.fps == fps
    lengths = bone_lengths(torch.from_numpy(motion.positions), motion.parents)
    fixed = [joint for joint, bone in enumerate(motion.joints) if bone != "Hips"]
    assert float((lengths - lengths[:1])[:, fixed].abs().max()) < 1e-5
    if name != "fairmotion_sinusoidal":
        assert 1.2 < np.ptp(motion.positions[..., 1], axis=1).max() < 1.9
    turned = global_rotations(torch.from_numpy(motion.rotations), motion.parents).numpy()
    parents = [max(parent, 0) for parent in motion.parents]
    bones = motion.positions - motion.positions[:, parents]
    resting = (np.swapaxes(turned[:, parents], -1, -2) @ bones[..., None])[..., 0][:, fixed]
    assert np.ptp(resting, axis=0).max() < 0.008  # the thighs of reactidle slide by 7 mm


@pytest.mark.parametrize(
    ("name", "average", "largest"),
    [
        ("dataset-1_dash_normal_001", 0.0005, 0.001),
        ("cmu_iclone_002_03", 0.0005, 0.009),  # the shard's neck lost its twist
        ("reactidle_001_acted_first120", 0.001, 0.005),  # its thighs slide by 2 mm, the shard's do not
    ],
)
def test_recorded_files_agree_with_the_shards(shared: Path, name: str, average: float, largest: float):
    scale, *_, (shard, clip) = FIXTURES[name]
    body = to_smpl22(bvh.read(shared / f"data/fixtures/bvh/{name}.bvh", scale))
    packed = next(motion for motion in shards.read(shared / f"data/{shard}.npz") if motion.name == clip)
    ours = resample(body.positions, body.fps, packed.fps)
    theirs = packed.positions[: len(ours)]
    apart = np.linalg.norm((ours - ours[:, :1]) - (theirs - theirs[:, :1]), axis=-1)
    assert apart.mean() < average and apart.max() < largest
    root = ours[:, 0] - theirs[:, 0]
    assert np.abs(root - root.mean(0)).max() < 0.002 and np.abs(root.mean(0)[[0, 2]]).max() < 0.001


def test_one_row_more_than_announced(tmp_path):
    """Rokoko's files: the announced rows are read, and it is said."""
    more = FRAMES + FRAMES.rstrip().splitlines()[-1] + "\n"
    motion, plain = (bvh.read(write(tmp_path, TREE + text)) for text in (more, FRAMES))
    assert len(motion.positions) == 2 and (motion.positions == plain.positions).all()
    assert "1 row more than the announced 2" in motion.note and not plain.note
    with pytest.raises(DataError, match="2 frames are announced and 4 are there"):
        bvh.read(write(tmp_path, TREE + more + FRAMES.rstrip().splitlines()[-1] + "\n"))


def test_an_offset_too_large_for_a_position_is_refused_though_no_frame_uses_it(tmp_path):
    (tmp_path / "a.bvh").write_text(
        "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Xposition Yposition Zposition\nJOINT b\n{\nOFFSET 1 9e38 0\n"
        "CHANNELS 3 Xposition Yposition Zposition\n}\n}\nMOTION\nFrames: 2\nFrame Time: 0.1\n"
        "0 0 0 1 2e38 1\n0 0 0 1 3e38 1\n"
    )
    assert bvh.read(tmp_path / "a.bvh").rest.max() < 3e38
    text = (tmp_path / "a.bvh").read_text().replace("OFFSET 0 0 0", "OFFSET 9e38 0 0")
    (tmp_path / "a.bvh").write_text(text)
    with pytest.raises(DataError, match="too large for a position"):
        bvh.read(tmp_path / "a.bvh")
