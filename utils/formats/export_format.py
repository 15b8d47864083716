"""What a format that motion is exported to is: how its files end, are written, read, and compared with the motion."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.geometry.body import BodyMotion, joints_of
from utils.geometry.motion import Motion

# The frames that a file holds of a motion, and positions [..., 3] (or what else it tells) beside those it should have.
Look = tuple[int, np.ndarray, np.ndarray]
Writer = Callable[[Path, Sequence[BodyMotion]], None]


def files_in_the_way(path: Path) -> Iterable[Path]:
    """What a file at `path` may not replace: a folder."""
    return [path] if path.is_dir() else []


@dataclass(frozen=True)
class Format:
    """A row of the table of formats.

    `write` takes the motions of one file, `read` gives what it holds, of which `look` tells for one of the motions and
    its number. `together`: all motions in one file. `fps`: the rate that motion is brought to (0: its own).
    `standing`: the file has a rest pose of its own, so the body stands on the floor in it. `by_name`: other programs
    know its joints by their names. `keeps_path`: its writer takes a path away itself where that is asked for. `need`
    raises where the file cannot be written; `in_the_way` names what stands at a path and is no earlier such file.
    """

    ending: str
    write: Writer
    read: Callable[[Path], Any]
    look: Callable[[Any, BodyMotion, int], Look]
    together: bool = False
    fps: float = 0.0
    standing: bool = False
    by_name: bool = False
    keeps_path: bool = False
    need: Callable[[BodyMotion], object] = lambda motion: None
    in_the_way: Callable[[Path], Iterable[Path]] = files_in_the_way


def single(write: Callable[..., None], *how: Any) -> Writer:
    """The writer of one motion as one of several."""
    return lambda path, motions: write(path, motions[0], *how)


def look_at_bodies(found: list[BodyMotion], motion: BodyMotion, number: int) -> Look:
    """The joints of a file that is read as bodies in motion."""
    body = found[number]
    return len(body.root), _joints(joints_of(body)[0], body.body.joints, motion.body.joints), joints_of(motion)[0]


def look_at_points(found: Motion, motion: BodyMotion, number: int) -> Look:
    """The joints of a file that is read as a clip of points."""
    return len(found.positions), _joints(found.positions, found.joints, motion.body.joints), joints_of(motion)[0]


def _joints(positions: np.ndarray, names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Positions in the order of wanted joints, which a file may have written in another."""
    return positions[:, [names.index(name) for name in wanted]] if set(wanted) <= set(names) else positions
