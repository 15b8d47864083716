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
