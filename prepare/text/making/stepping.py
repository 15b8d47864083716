"""From one motion into another by a step: how someone who walks comes to stand, and sets out again.

One foot stays where it stands, which is where the second motion has that foot; the other takes a step to where the
second motion has it, if that is elsewhere. The root goes from the one place to the other and from the one speed to the
other (a cubic), and everything above the legs with it, as the body faces.
"""

from dataclasses import dataclass

import numpy as np
import torch

from data_loaders.representations import hml
from prepare.text.making.stances import FEET, LAYOUT, LEGS, rigid, turned, turned_about_y, with_feet_at
from utils.geometry.smoothing import gaussian_over_time

LASTS = (0.35, 0.5, 0.65, 0.8)  # seconds that a step may take
OFF = 0.12  # metres: how far the way of a step may be from what the speeds before and after it tell
STEP = 0.9  # metres: the longest step
POSES = 0.3  # metres: how far apart what is above the legs may be
_ALIKE, _SHORT = 0.3, 0.1  # what poses that differ, and the step, count for in the cost, beside the way
_SWINGS = 2.0  # metres a second of a foot that steps, at most
_STANDS = 0.05  # metres: a foot that is nearer to its new place does not step
_LIFT = (0.04, 0.1, 0.12)  # metres: how high a foot is lifted at least, more for each metre of the step, at most
_STEADY = 0.15  # seconds of the Gaussian that takes the sway of steps from the heading
_ABOVE = [joint for joint in range(LAYOUT.joints) if joint not in {j for leg in LEGS for j in (leg.knee, *leg.foot)}]


@dataclass(frozen=True)
class Step:
    """A step from one motion into another: the foot that stays (0 left, 1 right), its frames, how unlike the ends are.

    `cost` is in metres: what the way lacks, and part of what the poses differ.
    """

    foot: int
    frames: int
    cost: float


@dataclass(frozen=True)
class Ends:
    """A motion at its moments, as the body faces, from the floor below the root; metres and metres a second.

    `heading` [T], `root` (x, z) [T, 2], `place` of all joints [T, J, 3], `speed` of the root [T, 2], `feet` [T, 2, 2],
    whether they rest bool [T, 2], what is `above` the legs [T, D]: the distance of two rows is a mean over joints.
    """

    heading: np.ndarray
    root: np.ndarray
    place: np.ndarray
    speed: np.ndarray
    feet: np.ndarray
    rest: np.ndarray
    above: np.ndarray

    def at(self, frames: np.ndarray) -> "Ends":
        """The same at these frames."""
        return Ends(**{name: value[frames] for name, value in vars(self).items()})


def ends_of(points: np.ndarray, contacts: np.ndarray, fps: float) -> Ends:
    """What steps need to know of positions [T, 22, 3] whose feet rest (bool [T, 22])."""
    points = np.asarray(points, np.float64)
    heading = np.unwrap(hml.heading(torch.from_numpy(points), LAYOUT).numpy())
    heading = gaussian_over_time(heading, _STEADY * fps)
    root = points[:, 0, ::2]
    floor = points - np.stack([root[:, 0], 0 * heading, root[:, 1]], -1)[:, None]
    place = turned_about_y(floor, -heading[:, None])
    speed = turned(np.gradient(gaussian_over_time(root, _STEADY * fps), axis=0) * fps, -heading)
    feet = place[:, np.array(FEET)][..., ::2].mean(2)
    rest = np.stack([contacts[:, list(foot)].any(1) for foot in FEET], 1)
    above = place[:, _ABOVE].reshape(len(points), -1) / np.sqrt(len(_ABOVE))
    return Ends(heading, root, place, speed, feet, rest, above)


def best_step(
    before: Ends, ends: np.ndarray, after: Ends, starts: np.ndarray, fps: float
) -> tuple[int, int, Step] | None:
    """The last frame of one motion and the first of another (of those offered) between which a step fits best."""
    one, other = before.at(ends), after.at(starts)
    way = one.feet[:, None] - other.feet[None]  # [E, S, 2 feet, 2]: of the root if that foot stays
    mean = (one.speed[:, None] + other.speed[None]) / 2
    x, z = (way[..., None, axis] - np.multiply.outer(mean[:, :, None, axis], LASTS) for axis in (0, 1))
    off = np.sqrt(x**2 + z**2)  # [E, S, 2, durations]
    # The other foot goes as far as the root does, and what it is elsewhere below it.
    step = np.linalg.norm(way[:, :, 0] - way[:, :, 1], axis=-1)[..., None]
    mine, theirs = one.above, other.above
    squares = (mine**2).sum(1)[:, None] + (theirs**2).sum(1) - 2 * mine @ theirs.T
    poses = np.sqrt(np.maximum(squares, 0))[..., None]
    cost = off + (_ALIKE * poses + _SHORT * step)[..., None]
    rests = one.rest[:, None] & other.rest[None]
    bad = ~rests | (step > STEP) | (poses > POSES)
    cost = np.where(bad[..., None] | (off > OFF), np.inf, cost)
    cost = np.where(step[..., None] > _SWINGS * np.array(LASTS), np.inf, cost)
    end, start, foot, lasts = np.unravel_index(cost.argmin(), cost.shape)
    if not np.isfinite(cost[end, start, foot, lasts]):
        return None
    found = Step(int(foot), max(2, round(LASTS[lasts] * fps)), float(cost[end, start, foot, lasts]))
    return int(ends[end]), int(starts[start]), found


