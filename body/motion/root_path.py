"""A path for motion that is centred on the hip, as that of MAS is: the foot that stands does not move.

Height: the lowest foot is on the floor, unless the body would then have to fall faster than it can,

    y_(t+1) = max(h_(t+1), 2 y_t - y_(t-1) - g dt^2),

with h the height of the hips above the lowest foot: where legs are drawn up faster than gravity pulls, the body flies.
That is followed from the first frame on and from the last one back, and the lower of the two holds.

Over the floor each joint of the feet tells a speed of the hips, that at which it would stand still. The speed v_t with

    sum_tj w_tj |v_t - told_tj|^2 / s^2 + sum_t |v_(t+1) - v_t|^2 / (a dt)^2  least

is found anew with weights w that fall with the height of a joint above the floor and with its distance from v (the
weights of Holland & Welsch 1977, narrowing from round to round). Feet roll and swing the way the body goes, never
against it, so a joint that tells less than v counts less than one that tells more. In flight none counts for much, and
v goes on.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from body.motion.legs import feet_of
from utils.geometry.body import BodyMotion, joints_of
from utils.geometry.joint_maps import known_joints
from utils.geometry.motion import Motion
from utils.geometry.smoothing import gaussian_over_time, tridiagonal
from utils.run.errors import DataError

_GRAVITY = 9.81  # metres / second^2
_NEAR = 0.03  # metres: a joint so high above the floor counts e times less
_STEADY = 0.025  # seconds: standard deviation of the Gaussian that takes the noise from speeds
_CALM = 0.012  # seconds: the same for heights, in which a take-off must stay sharp
_TOLD = 0.15  # metres / second: how exactly standing joints tell the speed (s above)
_PUSH = 3.0  # metres / second^2: how fast the speed changes (a above)
_FIRST = 0.2  # metres / second: by how much less a joint tells to count e times less at first
_WIDTHS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.25)  # metres / second: of Welsch's function, one a round
_ANKLE = 0.08  # metres: how high an adult's ankle stands
_SLOW = 0.3  # metres / second: below this speed there is no way that the body goes

Clip = TypeVar("Clip", Motion, BodyMotion)


def anchored(motion: Clip) -> Clip:
    """The clip with the path that its feet tell: lowest soles on the floor y = 0, hips above x = z = 0 at first.

    Feet are found by the names of the joints; a path that the motion had already is replaced. The soles are those of
    a body's mesh, else toes and hooves, and what lies `_ANKLE` below ankles where there are no toes. Raises DataError
    for joints that name no feet.
    """
    points, feet, sole = _feet(motion)
    at = known_joints(_joints(motion))
    hips = [at[name] for name in ("left_hip", "right_hip") if name in at]
    return _moved(motion, path_of_feet(points, motion.fps, feet, hips or [0], sole))


def _joints(motion: Motion | BodyMotion) -> tuple[str, ...]:
    return motion.body.joints if isinstance(motion, BodyMotion) else motion.joints


def _moved(motion: Clip, shift: np.ndarray) -> Clip:
    """The clip with all its joints moved by `shift`, [3] or [T, 3]."""
    if isinstance(motion, BodyMotion):
        return replace(motion, root=(motion.root + shift).astype(np.float32))
    return replace(motion, positions=(motion.positions + shift[..., None, :]).astype(np.float32))


def _feet(motion: Motion | BodyMotion) -> tuple[np.ndarray, list[tuple[int, ...]], dict[int, float]]:
    """Joints [T, J, 3], the feet among them, and how high their joints stand above the sole where that is known."""
    points = joints_of(motion)[0] if isinstance(motion, BodyMotion) else np.asarray(motion.positions, np.float64)
    feet = feet_of(_joints(motion))
    if not feet:
        name = motion.name or "the motion"
        raise DataError(f"{name}: its joints name no feet that could tell its path; leave it in place (--root centred)")
    if isinstance(motion, BodyMotion) and len(motion.body.vertices):
        low = motion.body.vertices[:, 1].min()
        return points, feet, {joint: float(motion.body.rest[joint, 1] - low) for foot in feet for joint in foot}
    # A toe that nobody saw stands where its ankle does (see `joint_maps.Fittable`) and is none.
    feet = [foot if np.abs(np.diff(points[:, list(foot)], axis=1)).max(initial=0) > 1e-6 else foot[:1] for foot in feet]
    ankles = {i for name, i in known_joints(_joints(motion)).items() if name.endswith("_ankle")}
    return points, feet, {foot[0]: _ANKLE for foot in feet if len(foot) == 1 and foot[0] in ankles}


def path_of_feet(
    points: np.ndarray, fps: float, feet: Sequence[tuple[int, ...]], hips: Sequence[int], sole: dict[int, float]
) -> np.ndarray:
    """What is to be added [T, 3] to joints [T, J, 3] so that standing feet stand, on the floor y = 0.

    `sole` says how high joints of the feet stand above it; for others that is measured: the last joint of a foot
    stands at 0, its ankle as high above that as it mostly is while the foot is the lowest.
    """
    root = points[:, list(hips)].mean(1).astype(np.float64)
    joints = [joint for foot in feet for joint in foot]
    below = points[:, joints] - root[:, None]
    low = below[..., 1] - _standing_heights(points, feet, sole)
    height = _flown(gaussian_over_time(-low.min(1), _CALM * fps, short="held"), 1 / fps)
    path = np.stack([np.zeros(len(root)), height, np.zeros(len(root))], -1)
    if len(root) > 1:
        told = -np.diff(below[..., [0, 2]], axis=0) * fps  # [T - 1, n, 2]: the speed of the hips if this joint stands
        above = height[:, None] + low
        speed = _agreed(told, (above[1:] + above[:-1]) / 2, fps)
        path[1:, [0, 2]] = np.cumsum(speed, axis=0) / fps
    return path - root


def _standing_heights(points: np.ndarray, feet: Sequence[tuple[int, ...]], sole: dict[int, float]) -> np.ndarray:
    """How high the joints of the feet [n] are while these stand."""
    ends = points[:, [foot[-1] for foot in feet], 1]
    heights = []
    for number, foot in enumerate(feet):
        lowest = ends.argmin(1) == number
        for joint in foot:
            over = (points[:, joint, 1] - ends[:, number])[lowest if lowest.any() else slice(None)]
            heights.append(sole.get(joint, max(0.0, float(np.median(over)))))
    return np.array(heights)


def _flown(least: np.ndarray, dt: float) -> np.ndarray:
    """The height [T] of a body that is at `least` so high and falls no faster than gravity lets it."""

    def onward(least: np.ndarray) -> np.ndarray:
        height = least.copy()
        for t in range(2, len(height)):
            height[t] = max(least[t], 2 * height[t - 1] - height[t - 2] - _GRAVITY * dt**2)
        return height

    return np.minimum(onward(least), onward(least[::-1])[::-1])


def _agreed(told: np.ndarray, above: np.ndarray, fps: float) -> np.ndarray:
    """The speed [T, 2] of the hips of what each joint of the feet tells [T, n, 2], being so high `above` the floor."""
    told = gaussian_over_time(told, _STEADY * fps, short="held")
    near = np.exp(-above.clip(0) / _NEAR)
    speed = _steady(told, near, fps)
    for _ in range(3):
        along = (told * _way(speed)[:, None]).sum(-1)
        speed = _steady(told, near * np.exp((along - along.max(1, keepdims=True)) / _FIRST), fps)
    for width in _WIDTHS:
        off = told - speed[:, None]
        more = (off * _way(speed)[:, None]).sum(-1) / (width / 2)
        weights = near * np.exp(-np.square(off).sum(-1) / (2 * width**2)) / (1 + np.exp(-more.clip(-50, 50)))
        speed = _steady(told, weights, fps)
    return speed


def _way(speed: np.ndarray) -> np.ndarray:
    """The direction [T, 2] of a speed; shorter than 1 below `_SLOW`."""
    return speed / np.maximum(np.linalg.norm(speed, axis=-1, keepdims=True), _SLOW)


def _steady(told: np.ndarray, weights: np.ndarray, fps: float) -> np.ndarray:
    """The speed [T, 2] that makes the sum of the head of this file least."""
    held = (fps / _PUSH) ** 2
    diagonal = weights.sum(1) / _TOLD**2 + 1e-6
    diagonal[:-1] += held
    diagonal[1:] += held
    return tridiagonal(diagonal, held, (weights[..., None] * told).sum(1) / _TOLD**2)
