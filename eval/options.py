"""The flags of evaluation."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from data_loaders.registry import DATASETS, DatasetSpec
from diffusion.options import DiffusionOptions
from model.options import ModelOptions
from sample.options import ABLATIONS, SamplingLine
from train.options import ComparisonOptions
from utils.run.errors import UsageError
from utils.run.options import option
from utils.run.parser import nearest
from utils.run.project import found

REAL = ("train_data", "test_data")
PREDICTIONS = {"motionBert": "motionBert_predictions", "ElePose": "elepose_predictions"}  # their folders
SUBJECTS = (*PREDICTIONS, *REAL, "model", "flat", *ABLATIONS)
ONLY_2D = ("model",)
METRICS = ("fid", "diversity", "precision", "recall", "kid")
PUBLISHED_EVALUATORS = {"nba": "save/evaluator/nba/nba_evaluator"}  # where the published archive unpacks


# Flags of sampling that evaluations have no use for, as lengths and conditions are those of real motion, or say rarely.
OF_ONE_RUN = (
    "num_samples", "num_repetitions", "overwrite", "text_prompt", "input_text", "action_name", "action_file",
    "use_data", "show_input_motions", "data_augmentations", "dataset", "cond",
)  # fmt: skip
RARELY = (ModelOptions, DiffusionOptions, *OF_ONE_RUN)
# The same of evaluations that make so many motions of each sentence of a file.
RARELY_OF_SENTENCES = (
    ModelOptions, DiffusionOptions, *(name for name in OF_ONE_RUN if name not in ("num_samples", "overwrite"))
)  # fmt: skip


@dataclass(frozen=True)
class EvaluationOptions:
    """How much is generated, and where it is kept."""

    num_eval_iterations: int = option(10, "independent sets", min=1)
    eval_num_samples: int = option(1024, "motions of each subject in a set", min=2)
    vis_subjects: tuple[str, ...] = option((), "subjects of whose first motions videos are drawn", many=True)
    num_visualize_samples: int = option(4, "how many videos of each", min=1)
    samples_dir: str = option("", "where motions are kept (default: <checkpoint>_eval_samples)")
    resume: bool = option(False, "take the motions that an earlier run kept there, and make only the others")


def check_reads_sentences(line: SamplingLine, command: str) -> None:
    """Raise UsageError unless a model is of people and sentences, which come from --prompts and nowhere else."""
    sampling, data, spec = line.sampling, line.data, line.spec
    if data.cond != "text" or spec.skeleton.name != "smpl22":
        raise UsageError(
            f"{command} is for text models of 22 joints (mocap, humanml); {sampling.model_path} is of {spec.name} "
            f"with --cond {data.cond}"
        )
    if sampling.text_prompt or sampling.input_text:
        raise UsageError(f"{command} takes its sentences from --prompts: leave --text_prompt and --input_text out")


def checked(options: ComparisonOptions, spec: DatasetSpec) -> ComparisonOptions:
    """The options with what depends on the dataset filled in; a text of several names, as published, counts as those.

    Raises UsageError for unknown subjects and metrics, and for what this dataset or 3D truth does not have.
    """
    if not spec.family.flat:
        raise UsageError(
            f"eval.evaluate is for 2D models and MAS; {spec.name} has models of 3D motion: eval.eval_humanml is for "
            "those of text, eval.eval_humanact12_uestc for those of actions"
        )
    if options.truth == "3d" and not spec.seen_from_3d:
        with_3d = ", ".join(name for name, row in DATASETS.items() if row.seen_from_3d)
        raise UsageError(f"--truth 3d: {spec.name} has no 3D motion to compare with; {with_3d} has")
    subjects = named("--subjects", options.subjects, SUBJECTS) or default_subjects(options, spec)
    metrics = named("--metrics_names", options.metrics_names, METRICS)
    for subject in subjects:
        if subject in PREDICTIONS and spec.name != "nba":
            raise UsageError(f"--subjects {subject}: its predictions are those of nba, not of {spec.name}")
        if options.truth == "3d" and subject in ONLY_2D:
            others = ", ".join(name for name in SUBJECTS if name not in (*ONLY_2D, *PREDICTIONS))
            raise UsageError(f"--subjects {subject}: it makes 2D motion; with --truth 3d choose from {others}")
    path = options.evaluator_path or found(default_evaluator(spec, options.truth))
    return dataclasses.replace(options, subjects=subjects, metrics_names=metrics, evaluator_path=path)


def named(flag: str, words: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names in `words`, each once. Raises UsageError for one that is not known."""
    names = tuple(dict.fromkeys(name for word in words for name in word.split()))
    for name in names:
        if name not in known:
            raise UsageError(f"{flag}: unknown name {name!r}{nearest(name, known)}; choose from {', '.join(known)}")
    return names


def default_subjects(options: ComparisonOptions, spec: DatasetSpec) -> tuple[str, ...]:
    """What is compared where no subject is named: the published list, without what the dataset does not have."""
    predicted = tuple(PREDICTIONS) if spec.name == "nba" else ()
    own = ("train_data",) if options.truth == "3d" else ("train_data", "model")
    return (*predicted, *own, "flat", "mas", "no_3d_noise", "prominent_angle", "dreamfusion")


def default_evaluator(spec: DatasetSpec, truth: str) -> str:
    """Where the evaluator of a dataset lies."""
    if truth == "2d" and spec.name in PUBLISHED_EVALUATORS:
        return PUBLISHED_EVALUATORS[spec.name]
    return f"save/evaluator/{spec.name}{'_3d' if truth == '3d' else ''}"
