"""Train the evaluator of 2D motion, or with `--truth 3d` of 3D motion, that eval.evaluate uses.

`python -m eval.train_evaluator --dataset nba --save_dir save/evaluator/nba`
"""

from dataclasses import dataclass

from data_loaders.options import DataOptions
from data_loaders.registry import DATASETS, dataset_defaults, dataset_spec, load_dataset
from model.options import EvaluatorOptions
from train.common.platforms import open_platform
from train.common.runs import placed, refuse_denoisers, run_folder
from train.options import TrainingOptions
from utils.run.errors import UsageError, run_command
from utils.run.options import RunOptions, parse_line
from utils.run.parallel import is_first

GROUPS = (RunOptions, DataOptions, EvaluatorOptions, TrainingOptions)
# What trains denoisers and motion models alone: `train.common.runs.refuse_denoisers` refuses it.
OF_DENOISERS = ("cond", "eval_during_training", "gen_during_training")


@dataclass(frozen=True)
class EvaluatorTrainingLine:
    """The command line."""

    run: RunOptions
    data: DataOptions
    evaluator: EvaluatorOptions
    training: TrainingOptions


def check(data: DataOptions, evaluator: EvaluatorOptions, training: TrainingOptions) -> TrainingOptions:
    """Refuse what cannot be trained, before anything is loaded; returns the options with save_dir filled in."""
    spec = dataset_spec(data.dataset)
    if spec.is_3d:
        flat = ", ".join(name for name, each in DATASETS.items() if not each.is_3d)
        raise UsageError(f"--dataset {data.dataset}: this evaluator judges keypoints; choose from {flat}")
    if evaluator.truth == "3d" and not spec.seen_from_3d:
        with_3d = ", ".join(name for name, each in DATASETS.items() if each.seen_from_3d)
        raise UsageError(f"--truth 3d: {data.dataset} holds no 3D motion; choose 2d, or a dataset that does: {with_3d}")
    if data.cond != "no_cond":
        raise UsageError(f"--cond {data.cond}: an evaluator is told nothing about a motion; choose no_cond")
    refuse_denoisers(training)
    return placed(training)


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_line(
        EvaluatorTrainingLine, "eval.train_evaluator", __doc__ or "", argv, defaults_of=dataset_defaults,
        saved_from=("resume_checkpoint",), saved_groups=GROUPS, known=GROUPS,
        never_saved=("save_dir", "overwrite_model", "resume_checkpoint", "device", "config"),
        advanced=OF_DENOISERS,
    )  # fmt: skip
    run, data, evaluator = line.run, line.data, line.evaluator
    training = check(data, evaluator, line.training)

    import torch

    from data_loaders.points.upright import upright
    from model.evaluators.motion_vae import MotionVAE, from_published, to_published
    from train.common.loop import restore_weights, start_from, train
    from train.tasks.evaluator import EvaluatorTask
    from utils.run import checkpoint
    from utils.run.device import device_of
    from utils.run.randomness import seeded

    if run.threads:
        torch.set_num_threads(run.threads)
    device = device_of(run)
    spec = dataset_spec(data.dataset)
    dataset = load_dataset(spec, data, run.compat, run.seed)
    if evaluator.truth == "3d":
        dataset = upright(dataset)
    resume = checkpoint.load(checkpoint.resolve(training.resume_checkpoint)) if training.resume_checkpoint else None
    with seeded(run.seed, "weights"):
        network = MotionVAE(dataset.mean.size, evaluator).to(device)
    if training.initial_weights and not resume:
        start_from(network, checkpoint.resolve(training.initial_weights), from_published)
    task = EvaluatorTask(
        dataset, training.train_batch_size, run.seed, evaluator.e_latent_dim, counts_padding=run.compat == "published"
    )
    # A dataset smaller than a batch and a checkpoint that does not fit are refused before the folder is touched.
    task.batch(0)
    if resume:
        restore_weights(network, resume, from_published)

    args = {name: value for group in (run, data, evaluator, training) for name, value in vars(group).items()}
    with run_folder(training, args, dataset):
        print(f"{len(dataset)} motions of {data.dataset} ({data.data_split}), judged in {evaluator.truth.upper()}")
        parameters = sum(weight.numel() for weight in network.parameters())
        print(f"an evaluator with {parameters / 1e6:.2f} M parameters on {device}")
        last = train(
            network, task, training, seed=run.seed, device=device, precision=run.precision, resume=resume,
            platform=open_platform(training.train_platform_type, training.save_dir, args),
            to_file=to_published, from_file=from_published,
        )  # fmt: skip
    if is_first():
        print(f"trained: {last}; next: python -m eval.test_evaluator --model_path {last}")


if __name__ == "__main__":
    run_command(main)
