"""Human skeletons by joint name: sources to the 22 joints `smpl22`, and from there to the 16 joints `nba`.

y up; in the rest pose (all rotations identity) the figure stands in a T facing +z with its left side on +x.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from utils.geometry.motion import Motion
from utils.geometry.recorded import recorded_rotations
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError

_SMPL22 = SKELETONS["smpl22"]
_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
_LIMBS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
_NBA16 = (
    "pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle neck nose head_top "
    "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist"
)

# Naming: words for left and right, names of the trunk (as in _TRUNK), names of a limb (as in _LIMBS). `*` stands for
# the side, `|` parts alternatives, `+` is the point midway between two. Prefixes that all names share, namespaces,
# separators and case do not count.
_NAMINGS: dict[str, tuple[str, str, str]] = {
    "SMPL": (
        "left right",
        "pelvis spine1 spine2 spine3 neck head",
        "*hip *knee *ankle *foot *collar *shoulder *elbow *wrist",
    ),
    "SMPL's own files (m_avg, f_avg)": (
        "l r",
        "pelvis spine1 spine2 spine3 neck head",
        "*hip *knee *ankle *foot *collar *shoulder *elbow *wrist",
    ),
    "Mixamo, HIK, LAFAN1": (
        "Left Right",
        "Hips Spine Spine1 Spine2 Neck Head",
        "*UpLeg *Leg *Foot *ToeBase|*Toe|*Foot_end *Shoulder *Arm *ForeArm *Hand",
    ),
    "CMU by cgspeed, for MotionBuilder": (
        "Left Right",
        "Hips LowerBack Spine Spine1 Neck Head",
        "*UpLeg *Leg *Foot *ToeBase *Shoulder *Arm *ForeArm *Hand",
    ),
    "CMU by cgspeed, for Daz": (
        "l r",
        "hip abdomen abdomen+chest chest neck head",
        "*Thigh *Shin *Foot *Foot_end *Collar *Shldr *ForeArm *Hand",
    ),
    "CMU by iClone": (
        "L R",
        "CC_Base_Hip CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02 CC_Base_NeckTwist01 CC_Base_Head",
        "CC_Base_*_Thigh CC_Base_*_Calf CC_Base_*_Foot CC_Base_*_ToeBase "
        "CC_Base_*_Clavicle CC_Base_*_Upperarm CC_Base_*_Forearm CC_Base_*_Hand",
    ),
    # Not `wrist` and `upperneck`, which start above the wrist and below the skull; against markers of an HDM05 trial
    # the start of `hand` is 4 cm from the wrist (that of `wrist` 9 cm), the start of `head` 9 cm under the head band.
    "Acclaim (CMU, HDM05)": (
        "l r",
        "root lowerback upperback thorax lowerneck head",
        "*femur *tibia *foot *toes *clavicle *humerus *radius *hand",
    ),
    "Bandai Namco": (
        "L R",
        "Hips Spine Spine+Chest Chest Neck Head",
        "UpperLeg_* LowerLeg_* Foot_* Toes_* Shoulder_* UpperArm_* LowerArm_* Hand_*",
    ),
    "Rigify (ReActIdle)": (
        "L R",
        "pelvis spine spine+spine.001 spine.001 neck face|head",
        "thigh.* shin.* foot.* toe.*|foot.*_end shoulder.* upper_arm.* forearm.* hand.*|forearm.*_end",
    ),
    "Rigify": (
        "L R",
        "spine spine.001 spine.002 spine.003 spine.004 spine.006",
        "thigh.* shin.* foot.* toe.* shoulder.* upper_arm.* forearm.* hand.*",
    ),
    "Rigify for games": (
        "L R",
        "hips spine.001 spine.002 spine.003 neck head",
        "thigh.* shin.* foot.* toe.* shoulder.* upper_arm.* forearm.* hand.*",
    ),
    "Biovision, Xsens for BVH": (
        "Left Right",
        "Hips Hips+Chest|Chest Chest2|Chest Chest4|Chest3|Chest Neck Head",
        "*Hip *Knee *Ankle *Toe|*Ankle_end *Collar *Shoulder *Elbow *Wrist",
    ),
    "Xsens MVN": (
        "Left Right",
        "Pelvis L5 L3|T12 T8 Neck Head",
        "*UpperLeg *LowerLeg *Foot *Toe *Shoulder *UpperArm *ForeArm *Hand",
    ),
    "Rokoko": (
        "Left Right",
        "Hips Spine1|Spine Spine2 Spine4|Spine3 Neck Head",
        "*Thigh *Shin *Foot *Toe|*Toe_end *Shoulder *Arm *ForeArm *Hand",
    ),
    "Unreal": (
        "l r",
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh_* calf_* foot_* ball_* clavicle_* upperarm_* lowerarm_* hand_*",
    ),
    "Unity": (
        "Left Right",
        "Hips Spine Chest|Spine UpperChest|Chest Neck Head",
        "*UpperLeg *LowerLeg *Foot *Toes|*ToeBase|*Foot_end *Shoulder *UpperArm *LowerArm *Hand",
    ),
    "VRM": (
        "L R",
        "C_Hips C_Spine C_Chest|C_Spine C_UpperChest|C_Chest C_Neck C_Head",
        "*_UpperLeg *_LowerLeg *_Foot *_ToeBase|*_Toe *_Shoulder *_UpperArm *_LowerArm *_Hand",
    ),
    "3ds Max Biped": (
        "L R",
        "Pelvis Spine Spine1|Spine Spine3|Spine2|Spine1 Neck Head",
        "*Thigh *Calf *Foot *Toe0|*Foot_end *Clavicle *UpperArm *Forearm *Hand",
    ),
    "Daz Genesis 3 and 8": (
        "l r",
        "pelvis|hip abdomenLower abdomenUpper chestUpper|chestLower neckLower head",
        "*ThighBend *Shin *Foot *Toe *Collar *ShldrBend *ForearmBend *Hand",
    ),
    "Daz Genesis 9": (
        "l r",
        "pelvis|hip spine1 spine2 spine3 neck1 head",
        "*_thigh *_shin *_foot *_toes *_shoulder *_upperarm *_forearm *_hand",
    ),
    "Daz Genesis, Poser": (
        "l r",
        "pelvis|hip abdomen abdomen2|abdomen chest neck head",
        "*Thigh *Shin *Foot *Toe *Collar *Shldr *ForeArm *Hand",
    ),
    "MakeHuman": (
        "L R",
        "root spine05 spine03 spine01|spine02 neck01 head",
        "upperleg01.* lowerleg01.* foot.* toe1-1.* clavicle.* upperarm01.* lowerarm01.* wrist.*",
    ),
    "KayKit": (
        "l r",
        "hips hips+spine spine chest chest+head head",
        "upperleg.* lowerleg.* foot.* toes.* chest+upperarm.* upperarm.* lowerarm.* wrist.*",
    ),
}

# From the head joint, in the axes of the head, for an adult whose trunk, neck and leg bones measure 1.4 m in all.
_NOSE = np.array([0.0, 0.06, 0.10], np.float32)
_HEAD_TOP = np.array([0.0, 0.18, 0.02], np.float32)
_ADULT = 1.4


def to_smpl22(motion: Motion) -> Motion:
    """The clip on the 22 joints of SKELETONS["smpl22"], found by their names in one of the known namings.

    Local rotations come along, turned so that all zero is a T facing +z whatever the source's rest pose is, or are None
    where that cannot be told (`recorded_rotations`). Raises DataError.
    """
    sources = find_joints(motion)
    rotations = recorded_rotations(motion, sources)
    if motion.joints == _SMPL22.joints:
        return motion if rotations is motion.rotations else replace(motion, rotations=rotations, rest=None)
    positions = np.stack([motion.positions[:, source].mean(1) for source in sources], 1)
    found = replace(motion, joints=_SMPL22.joints, parents=_SMPL22.parents)
    return replace(found, positions=positions, rotations=rotations, rest=None)


def head_points(positions: np.ndarray, rotations: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Nose and top of the head, each [T, 3], of `smpl22` positions [T, 22, 3], in metres.

    The head looks where its world rotation points when local `rotations` [T, 22, 3, 3] are given; else up is from
    neck to head and forward at right angles to that and to the line between the shoulders. Sizes follow the body's.
    """
    head = positions[:, _SMPL22.index("head")]
    axes = _head_axes(positions) if rotations is None else _chain_rotation(rotations)
    scale = _body_scale(positions)
    return head + axes @ (scale * _NOSE), head + axes @ (scale * _HEAD_TOP)


