"""Going over from one motion into another, which few recordings show: what endless models learn to obey new prompts by.

The second motion starts where the first ends and lets go of the difference over a second or so, smoothly
(inertialisation, Bollo, "Inertialization: High-Performance Animation Transitions in Gears of War", GDC 2018).
"""

import numpy as np

from data_loaders.representations.hml import Layout, blocks

BLEND = 16  # frames over which the difference goes


def fade(frames: int) -> np.ndarray:
    """What is left of the difference [frames + 1], from one frame after the first motion on: 1 to 0, smoothly."""
    s = np.minimum(np.arange(1, frames + 2) / (BLEND + 1), 1)
    return (1 - s**3 * (s * (6 * s - 15) + 10)).astype(np.float32)


def gone_over(before: np.ndarray, after: np.ndarray, layout: Layout) -> np.ndarray:
    """Features [P, F] of `after` [P, F] as they follow `before` [C, F], at least two frames each, in data units.

    Positions and rotations keep a part of the difference in place and speed to where the first motion was going, the
    root's speed goes from the one to the other, and the joints' speeds are those of both together.
    """
    part, left = blocks(layout), fade(len(after))[:, None]
    step = after[1] - after[0]
    apart, drift = before[-1] - (after[0] - step), (before[-1] - before[-2]) - step
    kept = left * (apart + drift * np.arange(1, len(after) + 2)[:, None])  # of the difference, [P + 1, F]
    joined = after.copy()
    for name in ("height", "ric", "rot6d"):
        joined[:, part[name]] += kept[:-1, part[name]]
    for name in ("root_yaw", "root_velocity"):
        joined[:, part[name]] += left[:-1] * (before[-1] - after)[:, part[name]]
    change = np.diff(kept, axis=0)
    speeds = np.zeros((len(after), layout.joints, 3), np.float32)
    speeds[:, 0, 1] = change[:, part["height"]][:, 0]
    speeds[:, 1:] = change[:, part["ric"]].reshape(len(after), -1, 3)
    speeds[..., ::2] += (joined - after)[:, None, part["root_velocity"]]
    joined[:, part["velocity"]] += speeds.reshape(len(after), -1)
    return joined.astype(after.dtype)
