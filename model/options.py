"""The flags of the networks."""

from dataclasses import dataclass
from typing import Any

from utils.run.options import option

POSE_PRIOR = "save/pose_ndf"
ARCHITECTURES = ("trans_enc", "trans_dec", "gru", "dit")
TEXT_WIDTHS = {"clip": 512, "bert": 768, "minilm": 384, "minilm_words": 384}  # of each text encoder's vectors
WORDS = ("bert", "minilm_words")  # text encoders that give a vector a token, the first being that of the sentence
PLAN_WIDTH = 50  # numbers a frame of a plan of what is done when
GOALS = ("pelvis", "left_foot", "right_foot", "left_wrist", "right_wrist", "head", "traj", "heading")


@dataclass(frozen=True)
class ModelOptions:
    """Architecture and size of the denoiser."""

    arch: str = option("trans_enc", "trans_enc, trans_dec and gru are the published ones", ARCHITECTURES)
    emb_trans_dec: bool = option(False, "trans_dec: the step token also leads the sequence", advanced=True)
    layers: int = option(8, "number of layers", min=1)
    latent_dim: int = option(512, "width of the network", min=2)
    num_heads: int = option(4, "attention heads", min=1, advanced=True)
    dropout: float = option(0.1, "share of activations dropped in training (dit: none)", min=0, max=1, advanced=True)
    activation: str = option("gelu", "of the feed-forward layers", ("gelu", "relu"), advanced=True)
    ff_size: int = option(1024, "width of the feed-forward layers", min=1, advanced=True)
    cond_mask_prob: float = option(
        0.1, "share of training samples whose condition is hidden, for guidance", min=0, max=1, advanced=True
    )
    frames_per_token: int = option(4, "dit: frames that share a token", min=1, advanced=True)
    smooth_width: int = option(
        0,
        "dit: width of a convolution over time behind the tokens, against seams between them; 0: none",
        min=0,
        advanced=True,
    )
    word_layers: int = option(
        0,
        "dit: layers that read the words of a sentence, which the frames then attend to; 0: it reads their mean",
        min=0,
        advanced=True,
    )
    text_limit: float = option(
        0.0,
        "dit: the longest that the vector of a sentence may be; one far from those of the training may grow much "
        "longer than any of theirs, and what is made is no motion; 0: any",
        min=0,
        advanced=True,
    )
    plan: bool = option(False, "dit: the model is told what is done when, by a plan of the sentence", advanced=True)
    recurrence: str = option(
        "time", "gru: what it recurs over", ("time", "batch"), saved_default="batch", advanced=True
    )
    mask_frames: bool = option(
        True, "padded frames are hidden from the others; False as published", saved_default=False, advanced=True
    )
    unconstrained: bool = option(False, "the model sees no condition (the same as --cond no_cond)", advanced=True)
    text_encoder_type: str = option("clip", "what turns sentences into vectors", tuple(TEXT_WIDTHS), advanced=True)
    emb_policy: str = option(
        "add", "trans_dec: the step is added to each word, or is a word of its own", ("add", "concat"), advanced=True
    )
    pos_embed_max_len: int = option(5000, "rows of the positional table in published files", min=1, advanced=True)
    context_len: int = option(0, "frames before the motion that the model is shown (DiP)", min=0, advanced=True)
    pred_len: int = option(
        0, "frames that such a model adds at a time (0: as many as it is shown)", min=0, advanced=True
    )
    multi_target_cond: bool = option(False, "the model is told where joints shall be at the end", advanced=True)
    multi_encoder_type: str = option(
        "single", "how it reads them", ("single", "multi", "split"), saved_default="multi", advanced=True
    )
    target_enc_layers: int = option(1, "hidden layers of what reads them", min=1, advanced=True)

    @property
    def over_batch(self) -> bool:
        """Whether the samples of a batch depend on each other."""
        return self.arch == "gru" and self.recurrence == "batch"


