"""Noisy clips made clean: the rotations of all frames at once, near what was given, plausible, and moved evenly.

What is given is first rid of the noise that few motions common to all joints leave (`smoothing.low_rank`), of which
`LEFT` is taken to stay. Then, over local rotations q [T, 22] and the path of the root r [T], with joints at p (forward
kinematics of one skeleton), the sum of

    |p - y|^2 / s_y^2                                to joints y that were given, s_y metres their noise
    |log(g^-1 q)|^2 / s_g^2                          to rotations g that were given, s_g radians their noise
    rho(|p_(t-1) - 2 p_t + p_(t+1)| / a_j)           acceleration of joints
    rho(|q_(t-1) - 2 q_t + q_(t+1)| / b_j)           acceleration of rotations, as quaternions
    8 * 21 * d(q) / m^2                              pose prior: 1 - |q . r| is x^2 / 8 for a joint turned by x

is made small by Gauss-Newton steps, where rho(x) = 2 (sqrt(1 + x^2) - 1) is a square for small and a length for large
x, so that a jump is smoothed less. Velocity is not damped. a_j and b_j are those of the clip: |x|^2 / s^2 and
|x_(t-1) - 2 x_t + x_(t+1)|^2 / a^2 together halve what turns by (a / s)^(1/2) radians a frame, as does a Gaussian
filter of width w = 1.18 (s / a)^(1/2); w is that of the least expected error, which Stein's estimate (1981) tells
without truth.
"""

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from model.poses.pose_ndf import canonical, value_and_gradient
from utils.geometry.block_bands import eliminated
from utils.geometry.kinematics import forward
from utils.geometry.rotations import (
    axis_angle_to_quaternion,
    quaternion_conjugate,
    quaternion_multiply,
    quaternion_to_axis_angle,
    quaternion_to_matrix,
)
from utils.geometry.skeleton import SKELETONS
from utils.geometry.smoothing import gaussian, gaussian_over_time, low_rank
from utils.geometry.spans import spans
from utils.run.errors import NumericError

TURNING = 30.0  # radians / s^2: twice b, where rotations are not given
LEAST, SLOW = 0.3, 3.0  # metres and radians / s^2: a and twice b at least
WIDTHS = (0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)  # frames, of the filters that are compared
NEAR = 0.25  # radians that a joint may be off the nearest pose that the prior knows: m of the sum
_PARENTS = SKELETONS["smpl22"].parents
_JOINTS = len(_PARENTS)
_GAIN = 70**0.5  # of white noise in fourth differences: the root of 1 + 16 + 36 + 16 + 1
_MEDIAN = 0.6745  # of the size of a number that is normally distributed
EVEN_TURNS = 0.35  # times b
FREE = 30.0  # times a where rotations are given, which are evened themselves
_HALF = 1.18  # times 1 / w radians a frame: where a Gaussian filter of width w leaves half of the power
_ENOUGH = 1e-5  # part of the sum; a step that gains less is the last
LEFT = 1 / 3  # of the noise, where few motions make up a clip
_LEAST = 1e-3  # metres and radians of noise that everything has
_PART, _MARGIN = 400, 40  # frames of long clips that are solved at once, and those beside them that are not kept
_TRIES = 8  # with ever more damping, before a step is given up
_UNKNOWNS = 3 + 3 * _JOINTS  # of a frame
_PRIOR = 8 * (_JOINTS - 1) / NEAR**2


@dataclass(frozen=True)
class Given:
    """A clip of T frames: local rotations [T, 22, 4] and a root's path [T, 3] in metres, of bones [22, 3].

    They are where it begins, and with `radians`, their noise, what is known: then the root is held to the bit. Else
    `positions` [T, 22, 3] are known with noise `metres` and `trust` [T, 22] from 0 to 1.
    """

    rotations: Tensor
    root: Tensor
    offsets: Tensor
    fps: float
    radians: float = 0.0
    positions: Tensor | None = None
    trust: Tensor | None = None
    metres: float = 0.0
    scales: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Denoised:
    """Rotations [T, 22, 4], w >= 0, the path of the root [T, 3], and the sum at first and after each step."""

    rotations: Tensor
    root: Tensor
    history: list[float]


@dataclass(frozen=True)
class _State:
    """Rotations and root, joints and world rotations of them, distances and their gradients; what the sum is."""

    rotations: Tensor
    root: Tensor
    places: Tensor
    world: Tensor
    slope: Tensor
    total: float


def noise_of(values: Tensor) -> float:
    """The deviation of noise, white over time, in numbers [T, ...] that else change slowly; 0 under 5 frames.

    It is told by the median size of fourth differences, in which slow changes are small.
    """
    return _deviation(values.double().diff(n=4, dim=0))


