"""Rotations against what the published conversions return: the same conventions, signs and orders."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.published import tensors
from utils.geometry import rotations as R


@pytest.fixture(scope="module")
def record(golden: Path) -> dict[str, Tensor]:
    return tensors(golden / "mdm" / "conversions.npz")


def error(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def test_quaternions(record: dict[str, Tensor]):
    matrix, quaternion = record["quat_to_matrix"], record["quat"]
    assert error(R.quaternion_to_matrix(quaternion), matrix) < 1e-6
    assert error(R.matrix_to_quaternion(matrix), record["matrix_to_quat"]) < 1e-6
    assert error(R.quaternion_multiply(quaternion, record["quat2"]), record["qmul"]) < 1e-6
    assert error(R.quaternion_conjugate(quaternion), record["qinv"]) == 0
    turned = R.quaternion_to_matrix(quaternion) @ record["v"][..., None]
    assert error(turned.squeeze(-1), record["qrot"]) < 2e-6


def test_axis_angle(record: dict[str, Tensor]):
    assert error(R.axis_angle_to_quaternion(record["axis_angle"]), record["aa_to_quat"]) < 1e-6
    assert error(R.axis_angle_to_matrix(record["axis_angle"]), record["aa_to_matrix"]) < 1e-6
    assert error(R.matrix_to_axis_angle(record["quat_to_matrix"]), record["matrix_to_aa"]) < 5e-6


def test_both_layouts_of_six_numbers(record: dict[str, Tensor]):
    assert error(R.rotation_6d_to_matrix(record["d6"]), record["cols6d_to_matrix"]) < 1e-6
    assert error(R.rotation_6d_to_matrix(record["d6"]).mT, record["rows6d_to_matrix"]) < 1e-6
    assert error(R.matrix_to_rotation_6d(record["quat_to_matrix"]), record["quat_to_cols6d"]) < 1e-6
    assert error(R.matrix_to_rotation_6d(record["quat_to_matrix"].mT), record["matrix_to_rows6d"]) < 1e-6


def test_the_shortest_turn_from_one_direction_to_another(record: dict[str, Tensor]):
    wanted = R.quaternion_to_matrix(record["qbetween_plain"])
    assert error(R.between_vectors(record["v"], record["v2"]), wanted) < 1e-6


@pytest.mark.parametrize("order", ["XYZ", "ZYX"])
def test_euler_angles(record: dict[str, Tensor], order: str):
    angles = record[f"euler_{order}"]
    assert error(R.euler_to_matrix(angles, order), record["quat_to_matrix"]) < 1e-6
    difference = R.matrix_to_euler(record["quat_to_matrix"], order) - angles
    assert float(difference.sin().abs().max()) < 1e-5


def test_euler_angles_in_degrees_and_in_another_order(record: dict[str, Tensor]):
    degrees = torch.pi / 180
    wanted = R.quaternion_to_matrix(record["euler2quat_xyz_deg"])
    assert error(R.euler_to_matrix(50 * degrees * record["v"], "XYZ"), wanted) < 1e-5
    # The others list the angles about x, y and z whatever the order in which the turns are made.
    wanted = R.quaternion_to_matrix(record["euler2quat_yxz_rad"])
    assert error(R.euler_to_matrix(record["v"][:, [1, 0, 2]], "YXZ"), wanted) < 1e-6
    for order, places in (("XYZ", [0, 1, 2]), ("YXZ", [1, 0, 2])):
        angles = record[f"qeuler_{order.lower()}_deg"][:, places] * degrees
        assert error(R.euler_to_matrix(angles, order), record["quat_to_matrix"]) < 1e-5


@pytest.fixture(scope="module")
def smpl_record(golden: Path) -> dict[str, Tensor]:
    """Doubles, with turns of 0, 1e-7, nearly pi and more than pi, in the conventions of SMPL's programs."""
    return tensors(golden / "mesh" / "rotations.npz")


def test_axis_angles_of_any_length(smpl_record: dict[str, Tensor]):
    given, matrix = smpl_record["axis_angle"], smpl_record["matrix"]
    assert error(R.axis_angle_to_matrix(given), matrix) < 1e-9
    # The others' quaternions of turns beyond pi have w < 0, as ours do before they are brought to the nearer half.
    assert error(R.axis_angle_to_quaternion(given), smpl_record["quat_wxyz"]) < 1e-9
    assert error(R.quaternion_normalise(smpl_record["quat_wxyz"]), smpl_record["quat_std"]) < 1e-9


def test_back_from_matrices_of_any_turn(smpl_record: dict[str, Tensor]):
    matrix = smpl_record["matrix"]
    quaternion = R.matrix_to_quaternion(matrix)
    assert (
        error(
            quaternion,
            smpl_record["quat_from_matrix"]
            * torch.sign((quaternion * smpl_record["quat_from_matrix"]).sum(-1, keepdim=True)),
        )
        < 1e-6
    )
    assert error(R.quaternion_to_matrix(quaternion), matrix) < 1e-9
    back = R.matrix_to_axis_angle(matrix)
    assert back.norm(dim=-1).max() <= torch.pi + 1e-9
    assert error(R.axis_angle_to_matrix(back), matrix) < 1e-9


def test_six_numbers_in_rows_and_the_angles_of_maya(smpl_record: dict[str, Tensor]):
    rows = smpl_record["rot6d"]
    assert error(R.matrix_to_rotation_6d(smpl_record["matrix"].mT), rows) < 1e-9
    assert error(R.rotation_6d_to_matrix(rows).mT, smpl_record["matrix_from_6d"]) < 1e-9
    assert error(R.rotation_6d_to_matrix(smpl_record["raw6d"]).mT, smpl_record["raw6d_matrix"]) < 1e-9
    for angles in (smpl_record["euler_XYZ_rad"], smpl_record["hik_euler_deg"] * torch.pi / 180):
        assert error(R.euler_to_matrix(angles, "XYZ"), smpl_record["matrix"]) < 1e-6
