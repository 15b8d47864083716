"""A body fitted to the keypoints of one picture: place before the camera, orientation, shape and pose.

After SMPLify (Bogo et al. 2016, "Keep it SMPL", section 3.3): with e the way from a keypoint to where its point of the
body is seen, c its confidence, rho Geman and McClure's error, a(pose) pose coordinates beyond their ranges and d the
distance of a pose prior (Pose-NDF), the sum of

    (c / s)^2 rho(e)  +  k (pull to a relaxed pose)^2  +  h a(pose)^2  +  w d(pose)  +  b shape^2

is made small by damped Gauss-Newton steps, its weights falling stage by stage; e is counted in metres at the depth of
the person. One picture leaves open which end of a bone is nearer: the fit begins facing four ways, and then tries each
bone of the arms and legs the other way round (Sminchisescu and Triggs 2003, "Kinematic jump processes"); the least sum
wins. Without a learned prior, w = 0.

Axes of the camera: x to the right, y up, z towards the viewer, who is at the origin: right-handed, so that who faces
the viewer upright is not turned at all. A point at depth D = -z is seen at (cx + f x / D, cy - f y / D) pixels. B fits
are made at once, each on its own: rotations [B, 24, 3, 3], root [B, 3], shape [B, S]; M keypoints. float64.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from body.fit.plausible import BEND, distance_and_slope
from body.fit.pose_prior import PosePrior, pose_coordinates, pose_prior
from sample.posing.landmarks import Figure
from utils.geometry.kinematics import forward, local_rotations
from utils.geometry.rotations import about_axis, axis_angle_to_matrix, between_vectors
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError

_SMPL24 = SKELETONS["smpl24"]
_AT = {name: joint for joint, name in enumerate(_SMPL24.joints)}
_TURNED = 22  # joints that are turned, the first ones; hands go with their wrists
_TORSO = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
_BONES = [
    (f"{side}_{upper}", f"{side}_{lower}")
    for side in ("left", "right")
    for upper, lower in (
        ("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip")
    )
] + [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")]  # fmt: skip
_FLIPPED = [bone for bone in _BONES if _SMPL24.parents[_AT[bone[1]]] == _AT[bone[0]]]
_NEAREST = 0.2  # metres: what is nearer to the camera is seen as if it were so far
_UNCLEAR = 1e-3  # metres^2: least that a bone is as seen from its side


@dataclass(frozen=True)
class Camera:
    """A pinhole: `focal` and the middle of the picture `centre` (x, y) in pixels."""

    focal: float
    centre: tuple[float, float]


@dataclass(frozen=True)
class Weights:
    """Of the sum: `keypoint` (s) and `robust` in metres; the others 1 / radian^2, one each unit of d and of shape."""

    keypoint: float = 0.02
    robust: float = 0.15
    relaxed: float = 0.3
    beyond: float = 130.0
    prior: float = 4000.0
    shape: float = 2.0


STAGES = ((10.0, 10), (3.0, 10), (1.0, 15))  # factors of the priors on pose and shape, and most steps


@dataclass(frozen=True)
class Seen:
    """Keypoints of one person: `pixels` [M, 2], `trust` [M], and the points of the figure that they show."""

    pixels: Tensor
    trust: Tensor
    points: list[int]


@dataclass(frozen=True)
class Guess:
    """Local rotations [B, 24, 3, 3], root [B, 3] in the camera's axes, shape [B, S]."""

    rotations: Tensor
    root: Tensor
    shape: Tensor

    def of(self, rows: Tensor | list[int]) -> "Guess":
        """Some of the fits."""
        return Guess(self.rotations[rows], self.root[rows], self.shape[rows])


@dataclass(frozen=True)
class Fitted:
    """The best fit: a guess of B = 1 and its sum; in pixels where the body has the keypoints [M, 2].

    `distance` is the prior's, nan without one.
    """

    guess: Guess
    cost: float
    shown: Tensor
    distance: float


@dataclass(frozen=True)
class _Task:
    """All that stays the same while one picture is fitted; `depth` is that in which errors are counted."""

    figure: Figure
    seen: Seen
    camera: Camera
    depth: float
    prior: PosePrior
    network: nn.Module | None
    weights: Weights
    hangs: Tensor  # [M, 24 + L]: 1 where a keypoint's point is a joint, or hangs on it
    below: Tensor  # [M, 22]: where it hangs on one that is turned


