"""A body fitted to the joints of a clip: one shape, a pose for each frame, all frames at once.

Only joints are in the loop (forward kinematics); the mesh is posed once, by whoever wants it. The sum that is made
small and how stand in `body.fit.solver`, where it begins in `body.fit.start`. A body whose shape is told by
numbers (SMPL) gets those numbers by least squares; the free body's joints are moved to the person's proportions.
Joints that are only derived count less, missing ones not at all; what joints do not show (twists of straight limbs,
hands, the head's turn) stays near a relaxed pose and changes slowly.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from body.fit.pose_prior import HINGES, PosePrior, hinge_angles, pose_coordinates, pose_prior
from body.fit.solver import Problem, State, offsets_at, solve
from body.fit.start import length_ratios, placed_by, start_pose, start_rest
from body.models import BodyModel
from utils.geometry.body import BodyMotion, resized
from utils.geometry.contacts import feet_contacts
from utils.geometry.joint_maps import Fittable
from utils.geometry.kinematics import bone_vectors, forward, global_rotations, local_rotations
from utils.geometry.motion import Motion
from utils.geometry.rest import offsets_of
from utils.geometry.rotations import about_axis, between_vectors
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, NumericError

_SMPL22 = SKELETONS["smpl22"]
_SMPL24 = SKELETONS["smpl24"]
_AT = {name: joint for joint, name in enumerate(_SMPL24.joints)}
_TIPS = [_AT[name] for name in ("head", "left_foot", "right_foot", "left_wrist", "right_wrist")]
_ARMS = [_AT["left_shoulder"], _AT["right_shoulder"]]
_UPPER = [_AT["left_hip"], _AT["right_hip"], *_ARMS]  # joints about whose bone nothing turns but what bends below
_HANDS_ON = [_AT["left_wrist"], _AT["right_wrist"]]  # what hands go with
_FEET = [[_AT[f"{side}_{part}"] for part in ("ankle", "foot")] for side in ("left", "right")]

# Weights a frame: 1 / metre^2, 1 / radian^2, and 1 for each unit of a SMPL beta.
_JOINT = 1 / 0.01**2
_STEADY, _CONTACT = 0.5 * _JOINT, 4 * _JOINT
_MEAN = 0.1  # over the spread of the prior
_RANGE, _HINGE = 1 / np.deg2rad(15) ** 2, 1 / np.deg2rad(0.5) ** 2
_SMOOTH, _SMOOTH_SEEN = 10.0, 0.1
_LEVEL = 2.0
_HOLD = 5.0  # to recorded rotations: a hundredth of what a bone of 20 cm asks that points elsewhere
_HOLD_TWIST = 50.0  # about bones, whose ends do not show it
_TINY = 1e-4  # metres: a shorter bone points nowhere
_BETA = 0.2
_RESIZE = 0.1 * _JOINT
_SMALLEST = 0.3  # metres from end to end: what is smaller is no person, or in other units
_MOST_LEAN = np.deg2rad(35)
BACKWARDS = np.deg2rad(5)  # beyond this a knee or an elbow is bent backwards


def fit(
    person: Fittable, model: BodyModel, contacts: np.ndarray | None = None, resize: bool | None = None
) -> BodyMotion:
    """The motion of a body, on 24 joints, whose first 22 follow a person's; hands go with their wrists.

    `contacts` bool [T, 22 or 24] are joints that stand on the floor: their error is held the more and held steady.
    `resize` moves the rest joints to the person's proportions instead of fitting betas; the default does so for bodies
    without pose-dependent shape (the free body). `meta` gets `betas` (None when resized), `targets` [T, 22, 3] and
    `report`: mean, largest and each joint's mean error in millimetres over observed joints, frames in which a knee or
    an elbow is bent backwards, iterations. Raises DataError for what is no person on `smpl22`, NumericError for NaN.
    """
    motion = person.motion
    targets, trust = checked(motion.positions, motion.joints, person.confidence)
    if contacts is not None and contacts.shape not in (targets.shape[:2], (len(targets), 24)):
        raise DataError(f"the contacts have shape {contacts.shape}, the motion needs {tuple(targets.shape[:2])}")
    resize = model.pose_directions is None if resize is None else resize
    targets, seen = _completed(targets, trust), (trust > 0).any(0)
    standing = _standing(targets, seen, motion.fps) if contacts is None else torch.as_tensor(contacts[:, :22])
    rest = torch.as_tensor(model.rest, dtype=torch.float64)
    recorded = _recorded(motion)
    if resize:
        rest = start_rest(targets, trust, standing, rest, recorded)
        directions = _resizing(rest)
        start = torch.zeros(directions.shape[-1], dtype=torch.float64)
        began = rest
    else:
        of_joints = torch.as_tensor(model.joint_directions, dtype=torch.float64)
        directions = torch.stack([offsets_of(column) for column in of_joints.unbind(-1)], -1)
        start = _betas_from_lengths(targets, trust, rest, directions)
        began = rest + of_joints @ start
    precision = torch.full_like(start, (_RESIZE if resize else _BETA) * len(targets))
    if recorded is None:
        posed = start_pose(targets, seen, began)
    else:
        recorded = _along_bones(recorded, targets, began)
        posed = local_rotations(recorded, _SMPL24.parents)
    problem = _problem(targets, trust, standing, rest, directions, precision, posed, recorded)
    root = _start_root(targets, trust, began)
    state, iterations = solve(problem, State(posed, root, start))
    offsets = offsets_at(problem, state.shape)
    body = model.shaped() if resize else model.shaped(state.shape.numpy())
    if resize:
        body = resized(body, placed_by(offsets, rest[0]).float().numpy())
    if recorded is not None:
        rotations = _with_tips(state.rotations, recorded)
    else:
        rotations = state.rotations if resize else _head_up(state.rotations, problem.prior, seen)
    positions, _ = forward(rotations, offsets, _SMPL24.parents, state.root)
    report = report_of(positions[:, :22], targets, trust, hinge_angles(rotations, offsets), iterations)
    return BodyMotion(
        body,
        rotations.float().numpy(),
        state.root.float().numpy(),
        motion.fps,
        motion.name,
        contacts=on_all_joints(standing.numpy()),
        meta={
            "betas": None if resize else state.shape.float().numpy(),
            "targets": motion.positions,
            "report": report,
        },
    )


def on_all_joints(contacts: np.ndarray) -> np.ndarray:
    """Contacts bool [T, 24] of those of the 22 joints that are fitted; what is beyond the wrists stands nowhere."""
    return np.pad(contacts, ((0, 0), (0, len(_SMPL24.joints) - contacts.shape[1])))


def checked(positions: np.ndarray, joints: tuple[str, ...], confidence: np.ndarray) -> tuple[Tensor, Tensor]:
    """Targets and confidence as float64, or DataError / NumericError; what is not seen is NaN in the targets."""
    if positions.ndim != 3 or positions.shape[1:] != (22, 3) or tuple(joints) != _SMPL22.joints:
        raise DataError(f"a body is fitted to the 22 joints of smpl22 [T, 22, 3], not to {positions.shape}")
    if confidence.shape != positions.shape[:2]:
        raise DataError(f"the confidence has shape {confidence.shape}, the motion needs {positions.shape[:2]}")
    if not len(positions):
        raise DataError("the motion has no frames; a fit needs at least one")
    targets = torch.as_tensor(positions, dtype=torch.float64)
    trust = torch.as_tensor(confidence, dtype=torch.float64)
    if not trust.isfinite().all() or (trust < 0).any() or (trust > 1).any():
        raise NumericError("the confidence of a joint must lie between 0 and 1")
    bad = (~targets.isfinite().all(-1) & (trust > 0)).any(1).nonzero()[:, 0].tolist()
    if bad:
        raise NumericError(f"observed joints are not finite in {len(bad)} frames, the first of them {bad[0]}")
    never = [name for joint, name in enumerate(_SMPL22.joints) if not (trust[:, joint] > 0).any()]
    lacking = [name for name in ("left_hip", "right_hip", "left_shoulder", "right_shoulder") if name in never]
    if lacking:
        raise DataError(f"a body cannot be fitted without {', '.join(lacking)}; hips and shoulders must be observed")
    targets = torch.where(trust[..., None] > 0, targets, torch.nan)
    ends = targets.nan_to_num(nan=-torch.inf).amax(1) - targets.nan_to_num(nan=torch.inf).amin(1)
    size = float(ends.amax(-1).clamp_min(0).median())
    if size < _SMALLEST:
        raise DataError(
            f"the joints lie within {size:.3f} m of each other; a person of at least {_SMALLEST} m is needed"
        )
    return targets, trust


def _standing(targets: Tensor, seen: Tensor, fps: float) -> Tensor:
    """Which joints rest on the floor, bool [T, 22], as `feet_contacts` finds them among those that are seen."""
    feet = [[joint for joint in foot if seen[joint]] for foot in _FEET]
    feet = [foot for foot in feet if foot and foot[0] in (_AT["left_ankle"], _AT["right_ankle"])]
    if not feet:
        return torch.zeros(targets.shape[:2], dtype=torch.bool)
    return torch.from_numpy(feet_contacts(targets.numpy(), fps, feet))


def _completed(targets: Tensor, trust: Tensor) -> Tensor:
    """Targets without NaN: missing joints on the straight way between the frames that have them, else at 0."""
    filled = np.zeros(targets.shape)
    frames = np.arange(len(targets))
    for joint in range(targets.shape[1]):
        known = (trust[:, joint] > 0).numpy()
        for axis in range(3) if known.any() else ():
            filled[:, joint, axis] = np.interp(frames, frames[known], targets[:, joint, axis].numpy()[known])
    return torch.from_numpy(filled)


def _recorded(motion: Motion) -> Tensor | None:
    """World rotations [T, 22, 3, 3] as recorded, if they are."""
    if motion.rotations is None:
        return None
    return global_rotations(torch.as_tensor(motion.rotations, dtype=torch.float64), _SMPL22.parents)


def _along_bones(recorded: Tensor, targets: Tensor, rest: Tensor) -> Tensor:
    """World rotations [T, 24, 3, 3] of recorded ones [T, 22, 3, 3], each turned the shortest way along its bone.

    So they agree with the targets [T, 22, 3] on rest joints [24, 3], whose bones differ a little from the source's.
    """
    world, offsets, bones = recorded.clone(), offsets_of(rest), bone_vectors(targets, _SMPL22.parents)
    for joint in range(22):
        children = [child for child in range(22) if _SMPL22.parents[child] == joint]
        if len(children) == 1:
            bone = bones[:, children[0]]
            swing = between_vectors((world[:, joint] @ offsets[children[0]]), bone)
            known = bone.norm(dim=-1) > _TINY
            world[known, joint] = swing[known] @ world[known, joint]
    return world[:, [*range(22), *_HANDS_ON]]


def _with_tips(rotations: Tensor, recorded: Tensor) -> Tensor:
    """Local rotations [T, 24, 3, 3] whose ends, which move no joint, are turned in the world as they were recorded."""
    turned, rotations = global_rotations(rotations, _SMPL24.parents), rotations.clone()
    for joint in _TIPS:
        rotations[:, joint] = turned[:, _SMPL24.parents[joint]].mT @ recorded[:, joint]
    return rotations


def _problem(
    targets: Tensor,
    trust: Tensor,
    standing: Tensor,
    rest: Tensor,
    directions: Tensor,
    precision: Tensor,
    start: Tensor,
    recorded: Tensor | None,
) -> Problem:
    """The weights of everything; see `body.fit.solver`. Recorded rotations stand for all that is known of poses."""
    frames = len(targets)
    offsets = offsets_of(rest)
    prior = pose_prior(offsets)
    weights = _JOINT * trust**2
    steady = (_STEADY + _CONTACT * (standing[:-1] & standing[1:])) * (trust[:-1] * trust[1:]) ** 2
    weights = weights * (1 + standing.to(weights))
    usual = prior.mean.expand(frames, 24, 3).clone()
    mean = (_MEAN / prior.spread**2).expand(frames, 24, 3).clone()
    beyond = torch.where(prior.hinge, _HINGE, _RANGE) * torch.ones_like(prior.low)
    smooth = _smoothness(trust, prior)
    mean[:, 0], beyond[0] = 0.0, 0.0
    level = torch.stack([_level(targets, trust, side) for side in ("left", "right")], -1)
    if recorded is None:
        turned, hold = torch.eye(3, dtype=rest.dtype).expand(frames, 24, 3, 3), torch.zeros_like(mean)
        twists = pose_coordinates(start[:, _UPPER], prior.bone[_UPPER])[0]
        for place, joint in enumerate(_UPPER):
            usual[:, joint, prior.bone[joint]] = twists[:, place, prior.bone[joint]]
        beyond[_ARMS] = 0.0
    else:
        turned, hold = recorded, torch.full_like(mean, _HOLD)
        hold.scatter_(2, prior.bone[None, :, None].expand(frames, 24, 1), _HOLD_TWIST)
        mean, smooth = torch.zeros_like(mean), torch.zeros_like(smooth)
        beyond = torch.where(prior.hinge, beyond, 0.0)
    return Problem(
        targets,
        usual,
        weights,
        steady,
        level,
        mean,
        beyond,
        smooth,
        turned,
        hold,
        offsets,
        directions,
        precision,
        _SMPL24.parents,
        prior,
    )


def _smoothness(trust: Tensor, prior: PosePrior) -> Tensor:
    """How much coordinates hold to those of the next frame [T - 1, 24, 3]: twists, joints whose bone is not seen."""
    smooth = torch.full((len(trust), 24, 3), _SMOOTH_SEEN, dtype=torch.float64)
    smooth.scatter_(2, prior.bone[None, :, None].expand(len(trust), 24, 1), _SMOOTH)
    for joint in range(22):
        below = [child for child in range(22) if _SMPL24.parents[child] == joint]
        unseen = (trust[:, below] == 0).all(1) if below else torch.ones(len(trust), dtype=torch.bool)
        smooth[unseen, joint] = _SMOOTH
    smooth[:, 0] = 0.0
    return smooth[:-1]


def _level(targets: Tensor, trust: Tensor, side: str) -> Tensor:
    """How much a sole should be level [T]: where its toe is not seen, the more the nearer its ankle to the floor."""
    ankle, toe = _AT[f"{side}_ankle"], _AT[f"{side}_foot"]
    height = targets[:, ankle, 1]
    above = (height - height.quantile(0.05)).clamp_min(0)
    return _LEVEL * torch.exp(-((above / 0.1) ** 2)) * (trust[:, toe] == 0)


def _resizing(rest: Tensor) -> Tensor:
    """Ways [24, 3, S] in which offsets may still change, both sides alike: lengths; the places of rigid segments."""
    offsets = offsets_of(rest)
    flip = torch.tensor([-1.0, 1.0, 1.0], dtype=rest.dtype)
    columns = []
    for name in _SMPL24.joints[1:22]:
        part = name.removeprefix("left_")
        if name.startswith("right_"):
            continue
        axes = [torch.nn.functional.normalize(offsets[_AT[name]], dim=0)]
        if part in ("hip", "collar"):
            axes = list(torch.eye(3, dtype=rest.dtype))
        elif part in ("spine1", "neck"):
            axes = list(torch.eye(3, dtype=rest.dtype)[1:])
        for axis in axes:
            column = torch.zeros_like(offsets)
            column[_AT[name]] = axis
            column[_SMPL24.mirror[_AT[name]]] = (
                axis if part == name and _SMPL24.mirror[_AT[name]] == _AT[name] else axis * flip
            )
            columns.append(column)
    return torch.stack(columns, -1)


def _betas_from_lengths(targets: Tensor, trust: Tensor, rest: Tensor, directions: Tensor) -> Tensor:
    """Shape numbers [S] whose bones come nearest to the observed lengths (least squares, a little held at 0)."""
    ratios = length_ratios(targets, trust, rest)
    bones = offsets_of(rest)
    known = [joint for joint in range(22) if not ratios[joint].isnan()]
    units = torch.nn.functional.normalize(bones, dim=-1)
    slopes = (units[:, None] @ directions).squeeze(1)[known]
    gap = (ratios[known] - 1) * bones[known].norm(dim=-1)
    ridge = 1e-4 * torch.eye(slopes.shape[1], dtype=slopes.dtype)
    return torch.linalg.solve(slopes.T @ slopes + ridge, slopes.T @ gap)


def _start_root(targets: Tensor, trust: Tensor, rest: Tensor) -> Tensor:
    """Where the root stands to begin with [T, 3]: its target, or above the middle of the hips."""
    hips = (targets[:, _AT["left_hip"]] + targets[:, _AT["right_hip"]]) / 2
    above = (rest[0] - (rest[_AT["left_hip"]] + rest[_AT["right_hip"]]) / 2).norm()
    guess = hips + above * torch.tensor([0.0, 1.0, 0.0], dtype=targets.dtype)
    return torch.where((trust[:, :1] > 0), targets[:, 0], guess)


def _head_up(rotations: Tensor, prior: PosePrior, seen: Tensor) -> Tensor:
    """Local rotations whose head undoes the neck's usual lean, which tells of the skeletons more than of the person."""
    neck, head = _AT["neck"], _AT["head"]
    if not seen[head]:
        return rotations
    lean = pose_coordinates(rotations[:, [neck]], prior.bone[[neck]])[0][:, 0, 0].median()
    back = -lean.clamp(-_MOST_LEAN, _MOST_LEAN)
    return rotations.index_copy(1, torch.tensor([head]), rotations[:, [head]] @ about_axis("X", back))


def report_of(positions: Tensor, targets: Tensor, trust: Tensor, hinges: Tensor, iterations: int) -> dict[str, Any]:
    """How well the joints are met, over those that are observed (over the derived ones where none is)."""
    errors = 1000 * (positions - targets).norm(dim=-1)
    observed = trust >= 1 if (trust >= 1).any() else trust > 0
    each = torch.where(observed, errors, torch.nan).nanmean(0)
    backwards = (hinges < -BACKWARDS).any(-1)
    return {
        "mean_error_mm": float(errors[observed].mean()),
        "max_error_mm": float(errors[observed].max()),
        "joint_error_mm": {
            name: float(value) for name, value in zip(_SMPL22.joints, each, strict=True) if value == value
        },
        "frames_bent_backwards": int(backwards.sum()),
        "bent_backwards": {name: int(count) for name, count in zip(HINGES, (hinges < -BACKWARDS).sum(0), strict=True)},
        "iterations": iterations,
    }
