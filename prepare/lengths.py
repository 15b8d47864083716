"""Fit how long what a sentence says takes: assets/lengths.npz, by which motion gets its length where none is asked for.

`python -m prepare.lengths --sentences kitml_sentences.jsonl.gz --clips bandai.npz cmu.npz` (packed shards)
A line of the sentences is `{"texts": [...], "dur": seconds, "split": "train" | "val" | "test"}`.
"""

import gzip
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.run.errors import DataError, MissingFileError, UsageError, run_command
from utils.run.folders import refuse_unwritable
from utils.run.options import option, parse

if TYPE_CHECKING:
    import numpy as np

RIDGE = 0.1  # by the test parts: 0.03 to 0.3 make no difference there
LONGEST = 8.0  # seconds: what longer clips show is more than their label says
CLIPS_COUNT = 0.2  # share of the fit that the clips' sentences have; they say how long actions are without idle margins


@dataclass(frozen=True)
class LengthsOptions:
    """What to learn from, and where it goes."""

    sentences: str = option("", "lines of JSON (.jsonl, .jsonl.gz): texts, dur, split (required)")
    clips: tuple[str, ...] = option((), "packed shards whose clips have sentences", many=True)
    output: str = option("assets/lengths.npz", "the file to write")


Row = tuple[str, float, bool]  # a sentence, seconds, whether it is held out


def read_sentences(path: str) -> list[Row]:
    """The sentences of a file and how long their motion took. Raises MissingFileError or DataError."""
    if not Path(path).is_file():
        raise MissingFileError(f"--sentences: {path} does not exist")
    opened = gzip.open if path.endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8") as handle:
            records = [json.loads(line) for line in handle if line.strip()]
        rows = [
            (text, float(each["dur"]), each["split"] != "train") for each in records for text in map(str, each["texts"])
        ]
        lists = all(isinstance(each["texts"], list) for each in records)
    except (OSError, EOFError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no file of lines with texts, dur and split") from error
    if not lists:
        raise DataError(f"{path}: texts are no list of sentences in each line")
    if wrong := [(text, seconds) for text, seconds, _ in rows if not (text.strip() and 0 < seconds < math.inf)]:
        raise DataError(f"{path}: {wrong[0][0]!r}, dur {wrong[0][1]:g}: sentences have words, and take seconds")
    return rows


def read_clips(path: str) -> list[Row]:
    """The sentences of clips of a shard that are no longer than `LONGEST`. Raises MissingFileError or DataError."""
    from utils.formats import shards

    clips = [(clip, len(clip.positions) / clip.fps) for clip in shards.read(path)]
    return [
        (text, seconds, clip.meta.get("split") == "test")
        for clip, seconds in clips
        if seconds <= LONGEST
        for text in clip.texts
    ]


def weights_of(rows: "list[Row]", clips: "list[Row]") -> "np.ndarray":
    """How much each counts: sentences alike; of clips, those of one sentence together as the root of their number."""
    import numpy as np

    texts = [text for text, *_ in clips]
    counts = {text: texts.count(text) for text in set(texts)}
    of_clips = np.array([counts[text] ** -0.5 for text in texts])
    share = CLIPS_COUNT if len(clips) else 0.0
    alike = np.full(len(rows), (1 - share) / max(len(rows), 1))
    return np.concatenate([alike, share * of_clips / max(of_clips.sum(), 1e-9)])


def misses(lengths: Any, vectors: Any, seconds: "np.ndarray") -> "np.ndarray":
    """By how much the map misses the log of the lengths [N] of sentences."""
    import numpy as np

    return np.log(seconds) - np.log(lengths.seconds(vectors)[:, 1].numpy())


def figures(off: "np.ndarray", seconds: "np.ndarray") -> str:
    """How well lengths of sentences held out are told, which are missed by `off` [N] in their log."""
    import numpy as np

    explained = 1 - (off**2).mean() / max(np.log(seconds).var(), 1e-9)
    near = np.mean(np.abs(np.exp(-off) - 1) < 0.25)
    return f"{len(seconds)} sentences, R2 {explained:.2f}, within 25 % for {100 * near:.0f} %"


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("prepare.lengths", __doc__ or "", [LengthsOptions], argv)
    if not options.sentences:
        raise UsageError("say what to learn from: --sentences FILE")
    if Path(options.output).is_dir():
        raise UsageError(f"--output {options.output} is a folder; name the file to write")
    refuse_unwritable(Path(options.output).absolute().parent)
    import numpy as np

    from model.text import lengths
    from model.text.encoders import load_text_encoder
    from utils.run.files import atomic_write

    rows = read_sentences(options.sentences)
    clips = [row for path in options.clips for row in read_clips(path)]
    learnt, encode = [[row for row in part if not row[2]] for part in (rows, clips)], load_text_encoder(lengths.ENCODER)
    if not learnt[0]:
        raise DataError(f"{options.sentences} holds no sentence of a train part")

    def vectors(part: list[Row]) -> Any:
        return encode([text for text, *_ in part])[0][:, 0]

    def seconds(part: list[Row]) -> Any:
        return np.array([value for _, value, _ in part])

    both = [*learnt[0], *learnt[1]]
    found = lengths.fit(vectors(both).double().numpy(), seconds(both), weights_of(*learnt), RIDGE)
    for name, part in (("clips", clips), ("sentences", rows)):
        if tests := [row for row in part if row[2]]:
            off = misses(found, vectors(tests), seconds(tests))
            print(f"{name} held out: {figures(off, seconds(tests))}")
            # Of sentences that were learnt it would be too small; the last are people's own.
            found = replace(found, spread=float(np.sqrt((off**2).mean())))
    with atomic_write(options.output) as handle:
        np.savez_compressed(handle, weights=found.weights, bias=np.float32(found.bias), spread=np.float32(found.spread))
    print(f"{options.output} is written: {len(both)} sentences, spread of log(seconds) {found.spread:.2f}")


if __name__ == "__main__":
    run_command(main)
