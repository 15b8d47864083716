"""Entry: the published evaluation of an action model: accuracy, diversity, multimodality and FID, by recognisers.

`python -m eval.eval_humanact12_uestc --model_path save/humanact12/model000350000.pt --eval_mode full`: for models of
HumanAct12 (those told nothing: with KID, precision and recall too) and UESTC. `prepare/download_recognition_models.sh`
and `prepare/download_recognition_unconstrained_models.sh` bring the recognisers. The figures are written beside the
checkpoint, as YAML, and a table and a record with them.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from sample.options import SamplingCommand, parse_sampling
from utils.run.errors import UsageError, run_command
from utils.run.options import option
from utils.run.parallel import group, is_first

MODES = {"debug": (10, 2), "full": (1000, 20)}  # motions of a set, sets
OF_TEXT = ("wo_mm", "mm_short")
MEANINGLESS = (
    "text_prompt", "input_text", "action_name", "action_file", "motion_length", "use_data", "show_input_motions",
)  # fmt: skip


@dataclass(frozen=True)
class ActionEvalOptions:
    """How much is made, what judges it, and where the work is kept."""

    eval_mode: str = option(
        "full", "full: 20 sets of 1000 motions; debug: 2 of 10; the others are those of text", (*MODES, *OF_TEXT)
    )
    eval_num_samples: int = option(0, "motions of a set (0: as the mode says)", least=0)
    num_seeds: int = option(0, "independent sets (0: as the mode says)", aliases=("eval_rep_times",), least=0)
    recognisers: str = option("assets/actionrecognition", "folder of the published files of the recognisers")
    body: str = option(
        "", "on whose bones HumanAct12's see motion: smpl, as published, free, or an SMPL file (default: smpl if it is "
        "in body_models/, else free)",
    )  # fmt: skip
    samples_dir: str = option("", "where finished work is kept (default: beside the figures, <figures>_units)")
    resume: bool = option(False, "take the work that an earlier run finished, and do only the rest")


@dataclass(frozen=True)
class ActionEvalCommand(SamplingCommand):
    """Of eval.eval_humanact12_uestc."""

    evaluation: ActionEvalOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    command = parse_sampling("eval.eval_humanact12_uestc", __doc__ or "", ActionEvalCommand, argv, model="")
    sampling, asked = command.sampling, command.evaluation
    if not sampling.model_path:
        raise UsageError("--model_path is required: a checkpoint of a model of HumanAct12 or UESTC, or its folder")
    if asked.eval_mode in OF_TEXT:
        raise UsageError(
            f"--eval_mode {asked.eval_mode} is of eval.eval_humanml; choose debug (2 sets of 10 motions) or full "
            "(20 of 1000)"
        )
    if given := [name for name in MEANINGLESS if getattr(sampling, name)]:
        raise UsageError(f"--{given[0]} means nothing here: actions and lengths are those of the real motions")
    samples, seeds = MODES[asked.eval_mode]
    samples, seeds = asked.eval_num_samples or samples, asked.num_seeds or seeds

    from eval.action import record as action_record
    from eval.action.evaluators import load_judges
    from eval.action.scores import prepared, units
    from eval.common.work import path_of, run_units, unit_folder
    from sample.common.session import open_session
    from utils.run.device import device_of
    from utils.run.files import load_archive

    device = device_of(command.run)
    judges = load_judges(command.spec, command.data, asked.recognisers, asked.body, device)
    session = open_session(command)
    evaluation = prepared(session, judges, samples, seeds)
    stem = action_record.stem_of(session, samples)
    folder = Path(asked.samples_dir) if asked.samples_dir else action_record.beside(stem, "_units")
    started = time.monotonic()
    with group(device), unit_folder(folder, action_record.settings_of(evaluation), asked.resume):
        run_units(folder, units(evaluation), "parts of motions")
    if is_first():
        seconds = time.monotonic() - started
        print(action_record.write(stem, evaluation, lambda name: load_archive(path_of(folder, name)), seconds), end="")
        print(f"Saving evaluation: {stem}.yaml")


if __name__ == "__main__":
    run_command(main)
