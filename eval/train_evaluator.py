"""Train the evaluator of 2D motion, or with `--truth 3d` of 3D motion, that eval.evaluate uses.

`python -m eval.train_evaluator --dataset nba --save_dir save/evaluator/nba`
"""

from dataclasses import dataclass, replace
from functools import partial

from data_loaders.options import DataOptions
from data_loaders.registry import DATASETS, dataset_spec, load_dataset
from model.options import EvaluatorOptions
from train.common.commands import Subject, motions_of, parse_training_line, run_training, saved_options
from train.common.runs import placed, refuse_denoisers
from train.options import TrainingOptions
from utils.run.errors import UsageError, run_command
from utils.run.options import RunOptions

# What trains denoisers and motion models alone: `train.common.runs.refuse_denoisers` refuses it.
OF_DENOISERS = ("cond", "eval_during_training", "gen_during_training")


@dataclass(frozen=True)
class EvaluatorTrainingLine:
    """The command line."""

    run: RunOptions
    data: DataOptions
    evaluator: EvaluatorOptions
    training: TrainingOptions


def checked(line: EvaluatorTrainingLine) -> EvaluatorTrainingLine:
    """Refuse what cannot be trained, before anything is loaded; returns the options with save_dir filled in."""
    data, truth = line.data, line.evaluator.truth
    spec = dataset_spec(data.dataset)
    if not spec.family.flat:
        flat = ", ".join(name for name, each in DATASETS.items() if each.family.flat)
        raise UsageError(f"--dataset {data.dataset}: this evaluator is for keypoints; choose from {flat}")
    if truth == "3d" and not spec.seen_from_3d:
        with_3d = ", ".join(name for name, each in DATASETS.items() if each.seen_from_3d)
        raise UsageError(f"--truth 3d: {data.dataset} holds no 3D motion; choose 2d, or a dataset that does: {with_3d}")
    if data.cond != "no_cond":
        raise UsageError(f"--cond {data.cond}: an evaluator sees no condition; choose no_cond")
    refuse_denoisers(line.training)
    return replace(line, training=placed(line.training))


def subject_of(line: EvaluatorTrainingLine) -> Subject:
    """The evaluator, and its task."""
    from data_loaders.points.upright import upright
    from model.evaluators.motion_vae import MotionVAE, from_published, to_published
    from train.tasks.evaluator import EvaluatorTask

    run, data, evaluator = line.run, line.data, line.evaluator
    dataset = load_dataset(dataset_spec(data.dataset), data, run.compat, run.seed)
    if evaluator.truth == "3d":
        dataset = upright(dataset)
    task = EvaluatorTask(
        dataset, line.training.train_batch_size, run.seed, evaluator.e_latent_dim,
        counts_padding=run.compat == "published",
    )  # fmt: skip
    build = partial(MotionVAE, dataset.mean.size, evaluator)
    about = motions_of(dataset, data, f", evaluated in {evaluator.truth.upper()}")
    next_command = "eval.test_evaluator --model_path"
    return Subject(dataset, task, build, about, "an evaluator", next_command, to_published, from_published)


def main(argv: list[str]) -> None:
    """Run the command."""
    line = checked(
        parse_training_line(EvaluatorTrainingLine, "eval.train_evaluator", __doc__ or "", argv, advanced=OF_DENOISERS)
    )
    run_training(line, saved_options(line), lambda _: subject_of(line))


if __name__ == "__main__":
    run_command(main)
