"""What other programs call SMPL's joints, for files that are to be taken for theirs."""

from collections.abc import Sequence

_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
_LIMBS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist", "hand")
# Words for left and right, names of the trunk (as in _TRUNK), names of a limb (as in _LIMBS), `*` for the side.
_SCHEMES: dict[str, tuple[str, str, str]] = {
    "mixamo": (
        "Left Right",
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2 mixamorig:Neck mixamorig:Head",
        "mixamorig:*UpLeg mixamorig:*Leg mixamorig:*Foot mixamorig:*ToeBase mixamorig:*Shoulder mixamorig:*Arm "
        "mixamorig:*ForeArm mixamorig:*Hand mixamorig:*HandMiddle1",
    ),
    "unity": (
        "Left Right",
        "Hips Spine Chest UpperChest Neck Head",
        "*UpperLeg *LowerLeg *Foot *Toes *Shoulder *UpperArm *LowerArm *Hand *MiddleProximal",
    ),
    "unreal": (
        "l r",
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh_* calf_* foot_* ball_* clavicle_* upperarm_* lowerarm_* hand_* middle_01_*",
    ),
    "vrm": (
        "L R",
        "J_Bip_C_Hips J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest J_Bip_C_Neck J_Bip_C_Head",
        "J_Bip_*_UpperLeg J_Bip_*_LowerLeg J_Bip_*_Foot J_Bip_*_ToeBase J_Bip_*_Shoulder J_Bip_*_UpperArm "
        "J_Bip_*_LowerArm J_Bip_*_Hand J_Bip_*_Middle1",
    ),
    "rigify": (
        "L R",
        "DEF-spine DEF-spine.001 DEF-spine.002 DEF-spine.003 DEF-spine.004 DEF-spine.006",
        "DEF-thigh.* DEF-shin.* DEF-foot.* DEF-toe.* DEF-shoulder.* DEF-upper_arm.* DEF-forearm.* DEF-hand.* "
        "DEF-f_middle.01.*",
    ),
    "biped": (
        "L R",
        "Bip01_Pelvis Bip01_Spine Bip01_Spine1 Bip01_Spine2 Bip01_Neck Bip01_Head",
        "Bip01_*_Thigh Bip01_*_Calf Bip01_*_Foot Bip01_*_Toe0 Bip01_*_Clavicle Bip01_*_UpperArm Bip01_*_Forearm "
        "Bip01_*_Hand Bip01_*_Finger2",
    ),
}
SCHEMES = tuple(_SCHEMES)


def renamed(joints: Sequence[str], scheme: str) -> tuple[str, ...]:
    """Joints by the names of one of `SCHEMES`; what is no joint of SMPL keeps its name."""
    sides, trunk, limbs = (row.split() for row in _SCHEMES[scheme])
    names: dict[str, str] = dict(zip(_TRUNK, trunk, strict=True))
    for side, word in zip(("left_", "right_"), sides, strict=True):
        names |= {side + limb: name.replace("*", word) for limb, name in zip(_LIMBS, limbs, strict=True)}
    return tuple(names.get(joint, joint) for joint in joints)
