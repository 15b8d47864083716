"""Motion for games: a cycle cut out and closed, and motion in place.

The cycle runs between two moments that are alike: joints seen from the root and its heading, and how fast they move (as
in motion graphs, Kovar et al. 2002, section 3.1, with velocities in place of windows). Of all pairs it is the one that
differs least beside how far the motion goes away from it in between, for any two moments of standing still are alike.
What then differs is shared out evenly over the cycle, so that it closes without a corner.
"""

from dataclasses import replace

import numpy as np
import torch

from utils.geometry.body import BodyMotion, joints_of
from utils.geometry.root_bone import RootBone, joined_root, split_root
from utils.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from utils.geometry.smoothing import gaussian_over_time
from utils.run.errors import DataError

_SHORTEST = 0.5  # seconds
_AHEAD = 0.1  # seconds: speeds count as the way in this time
_NEAR = 0.005  # metres: moments that are nearer are no better
_SWAY = 0.4  # seconds of the Gaussian that leaves a path without the sway of its steps
_MOST = 1500  # frames among which a cycle is looked for; of a longer clip every second, third, ... counts


def looped(motion: BodyMotion) -> tuple[BodyMotion, str]:
    """The cycle of a motion, whose last frame has the pose of the first, and a sentence about it.

    Path and heading go on: the last frame is where the next round begins. `meta["loop"]` is True in it.
    Raises DataError for a clip that is too short.
    """
    least = max(2, round(_SHORTEST * motion.fps))
    if len(motion.root) <= least:
        raise DataError(f"{motion.name} has {len(motion.root)} frames: too short for --loop, which needs {least + 1}")
    first, last, apart = _cycle(motion, least)
    part = replace(
        motion,
        rotations=motion.rotations[first : last + 1],
        root=motion.root[first : last + 1],
        contacts=None if motion.contacts is None else motion.contacts[first : last + 1],
        meta={name: value for name, value in motion.meta.items() if name != "targets"} | {"loop": True},
    )
    seconds = (last - first) / motion.fps
    said = (
        f"a cycle of {seconds:.2f} s from second {first / motion.fps:.2f} on; its ends were {100 * apart:.1f} cm apart"
    )
    return _closed(part), said


def in_place(motion: BodyMotion) -> BodyMotion:
    """The motion without its path on the floor: what is left of it is the sway of the steps, and all heights.

    A cycle (`looped`) loses the straight way from its first to its last frame, and what it turns, and stays closed.
    """
    if not motion.meta.get("loop"):
        flat = motion.root[:, [0, 2]].astype(np.float64)
        path = gaussian_over_time(flat, _SWAY * motion.fps) if len(flat) > 1 else flat
        root = motion.root.copy()
        root[:, [0, 2]] = flat - path
        return replace(motion, root=root)
    bone, share = split_root(motion), np.linspace(0, 1, len(motion.root))
    angle = matrix_to_axis_angle(torch.from_numpy(bone.heading[0].T @ bone.heading[-1])).numpy()
    back = axis_angle_to_matrix(torch.from_numpy(-share[:, None] * angle)).numpy()
    path = (back @ (bone.path - bone.path[0])[..., None]).squeeze(-1)
    path = path - share[:, None] * path[-1]
    root, top = joined_root(RootBone(path, back @ bone.heading, bone.hips, bone.turned))
    return _with_root(motion, motion.rotations, root, top)


def _cycle(motion: BodyMotion, least: int) -> tuple[int, int, float]:
    """First and last frame of the best cycle, and how far apart (metres, root mean square) their joints are."""
    step = -(-len(motion.root) // _MOST)
    seen, speed = _seen(motion)
    features = np.concatenate([seen, speed * _AHEAD], 1)[::step]
    squares = (features**2).sum(1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * features @ features.T, 0) / (seen.shape[1] / 3))
    away = np.maximum.accumulate(np.triu(apart), 1)  # how far the motion has been from where it began
    score = (apart + _NEAR) / (away + _NEAR)
    score[np.tril_indices(len(score), min(-(-least // step), len(score) - 1) - 1)] = np.inf
    first, last = (step * int(number) for number in np.unravel_index(score.argmin(), score.shape))
    return first, last, float(np.sqrt(((seen[first] - seen[last]) ** 2).sum() / (seen.shape[1] / 3)))


def _seen(motion: BodyMotion) -> tuple[np.ndarray, np.ndarray]:
    """Joints [T, 3 K] seen from the floor below the root and its heading, and their speeds, with the root's."""
    bone, (positions, _) = split_root(motion), joints_of(motion)
    seen = (positions - bone.path[:, None]) @ bone.heading
    speed = np.gradient(positions, axis=0) @ bone.heading * motion.fps
    return seen.reshape(len(seen), -1), speed.reshape(len(seen), -1)


def _closed(motion: BodyMotion) -> BodyMotion:
    """The motion with what its last pose differs from the first by shared out: half of it each way."""
    bone, share = split_root(motion), np.linspace(-0.5, 0.5, len(motion.root))
    top = motion.body.parents.index(-1)
    local = motion.rotations.astype(np.float64)
    local[:, top] = bone.turned
    off = matrix_to_axis_angle(torch.from_numpy(local[0].swapaxes(1, 2) @ local[-1]))
    local = local @ axis_angle_to_matrix(torch.from_numpy(-share)[:, None, None] * off).numpy()
    hips = bone.hips - share[:, None] * (bone.hips[-1] - bone.hips[0])
    root, turned = joined_root(replace(bone, hips=hips, turned=local[:, top]))
    return _with_root(motion, local, root, turned)


def _with_root(motion: BodyMotion, rotations: np.ndarray, root: np.ndarray, turned: np.ndarray) -> BodyMotion:
    rotations = rotations.astype(np.float32)
    rotations[:, motion.body.parents.index(-1)] = turned
    return replace(motion, rotations=rotations, root=root.astype(np.float32))
