"""The published evaluation of an action model: accuracy, diversity, multimodality and FID, by recognisers.

`python -m eval.eval_humanact12_uestc --model_path save/humanact12/model000350000.pt --eval_mode full`: for models of
HumanAct12 (unconditional ones: with KID, precision and recall too) and UESTC. `prepare/download_recognition_models.sh`
and `prepare/download_recognition_unconstrained_models.sh` bring the recognisers. The metrics are written beside the
checkpoint, as YAML, and a table and a record with them.
"""

from dataclasses import dataclass
from pathlib import Path

from data_loaders.registry import dataset_spec
from eval.options import RARELY
from sample.options import SamplingLine, parse_sampling_line
from utils.run.errors import UsageError, run_command
from utils.run.options import option

MODES = {"debug": (10, 2), "full": (1000, 20)}  # motions of a set, sets
OF_TEXT = ("wo_mm", "mm_short")
MEANINGLESS = (
    "text_prompt", "input_text", "action_name", "action_file", "motion_length", "use_data", "show_input_motions",
)  # fmt: skip


@dataclass(frozen=True)
class ActionEvalOptions:
    """How much is generated, the recognisers, and where the work is kept."""

    eval_mode: str = option(
        "full", "full: 20 sets of 1000 motions; debug: 2 of 10; the others are those of text", (*MODES, *OF_TEXT)
    )
    eval_num_samples: int = option(0, "motions of a set (0: as the mode says)", min=0)
    num_seeds: int = option(0, "independent sets (0: as the mode says)", aliases=("eval_rep_times",), min=0)
    recognisers: str = option(
        "assets/actionrecognition", "folder of the published files of the recognisers", shipped=True
    )
    body: str = option(
        "", "on whose bones HumanAct12's see motion: smpl, as published, free, or an SMPL file (default: smpl if it is "
        "in body_models/, else free)",
    )  # fmt: skip
    samples_dir: str = option("", "where finished work is kept (default: beside the metrics, <metrics>_units)")
    resume: bool = option(False, "take the work that an earlier run finished, and do only the rest")


@dataclass(frozen=True)
class ActionEvalLine(SamplingLine):
    """The command line."""

    evaluation: ActionEvalOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(
        ActionEvalLine, "eval.eval_humanact12_uestc", __doc__ or "", argv, model="", advanced=(*RARELY, "motion_length")
    )
    sampling, data, requested = line.sampling, line.data, line.evaluation
    if not sampling.model_path:
        raise UsageError("--model_path is required: a checkpoint of a model of HumanAct12 or UESTC, or its folder")
    if requested.eval_mode in OF_TEXT:
        raise UsageError(
            f"--eval_mode {requested.eval_mode} is of eval.eval_humanml; choose debug (2 sets of 10 motions) or full "
            "(20 of 1000)"
        )
    if given := [name for name in MEANINGLESS if getattr(sampling, name)]:
        raise UsageError(f"--{given[0]} means nothing here: actions and lengths are those of the real motions")
    samples, seeds = MODES[requested.eval_mode]
    samples, seeds = requested.eval_num_samples or samples, requested.num_seeds or seeds

    from eval.action import record as action_record
    from eval.action.evaluators import load_recognisers
    from eval.action.scores import prepared
    from eval.common.work import steps_shown
    from sample.common.session import open_session
    from utils.run.device import device_of

    recognisers = load_recognisers(
        dataset_spec(data.dataset), data, requested.recognisers, requested.body, device_of(line.run)
    )
    session = open_session(line, steps_shown())
    stem = action_record.stem_of(session, samples)
    folder = Path(requested.samples_dir or action_record.beside(stem, "_units"))
    evaluation = prepared(session, recognisers, samples, seeds, folder, requested.resume)
    if outcome := evaluation.evaluate():
        print(action_record.write(stem, outcome), end="")
        print(f"Saving evaluation: {stem}.yaml")


if __name__ == "__main__":
    run_command(main)
