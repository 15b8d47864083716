"""Motion straight from a diffusion model: 2D from one of 2D motion; 3D from text, from actions, from nothing.

`python -m sample.generate --model_path save/mocap_text --text_prompt "a person walks and turns left"`
Models that are shown the frames before a motion (DiP) make it of any length, window after window.
"""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from sample.options import (
    TEXT_MODEL,
    GenerateLine,
    check_finish,
    defaults_of_generate,
    holds_feet,
    parse_sampling_line,
    refuse_simulator,
)
from utils.run.errors import UsageError, run_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from sample.common.samples import Samples
    from sample.common.session import Request, Session


def check(line: GenerateLine) -> None:
    """Refuse what the model has no use for. Raises UsageError."""
    sampling, model, endless = line.sampling, line.model, line.endless
    refuse_simulator(line.prefix)
    check_finish(line.finish, line)
    given = [name for name, value in (asdict(line.prefix) | asdict(endless)).items() if value]
    for name in given:
        if name not in ("autoregressive_init", "target") and not model.context_len:
            raise UsageError(
                f"--{name}: {sampling.model_path} is shown no frames before a motion (--context_len 0 in training)"
            )
    if endless.target and not model.multi_target_cond:
        raise UsageError(f"--target: {sampling.model_path} was not trained with any (--multi_target_cond)")
    if endless.dynamic_text_path and (sampling.text_prompt or sampling.input_text):
        raise UsageError("--dynamic_text_path: its lines are the prompts; leave out --text_prompt and --input_text")


def request_of(
    session: "Session", line: GenerateLine
) -> "tuple[Request, Callable[[Session, Request], Tensor | Samples]]":
    """What is requested, and the function that samples it: whole motions, or window after window (DiP)."""
    from functools import partial

    from sample.common.plain import sample_plain
    from sample.endless.windows import aimed_request, endless_request, sample_endless

    if not line.model.context_len:
        return aimed_request(session, line.endless), sample_plain
    request, source = endless_request(session, line.prefix, line.endless)
    print(source)
    return request, partial(sample_endless, include_prefix=line.endless.autoregressive_include_prefix)


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(
        GenerateLine, "sample.generate", __doc__ or "", argv, TEXT_MODEL, defaults=defaults_of_generate
    )
    check(line)

    from sample.choosing.candidates import told_of
    from sample.choosing.finishing import finished
    from sample.common.results import announcement, results_folder, summary, write_results
    from sample.common.samples import sampled_in_parts
    from sample.common.session import open_session
    from utils.run.progress import ProgressLine

    folder = results_folder(line, line.spec.family.plain)
    session = open_session(line)
    request, sample = request_of(session, line)
    sample = finished(session, sample, line.finish.candidates, holds_feet(line.finish, line))
    print(announcement(session, request))
    with ProgressLine("sampling", "writing") as callback:
        session = replace(session, callback=callback)
        samples = write_results(folder, session, request, sampled_in_parts(session, request, sample))
    if samples.chosen:
        print(told_of(samples.chosen))
    print(summary(folder, request))


if __name__ == "__main__":
    run_command(main)
