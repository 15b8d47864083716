"""Metrics of the milestones of a training: each checkpoint is evaluated as the command of its task does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from data_loaders.families import function_at
from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec
from diffusion.options import DiffusionOptions
from eval.action import record as action_record
from eval.action import scores as action_scores
from eval.action.evaluators import FOLDER, load_recognisers
from eval.mas import tables as mas_tables
from eval.mas.evaluators import load_evaluator
from eval.mas.scores import MasEvaluation
from eval.options import checked
from eval.text import record as text_record
from eval.text import scores as text_scores
from eval.text.evaluators import load_text_evaluator
from model.options import ModelOptions
from sample.common.session import Session, open_session
from sample.options import MasOptions, SamplingLine, parse_sampling_line
from train.options import ComparisonOptions, TrainingOptions
from utils.run.checkpoint import step_of
from utils.run.errors import UsageError
from utils.run.options import RunOptions
from utils.run.project import found

Metrics = Callable[[Path], dict[str, float]]


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
        sampling = parse_sampling_line(SamplingLine, "sample.generate", "", ["--model_path", str(saved)]).sampling
        guidance, rows = self.training.gen_guidance_param, self.training.eval_batch_size
        sampling = replace(sampling, guidance_param=guidance, max_batch=rows)
        # Published draws would come from the global generators.
        run = replace(self.run, compat="none")
        return open_session(SamplingLine(run, sampling, self.data, self.model, self.diffusion))


def metrics_of(training_run: TrainingRun, comparison: ComparisonOptions) -> Metrics:
    """A function from a checkpoint of a training to its metrics, by the names under which they are reported.

    It leaves the files of the task's evaluation beside the checkpoint. The evaluator is loaded here, so that what is
    missing is said before the training begins. Raises UsageError, MissingFileError or DataError.
    """
    spec, cond = dataset_spec(training_run.data.dataset), training_run.data.cond
    ways = spec.family.evaluations
    if not (way := ways.get(cond, ways.get(""))):
        raise UsageError(f"--eval_during_training: there is no evaluation of models of {spec.name} with --cond {cond}")
    return function_at(way)(training_run, comparison)


def of_views(training_run: TrainingRun, comparison: ComparisonOptions) -> Metrics:
    """2D models, and MAS on them."""
    training, spec = training_run.training, dataset_spec(training_run.data.dataset)
    comparison = checked(comparison, spec)
    evaluator = load_evaluator(comparison.evaluator_path, spec, comparison.truth, training_run.device)

    def metrics(saved: Path) -> dict[str, float]:
        evaluation = MasEvaluation(
            session=training_run.session(saved), mas=MasOptions(num_views=training.num_views, bones="raw"),
            comparison=comparison, evaluator=evaluator, samples=training.eval_num_samples,
            iterations=training.eval_rep_times, folder=mas_tables.samples_folder(saved),
        )  # fmt: skip
        outcome = evaluation.evaluate()
        assert outcome, "milestones are evaluated by the first rank"
        mas_tables.write(mas_tables.table_stem(saved, comparison), evaluation, outcome)
        found = outcome.content["subjects"].items()
        return {f"{name}_{subject}": each["mean"] for subject, row in found for name, each in row.items()}

    return metrics


def of_sentences(training_run: TrainingRun, comparison: ComparisonOptions) -> Metrics:
    """Text models: the published log `eval_humanml_<step>.log`."""
    training, spec = training_run.training, dataset_spec(training_run.data.dataset)
    text_encoder = training_run.data.text_encoder_path
    evaluator = load_text_evaluator(
        spec, comparison.evaluator_path, device=training_run.device, text_encoder_path=text_encoder
    )  # fmt: skip
    settings = text_scores.TextSettings(
        training.eval_rep_times, training.eval_num_samples, split=training.eval_split,
        include_prefix=training.autoregressive_include_prefix,
    )  # fmt: skip

    def metrics(saved: Path) -> dict[str, float]:
        evaluation = text_scores.prepared(training_run.session(saved), evaluator, settings)
        values = evaluation.scores(evaluation.gather())
        text_record.write_log(saved.with_name(f"eval_humanml_{step_of(saved):09d}.log"), values)
        return text_scores.scalars(values)

    return metrics


def of_actions(training_run: TrainingRun, comparison: ComparisonOptions) -> Metrics:
    """Action models, and unconditional models of HumanAct12: the published YAML."""
    training, data = training_run.training, training_run.data
    recognisers = load_recognisers(
        dataset_spec(data.dataset), data, comparison.evaluator_path or found(FOLDER), device=training_run.device
    )  # fmt: skip

    def metrics(saved: Path) -> dict[str, float]:
        session, samples = training_run.session(saved), training.eval_num_samples
        evaluation = action_scores.prepared(session, recognisers, samples, training.eval_rep_times)
        values = evaluation.scores(evaluation.gather())
        stem = action_record.stem_of(session, samples)
        action_record.write_yaml(action_record.beside(stem, ".yaml"), values)
        return {name: float(np.mean(found)) for name, found in values.items()}

    return metrics
