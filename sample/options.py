"""The flags of sampling."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from data_loaders.options import DataOptions
from data_loaders.registry import DatasetSpec, dataset_defaults, dataset_spec
from diffusion.options import DiffusionOptions
from model.options import ModelOptions, PosePriorOptions, translated
from train.options import ComparisonOptions, TrainingOptions
from utils.formats.options import ReadingOptions
from utils.run.errors import UsageError
from utils.run.options import RunOptions, option, parse_line

ABLATIONS = (
    "mas", "dreamfusion", "dreamfusion_annealed", "no_3d_noise", "prominent_angle", "prominent_angle_no_3d_noise",
    "random_angles",
)  # fmt: skip
SHIPPED_MODEL = "save/mocap2d"
TEXT_MODEL = "save/mocap_text"
PLANNER = "save/mocap_planner"
DRAWN = "drawn"
OF_THE_CHECKPOINT = (DataOptions, ModelOptions, DiffusionOptions)  # what a checkpoint says by itself


@dataclass(frozen=True)
class SamplingOptions:
    """What to sample from, how much of it, and where it goes."""

    model_path: str = option(
        SHIPPED_MODEL, "checkpoint file, or a folder: its newest", aliases=("model",), shipped=True
    )
    output_dir: str = option("", "the folder to write (default: <task>_seed_<seed> beside the checkpoint)")
    num_samples: int = option(10, "how many motions", min=1)
    num_repetitions: int = option(1, "how often each of them, with other noise", min=1)
    max_batch: int = option(
        0,
        "most rows that the network sees at once; bounds memory (0: no bound)",
        aliases=("batch_size",),
        min=0,
        advanced=True,
    )
    guidance_param: float = option(2.5, "how much more than by itself the model follows the condition (1: not more)")
    guided_share: float = option(
        1.0, "share of the steps, from the noisy end, in which it does; the rest follow the condition as it is",
        min=0, max=1, advanced=True,
    )  # fmt: skip
    overwrite: bool = option(False, "replace what an earlier run wrote there; everything else stays")
    use_data: bool = option(False, "take the lengths of motions of the dataset", advanced=True)
    show_input_motions: bool = option(False, "also draw those motions (with --use_data)", advanced=True)
    motion_length: float | None = option(
        None, "seconds (default: as the sentence tells, 2 to 6; without one 6; with --use_data the data's own lengths)"
    )
    text_prompt: tuple[str, ...] = option(
        (), "what the person does; several: one after another in one motion", many=True
    )
    input_text: str = option("", "a file of prompts, one a line: a motion for each", shipped=True)
    planner_path: str = option(
        PLANNER,
        "what writes the plan of a sentence, for models that are told one (--plan)",
        advanced=True,
        shipped=True,
    )
    action_name: str = option(
        "", "kind of motion, for models with --cond action; drawn: one for each sample (default: any)"
    )
    action_file: str = option("", "a file of kinds, one a line: a motion for each", advanced=True, shipped=True)
    overlap: float = option(1.0, "seconds that a prompt shares with the one before it", min=0, advanced=True)
    sampler: str = option("ddpm", "how one step goes", ("ddpm", "ddim", "dpm++"))
    sampling_steps: int = option(0, "use only so many of the diffusion steps (0: all)", min=0)


@dataclass(frozen=True)
class FinishOptions:
    """What becomes of motions of sentences once they are sampled."""

    candidates: int = option(1, "of so many motions of each sentence take the one that fits it best", min=1)
    hold_feet: bool | None = option(
        None, "hold feet that stand where they stand (default: for our own models of sentences, not published ones)"
    )


@dataclass(frozen=True)
class MasOptions:
    """How several 2D views become one 3D motion."""

    num_views: int = option(7, "cameras around the figure", min=1)
    snr_scale: float = option(
        1.0, "signal-to-noise ratio that the network is given, over that of a view (1: as published; 1.3 moves more)",
        aliases=("evidence",), min=0.5, max=2,
    )  # fmt: skip
    fit: str = option(
        "closed_form",
        "how the 3D motion is fitted; adam: the published optimiser",
        ("closed_form", "adam"),
        advanced=True,
    )
    bones: str = option("rigid", "rigid: each clip gets its median, left-right averaged bone lengths", ("rigid", "raw"))


@dataclass(frozen=True)
class AblationOptions:
    """Which variant of MAS, or which rival."""

    ablation_name: str = option("dreamfusion", "which", ABLATIONS)


@dataclass(frozen=True)
class PublishedOptions:
    """Names that published checkpoints carry and that mean nothing here."""

    cond_mode: str = option("", "-")


_PUBLISHED_PRESET = {"fit": "adam", "bones": "raw"}


def defaults_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Defaults that depend on other options: the dataset's, and those of `--compat published`."""
    return {**dataset_defaults(values), **(_PUBLISHED_PRESET if values["compat"] == "published" else {})}


