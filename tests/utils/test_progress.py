"""The line that says how far work is: a bar on a terminal, a line now and then elsewhere, nothing unread."""

import io

import pytest
import torch

from diffusion.sampling import sample
from utils.run import progress
from utils.run.progress import ProgressLine, duration, part_of


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when they are set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_bar_moves_on_a_terminal_and_is_gone_at_the_end(clock):
    stream = Terminal()
    with ProgressLine("sampling", "writing", stream) as callback:
        clock[0] += 5
        callback(1, 4)
        assert stream.getvalue() == "\r[######..................] sampling: step 1 of 4, 15 s left"
        clock[0] += 0.05
        callback(2, 4)
        assert "step 2" not in stream.getvalue(), "too soon to be drawn again"
        callback(4, 4)
        assert stream.getvalue().rstrip().endswith("] writing")
    shown = stream.getvalue().split("\r")
    assert shown[-1] == "" and set(shown[-2]) == {" "} and len(shown[-2]) >= len(shown[-3].rstrip())


def test_a_line_every_ten_seconds_elsewhere(clock):
    stream = io.StringIO()
    with ProgressLine("sampling", stream=stream) as callback:
        for step in range(1, 26):
            clock[0] += 1
            callback(step, 200)
    assert stream.getvalue() == "sampling: step 10 of 200, 3 min left\nsampling: step 20 of 200, 3 min left\n"


@pytest.mark.parametrize("kind", ["broken", "closed", "none"])
def test_nobody_need_read_it(clock, kind, monkeypatch):
    stream = Broken() if kind == "broken" else io.StringIO()
    if kind == "closed":
        stream.close()
    if kind == "none":
        monkeypatch.setattr("sys.stderr", None)
    with ProgressLine("sampling", stream=None if kind == "none" else stream) as callback:
        for step in (1, 2):
            clock[0] += 60
            callback(step, 2)


def test_parts_count_as_one_whole():
    seen = []
    for part in range(3):
        callback = part_of(lambda *numbers: seen.append(numbers), part, 3)
        callback(1, 2)
        callback(2, 2)
    assert seen == [(step, 6) for step in range(1, 7)]


def test_the_sampling_loop_calls_it_after_each_estimate():
    seen = []
    x = torch.zeros(1)
    sample(lambda x, t: x, lambda x0, x, t: x, x, 5, 1, callback=lambda *numbers: seen.append(numbers))
    assert seen == [(step, 4) for step in range(1, 5)]


def test_durations():
    assert [duration(seconds) for seconds in (3.4, 99, 150, 5990, 9000)] == ["3 s", "99 s", "2 min", "100 min", "2.5 h"]


def test_steps_that_begin_again_are_timed_anew_and_leave_no_bar(clock):
    stream = Terminal()
    callback = ProgressLine("sampling", stream=stream)
    for _ in range(2):
        for step in (1, 2, 3):
            clock[0] += 10
            callback(step, 3)
        assert stream.getvalue().endswith(" \r")
    assert stream.getvalue().count("step 1 of 3, 20 s left") == 2
    assert stream.getvalue().count("step 2 of 3, 10 s left") == 2
