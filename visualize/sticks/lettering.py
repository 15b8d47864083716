"""Words in pictures: OpenCV's own letters, the signs of DejaVu (which Matplotlib carries), names of other emoji."""

import functools
import re
import textwrap
import unicodedata
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

# Signs, pictures and flags that OpenCV's letters lack; marks that only change the sign before them are not drawn.
_SIGN = re.compile("[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
_MARKS = re.compile("[\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]")


@functools.cache
def _letters() -> cv2.FontFace:
    return cv2.FontFace("sans")


@functools.cache
def _signs() -> tuple[cv2.FontFace, frozenset[str]]:
    """The font that has signs, and those which it has."""
    from matplotlib.ft2font import FT2Font

    spec = find_spec("matplotlib")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return cv2.FontFace(str(path)), frozenset(map(chr, FT2Font(str(path)).get_charmap()))


def drawable(text: str) -> str:
    """A text that can be drawn: a sign that no font has becomes its name, (runner), a letter of a flag that letter."""

    def named(match: re.Match[str]) -> str:
        sign = match[0]
        if sign in _signs()[1]:
            return sign
        if _FLAG.match(sign):
            return chr(ord(sign) - ord("\U0001f1e6") + ord("A"))
        return f" ({unicodedata.name(sign, 'sign').lower()}) "

    named_text = _SIGN.sub(named, _MARKS.sub("", text))
    return " ".join(named_text.split()) if named_text != text else text


def wrapped(text: str, width: int, lines: int) -> list[str]:
    """At most so many lines of so many letters, drawable; what does not fit is left out and marked."""
    return textwrap.wrap(drawable(text), width, max_lines=lines, placeholder=" ...")


def width_of(line: str, letters: int, weight: int) -> int:
    """The pixels that a drawable line takes, in letters of so many pixels."""
    return sum(cv2.getTextSize((0, 0), part, (0, 0), font, letters, weight)[2] for part, font in _parts(line))


def write(
    image: np.ndarray, line: str, origin: tuple[int, int], ink: tuple[int, int, int], letters: int, weight: int
) -> None:
    """Write a drawable line into an RGB picture (in place) from a point on its base line."""
    x, y = origin
    for part, font in _parts(line):
        x, y = cv2.putText(image, part, (x, y), ink, font, letters, weight)[0]


def _parts(line: str) -> list[tuple[str, cv2.FontFace]]:
    """Pieces of a line, each with the font that has its letters."""
    pieces = filter(None, re.split(f"({_SIGN.pattern}+)", line))
    return [(piece, _signs()[0] if _SIGN.match(piece) else _letters()) for piece in pieces]
