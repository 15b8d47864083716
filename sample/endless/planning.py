"""What each window of endless motion is told: its sentences, and the part of their plans that it shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from data_loaders.captioner.phases import Phase
from sample.common.plans import as_condition
from sample.common.session import Session

LONGEST = 8.0  # seconds of a plan: sentences that hold for longer are planned anew
UNKNOWN = 6.0  # seconds of a plan where nobody knows how long its sentence holds


@dataclass
class WindowPlans:
    """Plans of the sentences of several motions, of which a window is told at a time."""

    session: Session
    texts: list[str] = field(default_factory=list)
    plans: list[Sequence[Phase]] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)  # frames of each plan that windows before have shown
    planned: list[int] = field(default_factory=list)  # frames of each plan
    made: int = 0  # plans so far, so that each draws for itself

    def condition(self, texts: Sequence[str], left: Sequence[int], frames: int, kept: int) -> dict[str, Tensor]:
        """The condition of a window of `frames` frames, of which `kept` count.

        `left` is for how many frames from here on each sentence holds, 0 where that is not known.
        """
        session = self.session
        condition = session.text_condition(texts)
        if not session.planner:
            return condition
        self._plan(texts, left, frames)
        fps = session.spec.fps
        condition["plan"] = as_condition(self.plans, [frames] * len(texts), fps, [at / fps for at in self.shown])
        self.shown = [at + kept for at in self.shown]
        return condition

    def _plan(self, texts: Sequence[str], left: Sequence[int], window: int) -> None:
        """Plan sentences that are new, or whose plan is used up."""
        if not self.texts:
            self.texts, self.plans = [""] * len(texts), [()] * len(texts)
            self.shown, self.planned = [0] * len(texts), [0] * len(texts)
        fresh = [i for i, text in enumerate(texts) if text != self.texts[i] or self.shown[i] >= self.planned[i]]
        if not fresh or self.session.planner is None:
            return
        fps, seed = self.session.spec.fps, self.session.run.seed
        lengths = [_length(left[i], window, fps) for i in fresh]
        seconds = [length / fps for length in lengths]
        plans = self.session.planner([texts[i] for i in fresh], seconds, seed, self.made)
        for i, plan, length in zip(fresh, plans, lengths, strict=True):
            self.texts[i], self.plans[i], self.shown[i], self.planned[i] = texts[i], plan, 0, length
        self.made += len(texts)


def _length(left: int, window: int, fps: float) -> int:
    """Frames of the next plan of a sentence that holds for so many more: whole windows, but for the last."""
    wanted = left / math.ceil(left / (LONGEST * fps)) if left else UNKNOWN * fps
    whole = math.ceil(wanted / window) * window
    return min(whole, left) if left else whole


def frames_left(titles: Sequence[str | Sequence[str]], first: int, end: int) -> list[int]:
    """For how many frames from `first` on, up to `end`, the title of each motion stays what it is there."""
    left = []
    for title in titles:
        if isinstance(title, str):
            left.append(end - first)
        else:
            left.append(next((f for f in range(first, min(end, len(title))) if title[f] != title[first]), end) - first)
    return left
