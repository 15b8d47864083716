"""The published conversion to the 22 joints of AMASS, against golden numbers, and where it fails."""

from pathlib import Path

import numpy as np
import pytest
import torch

from utils.formats.options import ReadingOptions
from utils.formats.reading import read_motion
from utils.geometry import rotations as R
from utils.geometry.amass22 import ESTIMATORS, SOURCES, estimate_to_nba, facing_z, to_22
from utils.geometry.joint_maps import to_smpl
from utils.run.errors import DataError, UsageError
from visualize import convert_skeleton

SETS = [("nba", "nba_in", "nba_22", "nba_final"), ("gymnastics", "gym_in", "gym_23", "gym_final")]


@pytest.fixture(scope="module")
def numbers(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "golden/mesh/convert_skeleton.npz"))


@pytest.mark.parametrize(("source", "before", "joints", "after"), SETS)
def test_golden_joints(numbers: dict[str, np.ndarray], source: str, before: str, joints: str, after: str):
    found = to_22(numbers[before], source)
    np.testing.assert_allclose(found, numbers[joints], atol=1e-6)
    np.testing.assert_allclose([facing_z(motion) for motion in found], numbers[after], atol=1e-5)


@pytest.mark.parametrize("source", ESTIMATORS)
def test_golden_estimates(numbers: dict[str, np.ndarray], source: str):
    nba = estimate_to_nba(numbers["est17_in"], source)
    np.testing.assert_allclose(nba, numbers[f"{source}_16"][0], atol=1e-6)
    np.testing.assert_allclose(facing_z(to_22(nba, source)), numbers[f"{source}_final"][0], atol=1e-5)
    assert len(nba) == numbers[f"{source}_lengths"][0]


def test_golden_conversion_of_the_other_program(shared: Path):
    numbers = np.load(shared / "golden/mas/convert_skeleton.npz")
    for source, name in (("nba", "nba_22"), ("gymnastics", "gym_23")):
        found = to_22(numbers[source[:3]], source)
        np.testing.assert_allclose(found, numbers[name], atol=1e-5)
        np.testing.assert_allclose([facing_z(motion) for motion in found], numbers[f"{name}_rotated"], atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.5, np.pi / 2, np.pi, -3.0])
def test_everybody_comes_to_face_z_also_who_faces_exactly_away(angle: float):
    motion = np.zeros((2, 22, 3))
    motion[:, 16], motion[:, 17], motion[:, 15] = (1, 1.4, 0), (-1, 1.4, 0), (0, 1.6, -0.2)
    turned = motion @ R.about_axis("Y", torch.tensor(angle, dtype=torch.float64)).numpy().T
    found = facing_z(turned)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, 16] - found[0, 17], (2, 0, 0), atol=1e-9)
    np.testing.assert_allclose(found[0, 15], (0, 1.6, 0.2), atol=1e-9)


def test_hips_or_a_later_frame_tell_where_shoulders_do_not():
    motion = np.zeros((3, 22, 3))
    assert np.isfinite(facing_z(motion)).all()
    motion[0, 1], motion[0, 2] = (0, 1, 1), (0, 1, -1)
    found = facing_z(motion)
    np.testing.assert_allclose(found[0, 1] - found[0, 2], (2, 0, 0), atol=1e-9)
    motion[0, 1:3] = 0
    motion[2, 16] = (0, 0, 3)
    np.testing.assert_allclose(facing_z(motion)[2, 16], (3, 0, 0), atol=1e-9)


def test_refusals():
    with pytest.raises(UsageError, match="nba"):
        to_22(np.zeros((1, 17, 3)), "horse")
    with pytest.raises(DataError, match="16 joints"):
        to_22(np.zeros((1, 17, 3)), "nba")
    with pytest.raises(DataError, match="17, 3"):
        estimate_to_nba(np.zeros((5, 16, 3)), "elepose")


def test_a_published_results_file_is_read_with_its_joints_named(shared: Path):
    path = shared / "golden/mas/cli/mas_nba_results.npy"
    motions = read_motion(path, ReadingOptions(skeleton_type="nba"))
    content = np.load(path, allow_pickle=True).item()
    assert motions[0].fps == 30 and motions[0].joints[0] == "Hip"
    np.testing.assert_array_equal(
        motions[0].positions[..., 2], -content["motions"][0, : len(motions[0].positions), :, 2]
    )
    assert to_smpl(motions[0]).motion.positions.shape[1:] == (22, 3)
    for wrong in ("", "gymnastics"):
        with pytest.raises(DataError):
            read_motion(path, ReadingOptions(skeleton_type=wrong))


@pytest.mark.parametrize("source", ESTIMATORS)
def test_estimates_are_read_upright_and_right_handed(tmp_path: Path, source: str):
    array = np.random.RandomState(0).normal(size=(9, 17, 3)).astype(np.float32)
    np.save(tmp_path / "results.npy", array)
    (motion,) = read_motion(tmp_path / "results.npy", ReadingOptions(skeleton_type=source))
    signs = (2, -2, -2) if source == "motionbert" else (1, 1, -1)
    np.testing.assert_allclose(motion.positions, array[::3] * signs)
    assert motion.fps == 20 and "Torse" in motion.joints
    (converted,), fps = convert_skeleton.converted(str(tmp_path / "results.npy"), source)
    assert fps == 20 and converted.shape == (3, 22, 3)


def test_the_command_writes_what_it_says(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = shared / "golden/mas/cli/mas_nba_results.npy"
    convert_skeleton.main(["-p", str(path), "-s", "nba", "-v", str(tmp_path / "out"), "--save", "--num_motions", "1"])
    content = np.load(tmp_path / "out" / "mas_nba_results_hml.npy", allow_pickle=True).item()
    assert content["motion"].shape[1:3] == (22, 3) and content["motion"].shape[3] == content["lengths"].max()
    assert (tmp_path / "out" / "mas_nba_results_0.mp4").stat().st_size > 1000
    assert "mas_nba_results_hml.npy" in capsys.readouterr().out


def test_sources_of_the_flag_are_those_of_the_library():
    assert convert_skeleton.SOURCES == SOURCES
