"""What touches keeps touching when a motion goes onto another body: feet the floor, and hands each other.

Feet: while a foot of the source is low, or still, the foot of the figure goes as far from frame to frame as it does
(the toe, or the ankle where that is slower), so it stands where the source stands and slides where it slides; its
lowest point is as high as the source's, and not below the floor. The place is the one that moves the foot least over
its stand, between stands what was added goes over smoothly. What else is in the floor lifts the root.

Hands: where both are near each other, the knuckles of the figure lie to each other as those of the source.

Both bend limbs of two bones (`body.motion.legs.bend_legs`).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from body.motion.foot_lock import fade, shift_feet, shift_limbs, smooth_above
from body.motion.legs import Leg
from body.retarget.names import SIDES
from utils.geometry.body import Body, BodyMotion, joints_of, vertices_of
from utils.geometry.contacts import runs

_LEG = ("hip", "knee", "ankle", "foot")
_LOW = 0.06  # metres above the floor up to which a foot is where the source's is
_HIGH = 0.20  # metres from which on its height is that of its leg alone
_FADE = 0.25  # seconds in which a foot that swings leaves its place
_STILL = 0.2  # metres a second up to which a foot stands on something, however high it is
_SLOW = 1.0  # metres a second from which on a foot that is low swings
_SHORT = 0.1  # seconds: a foot that is up for less is down
_TOUCH, _APART = 0.12, 0.25  # metres between wrists: up to the one hands meet, from the other on they do not
_DEEP = 0.003  # metres: what is less deep in the floor stays there


def _sphere(count: int) -> np.ndarray:
    """Unit vectors [count, 3] in all directions: a Fibonacci lattice."""
    height, around = 1 - (2 * np.arange(count) + 1) / count, np.arange(count) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(around), height, flat * np.sin(around)], -1).astype(np.float32)


_SOLE = 800  # vertices of a joint of the foot that are all looked at: soles are flat, and knees pull at heels
_DIRECTIONS = _sphere(50)  # in which flesh is looked at for what may touch the floor


def with_contacts(motion: BodyMotion, source: BodyMotion, palms: np.ndarray) -> BodyMotion:
    """A motion on a figure (`transfer.transferred`) with the contacts that its source has.

    `palms` [2, 3] are the ways from the left and the right wrist of the figure to its knuckles in the T.
    """
    return with_feet(lifted(with_hands(motion, source, palms)), source)


def _limbs(body: Body, *names: str) -> list[Leg]:
    """The limbs of three joints of both sides, and a fourth where there is one."""
    at, limbs = {name: joint for joint, name in enumerate(body.joints)}, []
    for side in SIDES:
        upper, middle, end, *more = (f"{side}_{name}" for name in names)
        limbs.append(Leg(at[upper], at[middle], at[end], at.get(more[0]) if more else None))
    return limbs


def lifted(motion: BodyMotion) -> BodyMotion:
    """The motion with its root lifted where something other than a foot is in the floor y = 0."""
    feet = [joint for leg in _limbs(motion.body, *_LEG) for joint in leg.foot]
    others = _points(motion.body, [joint for joint in range(len(motion.body.joints)) if joint not in feet])
    if others is None:
        return motion
    depth = -vertices_of(replace(motion, body=others))[..., 1].min(1)
    if depth.max() <= _DEEP:
        return motion
    lift = smooth_above(np.maximum(depth, 0), round(0.1 * motion.fps))
    return replace(motion, root=(motion.root + lift[:, None] * (0, 1, 0)).astype(np.float32))


def with_feet(motion: BodyMotion, source: BodyMotion) -> BodyMotion:
    """The motion with feet that stand where those of its source stand."""
    legs, theirs = (_limbs(one.body, *_LEG) for one in (motion, source))
    ours, wanted = joints_of(motion)[0].astype(np.float64), joints_of(source)[0].astype(np.float64)
    moved, fleshy = (
        [],
        all(_points(one.body, legs[0].foot) is not None for one, legs in ((motion, legs), (source, theirs))),
    )
    for leg, their in zip(legs, theirs, strict=True):
        high, low = _lowest(source, their, wanted, fleshy), _lowest(motion, leg, ours, fleshy)
        moved.append(_moved(ours, wanted, leg, their, np.maximum(high, 0), low, motion.fps))
    held = shift_feet(motion, legs, torch.from_numpy(np.stack(moved)))
    at = joints_of(held)[0].astype(np.float64)
    depth = np.maximum(-np.stack([_lowest(held, leg, at, fleshy) for leg in legs]), 0)
    if depth.max() > _DEEP:  # flesh of the shin that lies on the floor has turned with the shin
        held = shift_feet(motion, legs, torch.from_numpy(np.stack(moved) + depth[..., None] * (0, 1, 0)))
    return held


def _moved(
    ours: np.ndarray, wanted: np.ndarray, leg: Leg, their: Leg, high: np.ndarray, low: np.ndarray, fps: float
) -> np.ndarray:
    """What is added [T, 3] to the place of an ankle; `high` and `low` [T] are how high its foot shall be, and is."""
    both = min(len(leg.foot), len(their.foot))
    steps = np.diff(wanted[:, their.foot[:both]], axis=0)[..., [0, 2]]
    lacking = steps - np.diff(ours[:, leg.foot[:both]], axis=0)[..., [0, 2]]
    slower = np.linalg.norm(steps, axis=-1).argmin(1)
    lacking = lacking[np.arange(len(steps)), slower]
    pace = np.pad(np.linalg.norm(steps, axis=-1).min(1) * fps, (1, 1), constant_values=np.inf)
    pace = np.minimum(pace[1:], pace[:-1]) if len(steps) else np.zeros(1)
    down = _closed((pace < _STILL) | (high < _LOW) & (pace < _SLOW), round(_SHORT * fps))
    moved, spans = np.zeros((len(ours), 3)), runs(down)
    for first, end in spans:
        way = np.concatenate([np.zeros((1, 2)), np.cumsum(lacking[first : end - 1], axis=0)])
        moved[first:end, [0, 2]] = way - (way.max(0) + way.min(0)) / 2
    fade(moved, spans, max(1, round(_FADE * fps)))
    near = np.clip((_HIGH - high) / (_HIGH - _LOW), 0, 1)
    near = near * near * (3 - 2 * near)
    moved[:, 1] = np.maximum(near * (high - low), -low)
    return moved


def _closed(flags: np.ndarray, length: int) -> np.ndarray:
    """Flags [T] with gaps of fewer than `length` frames between them closed."""
    closed = flags.copy()
    for first, end in runs(~flags):
        if end - first < length and first > 0 and end < len(flags):
            closed[first:end] = True
    return closed


def _lowest(motion: BodyMotion, leg: Leg, positions: np.ndarray, fleshy: bool) -> np.ndarray:
    """How high [T] the lowest point of a foot is: of its flesh, or as its joints stand over their places in the T."""
    points = _points(motion.body, leg.foot, _SOLE) if fleshy else None
    if points is not None:
        return vertices_of(replace(motion, body=points))[..., 1].min(1).astype(np.float64)
    floor = motion.body.vertices[:, 1].min() if len(motion.body.vertices) else 0.0
    return (positions[:, leg.foot, 1] - (motion.body.rest[list(leg.foot), 1] - floor)).min(1)


def _points(body: Body, joints: Sequence[int], most: int = 0) -> Body | None:
    """The vertices that hang on each of some joints, or of more than `most` the outermost, as a body; None for none."""
    if not len(body.vertices):
        return None
    owners, chosen = body.weights.argmax(1), set()
    for joint in joints:
        mine = np.flatnonzero(owners == joint)
        if len(mine) > most:
            mine = mine[(body.vertices[mine] @ _DIRECTIONS.T).argmax(0)]
        chosen.update(mine.tolist())
    if not chosen:
        return None
    some = sorted(chosen)
    poses = None if body.pose_directions is None else body.pose_directions[some]
    vertices, weights = body.vertices[some], body.weights[some]
    return replace(body, vertices=vertices, faces=body.faces[:0], weights=weights, pose_directions=poses)


def with_hands(motion: BodyMotion, source: BodyMotion, palms: np.ndarray) -> BodyMotion:
    """The motion with hands that lie to each other as in its source, where they are near each other."""
    arms, theirs = (_limbs(one.body, "shoulder", "elbow", "wrist") for one in (motion, source))
    ours, turned = joints_of(motion)
    wanted, _ = joints_of(source)
    apart = np.linalg.norm(wanted[:, theirs[0].ankle] - wanted[:, theirs[1].ankle], axis=-1)
    near = np.clip((_APART - apart) / (_APART - _TOUCH), 0, 1)
    near = near * near * (3 - 2 * near)
    if not near.any():
        return motion
    knuckles = [ours[:, arm.ankle] + turned[:, arm.ankle] @ palm for arm, palm in zip(arms, palms, strict=True)]
    hands = [source.body.joints.index(f"{side}_hand") for side in ("left", "right")]
    way = wanted[:, hands[0]] - wanted[:, hands[1]] - (knuckles[0] - knuckles[1])
    moved = np.stack([way, -way]) / 2 * near[:, None]
    return shift_limbs(motion, arms, torch.from_numpy(moved.astype(np.float64)))