def turning_noise_of(rotations: Tensor) -> float:
    """The same, in radians about each axis, of rotations [T, ..., 4]."""
    steps = quaternion_multiply(quaternion_conjugate(rotations[:-1]), rotations[1:])
    return _deviation(quaternion_to_axis_angle(steps.double()).diff(n=3, dim=0))


def _deviation(fourth: Tensor) -> float:
    return float(fourth.abs().median()) / (_MEDIAN * _GAIN) if len(fourth) else 0.0


def denoise(network: nn.Module | None, given: Given, max_steps: int) -> Denoised:
    """The clip that makes the sum small, in at most `max_steps` steps, none of which raises it; long ones by parts.

    Without a network the rest of the sum counts. Raises NumericError where the sum is not finite.
    """
    given = replace(
        given, rotations=unflipped(given.rotations.double()), root=given.root.double(), offsets=given.offsets.double()
    )
    frames, rotations, roots, histories = len(given.root), [], [], []
    for span in spans(frames, _PART):
        first, end = max(span.start - _MARGIN, 0), min(span.stop + _MARGIN, frames)
        found = _denoised_part(network, _part(given, slice(first, end)), max_steps)
        inner = slice(span.start - first, span.stop - first)
        rotations.append(found.rotations[inner])
        roots.append(found.root[inner])
        histories.append(found.history)
    return Denoised(torch.cat(rotations), torch.cat(roots), max(histories, key=len))


def _part(given: Given, span: slice) -> Given:
    """Some neighbouring frames."""
    positions = None if given.positions is None else given.positions[span].double()
    trust = None if given.trust is None else given.trust[span]
    return replace(
        given, rotations=given.rotations[span], root=given.root[span], positions=positions, trust=trust
    )  # fmt: skip


def _denoised_part(network: nn.Module | None, given: Given, max_steps: int) -> Denoised:
    """The same for a clip that is not long."""
    given = replace(_cleared(given), scales=_scales(given))
    state = _told(network, given, given.rotations, given.root)
    history, damping, frames = [state.total], 1e-3, len(state.root)
    for _ in range(max_steps):
        blocks, neighbours, right = _equations(given, state, network is not None)
        for _ in range(_TRIES):
            step = -eliminated(blocks, neighbours, right[..., None], damping)[..., 0]
            trial = _told(network, given, *_moved(state, step.unflatten(1, (2, -1)).flatten(0, 1)[:frames]))
            if trial.total <= state.total:
                break
            damping *= 10
        else:
            break
        gain, state, damping = state.total - trial.total, trial, max(damping / 10, 1e-6)
        history.append(state.total)
        if gain <= _ENOUGH * state.total:
            break
    return Denoised(normalize(canonical(state.rotations), dim=-1), state.root, history)


def _cleared(given: Given) -> Given:
    """What is given, less noise, and what noise is left."""
    if given.positions is not None:
        flat = given.positions.flatten(1)
        cleared = torch.from_numpy(low_rank(flat.cpu().numpy(), given.metres)).to(flat).view_as(given.positions)
        return replace(given, positions=cleared, metres=max(LEFT * given.metres, _LEAST))
    body = given.rotations[:, 1:]
    mean = torch.linalg.eigh(torch.einsum("tjk,tjl->jkl", body, body))[1][..., -1]
    turns = quaternion_to_axis_angle(quaternion_multiply(quaternion_conjugate(mean), body))
    cleared = low_rank(turns.flatten(1).cpu().numpy(), given.radians)
    body = quaternion_multiply(mean, axis_angle_to_quaternion(torch.from_numpy(cleared).to(turns).view_as(turns)))
    rotations = unflipped(torch.cat([given.rotations[:, :1], body], 1))
    return replace(given, rotations=rotations, radians=max(LEFT * given.radians, _LEAST))


def _told(network: nn.Module | None, given: Given, rotations: Tensor, root: Tensor) -> _State:
    """What the sum is. Raises NumericError where it is not finite."""
    places, world = forward(quaternion_to_matrix(rotations), given.offsets, _PARENTS, root)
    state = _State(rotations, root, places, world, torch.zeros_like(rotations[:, 1:]), 0.0)
    total = (_weights_of_data(given) * _off(given, state).square().sum(-1)).sum()
    for values, scale in _evened(given, state):
        total = total + 2 * ((1 + _squares(values, scale)).sqrt() - 1).sum()
    if network is not None:
        device = next(network.parameters(), root).device
        distances, slope = value_and_gradient(network, rotations[:, 1:].float().to(device))
        total, state = total + _PRIOR * distances.to(root).sum(), replace(state, slope=slope.to(root))
    if not total.isfinite():
        raise NumericError("the clip or the pose prior gives numbers that are not finite: its weights are damaged")
    return replace(state, total=float(total))


