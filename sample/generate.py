"""Entry: motion straight from a diffusion model: 2D from one of 2D motion; 3D from text, from actions, from nothing.

`python -m sample.generate --model_path save/mocap_text --text_prompt "a person walks and turns left"`
Models that are shown the frames before a motion (DiP) make it of any length, window after window.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from model.options import ModelOptions
from sample.options import (
    TEXT_MODEL,
    EndlessOptions,
    PrefixOptions,
    SamplingOptions,
    parse_sampling,
    refuse_simulator,
)
from utils.run.errors import UsageError, run_command

if TYPE_CHECKING:
    from sample.common.session import Request, Session


def check(sampling: SamplingOptions, model: ModelOptions, begin: PrefixOptions, endless: EndlessOptions) -> None:
    """Refuse what the model has no use for. Raises UsageError."""
    refuse_simulator(begin)
    said = [name for name, value in (asdict(begin) | asdict(endless)).items() if value]
    for name in said:
        if name not in ("autoregressive_init", "target") and not model.context_len:
            raise UsageError(
                f"--{name}: {sampling.model_path} is shown no frames before a motion (--context_len 0 in training)"
            )
    if endless.target and not model.multi_target_cond:
        raise UsageError(f"--target: {sampling.model_path} was not trained to be told any (--multi_target_cond)")
    if endless.dynamic_text_path and (sampling.text_prompt or sampling.input_text):
        raise UsageError("--dynamic_text_path: its lines are the prompts; leave out --text_prompt and --input_text")


def main(argv: list[str]) -> None:
    """Run the command."""
    groups = (PrefixOptions, EndlessOptions)
    options = parse_sampling("sample.generate", __doc__ or "", groups, argv, TEXT_MODEL)
    _, sampling, _, model, _, begin, endless = options
    check(sampling, model, begin, endless)

    from functools import partial

    from sample.common.plain import sample_plain
    from sample.common.results import run_sampling
    from sample.endless.windows import aimed_request, endless_request, sample_endless

    def ask(session: "Session") -> "Request":
        request, source = endless_request(session, begin, endless)
        print(source)
        return request

    if model.context_len:
        make = partial(sample_endless, include_prefix=endless.autoregressive_include_prefix)
        run_sampling(options, "sample", make, ask)
    else:
        run_sampling(options, "sample", sample_plain, partial(aimed_request, options=endless))


if __name__ == "__main__":
    run_command(main)
