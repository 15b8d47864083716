"""Results of many motions: drawn beside sampling and beside each other, against all sampled first and drawn one by one.

Run by hand: `python -m tests.benchmarks.results [--motions 64]`, without OMP_NUM_THREADS, on an idle machine: what is
measured is how well the cores are used. Both ways write the same files; medians over rounds, taking turns.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from sample.common import results
from sample.common.plain import sample_plain
from sample.common.request import make_request
from sample.common.samples import sampled_in_parts
from sample.common.session import Session, open_session
from sample.options import TEXT_MODEL, SamplingLine, parse_sampling_line
from utils.run.background import background
from utils.run.errors import run_command
from utils.run.options import option, parse


@dataclass(frozen=True)
class ResultsOptions:
    """Size of the measurement."""

    motions: int = option(64, "motions of six seconds", min=1)
    rounds: int = option(3, "how often each way", min=1)
    text: str = option("a person walks", "what the person does")


@contextlib.contextmanager
def one_by_one() -> Iterator[None]:
    """Draw with one thread, and only what has all been sampled."""
    with mock.patch.object(results, "background", lambda: background(1)):
        yield


def seconds(session: Session, together: bool) -> float:
    """Of sampling and writing what the session's options request."""
    request, started = make_request(session), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.nullcontext() if together else one_by_one():
        parts = sampled_in_parts(session, request, sample_plain, independent=together)
        results.write_results(Path(folder) / "out", session, request, parts)
    return time.perf_counter() - started


def main(argv: list[str]) -> None:
    """Print both times and their ratio."""
    (size,) = parse("tests.benchmarks.results", "Time the results of many motions.", (ResultsOptions,), argv)
    line = parse_sampling_line(SamplingLine, "tests.benchmarks.results", "", ["--model_path", TEXT_MODEL])
    sampling = replace(line.sampling, text_prompt=(size.text,), num_samples=size.motions)
    session = open_session(replace(line, sampling=sampling))
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(size.rounds):
        for together, found in took.items():
            found.append(seconds(session, together))
    beside, after = (statistics.median(took[together]) for together in (True, False))
    ways = f"beside sampling {beside:.1f} s, after it one by one {after:.1f} s"
    print(f"{size.motions} motions, {ways}: {beside / after:.2f}")


if __name__ == "__main__":
    run_command(main)
