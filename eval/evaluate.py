"""Entry: whether a 2D model, MAS and its ablations make motion like held-out motion, in the space of an evaluator.

`python -m eval.evaluate --model_path save/mocap2d --eval_num_samples 96 --num_eval_iterations 3`
"""

from pathlib import Path

from data_loaders.registry import dataset_spec
from eval.options import SUBJECTS, EvaluationOptions, checked, named
from sample.options import MasOptions, parse_sampling
from train.options import JudgeOptions
from utils.run.errors import UsageError, run_command
from utils.run.parallel import is_first


def main(argv: list[str]) -> None:
    """Run the command."""
    groups = (MasOptions, JudgeOptions, EvaluationOptions)
    # Ablations are judged as they come, not after what mends their bones.
    parsed = parse_sampling("eval.evaluate", __doc__ or "", groups, ["--bones", "raw", *argv])
    run, sampling, data, model, diffusion, mas, judge, how = parsed
    spec = dataset_spec(data.dataset)
    judge = checked(judge, spec)
    watched = named("--vis_subjects", how.vis_subjects, SUBJECTS)
    if strangers := [name for name in watched if name not in judge.subjects]:
        raise UsageError(f"--vis_subjects {strangers[0]}: name it in --subjects too")

    from eval.mas import tables as mas_tables
    from eval.mas.evaluators import load_evaluator
    from eval.mas.scores import Evaluation, evaluate
    from sample.common.session import open_session
    from utils.run.device import device_of
    from utils.run.folders import refuse_existing

    device = device_of(run)
    evaluator = load_evaluator(judge.evaluator_path, spec, judge.truth, device)
    session = open_session(run, sampling, data, model, diffusion)
    kept = Path(how.samples_dir) if how.samples_dir else mas_tables.samples_folder(session.path)
    evaluation = Evaluation(
        session, mas, judge, evaluator, how.eval_num_samples, how.num_eval_iterations, kept, how.resume
    )
    stem = mas_tables.table_stem(session.path, judge, sampling.output_dir)
    if watched:
        refuse_existing(mas_tables.videos_folder(stem), True, sure=(f"{watched[0]}_sample_0.mp4",))
    content, examples = evaluate(evaluation)
    if is_first():
        print(mas_tables.write(stem, evaluation, content, examples), end="")
        mas_tables.write_videos(stem, evaluation, watched, how.num_visualize_samples)
        print(f"Saved eval log to [{stem}.txt]")


if __name__ == "__main__":
    run_command(main)
