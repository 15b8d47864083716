"""Cost of HumanML3D features: the published way, clip by clip and bone by bone, against ours.

Run by hand: `python -m tests.benchmarks.features [-h]`. Both turn the same made-up clips of a person into features and
back into positions; what they return is compared. One process, one thread, the ways taking turns; medians over the
runs, in milliseconds a clip, of CPU time and of the clock on the wall. Ours is measured for one clip and for a batch.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_loaders.representations import hml
from utils.geometry.rotations import about_axis
from utils.run.errors import run_command
from utils.run.options import option, parse

LAYOUT = hml.layout_of("smpl22")
REST = np.array(LAYOUT.rest, np.float32)
PARENTS = LAYOUT.skeleton.parents
CHAINS = LAYOUT.skeleton.chains
FORWARD = np.array([[0.0, 0.0, 1.0]])
Array = np.ndarray


@dataclass(frozen=True)
class FeatureOptions:
    """Size of the measurement."""

    runs: int = option(9, "measurements of each way", min=1)
    clips: int = option(24, "clips of a batch", min=1)
    frames: int = option(170, "frames a clip", min=2)


def walk(frames: int, seed: int) -> Tensor:
    """Positions [T, 22, 3] of a person whose bones swing while it walks along a curve."""
    draws = torch.Generator().manual_seed(seed)
    rest = torch.tensor(LAYOUT.lengths)[:, None] * torch.tensor(LAYOUT.rest)
    time_ = torch.arange(frames)[:, None] / 20
    swing = 0.6 * torch.randn(22, 3, generator=draws) * torch.rand(22, 1, generator=draws)
    angle = swing * (3 * time_ + 6 * torch.rand(22, generator=draws)).sin()[..., None]
    bones = (torch.linalg.matrix_exp(_cross(angle)) @ rest[..., None]).squeeze(-1)
    placed = [torch.zeros(frames, 3)]
    for joint in range(1, 22):
        placed.append(placed[PARENTS[joint]] + bones[:, joint])
    heading = 0.8 * (0.7 * time_[:, 0]).sin()
    turned = torch.stack(placed, 1) @ about_axis("Y", heading).mT
    steps = torch.stack((heading.sin(), torch.zeros(frames), heading.cos()), -1) * 0.05
    return turned + steps.cumsum(0)[:, None]


def _cross(vectors: Tensor) -> Tensor:
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).unflatten(-1, (3, 3))


def multiply(left: Array, right: Array) -> Array:
    """Hamilton product by an outer product in torch, as published."""
    q, r = (torch.from_numpy(x).contiguous().float().reshape(-1, 4) for x in (left, right))
    terms = torch.bmm(r.view(-1, 4, 1), q.view(-1, 1, 4))
    w = terms[:, 0, 0] - terms[:, 1, 1] - terms[:, 2, 2] - terms[:, 3, 3]
    x = terms[:, 0, 1] + terms[:, 1, 0] - terms[:, 2, 3] + terms[:, 3, 2]
    y = terms[:, 0, 2] + terms[:, 1, 3] + terms[:, 2, 0] - terms[:, 3, 1]
    z = terms[:, 0, 3] - terms[:, 1, 2] + terms[:, 2, 1] + terms[:, 3, 0]
    return torch.stack((w, x, y, z), dim=1).view(left.shape).numpy()


def rotate_torch(q: Tensor, v: Tensor) -> Tensor:
    """Vectors turned by quaternions with two cross products, as published."""
    shape = list(v.shape)
    q, v = q.contiguous().view(-1, 4), v.contiguous().view(-1, 3)
    qvec = q[:, 1:]
    uv = torch.cross(qvec, v, dim=1)
    uuv = torch.cross(qvec, uv, dim=1)
    return (v + 2 * (q[:, :1] * uv + uuv)).view(shape)


def rotate(q: Array, v: Array) -> Array:
    """The same for arrays."""
    return rotate_torch(torch.from_numpy(q).contiguous().float(), torch.from_numpy(v).contiguous().float()).numpy()


def inverse(q: Array) -> Array:
    """Opposite quaternions."""
    return q * np.array([1, -1, -1, -1], np.float32)


def between(start: Array, end: Array) -> Array:
    """Quaternions of the shortest turn between directions."""
    lengths = np.sqrt((start**2).sum(-1, keepdims=True) * (end**2).sum(-1, keepdims=True))
    w = lengths + (start * end).sum(-1, keepdims=True)
    q = np.concatenate([w, np.cross(start, end)], -1)
    return q / np.sqrt((q**2).sum(-1, keepdims=True))


def columns(q: Array) -> Array:
    """The first two columns of the matrices of quaternions, by way of all nine numbers."""
    quaternion = torch.from_numpy(q).contiguous().float()
    r, i, j, k = quaternion.unbind(-1)
    two = 2.0 / (quaternion * quaternion).sum(-1)
    numbers = (
        1 - two * (j * j + k * k), two * (i * j - k * r), two * (i * k + j * r),
        two * (i * j + k * r), 1 - two * (i * i + k * k), two * (j * k - i * r),
        two * (i * k - j * r), two * (j * k + i * r), 1 - two * (i * i + j * j),
    )  # fmt: skip
    matrix = torch.stack(numbers, -1).view(*q.shape[:-1], 3, 3).numpy()
    return np.concatenate([matrix[..., 0], matrix[..., 1]], -1)


def facing(joints: Array, face: tuple[int, ...]) -> Array:
    """y x (left to right), not yet of length 1."""
    right_hip, left_hip, right_shoulder, left_shoulder = face
    across = joints[:, right_hip] - joints[:, left_hip] + joints[:, right_shoulder] - joints[:, left_shoulder]
    across = across / np.sqrt((across**2).sum(-1))[:, None]
    return np.cross(np.array([[0, 1, 0]]), across, axis=-1)


def smoothed(values: Array) -> Array:
    """Gaussian of deviation 20 along time, each column by itself, the ends repeated."""
    window = np.exp(-0.5 * (np.arange(-80, 81) / 20.0) ** 2)
    padded = np.pad(values, ((80, 80), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, window / window.sum(), "valid") for column in padded.T], 1)


def inverse_kinematics(joints: Array, smooth: bool) -> Array:
    """Quaternions [T, J, 4], chain by chain and bone by bone."""
    right, left, *shoulders = LAYOUT.face
    forward = facing(joints, (left, right, *shoulders))
    forward = smoothed(forward) if smooth else forward
    forward = forward / np.sqrt((forward**2).sum(-1))[:, None]
    quaternions = np.zeros((*joints.shape[:-1], 4))
    root = between(forward, FORWARD.repeat(len(joints), axis=0))
    root[0] = np.array([[1.0, 0.0, 0.0, 0.0]])
    quaternions[:, 0] = root
    for chain in CHAINS:
        turn = root
        for this, following in zip(chain[:-1], chain[1:], strict=True):
            rest = REST[following][None].repeat(len(joints), axis=0)
            bone = joints[:, following] - joints[:, this]
            bone = bone / np.sqrt((bone**2).sum(-1))[:, None]
            local = multiply(inverse(turn), between(rest, bone))
            quaternions[:, following] = local
            turn = multiply(turn, local)
    return quaternions


def uniform(joints: Array) -> Array:
    """The clip with the target's bones, by inverse and forward kinematics."""
    target = torch.tensor(LAYOUT.lengths).numpy()[:, None] * REST
    source = [np.linalg.norm(joints[0, joint] - joints[0, PARENTS[joint]]) for joint in LAYOUT.legs]
    root = joints[:, 0] * (np.abs(target[list(LAYOUT.legs)]).max(1).sum() / sum(source))
    quaternions = inverse_kinematics(joints, smooth=False)
    placed = np.zeros_like(joints)
    placed[:, 0] = root
    for chain in CHAINS:
        turn = quaternions[:, 0]
        for this, following in zip(chain[:-1], chain[1:], strict=True):
            turn = multiply(turn, quaternions[:, following])
            offset = target[following][None].repeat(len(joints), axis=0)
            placed[:, following] = rotate(turn, offset) + placed[:, this]
    return placed


