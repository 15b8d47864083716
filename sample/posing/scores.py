"""How far the frames of clips are from plausible poses, as tables and as a plot."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.run.files import atomic_write

_MOST = 12  # clips that are drawn
_HEADER = ("clip", "frames", "mean", "median", "p95", "max", "implausible")


@dataclass(frozen=True)
class Score:
    """Distances [T] of the frames of a clip; `fps` is 0 where they are no clip."""

    name: str
    distances: np.ndarray
    fps: float


def write_scores(folder: Path, scores: Sequence[Score], threshold: float) -> None:
    """Write frames.csv (a row a frame), clips.csv (a row a clip, and one for all) and scores.png into a folder.

    `implausible` is the share of frames whose distance is above the threshold.
    """
    frames = [
        (score.name, frame, f"{frame / score.fps:.4f}" if score.fps else "", f"{distance:.6f}")
        for score in scores
        for frame, distance in enumerate(score.distances)
    ]
    _table(folder / "frames.csv", ("clip", "frame", "seconds", "distance"), frames)
    _table(folder / "clips.csv", _HEADER, [_row(score, threshold) for score in (*scores, all_of(scores))])
    plot(folder / "scores.png", scores, threshold)


@dataclass(frozen=True)
class Perturbed:
    """Distances [T] of the frames of a clip before and after they were moved, and how far apart both poses are [T]."""

    name: str
    before: np.ndarray
    after: np.ndarray
    apart: np.ndarray

    @property
    def outside(self) -> np.ndarray:
        """1 [T] where the distance rose by more than the pose moved, which no true distance does, -1 where it fell."""
        change = self.after - self.before
        return np.sign(change).astype(int) * (np.abs(change) > self.apart)


def write_perturbed(folder: Path, clips: Sequence[Perturbed]) -> None:
    """Write perturbed.csv (a row a frame) and perturbed.png: each clip before and after, and the band that a distance
    keeps to, before +- the way of the pose (published `notebooks/plot_perturbations.py`)."""
    rows = [
        (clip.name, frame, *(f"{number:.6f}" for number in numbers[:3]), int(numbers[3]))
        for clip in clips
        for frame, numbers in enumerate(zip(clip.before, clip.after, clip.apart, clip.outside, strict=True))
    ]
    _table(folder / "perturbed.csv", ("clip", "frame", "before", "after", "apart", "outside"), rows)
    shown = clips[:_MOST]
    with _figure(folder / "perturbed.png", len(shown)) as every:
        for clip, axes in zip(shown, every, strict=True):
            frames = np.arange(len(clip.before))
            band = clip.before - clip.apart, clip.before + clip.apart
            axes.fill_between(frames, *band, alpha=0.25, color="grey", label="before, and the way of the pose")
            axes.plot(frames, clip.before, lw=1, color="k", marker="." if len(frames) == 1 else "", label="before")
            axes.plot(frames, clip.after, lw=1, marker="." if len(frames) == 1 else "", label="after")
            share = 100 * float((clip.outside != 0).mean())
            axes.set_title(f"{clip.name[:60]}: {share:.0f} % outside", fontsize=8)
            axes.set(ylabel="distance", ylim=(0, None))
        every[-1].set(xlabel="pose")
        every[0].legend(fontsize=7, loc="upper right")


def all_of(scores: Sequence[Score]) -> Score:
    """The frames of all clips as those of one."""
    return Score("all", np.concatenate([score.distances for score in scores]), 0.0)


def told(scores: Sequence[Score], threshold: float) -> list[str]:
    """The table of clips as lines of text, the first 20 of them and that of all."""
    rows = [_row(score, threshold) for score in (*scores[:20], all_of(scores))]
    lines = [f"{'clip':30s} frames   mean    median  95 %    max     implausible"]
    for name, frames, *numbers, share in rows:
        lines.append(
            f"{name[:30]:30s} {frames:6s}  {'  '.join(number[:6] for number in numbers)}  {100 * float(share):.1f} %"
        )
    if len(scores) > 20:
        lines.insert(-1, f"... and {len(scores) - 20} more, in clips.csv")
    return lines


def plot(path: Path, scores: Sequence[Score], threshold: float) -> None:
    """Draw the distance over time, a line a clip, of the first 12; the threshold is dashed."""
    seconds = all(score.fps for score in scores)
    with _figure(path) as (axes,):
        for score in scores[:_MOST]:
            times = np.arange(len(score.distances)) / (score.fps if seconds else 1)
            axes.plot(times, score.distances, lw=1, marker="." if len(times) == 1 else "", label=score.name[:40])
        axes.axhline(threshold, color="grey", lw=1, ls="--", label=f"{threshold:g}")
        axes.set(xlabel="seconds" if seconds else "pose", ylabel="distance from plausible poses", ylim=(0, None))
        axes.legend(fontsize=7, loc="upper right")


@contextmanager
def _figure(path: Path, rows: int = 1) -> Iterator[list[Any]]:
    """The axes of a plot of so many rows, which becomes a PNG when it is drawn."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(rows, figsize=(9, 1.5 + 2.5 * rows), layout="constrained", squeeze=False)
    yield list(axes[:, 0])
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    pyplot.close(figure)
    with atomic_write(path) as handle:
        handle.write(picture.getvalue())


def _row(score: Score, threshold: float) -> tuple[str, ...]:
    """A row of the table of clips."""
    found = score.distances
    numbers = (found.mean(), np.median(found), np.percentile(found, 95), found.max(), (found > threshold).mean())
    return (score.name, str(len(found)), *(f"{number:.6f}" for number in numbers))


def _table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV table."""
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    with atomic_write(path) as handle:
        handle.write(text.getvalue().encode())