def unflipped(rotations: Tensor) -> Tensor:
    """The same rotations [T, J, 4], each with the sign that is nearer to the one before."""
    if len(rotations) < 2:
        return rotations
    turned = torch.where((rotations[1:] * rotations[:-1]).sum(-1) < 0, -1.0, 1.0).cumprod(0)
    return torch.cat([rotations[:1], rotations[1:] * turned[..., None]])


def _weights_of_data(given: Given) -> Tensor:
    """The weight [T, 22] of what is known of each joint."""
    if given.positions is None:
        return torch.full_like(given.rotations[..., 0], 1 / given.radians**2)
    trust = torch.ones_like(given.rotations[..., 0]) if given.trust is None else given.trust.double()
    return trust**2 / given.metres**2


def _off(given: Given, state: _State) -> Tensor:
    """What joints are off what is known [T, 22, 3]: metres, or radians where rotations are known."""
    if given.positions is not None:
        return state.places - given.positions.double()
    return quaternion_to_axis_angle(quaternion_multiply(quaternion_conjugate(given.rotations), state.rotations))


def _evened(given: Given, state: _State) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The vectors [T, 22, C] whose second differences are to be small, and how small [22]."""
    assert given.scales is not None
    return (state.places, given.scales[0]), (state.rotations, given.scales[1])


def _scales(given: Given) -> tuple[Tensor, Tensor]:
    """The a and b [22] of the sum, a frame^2."""
    frame = given.fps**2
    if given.positions is not None:
        turning = torch.full((_JOINTS,), TURNING / 2 / frame).to(given.root)
        return evenness_of(given.positions.double()).clamp_min(LEAST / frame), turning
    places, _ = forward(quaternion_to_matrix(given.rotations), given.offsets, _PARENTS, given.root)
    turning = (EVEN_TURNS * evenness_of(given.rotations)).clamp_min(SLOW / 2 / frame)
    return FREE * evenness_of(places).clamp_min(LEAST / frame), turning


def evenness_of(values: Tensor) -> Tensor:
    """The second difference [J] below which smoothing takes noise from vectors [T, J, C] rather than motion.

    By the Gaussian filter whose expected error is least, |x - G x|^2 + 2 s^2 G_0 but for a constant (Stein 1981).
    """
    found = values.new_empty(values.shape[1])
    for joint, path in enumerate(values.unbind(1)):
        noise = max(noise_of(path), 1e-9)
        risks = []
        for width in WIDTHS:
            left = path - torch.from_numpy(gaussian_over_time(path.cpu().numpy(), width)).to(path)
            weight = gaussian(width, max(1, round(3 * width))).max()
            risks.append(float(left.square().mean()) + 2 * noise**2 * weight)
        best = WIDTHS[min(range(len(risks)), key=risks.__getitem__)]
        found[joint] = noise * (_HALF / best) ** 2
    return found


def _squares(values: Tensor, scale: Tensor) -> Tensor:
    """The squared lengths [T - 2, 22] of second differences, in `scale`."""
    return values.diff(n=2, dim=0).square().sum(-1) / scale**2


def _moved(state: _State, step: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations and root after a step [T, N] of the unknowns that are free."""
    step = torch.nn.functional.pad(step, (_UNKNOWNS - step.shape[1], 0))
    turns = axis_angle_to_quaternion(step[:, 3:].unflatten(-1, (_JOINTS, 3)))
    return normalize(quaternion_multiply(state.rotations, turns), dim=-1), state.root + step[:, :3]