def stepped(
    before: np.ndarray, rests: np.ndarray, after: np.ndarray, then: np.ndarray, step: Step, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Positions [T, 22, 3] of a motion, a step of `step.frames` - 1 frames, and another motion; and which joints rest.

    `rests` and `then` are those of the two motions, bool [T, 22]; the second is brought to where the step ends.
    """
    one, other = ends_of(before, rests, fps), ends_of(after, then, fps)
    turn = one.heading[-1] - other.heading[0]
    root = one.root[-1] + turned(one.feet[-1, step.foot] - other.feet[0, step.foot], one.heading[-1])
    moved = np.asarray(after, np.float64) - np.array([other.root[0, 0], 0, other.root[0, 1]])
    moved = turned_about_y(moved, np.array(turn)) + np.array([root[0], 0, root[1]])
    goal = ends_of(moved, then, fps)
    between = _between(one, goal, step, fps)
    bridge, rest = _with_feet(between, before[-1], moved[0], step, fps)
    return np.concatenate([before, bridge, moved]), np.concatenate([rests, rest, then])


def _between(one: Ends, other: Ends, step: Step, fps: float) -> np.ndarray:
    """The bodies [frames - 1, 22, 3] between the last moment of one motion and the first of another."""
    heading = _cubic(one.heading, other.heading + _whole_turns(one.heading[-1] - other.heading[0]), step.frames)
    root, place = (_cubic(a, b, step.frames) for a, b in ((one.root, other.root), (one.place, other.place)))
    floor = np.stack([root[:, 0], 0 * heading, root[:, 1]], -1)[:, None]
    return rigid(torch.from_numpy(turned_about_y(place, heading[:, None]) + floor))


def _cubic(before: np.ndarray, after: np.ndarray, frames: int) -> np.ndarray:
    """Values between the last of `before` and the first of `after` with their speeds (Hermite) [frames - 1, ...]."""
    u = (np.arange(1, frames) / frames).reshape((-1,) + (1,) * (before.ndim - 1))
    speed = (before[-1] - before[-2]) * frames, (after[1] - after[0]) * frames
    rise = u * u * (3 - 2 * u)
    return (1 - rise) * before[-1] + rise * after[0] + u * (1 - u) ** 2 * speed[0] - u * u * (1 - u) * speed[1]


def _whole_turns(angle: float) -> float:
    return 2 * np.pi * np.round(angle / (2 * np.pi))


def _with_feet(
    body: np.ndarray, first: np.ndarray, last: np.ndarray, step: Step, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """The bodies [N, 22, 3] with one foot standing and the other stepping; which joints rest, bool [N, 22]."""
    body, rests = body.copy(), np.zeros(body.shape[:2], bool)
    u = np.arange(1, len(body) + 1) / (len(body) + 1)
    rise = (u**3 * (u * (6 * u - 15) + 10))[:, None]
    moved = []
    for number, leg in enumerate(LEGS):
        ankle, toe = leg.foot
        goal = first[ankle] + (last[ankle] - first[ankle]) * rise
        far = float(np.linalg.norm((last - first)[[ankle, toe]][:, ::2].mean(0)))
        if number == step.foot or far < _STANDS:
            rests[:, [ankle, toe]] = True
        else:
            low, more, most = _LIFT
            goal[:, 1] += min(low + more * far, most) * np.sin(np.pi * u) ** 2
        bone = (first[toe] - first[ankle]) * (1 - rise) + (last[toe] - last[ankle]) * rise
        bone *= LAYOUT.lengths[toe] / np.linalg.norm(bone, axis=-1, keepdims=True)
        goal[:, 1] += np.maximum(0, -np.minimum(goal[:, 1], goal[:, 1] + bone[:, 1]))
        body[:, toe] = body[:, ankle] + bone
        moved.append(goal - body[:, ankle])
    return with_feet_at(body, np.stack(moved), fps), rests
