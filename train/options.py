"""The flags of training."""

from dataclasses import dataclass

from diffusion.options import LOSS_WEIGHTS
from utils.run.options import option

PLATFORMS = ("NoPlatform", "TensorboardPlatform", "ClearmlPlatform", "WandBPlatform")


@dataclass(frozen=True)
class TrainingOptions:
    """Steps, optimiser, loss and saves."""

    save_dir: str = option("", "folder of the checkpoints (required)")
    overwrite_model: bool = option(False, "replace save_dir if it exists", aliases=("overwrite",))
    resume_checkpoint: str = option("", "continue from this checkpoint, or from the newest of this folder")
    num_steps: int = option(600_000, "updates in all", least=1)
    train_batch_size: int = option(32, "motions in an update", aliases=("batch_size",), least=1)
    save_interval: int = option(50_000, "updates between checkpoints that are kept for good", least=1)
    resume_interval: int = option(1_000, "updates between saves to resume from; the newest three are kept", least=1)
    log_interval: int = option(100, "updates between lines of progress", least=1)
    train_platform_type: str = option("NoPlatform", "where the loss curve goes", PLATFORMS)
    eval_during_training: bool = option(False, "evaluate every checkpoint")
    lr: float = option(1e-5, "learning rate", least=0)
    lr_schedule: str = option("constant", "cosine falls to 2 % of lr at num_steps", ("constant", "cosine"))
    warmup_steps: int = option(0, "updates over which the learning rate rises from 0", least=0)
    weight_decay: float = option(0.01, "of AdamW", least=0)
    adam_beta2: float = option(0.999, "of AdamW", least=0, most=0.999999)
    grad_clip: float = option(0.0, "largest norm of the gradient; 0: no limit", least=0)
    ema_decay: float = option(0.0, "decay of the averaged weights; 0: none", least=0, most=1)
    lambda_vel: float = option(0.0, "weight of the velocity error beside the position error", least=0)
    loss_weight: str = option(
        "uniform", "weight of a diffusion step: uniform, 1/sqrt(1-abar), 1/(1-abar)", LOSS_WEIGHTS
    )
