"""What each window of endless motion is told: its sentences, and the part of their plans that it shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from data_loaders.captioner.phases import Phase
from sample.common.plans import SentencePlanner, as_condition
from sample.common.session import Session

LONGEST = 8.0  # seconds of a plan: sentences that hold for longer are planned anew
UNKNOWN = 6.0  # seconds of a plan where nobody knows how long its sentence holds


@dataclass
class Planned:
    """The plan of a sentence, how many frames it has, and how many of them windows have shown."""

    text: str
    phases: Sequence[Phase]
    frames: int
    shown: int = 0


@dataclass
class WindowPlans:
    """Plans of the sentences of several motions, of which a window is told at a time."""

    session: Session
    now: list[Planned] = field(default_factory=list)
    made: int = 0  # plans so far, so that each draws for itself

    def condition(self, texts: Sequence[str], left: Sequence[int], frames: int, kept: int) -> dict[str, Tensor]:
        """The condition of a window of `frames` frames, of which `kept` count.

        `left` is for how many frames from here on each sentence holds, 0 where that is not known.
        """
        condition, fps = self.session.text_condition(texts), self.session.spec.fps
        if not self.session.planner:
            return condition
        self._plan(self.session.planner, texts, left, frames)
        phases, starts = [plan.phases for plan in self.now], [plan.shown / fps for plan in self.now]
        for plan in self.now:
            plan.shown += kept
        return condition | {"plan": as_condition(phases, [frames] * len(texts), fps, starts)}

    def _plan(self, planner: SentencePlanner, texts: Sequence[str], left: Sequence[int], window: int) -> None:
        """Plan sentences that are new, or whose plan is used up."""
        self.now = self.now or [Planned("", (), 0) for _ in texts]
        fresh = [i for i, plan in enumerate(self.now) if texts[i] != plan.text or plan.shown >= plan.frames]
        if not fresh:
            return
        fps, seed = self.session.spec.fps, self.session.run.seed
        lengths = [_length(left[i], window, fps) for i in fresh]
        found = planner([texts[i] for i in fresh], [length / fps for length in lengths], seed, self.made)
        for i, phases, length in zip(fresh, found, lengths, strict=True):
            self.now[i] = Planned(texts[i], phases, length)
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
