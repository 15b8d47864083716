"""Entry: train a diffusion model of 2D motion.

`python -m train.train_mdm --dataset nba --save_dir save/my_model`
"""

import dataclasses
import shutil
from pathlib import Path

from data_loaders.options import DataOptions
from data_loaders.registry import dataset_defaults, dataset_spec, load_dataset
from diffusion.options import DiffusionOptions
from model.options import ModelOptions
from train.options import TrainingOptions
from utils.run.errors import UsageError, run_command
from utils.run.files import refuse_existing, write_json
from utils.run.options import RunOptions, parse

GROUPS = (RunOptions, DataOptions, ModelOptions, DiffusionOptions, TrainingOptions)


def check(data: DataOptions, training: TrainingOptions) -> TrainingOptions:
    """Refuse what cannot be trained, before anything is loaded; returns the options with save_dir filled in."""
    if training.eval_during_training:
        raise UsageError("--eval_during_training needs the evaluators, which this version does not have yet")
    if data.cond == "text":
        raise UsageError(f"--cond text: dataset {data.dataset} has no sentences; choose no_cond or action")
    if data.cond == "action" and not dataset_spec(data.dataset).actions:
        raise UsageError(f"--cond action: dataset {data.dataset} has no action labels; choose no_cond")
    if training.resume_checkpoint:
        source = Path(training.resume_checkpoint)
        folder = source if source.is_dir() else source.parent
        training = dataclasses.replace(training, save_dir=training.save_dir or str(folder))
        if Path(training.save_dir).resolve() == folder.resolve():
            return training
    if not training.save_dir:
        raise UsageError("--save_dir is required: the folder where checkpoints are kept")
    refuse_existing(training.save_dir, training.overwrite_model, "--overwrite_model")
    return training


def main(argv: list[str]) -> None:
    """Run the command."""
    run, data, model, diffusion, training = parse(
        "train.train_mdm", __doc__ or "", GROUPS, argv, defaults_of=dataset_defaults,
        saved_from=("resume_checkpoint",), saved_groups=GROUPS, known=GROUPS,
        never_saved=("save_dir", "overwrite_model", "resume_checkpoint", "device", "config"),
    )  # fmt: skip
    training = check(data, training)

    import numpy as np
    import torch

    from diffusion.process import build_process
    from model.denoiser import build_denoiser, file_layout
    from train.loop import train
    from train.platforms import open_platform
    from train.task import DiffusionTask
    from utils.run import checkpoint
    from utils.run.device import pick_device
    from utils.run.randomness import seeded

    if run.threads:
        torch.set_num_threads(run.threads)
    device = pick_device(run.device)
    spec = dataset_spec(data.dataset)
    dataset = load_dataset(spec, data, run.compat, run.seed)
    resume = checkpoint.load(checkpoint.resolve(training.resume_checkpoint)) if training.resume_checkpoint else None
    with seeded(run.seed, "weights"):
        denoiser = build_denoiser(model, spec.features, spec.num_actions(data.cond)).to(device)
    process = build_process(diffusion.noise_schedule, diffusion.diffusion_steps)
    task = DiffusionTask(
        dataset, process, training.train_batch_size, run.seed, target=diffusion.model_mean_type,
        weighting=training.loss_weight, lambda_vel=training.lambda_vel, hide=model.cond_mask_prob,
    )  # fmt: skip
    task.batch(0)  # a dataset smaller than a batch is refused before the folder is touched

    if training.overwrite_model and not resume:
        shutil.rmtree(training.save_dir, ignore_errors=True)
    Path(training.save_dir).mkdir(parents=True, exist_ok=True)
    args = {name: value for group in (run, data, model, diffusion, training) for name, value in vars(group).items()}
    write_json(Path(training.save_dir) / "args.json", args)
    parameters = sum(weight.numel() for weight in denoiser.parameters())
    for name, values in (("Mean.npy", dataset.mean), ("Std.npy", dataset.std)):
        np.save(Path(training.save_dir) / name, values)
    print(f"{len(dataset)} motions of {data.dataset} ({data.data_split})")
    print(f"{model.arch} with {parameters / 1e6:.2f} M parameters on {device}")
    platform = open_platform(training.train_platform_type, training.save_dir, args)
    to_file, from_file = file_layout(model)
    last = train(
        denoiser, task, training, seed=run.seed, device=device, precision=run.precision, resume=resume,
        platform=platform, to_file=to_file, from_file=from_file,
    )  # fmt: skip
    print(f"trained: {last}; next: python -m sample.mas --model_path {last}")


if __name__ == "__main__":
    run_command(main)
