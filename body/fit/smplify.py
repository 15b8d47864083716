"""`--fit smplify`: the objective and the optimiser of the published programs, for comparison.

SMPLify on 3D joints (Bogo et al. 2016; joints2smpl of Zuo et al., which MDM and MAS carry): L-BFGS on axis-angles, each
frame with a shape of its own, nothing that couples frames. Constants are joints2smpl's. Two things differ. Joints come
from forward kinematics alone (the vertices never enter the published loss either). The prior on poses is the Gaussian
of `body.fit.pose_prior`, for the mixture gmm_08 may not be passed on (the user's own copy in `body_models/smpl` is
taken), and so is the pose that it begins with.

B frames, 24 joints; body_pose [B, 69], betas [B, S], global_orient [B, 3], camera_t [B, 3].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from body.fit.fitting import checked, report_of
from body.fit.pose_prior import hinge_angles, pose_prior
from body.models import SMPL_FOLDER, BodyModel
from utils.geometry.body import BodyMotion
from utils.geometry.joint_maps import Fittable
from utils.geometry.kinematics import forward
from utils.geometry.rest import offsets_of
from utils.geometry.rotations import axis_angle_to_matrix
from utils.run.arrays import load_pickle
from utils.run.errors import DataError

NOTE = (
    "fitted by the published objective (SMPLify on 3D joints, L-BFGS, {iterations} iterations, a shape for each "
    "frame), with {prior}; the body has the mean of those shapes"
)
PRIOR_FILE = SMPL_FOLDER / "gmm_08.pkl"  # taken where the user put it
_SIGMA = 100.0  # metres: no robustness in effect
_JOINT, _POSE, _ANGLE, _SHAPE, _PRESERVE, _DEPTH = 600.0, 4.78 * 1.5, 15.2, 5.0, 5.0, 100.0
_TORSO = [2, 1, 17, 16]  # right hip, left hip, right shoulder, left shoulder


@dataclass(frozen=True)
class Mixture:
    """Gaussians over body poses: means [M, D], precision matrices [M, D, D], logarithms of their weights [M]."""

    means: Tensor
    precisions: Tensor
    log_weights: Tensor


@dataclass(frozen=True)
class Terms:
    """The parts of the loss of stage 2, each weighted, [B]."""

    joints: Tensor
    pose: Tensor
    angle: Tensor
    shape: Tensor
    preserve: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum over all frames."""
        return (self.joints + self.pose + self.angle + self.shape + self.preserve).sum()


def mixture(means: Tensor, covariances: Tensor, weights: Tensor) -> Mixture:
    """The prior of means [M, D], covariances [M, D, D] and weights [M].

    A weight is divided by (2 pi)^34.5 times the root of its covariance's determinant over the smallest one, in
    logarithms: in float32, as published, one weight of gmm_08 underflows to 0.
    """
    roots = torch.linalg.slogdet(covariances.double()).logabsdet / 2
    log_weights = weights.double().log() - means.shape[1] / 2 * math.log(2 * math.pi) - (roots - roots.min())
    return Mixture(means, torch.linalg.inv(covariances.double()).to(means), log_weights.to(means))


def read_mixture(path: str | Path) -> Mixture:
    """The prior of a file of SMPLify (`gmm_08.pkl`); opening it runs no code. Raises MissingFileError or DataError."""
    content = load_pickle(path, encoding="latin1")
    try:
        means, covariances, weights = (
            torch.as_tensor(np.asarray(content[key], np.float64)) for key in ("means", "covars", "weights")
        )
        if means.shape[1:] != (69,) or covariances.shape != (len(means), 69, 69) or weights.shape != (len(means),):
            raise ValueError(f"means {tuple(means.shape)}, covars {tuple(covariances.shape)}")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{path} is not a mixture over the 69 numbers of a body pose: {error}") from error
    prior = mixture(means, covariances, weights.flatten())
    return Mixture(*(part.float() for part in (prior.means, prior.precisions, prior.log_weights)))


def own_prior(offsets: Tensor) -> Mixture:
    """A single Gaussian with the mean and the spread of `visualize.pose_prior`, for a body of offsets [24, 3]."""
    prior = pose_prior(offsets)
    mean, spread = prior.mean[1:].flatten().float(), prior.spread[1:].flatten().float()
    return mixture(mean[None], torch.diag(spread**2)[None], torch.ones(1))


def pose_term(body_pose: Tensor, prior: Mixture) -> Tensor:
    """Negative logarithm of the likeliest component [B]."""
    away = body_pose[:, None] - prior.means
    distance = 0.5 * ((prior.precisions @ away[..., None]).squeeze(-1) * away).sum(-1)
    return (distance - prior.log_weights).amin(-1)


def angle_term(body_pose: Tensor) -> Tensor:
    """Knees and elbows that bend the wrong way [B, 4]: exp(angle)^2 of left and right elbow, left and right knee."""
    signs = torch.tensor([1.0, -1.0, -1.0, -1.0]).to(body_pose)
    return torch.exp(body_pose[:, [52, 55, 9, 12]] * signs) ** 2


def gmof(x: Tensor, sigma: float) -> Tensor:
    """Geman and McClure's robust error."""
    return sigma**2 * x**2 / (sigma**2 + x**2)


def start_translation(joints: Tensor, targets: Tensor) -> Tensor:
    """Mean way [B, 3] from model joints to targets [B, >= 22, 3] at hips and shoulders."""
    return (targets[:, _TORSO] - joints[:, _TORSO]).mean(1)


