"""Train the evaluator of text models whose motion is not of a published dataset, and measure it.

`python -m eval.train_text_evaluator --save_dir save/my_evaluator`; `--measure save/evaluator/mocap_text` only measures.
"""

from dataclasses import dataclass, replace
from functools import partial

from data_loaders.options import DataOptions
from data_loaders.registry import DATASETS, dataset_spec, load_dataset
from model.options import ContrastiveOptions
from train.common.commands import Subject, motions_of, parse_training_line, run_training, saved_options
from train.common.runs import placed, refuse_denoisers
from train.options import TrainingOptions
from utils.run.errors import UsageError, run_command
from utils.run.options import RunOptions, option


@dataclass(frozen=True)
class MeasureOptions:
    """What is done beside training."""

    measure: str = option(
        "", "an evaluator (checkpoint or folder) to measure on the test part, instead of training", shipped=True
    )


# What trains denoisers alone: `train.common.runs.refuse_denoisers` refuses it.
OF_DENOISERS = ("cond", "eval_during_training", "gen_during_training")


@dataclass(frozen=True)
class TextEvaluatorLine:
    """The command line."""

    run: RunOptions
    data: DataOptions
    contrastive: ContrastiveOptions
    training: TrainingOptions
    quality: MeasureOptions


def checked(line: TextEvaluatorLine) -> TextEvaluatorLine:
    """Refuse what cannot be trained, before anything is loaded; returns the options with save_dir filled in."""
    dataset = line.data.dataset
    spec = dataset_spec(dataset)
    if not (spec.sentences and spec.representation == "hml"):
        known = ", ".join(name for name, row in DATASETS.items() if row.sentences and row.representation == "hml")
        raise UsageError(f"--dataset {dataset}: this evaluator compares 3D motion with sentences; choose {known}")
    refuse_denoisers(line.training, but=("text_noise",))
    return replace(line, training=placed(line.training))


def show_quality(path: str, run: RunOptions, data: DataOptions) -> None:
    """Measure an evaluator on the test part, print the metrics and write them to `quality.md` beside it."""
    import torch

    from eval.text.evaluator_quality import measure, page
    from sample.choosing.evaluator import load_contrastive
    from utils.run.device import device_of
    from utils.run.files import atomic_write

    if run.threads:
        torch.set_num_threads(run.threads)
    spec = dataset_spec(data.dataset)
    evaluator = load_contrastive(path, spec, device_of(run), data.text_encoder_path)
    learnt, held_out = (
        load_dataset(spec, replace(data, data_split=part, data_augmentations=(), data_size=None))
        for part in (data.data_split, "test")
    )
    found = measure(evaluator, learnt, held_out, run.seed)
    text = page(found, evaluator, f"python -m eval.train_text_evaluator --measure {path}")
    with atomic_write(evaluator.path.with_name("quality.md")) as handle:
        handle.write(text.encode())
    print(text, end="")


def subject_of(line: TextEvaluatorLine) -> Subject:
    """The evaluator, and its task."""
    from model.evaluators.contrastive import Contrastive
    from model.text.encoders import load_text_encoder
    from train.tasks.contrastive import ContrastiveTask, describe

    run, data, contrastive, training = line.run, line.data, line.contrastive, line.training
    dataset = load_dataset(dataset_spec(data.dataset), data, run.compat, run.seed)
    encode = load_text_encoder(contrastive.c_text_encoder, data.text_encoder_path)
    vectors = encode(dataset.captions)[0][:, 0]
    task = ContrastiveTask(
        dataset, vectors, describe(dataset, vectors), training.train_batch_size, run.seed, contrastive.c_alike,
        training.text_noise,
    )  # fmt: skip
    build = partial(Contrastive, dataset.spec.features, encode.width, contrastive)
    about = motions_of(dataset, data, f", {len(dataset.captions)} sentences")
    next_command = "eval.train_text_evaluator --measure"
    return Subject(dataset, task, build, about, "an evaluator", next_command)


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_training_line(
        TextEvaluatorLine, "eval.train_text_evaluator", __doc__ or "", argv,
        saved_from=("measure", "resume_checkpoint"), unsaved=(MeasureOptions,),
        presets={"dataset": "mocap", "data_augmentations": ("length_aug",)}, advanced=OF_DENOISERS,
    )  # fmt: skip
    if line.quality.measure:
        show_quality(line.quality.measure, line.run, line.data)
        return
    line = checked(line)
    run_training(line, saved_options(line, (MeasureOptions,)), lambda _: subject_of(line))


if __name__ == "__main__":
    run_command(main)