def published_encode(joints: Array) -> Array:
    """The features [T - 1, 263] of one clip, with the steps of the published program."""
    positions = uniform(joints)
    positions[:, :, 1] -= positions.min(axis=0).min(axis=0)[1]
    positions = positions - positions[0, 0] * np.array([1, 0, 1])
    turn = between(facing(positions[:1], LAYOUT.face), FORWARD)
    positions = rotate(np.ones((*positions.shape[:-1], 4)) * turn, positions)
    steps = positions[1:] - positions[:-1]
    feet = [
        ((steps[:, list(side)] ** 2).sum(-1) < LAYOUT.contact).astype(np.float32)
        for side in (LAYOUT.left_feet, LAYOUT.right_feet)
    ]
    quaternions = inverse_kinematics(positions, smooth=True)
    rotations = columns(quaternions)
    root = quaternions[:, 0].copy()
    velocity = rotate(root[1:], steps[:, 0])
    yaw = np.arcsin(multiply(root[1:], inverse(root[:-1]))[:, 2:3])
    local = positions.copy()
    local[..., 0] -= positions[:, :1, 0]
    local[..., 2] -= positions[:, :1, 2]
    local = rotate(np.repeat(root[:, None], positions.shape[1], axis=1), local)
    moved = rotate(np.repeat(root[:-1, None], positions.shape[1], axis=1), steps)
    blocks = (
        yaw, velocity[:, [0, 2]], local[:-1, 0, 1:2], local[:-1, 1:].reshape(len(steps), -1),
        rotations[:-1, 1:].reshape(len(steps), -1), moved.reshape(len(steps), -1), *feet,
    )  # fmt: skip
    return np.concatenate(blocks, axis=-1)


