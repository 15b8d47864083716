"""What a diffusion model is trained on beside the error of x_0, and the aims that it may be told."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from data_loaders.base import denormalise
from data_loaders.registry import DatasetSpec
from data_loaders.representations import joints_of
from diffusion.losses import motion_terms
from model.options import ModelOptions
from train.options import TrainingOptions
from train.task import Batch

LAST_ROW = {"points2d": 0, "hml": 1, "rot6d": 6}  # features that the published velocity error leaves out

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

    def decoded(features: Tensor) -> Tensor:
        return joints(denormalise(features.float(), dataset.mean, dataset.std)) if joints else features

    def errors(output: Tensor, target: Tensor, batch: Batch) -> dict[str, Tensor]:
        return motion_terms(
            output, target, batch["mask"], weights, LAST_ROW[spec.representation], joints_of=joints and decoded
        )

    return errors


def aims(
    spec: DatasetSpec, model: ModelOptions, training: TrainingOptions, dataset: Any
) -> Callable[[dict[str, Tensor], torch.Generator], dict[str, Tensor]] | None:
    """What tells a model of a batch where joints shall be at its end, for models with `multi_target_cond`."""
    return None
