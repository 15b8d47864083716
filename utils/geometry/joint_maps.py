"""Any person's joints to the 22 of SMPL, by their names, and how far each of the 22 may be believed.

Joints that a naming of recorded motion has are taken as they are (`human.to_smpl22`). Keypoints (nba, COCO, BlazePose,
OpenPose, Human3.6M, KIT) lie elsewhere in part: those joints are combinations of what there is, with weights read off
an adult's body, and count for less; what nothing tells, such as feet where a set ends at the ankles, counts for
nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from utils.geometry.gaps import fill_gaps
from utils.geometry.human import find_joints, plain_name, to_smpl22
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS, mirrored_name
from utils.run.errors import DataError, UsageError

_SMPL22 = SKELETONS["smpl22"]
_COCO17 = SKELETONS["gymnastics"].joints[:-1]
_H36M17 = (*SKELETONS["nba"].joints[:7], "Torse", *SKELETONS["nba"].joints[7:])
_BLAZEPOSE33 = (
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear "
    "mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky "
    "right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle left_heel right_heel left_foot_index right_foot_index"
)
# Orders of joints by the names under which people know them, for files that name no joints.
JOINT_SETS: dict[str, tuple[str, ...]] = {name: row.joints for name, row in SKELETONS.items()} | {
    "coco17": _COCO17,
    "h36m17": _H36M17,
    "motionbert": _H36M17,
    "elepose": _H36M17,
    "blazepose33": tuple(_BLAZEPOSE33.split()),
}

# Plain names of keypoints and what they are: a joint of SMPL, or a point that `_RULES` start from.
_MIDDLE = {
    "pelvis": "pelvis", "hip": "pelvis", "midhip": "pelvis", "chip": "pelvis", "root": "pelvis",
    "thorax": "neck", "neck": "neck", "nose": "nose", "head": "head_top", "headtop": "head_top", "torse": "torso",
    "torso": "torso", "spine": "torso", "bp": "lower_back", "bt": "torso", "bln": "neck", "bun": "head",
}  # fmt: skip
_SIDED = {
    "hip": "hip", "knee": "knee", "ankle": "ankle", "shoulder": "shoulder", "elbow": "elbow", "wrist": "wrist",
    "ear": "ear", "heel": "heel", "footindex": "toe", "bigtoe": "big_toe", "smalltoe": "small_toe", "mrot": "foot",
    "h": "hip", "k": "knee", "a": "ankle", "s": "shoulder", "e": "elbow", "w": "wrist",
}  # fmt: skip
_ALIASES = _MIDDLE | {
    word + name: side + joint
    for side, words in (("left_", ("l", "left")), ("right_", ("r", "right")))
    for word in words
    for name, joint in _SIDED.items()
}

DERIVED = 0.5
_GUESSED = 0.1
_Rule = tuple[str, float, Mapping[str, float]]
# Joint, confidence, what it is a mean of; the first rule whose parts are there counts, earlier joints are there.
# The base of the skull lies, in the axes of an upright head and for an adult, 10 cm above and 4 cm before the neck,
# 6 cm below and 10 cm behind the nose, 18 cm below the crown; the trunk is divided between SMPL's and the free body.
_RULES: tuple[_Rule, ...] = (
    ("pelvis", DERIVED, {"left_hip": 0.5, "right_hip": 0.5}),
    ("neck", DERIVED, {"left_shoulder": 0.5, "right_shoulder": 0.5}),
    ("head", DERIVED, {"neck": 0.57, "nose": 0.17, "head_top": 0.26}),
    ("head", DERIVED, {"left_ear": 0.38, "right_ear": 0.38, "neck": 0.24}),
    ("head", DERIVED, {"neck": 0.64, "head_top": 0.36}),
    ("head", 0.3, {"neck": 0.4, "nose": 0.6}),
    ("spine1", DERIVED, {"lower_back": 1.0}),
    ("spine2", DERIVED, {"torso": 1.0}),
    ("spine1", _GUESSED, {"pelvis": 0.8, "neck": 0.2}),
    ("spine2", _GUESSED, {"pelvis": 0.6, "neck": 0.4}),
    ("spine3", _GUESSED, {"pelvis": 0.5, "neck": 0.5}),
    *(
        rule
        for side in ("left_", "right_")
        for rule in (
            (side + "collar", _GUESSED, {side + "shoulder": 0.25, "neck": 0.75}),
            (side + "foot", DERIVED, {side + "toe": 0.75, side + "heel": 0.25}),
            (side + "foot", DERIVED, {side + "big_toe": 0.4, side + "small_toe": 0.4, side + "heel": 0.2}),
            (side + "foot", DERIVED, {side + "big_toe": 0.5, side + "small_toe": 0.5}),
        )
    ),
)
_NEEDED = tuple(
    side + joint for side in ("left_", "right_") for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
)
_ANIMAL = ("tail", "hoof", "paw", "frontleg", "backleg")
_ADULT = 1.34  # metres of leg, and of trunk up to the neck, of an adult
_PLAUSIBLE = (0.5, 1.5)  # of an adult's size


@dataclass(frozen=True)
class Fittable:
    """A person on the 22 joints of `smpl22`, in metres, without NaN; `confidence` [T, 22] float32 for each joint.

    1: observed, below 1: derived from others, 0: missing (it then stands where its parent does, to be ignored).
    `note` says in a sentence what was filled, derived from nothing, or scaled ("": nothing).
    """

    motion: Motion
    confidence: np.ndarray
    note: str = ""


def to_smpl(motion: Motion, skeleton_name: str = "") -> Fittable:
    """The clip on the 22 joints, found by the names of its joints, or by those of `skeleton_name` (`JOINT_SETS`).

    `skeleton_name` is for files that name no joints, and wins over names. Motion of the 2D family (nba, gymnastics) is
    in the units of its data and comes in metres by `Skeleton.metres_per_unit`; a person of less than half or more than
    one and a half an adult's size is brought to an adult's. Raises UsageError and DataError.
    """
    if skeleton_name:
        motion = _named(motion, skeleton_name)
    if any(word in plain_name(joint) for joint in motion.joints for word in _ANIMAL):
        raise DataError(
            f"{motion.name or 'the motion'} is an animal's (it has {_animal_joints(motion)}) and SMPL a human body; "
            "export it as capsules instead: --body capsules"
        )
    motion, note = fill_gaps(motion)
    seen = np.asarray(np.isfinite(motion.positions).all((0, 2)))
    try:
        sources = find_joints(motion)
    except DataError:
        motion, confidence = _from_keypoints(motion, seen)
    else:
        motion, confidence = _as_recorded(motion, sources, seen)
    missing = [name for name, trust in zip(_SMPL22.joints, confidence, strict=True) if trust == 0]
    said = f"missing, so left to the body: {', '.join(missing)}" if missing else ""
    motion, scaled = _plausible(motion, confidence)
    confidence = np.repeat(confidence[None].astype(np.float32), len(motion.positions), 0)
    return Fittable(motion, confidence, "; ".join(filter(None, (note, said, scaled))))


def known_joints(joints: Sequence[str]) -> dict[str, int]:
    """The names of SMPL's joints (and `left_big_toe`, `nose` and other points of `_RULES`) with where they are.

    Empty for what is no person. Joints that a naming only has midway between two are left out.
    """
    try:
        sources = find_joints(Motion(np.zeros((1, len(joints), 3)), 1.0, tuple(joints), (-1,) * len(joints)))
    except DataError:
        names = [_ALIASES.get(plain_name(joint), "") for joint in joints]
        return {name: i for i, name in reversed([*enumerate(names)]) if name}
    return {name: parts[0] for name, parts in zip(_SMPL22.joints, sources, strict=True) if len(parts) == 1}


def _named(motion: Motion, skeleton_name: str) -> Motion:
    """The motion with the joint names of one of `JOINT_SETS`."""
    if skeleton_name not in JOINT_SETS:
        raise UsageError(f"no skeleton is called {skeleton_name!r}: choose from {', '.join(sorted(JOINT_SETS))}")
    names = JOINT_SETS[skeleton_name]
    if motion.positions.shape[1] != len(names):
        raise DataError(
            f"{motion.name or 'the motion'} has {motion.positions.shape[1]} joints and {skeleton_name} {len(names)}"
        )
    return motion if motion.joints == names else replace(motion, joints=names, parents=(-1,) * len(names))


def _animal_joints(motion: Motion) -> str:
    names = [joint for joint in motion.joints if any(word in plain_name(joint) for word in _ANIMAL)]
    return ", ".join(names[:3])


def _as_recorded(motion: Motion, sources: list[list[int]], seen: np.ndarray) -> tuple[Motion, np.ndarray]:
    """A clip whose naming has all 22 joints, and its confidence [22]: midpoints of two are derived."""
    confidence = np.array([float(seen[parts].all()) * (1.0 if len(parts) == 1 else DERIVED) for parts in sources])
    motion = to_smpl22(motion)
    filled = _filled(motion.positions, confidence)
    return replace(motion, positions=filled, parents=_SMPL22.parents), confidence


def _from_keypoints(motion: Motion, seen: np.ndarray) -> tuple[Motion, np.ndarray]:
    """A clip of keypoints on the 22 joints, in metres where its unit is known, and its confidence [22]."""
    names = [_ALIASES.get(plain_name(joint), "") for joint in motion.joints]
    lacking = [name for name in _NEEDED if name not in names]
    if lacking:
        raise DataError(
            f"{motion.name or 'the motion'}: the joints are not those of a person (not found: {', '.join(lacking)}; "
            f"there: {', '.join(motion.joints)[:400]}); export it as capsules: --body capsules"
        )
    unit = next((row.metres_per_unit for row in _UNITS if row.joints == motion.joints), 1.0)
    known = {name: motion.positions[:, i] * unit for i, name in reversed([*enumerate(names)]) if name and seen[i]}
    trust = dict.fromkeys(known, 1.0)
    for joint, confidence, parts in _RULES:
        if joint not in known and all(part in known for part in parts):
            known[joint] = np.sum([weight * known[part] for part, weight in parts.items()], axis=0)
            trust[joint] = confidence
    nowhere = np.full_like(motion.positions[:, 0], np.nan)
    positions = np.stack([known.get(name, nowhere) for name in _SMPL22.joints], 1)
    confidence = np.array([trust.get(name, 0.0) for name in _SMPL22.joints])
    positions = _filled(positions, confidence).astype(np.float32)
    return replace(
        motion, positions=positions, joints=_SMPL22.joints, parents=_SMPL22.parents, rotations=None
    ), confidence


_UNITS = (SKELETONS["nba"], SKELETONS["gymnastics"])


def _filled(positions: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Positions [T, 22, 3] with each missing joint where its parent is, a missing root where its first child is."""
    positions = positions.copy()
    if confidence[0] == 0:
        positions[:, 0] = positions[:, next(joint for joint in range(22) if confidence[joint] > 0)]
    for joint in range(1, len(confidence)):
        if confidence[joint] == 0:
            positions[:, joint] = positions[:, _SMPL22.parents[joint]]
    return positions


def _plausible(motion: Motion, confidence: np.ndarray) -> tuple[Motion, str]:
    """The motion in metres whatever its unit: as it is where the person has a possible size, else an adult's size."""
    at = {name: motion.positions[:, joint] for joint, name in enumerate(_SMPL22.joints) if confidence[joint] > 0}
    bones = [("pelvis", "neck"), ("left_hip", "left_knee"), ("left_knee", "left_ankle")]
    if not all(mirrored_name(joint, _SMPL22.joints) in at and joint in at for bone in bones for joint in bone):
        return motion, ""
    length = sum(
        np.linalg.norm(at[a] - at[b], axis=-1)
        for bone in bones
        for a, b in (bone, tuple(mirrored_name(joint, _SMPL22.joints) for joint in bone))
    )
    size = float(np.median(length)) / 2 / _ADULT
    if size == 0 or not np.isfinite(size):
        raise DataError(f"{motion.name or 'the motion'}: all joints stand in one point")
    if _PLAUSIBLE[0] <= size <= _PLAUSIBLE[1]:
        return motion, ""
    scaled = replace(motion, positions=(motion.positions / size).astype(np.float32))
    return scaled, f"the person is {size:.3g} times an adult's size, so it was scaled to that"
