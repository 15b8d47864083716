"""The least squares behind the fit of a body: all frames of a clip at once, one shape, joints only.

Unknowns: a turn w of each joint that has children (its local rotation becomes R exp(w)), the place of the root, and S
numbers of shape. With e = p - y the error of a joint (p posed, y wanted), c its pose coordinates and u those of a
usual pose, the sum of

    w |e|^2  +  v |e(t+1) - e(t)|^2  +  k (c - u)^2  +  h (c outside its range)^2  +  s ((c - u)(t+1) - (c - u)(t))^2
    +  l |tilt of the sole|^2  +  g (sine of the turn from a wanted world rotation)^2  +  precision (shape - start)^2
    +  q d(pose)

is made small by damped Gauss-Newton steps (Levenberg 1944, Marquardt 1963). The joints' derivatives are exact: turning
joint k about its own axis a moves every joint j below it by (G_k a) x (p_j - p_k). Frames are coupled to their
neighbours only, so the normal equations are block tridiagonal with a border for the shape. float64 throughout. The
distance d of a learned prior, where there is one, is no square: see `body.fit.plausible`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from body.fit.plausible import BEND, distance_and_slope
from body.fit.pose_prior import PosePrior, pose_coordinates
from utils.geometry.block_bands import eliminated
from utils.geometry.kinematics import forward
from utils.geometry.rotations import axis_angle_to_matrix

ITERATIONS, TOLERANCE = 15, 1e-4
_SPAN = 128  # frames whose equations are built at a time, so that what they are built of stays in the cache


@dataclass(frozen=True)
class Problem:
    """What is wanted and how much: T frames, J joints with targets (the first of the K of the tree), S shape axes.

    Weights are 1 / metre^2 and 1 / radian^2: `weights` of the targets [T, J], `steady` of the change of their error to
    the next frame [T - 1, J], `level` of the tilt of the soles [T, 2] (0 nowhere), `mean` (to the pose coordinates
    `usual` [T, K, 3]), `range` (beyond the range) and `smooth` (to the next frame) [T, K, 3], [K, 3] and [T - 1, K, 3];
    `hold` [T, K, 3] of the turn from `turned`, world rotations [T, K, 3, 3], about the joint's own axes. Shape:
    `offsets` [K, 3] plus `directions` [K, 3, S] times its numbers, which `precision` [S] holds at 0. `plausible`
    [T] multiplies the distance that the learned prior `network` gives to the pose of each frame.
    """

    targets: Tensor
    usual: Tensor
    weights: Tensor
    steady: Tensor
    level: Tensor
    mean: Tensor
    range: Tensor
    smooth: Tensor
    turned: Tensor
    hold: Tensor
    offsets: Tensor
    directions: Tensor
    precision: Tensor
    parents: tuple[int, ...]
    prior: PosePrior
    soles: tuple[int, int] = (7, 8)
    network: nn.Module | None = None
    plausible: Tensor | None = None

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
class Errors:
    """What the sum is made of, at one state, and what its derivatives need."""

    positions: Tensor  # [T, K, 3]
    turned: Tensor  # [T, K, 3, 3]
    joints: Tensor  # e [T, J, 3]
    coordinates: Tensor  # c [T, M, 3]
    slopes: Tensor  # of the coordinates [T, M, 3, 3]
    pull: Tensor  # distance from the usual pose [T, M, 3]
    beyond: Tensor  # distance outside the range [T, M, 3]
    change: Tensor  # of that to the next frame [T - 1, M, 3]
    tilt: Tensor  # of the soles [T, 2, 3]
    off: Tensor  # A, the turn from the wanted world rotation [T, M, 3, 3]
    far: Tensor | None  # d [T]
    fall: Tensor | None  # slope of d by the turns [T, M, 3]


@dataclass(frozen=True)
class _Tables:
    """The tree as tables of 1 and 0."""

    above: Tensor  # the joint of a row is that of the column or above it [N, N]
    below: Tensor  # it is below it [N, N]
    gathers: Tensor  # what a joint moves: [1 + M, J], first all by the way of the root
    hangs: Tensor  # a joint is at or below another that has a bone [J, J - 1]
    turns: Tensor  # which joints turn with a joint, itself included [M, M]


def solve(
    problem: Problem, state: State, iterations: int = ITERATIONS, tolerance: float = TOLERANCE
) -> tuple[State, int]:
    """The state at the minimum next to `state`, and the number of steps taken.

    Ends after `iterations` steps, or when a step gains less than the part `tolerance` of the cost.
    """
    errors = errors_of(problem, state)
    cost = cost_of(problem, state, errors)
    damping, room = 1e-4, _room(problem)
    for count in range(iterations):
        system = normal_equations(problem, state, errors, room)
        for _ in range(8):
            trial = moved(problem, state, *_step(*system, damping))
            found = errors_of(problem, trial)
            left = cost_of(problem, trial, found)
            if left <= cost:
                break
            damping = max(damping, 1e-4) * 10
        else:
            return state, count
        gain = cost - left
        done = gain <= tolerance * cost
        state, errors, cost, damping = trial, found, left, max(damping / 10, 1e-9)
        if done:
            return state, count + 1
    return state, iterations


def offsets_at(problem: Problem, shape: Tensor) -> Tensor:
    """Rest offsets [K, 3] of a shape [S]."""
    return problem.offsets + problem.directions @ shape


def errors_of(problem: Problem, state: State) -> Errors:
    offsets, prior, moving = offsets_at(problem, state.shape), problem.prior, problem.moving
    positions, turned = forward(state.rotations, offsets, problem.parents, state.root)
    joints = positions[:, : problem.targets.shape[1]] - problem.targets
    coordinates, slopes = pose_coordinates(state.rotations[:, moving], prior.bone[moving])
    pull = coordinates - problem.usual[:, moving]
    pull = pull - 2 * torch.pi * torch.round(pull / (2 * torch.pi))
    beyond = coordinates - coordinates.clamp(prior.low[moving], prior.high[moving])
    change = pull.diff(dim=0)
    change = change - 2 * torch.pi * torch.round(change / (2 * torch.pi))
    off = problem.turned[:, moving].mT @ turned[:, moving]
    tilt = turned[:, problem.soles, :, 1] - torch.tensor([0.0, 1.0, 0.0]).to(turned)
    far, fall = None, None
    if problem.network is not None:
        far, fall = distance_and_slope(problem.network, state.rotations)
        fall = fall[:, moving]
    return Errors(positions, turned, joints, coordinates, slopes, pull, beyond, change, tilt, off, far, fall)


def cost_of(problem: Problem, state: State, errors: Errors, counted: slice = slice(None)) -> float:
    """The sum over all frames, or over those `counted`, each with its change to the next."""
    moving = problem.moving
    cost = (
        (problem.weights[..., None] * errors.joints**2)[counted].sum()
        + (problem.steady[..., None] * errors.joints.diff(dim=0) ** 2)[counted].sum()
        + (problem.mean[:, moving] * errors.pull**2)[counted].sum()
        + (problem.range[moving] * errors.beyond**2)[counted].sum()
        + (problem.smooth[:, moving] * errors.change**2)[counted].sum()
        + (problem.level[..., None] * errors.tilt**2)[counted].sum()
        + (problem.hold[:, moving] * _sines(errors.off) ** 2)[counted].sum()
        + (problem.precision * state.shape**2).sum()
    )
    if errors.far is not None and problem.plausible is not None:
        cost = cost + (problem.plausible * errors.far)[counted].sum()
    return float(cost)


def _sines(off: Tensor) -> Tensor:
    """Sine of the angle of rotations [..., 3, 3], times its axis [..., 3]: half of what is antisymmetric in them."""
    return torch.stack([off[..., k - 1, k - 2] - off[..., k - 2, k - 1] for k in range(3)], -1) / 2


def _room(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for blocks [T, N, N], neighbours [T - 1, N, N], and gradient and border [T, N, 1 + S]."""
    frames, size = len(problem.weights), 3 + 3 * len(problem.moving)
    shapes = ((frames, size, size), (frames - 1, size, size), (frames, size, 1 + len(problem.precision)))
    blocks, neighbours, right = (problem.weights.new_empty(shape) for shape in shapes)
    return blocks, neighbours, right


