"""Whether a 2D model, MAS and its ablations make motion like held-out motion, in the space of an evaluator.

`python -m eval.evaluate --model_path save/mocap2d --eval_num_samples 96 --num_eval_iterations 3`
"""

from dataclasses import dataclass
from pathlib import Path

from data_loaders.registry import dataset_spec
from eval.options import RARELY, SUBJECTS, EvaluationOptions, checked, named
from sample.options import MasOptions, SamplingLine, parse_sampling_line
from train.options import ComparisonOptions
from utils.run.errors import UsageError, run_command

PRESETS = {"bones": "raw"}  # ablations are evaluated as they come, not after what mends their bones


@dataclass(frozen=True)
class EvaluateLine(SamplingLine):
    """The command line."""

    mas: MasOptions
    comparison: ComparisonOptions
    amount: EvaluationOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(
        EvaluateLine, "eval.evaluate", __doc__ or "", argv, presets=PRESETS,
        advanced=(*RARELY, "vis_subjects", "num_visualize_samples"),
    )  # fmt: skip
    spec = dataset_spec(line.data.dataset)
    comparison = checked(line.comparison, spec)
    watched = named("--vis_subjects", line.amount.vis_subjects, SUBJECTS)
    if strangers := [name for name in watched if name not in comparison.subjects]:
        raise UsageError(f"--vis_subjects {strangers[0]}: name it in --subjects too")

    from eval.common.work import steps_shown
    from eval.mas import tables
    from eval.mas.evaluators import load_evaluator
    from eval.mas.scores import MasEvaluation
    from sample.common.session import open_session
    from utils.run.device import device_of
    from utils.run.folders import refuse_existing

    evaluator = load_evaluator(comparison.evaluator_path, spec, comparison.truth, device_of(line.run))
    session = open_session(line, steps_shown())
    evaluation = MasEvaluation(
        session=session, mas=line.mas, comparison=comparison, evaluator=evaluator,
        samples=line.amount.eval_num_samples, iterations=line.amount.num_eval_iterations,
        folder=Path(line.amount.samples_dir or tables.samples_folder(session.path)), resume=line.amount.resume,
    )  # fmt: skip
    stem = tables.table_stem(session.path, comparison, line.sampling.output_dir)
    if watched:
        refuse_existing(tables.videos_folder(stem), True, sure=(f"{watched[0]}_sample_0.mp4",))
    if outcome := evaluation.evaluate():
        print(tables.write(stem, evaluation, outcome), end="")
        tables.write_videos(stem, evaluation, watched, line.amount.num_visualize_samples)
        print(f"Saved eval log to [{stem}.txt]")


if __name__ == "__main__":
    run_command(main)
