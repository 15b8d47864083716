"""Feet that stand are held where they stand: a pass over the motion of a body, after everything else.

While a foot stands, what rests of it (the toe, or the ankle while only the heel is down) keeps its place on the floor,
and the foot its orientation; hip and knee make up for it. The place is the one that moves the foot least over its
stand. Between stands what was added goes over smoothly. No foot is moved further than `MOST`, and where the legs are
too short the root sinks, by `SINKS` at most.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from body.motion.legs import Leg, bend_legs, legs_of
from utils.geometry.body import Body, BodyMotion, joints_of
from utils.geometry.contacts import feet_contacts, penetration, runs, sliding
from utils.geometry.kinematics import forward, local_rotations
from utils.run.errors import DataError

MOST = 0.15  # metres: the furthest that a foot is moved
SINKS = 0.08  # metres: the furthest that the root is lowered
_ROLLS = 0.3  # metres a second by which a toe that the foot rolls about is at most faster than its ankle
_FADE = 0.25  # seconds in which a foot that swings leaves its place


def foot_figures(motion: BodyMotion) -> dict[str, float]:
    """`slide`: mean speed of the foot that carries, m/s; `penetration`: depth of the lowest sole in y = 0, mm; means.

    Of a body whose feet have toes; where they have none, of its ankles. Raises DataError for a body without legs.
    """
    legs = _legs(motion.body)
    positions, _ = joints_of(motion)
    feet = [(leg.foot[0], leg.foot[-1]) for leg in legs]
    joints, clearance = zip(*_soles(motion.body, legs).items(), strict=True)
    deep = penetration(positions, joints, clearance)
    return {"slide": sliding(positions, motion.fps, feet), "penetration": 1000 * deep}


def lock_feet(motion: BodyMotion, contacts: np.ndarray | None = None) -> BodyMotion:
    """The motion with standing feet held, and soles lifted out of the floor y = 0.

    `contacts` bool [T, K] says which joints rest; default: those of the motion, else found by `feet_contacts`. In the
    `meta` of the result, `foot_lock` has `foot_figures` `before` and `after`. Where feet would slide more than before,
    or nothing stands, the motion is returned as it came. Raises DataError for a body without legs.
    """
    legs, before = _legs(motion.body), foot_figures(motion)
    positions, _, _ = _posed(motion)
    if contacts is None:
        contacts = motion.contacts
    if contacts is None:
        contacts = feet_contacts(positions.numpy(), motion.fps, [leg.foot for leg in legs])
    soles = _soles(motion.body, legs)
    moved = torch.stack([moved_feet(positions, contacts, leg, soles, motion.fps) for leg in legs])  # [L, T, 3]
    held = replace(shift_limbs(motion, legs, moved, needed_drop(positions, moved, legs, motion.fps)), contacts=contacts)
    after = foot_figures(held)
    if after["slide"] > before["slide"]:
        held, after = motion, before
    return replace(held, meta=motion.meta | {"foot_lock": {"before": before, "after": after}})


def shift_feet(motion: BodyMotion, legs: Sequence[Leg], moved: Tensor) -> BodyMotion:
    """The motion with the ankles of legs moved by `moved` [L, T, 3]; where legs are too short for it the root sinks."""
    positions, _, _ = _posed(motion)
    return shift_limbs(motion, legs, moved, needed_drop(positions, moved, legs, motion.fps))


def shift_limbs(motion: BodyMotion, limbs: Sequence[Leg], moved: Tensor, sunk: Tensor | None = None) -> BodyMotion:
    """The motion with the ends of limbs moved by `moved` [L, T, 3], while the root sinks by `sunk` [T].

    The two bones of a limb turn (`bend_legs`), feet and hands keep how they are turned in the world.
    """
    positions, turned, local = _posed(motion)
    lowered = positions
    if sunk is not None:
        lowered = positions - sunk[:, None, None] * positions.new_tensor((0.0, 1.0, 0.0))
    world = turned.clone()
    for limb, way in zip(limbs, moved, strict=True):
        goal = positions[:, limb.ankle] + way
        changed = torch.linalg.vector_norm(goal - lowered[:, limb.ankle], dim=-1) > 1e-7
        start, middle, end = (lowered[changed, joint] for joint in (limb.hip, limb.knee, limb.ankle))
        upper, lower = turned[changed, limb.hip], turned[changed, limb.knee]
        world[changed, limb.hip], world[changed, limb.knee], _ = bend_legs(
            start, middle, end, goal[changed], upper, lower
        )
    rotations = _local(world, local, limbs, motion.body.parents).float().numpy()
    return replace(motion, rotations=rotations, root=lowered[:, 0].float().numpy())


def _posed(motion: BodyMotion) -> tuple[Tensor, Tensor, Tensor]:
    """Positions [T, K, 3], world rotations and local rotations [T, K, 3, 3] in double precision."""
    local, offsets, root = (
        torch.as_tensor(np.asarray(values, np.float64))
        for values in (motion.rotations, motion.body.offsets, motion.root)
    )
    return *forward(local, offsets, motion.body.parents, root), local


def _legs(body: Body) -> list[Leg]:
    legs = legs_of(body.joints, body.parents)
    if not legs:
        raise DataError(f"the joints of {body.name} do not name legs (hip, knee, ankle), so its feet cannot be held")
    return legs


def _soles(body: Body, legs: list[Leg]) -> dict[int, float]:
    """How high each joint of the feet stands above the lowest point of the mesh in rest; 0 without a mesh."""
    low = body.vertices[:, 1].min() if len(body.vertices) else None
    return {j: 0.0 if low is None else max(0.0, float(body.rest[j, 1] - low)) for leg in legs for j in leg.foot}


def _local(world: Tensor, local: Tensor, legs: Sequence[Leg], parents: tuple[int, ...]) -> Tensor:
    """Local rotations [T, K, 3, 3]: new ones in the legs, the others as they were, to the bit."""
    found = local_rotations(world, parents)
    result = local.clone()
    for leg in legs:
        for joint in (leg.hip, leg.knee, leg.ankle):
            result[:, joint] = found[:, joint]
    return result


def moved_feet(positions: Tensor, contacts: np.ndarray, leg: Leg, soles: dict[int, float], fps: float) -> Tensor:
    """What is added [T, 3] to the place of a foot."""
    places = positions[:, list(leg.foot)].numpy()
    stands = np.asarray(contacts[:, list(leg.foot)].any(1))
    steps = np.diff(places, axis=0)[..., [0, 2]]  # [T - 1, ankle and toe, 2]
    lengths = np.linalg.norm(steps, axis=-1)
    on_toe = contacts[:-1, leg.foot[-1]] & (lengths[:, -1] <= lengths[:, 0] + _ROLLS / fps)
    steps = np.where(on_toe[:, None], steps[:, -1], steps[:, 0])
    moved, spans = np.zeros((len(places), 3)), runs(stands)
    for first, end in spans:
        way = -np.concatenate([np.zeros((1, 2)), np.cumsum(steps[first : end - 1], axis=0)])
        way = way - (way.max(0) + way.min(0)) / 2
        far = np.linalg.norm(way, axis=-1, keepdims=True)
        moved[first:end, [0, 2]] = way * np.minimum(1, MOST / np.maximum(far, 1e-9))
    fade(moved, spans, max(1, round(_FADE * fps)))
    deep = np.stack([soles[joint] - places[:, i, 1] for i, joint in enumerate(leg.foot)]).max(0)
    lift = smooth_above(np.clip(deep, 0, MOST), round(0.1 * fps))
    moved[:, 1] = lift
    return torch.from_numpy(moved)


def fade(moved: np.ndarray, spans: list[tuple[int, int]], frames: int) -> None:
    """Fill the frames of `moved` [T, 3] between stands: from one value to the next, by way of 0 where there is time."""
    ease = np.arange(1, frames + 1) / (frames + 1)
    ease = (ease * ease * (3 - 2 * ease))[:, None]
    for (_, first), (end, _) in zip([(0, 0), *spans], [*spans, (len(moved), len(moved))], strict=True):
        if first == end or not spans:
            continue
        start = moved[first - 1] if first > 0 else np.zeros(3)
        goal = moved[end] if end < len(moved) else np.zeros(3)
        gap, before, after = end - first, first > 0, end < len(moved)
        if before and after and gap < 2 * frames:
            share = np.arange(1, gap + 1)[:, None] / (gap + 1)
            moved[first:end] = start + (goal - start) * share * share * (3 - 2 * share)
            continue
        if before:
            part = min(gap, frames)
            moved[first : first + part] = (start * ease[::-1])[:part]
        if after:
            part = min(gap, frames)
            moved[end - part : end] = (goal * ease)[-part:]


def smooth_above(values: np.ndarray, reach: int) -> np.ndarray:
    """A smooth curve that is nowhere below `values` [T]: the mean of their largest in a window."""
    padded = np.pad(values, 2 * reach, "edge")
    window = np.lib.stride_tricks.sliding_window_view
    return window(window(padded, 2 * reach + 1).max(-1), 2 * reach + 1).mean(-1)


def needed_drop(positions: Tensor, moved: Tensor, legs: Sequence[Leg], fps: float) -> Tensor:
    """How far the root sinks [T] so that legs which are too short for where their feet are held reach them."""
    needed = torch.zeros_like(positions[:, 0, 0])
    for leg, way in zip(legs, moved, strict=True):
        hip, ankle = positions[:, leg.hip], positions[:, leg.ankle]
        knee = positions[:, leg.knee]
        length = torch.linalg.vector_norm(knee - hip, dim=-1) + torch.linalg.vector_norm(ankle - knee, dim=-1)
        length = torch.maximum(0.9999 * length, torch.linalg.vector_norm(ankle - hip, dim=-1))
        down = hip - ankle - way
        room = (length**2 - down[:, 0] ** 2 - down[:, 2] ** 2).clamp_min(0).sqrt()
        needed = torch.maximum(needed, torch.where((way != 0).any(-1), down[:, 1] - room, 0.0))
    return torch.from_numpy(smooth_above(needed.clamp(0, SINKS).numpy(), round(0.2 * fps)))