@dataclass(frozen=True)
class PlannerOptions:
    """Size of the network that writes plans of sentences."""

    planner_width: int = option(160, "width of the network", min=8)
    planner_layers: int = option(3, "layers that read a sentence, and as many that write its plan", min=1)
    planner_dropout: float = option(0.1, "share of activations dropped in training", min=0, max=1, advanced=True)


@dataclass(frozen=True)
class EvaluatorOptions:
    """Size of the evaluator, and what it evaluates."""

    e_num_layers: int = option(6, "number of layers of its encoder, and of its decoder", min=1)
    e_latent_dim: int = option(256, "width of the network, and of the embedding of a motion", min=2)
    e_num_heads: int = option(4, "attention heads", min=1, advanced=True)
    e_dropout: float = option(0.1, "share of activations dropped in training", min=0, max=1, advanced=True)
    e_activation: str = option("gelu", "of the feed-forward layers", ("gelu", "relu"), advanced=True)
    e_ff_size: int = option(1024, "width of the feed-forward layers", min=1, advanced=True)
    truth: str = option(
        "2d", "3d: 3D motion beside real 3D motion, where the dataset has any", ("2d", "3d"), saved_default="2d"
    )


def translated(saved: dict[str, Any]) -> dict[str, Any]:
    """An `args.json` in today's names: the first published ones say `cond_mode` for what `unconstrained` says."""
    if "cond_mode" in saved and "unconstrained" not in saved:
        return saved | {"unconstrained": saved["cond_mode"] == "no_cond"}
    return saved


@dataclass(frozen=True)
class ContrastiveOptions:
    """Size of the evaluator that brings sentences and motion into one space, and what it takes for the same."""

    c_embedding: int = option(64, "numbers of an embedding", min=1)
    c_width: int = option(256, "width of the motion encoder", min=2)
    c_layers: int = option(4, "its layers", min=1)
    c_heads: int = option(4, "its attention heads", min=1, advanced=True)
    c_ff_size: int = option(
        512, "width of the feed-forward layers, and of what reads a sentence's vector", min=1, advanced=True
    )
    c_dropout: float = option(0.1, "share of activations dropped in training", min=0, max=1, advanced=True)
    c_frames_per_token: int = option(4, "frames that share a token", min=1, advanced=True)
    c_text_encoder: str = option(
        "minilm", "what turns a sentence into the vector that is read", ("minilm", "clip"), advanced=True
    )
    c_alike: float = option(
        0.9, "cosine of two sentences' vectors from which they say the same and are no negatives", min=-1, advanced=True
    )


@dataclass(frozen=True)
class PoseNDFOptions:
    """The network that tells how far a pose is from plausible ones (Pose-NDF)."""

    dims: str = option("256,512,1024,512,256,64", "widths of the layers between what joints say and the distance")
    act: str = option(
        "softplus",
        "of the layers; with lrelu and relu four of ten networks begin, and stay, at 0",
        ("softplus", "lrelu", "relu"),
    )
    beta: float = option(100.0, "sharpness of softplus", min=1e-3, advanced=True)
    parents: str = option(
        "right",
        "which joint hears of which; published: the list that published weights were trained with, one off",
        ("right", "published"),
        advanced=True,
    )
    encoder_act: str = option(
        "", "of the joints' networks (default: as --act)", ("", "softplus", "lrelu", "relu"), advanced=True
    )
    encoder_beta: float = option(0.0, "sharpness of theirs (0: as --beta)", min=0, advanced=True)


@dataclass(frozen=True)
class PosePriorOptions:
    """Which pose prior is asked, and how it is told poses."""

    model_path: str = option(
        POSE_PRIOR, "checkpoint file, or a folder: its newest; published: checkpoint_epoch_best.tar", shipped=True
    )
    model_config: str = option(
        "", "config.yaml of a published checkpoint (default: beside it, or in the folder above)", advanced=True
    )
    parents: str = option(
        "", "list of parents that a published checkpoint was trained with (default: published, which is one off)",
        ("", "published", "right"), advanced=True,
    )  # fmt: skip
    order: str = option("", "the numbers of a file's quaternions (default: wxyz)", ("", "wxyz", "xyzw"))
