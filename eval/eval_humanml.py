"""The published evaluation of a text model: R-precision, matching score, FID, diversity, multimodality.

`python -m eval.eval_humanml --model_path save/humanml_trans_enc_512/model000475000.pt`: published evaluators evaluate
HumanML3D and KIT-ML, ours `mocap`. The log is written beside the checkpoint, and a table and a record with it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_loaders.registry import dataset_spec
from eval.options import RARELY
from sample.options import TEXT_MODEL, PrefixOptions, SamplingLine, parse_sampling_line, refuse_simulator
from train.options import PLATFORMS
from utils.run.errors import UsageError, run_command
from utils.run.options import option

if TYPE_CHECKING:
    from eval.text.scores import TextSettings

MODES = ("wo_mm", "mm_short", "debug", "full")
MEANINGLESS = ("text_prompt", "input_text", "motion_length", "use_data", "show_input_motions")


@dataclass(frozen=True)
class TextEvalOptions:
    """How much is generated, the evaluator, and where the work is kept."""

    eval_mode: str = option(
        "wo_mm",
        "wo_mm: 20 replications; debug: 5; mm_short: 5 with multimodality; full: 20 with it",
        MODES,
    )
    evaluator_path: str = option(
        "",
        "a published finest.tar, or the folder of eval.train_text_evaluator (default: ./t2m/text_mot_match/model/"
        "finest.tar for humanml, ./kit/... for kit, save/evaluator/mocap_text for mocap)",
        shipped=True,
    )
    glove_path: str = option(
        "./glove", "folder of the vectors of words that the published evaluators read", shipped=True
    )
    eval_rep_times: int = option(0, "replications (0: as the mode says)", min=0)
    eval_num_samples: int = option(
        1000, "motions of a replication, rounded up to whole batches of 32, which R-precision compares", min=1
    )
    train_platform_type: str = option(
        "NoPlatform", "where the means are reported too, as those of milestones are", PLATFORMS, advanced=True
    )
    samples_dir: str = option("", "where finished work is kept (default: beside the log, <log>_eval_samples)")
    resume: bool = option(False, "take the work that an earlier run finished, and do only the rest")
    autoregressive: bool = option(False, "generate window after window (models with a context always do)")
    autoregressive_include_prefix: bool = option(False, "the motions begin with the frames of the context")
    autoregressive_init: str = option("data", "as published (isaac: a simulator's frames, not read)", ("data", "isaac"))


@dataclass(frozen=True)
class TextEvalLine(SamplingLine):
    """The command line."""

    evaluation: TextEvalOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(
        TextEvalLine, "eval.eval_humanml", __doc__ or "", argv, TEXT_MODEL, advanced=(*RARELY, "motion_length")
    )
    sampling, data, requested = line.sampling, line.data, line.evaluation
    if data.cond != "text":
        raise UsageError(
            f"eval.eval_humanml is for models that read sentences; {sampling.model_path} is of {data.dataset} with "
            f"--cond {data.cond}"
        )
    if given := [name for name in MEANINGLESS if getattr(sampling, name)]:
        raise UsageError(f"--{given[0]} means nothing here: sentences and lengths are those of the dataset's test part")
    refuse_simulator(PrefixOptions(autoregressive_init=requested.autoregressive_init))

    from eval.common.work import steps_shown
    from eval.text import record as text_record
    from eval.text.evaluators import load_text_evaluator
    from eval.text.scores import prepared, scalars
    from sample.common.session import open_session
    from train.common.platforms import check_platform, open_platform
    from utils.run.checkpoint import step_of
    from utils.run.device import device_of

    check_platform(requested.train_platform_type)
    evaluator = load_text_evaluator(
        dataset_spec(data.dataset), requested.evaluator_path, requested.glove_path, device_of(line.run),
        data.text_encoder_path,
    )  # fmt: skip
    session = open_session(line, steps_shown())
    stem = text_record.log_stem(session, requested.eval_mode)
    folder = Path(requested.samples_dir or text_record.beside(stem, "_eval_samples"))
    evaluation = prepared(session, evaluator, settings_of(requested), folder, requested.resume)
    if outcome := evaluation.evaluate():
        print(text_record.write(stem, evaluation, outcome), end="")
        print(f"Saved eval log to [{stem}.log]")
        if platform := open_platform(requested.train_platform_type, str(stem.parent), vars(requested)):
            for name, value in scalars(outcome.values).items():
                platform.report_scalar(name, value, step_of(session.path), "Eval")
            platform.close()


def settings_of(requested: TextEvalOptions) -> "TextSettings":
    """How much is generated, as the options say."""
    from eval.text.scores import MODES, TextSettings

    times, multimodality = MODES[requested.eval_mode]
    return TextSettings(
        replications=requested.eval_rep_times or times,
        samples=requested.eval_num_samples,
        multimodality=multimodality,
        include_prefix=requested.autoregressive_include_prefix,
        keep=True,
    )


if __name__ == "__main__":
    run_command(main)
