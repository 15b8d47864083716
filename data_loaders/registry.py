"""The table of datasets: torch-free rows, so that `-h` can name them at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_loaders.families import FAMILIES, Family, function_at
from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.errors import UsageError
from utils.run.project import found


@dataclass(frozen=True)
class DatasetSpec:
    """What a dataset is and how it is seen.

    `camera_distance` is in units of the 3D motion, `elevation` in radians; a projected point in data units is
    perspective * camera_distance / visualization_scale. `pinned_root` is the joint that the data centre on (or -1),
    `trajectory` the joints whose mean is the trajectory of plots. `action_shares` are the shares that the kinds of
    motion have in an epoch of training. `loader` is "module:function" of our own.
    `representation` names its family (`families.FAMILIES`): keypoints `points2d`, features `hml`, rotations `rot6d`;
    the latter two are 3D motion of at most `max_frames`. `sentences`: its motions come with some. `encoding` says in
    which of the ways of `hml.encode` its features are made.
    """

    name: str
    skeleton: Skeleton
    fps: float
    loader: str
    representation: str = "points2d"
    max_frames: int = 0
    sentences: bool = False
    encoding: Mapping[str, Any] = field(default_factory=dict)
    camera_distance: float = 7.0
    elevation: float = 3.141592653589793 / 16
    visualization_scale: float = 1.0
    confidence_threshold: float = 0.0
    source_fps: float | None = None
    minimum_length: int = 1
    crop: tuple[int, int] | None = None
    pinned_root: int = -1
    trajectory: tuple[int, ...] = ()
    ball: int = -1
    ball_distance: float = 0.0
    actions: tuple[str, ...] = ()
    action_shares: tuple[float, ...] = ()
    source: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def folder(self, datapath: str) -> Path:
        """The folder of its motions: `datapath` where it is said, else the usual one."""
        return Path(found(datapath or self.defaults["datapath"]))

    @property
    def family(self) -> Family:
        """What its models have in common with those of other datasets."""
        return FAMILIES[self.representation]

    @property
    def seen_from_3d(self) -> bool:
        """Whether its 2D motion is 3D motion seen by cameras, so that there is real 3D motion to compare with."""
        return self.loader.startswith("data_loaders.points.projections:")

    @property
    def features(self) -> int:
        """Numbers a frame."""
        return self.family.features(len(self.skeleton.joints))

    def num_actions(self, cond: str) -> int:
        """Action labels that a model of this dataset is told under `--cond`: 0 for an unconditional one."""
        return len(self.actions) if cond == "action" else 0


_POINTS_2D = "data_loaders.points.keypoints:load"
_AUGMENTED = {"data_augmentations": ("length_aug",)}
PUBLISHED: Mapping[str, Any] = {
    "face_order": "published",
    "yaw": "continuous",
}  # the published yaw fails past half a turn
RIGHT: Mapping[str, Any] = {"face_order": "right", "yaw": "continuous"}
_HML: dict[str, Any] = dict(
    loader="data_loaders.text.humanml:load", representation="hml", max_frames=196, sentences=True
)
_MDM = {
    "seed": 10, "train_batch_size": 64, "lr": 1e-4, "weight_decay": 0.0, "noise_schedule": "cosine",
    "diffusion_steps": 1000, "log_interval": 1000, "num_samples": 6, "num_repetitions": 3,
}  # fmt: skip
_HUMANACT12_ACTIONS = (
    "warm_up", "walk", "run", "jump", "drink", "lift_dumbbell", "sit", "eat", "turn steering wheel", "phone", "boxing",
    "throw",
)  # fmt: skip
_UESTC_ACTIONS = (
    "punching-and-knee-lifting", "marking-time-and-knee-lifting", "jumping-jack", "squatting", "forward-lunging",
    "left-lunging", "left-stretching", "raising-hand-and-jumping", "left-kicking", "rotation-clapping",
    "front-raising", "pulling-chest-expanders", "punching", "wrist-circling", "single-dumbbell-raising",
    "shoulder-raising", "elbow-circling", "dumbbell-one-arm-shoulder-pressing", "arm-circling",
    "dumbbell-shrugging", "pinching-back", "head-anticlockwise-circling", "shoulder-abduction",
    "deltoid-muscle-stretching", "straight-forward-flexion", "spinal-stretching", "dumbbell-side-bend",
    "standing-opposite-elbow-to-knee-crunch", "standing-rotation", "overhead-stretching", "upper-back-stretching",
    "knee-to-chest", "knee-circling", "alternate-knee-lifting", "bent-over-twist", "rope-skipping",
    "standing-toe-touches", "standing-gastrocnemius-calf", "single-leg-lateral-hopping", "high-knees-running",
)  # fmt: skip

DATASETS: dict[str, DatasetSpec] = {
    row.name: row
    for row in (
        DatasetSpec(
            "nba",
            SKELETONS["nba"],
            fps=30,
            source_fps=60,
            loader=_POINTS_2D,
            visualization_scale=0.75,
            confidence_threshold=0.3,
            pinned_root=0,
            trajectory=(0,),
            defaults={"datapath": "./dataset/nba"},
        ),
        DatasetSpec(
            "horse",
            SKELETONS["horse"],
            fps=30,
            loader=_POINTS_2D,
            visualization_scale=0.5,
            confidence_threshold=0.5,
            minimum_length=90,
            crop=(90, 600),
            trajectory=tuple(range(17)),
            defaults={"datapath": "./dataset/horse"} | _AUGMENTED,
        ),
        DatasetSpec(
            "gymnastics",
            SKELETONS["gymnastics"],
            fps=20,
            loader=_POINTS_2D,
            visualization_scale=0.66,
            confidence_threshold=0.01,
            crop=(81, 240),
            trajectory=tuple(range(17)),
            ball=17,
            ball_distance=3.0,
            defaults={"datapath": "./dataset/gymnastics"} | _AUGMENTED,
        ),
        DatasetSpec(
            "mocap2d",
            SKELETONS["nba"],
            fps=20,
            loader="data_loaders.points.projections:load",
            sentences=True,
            visualization_scale=0.75,
            pinned_root=0,
            trajectory=(0,),
            actions=(
                "walk", "wave", "raise arms", "idle", "run", "dance", "salsa", "climb", "swing", "punch", "kick",
                "jump", "sit", "laugh", "basketball", "bow", "direct traffic", "drink", "stairs", "soccer", "other",
            ),
            action_shares=(
                0.203, 0.197, 0.167, 0.036, 0.088, 0.055, 0.029, 0.024, 0.025, 0.021, 0.011,
                0.016, 0.016, 0.018, 0.025, 0.011, 0.007, 0.010, 0.003, 0.007, 0.034,
            ),
            defaults={
                "datapath": "./dataset/mocap2d",
                "data_augmentations": ("facing_aug", "mirror_aug", "tempo_aug", "size_aug", "length_aug"),
            },
        ),
        DatasetSpec(
            "humanml",
            SKELETONS["smpl22"],
            fps=20,
            **_HML,
            minimum_length=40,
            encoding=PUBLISHED,
            defaults=_MDM | {"datapath": "./dataset/HumanML3D", "cond": "text"},
        ),
        DatasetSpec(
            "kit",
            SKELETONS["kit21"],
            fps=12.5,
            **_HML,
            minimum_length=24,
            encoding=PUBLISHED,
            defaults=_MDM | {"datapath": "./dataset/KIT-ML", "cond": "text"},
        ),
        DatasetSpec(
            "mocap",
            SKELETONS["smpl22"],
            fps=20,
            **_HML,
            minimum_length=20,
            encoding=RIGHT,
            defaults=_MDM
            | {
                "datapath": "./dataset/mocap", "cond": "text", "text_encoder_type": "minilm", "seed": 0,
                "diffusion_steps": 50, "log_interval": 100, "num_samples": 3, "num_repetitions": 1, "guided_share": 0.6,
            },
        ),
        DatasetSpec(
            "humanact12",
            SKELETONS["smpl24"],
            fps=20,
            loader="data_loaders.action.humanact12:load",
            representation="rot6d",
            max_frames=60,
            actions=_HUMANACT12_ACTIONS,
            defaults=_MDM | {"datapath": "./dataset/HumanAct12Poses", "cond": "action"},
        ),
        DatasetSpec(
            "uestc",
            SKELETONS["smpl24"],
            fps=20,
            loader="data_loaders.action.uestc:load",
            representation="rot6d",
            max_frames=60,
            actions=_UESTC_ACTIONS,
            defaults=_MDM | {"datapath": "./dataset/uestc", "cond": "action"},
        ),
    )
}  # fmt: skip


def dataset_spec(name: str) -> DatasetSpec:
    """The row of a dataset. Raises UsageError for a name that is not in the table."""
    if name not in DATASETS:
        raise UsageError(f"unknown dataset {name!r}; choose from {', '.join(DATASETS)}")
    return DATASETS[name]


def dataset_defaults(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The flags whose defaults the dataset among the option `values` sets; `unconstrained` means no_cond."""
    told_nothing = {"cond": "no_cond"} if values.get("unconstrained") else {}
    return {**dataset_spec(values["dataset"]).defaults, **told_nothing}


def load_dataset(spec: DatasetSpec, options: Any, compat: str = "none", seed: int = 0, **extra: Any) -> Any:
    """The motions of a dataset, read by the loader that its row names (`extra`: what only that loader knows)."""
    return function_at(spec.loader)(spec, options, compat, seed, **extra)
