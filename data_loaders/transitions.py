"""Going over from one motion into another, which few recordings show: what endless models learn to obey new prompts by.

The second motion starts where the first ends and lets go of the difference over a second or so, smoothly
(inertialisation, Bollo, "Inertialization: High-Performance Animation Transitions in Gears of War", GDC 2018).
"""

import numpy as np

from data_loaders.representations.hml import Layout, blocks

BLEND = 16  # frames over which the difference goes


def fade(frames: int) -> np.ndarray:
    """What is left of the difference [frames + 1]: from nearly 1 to 0 with smooth ends."""
    s = np.minimum(np.arange(1, frames + 2) / (BLEND + 1), 1)
    return (1 - s**3 * (s * (6 * s - 15) + 10)).astype(np.float32)


def gone_over(before: np.ndarray, after: np.ndarray, layout: Layout) -> np.ndarray:
    """Features [P, F] of `after` [P, F] as they follow `before` [C, F], in data units.

    Positions and rotations keep a part of the difference between the last pose and the first one, the root's speed goes
    from the one to the other, and the joints' speeds are those of both together.
    """
    part, left = blocks(layout), fade(len(after))
    last, made = before[-1], after.copy()
    weight, change = left[:-1, None], np.diff(left)[:, None]
    for name in ("height", "ric", "rot6d"):
        made[:, part[name]] += weight * (last - after[0])[part[name]]
    for name in ("root_yaw", "root_velocity"):
        made[:, part[name]] += weight * (last - after)[:, part[name]]
    offset = np.zeros((layout.joints, 3), np.float32)
    offset[0, 1:2] = (last - after[0])[part["height"]]
    offset[1:] = (last - after[0])[part["ric"]].reshape(-1, 3)
    velocity = after[:, part["velocity"]].reshape(len(after), -1, 3) + change[..., None] * offset
    velocity[..., ::2] += (made - after)[:, None, part["root_velocity"]]
    made[:, part["velocity"]] = velocity.reshape(len(after), -1)
    return made
