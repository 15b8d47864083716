"""Sentences about windows of a clip: what the captioner sees in them, and what labels say if it is to be seen there.

A model of sentences is shown a few seconds of a clip at a time. A sentence about the whole clip may tell what lies
outside; these are about what is shown, and go into the text file as lines with a span.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_loaders.captioner.agreement import agrees
from data_loaders.captioner.detect import phases_of
from data_loaders.captioner.phases import Phase
from data_loaders.captioner.wording import sentences
from data_loaders.text.captions import STYLES, kind_of, style_of
from data_loaders.text.captions import sentences as label_sentences
from data_loaders.text.folders import UNIT
from data_loaders.texts import TextLine, normalised, tagged
from utils.run.randomness import numpy_rng

LENGTHS = (2.0, 3.0, 4.0, 5.0, 6.0)  # seconds
STRIDE = 0.5  # of its length, from window to window
SEEN, TOLD = 2, 2  # sentences of a window by the captioner, and from labels
STANDING = ("idle", "move")  # kinds of labels with which a window in which nothing is seen is one of standing
CIRCLE = 0.4  # share of a circle from which a path goes round
RARE, BALANCE, MOST = 0.1, 0.5, 5.0  # see with_rare_ones
COVERED = 0.6  # of a clip that a window must show before sentences about the whole clip are said of it


def windows_of(frames: int, fps: float) -> list[tuple[int, int]]:
    """First frame and length of each window of a clip: of every length that fits, the whole clip if none does."""
    found = []
    # At a frame or two a second some lengths are less than a unit, and others alike.
    for length in sorted({round(seconds * fps) // UNIT * UNIT for seconds in LENGTHS} - {0}):
        if length > frames:
            break
        count = 1 + -(-(frames - length) // max(1, round(STRIDE * length)))
        found += [(int(first), length) for first in np.unique(np.linspace(0, frames - length, count).round())]
    whole = frames // UNIT * UNIT
    short = not found or (whole <= LENGTHS[-1] * fps and whole - found[-1][1] >= UNIT)
    return found + ([(0, whole)] if short and whole >= UNIT else [])


@dataclass(frozen=True)
class Told:
    """The lines about the windows of a clip, and of each window its span (seconds) and what the captioner sees."""

    lines: list[TextLine]
    windows: list[tuple[float, float, tuple[Phase, ...]]]


def told_of(positions: np.ndarray, record: Mapping[str, Any], name: str, fps: float) -> Told:
    """What is told of the windows of a clip, positions [T, J, 3] with its labels in `record`, at `fps`."""
    told = Told([], [])
    style = STYLES.get(style_of(record))
    of_labels = label_sentences(record, name)
    kind, flip = kind_of(record)
    for first, length in windows_of(len(positions), fps):
        rng = numpy_rng("window", name, first, length)
        phases = phases_of(positions[first : first + length], fps)
        # Who does something that the captioner misses seems to stand: a wave from the wrist, a laugh.
        doubted = kind not in STANDING and all(phase.kind == "stand" for phase in phases)
        texts = [] if doubted else sentences(phases, rng, SEEN, style)
        span = (first / fps, (first + length) / fps)
        if _said(record, span, length / len(positions)) and agrees(kind, flip, phases):
            texts += [of_labels[index] for index in rng.permutation(len(of_labels))[:TOLD]]
        told.lines.extend(TextLine(text, tagged(text), *span) for text in dict.fromkeys(map(normalised, texts)))
        told.windows.append((*span, phases))
    return told


def kind_of_phase(phase: Phase) -> str:
    """What a phase counts as where rare ones shall be seen more often: its kind, with its way, and a circle for itself.

    Sides do not count: every clip has its mirror image.
    """
    if abs(phase.circle) >= CIRCLE:
        return "circle"
    return f"{phase.kind} {phase.direction}" if phase.kind in ("walk", "run", "jump") else phase.kind


def with_rare_ones(shares: np.ndarray, told: Sequence[Told]) -> np.ndarray:
    """The shares of an epoch [C] of clips so that those with windows of what is rarely done get more.

    A clip gets as many times its share as the rarest of what it shows is less common than in `RARE` of all windows, to
    the power of `BALANCE`, in proportion to how many of its windows show that.
    """
    done = [[frozenset(map(kind_of_phase, phases)) for *_, phases in each.windows] for each in told]
    common: Counter[str] = Counter()
    for share, each in zip(shares, done, strict=True):
        for kinds in each:
            common.update(dict.fromkeys(kinds, share / len(each)))
    extra = {kind: min((RARE / share) ** BALANCE, MOST) for kind, share in common.items() if share < RARE}
    factors = [
        np.mean([max([1.0, *(extra[kind] for kind in kinds if kind in extra)]) for kinds in each or [()]])
        for each in done
    ]
    balanced = shares * np.array(factors)
    return balanced * shares.sum() / balanced.sum()


def _said(record: Mapping[str, Any], span: tuple[float, float], share: float) -> bool:
    """Whether what labels say of a clip is about a window (seconds) that is a `share` of it.

    Sentences about a clip that was joined tell of all parts, of which the window must show most.
    """
    if share < COVERED and len(record.get("actions", ())) > 1:
        return False
    parts, (start, end) = record.get("parts", ()), span
    return len(parts) < 2 or all(
        min(end, part["end"]) - max(start, part["start"]) >= COVERED * (part["end"] - part["start"]) for part in parts
    )