def normal_equations(
    problem: Problem,
    state: State,
    errors: Errors,
    room: tuple[Tensor, Tensor, Tensor] | None = None,
    counted: slice | None = None,
) -> tuple[Tensor, ...]:
    """Blocks [T, N, N], their neighbours [T - 1, N, N], border [T, N, S], corner [S, S], gradients [T, N] and [S].

    `room` is memory that they are written to, if it is to be used again. Corner and gradient of the shape are sums over
    all frames, or over those `counted`, which begin and end (but at the clip's end) at multiples of `_SPAN`.
    """
    frames = len(problem.weights)
    blocks, neighbours, right = room or _room(problem)
    corner, of_shape = torch.diag(problem.precision), problem.precision * state.shape
    weights, tables = _weights(problem), _tables(problem)
    for first in range(0, frames, _SPAN):
        span = slice(first, min(first + _SPAN, frames))
        equations = blocks[span], neighbours[span], right[span]
        found = _write_equations(*equations, problem, errors, span, weights, tables)
        if counted is None or counted.start <= first < counted.stop:
            corner, of_shape = corner + found[:, 1:], of_shape + found[:, 0]
    gradient, border = right[..., 0], right[..., 1:]
    _add_pose(problem, errors, blocks, neighbours, gradient)
    _add_level(problem, errors, blocks, gradient)
    return blocks, neighbours, border, corner, gradient, of_shape


