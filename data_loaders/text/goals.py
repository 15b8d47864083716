"""Where joints shall be at the end of a motion: which of these goals a model is told, and where a motion has them.

DiP (Tevet et al. 2025, CLoSD, section 3.3) is told places of a few joints, `traj` (the place of the root on the floor)
and `heading`, in the frame of the window's first frame: its root stands at x = z = 0 and its body faces z.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from data_loaders.representations import hml
from utils.geometry.skeleton import Skeleton
from utils.run.errors import UsageError
from utils.run.parser import nearest

HEADING = "heading"
_JOINTS = ("pelvis", "left_foot", "right_foot", "left_wrist", "right_wrist", "head")
_NAMES = {
    "smpl22": _JOINTS,
    "kit21": ("root", "LF", "RF", "LW", "RW", "BUN"),
}
_PELVIS, _PELVIS_AND_HEAD, _PATH = ("pelvis", HEADING), ("pelvis", "head"), ("traj", HEADING)
_RIGHT_WRIST, _LEFT_WRIST, _RIGHT_FOOT, _LEFT_FOOT = (
    (joint, HEADING) for joint in ("right_wrist", "left_wrist", "right_foot", "left_foot")
)
# What each published mode chooses from, with equal chances.
MODES: dict[str, tuple[tuple[str, ...], ...]] = {
    "DIMP_FINAL": (_PELVIS, _PATH, _RIGHT_WRIST, _LEFT_WRIST, _RIGHT_FOOT, _LEFT_FOOT, ()),
    "DIMP_FULL": (_PELVIS, _PELVIS_AND_HEAD, _PATH, _RIGHT_WRIST, _LEFT_WRIST, _RIGHT_FOOT, _LEFT_FOOT),
    "DIMP_SLIM": (_PELVIS, _PELVIS_AND_HEAD, _PATH, _LEFT_WRIST, _LEFT_FOOT),
    "DIMP_BENCH": (_PELVIS, _PELVIS_AND_HEAD),
    "PURE_T2M": ((),),
}


def goal_joints(skeleton: Skeleton) -> dict[str, str]:
    """The joint of a skeleton that each goal but `heading` is about. Raises UsageError where none is known."""
    if skeleton.name not in _NAMES:
        raise UsageError(f"the skeleton {skeleton.name} has no goals; {' and '.join(_NAMES)} have")
    joints = dict(zip(_JOINTS, _NAMES[skeleton.name], strict=True))
    return joints | {"traj": joints["pelvis"]}


def choices(mode: str, goals: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The sets of goals that a mode chooses from: one of MODES, or names joined by commas, always all of those.

    Raises UsageError for a name that is not among `goals`.
    """
    sets = MODES.get(mode, (tuple(name.strip() for name in mode.split(",") if name.strip()),))
    for name in (name for names in sets for name in names if name not in goals):
        near = nearest(name, [*goals, *MODES])
        raise UsageError(
            f"--target_joint_names: unknown goal {name!r}{near}; choose from {', '.join(MODES)}, or name some of "
            f"{', '.join(goals)}"
        )
    return sets


def sample_goals(mode: str, goals: Sequence[str], count: int, generator: torch.Generator) -> Tensor:
    """Which of `goals` each of `count` motions is told, [count, G] bool: one of the mode's sets, with equal chances."""
    sets = torch.tensor([[goal in names for goal in goals] for names in choices(mode, goals)], dtype=torch.bool)
    return sets[torch.randint(len(sets), (count,), generator=generator)]


def goals_reached(features: Tensor, lengths: Tensor, layout: hml.Layout, goals: Sequence[str]) -> Tensor:
    """Where motions have `goals` in their last frame, [B, G, 3]; of `traj` the height is 0, of `heading` the first
    number is the angle in radians and the others are 0.

    features [B, T, F] in data units, of which `lengths` [B] frames count. Raises UsageError for an unknown skeleton.
    """
    joints, skeleton = goal_joints(layout.skeleton), layout.skeleton
    last = hml.decode(features, layout)[torch.arange(len(features), device=features.device), lengths - 1]
    facing = hml.heading(last, layout)
    found = []
    for goal in goals:
        if goal == HEADING:
            found.append(torch.stack((facing, torch.zeros_like(facing), torch.zeros_like(facing)), -1))
        else:
            place = last[:, skeleton.index(joints[goal])]
            found.append(place * place.new_tensor((1, 0, 1)) if goal == "traj" else place)
    return torch.stack(found, 1)