def to_nba16(positions: np.ndarray, rotations: np.ndarray | None = None) -> np.ndarray:
    """Positions [T, 16, 3] in the order of SKELETONS["nba"] of `smpl22` positions [T, 22, 3] in metres.

    `rotations` [T, 22, 3, 3] (local) say where the head looks; see `head_points`.
    """
    nose, head_top = head_points(positions, rotations)
    known = {name: positions[:, joint] for joint, name in enumerate(_SMPL22.joints)}
    known |= {"nose": nose, "head_top": head_top}
    return np.stack([known[name] for name in _NBA16.split()], 1).astype(positions.dtype)


def joints_named(names: Sequence[str]) -> tuple[str, dict[str, list[int]]]:
    """The known naming that finds most of the 22 joints of `smpl22` among names, and those joints, by SMPL's name.

    A joint is the mean of those whose numbers are given.
    """
    naming, best = _best_match(tuple(names))
    return naming, {name: list(parts) for name, parts in best.items()}


@lru_cache(256)
def _best_match(names: tuple[str, ...]) -> tuple[str, dict[str, list[int]]]:
    """The same; the clips of a dataset have the joints of a few skeletons."""
    present = {plain_name(name): joint for joint, name in reversed(list(enumerate(names)))}
    tried = {naming: _match(row, present) for naming, row in _NAMINGS.items()}
    return max(tried.items(), key=lambda item: len(item[1]))


