"""The least squares behind the fit of a body: all frames of a clip at once, one shape, joints only.

Unknowns: a turn w of each joint that has children (its local rotation becomes R exp(w)), the place of the root, and S
numbers of shape. With e = p - y the error of a joint (p posed, y wanted) and c its pose coordinates, the sum of

    w |e|^2  +  v |e(t+1) - e(t)|^2  +  k (c - mean)^2  +  h (c outside its range)^2  +  s (c(t+1) - c(t))^2
    +  l |tilt of the sole|^2  +  precision (shape - start)^2

is made small by damped Gauss-Newton steps (Levenberg 1944, Marquardt 1963). The joints' derivatives are exact: turning
joint k about its own axis a moves every joint j below it by (G_k a) x (p_j - p_k). Frames are coupled to their
neighbours only, so the normal equations are block tridiagonal with a border for the shape. float64 throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from body.fit.pose_prior import PosePrior, pose_coordinates
from utils.geometry.kinematics import forward, walk
from utils.geometry.rotations import axis_angle_to_matrix


@dataclass(frozen=True)
class Problem:
    """What is wanted and how much: T frames, J joints with targets (the first of the K of the tree), S shape axes.

    Weights are 1 / metre^2 and 1 / radian^2: `weights` of the targets [T, J], `steady` of the change of their error to
    the next frame [T - 1, J], `level` of the tilt of the soles [T, 2] (0 nowhere), `mean` (to the mean pose), `range`
    (beyond the range) and `smooth` (to the next frame) [T, K, 3], [K, 3] and [T - 1, K, 3]. Shape: `offsets` [K, 3]
    plus `directions` [K, 3, S] times its numbers, which `precision` [S] holds at 0.
    """

    targets: Tensor
    weights: Tensor
    steady: Tensor
    level: Tensor
    mean: Tensor
    range: Tensor
    smooth: Tensor
    offsets: Tensor
    directions: Tensor
    precision: Tensor
    parents: tuple[int, ...]
    prior: PosePrior
    soles: tuple[int, int] = (7, 8)

    @property
    def moving(self) -> list[int]:
        """The joints that are turned: those with a joint below them that may have a target."""
        return sorted({self.parents[joint] for joint in range(1, self.targets.shape[1])})


@dataclass(frozen=True)
class State:
    """Local rotations [T, K, 3, 3], root positions [T, 3] and shape [S]."""

    rotations: Tensor
    root: Tensor
    shape: Tensor


@dataclass(frozen=True)
class _Errors:
    """What the sum is made of, at one state, and what its derivatives need."""

    positions: Tensor  # [T, K, 3]
    turned: Tensor  # [T, K, 3, 3]
    joints: Tensor  # e [T, J, 3]
    coordinates: Tensor  # c [T, M, 3]
    slopes: Tensor  # of the coordinates [T, M, 3, 3]
    pull: Tensor  # distance from the mean [T, M, 3]
    beyond: Tensor  # distance outside the range [T, M, 3]
    change: Tensor  # to the next frame [T - 1, M, 3]
    tilt: Tensor  # of the soles [T, 2, 3]
    cost: float


def solve(problem: Problem, state: State, iterations: int = 15, tolerance: float = 1e-4) -> tuple[State, int]:
    """The state at the minimum next to `state`, and the number of steps taken.

    Ends after `iterations` steps, or when a step gains less than the part `tolerance` of the cost.
    """
    errors = _errors(problem, state)
    damping = 1e-4
    for count in range(iterations):
        system = _normal_equations(problem, state, errors)
        for _ in range(8):
            trial = _moved(problem, state, *_step(*system, damping))
            found = _errors(problem, trial)
            if found.cost <= errors.cost:
                break
            damping = max(damping, 1e-4) * 10
        else:
            return state, count
        gain = errors.cost - found.cost
        state, errors, damping = trial, found, max(damping / 10, 1e-9)
        if gain <= tolerance * errors.cost:
            return state, count + 1
    return state, iterations


def offsets_at(problem: Problem, shape: Tensor) -> Tensor:
    """Rest offsets [K, 3] of a shape [S]."""
    return problem.offsets + problem.directions @ shape


def _errors(problem: Problem, state: State) -> _Errors:
    offsets, prior, moving = offsets_at(problem, state.shape), problem.prior, problem.moving
    positions, turned = forward(state.rotations, offsets, problem.parents, state.root)
    joints = positions[:, : problem.targets.shape[1]] - problem.targets
    coordinates, slopes = pose_coordinates(state.rotations[:, moving], prior.bone[moving])
    pull = coordinates - prior.mean[moving]
    beyond = coordinates - coordinates.clamp(prior.low[moving], prior.high[moving])
    change = coordinates.diff(dim=0)
    change = change - 2 * torch.pi * torch.round(change / (2 * torch.pi))
    tilt = turned[:, problem.soles, :, 1] - torch.tensor([0.0, 1.0, 0.0]).to(turned)
    cost = (
        (problem.weights[..., None] * joints**2).sum()
        + (problem.steady[..., None] * joints.diff(dim=0) ** 2).sum()
        + (problem.mean[:, moving] * pull**2).sum()
        + (problem.range[moving] * beyond**2).sum()
        + (problem.smooth[:, moving] * change**2).sum()
        + (problem.level[..., None] * tilt**2).sum()
        + (problem.precision * state.shape**2).sum()
    )
    return _Errors(positions, turned, joints, coordinates, slopes, pull, beyond, change, tilt, float(cost))


def _normal_equations(problem: Problem, state: State, errors: _Errors) -> tuple[Tensor, ...]:
    """Blocks [T, N, N], their neighbours [T - 1, N, N], border [T, N, S], corner [S, S], gradients [T, N] and [S]."""
    frames, count = problem.weights.shape
    by_pose, by_shape = _joint_derivatives(problem, errors)
    weights = problem.weights.clone()
    weights[:-1] += problem.steady
    weights[1:] += problem.steady
    pulled = problem.weights[..., None] * errors.joints
    change = problem.steady[..., None] * errors.joints.diff(dim=0)
    pulled[:-1] -= change
    pulled[1:] += change
    rows, pulled = weights.repeat_interleave(3, 1)[..., None], pulled.reshape(frames, 3 * count, 1)
    both = torch.cat([by_pose, by_shape], -1)
    products = (rows * by_pose).mT @ both
    size = by_pose.shape[-1]
    blocks, border = products[..., :size].clone(), products[..., size:].clone()
    corner = ((rows * by_shape).mT @ by_shape).sum(0)
    gradient, of_shape = (by_pose.mT @ pulled).squeeze(-1), (by_shape.mT @ pulled).squeeze(-1).sum(0)
    between = problem.steady.repeat_interleave(3, 1)[..., None]
    beside = -(between * by_pose[:-1]).mT @ both[1:]
    neighbours = beside[..., :size].clone()
    border[:-1] += beside[..., size:]
    border[1:] -= by_pose[1:].mT @ (between * by_shape[:-1])
    crossed = (by_shape[:-1].mT @ (between * by_shape[1:])).sum(0)
    corner -= crossed + crossed.T
    _add_pose(problem, errors, blocks, neighbours, gradient)
    _add_level(problem, errors, blocks, gradient)
    corner = corner + torch.diag(problem.precision)
    of_shape = of_shape + problem.precision * state.shape
    return blocks, neighbours, border, corner, gradient, of_shape


def _joint_derivatives(problem: Problem, errors: _Errors) -> tuple[Tensor, Tensor]:
    """Of the targeted joints by root and turns [T, 3 J, N], and by shape [T, 3 J, S]."""
    frames, count = problem.weights.shape
    moving = problem.moving
    below = _below(problem.parents, moving, count)
    lever = errors.positions[:, :count, None] - errors.positions[:, None, moving]  # [T, J, M, 3]
    axes = errors.turned[:, None, moving]  # columns are the joint's own axes in the world
    turns = torch.linalg.cross(axes, lever[..., None].expand(-1, -1, -1, -1, 3), dim=-2) * below[..., None, None]
    place = torch.eye(3, dtype=lever.dtype).expand(frames, count, 3, 3)
    by_pose = torch.cat([place, turns.transpose(2, 3).reshape(frames, count, 3, -1)], -1)
    moved = {0: torch.zeros(frames, 3, len(problem.precision), dtype=lever.dtype)}
    for joint in walk(problem.parents)[1:]:
        parent = problem.parents[joint]
        moved[joint] = moved[parent] + errors.turned[:, parent] @ problem.directions[joint]
    by_shape = torch.stack([moved[joint] for joint in range(count)], 1)
    return by_pose.reshape(frames, 3 * count, -1), by_shape.reshape(frames, 3 * count, -1)


def _below(parents: Sequence[int], moving: list[int], count: int) -> Tensor:
    """1 where joint j hangs on joint k of `moving`, else 0 [J, M]."""
    table = torch.zeros(count, len(moving), dtype=torch.float64)
    for joint in range(count):
        above = parents[joint]
        while above >= 0:
            table[joint, moving.index(above)] = 1.0
            above = parents[above]
    return table


def _add_pose(problem: Problem, errors: _Errors, blocks: Tensor, neighbours: Tensor, gradient: Tensor) -> None:
    """Add what the pose coordinates ask for, which couples a joint with itself alone."""
    moving, slopes = problem.moving, errors.slopes
    weight = problem.mean[:, moving] + problem.range[moving] * (errors.beyond != 0)
    asked = problem.mean[:, moving] * errors.pull + problem.range[moving] * errors.beyond
    smooth = problem.smooth[:, moving]
    weight[:-1] += smooth
    weight[1:] += smooth
    asked[:-1] -= smooth * errors.change
    asked[1:] += smooth * errors.change
    gradient[:, 3:] += (slopes.mT @ asked[..., None]).flatten(1)
    _joint_blocks(blocks).add_(slopes.mT @ (weight[..., None] * slopes))
    _joint_blocks(neighbours).sub_(slopes[:-1].mT @ (smooth[..., None] * slopes[1:]))


def _joint_blocks(blocks: Tensor) -> Tensor:
    """A view [T, M, 3, 3] of the blocks on the diagonal of [T, 3 + 3 M, 3 + 3 M], those of the turns."""
    frames, size, _ = blocks.shape
    rest = blocks[:, 3:, 3:].unflatten(2, (-1, 3)).unflatten(1, (-1, 3))
    return rest.diagonal(dim1=1, dim2=3).movedim(-1, 1)


def _add_level(problem: Problem, errors: _Errors, blocks: Tensor, gradient: Tensor) -> None:
    """Add the wish that soles be level, where there is one: turning joint k moves an axis u by (G_k a) x u."""
    if not problem.level.any():
        return
    moving = problem.moving
    for side, sole in enumerate(problem.soles):
        weight = problem.level[:, side, None, None]
        above = _below(problem.parents, moving, max(problem.soles) + 1)[sole].clone()
        above[moving.index(sole)] = 1.0
        up = errors.turned[:, sole, None, :, 1, None].expand(-1, len(moving), -1, 3)
        turns = torch.linalg.cross(errors.turned[:, moving], up, dim=-2) * above[:, None, None]
        turns = turns.transpose(1, 2).flatten(2)  # [T, 3, 3 M]
        blocks[:, 3:, 3:] += turns.mT @ (weight * turns)
        gradient[:, 3:] += (turns.mT @ (weight * errors.tilt[:, side, :, None])).squeeze(-1)


def _step(
    blocks: Tensor,
    neighbours: Tensor,
    border: Tensor,
    corner: Tensor,
    gradient: Tensor,
    of_shape: Tensor,
    damping: float,
) -> tuple[Tensor, Tensor]:
    """The damped step of pose [T, N] and shape [S]: block elimination, then Schur's complement of the shape."""
    frames, size, _ = blocks.shape
    damped = blocks + torch.diag_embed(damping * blocks.diagonal(dim1=-2, dim2=-1) + 1e-6)
    beside = torch.cat([neighbours, torch.zeros_like(blocks[:1])])
    solved = torch.cat([beside, gradient[..., None], border], -1)  # turned into the solution frame by frame
    for frame in range(frames):
        if frame:
            before = neighbours[frame - 1].T @ solved[frame - 1]
            damped[frame] -= before[:, :size]
            solved[frame, :, size:] -= before[:, size:]
        solved[frame] = torch.cholesky_solve(solved[frame], torch.linalg.cholesky(damped[frame]))
    values = solved[..., size:]
    for frame in range(frames - 2, -1, -1):
        values[frame] -= solved[frame, :, :size] @ values[frame + 1]
    pose, by_shape = values[..., 0], values[..., 1:]
    if not border.shape[-1]:
        return -pose, of_shape
    schur = corner + torch.diag(damping * corner.diagonal()) - (border.mT @ by_shape).sum(0)
    shape = torch.linalg.solve(schur, (border.mT @ pose[..., None]).squeeze(-1).sum(0) - of_shape)
    return -pose - by_shape @ shape, shape


def _moved(problem: Problem, state: State, pose: Tensor, shape: Tensor) -> State:
    turns = axis_angle_to_matrix(pose[:, 3:].unflatten(-1, (-1, 3)))
    rotations = state.rotations.clone()
    rotations[:, problem.moving] = state.rotations[:, problem.moving] @ turns
    return replace(state, rotations=rotations, root=state.root + pose[:, :3], shape=state.shape + shape)
