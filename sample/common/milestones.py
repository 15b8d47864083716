"""Motions from the milestones of a training, sampled as `sample.generate` does from the same checkpoint."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from data_loaders.options import DataOptions
from diffusion.options import DiffusionOptions
from model.options import ModelOptions
from sample.common.plain import sample_plain
from sample.common.request import make_request
from sample.common.results import results_folder, write_results
from sample.common.samples import sampled_in_parts
from sample.common.session import open_session
from sample.endless.windows import endless_request, sample_endless
from sample.options import EndlessOptions, PrefixOptions, SamplingLine, parse_sampling_line
from train.options import TrainingOptions
from utils.run.options import RunOptions


def sampler_of(
    run: RunOptions, data: DataOptions, model: ModelOptions, diffusion: DiffusionOptions, training: TrainingOptions
) -> Callable[[Path], list[Path]]:
    """A function that samples a checkpoint of this training and returns the videos, the grids if there are.

    It writes the folder `<checkpoint>.samples`. Prompts are those that `sample.generate` takes where none is given: the
    same captions of the test part, the same labels, or nothing, at each milestone. The weights are those of the file.
    """

    def sample(saved: Path) -> list[Path]:
        sampling = parse_sampling_line(SamplingLine, "sample.generate", "", ["--model_path", str(saved)]).sampling
        sampling = replace(
            sampling, output_dir=str(saved.with_name(f"{saved.name}.samples")), overwrite=True,
            num_samples=training.gen_num_samples, num_repetitions=training.gen_num_repetitions,
            guidance_param=training.gen_guidance_param,
        )  # fmt: skip
        # Published draws would come from the global generators.
        line = SamplingLine(replace(run, compat="none"), sampling, data, model, diffusion)
        folder = results_folder(line, line.spec.family.plain)
        session = open_session(line)
        if model.context_len:
            request, _ = endless_request(session, PrefixOptions(), EndlessOptions())
            way = partial(sample_endless, include_prefix=training.autoregressive_include_prefix)
        else:
            request, way = make_request(session), sample_plain
        write_results(folder, session, request, sampled_in_parts(session, request, way))
        return sorted(folder.glob("*_to_*.mp4")) or sorted(folder.glob("*.mp4"))

    return sample
