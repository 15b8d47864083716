"""Entry: the published evaluation of a text model: R-precision, matching score, FID, diversity, multimodality.

`python -m eval.eval_humanml --model_path save/humanml_trans_enc_512/model000475000.pt`: published evaluators judge
HumanML3D and KIT-ML, ours `mocap`. The log is written beside the checkpoint, and a table and a record with it.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sample.options import TEXT_MODEL, PrefixOptions, SamplingCommand, parse_sampling, refuse_simulator
from utils.run.errors import UsageError, run_command
from utils.run.options import option
from utils.run.parallel import group, is_first

if TYPE_CHECKING:
    from eval.text.scores import TextSettings

MODES = ("wo_mm", "mm_short", "debug", "full")
MEANINGLESS = ("text_prompt", "input_text", "motion_length", "use_data", "show_input_motions")


@dataclass(frozen=True)
class TextEvalOptions:
    """How much is made, what judges it, and where the work is kept."""

    eval_mode: str = option(
        "wo_mm",
        "wo_mm: 20 replications; debug: 5; mm_short: 5 with multimodality; full: 20 with it",
        MODES,
    )
    evaluator_path: str = option(
        "",
        "a published finest.tar, or the folder of eval.train_text_evaluator (default: ./t2m/text_mot_match/model/"
        "finest.tar for humanml, ./kit/... for kit, save/evaluator/mocap_text for mocap)",
    )
    glove_path: str = option("./glove", "folder of the vectors of words that the published evaluators read")
    eval_rep_times: int = option(0, "replications (0: as the mode says)", least=0)
    eval_num_samples: int = option(
        1000, "motions of a replication, rounded up to whole batches of 32, which R-precision compares", least=1
    )
    samples_dir: str = option("", "where finished work is kept (default: beside the log, <log>_eval_samples)")
    resume: bool = option(False, "take the work that an earlier run finished, and do only the rest")
    autoregressive: bool = option(False, "make motions window after window (models shown what was before always do)")
    autoregressive_include_prefix: bool = option(False, "the motions begin with the frames that the model was shown")
    autoregressive_init: str = option("data", "as published (isaac: a simulator's frames, not read)", ("data", "isaac"))


@dataclass(frozen=True)
class TextEvalCommand(SamplingCommand):
    """Of eval.eval_humanml."""

    evaluation: TextEvalOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    command = parse_sampling("eval.eval_humanml", __doc__ or "", TextEvalCommand, argv, TEXT_MODEL)
    sampling, data, asked = command.sampling, command.data, command.evaluation
    if data.cond != "text":
        raise UsageError(
            f"eval.eval_humanml judges models that read sentences; {sampling.model_path} is of {data.dataset} with "
            f"--cond {data.cond}"
        )
    if given := [name for name in MEANINGLESS if getattr(sampling, name)]:
        raise UsageError(f"--{given[0]} means nothing here: sentences and lengths are those of the dataset's test part")
    refuse_simulator(PrefixOptions(autoregressive_init=asked.autoregressive_init))

    from eval.common.work import path_of, run_units, unit_folder
    from eval.text import record as text_record
    from eval.text import scores as text_scores
    from eval.text.evaluators import load_text_evaluator
    from sample.common.session import open_session
    from utils.run.device import device_of
    from utils.run.files import load_archive

    device = device_of(command.run)
    evaluator = load_text_evaluator(
        command.spec, asked.evaluator_path, asked.glove_path, device, data.text_encoder_path
    )
    session = open_session(command)
    evaluation = text_scores.prepared(session, evaluator, settings_of(asked))
    stem = text_record.log_stem(session, asked.eval_mode)
    folder = Path(asked.samples_dir) if asked.samples_dir else text_record.beside(stem, "_eval_samples")
    started = time.monotonic()
    with group(device), unit_folder(folder, text_record.settings_of(evaluation), asked.resume):
        run_units(folder, text_scores.units(evaluation))
    if is_first():
        seconds = time.monotonic() - started
        print(text_record.write(stem, evaluation, lambda name: load_archive(path_of(folder, name)), seconds), end="")
        print(f"Saved eval log to [{stem}.log]")


def settings_of(asked: TextEvalOptions) -> "TextSettings":
    """How much is made."""
    from eval.text.scores import MODES, TextSettings

    times, multimodality = MODES[asked.eval_mode]
    return TextSettings(
        replications=asked.eval_rep_times or times,
        samples=asked.eval_num_samples,
        multimodality=multimodality,
        include_prefix=asked.autoregressive_include_prefix,
        keep=True,
    )


if __name__ == "__main__":
    run_command(main)