def camera_loss(joints: Tensor, camera_t: Tensor, started: Tensor, targets: Tensor) -> Tensor:
    """Loss of stage 1: hips and shoulders, and the way from the translation at the start; all frames.

    The factor 4 of the second part comes from a broadcast in the published program.
    """
    error = (targets[:, _TORSO] - joints[:, _TORSO] - camera_t[:, None]) ** 2
    return error.sum() + 4 * _DEPTH**2 * ((camera_t - started) ** 2).sum()


def body_terms(
    joints: Tensor,
    camera_t: Tensor,
    targets: Tensor,
    confidence: Tensor,
    body_pose: Tensor,
    preserve: Tensor,
    betas: Tensor,
    prior: Mixture,
) -> Terms:
    """Parts of the loss of stage 2 for model joints [B, >= J, 3] and targets [B, J, 3], confidence [J] or [B, J]."""
    error = gmof(joints[:, : targets.shape[1]] + camera_t[:, None] - targets, _SIGMA).sum(-1)
    return Terms(
        _JOINT**2 * (confidence**2 * error).sum(-1),
        _POSE**2 * pose_term(body_pose, prior),
        _ANGLE**2 * angle_term(body_pose).sum(-1),
        _SHAPE**2 * (betas**2).sum(-1),
        _PRESERVE**2 * ((body_pose - preserve) ** 2).sum(-1),
    )


def joints_at(model: BodyModel, body_pose: Tensor, betas: Tensor, global_orient: Tensor) -> Tensor:
    """Joints [B, 24, 3] of a model, without translation, by forward kinematics."""
    rest = torch.as_tensor(model.rest).to(betas) + (
        betas @ torch.as_tensor(model.joint_directions).to(betas).flatten(0, 1).T
    ).unflatten(-1, (24, 3))
    start = [max(parent, 0) for parent in model.parents]
    local = axis_angle_to_matrix(torch.cat([global_orient, body_pose], -1).unflatten(-1, (24, 3)))
    return forward(local, rest - rest[:, start], model.parents, rest[:, 0])[0]


def fit(person: Fittable, model: BodyModel, iterations: int = 150) -> BodyMotion:
    """The published fit of a clip. `meta` is that of `body.fit.fitting.fit`, with `note` and `evaluations`.

    `report` tells the errors of the fit, whose frames have shapes of their own, and `as_exported_mm`, the mean error of
    the motion that is returned, whose body has one shape. Raises DataError and NumericError.
    """
    wanted, trust = checked(person.motion.positions, person.motion.joints, person.confidence)
    targets, confidence = wanted.nan_to_num().float(), trust.float()
    offsets = offsets_of(torch.as_tensor(model.rest))
    own = own_prior(offsets)
    prior = read_mixture(PRIOR_FILE) if PRIOR_FILE.is_file() else own
    frames = len(targets)
    preserve = own.means.expand(frames, -1).clone()
    body_pose, betas = preserve.clone(), torch.zeros(frames, model.joint_directions.shape[-1])
    orient = torch.zeros(frames, 3)
    started = start_translation(joints_at(model, body_pose, betas, orient), targets)
    camera_t = started.clone()

    def first() -> Tensor:
        return camera_loss(joints_at(model, body_pose, betas, orient), camera_t, started, targets)

    def second() -> Tensor:
        joints = joints_at(model, body_pose, betas, orient)
        return body_terms(joints, camera_t, targets, confidence, body_pose, preserve, betas, prior).total

    evaluations = _minimise(first, [orient, camera_t], iterations, 10)
    evaluations += _minimise(second, [body_pose, betas, orient, camera_t], iterations, iterations)
    with torch.no_grad():
        fitted = joints_at(model, body_pose, betas, orient) + camera_t[:, None]
        shape = betas.mean(0)
        rotations = axis_angle_to_matrix(torch.cat([orient, body_pose], -1).unflatten(-1, (24, 3)))
        body = model.shaped(shape.numpy())
        exported = forward(rotations, torch.as_tensor(body.offsets), body.parents, fitted[:, 0])[0]
        hinges = hinge_angles(rotations, torch.as_tensor(body.offsets))
        report = report_of(fitted[:, :22], targets, confidence, hinges, iterations)
        exported_report = report_of(exported[:, :22], targets, confidence, hinges, iterations)
    meta: dict[str, Any] = {
        "betas": shape.numpy(),
        "targets": person.motion.positions,
        "report": report | {"as_exported_mm": exported_report["mean_error_mm"]},
        "note": NOTE.format(
            iterations=iterations,
            prior=PRIOR_FILE.name if PRIOR_FILE.is_file() else "our own prior on poses in place of gmm_08",
        ),
        "evaluations": evaluations,
    }
    motion = person.motion
    root = np.ascontiguousarray(fitted[:, 0].numpy())
    return BodyMotion(body, rotations.numpy(), root, motion.fps, motion.name, meta=meta)


def _minimise(loss: Callable[[], Tensor], unknowns: list[Tensor], iterations: int, calls: int) -> int:
    """Minimise a loss over leaf tensors as published: so many calls of L-BFGS; returns how often it was evaluated."""
    for unknown in unknowns:
        unknown.requires_grad_(True)
    optimiser = torch.optim.LBFGS(unknowns, lr=1e-2, max_iter=iterations, line_search_fn="strong_wolfe")
    count = 0

    def closure() -> Tensor:
        nonlocal count
        count += 1
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    for _ in range(calls):
        optimiser.step(closure)  # pyright: ignore[reportArgumentType]
    for unknown in unknowns:
        unknown.requires_grad_(False)
    return count
