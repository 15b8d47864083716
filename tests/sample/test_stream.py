"""The endless stream: its prompts change while it runs, its windows lie in one world, its files are whole, it ends."""

import contextlib
import dataclasses
import io
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.representations import hml
from sample.endless import streaming
from sample.endless.streaming import (
    in_turn,
    read_in_background,
    stream,
    typed,
    watched,
    write_file,
    write_line,
    write_whole,
)
from sample.endless.windows import find_prefix
from sample.options import PrefixOptions
from tests.commands import listing, refusal, run, toy, train
from tests.dip import CONTEXT, LAYOUT, SPEC, WINDOW, dip_session, told
from utils.formats import results
from utils.formats.reading import read_motion
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.folders import RECORD

ROOT = Path(__file__).parent.parent.parent
SECONDS = WINDOW / SPEC.fps


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy(tmp_path_factory.mktemp("toy") / "mocap", "mocap", 12)


@pytest.fixture(scope="module")
def model(tmp_path_factory, data):
    flags = f"--dataset mocap --arch dit --lr 0.02 --num_steps 12 --context_len {CONTEXT} --pred_len {WINDOW}"
    return train(tmp_path_factory.mktemp("dip") / "run", data, flags)


def streamed(session, prompts, **flags) -> list[dict]:
    """The records of a stream."""
    records: list[dict] = []
    count = stream(session, find_prefix(session, PrefixOptions(), 1), iter(prompts), records.append, **flags)
    assert count == len(records)
    return records


def letters(session, texts: list[str]) -> list[torch.Tensor]:
    return list(session.encode(texts)[0])


def test_windows_lie_in_one_world():
    """Their joints are those of the whole motion, and no step from window to window is longer than those inside."""
    session = dip_session(samples=1)
    session = dataclasses.replace(session, mean=session.mean.clone())
    session.mean[0], session.mean[2] = 0.03, 0.05  # who walks in a circle
    records = streamed(session, ["walks"] * 6)
    features = torch.from_numpy(np.concatenate([record["features"] for record in records]))
    positions = np.concatenate([record["positions"] for record in records])
    assert positions.shape == (6 * WINDOW, 22, 3) and positions.dtype == np.float32
    np.testing.assert_allclose(positions, hml.decode(features.double(), LAYOUT).numpy(), atol=1e-5)
    steps = np.linalg.norm(np.diff(positions[:, 0, ::2], axis=0), axis=-1)
    seams = np.arange(WINDOW, 6 * WINDOW, WINDOW) - 1
    assert steps[seams].max() < 1.05 * np.delete(steps, seams).max()
    assert steps.sum() > 1
    assert [record["frame"] for record in records] == [i * WINDOW for i in range(6)]
    assert [record["window"] for record in records] == list(range(6))


def test_the_first_frame_stands_at_the_origin_and_faces_ahead():
    first = streamed(dip_session(samples=1), ["walks"])[0]
    np.testing.assert_allclose(first["positions"][0, 0, ::2], 0, atol=1e-6)
    pose = hml.decode(torch.from_numpy(first["features"]), LAYOUT)[0]
    np.testing.assert_allclose(first["positions"][0], pose.numpy(), atol=1e-5)


def test_kit_streams_metres():
    """Millimetres in the features, metres in the world."""
    session = dip_session(samples=1)
    small = dataclasses.replace(SPEC.skeleton, metres_per_unit=0.001)
    metres = streamed(session, ["walks"])[0]["positions"]
    session = dataclasses.replace(session, spec=dataclasses.replace(SPEC, skeleton=small))
    np.testing.assert_allclose(streamed(session, ["walks"])[0]["positions"], metres / 1000, atol=1e-6)


def test_what_is_told_changes_with_the_prompt():
    session = dip_session(samples=1)
    records = streamed(session, ["walks", "waves", "waves", "walks"])
    walks, waves = letters(session, ["walks", "waves"])
    given = [each["text"][1] for each in told(session)]
    for text, expected in zip(given, (walks, waves, waves, walks), strict=True):
        assert torch.equal(text, expected)
    assert [record["prompt"] for record in records] == ["walks", "waves", "waves", "walks"]
    assert sorted(session.encode.encoder.asked) == ["walks", "waves"]
    plain = streamed(dip_session(samples=1), ["walks"] * 4)
    assert np.array_equal(plain[0]["features"], records[0]["features"])
    assert np.abs(plain[1]["features"] - records[1]["features"]).max() > 1e-4


