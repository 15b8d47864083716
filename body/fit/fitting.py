"""A body fitted to the joints of a clip: one shape, a pose for each frame, all frames at once.

Only joints are in the loop (forward kinematics); the mesh is posed once, by whoever wants it. The sum that is made
small and how stand in `body.fit.solver`, where it begins in `body.fit.start`. A body whose shape is told by
numbers (SMPL) gets those numbers by least squares; the free body's joints are moved to the person's proportions.
Joints that are only derived count less, missing ones not at all; what joints do not show (twists of straight limbs,
hands, the head's turn) is as it was recorded, where rotations are, else it stays near a relaxed pose and changes
slowly. Long clips are solved in windows (`body.fit.windows`).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from body.fit.pose_prior import HINGES, PosePrior, hinge_angles, pose_coordinates, pose_prior
from body.fit.recorded import along_bones, with_tips, world_rotations
from body.fit.solver import Problem, State
from body.fit.start import length_ratios, placed_by, start_pose, start_rest
from body.fit.windows import solve_clip, stored
from body.models import BodyModel
from model.poses.denoising import noise_of
from utils.geometry.body import BodyMotion, resized
from utils.geometry.contacts import feet_contacts
from utils.geometry.joint_maps import Fittable
from utils.geometry.kinematics import forward, local_rotations
from utils.geometry.rest import offsets_of
from utils.geometry.rotations import about_axis
from utils.geometry.skeleton import SKELETONS
from utils.geometry.spans import over_spans
from utils.run.errors import DataError, NumericError

_SMPL22 = SKELETONS["smpl22"]
_SMPL24 = SKELETONS["smpl24"]
_AT = {name: joint for joint, name in enumerate(_SMPL24.joints)}
_ARMS = [_AT["left_shoulder"], _AT["right_shoulder"]]
_UPPER = [_AT["left_hip"], _AT["right_hip"], *_ARMS]  # joints about whose bone nothing turns but what bends below
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
_PLAUSIBLE = 2000.0  # for each unit of a learned prior's distance: 12 / radian^2 for the turn of one joint
_NOISY = 0.01  # metres of noise at which that weight is half of what it is for joints that are missing
_GAP = 60  # frames that a joint is missing at most to be filled in from before and after, which tell more than a prior
_BETA = 0.2
_RESIZE = 0.1 * _JOINT
_SMALLEST = 0.3  # metres from end to end: what is smaller is no person, or in other units
_MOST_LEAN = np.deg2rad(35)
BACKWARDS = np.deg2rad(5)  # beyond this a knee or an elbow is bent backwards


@dataclass(frozen=True)
class _Wanted:
    """What is wanted of each frame: joints and trust in them [T, 22], which stand, how level soles should be [T, 2].

    `twists` [T, 4] are those of `_UPPER`, `recorded` [T, 24, 3, 3] world rotations where there are some, `plausible`
    [T] the weight of the learned prior, where there is one.
    """

    targets: Tensor
    trust: Tensor
    standing: Tensor
    level: Tensor
    twists: Tensor
    recorded: Tensor | None
    plausible: Tensor | None

    def part(self, span: slice) -> "_Wanted":
        """Some neighbouring frames."""
        return _Wanted(
            self.targets[span],
            self.trust[span],
            self.standing[span],
            self.level[span],
            self.twists[span],
            None if self.recorded is None else self.recorded[span],
            None if self.plausible is None else self.plausible[span],
        )


def fit(
    person: Fittable,
    model: BodyModel,
    contacts: np.ndarray | None = None,
    resize: bool | None = None,
    network: nn.Module | None = None,
) -> BodyMotion:
    """The motion of a body, on 24 joints, whose first 22 follow a person's; hands go with their wrists.

    `contacts` bool [T, 22 or 24] are joints that stand on the floor: their error is held the more and held steady.
    `resize` moves the rest joints to the person's proportions instead of fitting betas; the default does so for bodies
    without pose-dependent shape (the free body). `network` is a learned pose prior (Pose-NDF), whose distance is made
    small too; clips with recorded rotations need none. `meta` gets `betas` (None if resized), `targets` [T, 22, 3] and
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
    kept = stored(len(targets))
    recorded = world_rotations(motion, kept)
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
    recorded = None if recorded is None else along_bones(recorded, targets, began)
    posed = start_pose(targets, seen, began).to(kept) if recorded is None else over_spans(_local, recorded)
    prior = pose_prior(offsets_of(rest))
    learned = network if recorded is None else None
    plausible = None if learned is None else _PLAUSIBLE * _uncertain(targets, trust)
    wanted = _Wanted(targets, trust, standing, _level(targets, trust), _twists(posed, prior), recorded, plausible)
    state = State(posed, _start_root(targets, trust, began), start)
    problem = partial(_problem, wanted, offsets_of(rest), directions, precision, prior, learned)
    state, iterations = solve_clip(problem, state)
    offsets = offsets_of(rest) + directions @ state.shape
    body = model.shaped() if resize else model.shaped(state.shape.numpy())
    if resize:
        body = resized(body, placed_by(offsets, rest[0]).float().numpy())
    rotations = state.rotations
    if recorded is not None:
        rotations = over_spans(with_tips, rotations, recorded)
    elif not resize:
        rotations = _head_up(rotations, prior, seen)
    report = _reported(rotations, state.root, offsets, targets, trust, iterations)
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


