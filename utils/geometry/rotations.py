"""Rotations of any batch shape in torch: matrices, quaternions, axis-angle, 6D and Euler angles.

Matrices [..., 3, 3] turn column vectors, R = [x | y | z]; quaternions [..., 4] are (w, x, y, z) with q and -q the same
rotation; axis-angle [..., 3] is axis times radians; 6D [..., 6] is the first two columns of the matrix one after the
other (Zhou et al. 2019); Euler angles [..., 3] are intrinsic radians, order "ZXY" means R = Z(a0) X(a1) Y(a2).
Every function keeps the dtype and has finite gradients everywhere, identity and half turns included.
"""

from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import normalize

EULER_ORDERS = tuple("".join(order) for order in product("XYZ", repeat=3) if order[0] != order[1] != order[2])
_SMALL = 1e-6  # squared angle below which series of three terms are exact in double precision


def axis_angle_to_quaternion(axis_angle: Tensor) -> Tensor:
    """Unit quaternions [..., 4] of axis-angle vectors [..., 3]; w >= 0 up to half turns."""
    squared = (axis_angle * axis_angle).sum(-1, keepdim=True)
    small = squared < _SMALL
    angle = torch.where(small, 1.0, squared).sqrt()
    w = torch.where(small, 1 - squared / 8 + squared**2 / 384, torch.cos(angle / 2))
    scale = torch.where(small, 0.5 - squared / 48 + squared**2 / 3840, torch.sin(angle / 2) / angle)
    return torch.cat([w, scale * axis_angle], -1)


def quaternion_to_axis_angle(quaternion: Tensor) -> Tensor:
    """Axis-angle vectors [..., 3] of length at most pi of quaternions [..., 4], which need not be of length 1."""
    w, xyz = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion).split((1, 3), -1)
    squared = (xyz * xyz).sum(-1, keepdim=True)
    small = squared < _SMALL * w * w
    safe_w, sine = torch.where(small, w, 1.0), torch.where(small, 1.0, squared).sqrt()
    ratio = squared / safe_w**2
    series = 2 / safe_w * (1 - ratio / 3 + ratio**2 / 5)
    return torch.where(small, series, 2 * torch.atan2(sine, w) / sine) * xyz


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of quaternions [..., 4], which need not be of length 1."""
    w, x, y, z = normalize(quaternion, dim=-1, eps=1e-30).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Unit quaternions [..., 4] with w >= 0 of rotation matrices [..., 3, 3].

    The matrix 4 q q^T is linear in R; its row with the largest diagonal entry is q times a number that is never
    small (Shepperd 1978), so neither half turns nor the identity lose digits.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in matrix.unbind(-2))
    outer = (
        (1 + xx + yy + zz, zy - yz, xz - zx, yx - xy),
        (zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx),
        (xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy),
        (yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz),
    )
    rows = torch.stack([torch.stack(row, -1) for row in outer], -2)
    largest = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None].expand(*rows.shape[:-2], 1, 4)
    quaternion = normalize(rows.gather(-2, largest).squeeze(-2), dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of axis-angle vectors [..., 3]."""
    return quaternion_to_matrix(axis_angle_to_quaternion(axis_angle))


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Axis-angle vectors [..., 3] of length at most pi of rotation matrices [..., 3, 3]."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def rotation_6d_to_matrix(rotation_6d: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] whose first two columns are those of [..., 6] made orthonormal (Gram-Schmidt)."""
    first, second = rotation_6d.split(3, -1)
    x = normalize(first, dim=-1)
    y = normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def matrix_to_rotation_6d(matrix: Tensor) -> Tensor:
    """First two columns, one after the other, [..., 6], of matrices [..., 3, 3]."""
    return torch.cat([matrix[..., 0], matrix[..., 1]], -1)


def euler_to_matrix(angles: Tensor, order: str) -> Tensor:
    """Rotation matrices [..., 3, 3] of intrinsic Euler angles [..., 3] in one of the 12 `EULER_ORDERS`."""
    first, second, third = (
        axis_angle_to_quaternion(angle[..., None] * _unit(letter, angle))
        for letter, angle in zip(order, angles.unbind(-1), strict=True)
    )
    return quaternion_to_matrix(quaternion_multiply(quaternion_multiply(first, second), third))