def test_a_stream_begins_as_any_longer_one():
    short, long = (streamed(dip_session(samples=1), itertools.repeat("walks"), seconds=s) for s in (0.8, 2.0))
    assert [len(record["features"]) for record in short] == [12, 4]
    assert [len(record["features"]) for record in long] == [12, 12, 12, 4]
    assert np.array_equal(short[0]["features"], long[0]["features"])
    assert np.array_equal(short[1]["features"], long[1]["features"][:4])
    assert len(streamed(dip_session(samples=1), itertools.repeat("walks"), seconds=0.001)[0]["features"]) == 1


def test_prompts_take_turns_and_the_last_stays():
    assert list(itertools.islice(in_turn(["a", "b", "c"], [2, 2, 2]), 7)) == list("aabbccc")
    assert list(itertools.islice(in_turn(["a"], [3]), 4)) == list("aaaa")
    assert list(in_turn([], [])) == []


def said(*lines: str | None) -> "queue.SimpleQueue[str | None]":
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for line in lines:
        waiting.put(line)
    return waiting


def never() -> bool:
    return False


def test_a_line_counts_from_the_next_window_on():
    lines = said("a")
    prompts = typed(lines, in_turn([], []), False, never)
    assert [next(prompts), next(prompts)] == ["a", "a"]
    for line in ("b", "c"):
        lines.put(line)
    assert [next(prompts) for _ in range(4)] == ["b", "c", "c", "c"]
    lines.put(None)
    assert list(itertools.islice(prompts, 3)) == []


def test_until_a_line_comes_prompts_take_turns():
    lines = said()
    prompts = typed(lines, in_turn(["x", "y"], [2, 2]), True, never)
    assert [next(prompts) for _ in range(3)] == ["x", "x", "y"]
    lines.put("a")
    lines.put(None)
    assert [next(prompts) for _ in range(3)] == ["a", "a", "a"]


def test_when_nothing_is_said():
    with pytest.raises(UsageError, match="standard input ended before it said"):
        next(typed(said(None), in_turn([], []), True, never))
    assert next(typed(said(None), in_turn(["x"], [1]), False, never), None) is None
    assert next(typed(said(None), in_turn(["x"], [1]), True, never)) == "x"
    ends = iter((False, False, True))
    assert next(typed(said(), in_turn([], []), False, lambda: next(ends)), None) is None


def test_lines_are_read_as_they_come():
    reader, writer = os.pipe()
    lines = read_in_background(reader)
    os.write(writer, b"a person wal")
    time.sleep(0.05)
    assert lines.empty()
    os.write(writer, "ks\n\n  stürz".encode()[:-2])
    assert lines.get(timeout=5) == "a person walks"
    os.write(writer, b"rzt \nlast")
    assert lines.get(timeout=5) == "stürzt"
    os.close(writer)
    assert [lines.get(timeout=5), lines.get(timeout=5)] == ["last", None]
    os.close(reader)


def test_a_file_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("a person walks\n")
    prompts = watched(str(path), in_turn([], []))
    assert [next(prompts), next(prompts)] == ["a person walks"] * 2
    with open(path, "a") as handle:
        handle.write("a person waves\n\n")
    assert [next(prompts), next(prompts)] == ["a person waves"] * 2
    path.unlink()
    assert next(prompts) == "a person waves"
    path.write_text("")
    assert next(prompts) == "a person waves"
    path.write_bytes(b"\xff\xfe")
    assert next(prompts) == "a person waves"
    (tmp_path / "new").write_text("x")
    os.replace(tmp_path / "new", path)
    assert next(prompts) == "x"


def test_a_file_that_says_nothing_yet(tmp_path):
    path = tmp_path / "prompt.txt"
    with pytest.raises(MissingFileError, match="--prompts: .*prompt.txt does not exist"):
        next(watched(str(path), in_turn([], [])))
    prompts = watched(str(path), in_turn(["x", "y"], [1, 1]))
    assert [next(prompts), next(prompts)] == ["x", "y"]
    path.write_text("z")
    assert next(prompts) == "z"
    path.write_text("\n")
    with pytest.raises(DataError, match="holds no line"):
        next(watched(str(path), in_turn([], [])))