def _write_equations(
    blocks: Tensor,
    neighbours: Tensor,
    right: Tensor,
    problem: Problem,
    errors: Errors,
    span: slice,
    weights: Tensor,
    tables: _Tables,
) -> Tensor:
    """Write what the joints' errors ask of a few frames, and return what they ask of the shape [S, 1 + S].

    Turning k moves joint j, wherever it hangs below k, by P_j s_k: the twist s_k of k does not depend on j, and P_j,
    which gives the speed of a point in a twist, not on k. So the block of k and l is s_k^T (sum over j below both of
    w_j P_j^T P_j) s_l, and the sums run up the tree once, as composite inertias do (Featherstone, "Rigid Body Dynamics
    Algorithms", 2008, section 6.2). Each frame has its own origin, the root.
    """
    frames, count = problem.weights.shape
    around = slice(max(span.start - 1, 0), min(span.stop + 1, frames))  # with the frames before and after
    inner = slice(span.start - around.start, span.stop - around.start)
    later = slice(inner.start, inner.start + min(span.stop, frames - 1) - span.start)
    places = (errors.positions[around] - errors.positions[around, :1])[:, :, :, None]
    points = torch.cat([_crossing(-places[:, :count]), torch.eye(3).to(places).expand(len(places), count, 3, 3)], -1)
    twists = _twists(places[:, problem.moving], errors.turned[around][:, problem.moving])  # [n, 1 + M, 6, 3]
    by_shape = _shape_derivatives(problem, errors.turned[around], tables)
    sides = torch.cat([errors.joints[around, :, :, None], by_shape], -1)
    sides = _weighted(sides, weights[around], problem.steady[around.start : around.stop - 1])[inner]
    of_shape = by_shape[inner].flatten(0, 2).T @ sides.flatten(0, 2)

    steady = problem.steady[span.start : span.start + later.stop - later.start]
    after = slice(later.start + 1, later.stop + 1)
    held, turning = _holding(problem, errors, span, tables)
    own = _gathered((weights[span, :, None, None] * points[inner]).mT @ points[inner], tables)
    beside = _gathered((-steady[..., None, None] * points[later]).mT @ points[after], tables)
    own[:, 1:, :3, :3] += held
    wide = _side_by_side(twists)
    products = wide[inner].mT @ _side_by_side(own @ twists[inner])
    torch.mul(products, tables.above, out=blocks).addcmul_(products.mT, tables.below)
    products = wide[later].mT @ _side_by_side(beside @ twists[after])
    torch.mul(products, tables.above, out=neighbours)
    neighbours.addcmul_(_side_by_side(beside.mT @ twists[later]).mT @ wide[after], tables.below)
    wrenches = _gathered(_wrenches(places[inner, :count], sides), tables)
    wrenches[:, 1:, :3, 0] += turning
    right.copy_((twists[inner].mT @ wrenches).flatten(1, 2))
    return of_shape