def matrix_to_euler(matrix: Tensor, order: str) -> Tensor:
    """Intrinsic Euler angles [..., 3] of rotation matrices (Bernardes & Viollet 2022).

    The middle angle lies in [0, pi] when the order ends as it begins, else in [-pi/2, pi/2]. At its borders only the
    sum or the difference of the others is determined; the free part is then shared by both.
    """
    k, j, i = ("XYZ".index(letter) for letter in order)
    proper = i == k
    if proper:
        k = 3 - i - j
    sign = (i - j) * (j - k) * (k - i) // 2
    w, *xyz = matrix_to_quaternion(matrix).unbind(-1)
    if proper:
        a, b, c, d = w, xyz[i], xyz[j], xyz[k] * sign
    else:
        a, b, c, d = w - xyz[j], xyz[i] + xyz[k] * sign, w + xyz[j], xyz[k] * sign - xyz[i]
    sum_length, half_sum = _polar(a, b)
    difference_length, half_difference = _polar(c, d)
    middle = 2 * torch.atan2(difference_length, sum_length)
    last, first = half_sum - half_difference, half_sum + half_difference
    if not proper:
        middle, first = middle - torch.pi / 2, first * sign
    return torch.stack([_wrap(first), middle, _wrap(last)], -1)


def quaternion_multiply(left: Tensor, right: Tensor) -> Tensor:
    """Hamilton product [..., 4]: the rotation `right` followed by `left`."""
    a, b = left[..., :1], right[..., :1]
    u, v = torch.broadcast_tensors(left[..., 1:], right[..., 1:])
    return torch.cat([a * b - (u * v).sum(-1, keepdim=True), a * v + b * u + torch.linalg.cross(u, v)], -1)


def quaternion_conjugate(quaternion: Tensor) -> Tensor:
    """The opposite rotation of unit quaternions [..., 4]."""
    return torch.cat([quaternion[..., :1], -quaternion[..., 1:]], -1)


def quaternion_normalise(quaternion: Tensor) -> Tensor:
    """Quaternions [..., 4] of length 1 with w >= 0."""
    return normalize(torch.where(quaternion[..., :1] < 0, -quaternion, quaternion), dim=-1, eps=1e-30)


def slerp(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """Unit quaternions [..., 4] the part `weight` [...] along the shorter arc from `start` to `end` (Shoemake 1985)."""
    turn = quaternion_to_axis_angle(quaternion_multiply(quaternion_conjugate(start), end))
    part = torch.as_tensor(weight, dtype=turn.dtype, device=turn.device)[..., None]
    return quaternion_multiply(start, axis_angle_to_quaternion(part * turn))


def about_axis(axis: str | Tensor, angle: Tensor) -> Tensor:
    """Matrices [..., 3, 3] that turn by `angle` [...] radians about "X", "Y", "Z" or a vector [..., 3]."""
    direction = _unit(axis, angle) if isinstance(axis, str) else normalize(axis, dim=-1)
    return axis_angle_to_matrix(angle[..., None] * direction)


def between_vectors(start: Tensor, end: Tensor) -> Tensor:
    """Matrices [..., 3, 3] of the shortest rotation from the direction `start` [..., 3] to the direction `end`.

    Opposite directions are rotated about some axis at right angles to both.
    """
    start, end = torch.broadcast_tensors(normalize(start, dim=-1), normalize(end, dim=-1))
    opposite = (start * end).sum(-1, keepdim=True) < 0
    near = torch.where(opposite, -start, start)
    quaternion = torch.cat([1 + (near * end).sum(-1, keepdim=True), torch.linalg.cross(near, end)], -1)
    axis = torch.linalg.cross(start, end)
    spare = torch.zeros_like(start).scatter(-1, start.abs().argmin(-1, keepdim=True), 1.0)
    axis = torch.where((axis * axis).sum(-1, keepdim=True) > 1e-24, axis, torch.linalg.cross(start, spare))
    axis = normalize(axis - (axis * start).sum(-1, keepdim=True) * start, dim=-1, eps=1e-30)
    half_turn = torch.cat([torch.zeros_like(axis[..., :1]), axis], -1)
    return quaternion_to_matrix(torch.where(opposite, quaternion_multiply(quaternion, half_turn), quaternion))


def nearest_rotations(products: Tensor) -> Tensor:
    """Rotations R [..., 3, 3] with the largest trace of R^T M for the sums M of products b a^T: R a is near b.

    The least squares fit of directions a to directions b (Kabsch 1976).
    """
    left, _, right = torch.linalg.svd(products)
    flip = torch.ones_like(products[..., 0])
    flip[..., 2] = torch.linalg.det(left @ right).sign()
    return (left * flip[..., None, :]) @ right


def _unit(letter: str, like: Tensor) -> Tensor:
    return torch.eye(3, dtype=like.dtype, device=like.device)["XYZ".index(letter.upper())]


def _polar(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Length and angle of (x, y); at the origin 0 and 0, without gradients."""
    origin = x * x + y * y == 0
    x, y = torch.where(origin, 1.0, x), torch.where(origin, 0.0, y)
    return torch.where(origin, 0.0, torch.hypot(x, y)), torch.atan2(y, x)


def _wrap(angle: Tensor) -> Tensor:
    """Angles in [-pi, pi]."""
    return torch.where(angle.abs() > torch.pi, angle - 2 * torch.pi * torch.sign(angle), angle)
