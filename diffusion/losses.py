"""What a denoiser is trained on: masked squared errors of motion, of its differences over time, of joints and goals.

The terms of MDM (Tevet et al. 2023, section 3; target loss: CLoSD, Tevet et al. 2025) carry their published names.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from diffusion.process import Process
from utils.run.errors import UsageError


def loss_weights(kind: str, process: Process) -> np.ndarray:
    """Weight of each timestep [N]: `uniform` 1, `inv_sqrt_noise` 1/sqrt(1 - abar), `inv_noise` 1/(1 - abar)."""
    power = {"uniform": 0.0, "inv_sqrt_noise": 0.5, "inv_noise": 1.0}[kind]
    return (1 - process.abar) ** -power


def masked_error(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the seen numbers of each sample [B]; 0 where nothing is seen.

    output, target [B, T, J, C] or [B, T, F]; mask of the same shape, or 1 in any of J, C and F, counted per number.
    """
    mask = mask.expand_as(target)
    squared = (target - output).square() * mask
    return squared.flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1)


def velocity_error(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """`masked_error` of the differences between neighbouring frames, both of which must be seen [B]."""
    if target.shape[1] < 2:
        return torch.zeros(len(target), device=target.device)
    return masked_error(output.diff(dim=1), target.diff(dim=1), mask[:, 1:] * mask[:, :-1])


FEET = (7, 8, 10, 11)  # ankles and toes of the SMPL joints
STILL = 0.01  # metres a frame below which a foot stands
HEADINGS = {"published": math.pi, "full": 2 * math.pi}  # the turn after which two headings count as one


def foot_contact_error(output: Tensor, target: Tensor, mask: Tensor, still: float = STILL) -> Tensor:
    """`fc`: squared way per frame of predicted feet that stand in the target, mean over all feet [B].

    output, target: SMPL joints [B, T, 24, 3] in metres; mask [B, T, 1, 1]. A foot stands between two frames if it
    moves at most `still`; moving feet count as 0 in the mean.
    """
    moved, wanted = (joints[:, :, FEET].diff(dim=1) for joints in (output, target))
    standing = torch.linalg.vector_norm(wanted, dim=-1, keepdim=True) <= still
    return masked_error(moved * standing, torch.zeros_like(moved), mask[:, 1:] * mask[:, :-1])


def goal_error(output: Tensor, goal: Tensor, requested: Tensor, heading: str = "published") -> Tensor:
    """`target_loc`: squared distance of the places reached from those asked for, plus that of the headings [B].

    output, goal [B, G, 3], asked [B, G] bool. Row G-1 is the heading in radians (its first number), row G-2 the
    trajectory, whose height does not count; the mean is over the coordinates asked for. `heading` published takes
    front and back for the same (a period of pi), full tells them apart.
    """
    counted = requested[:, :-1, None].repeat(1, 1, 3)
    counted[:, -1, 1] = False
    period = HEADINGS[heading]
    turn = output[:, -1, 0] - goal[:, -1, 0]
    wrapped = torch.remainder(turn + period / 2, period) - period / 2
    return masked_error(output[:, :-1], goal[:, :-1], counted) + wrapped.square() * requested[:, -1]


def motion_terms(
    output: Tensor,
    target: Tensor,
    mask: Tensor,
    weights: Mapping[str, float],
    row: int = 1,
    last_row: str = "dropped",
    joints_of: Callable[[Tensor], Tensor] | None = None,
    missed_goal: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """The loss of MDM [B] under `loss`, and each of its terms [B] under its published name, unweighted.

    output, target [B, T, F]: x_0 predicted and true; mask [B, T, 1]. `weights` of vel_mse, rcxyz_mse, fc and
    target_loc (absent or 0: not computed; rot_mse has weight 1). Velocities leave out the last `row` features, if
    `last_row` is dropped: of rotations (rows of 6) that is the translation, as meant; of HumanML3D's features (rows of
    1) a foot contact, by oversight: `kept` counts it. `joints_of` gives the joints [B, T, 24, 3] of features for
    rcxyz_mse and fc, `missed_goal` the target_loc [B] of an output. Raises UsageError for a term without its function.
    """
    wanted = {name for name, weight in weights.items() if weight}
    terms = {"rot_mse": masked_error(output, target, mask)}
    if "vel_mse" in wanted:
        span = target.shape[-1] - (row if last_row == "dropped" else 0)
        terms["vel_mse"] = velocity_error(output[..., :span], target[..., :span], mask)
    if joints_of and wanted & {"rcxyz_mse", "fc"}:
        joints, seen = (joints_of(output), joints_of(target)), mask[..., None]
        if "rcxyz_mse" in wanted:
            terms["rcxyz_mse"] = masked_error(*joints, seen)
        if "fc" in wanted:
            terms["fc"] = foot_contact_error(*joints, seen)
    if missed_goal and "target_loc" in wanted:
        terms["target_loc"] = missed_goal(output)
    if unknown := wanted - set(terms):
        flags = ", ".join(f"--lambda_{name.removesuffix('_mse')}" for name in sorted(unknown))
        raise UsageError(f"{flags}: this kind of motion has no such loss; leave it at 0")
    loss = sum((weights[name] * term for name, term in terms.items() if name in wanted), terms["rot_mse"])
    return terms | {"loss": loss}