def _holding(problem: Problem, errors: Errors, span: slice, tables: _Tables) -> tuple[Tensor, Tensor]:
    """What held world rotations ask of the turns of the joints above them: [n, M, 3, 3], and moments [n, M, 3].

    With A the turn from the wanted rotation, its sines change by D w, 2 D = tr(A) - A^T, in the joint's own axes.
    """
    off, turned = errors.off[span], errors.turned[span][:, problem.moving]
    hold = problem.hold[span][:, problem.moving]
    trace = off.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    slope = (trace * torch.eye(3).to(off) - off.mT) / 2 @ turned.mT
    asked = slope.mT @ (hold * _sines(off))[..., None]
    held = slope.mT @ (hold[..., None] * slope)
    return (tables.turns @ held.flatten(2)).unflatten(-1, (3, 3)), tables.turns @ asked.squeeze(-1)


def _weights(problem: Problem) -> Tensor:
    """What the square of a joint's error counts [T, J], its changes included."""
    weights = problem.weights.clone()
    weights[:-1] += problem.steady
    weights[1:] += problem.steady
    return weights


def _weighted(values: Tensor, weights: Tensor, steady: Tensor) -> Tensor:
    """The quadratic form of the joints' errors times values [n, J, 3, ...] of neighbouring frames."""
    taken = weights[..., None, None] * values
    taken[:-1].addcmul_(steady[..., None, None], values[1:], value=-1)
    taken[1:].addcmul_(steady[..., None, None], values[:-1], value=-1)
    return taken


def _crossing(vectors: Tensor) -> Tensor:
    """Matrices [..., 3, 3] that take the cross product of vectors [..., 3, 1] with what they are applied to."""
    x, y, z = vectors.squeeze(-1).unbind(-1)
    nothing = torch.zeros_like(x)
    rows = ((nothing, -z, y), (z, nothing, -x), (-y, x, nothing))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _twists(places: Tensor, turned: Tensor) -> Tensor:
    """Twists [n, 1 + M, 6, 3] of the root's way and of the joints' turns about their own axes at `places`."""
    turns = torch.cat([turned, _crossing(places) @ turned], -2)
    way = torch.cat([torch.zeros(3, 3), torch.eye(3)]).to(turned)
    return torch.cat([way.expand(len(turned), 1, 6, 3), turns], 1)


def _shape_derivatives(problem: Problem, turned: Tensor, tables: _Tables) -> Tensor:
    """Of the targeted joints by shape [n, J, 3, S]."""
    count, start = problem.targets.shape[1], [max(parent, 0) for parent in problem.parents]
    bones = turned[:, start[1:count]] @ problem.directions[1:count]
    return (tables.hangs @ bones.flatten(2)).unflatten(-1, bones.shape[2:])


def _gathered(values: Tensor, tables: _Tables) -> Tensor:
    """Sums [n, 1 + M, ...] of values [n, J, ...] over all joints, and over those below each that turns."""
    return (tables.gathers @ values.flatten(2)).unflatten(-1, values.shape[2:])


