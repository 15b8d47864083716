"""Entry: train a diffusion model of motion: 2D keypoints (MAS), or 3D motion from text or actions (MDM, DiP).

`python -m train.train_mdm --dataset nba --save_dir save/my_model`
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_loaders.options import DataOptions
from data_loaders.registry import DatasetSpec, dataset_defaults, dataset_spec, load_dataset
from diffusion.options import DiffusionOptions
from model.options import ModelOptions, translated
from train.options import TrainingOptions
from train.platforms import check_platform, open_platform
from utils.run.errors import UsageError, run_command
from utils.run.files import atomic_folder, atomic_write, locked, refuse_existing, write_json
from utils.run.options import RunOptions, parse
from utils.run.parallel import is_first, own_device, shares

GROUPS = (RunOptions, DataOptions, ModelOptions, DiffusionOptions, TrainingOptions)


def defaults_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Defaults that depend on other options: the dataset's; who is charged for missing a goal is told it."""
    return {**dataset_defaults(values), **({"multi_target_cond": True} if values["lambda_target_loc"] else {})}


def check(
    data: DataOptions, model: ModelOptions, diffusion: DiffusionOptions, training: TrainingOptions
) -> TrainingOptions:
    """Refuse what cannot be trained, before anything is loaded; returns the options with save_dir filled in."""
    frames = model.frames_per_token if model.arch == "dit" else 1
    spec = dataset_spec(data.dataset)
    numbers = frames * spec.features
    if diffusion.model_mean_type == "epsilon" and model.latent_dim < numbers:
        raise UsageError(
            f"--model_mean_type epsilon: noise does not fit through a network narrower than the {numbers} numbers of "
            f"{frames} frame{'s' * (frames > 1)}; raise --latent_dim from {model.latent_dim}"
        )
    if training.eval_during_training:
        raise UsageError("--eval_during_training needs the evaluators, which this version does not have yet")
    if data.cond == "text" and not spec.sentences:
        raise UsageError(f"--cond text: dataset {data.dataset} has no sentences; choose no_cond or action")
    if data.cond == "action" and not spec.actions:
        raise UsageError(f"--cond action: dataset {data.dataset} has no action labels; choose no_cond")
    check_platform(training.train_platform_type)
    if training.resume_checkpoint:
        source = Path(training.resume_checkpoint)
        training = dataclasses.replace(
            training, save_dir=training.save_dir or str(source if source.is_dir() else source.parent)
        )
    if not training.save_dir:
        raise UsageError("--save_dir is required: the folder where checkpoints are kept")
    shares(training.train_batch_size, training.accumulate)
    if is_first() and not continues(training):
        refuse_existing(training.save_dir, training.overwrite_model, "--overwrite_model")
    return training


def continues(training: TrainingOptions) -> bool:
    """Whether the run goes on in the folder of the checkpoint that it resumes."""
    source, folder = Path(training.resume_checkpoint).resolve(), Path(training.save_dir).resolve()
    return bool(training.resume_checkpoint) and folder in (source, source.parent)


def window(spec: DatasetSpec, model: ModelOptions) -> dict[str, int]:
    """What a loader of HumanML3D-style folders must know of the model: its window, and whether padding matters."""
    if spec.representation != "hml":
        return {}
    if model.context_len:
        return {"exact": model.context_len + (model.pred_len or model.context_len), "context": model.context_len}
    return {} if model.mask_frames else {"pad_to": spec.max_frames}


@contextlib.contextmanager
def run_folder(training: TrainingOptions, args: Mapping[str, Any], dataset: Any) -> Iterator[None]:
    """Hold the run's folder, which appears with all that describes the run in it, or not at all.

    The first of several ranks does that, and speaks; the others are silent.
    """
    if not is_first():
        with contextlib.redirect_stdout(None):
            yield
        return
    import numpy as np

    def describe(folder: Path) -> None:
        for name, values in (("Mean.npy", dataset.mean), ("Std.npy", dataset.std)):
            with atomic_write(folder / name) as handle:
                np.save(handle, values)
        write_json(folder / "args.json", args)

    folder = Path(training.save_dir)
    with contextlib.ExitStack() as held:
        if folder.is_dir():
            held.enter_context(locked(folder))
        if continues(training):
            describe(folder)
        else:
            with atomic_folder(folder, training.overwrite_model) as made:
                describe(made)
            held.enter_context(locked(folder))
        yield


