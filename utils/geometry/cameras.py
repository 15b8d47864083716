"""Cameras that circle a figure: rotations, projections, and the 3D motion that best explains several views.

Camera frame of the 2D family: x right, y up, z away from the viewer (left-handed). Row vectors: p' = p @ Ry @ Rx.
A point in data units is perspective * distance / scale. Shapes: views V lead, [V, B, T, J, 2 or 3].
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

NEAREST_DEPTH = 0.1  # of the camera distance: closer points are seen as if they were this far away


@dataclass(frozen=True)
class Camera:
    """What all views share: `distance` to the origin (units of the 3D motion) and `scale` of the drawing."""

    distance: float
    scale: float


def view_rotations(azimuth: Tensor, elevation: Tensor) -> Tensor:
    """Rotations [..., 3, 3] of views at `azimuth` about y, then `elevation` about x (radians), for row vectors."""
    zero, one = torch.zeros_like(azimuth), torch.ones_like(azimuth)
    ca, sa, ce, se = azimuth.cos(), azimuth.sin(), elevation.cos(), elevation.sin()
    around_y = torch.stack((ca, zero, sa, zero, one, zero, -sa, zero, ca), -1).unflatten(-1, (3, 3))
    around_x = torch.stack((one, zero, zero, zero, ce, -se, zero, se, ce), -1).unflatten(-1, (3, 3))
    return around_y @ around_x


def even_views(count: int, elevation: float, offset: float = 0.0) -> Tensor:
    """Rotations [count, 3, 3] of views spread evenly around the figure, the first at azimuth offset - pi."""
    azimuth = offset - math.pi + torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return view_rotations(azimuth.float(), torch.full((count,), elevation))


def rotate_to_views(points: Tensor, views: Tensor) -> Tensor:
    """Points [B, T, J, 3] in the frame of each view [V, 3, 3] -> [V, B, T, J, 3]."""
    return points @ views[:, None, None]


def orthographic(points: Tensor, views: Tensor) -> Tensor:
    """The first two coordinates in each view, [V, B, T, J, 2]: how shared 3D noise is seen."""
    return torch.einsum("btjc,vcd->vbtjd", points, views[..., :2])


def magnification(depth: Tensor, camera: Camera) -> Tensor:
    """Data units per unit of 3D motion at `depth` behind the origin, not followed by gradients (MAS, section 4)."""
    far = (depth.detach() + camera.distance).clamp(min=NEAREST_DEPTH * camera.distance)
    return camera.distance / camera.scale / far


def project(points: Tensor, views: Tensor, camera: Camera) -> Tensor:
    """Perspective projection of points [B, T, J, 3] into each view [V, 3, 3] in data units -> [V, B, T, J, 2]."""
    seen = rotate_to_views(points, views)
    return seen[..., :2] * magnification(seen[..., 2:], camera)


def reprojection_error(
    points: Tensor, seen: Tensor, views: Tensor, camera: Camera, weights: Tensor | None = None
) -> Tensor:
    """Mean squared distance per coordinate between the projection of `points` and `seen` [V, B, T, J, 2].

    `weights` [V] multiply each view's squared differences. Summed in the order of the published tensors,
    [V, B, J, 2, T], because the published optimiser stops when the last bit of this number says so.
    """
    squared = (project(points, views, camera) - seen).movedim(2, -1).contiguous().square()
    if weights is not None:
        squared = squared * weights.view(-1, 1, 1, 1, 1)
    return squared.mean()


def fit_points(
    seen: Tensor,
    views: Tensor,
    camera: Camera,
    start: Tensor,
    weights: Tensor | None = None,
    iterations: int = 3,
    pull: float = 1e-4,
) -> Tensor:
    """3D points [B, T, J, 3] whose perspective projections are nearest to `seen` [V, B, T, J, 2].

    With the depths held, each point is a linear least-squares problem with 3 unknowns: its normal equations are
    solved in closed form, then the depths are evaluated anew, `iterations` times from `start` on (warm start).
    `pull` is the weight of staying where the previous iterate was, relative to the views: it moves no fixed point, and
    decides what the views leave open (the depth under one view). `weights` [V] weigh the views.
    """
    x_axis, y_axis = views[:, :, 0], views[:, :, 1]  # [V, 3]
    outer = torch.stack([x_axis[:, i] * x_axis[:, j] + y_axis[:, i] * y_axis[:, j] for i, j in _UPPER], -1)  # [V, 6]
    plane = views[:, :, :2]  # [V, 3, 2]
    if weights is not None:
        outer, plane = outer * weights[:, None], plane * weights[:, None, None]
    points = start
    for _ in range(iterations):
        depth = torch.einsum("btjc,vc->vbtj", points, views[:, :, 2])
        zoom = magnification(depth, camera)  # [V, B, T, J]
        right = torch.einsum("vbtj,vbtjd,vcd->btjc", zoom, seen, plane)
        normal = torch.einsum("vbtj,vk->btjk", zoom.square(), outer)
        hold = pull * (normal[..., 0] + normal[..., 3] + normal[..., 5])[..., None]
        points = solve_symmetric(normal, right + hold * points, hold[..., 0])
    return points


_UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def solve_symmetric(matrix: Tensor, right: Tensor, ridge: Tensor) -> Tensor:
    """Solve (M + ridge I) x = right for symmetric 3x3 M given by its upper triangle [..., 6], by cofactors."""
    a, b, c, d, e, f = matrix.unbind(-1)
    a, d, f = a + ridge, d + ridge, f + ridge
    c00, c01, c02 = d * f - e * e, c * e - b * f, b * e - c * d
    c11, c12, c22 = a * f - c * c, b * c - a * e, a * d - b * b
    x, y, z = right.unbind(-1)
    solution = torch.stack((c00 * x + c01 * y + c02 * z, c01 * x + c11 * y + c12 * z, c02 * x + c12 * y + c22 * z), -1)
    return solution / (a * c00 + b * c01 + c * c02)[..., None]
