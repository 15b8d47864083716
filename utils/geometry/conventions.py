"""Which way is up in a file and how long its unit is: from the bones and the rest pose, never from the pose.

Someone who lies has the same thigh as someone who stands, so the unit is the one that makes leg and trunk an adult's;
the rest pose of a person stands upright whatever the clip shows, so its trunk tells the axis that points up.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from utils.geometry.human import unit_vectors
from utils.geometry.joint_maps import known_joints
from utils.geometry.motion import Motion
from utils.run.errors import DataError, UsageError

UNITS = {
    "metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254, "CMU's unit": 0.0254 / 0.45,
    "decimetres": 0.1,
}  # fmt: skip
_RARE, _DOUBT = ("inches", "CMU's unit", "decimetres"), 0.25  # which must come nearer to an adult by that logarithm
_LEG, _TRUNK = 0.80, 0.54  # metres of an adult: hip to ankle along the bones, pelvis to neck
_REACH = 1.1  # metres from the root to the end of the longest limb, along the bones, of whoever is no person
_UPRIGHT, _MOSTLY = 0.85, 0.75  # cosine between the axis and a trunk that stands: in rest, and on the average of a clip
AXES = {
    "y": np.eye(3),
    "z": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "-z": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "-y": np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
    "x": np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    "-x": np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]),
}  # rotations that bring the axis to y
_FASTEST = 12.0  # metres a second: nobody runs faster
_SIZES = (0.4, 1.6)  # of an adult's: of whoever is read without a word
_ARMS = (0.4, 1.0)  # shoulder to wrist against hip to ankle; 0.52 to 0.79 in recordings of people
_FLOOR = 1.0  # metres between the lowest foot and y = 0


def unit_of(motion: Motion) -> tuple[str, float]:
    """The unit of positions [T, J, 3] by its name, and its metres: the one that makes the figure an adult's.

    Known people are measured by their legs and trunk, others by their longest limb.
    """
    ratio = _size(motion) or _reach(motion) / _REACH
    if not 0 < ratio < np.inf:
        return "metres", 1.0
    name = min(UNITS, key=lambda unit: abs(np.log(ratio * UNITS[unit])) + _DOUBT * (unit in _RARE))
    return name, UNITS[name]


def up_of(motion: Motion) -> str:
    """The axis that points up, from the rest pose of a person (`y` for whoever is none).

    Where rest is no upright person, the clip must show one who mostly stands along an axis. Raises DataError where
    neither does.
    """
    at = known_joints(motion.joints)
    if motion.rest is None or not {"left_hip", "right_hip", "left_ankle", "right_ankle"} <= set(at):
        return "y"
    head = next((at[name] for name in ("neck", "head", "spine3") if name in at), None)
    if head is None:
        return "y"
    standing = _axis_of(_spine(motion.rest[None], at, head), least=_UPRIGHT)
    moving = standing or _axis_of(_spine(motion.positions, at, head), least=_MOSTLY)
    if not moving:
        raise DataError(
            f"{motion.name}: which way is up cannot be told from its rest pose, which is no person upright; say it: "
            "--up y or --up z"
        )
    return moving


def in_our_world(motion: Motion, unit: float, up: str, facing: str = "") -> Motion:
    """The clip in metres, y up; with the axis `facing` of the file, where one is named, turned to +z.

    Raises UsageError for a `facing` that points up or down.
    """
    turn = AXES[up or "y"].astype(np.float64)
    if facing:
        forward = turn @ (_axis(facing))
        if abs(forward[1]) > 0.5:
            raise UsageError(f"--facing {facing}: nobody faces up or down, and up is {up or 'y'} here")
        turn = np.array([[forward[2], 0, -forward[0]], [0, 1, 0], [forward[0], 0, forward[2]]]) @ turn
    up = up if up != "y" else motion.up
    if unit == 1 and np.array_equal(turn, np.eye(3)):
        return motion
    rotations = motion.rotations
    if rotations is not None:
        rotations = (turn @ rotations @ turn.T).astype(np.float32)
    rest = None if motion.rest is None else (unit * motion.rest @ turn.T).astype(np.float32)
    positions = ((unit * motion.positions) @ turn.T).astype(np.float32)
    return replace(motion, positions=positions, rotations=rotations, rest=rest, unit=unit, up=up)


def oddities(motion: Motion) -> str:
    """What is impossible for a person in a clip in metres, y up: size, speed, a floor far away ("": nothing)."""
    at = known_joints(motion.joints)
    size = _size(motion)
    if size is None or "left_ankle" not in at or not np.isfinite(motion.positions).any():
        return ""
    found = []
    if not _SIZES[0] <= size <= _SIZES[1]:
        found.append(f"the person would be {1.7 * size:.2g} m tall (--scale says the unit)")
    arms, legs = (_limbs(motion, at, chain) for chain in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")))
    if arms and legs and not _ARMS[0] <= arms / legs <= _ARMS[1]:
        found.append(
            f"its arms are {arms / legs:.1f} times as long as its legs (a person's 0.5 to 0.8), so poses look "
            "otherwise on a person's body"
        )
    hips = motion.positions[:, [at["left_hip"], at["right_hip"]]].mean(1)
    if len(hips) > 2:
        speed = np.linalg.norm(np.diff(hips, axis=0), axis=-1) * motion.fps
        if (fast := float(np.nanpercentile(speed, 95))) > _FASTEST:
            found.append(f"it would move at {fast:.0f} m/s (--scale says the unit, --input_fps the rate)")
    floor = float(np.nanpercentile(motion.positions[:, [at["left_ankle"], at["right_ankle"]], 1].min(1), 5))
    if abs(floor) > _FLOOR:
        found.append(f"the lowest foot is {floor:.1f} m from the floor y = 0")
    head = next((at[name] for name in ("neck", "head") if name in at), None)
    if motion.rest is None and head is not None:
        axis = _axis_of(_spine(motion.positions, at, head), least=_UPRIGHT)
        if axis and axis != "y":
            found.append(f"the person stands along {axis} in most frames: lying down, or the file has {axis} up (--up)")
    return "; ".join(found)


def _size(motion: Motion) -> float | None:
    """How large a person is against an adult, in the unit of the positions; None where legs are not known."""
    at = known_joints(motion.joints)
    if not {f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle")} <= set(at):
        return None
    length, adult = _limbs(motion, at, ("hip", "knee", "ankle")), _LEG
    if "pelvis" in at and "neck" in at:
        length, adult = length + _apart(motion, at["pelvis"], at["neck"]), adult + _TRUNK
    return length / adult


def _limbs(motion: Motion, at: dict[str, int], chain: tuple[str, ...]) -> float:
    """The length along the bones of a limb, the mean of left and right; 0 where its joints are not known."""
    sides = [[f"{side}_{part}" for part in chain] for side in ("left", "right")]
    if not {*sides[0], *sides[1]} <= set(at):
        return 0.0
    return sum(_apart(motion, at[a], at[b]) for side in sides for a, b in pairwise(side)) / 2


def _apart(motion: Motion, a: int, b: int) -> float:
    """The median distance of two joints; 0 where it is never finite."""
    gaps = np.linalg.norm(motion.positions[:, a] - motion.positions[:, b], axis=-1)
    return float(np.median(gaps[np.isfinite(gaps)])) if np.isfinite(gaps).any() else 0.0


def _reach(motion: Motion) -> float:
    """The length of the longest limb from the root, along the bones (medians over the frames)."""
    ends = np.zeros(len(motion.joints))
    parents = np.array(motion.parents)
    known = np.flatnonzero(parents >= 0)
    if not len(known):
        return float(np.nanmedian(np.ptp(motion.positions, axis=1).max(-1)))
    gaps = np.linalg.norm(motion.positions[:, known] - motion.positions[:, parents[known]], axis=-1)
    ends[known] = np.nan_to_num(np.nanmedian(gaps, axis=0))
    way = np.zeros(len(ends))
    for joint in range(len(ends)):
        above = joint
        while above >= 0:
            way[joint] += ends[above]
            above = motion.parents[above]
    return float(way.max())


def _spine(positions: np.ndarray, at: dict[str, int], head: int) -> np.ndarray:
    """The direction [T, 3] from the middle of the ankles over that of the hips to the head, each half counted alike."""
    hips = (positions[:, at["left_hip"]] + positions[:, at["right_hip"]]) / 2
    ankles = (positions[:, at["left_ankle"]] + positions[:, at["right_ankle"]]) / 2
    trunk, legs = positions[:, head] - hips, hips - ankles
    return (unit_vectors(trunk) + unit_vectors(legs)) / 2


def _axis_of(directions: np.ndarray, least: float) -> str:
    """The axis that directions [T, 3] mostly point along, as "y" or "-z"; none if less than `least` of them does."""
    mean = np.nan_to_num(np.nanmedian(directions, axis=0))
    number = int(np.abs(mean).argmax())
    return ("-" if mean[number] < 0 else "") + "xyz"[number] if abs(mean[number]) >= least else ""


def _axis(name: str) -> np.ndarray:
    return np.eye(3)["xyz".index(name[-1])] * (-1.0 if name.startswith("-") else 1.0)