def _equations(given: Given, state: _State, prior: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Blocks [K, 2N, 2N], neighbours [K - 1, 2N, 2N] and right sides [K, 2N] of the next step, two frames each.

    The unknowns of a frame are the way of the root and the turns of joints about their own axes; where the root is
    held, only the turns of the 21 joints below it.
    """
    frames = len(state.root)
    of_places, of_turns = _derivatives(state)
    bands = [of_places.new_zeros(max(frames - apart, 0), _UNKNOWNS, _UNKNOWNS) for apart in range(3)]
    weights, off = _weights_of_data(given)[..., None].expand(-1, -1, 3).flatten(1), _off(given, state).flatten(1)
    if given.positions is None:
        bands[0].diagonal(dim1=1, dim2=2)[:, 3:] += weights
        right = torch.nn.functional.pad(weights * off, (3, 0))
    else:
        bands[0] += of_places.mT @ (weights[..., None] * of_places)
        right = _applied(of_places, weights * off)
    for (values, scale), derivatives in zip(_evened(given, state), (of_places, of_turns), strict=True):
        _add_evenness(bands, right, values, derivatives, scale)
    if prior:
        pulled = torch.nn.functional.pad(_PRIOR / 2 * state.slope, (0, 0, 1, 0))
        right += _applied(of_turns, pulled.flatten(1))
        bands[0].diagonal(dim1=1, dim2=2)[:, 6:] += 1 / NEAR**2
    free = slice(6 if given.positions is None else 0, None)
    return *_paired([band[:, free, free] for band in bands]), _pairs(right[:, free])


def _derivatives(state: _State) -> tuple[Tensor, Tensor]:
    """Of places [T, 66, 69] and of quaternions [T, 88, 69] by the unknowns: the root's way, turns of the joints."""
    frames = len(state.root)
    arms = state.places[:, :, None] - state.places[:, None]  # [T, 22, 22, 3], from the second to the first
    swept = torch.linalg.cross(state.world.mT[:, None], arms[..., None, :].expand(-1, -1, -1, 3, -1))
    swept = (swept * _below().to(arms)[..., None, None]).permute(0, 1, 4, 2, 3).reshape(frames, 3 * _JOINTS, -1)
    of_root = torch.eye(3).to(arms).repeat(_JOINTS, 1).expand(frames, -1, -1)
    axes = 0.5 * torch.eye(4).to(arms)[1:]
    turned = quaternion_multiply(state.rotations[..., None, :], axes).mT  # [T, 22, 4, 3]
    of_turns = arms.new_zeros(frames, _JOINTS, 4, _JOINTS, 3)
    every = torch.arange(_JOINTS)
    of_turns[:, every, :, every] = turned.transpose(0, 1)
    of_turns = of_turns.flatten(1, 2).flatten(2)
    return torch.cat([of_root, swept], -1), torch.nn.functional.pad(of_turns, (3, 0))


@cache
def _below() -> Tensor:
    """1 where a joint hangs on another, which may turn it [22, 22]."""
    table = torch.zeros(_JOINTS, _JOINTS)
    for joint, parent in enumerate(_PARENTS):
        if parent >= 0:
            table[joint] = table[parent]
            table[joint, parent] = 1
    return table


def _add_evenness(bands: list[Tensor], right: Tensor, values: Tensor, derivatives: Tensor, scale: Tensor) -> None:
    """Add what second differences of vectors [T, 22, C] ask, weighted as rho asks where they are now."""
    if len(values) < 3:
        return
    weights = torch.nn.functional.pad((1 + _squares(values, scale)).rsqrt() / scale**2, (0, 0, 1, 1))  # [T, 22]
    sums = torch.nn.functional.pad(weights, (0, 0, 1, 1))
    shares = (
        4 * weights + sums[:-2] + sums[2:],  # of a frame with itself, with the next, with the one after that
        -2 * (weights[:-1] + weights[1:]),
        weights[1:-1],
    )
    columns = values.shape[-1]
    for apart, (band, share) in enumerate(zip(bands, shares, strict=True)):
        rows = share.repeat_interleave(columns, -1)[..., None]
        band += derivatives[: len(band)].mT @ (rows * derivatives[apart:])
    forces = weights[1:-1, :, None] * values.diff(n=2, dim=0)
    spread = torch.nn.functional.pad(forces, (0, 0, 0, 0, 2, 2)).diff(n=2, dim=0)
    right += _applied(derivatives, spread.flatten(1))


def _applied(derivatives: Tensor, forces: Tensor) -> Tensor:
    """What forces [T, M] on what has derivatives [T, M, N] are on the unknowns [T, N]."""
    return (derivatives.mT @ forces[..., None])[..., 0]


def _paired(bands: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Bands of frames with themselves, with the next and the one after that, as blocks of two frames and neighbours.

    A last frame without a partner gets one that nothing is asked of.
    """
    own, following, second = bands
    frames, size = own.shape[:2]
    pairs = -(-frames // 2)
    blocks = own.new_zeros(pairs, 2 * size, 2 * size)
    neighbours = own.new_zeros(pairs - 1, 2 * size, 2 * size)
    blocks[:, :size, :size] = own[::2]
    blocks[: frames // 2, size:, size:] = own[1::2]
    blocks[: frames // 2, :size, size:] = following[::2]
    blocks[: frames // 2, size:, :size] = following[::2].mT
    neighbours[:, :size, :size] = second[::2]
    neighbours[:, size:, :size] = following[1::2]
    neighbours[: len(second[1::2]), size:, size:] = second[1::2]
    return blocks, neighbours


def _pairs(values: Tensor) -> Tensor:
    """Values [T, N] of two frames after each other [K, 2 N]."""
    return torch.nn.functional.pad(values, (0, 0, 0, len(values) % 2)).unflatten(0, (-1, 2)).flatten(1)
