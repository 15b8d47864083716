"""Motion without end from a model that is shown the frames before it (DiP), written window after window.

`python -m sample.stream --model_path save/mocap_dip --text_prompt "a person walks" --seconds 20 --output_dir runs/walk`
Each window is a line of JSON on standard output, or with --output_dir a file window_<number>.npz; when it ends,
results.npy holds all of it. What the person does can change at any time: `--prompts -` reads it line by line.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sample.options import PrefixOptions, SamplingLine, parse_sampling_line, refuse_simulator
from utils.run.errors import UsageError, run_command
from utils.run.folders import atomic_folder, locked, refuse_existing
from utils.run.options import option

if TYPE_CHECKING:
    from collections.abc import Callable

    from sample.common.session import Session
    from sample.endless.streaming import Prompts

DIP_MODEL = "save/mocap_dip"
LATER = (r"window_\d+\.npz", r"results(_len)?\.(npy|txt)")  # what a stream adds to its folder as it goes


@dataclass(frozen=True)
class StreamOptions:
    """How long the stream goes on, how fast, and what changes it."""

    prompts: str = option(
        "",
        "new prompts while it runs: -, the lines of standard input, which it ends with unless --seconds says how long; "
        "or a file, whose last line counts, read again when it changes",
    )
    seconds: float = option(0.0, "how much motion to make (0: until Ctrl-C or SIGTERM)", min=0)
    realtime: bool = option(False, "keep pace with the clock, half a window ahead (default: as fast as possible)")


@dataclass(frozen=True)
class StreamLine(SamplingLine):
    """Of sample.stream."""

    prefix: PrefixOptions
    stream: StreamOptions


def check(line: StreamLine) -> None:
    """Refuse models that cannot go on, and prompts that are missing or not read. Raises UsageError."""
    sampling, cond, prompts = line.sampling, line.data.cond, line.stream.prompts
    if not line.model.context_len:
        raise UsageError(
            f"{sampling.model_path} is shown no frames before a motion (--context_len 0 in training), so it cannot go "
            "on: use sample.generate"
        )
    refuse_simulator(line.prefix)
    if sampling.input_text:
        raise UsageError("--input_text: a stream is one motion; say --prompts")
    if cond == "text" and not (sampling.text_prompt or prompts):
        raise UsageError('say what shall be done (--text_prompt "a person walks") or where that comes from (--prompts)')
    if cond != "text" and prompts:
        raise UsageError(f"--prompts: {sampling.model_path} reads no text")


def chosen_prompts(session: "Session", options: StreamOptions, stopped: "Callable[[], bool]") -> "Prompts":
    """The prompt of every window, as the options say; of models that read no text it is empty."""
    import math
    import sys

    from sample.common.request import frames_of
    from sample.endless.streaming import in_turn, read_in_background, typed, watched
    from sample.endless.windows import window_frames

    if not session.encode:
        return in_turn([""], [1])
    texts, window = session.sampling.text_prompt, window_frames(session.model_options)
    said = in_turn(texts, [math.ceil(frames / window) for frames in frames_of(session, texts)])
    if options.prompts == "-":
        return typed(read_in_background(sys.stdin.fileno()), said, options.seconds > 0, stopped)
    return watched(options.prompts, said) if options.prompts else said


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(StreamLine, "sample.stream", __doc__ or "", argv, DIP_MODEL)
    check(line)
    sampling, options = replace(line.sampling, num_samples=1, num_repetitions=1), line.stream
    folder = Path(sampling.output_dir) if sampling.output_dir else None
    if folder:
        refuse_existing(folder, sampling.overwrite, sure=("results.npy",), later=LATER)

    import contextlib
    import sys
    from functools import partial
    from itertools import chain, islice

    from sample.common.session import open_session
    from sample.endless.streaming import stream, write_file, write_line, write_whole
    from sample.endless.windows import find_prefix
    from train.common.loop import stop_signals

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    session = open_session(replace(line, sampling=sampling))
    prefix = find_prefix(session, line.prefix, 1)
    with contextlib.ExitStack() as held:
        caught = held.enter_context(stop_signals())
        prompts = chosen_prompts(session, options, lambda: bool(caught))
        # What is wrong with the prompts shows before anything is written.
        first = list(islice(prompts, 1))
        say(prefix.source)
        if folder and first:
            with atomic_folder(folder, sampling.overwrite, LATER):
                pass
            held.enter_context(locked(folder))
        count = stream(
            session, prefix, chain(first, prompts), partial(write_file, folder) if folder else write_line,
            seconds=options.seconds, realtime=options.realtime, stopped=lambda: bool(caught), say=say,
        )  # fmt: skip
        if folder and count:
            say(f"all of it is in {write_whole(folder, session, count)}")
    with contextlib.suppress(BrokenPipeError):  # nobody reads any more
        sys.stdout.flush()


if __name__ == "__main__":
    run_command(main, whoever_reads=False)
