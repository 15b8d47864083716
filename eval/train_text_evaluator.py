"""Train the evaluator of text models whose motion is not of a published dataset, and measure it.

`python -m eval.train_text_evaluator --save_dir save/my_evaluator`; `--measure save/evaluator/mocap_text` only measures.
"""

import dataclasses
from dataclasses import dataclass

from data_loaders.options import DataOptions
from data_loaders.registry import DATASETS, dataset_defaults, dataset_spec, load_dataset
from model.options import ContrastiveOptions
from train.common.platforms import open_platform
from train.common.runs import passed_over, placed, refuse_denoisers, run_folder
from train.options import TrainingOptions
from utils.run.errors import UsageError, run_command
from utils.run.options import RunOptions, option, parse_line
from utils.run.parallel import is_first


@dataclass(frozen=True)
class MeasureOptions:
    """What is done beside training."""

    measure: str = option("", "an evaluator (checkpoint or folder) to measure on the test part, instead of training")


GROUPS = (RunOptions, DataOptions, ContrastiveOptions, TrainingOptions)
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


def check(data: DataOptions, training: TrainingOptions) -> TrainingOptions:
    """Refuse what cannot be trained, before anything is loaded; returns the options with save_dir filled in."""
    spec = dataset_spec(data.dataset)
    if not (spec.sentences and spec.representation == "hml"):
        usable = ", ".join(name for name, row in DATASETS.items() if row.sentences and row.representation == "hml")
        raise UsageError(f"--dataset {data.dataset}: this evaluator compares 3D motion with sentences; choose {usable}")
    refuse_denoisers(training, but=("text_noise",))
    return placed(training)


def show_quality(path: str, run: RunOptions, data: DataOptions) -> None:
    """Measure an evaluator on the test part, print the metrics and write them to `quality.md` beside it."""
    import torch

    from eval.text.evaluator_quality import measure, page
    from eval.text.own_evaluator import load_contrastive
    from utils.run.device import device_of
    from utils.run.files import atomic_write

    if run.threads:
        torch.set_num_threads(run.threads)
    spec = dataset_spec(data.dataset)
    evaluator = load_contrastive(path, spec, device_of(run), data.text_encoder_path)
    learnt, held_out = (
        load_dataset(spec, dataclasses.replace(data, data_split=part, data_augmentations=(), data_size=None))
        for part in (data.data_split, "test")
    )
    found = measure(evaluator, learnt, held_out, run.seed)
    text = page(found, evaluator, f"python -m eval.train_text_evaluator --measure {path}")
    with atomic_write(evaluator.path.with_name("quality.md")) as handle:
        handle.write(text.encode())
    print(text, end="")


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_line(
        TextEvaluatorLine, "eval.train_text_evaluator", __doc__ or "", argv, defaults_of=dataset_defaults,
        saved_from=("measure", "resume_checkpoint"), saved_groups=GROUPS, known=GROUPS,
        never_saved=("save_dir", "overwrite_model", "resume_checkpoint", "device", "config"),
        presets={"dataset": "mocap", "data_augmentations": ("length_aug",)}, advanced=OF_DENOISERS,
    )  # fmt: skip
    run, data, contrastive = line.run, line.data, line.contrastive
    if line.quality.measure:
        show_quality(line.quality.measure, run, data)
        return
    training = check(data, line.training)

    import torch

    from model.evaluators.contrastive import Contrastive
    from model.text.encoders import load_text_encoder
    from train.common.loop import restore_weights, start_from, train
    from train.tasks.contrastive import ContrastiveTask, describe
    from utils.run import checkpoint
    from utils.run.device import device_of
    from utils.run.randomness import seeded

    if run.threads:
        torch.set_num_threads(run.threads)
    device = device_of(run)
    dataset = load_dataset(dataset_spec(data.dataset), data, run.compat, run.seed)
    resume = checkpoint.load(checkpoint.resolve(training.resume_checkpoint)) if training.resume_checkpoint else None
    encode = load_text_encoder(contrastive.c_text_encoder, data.text_encoder_path)
    with seeded(run.seed, "weights"):
        network = Contrastive(dataset.spec.features, encode.width, contrastive).to(device)
    if training.initial_weights and not resume:
        start_from(network, checkpoint.resolve(training.initial_weights), dict)
    vectors = encode(dataset.captions)[0][:, 0]
    task = ContrastiveTask(
        dataset, vectors, describe(dataset, vectors), training.train_batch_size, run.seed, contrastive.c_alike,
        training.text_noise,
    )  # fmt: skip
    # A dataset smaller than a batch and a checkpoint that does not fit are refused before the folder is touched.
    task.batch(0)
    if resume:
        restore_weights(network, resume, dict)

    args = {name: value for group in (run, data, contrastive, training) for name, value in vars(group).items()}
    with run_folder(training, args, dataset):
        print(f"{len(dataset)} motions of {data.dataset} ({data.data_split}), {len(dataset.captions)} sentences")
        print("".join(f"{line}\n" for line in passed_over(dataset)), end="")
        parameters = sum(weight.numel() for weight in network.parameters())
        print(f"an evaluator with {parameters / 1e6:.2f} M parameters on {device}")
        last = train(
            network, task, training, seed=run.seed, device=device, precision=run.precision, resume=resume,
            platform=open_platform(training.train_platform_type, training.save_dir, args),
        )  # fmt: skip
    if is_first():
        print(f"trained: {last}; next: python -m eval.train_text_evaluator --measure {last}")


if __name__ == "__main__":
    run_command(main)
