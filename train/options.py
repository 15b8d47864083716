"""The flags of training."""

from dataclasses import dataclass

from diffusion.options import LOSS_WEIGHTS
from utils.run.options import option

PLATFORMS = ("NoPlatform", "TensorboardPlatform", "ClearmlPlatform", "WandBPlatform")


@dataclass(frozen=True)
class TrainingOptions:
    """Steps, optimiser, loss and saves, and what is looked at on the way."""

    save_dir: str = option("", "folder of the checkpoints (required)")
    overwrite_model: bool = option(
        False, "replace what an earlier run wrote in save_dir; everything else stays", aliases=("overwrite",)
    )
    resume_checkpoint: str = option(
        "", "continue from this checkpoint, or from the newest of this folder", shipped=True
    )
    initial_weights: str = option(
        "",
        "weights that a new run begins with, its architecture and Mean and Std theirs; what they lack begins as built",
        shipped=True,
    )
    num_steps: int = option(600_000, "updates in all", min=1)
    train_batch_size: int = option(32, "motions in an update, of all ranks", aliases=("batch_size",), min=1)
    accumulate: int = option(
        1,
        "parts that each rank goes through its share of an update in: less memory, the same gradient",
        min=1,
        advanced=True,
    )
    save_interval: int = option(50_000, "updates between checkpoints that are kept for good", min=1)
    resume_interval: int = option(
        1_000, "updates between saves to resume from; the newest three are kept", min=1, advanced=True
    )
    log_interval: int = option(100, "updates between lines of progress", min=1, advanced=True)
    train_platform_type: str = option("NoPlatform", "where the loss curve goes", PLATFORMS)
    lr: float = option(1e-5, "learning rate", min=0)
    lr_schedule: str = option(
        "constant", "cosine falls to 2 % of lr at num_steps", ("constant", "cosine"), advanced=True
    )
    lr_anneal_steps: int = option(
        0, "lr falls in a line to 0 over so many updates, the last ones; 0: no", min=0, advanced=True
    )
    warmup_steps: int = option(0, "updates over which the learning rate rises from 0", min=0, advanced=True)
    weight_decay: float = option(0.01, "of AdamW", min=0, advanced=True)
    adam_beta2: float = option(0.999, "of AdamW", min=0, max=0.999999, advanced=True)
    grad_clip: float = option(0.0, "largest norm of the gradient; 0: no limit", min=0, advanced=True)
    use_ema: bool = option(False, "keep averaged weights too, and sample from those")
    avg_model_beta: float = option(
        0.9999, "decay of the averaged weights (with --use_ema)", aliases=("ema_decay",), min=0, max=1, advanced=True
    )
    ema_warmup: bool = option(True, "that decay rises as (1 + n) / (10 + n)", saved_default=False, advanced=True)
    loss_weight: str = option(
        "uniform", "weight of a diffusion step: uniform, 1/sqrt(1-abar), 1/(1-abar)", LOSS_WEIGHTS, advanced=True
    )
    noisiest_share: float = option(
        0.0, "share of the motions in an update that get the noisiest eighth of the steps, where sentences decide",
        min=0, max=1, advanced=True,
    )  # fmt: skip
    text_noise: float = option(
        0.0, "noise on the vectors of sentences, whose numbers are of order one: words like those of training will do",
        min=0, advanced=True,
    )  # fmt: skip
    lambda_vel: float = option(0.0, "weight of the velocity error beside the position error", min=0, advanced=True)
    lambda_rcxyz: float = option(
        0.0, "weight of the error of joint positions, for joint rotations", min=0, advanced=True
    )
    lambda_fc: float = option(0.0, "weight of the speed of feet that stand, for joint rotations", min=0, advanced=True)
    lambda_target_loc: float = option(
        0.0, "weight of the distance from where joints shall be at the end", min=0, advanced=True
    )
    target_joint_names: str = option(
        "DIMP_FINAL",
        "which joints that is: DIMP_FINAL, DIMP_FULL, DIMP_SLIM, DIMP_BENCH, PURE_T2M, or names: a,b",
        advanced=True,
    )
    eval_during_training: bool = option(False, "evaluate every checkpoint")
    eval_batch_size: int = option(32, "motions that it makes at once", min=1, advanced=True)
    eval_split: str = option("test", "which part of the data it looks at", ("val", "test"), advanced=True)
    eval_rep_times: int = option(3, "how often it repeats", aliases=("num_eval_iterations",), min=1, advanced=True)
    num_views: int = option(7, "cameras of MAS in it", min=1, advanced=True)
    eval_num_samples: int = option(1000, "motions that it makes each time", min=1, advanced=True)
    gen_during_training: bool = option(False, "make motions from every checkpoint", advanced=True)
    gen_num_samples: int = option(3, "how many", min=1, advanced=True)
    gen_num_repetitions: int = option(2, "how often each, with other noise", min=1, advanced=True)
    gen_guidance_param: float = option(
        2.5, "how much more than by itself the model follows the condition there", advanced=True
    )
    autoregressive: bool = option(False, "those motions are made piece by piece (DiP)", advanced=True)
    autoregressive_include_prefix: bool = option(
        False, "they begin with the frames that the model was shown", advanced=True
    )
    autoregressive_init: str = option(
        "data", "where those frames come from (isaac: not used)", ("data", "isaac"), advanced=True
    )


