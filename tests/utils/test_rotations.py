"""Rotations: every conversion undoes its opposite, from 0 to half turns, in any batch shape and both precisions."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.geometry import rotations as R

STEPS = [0.0, 1e-300, 1e-15, 1e-9, 1e-7, 3e-4, 1e-3, 1.001e-3, 0.1, 1.0, 3.0]
ANGLES = torch.tensor(STEPS + [torch.pi - k * 1e-7 for k in range(30)] + [torch.pi - 1e-12], dtype=torch.float64)
AXES = torch.nn.functional.normalize(
    torch.tensor([a for a in itertools.product((-1.0, 0.0, 0.3, 1.0), repeat=3) if any(a)], dtype=torch.float64), dim=-1
)
GRID = (ANGLES[:, None, None] * AXES).reshape(-1, 3)


def random_matrices(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    vectors = torch.from_numpy(np.random.RandomState(0).normal(size=(*shape, 4)))
    return R.quaternion_to_matrix(vectors.to(dtype))


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


def test_grid_cycles_are_exact_to_1e_12():
    matrix = R.axis_angle_to_matrix(GRID)
    eye = torch.eye(3, dtype=torch.float64)
    assert error(matrix @ matrix.mT, eye) < 1e-14
    assert error(R.axis_angle_to_matrix(R.matrix_to_axis_angle(matrix)), matrix) < 1e-12
    assert error(R.quaternion_to_matrix(R.matrix_to_quaternion(matrix)), matrix) < 1e-12
    assert error(R.rotation_6d_to_matrix(R.matrix_to_rotation_6d(matrix)), matrix) < 1e-12
    below_half_turn = GRID[GRID.norm(dim=-1) < torch.pi - 1e-13]
    assert error(R.quaternion_to_axis_angle(R.axis_angle_to_quaternion(below_half_turn)), below_half_turn) < 1e-12
    turned = R.matrix_to_axis_angle(matrix)
    assert float((turned.norm(dim=-1) - GRID.norm(dim=-1)).abs().max()) < 1e-12


def test_axis_angle_is_the_matrix_exponential():
    x, y, z = GRID.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    assert error(R.axis_angle_to_matrix(GRID), torch.linalg.matrix_exp(cross)) < 1e-13


@pytest.mark.parametrize("order", R.EULER_ORDERS)
def test_euler_cycles_in_all_orders_and_at_gimbal_lock(order: str):
    matrix = torch.cat([R.axis_angle_to_matrix(GRID), random_matrices(50)])
    assert error(R.euler_to_matrix(R.matrix_to_euler(matrix, order), order), matrix) < 1e-12
    locked = torch.tensor([[0.3, middle, -1.2] for middle in (0.0, 1e-9, torch.pi / 2, -torch.pi / 2, torch.pi)])
    matrix = R.euler_to_matrix(locked.double(), order)
    assert error(R.euler_to_matrix(R.matrix_to_euler(matrix, order), order), matrix) < 1e-12


@pytest.mark.parametrize("order", R.EULER_ORDERS)
def test_euler_is_intrinsic_and_returns_the_angles(order: str):
    angles = torch.tensor([0.4, 0.7, -1.1], dtype=torch.float64)
    one, two, three = (R.about_axis(letter, angle) for letter, angle in zip(order, angles, strict=True))
    assert error(R.euler_to_matrix(angles, order), one @ two @ three) < 1e-14
    assert error(R.matrix_to_euler(one @ two @ three, order), angles) < 1e-12


def test_turning_about_z_takes_x_to_y():
    quarter = torch.tensor(torch.pi / 2, dtype=torch.float64)
    x, y, z = torch.eye(3, dtype=torch.float64)
    for axis, start, end in (("Z", x, y), ("X", y, z), ("Y", z, x)):
        assert error(R.about_axis(axis, quarter) @ start, end) < 1e-15
    assert error(R.about_axis(5 * z, quarter) @ x, y) < 1e-15


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batch_shapes_and_dtype_are_kept(shape: tuple[int, ...], dtype: torch.dtype):
    matrix = random_matrices(*shape, dtype=dtype)
    pairs = (
        (R.matrix_to_quaternion, R.quaternion_to_matrix, 4),
        (R.matrix_to_axis_angle, R.axis_angle_to_matrix, 3),
        (R.matrix_to_rotation_6d, R.rotation_6d_to_matrix, 6),
    )
    for there, back, size in pairs:
        value = there(matrix)
        assert value.shape == (*shape, size) and value.dtype == dtype
        assert torch.allclose(back(value), matrix, atol=1e-5)
    assert R.matrix_to_euler(matrix, "ZXY").shape == (*shape, 3)
    assert R.slerp(R.matrix_to_quaternion(matrix), R.matrix_to_quaternion(matrix.mT), 0.5).shape == (*shape, 4)


def test_single_precision_near_half_turns():
    vectors = GRID.float()
    assert error(R.axis_angle_to_matrix(R.matrix_to_axis_angle(R.axis_angle_to_matrix(vectors))).double(),
                 R.axis_angle_to_matrix(vectors.double())) < 2e-6  # fmt: skip


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_axis_angle_survives_up_to_whole_turns(vector: list[float]):
    matrix = R.axis_angle_to_matrix(torch.tensor(vector, dtype=torch.float64))
    back = R.matrix_to_axis_angle(matrix)
    assert back.norm() <= torch.pi + 1e-12
    assert error(R.axis_angle_to_matrix(back), matrix) < 1e-12


def gradient(function, value: torch.Tensor) -> torch.Tensor:
    value = value.clone().requires_grad_()
    (function(value) ** 2 + function(value)).sum().backward()
    assert value.grad is not None
    return value.grad


def test_gradients_are_finite_everywhere():
    points = torch.cat([GRID, torch.tensor([[torch.pi, 0.0, 0.0], [0.0, torch.pi / 2, 0.0]], dtype=torch.float64)])
    matrices = R.axis_angle_to_matrix(points)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    cases = [
        (R.axis_angle_to_matrix, points),
        (R.matrix_to_axis_angle, matrices),
        (R.matrix_to_rotation_6d, matrices),
        (R.rotation_6d_to_matrix, R.matrix_to_rotation_6d(matrices)),
        (R.rotation_6d_to_matrix, torch.zeros(6, dtype=torch.float64)),
        (R.quaternion_to_matrix, torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)),
        (R.quaternion_normalise, torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)),
        (lambda a: R.between_vectors(a, up), torch.stack([up, -up, up + 1e-9, points[-1]])),
        (lambda q: R.slerp(q, q.detach(), 0.3), torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)),
        *((lambda m, order=order: R.matrix_to_euler(m, order), matrices) for order in R.EULER_ORDERS),
    ]
    for function, value in cases:
        assert torch.isfinite(gradient(function, value)).all()


def test_gradients_agree_with_finite_differences():
    vectors = torch.tensor([[0.0, 0, 0], [1e-4, 0, 2e-4], [0.3, -0.2, 1.0], [3.0, 0.1, 0.1]], dtype=torch.float64)
    assert torch.autograd.gradcheck(R.axis_angle_to_matrix, vectors.requires_grad_())
    assert torch.autograd.gradcheck(lambda v: R.matrix_to_axis_angle(R.axis_angle_to_matrix(v)), vectors)


def test_quaternion_algebra():
    a, b = random_matrices(20), random_matrices(20).flip(0)
    p, q = R.matrix_to_quaternion(a), R.matrix_to_quaternion(b)
    assert error(R.quaternion_to_matrix(R.quaternion_multiply(p, q)), a @ b) < 1e-14
    assert error(R.quaternion_to_matrix(R.quaternion_conjugate(p)), a.mT) < 1e-14
    assert error(R.quaternion_to_matrix(-3 * p), a) < 1e-14
    assert (R.quaternion_normalise(-3 * p)[:, 0] >= 0).all()
    assert error(R.quaternion_normalise(-3 * p), p) < 1e-14


def test_slerp_has_constant_speed_and_takes_the_short_way():
    start = R.axis_angle_to_quaternion(torch.tensor([0.0, 0.2, 0.0], dtype=torch.float64))
    end = -R.axis_angle_to_quaternion(torch.tensor([0.0, 1.2, 0.0], dtype=torch.float64))
    weights = torch.linspace(0, 1, 5, dtype=torch.float64)
    turned = R.quaternion_to_axis_angle(R.slerp(start, end, weights))
    assert error(turned[:, 1], 0.2 + weights) < 1e-14


def test_between_vectors_is_the_shortest_rotation():
    rng = np.random.RandomState(1)
    a, b = (torch.from_numpy(rng.normal(size=(50, 3))) for _ in range(2))
    b[0], b[1], b[2] = a[0], -2 * a[1], -a[2] + 1e-8
    matrix = R.between_vectors(a, b)
    unit_a, unit_b = a / a.norm(dim=-1, keepdim=True), b / b.norm(dim=-1, keepdim=True)
    assert error((matrix @ unit_a[..., None]).squeeze(-1), unit_b) < 1e-12
    angle = torch.atan2(torch.linalg.cross(unit_a, unit_b).norm(dim=-1), (unit_a * unit_b).sum(-1))
    assert error(R.matrix_to_axis_angle(matrix).norm(dim=-1), angle) < 1e-7
    assert error(matrix @ matrix.mT, torch.eye(3, dtype=torch.float64)) < 1e-12


def test_the_nearest_rotation_is_the_one_that_was_applied_and_never_a_reflection():
    turn, directions = random_matrices(5), torch.from_numpy(np.random.RandomState(1).normal(size=(4, 3)))
    seen = directions @ turn.mT  # [5, 4, 3]
    torch.testing.assert_close(R.nearest_rotations(seen.mT @ directions), turn, atol=1e-12, rtol=0)
    mirrored = R.nearest_rotations((seen * seen.new_tensor((-1.0, 1.0, 1.0))).mT @ directions)
    torch.testing.assert_close(torch.linalg.det(mirrored), torch.ones(5, dtype=torch.float64))