class Clock:
    """A clock that only sleeping moves; `busy` more a window."""

    def __init__(self, busy: float):
        self.now, self.busy = 100.0, busy

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("busy", [0.1, 0.9])
def test_in_real_time_it_keeps_half_a_window_ahead(monkeypatch, busy):
    """Window w is begun when the clock has played w - 1/2 of them, of 0.6 s each; who is late does not wait."""
    clock, came, session = Clock(busy), [], dip_session(samples=1)
    monkeypatch.setattr(streaming, "time", clock)

    def write(record):
        clock.now += busy
        came.append(clock.now - 100)

    reports: list[str] = []
    prefix = find_prefix(session, PrefixOptions(), 1)
    stream(session, prefix, iter(["a"] * 5), write, realtime=True, say=reports.append)
    begun = np.array(came)[1:] - busy
    np.testing.assert_allclose(
        begun, np.maximum((np.arange(1, 5) - 0.5) * SECONDS, came[:-1]), atol=1.5 * streaming.WAIT
    )
    assert reports[0] == f"the first 0.6 s of motion are there after {busy:.2f} s"
    assert reports[-1].startswith("5 windows, 3.0 s of motion in ") and reports[-1].endswith(" x real time")


def test_it_says_how_fast_it_goes(monkeypatch):
    clock, session, reports = Clock(0), dip_session(samples=1), []
    monkeypatch.setattr(streaming, "time", clock)

    def write(_):
        clock.now += 6

    stream(session, find_prefix(session, PrefixOptions(), 1), iter(["a"] * 3), write, say=reports.append)
    assert reports[1:] == ["1 s of motion, 0.10 x real time", "3 windows, 1.8 s of motion in 18.0 s: 0.10 x real time"]


def test_it_ends_when_it_is_told_to(tmp_path):
    ends = iter((False, False, True))
    records = streamed(dip_session(samples=1), itertools.repeat("walks"), stopped=lambda: next(ends))
    assert len(records) == 3


def test_it_ends_when_nobody_reads():
    read = []

    def write(record):
        read.append(record)
        if len(read) == 2:
            raise BrokenPipeError

    session = dip_session(samples=1)
    assert stream(session, find_prefix(session, PrefixOptions(), 1), itertools.repeat("a"), write) == 1


def test_lines_of_json(monkeypatch):
    monkeypatch.setattr(sys, "stdout", written := io.StringIO())
    records = streamed(dip_session(samples=1), ["walks"])
    write_line(records[0])
    line = json.loads(written.getvalue())
    assert written.getvalue().endswith("}\n") and set(line) == set(records[0])
    np.testing.assert_allclose(line["positions"], records[0]["positions"], atol=1e-5)
    np.testing.assert_allclose(line["features"], records[0]["features"], atol=1e-5)
    assert line["prompt"] == "walks" and line["fps"] == 20 and line["joint_names"] == list(SPEC.skeleton.joints)


def test_files_are_put_together(tmp_path):
    (tmp_path / "none.pth").touch()
    session = dip_session(samples=1, num_repetitions=3)
    session = dataclasses.replace(session, path=tmp_path / "none.pth")
    records = streamed(session, ["walks", "waves", "walks"], seconds=1.5)
    for record in records:
        write_file(tmp_path, record)
    (motion,) = results.read(write_whole(tmp_path, session, 3))
    np.testing.assert_allclose(motion.positions, np.concatenate([r["positions"] for r in records]), atol=1e-6)
    assert np.array_equal(motion.meta["features"], np.concatenate([r["features"] for r in records]))
    assert motion.texts == ("walks", "waves") and len(motion.positions) == 30
    (window,) = read_motion(tmp_path / "window_00001.npz")
    assert np.array_equal(window.positions, records[1]["positions"]) and window.fps == 20
    assert window.joints == SPEC.skeleton.joints


@contextlib.contextmanager
def standard_input(text: str):
    """Standard input that says this and ends."""
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    before = sys.stdin
    with open(reader) as sys.stdin:
        yield
    sys.stdin = before


