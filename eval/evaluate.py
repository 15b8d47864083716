"""Entry: whether a 2D model, MAS and its ablations make motion like held-out motion, in the space of an evaluator.

`python -m eval.evaluate --model_path save/mocap2d --eval_num_samples 96 --num_eval_iterations 3`
"""

from dataclasses import dataclass
from pathlib import Path

from eval.options import SUBJECTS, EvaluationOptions, checked, named
from sample.options import MasCommand, parse_sampling
from train.options import JudgeOptions
from utils.run.errors import UsageError, run_command
from utils.run.parallel import is_first


@dataclass(frozen=True)
class EvaluateCommand(MasCommand):
    """Of eval.evaluate."""

    judge: JudgeOptions
    evaluation: EvaluationOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    # Ablations are judged as they come, not after what mends their bones.
    command = parse_sampling("eval.evaluate", __doc__ or "", EvaluateCommand, ["--bones", "raw", *argv])
    spec, how = command.spec, command.evaluation
    judge = checked(command.judge, spec)
    watched = named("--vis_subjects", how.vis_subjects, SUBJECTS)
    if strangers := [name for name in watched if name not in judge.subjects]:
        raise UsageError(f"--vis_subjects {strangers[0]}: name it in --subjects too")

    from eval.mas import tables as mas_tables
    from eval.mas.evaluators import load_evaluator
    from eval.mas.scores import Evaluation, evaluate
    from sample.common.session import open_session
    from utils.run.device import device_of

    device = device_of(command.run)
    evaluator = load_evaluator(judge.evaluator_path, spec, judge.truth, device)
    session = open_session(command)
    kept = Path(how.samples_dir) if how.samples_dir else mas_tables.samples_folder(session.path)
    evaluation = Evaluation(
        session, command.mas, judge, evaluator, how.eval_num_samples, how.num_eval_iterations, kept, how.resume
    )
    content, examples = evaluate(evaluation)
    if is_first():
        stem = mas_tables.table_stem(session.path, judge, command.sampling.output_dir)
        print(mas_tables.write(stem, evaluation, content, examples), end="")
        mas_tables.write_videos(stem, evaluation, watched, how.num_visualize_samples)
        print(f"Saved eval log to [{stem}.txt]")


if __name__ == "__main__":
    run_command(main)
