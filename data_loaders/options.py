"""The flags of the data."""

from dataclasses import dataclass

from data_loaders.registry import DATASETS
from utils.run.options import option

AUGMENTATIONS = (
    "length_aug", "scale_aug", "shift_aug", "facing_aug", "mirror_aug", "tempo_aug", "size_aug", "transition_aug", "",
)  # fmt: skip


@dataclass(frozen=True)
class DataOptions:
    """Which motions, from where, and how they are varied."""

    dataset: str = option("nba", "which dataset", tuple(DATASETS))
    datapath: str = option(
        "", "its folder (default: the dataset's, ./dataset/<name>)", aliases=("data_dir",), shipped=True
    )
    data_size: int | None = option(None, "use only this many motions", min=1, advanced=True)
    data_split: str = option("train", "which part", ("train", "val", "test"), advanced=True)
    data_augmentations: tuple[str, ...] = option((), "variations drawn anew each time", AUGMENTATIONS, many=True)
    cond: str = option("no_cond", "what the model is told about a motion", ("no_cond", "text", "action"))
    text_encoder_path: str = option(
        "", "folder of the text encoder (default: its package, or transformers' cache)", advanced=True
    )
    num_frames: int | None = option(
        None,
        "longest motion, in frames (default: the dataset's; HumanML3D and KIT-ML always take 196)",
        min=4,
        advanced=True,
    )
    root_emphasis: float = option(
        1.0,
        "HumanML3D's features: how much larger the root's four are made, and count (their Std is divided)",
        min=1,
        advanced=True,
    )
    scale_aug_std: float = option(
        0.1, "scale_aug multiplies by exp of a normal number of this deviation", min=0, advanced=True
    )
    shift_aug_std: float = option(
        0.1, "shift_aug adds a normal number of this deviation, in data units", min=0, advanced=True
    )
    detector_noise: float = option(
        0.0,
        "mocap2d: detector-like jitter, bias and missing joints of this strength (1: typical)",
        min=0,
        advanced=True,
    )