def find_joints(motion: Motion) -> list[list[int]]:
    """For each of the 22 joints of `smpl22` the source joints whose mean it is. Raises DataError."""
    naming, best = joints_named(motion.joints)
    missing = [name for name in _SMPL22.joints if name not in best]
    if missing:
        raise DataError(
            f"{motion.name}: the joints are not those of a known person (nearest naming: {naming}; "
            f"not found: {', '.join(missing)}; in the file: {', '.join(motion.joints)[:600]})"
        )
    return [best[name] for name in _SMPL22.joints]


def _match(naming: tuple[str, str, str], present: dict[str, int]) -> dict[str, list[int]]:
    """Those of the 22 joints that a naming finds among plain names, whatever prefix these share."""
    sides, trunk, limbs = (row.split() for row in naming)
    wanted: dict[str, str] = dict(zip(_TRUNK, trunk, strict=True))
    for side, word in zip(("left_", "right_"), sides, strict=True):
        wanted |= {side + limb: name.replace("*", word) for limb, name in zip(_LIMBS, limbs, strict=True)}
    knee = plain_name(wanted["left_knee"])
    prefixes = {"", *(name.removesuffix(knee) for name in present if name.endswith(knee))}
    return max((_match_under(prefix, wanted, present) for prefix in sorted(prefixes)), key=len)


def _match_under(prefix: str, wanted: dict[str, str], present: dict[str, int]) -> dict[str, list[int]]:
    """The same for one prefix of all names."""
    found = {}
    for joint, names in wanted.items():
        for name in names.split("|"):
            parts = [prefix + plain_name(part) for part in name.split("+")]
            if all(part in present for part in parts):
                found[joint] = [present[part] for part in parts]
                break
    return found


def plain_name(name: str) -> str:
    """A joint's name without namespace, separators and case."""
    name = name.rpartition(":")[2].lower().removeprefix("mixamorig")
    return name.replace("_", "").replace(".", "").replace(" ", "").replace("-", "")


def _chain_rotation(rotations: np.ndarray) -> np.ndarray:
    """World rotation of the head [T, 3, 3]."""
    world = rotations[:, 0]
    for name in _TRUNK[1:]:
        world = world @ rotations[:, _SMPL22.index(name)]
    return world


def _head_axes(positions: np.ndarray) -> np.ndarray:
    """Axes of the head [T, 3, 3], from positions alone."""
    at = {name: positions[:, joint] for joint, name in enumerate(_SMPL22.joints)}
    return _axes(at["left_shoulder"] - at["right_shoulder"], at["head"] - at["neck"])


def _axes(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Left, up and forward as the columns of [..., 3, 3]: exactly `up` [..., 3], as near as can be to `across`."""
    up = unit_vectors(up)
    left = unit_vectors(across - (across * up).sum(-1, keepdims=True) * up)
    return np.stack([left, up, np.cross(left, up)], -1)


def _body_scale(positions: np.ndarray) -> np.ndarray:
    """Size of the body against an adult's: median over the clip of the bones from ankle to hip and pelvis to head."""
    length = 0.0
    for chain in (_TRUNK, ("left_hip", "left_knee", "left_ankle")):
        points = positions[:, [_SMPL22.index(name) for name in chain]]
        length = length + np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(-1)
    return (np.median(length) / _ADULT).astype(positions.dtype)


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] of length 1; what is shorter than 1e-8, and so has no direction, stays shorter than 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-8)
