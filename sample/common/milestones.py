"""Motions from the milestones of a training, made as `sample.generate` makes them from the same checkpoint."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from data_loaders.options import DataOptions
from diffusion.options import DiffusionOptions
from model.options import ModelOptions
from sample.common.plain import sample_plain
from sample.common.results import run_sampling
from sample.endless.windows import endless_request, sample_endless
from sample.options import EndlessOptions, PrefixOptions, parse_sampling
from train.options import TrainingOptions
from utils.run.options import RunOptions


def film_maker(
    run: RunOptions, data: DataOptions, model: ModelOptions, diffusion: DiffusionOptions, training: TrainingOptions
) -> Callable[[Path], list[Path]]:
    """A function that makes motions from a checkpoint of this training and returns its films, the grids if there are.

    It writes the folder `<checkpoint>.samples`. Prompts are those that `sample.generate` takes where none is given: the
    same captions of the test part, the same labels, or nothing, at each milestone. The weights are those of the file.
    """

    def make(saved: Path) -> list[Path]:
        folder = saved.with_name(f"{saved.name}.samples")
        sampling = parse_sampling("sample.generate", "", (), ["--model_path", str(saved)])[1]
        sampling = replace(
            sampling, output_dir=str(folder), overwrite=True, num_samples=training.gen_num_samples,
            num_repetitions=training.gen_num_repetitions, guidance_param=training.gen_guidance_param,
        )  # fmt: skip
        # Published draws would come from the global generators.
        options = [replace(run, compat="none"), sampling, data, model, diffusion]
        if model.context_len:
            endless = partial(sample_endless, include_prefix=training.autoregressive_include_prefix)
            run_sampling(options, "sample", endless, lambda s: endless_request(s, PrefixOptions(), EndlessOptions())[0])
        else:
            run_sampling(options, "sample", sample_plain)
        return sorted(folder.glob("*_to_*.mp4")) or sorted(folder.glob("*.mp4"))

    return make