def fit_keypoints(
    figure: Figure, seen: Seen, camera: Camera, network: nn.Module | None = None, weights: Weights | None = None
) -> Fitted:
    """The body that explains keypoints best. Raises DataError where they show no bone of the trunk, arms or legs."""
    task = _task(figure, seen, camera, network, weights or Weights())
    guess, cost = _facing(task, _starts(task))
    for factor, steps in STAGES:
        guess, cost = minimised(task, guess, factor, steps)
    guess, least = guess.of([int(cost.argmin())]), float(cost.min())
    for _ in range(2):
        tried, cost = minimised(task, _turned_round(task, guess), STAGES[-1][0], STAGES[-1][1])
        if float(cost.min()) > least * (1 - 1e-4):
            break
        guess, least = tried.of([int(cost.argmin())]), float(cost.min())
    near = float("nan") if network is None else float(distance_and_slope(network, guess.rotations)[0])
    return Fitted(guess, least, _pixels(task, posed_points(figure, guess))[0], near)


def _task(figure: Figure, seen: Seen, camera: Camera, network: nn.Module | None, weights: Weights) -> _Task:
    """What stays the same. Raises DataError."""
    depth, prior = first_depth(figure, seen, camera), pose_prior(figure.offsets[:24])
    hangs = _hangs(figure, seen.points)
    below = (hangs * (torch.arange(hangs.shape[1]) != torch.tensor(seen.points)[:, None]))[:, :_TURNED]
    return _Task(figure, seen, camera, depth, prior, network, weights, hangs, below)


def first_depth(figure: Figure, seen: Seen, camera: Camera) -> float:
    """About how far away a person is, from bones of known length: what is least foreshortened tells."""
    at = {point: row for row, point in enumerate(seen.points)}
    rest = forward(torch.eye(3).double().expand(len(figure.parents), 3, 3), figure.offsets, figure.parents,
                   torch.zeros(3).double())[0]  # fmt: skip
    depths = []
    for ends in _BONES:
        upper, lower = (_AT[name] for name in ends)
        if upper in at and lower in at:
            long = float((seen.pixels[at[upper]] - seen.pixels[at[lower]]).norm())
            depths += [camera.focal * float((rest[upper] - rest[lower]).norm()) / long] if long > 0 else []
    if not depths:
        raise DataError("the keypoints show no bone of the trunk, the arms or the legs, so nothing tells how far it is")
    return float(torch.tensor(depths).double().quantile(0.25))


def _pixels(task: _Task, points: Tensor) -> Tensor:
    """Where those of the figure's points [B, 24 + L, 3] that keypoints show are seen [B, M, 2]."""
    points = points[:, task.seen.points]
    depth = (-points[..., 2:]).clamp_min(_NEAREST)
    flip = torch.tensor([1.0, -1.0]).to(points)
    return torch.tensor(task.camera.centre).to(points) + task.camera.focal * flip * points[..., :2] / depth


def minimised(
    task: _Task, guess: Guess, factor: float, steps: int, free: Tensor | None = None, used: Tensor | None = None
) -> tuple[Guess, Tensor]:
    """The guesses after at most so many damped steps each (Levenberg 1944, Marquardt 1963), and their sums [B].

    `free` bool [N] are the unknowns that move, `used` [M] multiplies the trust in keypoints.
    """
    system = partial(_system, task, factor=factor, used=used)
    cost, gradient, matrix = system(guess)
    damping = torch.full_like(cost, 1e-3)
    for _ in range(steps):
        step = _step(matrix, gradient, damping, free)
        tried = _moved(guess, step)
        found = system(tried)
        better = found[0] < cost
        gain = (cost - found[0])[better]
        guess = Guess(*(_chosen(better, getattr(tried, part), getattr(guess, part)) for part in _PARTS))
        cost, gradient, matrix = (
            _chosen(better, new, old) for new, old in zip(found, (cost, gradient, matrix), strict=True)
        )
        damping = torch.where(better, damping / 5, damping * 8).clamp(1e-9, 1e9)
        if len(gain) and float((gain / (cost[better] + 1e-12)).max()) < 1e-5:
            break
    return guess, cost


_PARTS = ("rotations", "root", "shape")


