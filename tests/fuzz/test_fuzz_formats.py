"""Motion files cut short or with bytes flipped end in a DataError or a sound Motion, in time."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.acclaim import ASF
from utils.formats import asf_amc, bvh
from utils.geometry.motion import Motion
from utils.run.errors import DataError

CASES = 100
SECONDS = 2.0

SMALL_BVH = b"""HIERARCHY
ROOT a
{
  OFFSET 0 1 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT b.1
  {
    OFFSET 1e-1 0 0
    CHANNELS 3 Yrotation Zrotation Xrotation
    End Site
    {
      OFFSET 0 -2 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.033333
1 2 3 0 0 0 0 0 0
1 2 3 9 8 7 6 5 4
1.5 2 3 9 8 7 6 5 4e1
"""
SMALL_AMC = b""":FULLY-SPECIFIED
:DEGREES
1
root 0 9 0 1 2 3
femur 4 5
2
root 0 9 1 1 2 3
femur 4 6
"""


def damaged(whole: bytes, rng: np.random.RandomState) -> bytes:
    """The file cut somewhere, with a few bytes flipped, a piece twice, or a word replaced by a number at the edge."""
    kind = rng.randint(4)
    place, other = sorted(rng.randint(0, len(whole) + 1, size=2))
    if kind == 0:
        return whole[:place]
    if kind == 1:
        changed = np.frombuffer(whole, np.uint8).copy()
        changed[rng.randint(0, len(whole), size=rng.randint(1, 4))] ^= np.uint8(1 << rng.randint(8))
        return changed.tobytes()
    if kind == 2:
        return whole[:other] + whole[place:other][:2000] + whole[other:]
    word = rng.choice(
        [b"1e308", b"-1e39", b"nan", b"99999999999999999999", b"-1", b"0", b"{", b"}", b"\x00", b"\xff\xfe"]
    )
    return whole[:place] + b" " + word + b" " + whole[place:]


def attack(read: Callable[[], Motion], write: Callable[[bytes], None], whole: bytes, seed: int, cases: int) -> None:
    """Every damaged variant must be refused with a sentence or read as a sound motion."""
    rng = np.random.RandomState(seed)
    write(whole)
    read()
    refused = 0
    for case in range(cases):
        write(damaged(whole, rng))
        begin = time.perf_counter()
        try:
            motion = read()
        except DataError as error:
            refused += 1
            assert 10 < len(str(error)) < 1000
        else:
            frames, joints = motion.positions.shape[:2]
            assert motion.positions.shape == (frames, joints, 3) and frames and joints, case
            assert motion.rotations is not None and motion.rotations.shape == (frames, joints, 3, 3), case
            assert np.isfinite(motion.positions).all() and np.isfinite(motion.rotations).all(), case
            assert len(motion.joints) == len(motion.parents) == joints and motion.fps > 0, case
            assert all(-1 <= parent < joints for parent in motion.parents), case
        assert time.perf_counter() - begin < SECONDS, case
    assert refused


def attack_bvh(folder: Path, whole: bytes, seed: int) -> None:
    path = folder / "clip.bvh"
    attack(lambda: bvh.read(path), lambda data: void(path.write_bytes(data)), whole, seed, CASES)


def attack_acclaim(folder: Path, skeleton: bytes, motion: bytes, seed: int) -> None:
    asf, amc = folder / "body.asf", folder / "walk.amc"
    for path, whole in ((asf, skeleton), (amc, motion)):
        asf.write_bytes(skeleton)
        amc.write_bytes(motion)
        attack(
            lambda: asf_amc.read(asf, amc),
            lambda data, path=path: void(path.write_bytes(data)),
            whole,
            seed,
            CASES // 2,
        )


def void(_: int) -> None:
    """Drop the count that write_bytes returns."""


def test_small_bvh(tmp_path: Path):
    attack_bvh(tmp_path, SMALL_BVH, 0)


def test_small_acclaim(tmp_path: Path):
    attack_acclaim(tmp_path, ASF.encode(), SMALL_AMC, 1)


@pytest.mark.parametrize(
    "name",
    ["dataset-1_dash_normal_001", "cmu_iclone_002_03", "reactidle_001_acted_first120", "fairmotion_sinusoidal"],
)
def test_recorded_bvh(shared: Path, tmp_path: Path, name: str):
    attack_bvh(tmp_path, (shared / f"data/fixtures/bvh/{name}.bvh").read_bytes(), 2)


@pytest.mark.parametrize(
    ("skeleton", "motion"),
    [("cmu/11.asf", "cmu/11_01_first240.amc"), ("hdm05/HDM_dg.asf", "hdm05/HDM_dg_06-03_03_120.amc")],
)
def test_recorded_acclaim(shared: Path, tmp_path: Path, skeleton: str, motion: str):
    folder = shared / "data/fixtures/asf_amc"
    first_30_frames = (folder / motion).read_bytes().partition(b"\n31\r\n")[0]
    attack_acclaim(tmp_path, (folder / skeleton).read_bytes(), first_30_frames, 3)
