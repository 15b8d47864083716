"""Whether a 2D model, MAS and its ablations make motion like held-out motion, in the space of an evaluator.

`python -m eval.evaluate --model_path save/mocap2d --eval_num_samples 96 --num_eval_iterations 3`
"""

from dataclasses import dataclass
from pathlib import Path

from data_loaders.registry import dataset_spec
from eval.options import RARELY, SUBJECTS, EvaluationOptions, checked, named
from sample.options import MasOptions, SamplingLine, parse_sampling_line
from train.options import JudgeOptions
from utils.run.errors import UsageError, run_command
from utils.run.parallel import is_first

PRESETS = {"bones": "raw"}  # ablations are judged as they come, not after what mends their bones


@dataclass(frozen=True)
class EvaluateLine(SamplingLine):
    """The command line."""

    mas: MasOptions
    judge: JudgeOptions
    amount: EvaluationOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(
        EvaluateLine, "eval.evaluate", __doc__ or "", argv, presets=PRESETS,
        advanced=(*RARELY, "vis_subjects", "num_visualize_samples"),
    )  # fmt: skip
    spec = dataset_spec(line.data.dataset)
    judge = checked(line.judge, spec)
    watched = named("--vis_subjects", line.amount.vis_subjects, SUBJECTS)
    if strangers := [name for name in watched if name not in judge.subjects]:
        raise UsageError(f"--vis_subjects {strangers[0]}: name it in --subjects too")

    from eval.mas import tables as mas_tables
    from eval.mas.evaluators import load_evaluator
    from eval.mas.scores import Evaluation, evaluate
    from sample.common.session import open_session
    from utils.run.device import device_of

    device = device_of(line.run)
    evaluator = load_evaluator(judge.evaluator_path, spec, judge.truth, device)
    session = open_session(line.run, line.sampling, line.data, line.model, line.diffusion)
    amount = line.amount
    kept = Path(amount.samples_dir) if amount.samples_dir else mas_tables.samples_folder(session.path)
    evaluation = Evaluation(
        session,
        line.mas,
        judge,
        evaluator,
        amount.eval_num_samples,
        amount.num_eval_iterations,
        kept,
        amount.resume,
    )
    content, examples = evaluate(evaluation)
    if is_first():
        stem = mas_tables.table_stem(session.path, judge, line.sampling.output_dir)
        print(mas_tables.write(stem, evaluation, content, examples), end="")
        mas_tables.write_videos(stem, evaluation, watched, amount.num_visualize_samples)
        print(f"Saved eval log to [{stem}.txt]")


if __name__ == "__main__":
    run_command(main)
