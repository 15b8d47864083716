"""Noisy clips made clean by a pose prior, and how near that comes to the truth, where there is one.

HuMoR's layout: folders `<clip>/observations.npz`, with `gt_results.npz` beside it where the truth is known, whose
`pose_body` [T, 63] are axis-angles, and `root_orient` and `trans` [T, 3], where they hold these, the root's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from body.from_joints import Say, on_person
from body.models import load_body
from body.options import BodyOptions
from body.posing.bodies import joint_degrees, posed
from body.posing.sources import Poses, body_of, read_poses
from model.poses.denoising import WIDTHS, Given, denoise, noise_of, turning_noise_of, unflipped
from sample.options import PosesOptions
from sample.posing.tasks import CLIP_FPS, Outcome, distances_of
from utils.geometry.body import BodyMotion
from utils.geometry.joint_maps import to_smpl
from utils.geometry.kinematics import forward
from utils.geometry.rotations import axis_angle_to_quaternion, matrix_to_quaternion, quaternion_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.geometry.smoothing import derivative, gaussian_over_time
from utils.run.arrays import array_names, load_archive
from utils.run.errors import DataError, MissingFileError
from utils.run.progress import Callback, ignored

OBSERVED, TRUE = "observations.npz", "gt_results.npz"
PARENTS = SKELETONS["smpl22"].parents
_SECONDS = 1 / 15  # the width of the filter whose clip a body is fitted to before anything else
_LEAST = 1e-3  # metres and radians of noise


@dataclass(frozen=True)
class Take:
    """A noisy clip and the true one, where that is known."""

    noisy: Poses
    true: Poses | None = None


def read_takes(options: PosesOptions, body: BodyOptions, say: Say) -> list[Take]:
    """The clips of a file, or of a folder in HuMoR's layout, with their truth.

    Raises UsageError, MissingFileError, and DataError where clip and truth are not as long as each other.
    """
    path = Path(body.input_path)
    files = sorted(path.rglob(OBSERVED)) if path.is_dir() else [path]
    if not files:
        raise MissingFileError(f"{path} holds no {OBSERVED}, as HuMoR's layout has them: <clip>/{OBSERVED}")
    takes = []
    for file in files:
        layout = file.name == OBSERVED
        truth = Path(options.truth) if options.truth else file.with_name(TRUE)
        noisy = read_poses(replace(body, input_path=str(file)), options.order, say)
        noisy = [replace(each, name=file.parent.name) for each in noisy] if layout else noisy
        known = bool(options.truth) or layout and truth.is_file()
        true = read_poses(replace(body, input_path=str(truth)), options.order, say) if known else [None] * len(noisy)
        if len(true) != len(noisy):
            raise DataError(f"{truth} holds {len(true)} clips and {file} {len(noisy)}: each needs its own truth")
        takes += [Take(*pair) for pair in zip(noisy, true, strict=True)]
    for take in takes:
        if take.true is not None and len(take.true.poses) != len(take.noisy.poses):
            raise DataError(
                f"{take.noisy.name} has {len(take.noisy.poses)} frames and its truth {len(take.true.poses)}: they are "
                "compared frame by frame"
            )
    return takes


def denoised(
    network: nn.Module,
    options: PosesOptions,
    body: BodyOptions,
    takes: Sequence[Take],
    say: Say,
    callback: Callback = ignored,
) -> list[Outcome]:
    """Clips made clean; `say` is told their noise, and how far they are from the truth where that is known."""
    made = []
    for number, take in enumerate(takes):
        noisy = take.noisy
        placed = noisy.clip is not None and noisy.body is not None
        first, given, lift = (joints_given if placed else rotations_given)(noisy, options, body, say)
        found = denoise(network, given, options.max_steps)
        after = found.rotations[:, 1:].float()
        rotations = first.rotations.copy()
        rotations[:, 0] = quaternion_to_matrix(found.rotations[:, 0]).float().numpy() if placed else rotations[:, 0]
        root = found.root.float().numpy() if placed else first.root
        motion = posed(replace(first, rotations=rotations, root=root), after)
        if noisy.kind not in ("amass", "motion"):
            motion = body_of(replace(noisy, poses=after), body, given.fps)
        motion = replace(motion, name=noisy.name)
        unit = f"{100 * given.metres:.1f} cm" if placed else f"{np.rad2deg(given.radians):.1f} degrees"
        say(f"{noisy.name}: noise of about {unit}, {len(found.history) - 1} steps")
        if take.true is not None:
            degrees = float(joint_degrees(after, take.true.poses).mean())
            say(f"{noisy.name}: {_told(compared(take, given, lift, found.rotations, found.root), degrees)}")
        far, near = distances_of(network, noisy.poses), distances_of(network, after)
        first = replace(first, name=noisy.name)
        made.append(Outcome(noisy.name, noisy.poses, after, far, near, motion, source=noisy, first=first))
        callback(number + 1, len(takes))
    return made


def joints_given(
    noisy: Poses, options: PosesOptions, body: BodyOptions, say: Say
) -> tuple[BodyMotion, Given, np.ndarray]:
    """A clip known by its joints: a body fitted to it smoothed, what is given, and how the fit moved it [T, 22, 3]."""
    assert noisy.clip is not None
    person = to_smpl(noisy.clip)
    places, fps = person.motion.positions, person.motion.fps
    smooth = replace(person.motion, positions=gaussian_over_time(places, max(_SECONDS * fps, 0.3)).astype(np.float32))
    first, _ = on_person(replace(person, motion=smooth), replace(body, fit="gauss_newton"), load_body(body.body))
    lift = first.meta["targets"] - smooth.positions
    rotations = matrix_to_quaternion(torch.from_numpy(first.rotations[:, :22]).double())
    noise = noise_of(torch.from_numpy(places[:, person.confidence.all(0)]))
    given = Given(
        rotations, torch.from_numpy(first.root), torch.from_numpy(first.body.offsets[:22]), fps,
        positions=torch.from_numpy(places + lift), trust=torch.from_numpy(person.confidence), metres=max(noise, _LEAST),
    )  # fmt: skip
    return first, given, lift


def rotations_given(
    noisy: Poses, options: PosesOptions, body: BodyOptions, say: Say
) -> tuple[BodyMotion, Given, np.ndarray]:
    """A clip known by its rotations, on a body whose root goes where the file says, or stays."""
    fps = noisy.fps or options.pose_fps or CLIP_FPS
    first = posed(body_of(noisy, body, fps, say), noisy.poses)
    turned, root = _root_of(noisy, first)
    rotations = torch.cat([turned[:, None], noisy.poses.double()], 1)
    noise = max(turning_noise_of(rotations[:, 1:]), _LEAST)
    given = Given(rotations, root, torch.from_numpy(first.body.offsets[:22]), fps, radians=noise)
    return first, given, np.zeros((1, 1, 3), np.float32)


def _root_of(noisy: Poses, first: BodyMotion) -> tuple[Tensor, Tensor]:
    """Rotations [T, 4] and path [T, 3] of the root, as the file has them: at rest where it has none."""
    frames = len(noisy.poses)
    if noisy.kind in ("amass", "motion"):
        return matrix_to_quaternion(torch.from_numpy(first.rotations[:, 0]).double()), torch.from_numpy(first.root)
    told = [name for name in ("root_orient", "trans") if noisy.key and name in array_names(noisy.path)]
    content = load_archive(noisy.path, told) if told else {}
    for name, values in content.items():
        if values.shape != (frames, 3) or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise DataError(f"{noisy.path}: {name} is {values.dtype} {values.shape}, not finite numbers [{frames}, 3]")
    still = np.zeros((frames, 3))
    turned, path = (torch.from_numpy(content.get(name, still).astype(np.float64)) for name in ("root_orient", "trans"))
    return axis_angle_to_quaternion(turned), path


@dataclass(frozen=True)
class Compared:
    """Mean distance of joints to the truth, millimetres, and jitter: of a result, what was given, filtered, the truth.

    `width`, frames, is that of the Gaussian filter which comes nearest to the truth.
    """

    errors: dict[str, float]
    jitters: dict[str, float]
    width: float


def compared(take: Take, given: Given, lift: np.ndarray, rotations: Tensor, root: Tensor) -> Compared:
    """How near rotations [T, 22, 4] and a root's path [T, 3] come to the truth."""
    assert take.true is not None
    if given.positions is not None and take.true.clip is not None:
        true = to_smpl(take.true.clip).motion.positions + lift
        noisy = given.positions.numpy()
        filtered = [gaussian_over_time(noisy, width) for width in WIDTHS]
    else:
        true_turns = torch.cat([given.rotations[:, :1], take.true.poses.double()], 1)
        true, noisy = (_joints(given, turns, given.root) for turns in (true_turns, given.rotations))
        filtered = [_joints(given, _filtered(given.rotations, width), given.root) for width in WIDTHS]
    best = int(np.argmin([_error(each, true) for each in filtered]))
    found = _joints(given, rotations, root)
    each = {"after": found, "as given": noisy, "Gaussian filter": filtered[best], "truth": true}
    errors = {name: _error(joints, true) for name, joints in each.items()}
    jitters = {name: float(derivative(joints, given.fps, 3)) / 10 for name, joints in each.items()}
    return Compared(errors, jitters, WIDTHS[best])


def _told(compared: Compared, degrees: float) -> str:
    """The comparison in a sentence; `degrees` is how far joints are turned from the truth."""
    off = {name: f"{error:.1f} mm, " for name, error in compared.errors.items() if name != "truth"}
    parts = [f"{name}: {off.get(name, '')}jitter {jitter:.1f}" for name, jitter in compared.jitters.items()]
    return (
        f"joints off the truth, {'; '.join(parts)} (filter of {compared.width:g} frames; {degrees:.1f} degrees a joint)"
    )


def _joints(given: Given, rotations: Tensor, root: Tensor) -> np.ndarray:
    """Joints [T, 22, 3] of rotations on the skeleton of the clip."""
    return forward(quaternion_to_matrix(rotations.double()), given.offsets.double(), PARENTS, root.double())[0].numpy()


def _filtered(rotations: Tensor, width: float) -> Tensor:
    """Rotations [T, 22, 4] after a Gaussian filter of their quaternions."""
    return torch.from_numpy(gaussian_over_time(unflipped(rotations).numpy(), width))


def _error(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance in millimetres of joints [T, J, 3]."""
    return 1000 * float(np.linalg.norm(one - other, axis=-1).mean())