def test_whole_commands(model, data, tmp_path, capsys):
    line = ("sample.stream", "--model_path", model, "--datapath", data)
    with standard_input("a person walks\nhe waves\n"):
        run(*line, "--prompts -")
    out, err = capsys.readouterr()
    first, second = map(json.loads, out.splitlines())
    assert (first["prompt"], second["prompt"]) == ("a person walks", "he waves") and len(second["positions"]) == WINDOW
    assert f"each motion follows one of the test part of {data}" in err and "x real time" in err
    (tmp_path / "prompt").write_text("a person walks\n")
    folder = tmp_path / "out"
    run(*line, "--prompts", tmp_path / "prompt", "--prefix_motion standing --seconds 1.5 --output_dir", folder)
    windows = [f"window_{i:05d}.npz" for i in range(3)]
    assert set(listing(folder)) == {RECORD, *windows, "results.npy", "results.txt", "results_len.txt"}
    assert len(results.read(folder / "results.npy")[0].positions) == 30 and capsys.readouterr().out == ""
    run(*line, "--text_prompt runs --seconds 0.3 --overwrite --output_dir", folder)
    assert set(listing(folder)) == {RECORD, windows[0], "results.npy", "results.txt", "results_len.txt"}


def test_a_signal_ends_it_with_all_that_was_written(model, tmp_path, monkeypatch):
    """SIGTERM in the third window: that window is finished, and everything is put together."""
    plain = streaming.write_file

    def write(folder, record):
        if record["window"] == 2:
            signal.raise_signal(signal.SIGTERM)
        plain(folder, record)

    monkeypatch.setattr(streaming, "write_file", write)
    run(
        "sample.stream",
        "--model_path",
        model,
        "--prefix_motion standing --text_prompt walks --output_dir",
        tmp_path / "a",
    )
    (motion,) = results.read(tmp_path / "a" / "results.npy")
    assert len(motion.positions) == 3 * WINDOW and len(list((tmp_path / "a").glob("window_*.npz"))) == 3
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_killed_stream_leaves_whole_files(tmp_path):
    """Killed in the middle of a file: that one is no window yet, and those before it are whole."""
    script = f"""
        import itertools, os, signal
        from functools import partial
        from pathlib import Path
        import numpy as np
        from sample.endless import streaming
        from sample.endless.windows import find_prefix
        from sample.options import PrefixOptions
        from tests.dip import dip_session

        whole = np.savez
        def savez(handle, **record):
            if record["window"] < 3:
                return whole(handle, **record)
            handle.write(b"half of it")
            handle.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        streaming.np.savez = savez
        session = dip_session(samples=1)
        prefix = find_prefix(session, PrefixOptions(), 1)
        write = partial(streaming.write_file, Path({str(tmp_path)!r}))
        streaming.stream(session, prefix, itertools.repeat("walks"), write)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT).returncode == -signal.SIGKILL
    assert any("half of it" in path.read_text(errors="replace") for path in tmp_path.iterdir())
    files = sorted(tmp_path.glob("window_*.npz"))
    assert [path.name for path in files] == [f"window_{index:05d}.npz" for index in range(3)]
    assert all(len(read_motion(path)[0].positions) == WINDOW for path in files)


def test_what_is_refused(model, data, tmp_path, capsys):
    whole = train(tmp_path / "whole", data, "--dataset mocap --arch dit")
    silent = train(
        tmp_path / "silent",
        data,
        f"--dataset mocap --arch dit --cond no_cond --context_len {CONTEXT} --pred_len {WINDOW}",
    )
    (tmp_path / "there").mkdir()
    before = listing(tmp_path)
    line = ("sample.stream", "--seconds 1 --output_dir", tmp_path / "out", "--model_path")
    assert "cannot go on: use sample.generate" in refusal(capsys, 2, *line, whole, "--text_prompt walks")
    assert "say what shall be done" in refusal(capsys, 2, *line, model)
    assert "no simulator is read" in refusal(capsys, 2, *line, model, "--autoregressive_init isaac")
    assert "say --prompts" in refusal(capsys, 2, *line, model, "--input_text x")
    assert "reads no text" in refusal(capsys, 2, *line, silent, "--prompts -")
    with standard_input("\n"):
        assert "ended before it said" in refusal(capsys, 2, *line, model, "--prefix_motion standing --prompts -")
    assert "none does not exist" in refusal(capsys, 3, *line, model, "--prefix_motion standing --prompts none")
    there = ("sample.stream", "--text_prompt walks --output_dir", tmp_path / "there", "--model_path", model)
    assert "add --overwrite" in refusal(capsys, 2, *there)
    assert listing(tmp_path) == before
    run(*line, silent, "--prefix_motion standing")
    assert len(results.read(tmp_path / "out" / "results.npy")[0].positions) == 20
