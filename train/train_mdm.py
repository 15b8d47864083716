"""Entry: train a diffusion model of motion: 2D keypoints (MAS), or 3D motion from text or actions (MDM, DiP).

`python -m train.train_mdm --dataset nba --save_dir save/my_model`
"""

from collections.abc import Mapping
from typing import Any

from data_loaders.options import DataOptions
from data_loaders.registry import DatasetSpec, dataset_defaults, dataset_spec, load_dataset
from diffusion.options import DiffusionOptions
from model.options import ModelOptions, translated
from train.common.platforms import open_platform
from train.common.runs import passed_over, placed, run_folder
from train.options import ComparisonOptions, TrainingOptions
from utils.run.errors import UsageError, run_command
from utils.run.options import RunOptions, parse
from utils.run.parallel import is_first

GROUPS = (RunOptions, DataOptions, ModelOptions, DiffusionOptions, TrainingOptions, ComparisonOptions)


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
    if data.cond == "text" and not spec.sentences:
        raise UsageError(f"--cond text: dataset {data.dataset} has no sentences; choose no_cond or action")
    if data.cond == "action" and not spec.actions:
        raise UsageError(f"--cond action: dataset {data.dataset} has no action labels; choose no_cond")
    return placed(training)


def window(spec: DatasetSpec, model: ModelOptions) -> dict[str, int]:
    """What a loader of HumanML3D-style folders must know of the model: its window, and whether padding matters."""
    if spec.representation != "hml":
        return {}
    if model.context_len:
        return {"exact": model.context_len + (model.pred_len or model.context_len), "context": model.context_len}
    return {} if model.mask_frames else {"pad_to": spec.max_frames}


def main(argv: list[str]) -> None:
    """Run the command."""
    run, data, model, diffusion, training, judge = parse(
        "train.train_mdm", __doc__ or "", GROUPS, argv, defaults_of=defaults_of,
        saved_from=("resume_checkpoint",), saved_groups=GROUPS, known=GROUPS,
        never_saved=("save_dir", "overwrite_model", "resume_checkpoint", "device", "config"),
        translate=translated, advanced=("subjects", "metrics_names", "angle_mode", "truth"),
    )  # fmt: skip
    training = check(data, model, diffusion, training)

    import torch

    from diffusion.process import build_process
    from model.denoisers.build import build_denoiser, file_layout
    from model.text.encoders import load_text_encoder
    from sample.common.milestones import film_maker
    from train.common.callbacks import figures, films, looking
    from train.common.loop import restore_weights, start_from, train
    from train.tasks.diffusion import DiffusionTask
    from train.tasks.terms import aims, terms
    from utils.run import checkpoint
    from utils.run.device import device_of
    from utils.run.randomness import seeded

    if run.threads:
        torch.set_num_threads(run.threads)
    device = device_of(run)
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

    of = None
    if training.eval_during_training:
        from eval.common.milestones import TrainingRun, metrics_of

        of = metrics_of(TrainingRun(run, data, model, diffusion, training, device), judge)

    args = {
        name: value for group in (run, data, model, diffusion, training, judge) for name, value in vars(group).items()
    }
    with run_folder(training, args, dataset):
        print(f"{len(dataset)} motions of {data.dataset} ({data.data_split})", *passed_over(dataset), sep="\n")
        parameters = sum(weight.numel() for weight in denoiser.parameters())
        print(f"{model.arch} with {parameters / 1e6:.2f} M parameters on {device}")
        platform = open_platform(training.train_platform_type, training.save_dir, args)
        looks = [figures(of, platform)] if of else []
        if training.gen_during_training:
            looks.append(films(film_maker(run, data, model, diffusion, training), platform))
        last = train(
            denoiser, task, training, seed=run.seed, device=device, precision=run.precision, resume=resume,
            platform=platform, to_file=to_file, from_file=from_file,
            after_save=looking(looks, run.seed),
        )  # fmt: skip
    if is_first():
        print(f"trained: {last}; next: python -m sample.{'generate' if spec.is_3d else 'mas'} --model_path {last}")


if __name__ == "__main__":
    run_command(main)