@dataclass(frozen=True)
class ComparisonOptions:
    """What models are evaluated by; 2D models and MAS also beside what, and from where they are seen."""

    evaluator_path: str = option(
        "", "checkpoint of an evaluator, or its folder (default: the published or shipped one of the dataset, "
        "save/evaluator/<dataset>, with --truth 3d save/evaluator/<dataset>_3d)",
        shipped=True,
    )  # fmt: skip
    subjects: tuple[str, ...] = option(
        (), "what is evaluated: train_data, test_data, model, flat (its clips put into a plane), mas, its ablations, "
        "and motionBert and ElePose from their folders of predictions (default: a choice by the dataset)",
        many=True,
    )  # fmt: skip
    metrics_names: tuple[str, ...] = option(
        ("fid", "diversity", "precision", "recall"), "any of fid, diversity, precision, recall, kid", many=True
    )
    angle_mode: str = option(
        "uniform",
        "from where 3D motion is seen; side: from 90 degrees, hybrid: 45 to 135",
        ("uniform", "side", "hybrid"),
    )
    truth: str = option("2d", "3d: hold 3D motion against held-out 3D motion, where there is any", ("2d", "3d"))


@dataclass(frozen=True)
class PoseLossOptions:
    """What a pose prior is trained on, and the weights of its terms."""

    poses: str = option("dataset/poses", "the folder of poses that prepare.poses made", shipped=True)
    data_dir: str = option("", "published: training pairs, <dataset>/*.npz, in place of --poses", advanced=True)
    amass_dir: str = option("", "published: sampled poses, <dataset>/*.npz, that go with them", advanced=True)
    single: bool = option(False, "published: the first file alone", advanced=True)
    neighbours: int = option(
        0, "nearest poses whose mean distance is learned (0: all that the pairs tell of)", min=0, advanced=True
    )
    loss_type: str = option("l1", "error of the distance: absolute or squared", ("l1", "l2"))
    dist: float = option(1.0, "weight of that error", min=0)
    man_loss: float = option(0.1, "weight of the distance that real poses are said to have", min=0)
    eikonal: float = option(0.1, "weight of the error of the slope; 0 trains twice as fast", min=0)
    eikonal_form: str = option(
        "direction",
        "slope: its length along the rotations is the distance's; direction: so is where it points; published: 1 for "
        "each joint's four numbers",
        ("slope", "direction", "published"),
    )
