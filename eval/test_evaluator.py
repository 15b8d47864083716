"""Look at what an evaluator knows: real motions beside what it makes of them again, or motions out of nothing.

`python -m eval.test_evaluator --model_path save/evaluator/mocap2d --num_samples 4` writes eval_test_seed_<seed> beside
the checkpoint: sample_<i>.mp4, and with `--evaluator_sampling_mode reconstruct` (the default) input_motion_<i>.mp4.
"""

import dataclasses
from dataclasses import dataclass

from data_loaders.options import DataOptions
from data_loaders.registry import dataset_defaults, dataset_spec
from model.options import EvaluatorOptions
from sample.options import SamplingOptions
from train.options import TrainingOptions
from utils.run.errors import MissingFileError, UsageError, run_command
from utils.run.options import RunOptions, option, parse_line

MODES = ("reconstruct", "generate")
# What conditions denoisers, or how they are sampled: an evaluator has neither.
OF_DENOISERS = (
    "text_prompt",
    "input_text",
    "action_name",
    "action_file",
    "sampler",
    "sampling_steps",
    "num_repetitions",
)


@dataclass(frozen=True)
class EvaluatorSamplingOptions:
    """What is looked at."""

    evaluator_sampling_mode: str = option(
        "reconstruct", "reconstruct: motions of the dataset, encoded and made again; generate: random latents", MODES
    )


@dataclass(frozen=True)
class EvaluatorLine:
    """The command line."""

    run: RunOptions
    sampling: SamplingOptions
    data: DataOptions
    evaluator: EvaluatorOptions
    mode: EvaluatorSamplingOptions


def read_line(argv: list[str]) -> EvaluatorLine:
    """What the command line says. Raises UsageError."""
    try:
        line = parse_line(
            EvaluatorLine, "eval.test_evaluator", __doc__ or "", argv, defaults_of=dataset_defaults,
            saved_from=("model_path",), saved_groups=(EvaluatorOptions,), saved_names=("dataset",),
            known=(RunOptions, DataOptions, TrainingOptions), presets={"model_path": "save/evaluator/mocap2d"},
            advanced=(EvaluatorOptions, *OF_DENOISERS, "guidance_param", "cond"),
        )  # fmt: skip
    except MissingFileError as error:
        raise MissingFileError(f"{error}; python -m eval.train_evaluator makes evaluators") from error
    sampling = line.sampling
    for field in dataclasses.fields(sampling):
        if field.name in OF_DENOISERS and getattr(sampling, field.name) != field.default:
            raise UsageError(f"--{field.name} is for models that make motion: an evaluator has nothing like it")
    if line.mode.evaluator_sampling_mode == "generate" and (sampling.use_data or sampling.show_input_motions):
        raise UsageError("--evaluator_sampling_mode generate takes no motions of the dataset: choose reconstruct")
    return line


def main(argv: list[str]) -> None:
    """Run the command."""
    line = read_line(argv)
    run, sampling, data, evaluator = line.run, line.sampling, line.data, line.evaluator

    import torch

    from eval.mas import reconstruction
    from eval.mas.evaluators import load_evaluator
    from sample.common.request import DEFAULT_SECONDS, frames_in
    from sample.common.results import output_folder
    from utils.run.device import device_of

    if run.threads:
        torch.set_num_threads(run.threads)
    spec, seconds = dataset_spec(data.dataset), sampling.motion_length
    folder = output_folder(sampling, run.seed, "eval_test", sure=("sample_0.mp4",))
    device = device_of(run)
    loaded = load_evaluator(sampling.model_path, spec, evaluator.truth, device)
    if loaded.options != evaluator:
        name = next(name for name, value in vars(evaluator).items() if getattr(loaded.options, name) != value)
        raise UsageError(
            f"--{name} {getattr(evaluator, name)}: {loaded.path} was trained with {getattr(loaded.options, name)}; "
            "leave that flag out"
        )
    if line.mode.evaluator_sampling_mode == "generate":
        frames = frames_in(DEFAULT_SECONDS if seconds is None else seconds, spec)
        clips = {"sample": reconstruction.generated(loaded, sampling.num_samples, frames, run.seed)}
    else:
        longest = frames_in(seconds, spec) if seconds is not None else None
        real = reconstruction.real_clips(loaded, data, sampling.num_samples, longest, run.compat, run.seed)
        clips = {"input_motion": real, "sample": reconstruction.reconstructed(loaded, real)}
    reconstruction.write(folder, loaded.spec, clips, sampling.overwrite)
    print(f"{sampling.num_samples} motions ({', '.join(clips)}) of {loaded.path} are in {folder}")


if __name__ == "__main__":
    run_command(main)
