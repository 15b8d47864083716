"""What a diffusion model is trained on beside the error of x_0, and the goals that it may be conditioned on."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from data_loaders.points.keypoints import denormalise
from data_loaders.registry import DatasetSpec
from data_loaders.representations import hml, joints_of
from data_loaders.text.folders import own
from data_loaders.text.goals import choices, goals_reached, sample_goals
from diffusion.losses import goal_error, motion_terms
from model.options import GOALS, ModelOptions
from train.options import TrainingOptions
from train.tasks.diffusion import Batch
from utils.run.errors import UsageError

WITH_FEET = ("humanml", "mocap", "humanact12", "uestc")  # datasets whose joints 7, 8, 10 and 11 are feet, in metres


def terms(
    spec: DatasetSpec, training: TrainingOptions, dataset: Any
) -> Callable[[Tensor, Tensor, Batch], dict[str, Tensor]]:
    """The loss [B] and its terms of (output, target, batch), by the weights in the options (MDM, section 3)."""
    weights = {
        "vel_mse": training.lambda_vel, "rcxyz_mse": training.lambda_rcxyz, "fc": training.lambda_fc,
        "target_loc": training.lambda_target_loc,
    }  # fmt: skip
    joints = joints_of(spec.representation, spec.skeleton, centred=True) if spec.name in WITH_FEET else None
    # The published programs take front and back for the same.
    heading = "full" if own(spec) else "published"

    def decoded(features: Tensor) -> Tensor:
        return joints(denormalise(features.float(), dataset.mean, dataset.std)) if joints else features

    def errors(output: Tensor, target: Tensor, batch: Batch) -> dict[str, Tensor]:
        def missed(features: Tensor) -> Tensor:
            ends = _ends(spec, dataset, features, batch)
            return goal_error(ends, batch["goal"], batch["goal_asked"], heading)

        return motion_terms(
            output, target, batch["mask"], weights, spec.family.loss_skips,
            joints_of=joints and decoded, missed_goal=missed if "goal" in batch else None,
        )  # fmt: skip

    return errors


def aims(
    spec: DatasetSpec, model: ModelOptions, training: TrainingOptions, dataset: Any
) -> Callable[[dict[str, Tensor], torch.Generator], dict[str, Tensor]] | None:
    """What tells a model of a batch where joints shall be at its end, for models with `multi_target_cond`.

    It adds `goal` [B, 8, 3], where the motion itself has them in its last frame (0 where not requested), and
    `goal_asked` [B, 8], drawn as --target_joint_names says (CLoSD, section 3.3). None for models that are not told.
    Raises UsageError for motion without such goals, unknown goals, and a loss of goals that nobody is told.
    """
    if not model.multi_target_cond:
        if training.lambda_target_loc:
            raise UsageError(
                "--lambda_target_loc: the model must be told where joints shall be: add --multi_target_cond"
            )
        return None
    if spec.representation != "hml":
        raise UsageError(
            f"--multi_target_cond: motion of {spec.name} has no such goals; those of HumanML3D's kind have"
        )
    mode = training.target_joint_names
    choices(mode, GOALS)

    def aim(batch: dict[str, Tensor], draws: torch.Generator) -> dict[str, Tensor]:
        requested = sample_goals(mode, GOALS, len(batch["motion"]), draws)
        ends = _ends(spec, dataset, batch["motion"], batch)
        return batch | {"goal": ends * requested[..., None], "goal_asked": requested}

    return aim


def _ends(spec: DatasetSpec, dataset: Any, features: Tensor, batch: Batch) -> Tensor:
    """Where normalised features [B, T, F] have the goals [B, 8, 3] in their last frame that counts."""
    features = denormalise(features.float(), dataset.mean, dataset.std)
    return goals_reached(features, batch["lengths"], hml.layout_of(spec.skeleton), GOALS)