def _local(world: Tensor) -> Tensor:
    return local_rotations(world.double(), _SMPL24.parents).to(world)


def _twists(start: Tensor, prior: PosePrior) -> Tensor:
    """How arms and legs are turned about themselves to begin with [T, 4], as their pose coordinates have it."""
    values = over_spans(lambda turned: pose_coordinates(turned[:, _UPPER].double(), prior.bone[_UPPER])[0], start)
    return values.gather(-1, prior.bone[_UPPER].expand(len(values), -1)[..., None]).squeeze(-1)


def _problem(
    wanted: _Wanted,
    offsets: Tensor,
    directions: Tensor,
    precision: Tensor,
    prior: PosePrior,
    network: nn.Module | None,
    span: slice,
) -> Problem:
    """The weights of everything in neighbouring frames; see `body.fit.solver`.

    Recorded rotations stand for all that is known of poses.
    """
    wanted = wanted.part(span)
    trust, standing, frames = wanted.trust, wanted.standing, len(wanted.trust)
    weights = _JOINT * trust**2
    steady = (_STEADY + _CONTACT * (standing[:-1] & standing[1:])) * (trust[:-1] * trust[1:]) ** 2
    weights = weights * (1 + standing.to(weights))
    usual = prior.mean.expand(frames, 24, 3).clone()
    mean = (_MEAN / prior.spread**2).expand(frames, 24, 3).clone()
    beyond = torch.where(prior.hinge, _HINGE, _RANGE) * torch.ones_like(prior.low)
    smooth = _smoothness(trust, prior)
    mean[:, 0], beyond[0] = 0.0, 0.0
    if wanted.recorded is None:
        turned, hold = torch.eye(3, dtype=offsets.dtype).expand(frames, 24, 3, 3), torch.zeros_like(mean)
        usual[:, _UPPER, prior.bone[_UPPER]] = wanted.twists
        beyond[_ARMS] = 0.0  # where an elbow is says more
    else:
        turned, hold = wanted.recorded.to(mean), torch.full_like(mean, _HOLD)
        hold.scatter_(2, prior.bone[None, :, None].expand(frames, 24, 1), _HOLD_TWIST)
        mean, smooth = torch.zeros_like(mean), torch.zeros_like(smooth)
        beyond = torch.where(prior.hinge, beyond, 0.0)
    return Problem(
        wanted.targets,
        usual,
        weights,
        steady,
        wanted.level,
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
        network=network,
        plausible=wanted.plausible,
    )


def _uncertain(targets: Tensor, trust: Tensor) -> Tensor:
    """From 0 to 1 [T], how much frames leave to what is known of poses: where joints are missing for long, or noisy."""
    missing = trust == 0
    long = torch.zeros_like(missing)
    for joint in missing.any(0).nonzero()[:, 0].tolist():
        known = torch.nn.functional.pad((~missing[:, joint]).nonzero()[:, 0], (1, 1), value=-1)
        known[-1] = len(missing)
        for before, after in zip(known[:-1].tolist(), known[1:].tolist(), strict=True):
            long[before + 1 : after, joint] = after - before > _GAP or before < 0 or after == len(missing)
    seen = ~missing.any(0)
    noise = noise_of(targets[:, seen]) if len(targets) > 4 and seen.any() else _NOISY
    return torch.where(long.any(1), 1.0, noise**2 / (noise**2 + _NOISY**2)).to(targets)


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


def _level(targets: Tensor, trust: Tensor) -> Tensor:
    """How much soles should be level [T, 2]: where the toe is not seen, the more the nearer its ankle to the floor."""
    levels = []
    for side in ("left", "right"):
        ankle, toe = _AT[f"{side}_ankle"], _AT[f"{side}_foot"]
        height = targets[:, ankle, 1]
        above = (height - height.quantile(0.05)).clamp_min(0)
        levels.append(_LEVEL * torch.exp(-((above / 0.1) ** 2)) * (trust[:, toe] == 0))
    return torch.stack(levels, -1)


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
    lean = pose_coordinates(rotations[:, [neck]].to(prior.mean), prior.bone[[neck]])[0][:, 0, 0].median()
    back = -lean.clamp(-_MOST_LEAN, _MOST_LEAN).to(rotations)
    return rotations.index_copy(1, torch.tensor([head]), rotations[:, [head]] @ about_axis("X", back))


def _reported(
    rotations: Tensor, root: Tensor, offsets: Tensor, targets: Tensor, trust: Tensor, iterations: int
) -> dict[str, Any]:
    """`report_of` a body's local rotations [T, 24, 3, 3], places of its root [T, 3] and offsets [24, 3]."""
    positions = over_spans(
        lambda rotations, root: forward(rotations.double(), offsets, _SMPL24.parents, root)[0][:, :22], rotations, root
    )
    hinges = over_spans(lambda rotations: hinge_angles(rotations.double(), offsets), rotations)
    return report_of(positions, targets, trust, hinges, iterations)


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
