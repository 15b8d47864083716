"""Captions of motion: the text files of HumanML3D (Guo et al. 2022).

A line is `caption#word/TAG word/TAG ...#start#end`, with the span in seconds (0 and 0: the whole clip); a line without
`#` is a caption alone.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from utils.run.errors import DataError
from utils.run.files import read_text

LAST_SECOND = 1e6  # in which a span may end; a recording of eleven days

# What is left of somebody's energy, or happens right away, is on no side.
_SIDE = re.compile(
    r"(?<![a-z])(?<!energy )(left|right(?! away)|counter-?clockwise|anti-?clockwise|clockwise)"
    r"(?=$|[^a-z]|wards?|hand|most)",
    re.I,
)
_OPPOSITE = {"left": "right", "right": "left", "clockwise": "counterclockwise"}


@dataclass(frozen=True)
class TextLine:
    """A caption, its words with their part of speech (`word/TAG`), and the span it describes in seconds (0, 0: all)."""

    caption: str
    tags: tuple[str, ...]
    start: float = 0.0
    end: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether it describes the whole clip."""
        return self.start == 0 and self.end == 0


def read_lines(path: str | Path, faults: list[str] | None = None) -> list[TextLine]:
    """The captions of a text file; a time that is not a number counts as 0. Raises MissingFileError or DataError.

    Lines with tags or times but without a caption are passed over, and named in `faults`.
    """
    rows = enumerate(read_text(path).split("\n"), 1)
    lines = {number: _parsed(line, path, number) for number, line in rows if line.strip()}
    if faults is not None:
        faults += [f"{path}, line {number}: no caption" for number, line in lines.items() if not line.caption]
    return [line for line in lines.values() if line.caption]


def _parsed(line: str, path: str | Path, number: int) -> TextLine:
    caption, *rest = line.strip().split("#")
    if not rest:
        return TextLine(caption.strip(), tagged(caption))
    try:
        tags, start, end = rest[0], *map(float, rest[1:3])
    except ValueError:
        raise DataError(f"{path}, line {number}: {line[:80]!r} is not caption#word/TAG ...#start#end") from None
    span = [0.0 if math.isnan(time) else time for time in (start, end)]
    if not all(0 <= time < LAST_SECOND for time in span):
        raise DataError(f"{path}, line {number}: the span {start:g} to {end:g} is no span of seconds")
    return TextLine(caption.strip(), tuple(tags.split()), *span)


def tagged(caption: str) -> tuple[str, ...]:
    """The words of a caption in lower case, each with the tag OTHER (parts of speech are for evaluators)."""
    return tuple(f"{word}/OTHER" for word in re.findall(r"[^\W_]+(?:'[^\W_]+)?", caption.lower()))


def written(line: TextLine) -> str:
    """A line of a text file."""
    return f"{line.caption}#{' '.join(line.tags)}#{line.start}#{line.end}"


def normalised(caption: str) -> str:
    """A caption on one line, without the sign that separates the fields."""
    return " ".join(caption.replace("#", " ").split())


def mirrored(caption: str) -> str:
    """The caption of the mirrored motion: left and right, and the directions of turning, exchanged."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        swapped = _OPPOSITE.get(word.lower(), "clockwise")
        return swapped.capitalize() if word[0].isupper() else swapped

    return _SIDE.sub(other, caption)