def defaults_of_generate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of sample.generate: one sample of a kind that is named, as published where models make 3D motion."""
    named = values["action_name"] not in ("", DRAWN) and not dataset_spec(values["dataset"]).family.flat
    return {**defaults_of(values), **({"num_samples": 1} if named else {})}


def refuse_simulator(begin: "PrefixOptions") -> None:
    """Raise UsageError for the frames of a simulator, which the published program names and does not read either."""
    if begin.autoregressive_init == "isaac":
        raise UsageError(
            "--autoregressive_init isaac: no simulator is read; put frames of it into --prefix_motion FILE"
        )


@dataclass(frozen=True)
class SamplingLine:
    """The command line of whatever samples from a checkpoint; commands add their own groups behind these."""

    run: RunOptions
    sampling: SamplingOptions
    data: DataOptions
    model: ModelOptions
    diffusion: DiffusionOptions

    @property
    def spec(self) -> DatasetSpec:
        """What the model was trained on."""
        return dataset_spec(self.data.dataset)


def check_finish(finish: FinishOptions, line: SamplingLine) -> None:
    """Raise UsageError for candidates where no sentence chooses among them, or nobody sees whether they fit it, and for
    feet of motion that is not in the world."""
    if finish.hold_feet and line.spec.representation != "hml":
        raise UsageError(f"--hold_feet: that is for motion of people in the world, not for that of {line.spec.name}")
    if finish.candidates == 1:
        return
    if line.run.compat == "published":
        raise UsageError("--candidates: the published programs make one motion; leave out --compat published")
    if line.data.cond != "text":
        raise UsageError(f"--candidates are chosen by their sentence, and {line.sampling.model_path} reads none")
    if line.spec.family.flat or line.spec.skeleton.name != "smpl22":
        raise UsageError(
            f"--candidates: the captioner that chooses sees 3D motion of 22 joints, not that of {line.spec.name}"
        )


def holds_feet(finish: FinishOptions, line: SamplingLine) -> bool:
    """Whether feet are held: as is said, else for models of sentences whose architecture is ours.

    What published models and programs make stays as they make it.
    """
    if finish.hold_feet is not None:
        return finish.hold_feet
    ours = line.model.arch == "dit" and line.data.cond == "text" and line.run.compat != "published"
    return ours and line.spec.representation == "hml"


SampledLine = TypeVar("SampledLine", bound=SamplingLine)


def parse_sampling_line(
    line: type[SampledLine], command: str, purpose: str, argv: Sequence[str], model: str = SHIPPED_MODEL,
    presets: Mapping[str, Any] | None = None, advanced: Collection[str | type] = OF_THE_CHECKPOINT,
    defaults: Callable[[Mapping[str, Any]], Mapping[str, Any]] = defaults_of,
) -> SampledLine:  # fmt: skip
    """The command line of a command that samples, `line` naming its groups.

    `model` is the checkpoint that is taken where none is named; `presets`, `advanced` and `defaults` (its
    `defaults_of`) are those of `parse`.
    """
    return parse_line(
        line, command, purpose, argv, defaults_of=defaults, saved_from=("model_path",),
        saved_groups=(ModelOptions, DiffusionOptions), saved_names=("dataset", "cond", "data_split"),
        known=(TrainingOptions, ComparisonOptions, PublishedOptions, MasOptions, AblationOptions), translate=translated,
        presets={"model_path": model, **(presets or {})}, advanced=advanced,
    )  # fmt: skip


@dataclass(frozen=True)
class PrefixOptions(ReadingOptions):
    """What a model that is shown the frames before a motion (DiP) begins with."""

    prefix_motion: str = option(
        "",
        "a motion file whose first clip's last frames are shown, or: standing, a person who stands still (default: "
        "frames of the dataset's test part where it is there, else standing)",
    )
    autoregressive_init: str = option(
        "data", "as published (isaac: a simulator's frames, not read)", ("data", "isaac"), advanced=True
    )


@dataclass(frozen=True)
class EndlessOptions:
    """How such a model goes on, window after window."""

    autoregressive: bool = option(False, "make the motion window after window (such models always do)", advanced=True)
    autoregressive_include_prefix: bool = option(
        False, "the motion begins with the frames that the model was shown", advanced=True
    )
    dynamic_text_path: str = option(
        "", "a file of prompts, one a line: a window (--pred_len frames) of each", shipped=True
    )
    target: tuple[str, ...] = option(
        (),
        "where joints shall be at the end: right_wrist:0.3,1.2,2 (x left, y up, z ahead, metres from where the first "
        "frame stands), traj:0,2 (x, z of the root), heading:90 (degrees to the left; default: the way there)",
        many=True,
    )


@dataclass(frozen=True)
class EditOptions(ReadingOptions):
    """Which motions are edited, and what of them is kept."""

    input_motion: str = option("", "the motion to edit, any file of motion (default: clips of the dataset's test part)")
    edit_mode: str | None = option(
        None,
        "in_between: all is made anew from --prefix_end to --suffix_start; upper_body: the joints above the hips "
        "(default: what --keyframes and --joints say, without them in_between)",
        ("in_between", "upper_body"),
    )
    text_condition: str = option("", "what the person does in what is made anew")
    prefix_end: float = option(0.25, "in_between: share of the motion that is kept at its start", min=0, max=1)
    suffix_start: float = option(0.75, "in_between: share of the motion after which it is kept", min=0, max=1)
    keyframes: str = option(
        "",
        "keep these frames: 0,30,50:60,-1 (50:60 without 60, 50: to the end, -1 the last); the others are made anew",
    )
    joints: tuple[str, ...] = option(
        (), "make only these joints anew (in_between and --keyframes: not in the frames kept)", many=True
    )


POSE_TASKS = ("generate", "project", "interpolate", "denoise", "complete", "fit_image", "score", "perturb")


@dataclass(frozen=True)
class PosesOptions(PosePriorOptions):
    """What is done with poses, by which pose prior, and where it goes."""

    task: str = option(
        "generate",
        "generate: plausible poses, from draws of what poses are like, or from those of a file; project: clips made "
        "plausible, as far as needed; interpolate: from pose to pose of a file by way of plausible ones; denoise: "
        "clips without noise; complete: missing joints filled in; fit_image: a body fitted to the keypoints of a "
        "picture; score: how far frames are from plausible; perturb: noise on every joint, and what it does to that",
        POSE_TASKS,
    )
    output_dir: str = option("", "the folder to write (default: poses_<task> beside the input, else the checkpoint)")
    num_samples: int = option(10, "generate: how many poses; complete: how many answers for each clip", min=1)
    max_dist: float = option(0.001, "distance at which a pose is plausible enough, and left alone", min=0)
    max_steps: int = option(1000, "most steps towards that; a step that is taken back counts", min=0)
    rule: str = option(
        "geodesic",
        "how poses move; published: its steps, one more than --max_steps, all poses until the last is done, and the "
        "random poses that it starts from, however much is known of poses",
        ("geodesic", "published"),
    )
    keep_steps: bool = option(False, "also write the poses of every step, projection_steps/<number>.npz")
    poses: tuple[str, ...] = option(
        (), "interpolate: the numbers of the poses that are passed, from 0; -1 the last (default: 0 -1)", many=True
    )
    num_steps: int = option(20, "interpolate: steps from each pose to the next, on average", min=1)
    step_size: float = option(
        0.1, "interpolate by the published rule: share of the rest in each step", min=0, max=1, advanced=True
    )
    noise_magnitude: float = option(
        0.01,
        "perturb: deviation of the normal noise on the four numbers of each quaternion",
        min=0,
        max=100,
        advanced=True,
    )
    truth: str = option("", "denoise: the clip without noise, to compare with (default: HuMoR's gt_results.npz)")
    missing: tuple[str, ...] = option(
        (), "complete: limbs (left_arm, right_leg, wrists, spine) or joints that are missing, besides NaN in the file",
        many=True,
    )  # fmt: skip
    references: str = option(
        "", "generate, complete: folder of prepare.poses, or poses, whose statistics poses and missing joints begin "
        "from (default: pose_statistics.npz beside the checkpoint)", advanced=True,
    )  # fmt: skip
    threshold: float = option(0.01, "score: distance from which a frame counts as implausible", min=0)
    keypoints: str = option(
        "", "fit_image: JSON of OpenPose, COCO or MediaPipe (default: <picture>_keypoints.json or <picture>.json)"
    )
    image_size: tuple[str, ...] = option(
        (),
        "fit_image of keypoints alone: width and height of the picture, in pixels",
        many=True,
        advanced=True,
    )
    focal_length: float = option(
        0.0,
        "fit_image: of the camera, in pixels (default: the diagonal of the picture)",
        min=0,
        advanced=True,
    )
    prior_weight: float = option(
        1.0, "fit_image: how much the pose prior counts beside the keypoints; 0: ranges of the joints alone", min=0,
        advanced=True,
    )  # fmt: skip
    pose_fps: float = option(
        0.0, "frames a second of poses without a rate in GLB (default: 2 for generate, else 20)", min=0, max=1000,
        advanced=True,
    )  # fmt: skip
    overwrite: bool = option(False, "replace what an earlier run wrote there; everything else stays")


@dataclass(frozen=True)
class GenerateLine(SamplingLine):
    """That of sample.generate."""

    finish: FinishOptions
    prefix: PrefixOptions
    endless: EndlessOptions


@dataclass(frozen=True)
class MasLine(SamplingLine):
    """That of sample.mas and sample.dreamfusion."""

    mas: MasOptions


@dataclass(frozen=True)
class AblationLine(MasLine):
    """That of sample.ablations."""

    ablation: AblationOptions


@dataclass(frozen=True)
class EditLine(MasLine):
    """That of sample.edit."""

    edit: EditOptions