def published_decode(features: Tensor) -> Tensor:
    """The positions [T, 22, 3] of one clip, with the steps of the published program."""
    angle = torch.zeros_like(features[..., 0])
    angle[..., 1:] = features[..., :-1, 0]
    angle = torch.cumsum(angle, dim=-1)
    turn = torch.zeros((*features.shape[:-1], 4))
    turn[..., 0], turn[..., 2] = torch.cos(angle), torch.sin(angle)
    back = turn * torch.tensor([1, -1, -1, -1])
    root = torch.zeros((*features.shape[:-1], 3))
    root[..., 1:, [0, 2]] = features[..., :-1, 1:3]
    root = torch.cumsum(rotate_torch(back, root), dim=-2)
    root[..., 1] = features[..., 3]
    positions = features[..., 4:67].view(*features.shape[:-1], -1, 3)
    positions = rotate_torch(back[..., None, :].expand(*positions.shape[:-1], 4), positions)
    positions[..., 0] += root[..., 0:1]
    positions[..., 2] += root[..., 2:3]
    return torch.cat([root.unsqueeze(-2), positions], dim=-2)


def medians(ways: dict[str, tuple[int, Callable[[], object]]], runs: int) -> dict[str, tuple[float, float]]:
    """CPU and wall milliseconds a clip of each way, which has a number of clips."""
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for run in range(runs + 1):
        for name, (clips, way) in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            way()
            cost = (time.process_time() - cpu) / clips * 1000, (time.perf_counter() - wall) / clips * 1000
            if run:
                costs[name].append(cost)
    return {name: (statistics.median(c for c, _ in each), statistics.median(w for _, w in each))
            for name, each in costs.items()}  # fmt: skip


def main(argv: list[str]) -> None:
    """Print what a clip costs each way, and how far apart their results are."""
    purpose = "Time HumanML3D features against the published program."
    (size,) = parse("tests.benchmarks.features", purpose, (FeatureOptions,), argv)
    torch.set_num_threads(1)
    clips = [walk(size.frames, seed) for seed in range(size.clips)]
    features = torch.stack(hml.encode(clips, LAYOUT))
    ways = {
        "encode, published": (1, lambda: published_encode(clips[0].numpy())),
        "encode, ours, one clip": (1, lambda: hml.encode(clips[:1], LAYOUT)),
        "encode, ours, a batch": (size.clips, lambda: hml.encode(clips, LAYOUT)),
        "decode, published": (1, lambda: published_decode(features[0])),
        "decode, ours, one clip": (1, lambda: hml.decode(features[0], LAYOUT)),
        "decode, ours, a batch": (size.clips, lambda: hml.decode(features, LAYOUT)),
    }
    costs = medians(ways, size.runs)
    print(f"clips of {size.frames} frames, {size.clips} a batch, medians of {size.runs} runs on one thread, ms a clip")
    print("way                            CPU      wall   published / ours (by the wall)")
    for name, cost in costs.items():
        theirs = costs[f"{name.split(',')[0]}, published"]
        ratios = " ".join(form.format(a / b) for form, a, b in zip(("{:8.1f}", "({:.1f})"), theirs, cost, strict=True))
        print(f"{name:26s} {cost[0]:8.3f}  {cost[1]:8.3f}   {ratios}")
    apart = max(float(np.abs(published_encode(clip.numpy()) - ours.numpy()).max())
                for clip, ours in zip(clips, features, strict=True))  # fmt: skip
    back = max(float((published_decode(row) - ours).abs().max())
               for row, ours in zip(features, hml.decode(features, LAYOUT), strict=True))  # fmt: skip
    print(f"largest difference of a feature {apart:.1e}, of a position {back:.1e} m")


if __name__ == "__main__":
    run_command(main)