def main(argv: list[str]) -> None:
    """Run the command."""
    run, data, model, diffusion, training = parse(
        "train.train_mdm", __doc__ or "", GROUPS, argv, defaults_of=defaults_of,
        saved_from=("resume_checkpoint",), saved_groups=GROUPS, known=GROUPS,
        never_saved=("save_dir", "overwrite_model", "resume_checkpoint", "device", "config"),
        translate=translated,
    )  # fmt: skip
    training = check(data, model, diffusion, training)

    import torch

    from diffusion.process import build_process
    from model.denoiser import build_denoiser, file_layout
    from model.text_encoders import load_text_encoder
    from sample.milestones import film_maker
    from train.during import films, looking
    from train.loop import restore_weights, start_from, train
    from train.task import DiffusionTask
    from train.terms import aims, terms
    from utils.run import checkpoint
    from utils.run.device import pick_device
    from utils.run.randomness import seeded

    if run.threads:
        torch.set_num_threads(run.threads)
    device = own_device(pick_device(run.device if run.cuda else "cpu"))
    spec = dataset_spec(data.dataset)
    dataset = load_dataset(spec, data, run.compat, run.seed, **window(spec, model))
    resume = checkpoint.load(checkpoint.resolve(training.resume_checkpoint)) if training.resume_checkpoint else None
    encode = load_text_encoder(model.text_encoder_type, data.text_encoder_path) if data.cond == "text" else None
    with seeded(run.seed, "weights"):
        denoiser = build_denoiser(
            model, spec.features, spec.num_actions(data.cond), encode.width if encode else 0,
            encoder_hides=not spec.is_3d,
        ).to(device)  # fmt: skip
    to_file, from_file = file_layout(model)
    if training.initial_weights and not resume:
        start_from(denoiser, checkpoint.resolve(training.initial_weights), from_file)
    process = build_process(diffusion.noise_schedule, diffusion.diffusion_steps)
    task = DiffusionTask(
        dataset, process, training.train_batch_size, run.seed, target=diffusion.model_mean_type,
        weighting=training.loss_weight, terms=terms(spec, training, dataset), hide=model.cond_mask_prob, encode=encode,
        text_noise=training.text_noise if encode else 0.0, context=model.context_len,
        aim=aims(spec, model, training, dataset),
    )  # fmt: skip
    # A dataset smaller than a batch and a checkpoint that does not fit are refused before the folder is touched.
    task.batch(0)
    if resume:
        restore_weights(denoiser, resume, from_file)

    args = {name: value for group in (run, data, model, diffusion, training) for name, value in vars(group).items()}
    with run_folder(training, args, dataset):
        print(f"{len(dataset)} motions of {data.dataset} ({data.data_split})")
        parameters = sum(weight.numel() for weight in denoiser.parameters())
        print(f"{model.arch} with {parameters / 1e6:.2f} M parameters on {device}")
        platform = open_platform(training.train_platform_type, training.save_dir, args)
        generation = films(film_maker(run, data, model, diffusion, training), platform)
        last = train(
            denoiser, task, training, seed=run.seed, device=device, precision=run.precision, resume=resume,
            platform=platform, to_file=to_file, from_file=from_file,
            after_save=looking([generation] if training.gen_during_training else [], run.seed),
        )  # fmt: skip
    if is_first():
        print(f"trained: {last}; next: python -m sample.{'generate' if spec.is_3d else 'mas'} --model_path {last}")


if __name__ == "__main__":
    run_command(main)
