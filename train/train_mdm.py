"""Train a diffusion model of motion: 2D keypoints (MAS), or 3D motion from text or actions (MDM, DiP).

`python -m train.train_mdm --dataset nba --save_dir save/my_model`
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from data_loaders.options import DataOptions
from data_loaders.registry import DatasetSpec, dataset_defaults, dataset_spec, load_dataset
from diffusion.options import DiffusionOptions
from model.options import ModelOptions, translated
from train.common.commands import MakeCallback, Subject, motions_of, parse_training_line, run_training, saved_options
from train.common.runs import placed, statistics_beside
from train.options import ComparisonOptions, TrainingOptions
from utils.run.errors import UsageError, run_command
from utils.run.options import RunOptions

if TYPE_CHECKING:
    import torch


# Of more sentences each is hardly seen twice: those of a batch are encoded at once, which takes a third of the time.
REMEMBERED = 50_000


@dataclass(frozen=True)
class TrainLine:
    """The command line."""

    run: RunOptions
    data: DataOptions
    model: ModelOptions
    diffusion: DiffusionOptions
    training: TrainingOptions
    comparison: ComparisonOptions


def defaults_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Defaults that depend on other options: the dataset's; with a loss of goals, goals are a condition."""
    return {**dataset_defaults(values), **({"multi_target_cond": True} if values["lambda_target_loc"] else {})}


def checked(line: TrainLine) -> TrainLine:
    """Refuse what cannot be trained, before anything is loaded; returns the options with save_dir filled in."""
    data, model = line.data, line.model
    frames = model.frames_per_token if model.arch == "dit" else 1
    spec = dataset_spec(data.dataset)
    numbers = frames * spec.features
    if line.diffusion.model_mean_type == "epsilon" and model.latent_dim < numbers:
        raise UsageError(
            f"--model_mean_type epsilon: noise does not fit through a network narrower than the {numbers} numbers of "
            f"{frames} frame{'s' * (frames > 1)}; raise --latent_dim from {model.latent_dim}"
        )
    if data.cond == "text" and not spec.sentences:
        raise UsageError(f"--cond text: dataset {data.dataset} has no sentences; choose no_cond or action")
    if data.cond == "action" and not spec.actions:
        raise UsageError(f"--cond action: dataset {data.dataset} has no action labels; choose no_cond")
    return replace(line, training=placed(line.training))


def window(spec: DatasetSpec, model: ModelOptions) -> dict[str, Any]:
    """What a loader of HumanML3D-style folders must know of the model: its window, whether padding counts, whether it
    is told what is done when."""
    if spec.representation != "hml":
        return {}
    told: dict[str, Any] = {"planned": model.plan}
    if model.context_len:
        exact = model.context_len + (model.pred_len or model.context_len)
        return told | {"exact": exact, "context": model.context_len}
    return told if model.mask_frames else told | {"pad_to": spec.max_frames}


def subject_of(line: TrainLine) -> Subject:
    """The denoiser, and its task."""
    from diffusion.process import build_process
    from model.denoisers.build import build_denoiser, file_layout
    from model.text.encoders import load_text_encoder
    from train.tasks.diffusion import DiffusionTask
    from train.tasks.terms import aims, terms

    data, model, diffusion, training = line.data, line.model, line.diffusion, line.training
    spec, seed = dataset_spec(data.dataset), line.run.seed
    stats = statistics_beside(training) if spec.family.standardised else None
    dataset = load_dataset(spec, data, line.run.compat, seed, stats=stats, **window(spec, model))
    encode = load_text_encoder(model.text_encoder_type, data.text_encoder_path) if data.cond == "text" else None
    if encode and len(dataset.captions) > REMEMBERED:
        encode = encode.encoder
    task = DiffusionTask(
        dataset, build_process(diffusion.noise_schedule, diffusion.diffusion_steps), training.train_batch_size, seed,
        target=diffusion.model_mean_type, weighting=training.loss_weight, terms=terms(spec, training, dataset),
        hide=model.cond_mask_prob, encode=encode, text_noise=training.text_noise if encode else 0.0,
        context=model.context_len, noisiest=training.noisiest_share, aim=aims(spec, model, training, dataset),
    )  # fmt: skip
    build = partial(
        build_denoiser, model, spec.features, spec.num_actions(data.cond), encode.width if encode else 0,
        encoder_hides=spec.family.encoder_hides,
    )  # fmt: skip
    next_command = f"{spec.family.next_command} --model_path"
    about = motions_of(dataset, data, f", normalised by Mean and Std of {stats}" if stats else "")
    return Subject(dataset, task, build, about, model.arch, next_command, *file_layout(model))


def callbacks_of(line: TrainLine, device: "torch.device") -> list[MakeCallback]:
    """What is done with each milestone. Evaluators are loaded here, so that what is missing is said at once."""
    from eval.common.milestones import TrainingRun, metrics_of
    from sample.common.milestones import sampler_of
    from train.common.callbacks import metrics, videos

    run, data, model, diffusion, training = (
        line.run, line.data, line.model, line.diffusion, line.training,
    )  # fmt: skip
    callbacks = []
    if training.eval_during_training:
        of = metrics_of(TrainingRun(run, data, model, diffusion, training, device), line.comparison)
        callbacks.append(partial(metrics, of))
    if training.gen_during_training:
        callbacks.append(partial(videos, sampler_of(run, data, model, diffusion, training)))
    return callbacks


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_training_line(
        TrainLine, "train.train_mdm", __doc__ or "", argv, defaults_of=defaults_of, translate=translated,
        network=(ModelOptions, DiffusionOptions),
        advanced=("subjects", "metrics_names", "angle_mode", "truth"),
    )  # fmt: skip
    line = checked(line)
    run_training(line, saved_options(line), lambda _: subject_of(line), partial(callbacks_of, line))


if __name__ == "__main__":
    run_command(main)
