"""Sentences about windows of a clip: what the captioner sees in them, and what labels say if it is to be seen there.

A model of sentences is shown a few seconds of a clip at a time. A sentence about the whole clip may tell what lies
outside; these are about what is shown, and go into the text file as lines with a span.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_loaders.captioner.agreement import agrees
from data_loaders.captioner.detect import phases_of
from data_loaders.captioner.phases import Phase
from data_loaders.captioner.wording import sentences
from data_loaders.text.captions import STYLES, kind_of, style_of
from data_loaders.text.captions import sentences as label_sentences
from data_loaders.text.humanml import UNIT
from data_loaders.texts import TextLine, normalised, tagged
from utils.run.randomness import numpy_rng

LENGTHS = (2.0, 3.0, 4.0, 5.0, 6.0)  # seconds
STRIDE = 0.5  # of its length, from window to window
SEEN, TOLD = 2, 2  # sentences of a window by the captioner, and from labels
COVERED = 0.6  # of a clip that a window must show before sentences about the whole clip are said of it


def windows_of(frames: int, fps: float) -> list[tuple[int, int]]:
    """First frame and length of each window of a clip: of every length that fits, the whole clip if none does."""
    found = []
    for seconds in LENGTHS:
        length = round(seconds * fps) // UNIT * UNIT
        if length > frames:
            break
        count = 1 + -(-(frames - length) // max(1, round(STRIDE * length)))
        found += [(int(first), length) for first in np.unique(np.linspace(0, frames - length, count).round())]
    whole = frames // UNIT * UNIT
    short = not found or (whole <= LENGTHS[-1] * fps and whole - found[-1][1] >= UNIT)
    return found + ([(0, whole)] if short and whole >= UNIT else [])


def window_lines(positions: np.ndarray, record: Mapping[str, Any], name: str, fps: float) -> list[TextLine]:
    """The lines about windows of a clip, positions [T, J, 3] with its labels in `record`, at `fps`."""
    lines = []
    style = STYLES.get(style_of(record))
    of_labels = label_sentences(record, name)
    kind, flip = kind_of(record)
    for first, length in windows_of(len(positions), fps):
        rng = numpy_rng("window", name, first, length)
        phases = phases_of(positions[first : first + length], fps)
        texts = sentences(phases, rng, SEEN, style)
        if _shown(record, kind, flip, phases, length / len(positions)):
            texts += [of_labels[index] for index in rng.permutation(len(of_labels))[:TOLD]]
        span = (first / fps, (first + length) / fps)
        lines += [TextLine(text, tagged(text), *span) for text in dict.fromkeys(map(normalised, texts))]
    return lines


def _shown(record: Mapping[str, Any], kind: str, flip: bool, phases: Sequence[Phase], share: float) -> bool:
    """Whether what labels say of a clip is to be seen in a window that is a `share` of it."""
    return (share >= COVERED or len(record.get("actions", ())) < 2) and agrees(kind, flip, phases)
