"""Holes in recorded motion: short ones are closed and said, long ones are refused."""

from dataclasses import replace

import numpy as np

from utils.geometry.contacts import runs as runs_of
from utils.geometry.motion import Motion
from utils.run.errors import DataError

LONGEST = 5  # frames: what lies between the ends of a longer hole is anybody's guess


def fill_gaps(motion: Motion) -> tuple[Motion, str]:
    """The motion with holes of up to `LONGEST` frames of a joint closed, and a sentence that says so ("": no holes).

    A joint has a hole where one of its numbers is not finite. Inside the clip positions follow the straight line, at
    its ends they are held. A joint without any frame stays NaN: it is missing, see `joint_maps`. Where positions are
    filled, `rotations` would not fit them and become None. Raises DataError, which names the frames.
    """
    holes = ~np.asarray(np.isfinite(motion.positions).all(-1))  # [T, J]
    if not holes.any():
        return motion, ""
    missing = np.asarray(holes.all(0))
    if missing.all():
        raise DataError(f"{motion.name or 'the motion'}: no joint has a finite position in any frame")
    runs = {int(joint): runs_of(holes[:, joint]) for joint in np.flatnonzero(holes.any(0) & ~missing)}
    long = {joint: [run for run in found if run[1] - run[0] > LONGEST] for joint, found in runs.items()}
    listed = [f"{motion.joints[joint]} {_told(found)}" for joint, found in long.items() if found]
    if listed:
        more = f" and {len(listed) - 6} other joints" if len(listed) > 6 else ""
        raise DataError(
            f"{motion.name or 'the motion'}: no positions for more than {LONGEST} frames on end "
            f"(counted from 0): {', '.join(listed[:6])}{more}; cut these frames off or mend them first"
        )
    positions, frames = motion.positions.copy(), np.arange(len(holes))
    for joint in runs:
        seen = ~holes[:, joint]
        for axis in range(positions.shape[-1]):
            positions[~seen, joint, axis] = np.interp(frames[~seen], frames[seen], positions[seen, joint, axis])
    parts = []
    if runs:
        count = sum(len(found) for found in runs.values())
        first = next(iter(runs))
        where = "" if count == 1 else ", the first"
        parts.append(
            f"{count} hole{'s' if count > 1 else ''} of up to {LONGEST} frames filled from the frames around{where}: "
            f"{motion.joints[first]} {_told(runs[first][:1])}"
        )
    if missing.any():
        parts.append(f"never seen: {', '.join(motion.joints[joint] for joint in np.flatnonzero(missing))}")
    return replace(motion, positions=positions, rotations=None), "; ".join(parts)


def _told(runs: list[tuple[int, int]]) -> str:
    return ", ".join(f"{first}-{end - 1}" if end - first > 1 else f"{first}" for first, end in runs)
