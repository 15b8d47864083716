"""Figures of the milestones of a training: the evaluation of its task, made of each checkpoint as the commands do."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import torch

from data_loaders.families import function_at
from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec
from diffusion.options import DiffusionOptions
from eval.action import record as action_record
from eval.action import scores as action_scores
from eval.action.evaluators import FOLDER, load_judges
from eval.mas import scores as mas_scores
from eval.mas import tables as mas_tables
from eval.mas.evaluators import load_evaluator
from eval.options import checked
from eval.text import record as text_record
from eval.text import scores as text_scores
from eval.text.evaluators import load_text_evaluator
from model.options import ModelOptions
from sample.common.session import Session, open_session
from sample.options import MasOptions, SamplingCommand, parse_sampling
from train.options import JudgeOptions, TrainingOptions
from utils.run.checkpoint import step_of
from utils.run.errors import UsageError
from utils.run.files import atomic_write
from utils.run.options import RunOptions

Figures = Callable[[Path], dict[str, float]]


@dataclass(frozen=True)
class TrainingRun:
    """The options of a training, and the device that it runs on."""

    run: RunOptions
    data: DataOptions
    model: ModelOptions
    diffusion: DiffusionOptions
    training: TrainingOptions
    device: torch.device

    def session(self, saved: Path) -> Session:
        """A checkpoint of it, ready to be sampled."""
        sampling = parse_sampling("sample.generate", "", SamplingCommand, ["--model_path", str(saved)]).sampling
        guidance, most = self.training.gen_guidance_param, self.training.eval_batch_size
        sampling = replace(sampling, guidance_param=guidance, max_batch=most)
        # Published draws would come from the global generators.
        run = replace(self.run, compat="none")
        return open_session(SamplingCommand(run, sampling, self.data, self.model, self.diffusion))


def figures_of(training_run: TrainingRun, judge: JudgeOptions) -> Figures:
    """A function from a checkpoint of a training to its figures, by the names under which they are reported.

    It leaves the files of the task's evaluation beside the checkpoint. What judges is loaded here, so that what is
    missing is told before the training begins. Raises UsageError, MissingFileError or DataError.
    """
    spec, cond = dataset_spec(training_run.data.dataset), training_run.data.cond
    ways = spec.family.evaluations
    if not (way := ways.get(cond, ways.get(""))):
        raise UsageError(f"--eval_during_training: there is no evaluation of models of {spec.name} with --cond {cond}")
    return function_at(way)(training_run, judge)


def of_views(training_run: TrainingRun, judge: JudgeOptions) -> Figures:
    """2D models, and MAS on them."""
    training, spec = training_run.training, dataset_spec(training_run.data.dataset)
    judge = checked(judge, spec)
    evaluator = load_evaluator(judge.evaluator_path, spec, judge.truth, training_run.device)

    def figures(saved: Path) -> dict[str, float]:
        evaluation = mas_scores.Evaluation(
            training_run.session(saved), MasOptions(bones="raw"), judge, evaluator, training.eval_num_samples,
            training.eval_rep_times, mas_tables.samples_folder(saved),
        )  # fmt: skip
        content, examples = mas_scores.evaluate(evaluation)
        mas_tables.write(mas_tables.table_stem(saved, judge), evaluation, content, examples)
        found = content["subjects"].items()
        return {f"{name}_{subject}": each["mean"] for subject, row in found for name, each in row.items()}

    return figures


def of_sentences(training_run: TrainingRun, judge: JudgeOptions) -> Figures:
    """Text models: the published log `eval_humanml_<step>.log`."""
    training, spec = training_run.training, dataset_spec(training_run.data.dataset)
    evaluator = load_text_evaluator(
        spec, judge.evaluator_path, device=training_run.device, text_encoder_path=training_run.data.text_encoder_path
    )
    settings = text_scores.TextSettings(
        training.eval_rep_times, training.eval_num_samples, split=training.eval_split,
        include_prefix=training.autoregressive_include_prefix,
    )  # fmt: skip

    def figures(saved: Path) -> dict[str, float]:
        values = text_scores.evaluate(training_run.session(saved), evaluator, settings)
        with atomic_write(saved.with_name(f"eval_humanml_{step_of(saved):09d}.log")) as handle:
            handle.write(text_record.log_text(values, datetime.now()).encode())
        return text_scores.scalars(values)

    return figures


def of_actions(training_run: TrainingRun, judge: JudgeOptions) -> Figures:
    """Action models, and models of HumanAct12 that are told nothing: the published YAML."""
    training, data = training_run.training, training_run.data
    judges = load_judges(
        dataset_spec(data.dataset), data, judge.evaluator_path or FOLDER, device=training_run.device
    )  # fmt: skip

    def figures(saved: Path) -> dict[str, float]:
        session = training_run.session(saved)
        values = action_scores.evaluate(session, judges, training.eval_num_samples, training.eval_rep_times)
        stem = action_record.stem_of(session, training.eval_num_samples)
        with atomic_write(action_record.beside(stem, ".yaml")) as handle:
            handle.write(action_record.yaml_text(values).encode())
        return {name: float(np.mean(found)) for name, found in values.items()}

    return figures
