"""An endless stream of motion: where its prompts come from while it runs, its windows one by one, what is written."""

import codecs
import contextlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_loaders.representations import hml
from sample.common.request import read_lines
from sample.common.results import write_numbers
from sample.common.samples import Samples
from sample.common.session import Session
from sample.endless.planning import WindowPlans
from sample.endless.windows import Prefix, Window, origin, window_frames, windows
from utils.run.arrays import load_archive
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.files import atomic_write

Record = dict[str, Any]
Prompts = Iterator[str]
WAIT = 0.02  # seconds between two looks at whether something has come
REPORT = 10.0  # seconds between two lines of progress


def in_turn(texts: Sequence[str], windows: Sequence[int]) -> Prompts:
    """A prompt for every window: each text for its number of them, the last one for ever; without texts none at all."""
    if not texts:
        return iter(())
    return chain(*(repeat(text, count) for text, count in zip(texts[:-1], windows, strict=False)), repeat(texts[-1]))


def typed(
    lines: "queue.SimpleQueue[str | None]", before: Prompts, goes_on: bool, stopped: Callable[[], bool]
) -> Prompts:
    """A prompt for every window from lines that come in: each counts from the next window on, and for one at least.

    Until the first line it is `before`, and where that has none the first line is waited for. After the last line
    (None) the prompts end, or with `goes_on` stay as they are. Raises UsageError if no prompt comes at all.
    """
    now, ended = next(before, None), False
    while not stopped():
        line, came = None, False
        if not ended and (now is None or not lines.empty()):
            try:
                line, came = lines.get(timeout=WAIT), True
            except queue.Empty:
                continue
        if came and line is None:
            ended = True
            if now is None:
                raise UsageError("--prompts -: standard input ended before it said what shall be done")
            if not goes_on:
                return
        elif line is not None:
            now, before = line, repeat(line)
        if now is not None:
            yield now
            now = next(before, now)


def watched(path: str, before: Prompts) -> Prompts:
    """A prompt for every window: the last line of a file, read again whenever it changes; until it has one, `before`.

    A file that cannot be read for a moment changes nothing. Raises MissingFileError or DataError where there is no
    prompt at all.
    """
    now, seen = next(before, None), None
    while True:
        state = _state(Path(path))
        if state != seen or now is None:
            seen = state
            try:
                line = read_lines(path, "--prompts")[-1]
                now, before = line, repeat(line)
            except (MissingFileError, DataError, OSError):
                if now is None:
                    raise
        yield now
        now = next(before, now)


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_in_background(descriptor: int) -> "queue.SimpleQueue[str | None]":
    """The lines of an open file that are not empty, as they come, then None."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        decoder, rest = codecs.getincrementaldecoder("utf-8-sig")("replace"), ""
        # Not through sys.stdin: a thread that waits inside its buffer keeps the process from ending.
        with contextlib.suppress(OSError):  # a stream that breaks has ended
            while content := os.read(descriptor, 65536):
                *whole, rest = (rest + decoder.decode(content)).split("\n")
                for line in filter(None, map(str.strip, whole)):
                    lines.put(line)
        if rest.strip():
            lines.put(rest.strip())
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def stream(
    session: Session,
    prefix: Prefix,
    prompts: Prompts,
    write: Callable[[Record], None],
    *,
    seconds: float = 0,
    realtime: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Make one motion window after window and `write` each at once; returns the number of windows.

    It ends after `seconds` of motion (0: never), with the prompts, when it is `stopped`, or when nobody reads what is
    written (BrokenPipeError). `realtime` keeps half a window ahead of the clock. `say` gets lines on how fast it goes.
    """
    longest, fps = window_frames(session.model_options), session.spec.fps
    wanted = max(1, round(seconds * fps)) if seconds else 0
    started = time.monotonic()
    count, done, reported = 0, 0, started
    prompt = ""

    plans = WindowPlans(session)

    def ask(_index: int, _start: hml.Start) -> tuple[dict[str, torch.Tensor], int]:
        kept = min(longest, wanted - done) if wanted else longest
        return plans.condition([prompt], [0], longest, kept), kept

    made = windows(session, prefix.features, ask, origin(1))
    for prompt in prompts:
        window = next(made)
        try:
            write(record_of(session, window, count, done, prompt))
        except BrokenPipeError:
            break
        count, done, now = count + 1, done + window.features.shape[1], time.monotonic()
        if count == 1:
            say(f"the first {longest / fps:.3g} s of motion are there after {now - started:.2f} s")
        elif now - reported > REPORT:
            say(f"{done / fps:.0f} s of motion, {done / fps / (now - started):.2f} x real time")
            reported = now
        if wanted and done >= wanted:
            break
        while realtime and not stopped() and time.monotonic() < started + (done - longest / 2) / fps:
            time.sleep(WAIT)
        if stopped():
            break
    took = time.monotonic() - started
    say(f"{count} windows, {done / fps:.1f} s of motion in {took:.1f} s: {done / fps / took:.2f} x real time")
    return count


def record_of(session: Session, window: Window, index: int, first: int, prompt: str) -> Record:
    """What is written of a window: `positions` [T, J, 3] float32 in the world of the stream in metres, `features`
    [T, F], its number and that of its first frame, the rate, the prompt, and the joints."""
    skeleton = session.spec.skeleton
    placed = hml.decode(window.features.double(), hml.layout_of(skeleton), window.start)[0]
    return {
        "window": index,
        "frame": first,
        "fps": float(session.spec.fps),
        "prompt": prompt,
        "joint_names": list(skeleton.joints),
        "parents": list(skeleton.parents),
        "positions": (placed * skeleton.metres_per_unit).float().numpy(),
        "features": window.features[0].float().numpy(),
    }


def write_line(record: Record) -> None:
    """Write a record to standard output as a line of JSON, numbers to five places."""
    plain = {
        name: np.round(value.astype(float), 5).tolist() if isinstance(value, np.ndarray) else value
        for name, value in record.items()
    }
    sys.stdout.write(json.dumps(plain, allow_nan=False) + "\n")
    sys.stdout.flush()


def window_path(folder: Path, index: int) -> Path:
    """The file of a window."""
    return folder / f"window_{index:05d}.npz"


def write_file(folder: Path, record: Record) -> None:
    """Write a record to `window_<number>.npz`, whole or not at all."""
    with atomic_write(window_path(folder, record["window"])) as handle:
        np.savez(handle, **record)


def write_whole(folder: Path, session: Session, count: int) -> Path:
    """Put the `count` windows of a folder together as `results.npy`, and return its path. Reads it back."""
    parts: dict[str, list[np.ndarray]] = {"positions": [], "features": []}
    titles: list[str] = []
    for index in range(count):
        record = load_archive(window_path(folder, index))
        for name, values in parts.items():
            values.append(record[name])
        titles += [str(record["prompt"])] * len(record["features"])
    positions, features = (torch.from_numpy(np.concatenate(values))[None] for values in parts.values())
    placed = positions / session.spec.skeleton.metres_per_unit
    samples = Samples(features, torch.tensor([features.shape[1]]), [titles], placed=placed)
    session = replace(session, sampling=replace(session.sampling, num_samples=1, num_repetitions=1))
    return write_numbers(folder, session, samples)