def _wrenches(places: Tensor, forces: Tensor) -> Tensor:
    """What forces [n, J, 3, C] at places [n, J, 3, 1] do to twists [n, J, 6, C]: their moments, and themselves."""
    x, y, z = places.unbind(-2)
    a, b, c = forces.unbind(-2)
    return torch.cat([torch.stack([y * c - z * b, z * a - x * c, x * b - y * a], -2), forces], -2)


def _tables(problem: Problem) -> _Tables:
    """The tables of a problem; the way of the root is above all."""
    moving, count = problem.moving, problem.targets.shape[1]
    below = _below(problem.parents, moving, count)
    above = torch.ones(1 + len(moving), 1 + len(moving), dtype=below.dtype)
    above[1:, 0] = 0
    above[1:, 1:] = below[moving].T + torch.eye(len(moving))
    turns = above[1:, 1:]
    above, same = (table.repeat_interleave(3, 0).repeat_interleave(3, 1) for table in (above, torch.eye(len(above))))
    hangs = _below(problem.parents, list(range(count)), count) + torch.eye(count)
    gathers = torch.cat([torch.ones_like(below[:, :1]), below], -1).T
    return _Tables(above, above.T - same, gathers, hangs[:, 1:], turns)


def _side_by_side(columns: Tensor) -> Tensor:
    """[n, K, 6, 3] as [n, 6, 3 K]."""
    return columns.transpose(1, 2).flatten(2)


def _below(parents: Sequence[int], moving: list[int], count: int) -> Tensor:
    """1 where joint j hangs on joint k of `moving`, else 0 [J, M]."""
    table = torch.zeros(count, len(moving), dtype=torch.float64)
    for joint in range(count):
        above = parents[joint]
        while above >= 0:
            table[joint, moving.index(above)] = 1.0
            above = parents[above]
    return table


def _add_pose(problem: Problem, errors: Errors, blocks: Tensor, neighbours: Tensor, gradient: Tensor) -> None:
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
    if errors.fall is not None and problem.plausible is not None:
        half = problem.plausible[:, None] / 2
        gradient[:, 3:] += half * errors.fall.flatten(1)
        blocks.diagonal(dim1=1, dim2=2)[:, 6:].add_(half * BEND)
    _joint_blocks(neighbours).sub_(slopes[:-1].mT @ (smooth[..., None] * slopes[1:]))


def _joint_blocks(blocks: Tensor) -> Tensor:
    """A view [T, M, 3, 3] of the blocks on the diagonal of [T, 3 + 3 M, 3 + 3 M], those of the turns."""
    frames, size, _ = blocks.shape
    rest = blocks[:, 3:, 3:].unflatten(2, (-1, 3)).unflatten(1, (-1, 3))
    return rest.diagonal(dim1=1, dim2=3).movedim(-1, 1)


def _add_level(problem: Problem, errors: Errors, blocks: Tensor, gradient: Tensor) -> None:
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
    values = eliminated(blocks, neighbours, torch.cat([gradient[..., None], border], -1), damping)
    pose, by_shape = values[..., 0], values[..., 1:]
    if not border.shape[-1]:
        return -pose, of_shape
    schur = corner + torch.diag(damping * corner.diagonal()) - (border.mT @ by_shape).sum(0)
    shape = torch.linalg.solve(schur, (border.mT @ pose[..., None]).squeeze(-1).sum(0) - of_shape)
    return -pose - by_shape @ shape, shape


def moved(problem: Problem, state: State, pose: Tensor, shape: Tensor) -> State:
    turns = axis_angle_to_matrix(pose[:, 3:].unflatten(-1, (-1, 3)))
    rotations = state.rotations.clone()
    rotations[:, problem.moving] = state.rotations[:, problem.moving] @ turns
    return replace(state, rotations=rotations, root=state.root + pose[:, :3], shape=state.shape + shape)
