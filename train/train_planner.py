"""Train a planner: from a sentence to what is done when, for models of motion that are told that (--plan).

`python -m train.train_planner --dataset mocap --datapath dataset/made --save_dir save/my_planner`
"""

from dataclasses import dataclass, replace
from functools import partial

from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec, load_dataset
from model.options import PlannerOptions
from train.common.commands import Subject, motions_of, parse_training_line, run_training, saved_options
from train.common.runs import OF_DENOISERS, placed, refuse_denoisers
from train.options import TrainingOptions
from utils.run.errors import UsageError, run_command
from utils.run.options import RunOptions

PRESETS = {
    "dataset": "mocap", "num_steps": 6000, "train_batch_size": 64, "lr": 1e-3, "lr_schedule": "cosine",
    "warmup_steps": 200, "weight_decay": 0.01, "use_ema": True, "avg_model_beta": 0.999, "grad_clip": 1.0,
    "save_interval": 1000,
}  # fmt: skip
ENCODER = "minilm_words"
WORD_NOISE = 0.3  # of the size of the words' vectors


@dataclass(frozen=True)
class PlannerLine:
    """The command line."""

    run: RunOptions
    data: DataOptions
    network: PlannerOptions
    training: TrainingOptions


def checked(line: PlannerLine) -> PlannerLine:
    """Refuse what cannot be trained, before anything is loaded; returns the options with save_dir filled in."""
    refuse_denoisers(line.training)
    if not dataset_spec(line.data.dataset).sentences:
        raise UsageError(f"dataset {line.data.dataset} has no sentences")
    return replace(line, training=placed(line.training))


def subject_of(line: PlannerLine) -> Subject:
    """The network, and its task."""
    from data_loaders.captioner.symbols import SIZES
    from model.text.encoders import load_text_encoder
    from model.text.planner import Planner
    from train.tasks.plans import PlanTask

    motions = load_dataset(
        dataset_spec(line.data.dataset), replace(line.data, data_augmentations=("length_aug",)), seed=line.run.seed
    )
    encode = load_text_encoder(ENCODER, line.data.text_encoder_path).encoder
    task = PlanTask(motions, encode, line.training.train_batch_size, line.run.seed, WORD_NOISE)
    build = partial(Planner, line.network, encode.width, tuple(SIZES.values()))
    next_command = "sample.generate --planner_path"
    return Subject(None, task, build, motions_of(motions, line.data), "planner", next_command)


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_training_line(
        PlannerLine, "train.train_planner", __doc__ or "", argv, network=(PlannerOptions,), presets=PRESETS,
        advanced=OF_DENOISERS,
    )  # fmt: skip
    line = checked(line)
    run_training(line, saved_options(line), lambda _: subject_of(line))


if __name__ == "__main__":
    run_command(main)