def _chosen(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(rows.view(-1, *[1] * (new.dim() - 1)), new, old)


def _starts(task: _Task) -> Guess:
    """A relaxed person who faces four ways, leaning as the trunk does in the picture, behind the keypoints' middle."""
    prior, seen = task.prior, task.seen
    relaxed = axis_angle_to_matrix(prior.mean).expand(4, 24, 3, 3).clone()
    yaw = torch.arange(4).double() * torch.pi / 2
    relaxed[:, 0] = about_axis("Z", torch.tensor(_lean(task)).double()) @ about_axis("Y", yaw)
    guess = Guess(relaxed, torch.zeros(4, 3).double(), torch.zeros(4, task.figure.directions.shape[-1]).double())
    middle = posed_points(task.figure, guess)[:, seen.points]
    trust = seen.trust / seen.trust.sum()
    ray = (trust @ (seen.pixels - torch.tensor(task.camera.centre))) / task.camera.focal
    place = task.depth * torch.stack([ray[0], -ray[1], -torch.ones_like(ray[0])])
    return replace(guess, root=place - trust @ middle)


def _lean(task: _Task) -> float:
    """How the trunk leans in the picture, radians counter-clockwise from upright; 0 where it is not seen."""
    at = {point: row for row, point in enumerate(task.seen.points)}
    rows = [at.get(_AT[name], -1) for name in _TORSO]
    if -1 in rows:
        return 0.0
    pixels = task.seen.pixels[rows]
    right, down = (pixels[2:].mean(0) - pixels[:2].mean(0)).tolist()
    return float(torch.atan2(torch.tensor(-right), torch.tensor(-down))) if right or down else 0.0


def _facing(task: _Task, guess: Guess) -> tuple[Guess, Tensor]:
    """Place and orientation alone, by the trunk where it is seen, else by all keypoints (SMPLify's first stage)."""
    torso = {_AT[name] for name in _TORSO}
    used = torch.tensor([float(point in torso) for point in task.seen.points]).double()
    if used.sum() < len(torso):
        used = torch.ones_like(used)
    free = torch.zeros(3 + 3 * _TURNED + guess.shape.shape[1], dtype=torch.bool)
    free[:6] = True
    return minimised(task, guess, 1.0, 10, free, used)


def _turned_round(task: _Task, guess: Guess) -> Guess:
    """Guesses from one, each with a bone of an arm or a leg turned to the other end of its depth; what follows stays.

    The bone is mirrored in the plane across the line of sight, so it is seen where it was.
    """
    points, world = _posed(task.figure, guess)
    points, world = points[0], world[0, :24]
    turned = []
    for names in _FLIPPED:
        upper, lower = (_AT[name] for name in names)
        bone = points[lower] - points[upper]
        sight = torch.nn.functional.normalize(points[upper] + points[lower], dim=0)
        mirrored = bone - 2 * (bone @ sight) * sight
        other = world.clone()
        normal = torch.nn.functional.normalize
        other[upper] = between_vectors(normal(bone, dim=0), normal(mirrored, dim=0)) @ world[upper]
        turned.append(local_rotations(other, _SMPL24.parents))
    rotations = torch.stack(turned)
    count = len(rotations)
    return Guess(rotations, guess.root.expand(count, 3).clone(), guess.shape.expand(count, -1).clone())


def posed_points(figure: Figure, guess: Guess) -> Tensor:
    """Points [B, 24 + L, 3] of a figure in the camera's axes, metres."""
    return _posed(figure, guess)[0]


def _posed(figure: Figure, guess: Guess) -> tuple[Tensor, Tensor]:
    """Points [B, 24 + L, 3] and world rotations [B, 24 + L, 3, 3] of a figure."""
    offsets = figure.offsets + (figure.directions @ guess.shape[:, None, :, None]).squeeze(-1)
    leaves = torch.eye(3).to(offsets).expand(len(offsets), len(figure.parents) - 24, 3, 3)
    return forward(torch.cat([guess.rotations, leaves], 1), offsets, figure.parents, guess.root)


def _system(task: _Task, guess: Guess, factor: float, used: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The sums [B], their gradients [B, N] and Gauss-Newton matrices [B, N, N]: root, turns, shape."""
    cost, gradient, matrix = _of_keypoints(task, guess, used)
    weights, prior = task.weights, task.prior
    turns = slice(3, 3 + 3 * _TURNED)
    values, slopes = pose_coordinates(guess.rotations[:, 1:_TURNED], prior.bone[1:_TURNED])
    pull = values - prior.mean[1:_TURNED]
    outside = values - values.clamp(prior.low[1:_TURNED], prior.high[1:_TURNED])
    relaxed = factor * weights.relaxed / prior.spread[1:_TURNED] ** 2
    cost = cost + (relaxed * pull**2 + weights.beyond * outside**2).sum((1, 2))
    asked = relaxed * pull + weights.beyond * outside
    stiff = relaxed + weights.beyond * (outside != 0)
    gradient[:, 6 : turns.stop] += (slopes.mT @ asked[..., None]).flatten(1)
    joints = matrix[:, 6 : turns.stop, 6 : turns.stop].unflatten(2, (-1, 3)).unflatten(1, (-1, 3))
    joints.diagonal(dim1=1, dim2=3).movedim(-1, 1).add_(slopes.mT @ (stiff[..., None] * slopes))
    if task.network is not None and weights.prior:
        distance, slope = distance_and_slope(task.network, guess.rotations)
        cost = cost + factor * weights.prior * distance
        gradient[:, turns] += factor * weights.prior / 2 * slope[:, :_TURNED].flatten(1)
        matrix.diagonal(dim1=1, dim2=2)[:, 6 : turns.stop].add_(factor * weights.prior / 2 * BEND)
    cost = cost + factor * weights.shape * (guess.shape**2).sum(1)
    gradient[:, turns.stop :] += factor * weights.shape * guess.shape
    matrix.diagonal(dim1=1, dim2=2)[:, turns.stop :].add_(factor * weights.shape)
    return cost, gradient, matrix


def _of_keypoints(task: _Task, guess: Guess, used: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """What keypoints ask: sums [B], halves of their gradients [B, N] and matrices [B, N, N]."""
    points, world = _posed(task.figure, guess)
    seen, camera = points[:, task.seen.points], task.camera
    error = (_pixels(task, points) - task.seen.pixels) * (task.depth / camera.focal)  # metres
    trust = task.seen.trust if used is None else task.seen.trust * used
    squared, robust = error.square().sum(-1), task.weights.robust**2
    scale = (trust / task.weights.keypoint) ** 2
    cost = (scale * robust * squared / (robust + squared)).sum(1)
    weight = scale * (robust / (robust + squared)) ** 2  # what Geman-McClure's error leaves of a square
    slopes = _projected(seen, task.depth) @ _point_slopes(task, points, world)  # [B, M, 2, N]
    flat = slopes.flatten(1, 2)
    weighed = flat * weight.repeat_interleave(2, 1)[..., None]
    return cost, (weighed.mT @ error.flatten(1)[..., None]).squeeze(-1), weighed.mT @ flat


def _projected(points: Tensor, unit: float) -> Tensor:
    """Derivatives [B, M, 2, 3] of where points [B, M, 3] are seen, in metres at the depth `unit`."""
    x, y, z = points.unbind(-1)
    near = 1 / (-z).clamp_min(_NEAREST)
    zero = torch.zeros_like(x)
    rows = ((near, zero, x * near**2), (zero, -near, -y * near**2))
    return unit * torch.stack([torch.stack(row, -1) for row in rows], -2)


def _point_slopes(task: _Task, points: Tensor, world: Tensor) -> Tensor:
    """Derivatives [B, M, 3, N] of the keypoints' points by root, turns and shape.

    Turning joint k about its own axis a moves a point p below it by (G_k a) x (p - p_k).
    """
    count, seen = len(points), points[:, task.seen.points]
    arms = seen[:, :, None] - points[:, None, :_TURNED]  # [B, M, 22, 3]
    axes = world[:, None, :_TURNED].mT.expand(count, len(task.below), _TURNED, 3, 3)  # rows: G_k a
    turns = torch.linalg.cross(axes, arms[..., None, :].expand_as(axes)) * task.below[..., None, None]
    way = torch.eye(3).to(points).expand(count, len(task.below), 3, 3)
    start = [max(parent, 0) for parent in task.figure.parents]
    bones = world[:, start] @ task.figure.directions  # [B, K, 3, S]; the root's own is 0
    shape = torch.einsum("mk,bkcs->bmcs", task.hangs, bones)
    return torch.cat([way, turns.flatten(2, 3).mT, shape], -1)


def _hangs(figure: Figure, points: list[int]) -> Tensor:
    """1 where a point is a joint or hangs on it [M, 24 + L]."""
    table = torch.zeros(len(points), len(figure.parents), dtype=torch.float64)
    for row, point in enumerate(points):
        while point >= 0:
            table[row, point] = 1.0
            point = figure.parents[point]
    return table


def _step(matrix: Tensor, gradient: Tensor, damping: Tensor, free: Tensor | None) -> Tensor:
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    damped = matrix + torch.diag_embed(damping[:, None] * diagonal + 1e-6)
    if free is not None:
        held = ~free
        damped[:, held] = 0
        damped[:, :, held] = 0
        damped.diagonal(dim1=1, dim2=2)[:, held] = 1
        gradient = gradient * free
    return -torch.linalg.solve(damped, gradient[..., None]).squeeze(-1)


def _moved(guess: Guess, step: Tensor) -> Guess:
    turns = axis_angle_to_matrix(step[:, 3 : 3 + 3 * _TURNED].unflatten(1, (_TURNED, 3)))
    rotations = guess.rotations.clone()
    rotations[:, :_TURNED] = guess.rotations[:, :_TURNED] @ turns
    return Guess(rotations, guess.root + step[:, :3], guess.shape + step[:, 3 + 3 * _TURNED :])
