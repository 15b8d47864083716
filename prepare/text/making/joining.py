"""Pieces of clips that go over into one another: cycles of a gait repeated, and two or three kinds of motion in a row.

Where two moments are alike, the second motion follows the first by the project's own transition
(`data_loaders.text.transitions`); where one stands and the other walks, by a step (`prepare.text.making.stepping`).
Feet that rest are held where they stand then.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from data_loaders.representations import hml
from data_loaders.text.transitions import gone_over
from prepare.text.making.material import Material
from prepare.text.making.stances import LAYOUT, rigid, with_feet_held
from prepare.text.making.stepping import Step, best_step, stepped

ROUND = (0.6, 6.0)  # seconds: the shortest and the longest round of a gait that is looked for
_VARIED = 0.01  # metres: for each second more, the ends of a round may be so much more unlike
ALIKE = 0.12  # metres: two moments of a gait that are further apart are not joined (see `Material.poses`)
STEPS = 0.18  # metres: the cost of a step (`stepping.Step`) that is as bad


@dataclass(frozen=True)
class Piece:
    """Frames `first` to `end` (the frame after the last) of a material; it may follow by a step."""

    material: Material
    first: int
    end: int
    step: Step | None = None

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.end - self.first


def repeated(material: Material, frames: int) -> tuple[np.ndarray, np.ndarray] | None:
    """A gait that goes straight on for so many frames: positions [T, 22, 3], and which joints rest, bool [T, 22].

    Its best round again and again, what its ends differ by shared out over it (as in `body.motion.cycles`). None where
    it has no round whose ends are alike.
    """
    if (found := _round(material)) is None:
        return None
    first, end = found
    cycle = material.features[first:end].copy()
    share = (np.arange(len(cycle)) / len(cycle) - 0.5)[:, None]
    cycle -= share * (material.features[end] - material.features[first])
    yaw = hml.blocks(LAYOUT)["root_yaw"]
    cycle[:, yaw] -= cycle[:, yaw].mean()
    times = -(-frames // len(cycle))
    points = rigid(hml.decode(torch.from_numpy(np.tile(cycle, (times, 1))[:frames]), LAYOUT))
    contacts = np.tile(material.contacts[first:end], (times, 1))[:frames]
    return with_feet_held(points, contacts, material.fps), contacts


def _round(material: Material) -> tuple[int, int] | None:
    """The first frame of the best round and the one after its last, which is as the first."""
    poses = material.poses
    squares = (poses**2).sum(1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * poses @ poses.T, 0))
    seconds = np.subtract.outer(np.arange(len(poses)), np.arange(len(poses))).T / material.fps
    apart[(seconds < ROUND[0]) | (seconds > ROUND[1])] = np.inf
    first, end = np.unravel_index((apart - _VARIED * seconds).argmin(), apart.shape)
    return (int(first), int(end)) if apart[first, end] < ALIKE else None


@dataclass(frozen=True)
class Link:
    """Where one material goes over into another: frame after the last, first frame, by which step, how unlike they are.

    `score` is 1 where what differs is as much as `ALIKE` or, for a step, as `STEPS` allow.
    """

    end: int
    start: int
    step: Step | None
    score: float


def best_link(before: Material, ends: np.ndarray, after: Material, starts: np.ndarray) -> Link | None:
    """The best way from one of the frames `ends` (each the one after a last) to one of the first frames `starts`."""
    if not len(ends) or not len(starts):
        return None
    one, other = before.poses[ends - 1], after.poses[starts]
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    end, start = np.unravel_index(squares.argmin(), squares.shape)
    score = float(np.sqrt(max(squares[end, start], 0))) / ALIKE
    found = Link(int(ends[end]), int(starts[start]), None, score)
    if score <= 0.5 or (step := best_step(before.ends, ends - 1, after.ends, starts, before.fps)) is None:
        return found
    last, first, way = step
    return min(found, Link(last + 1, first, way, way.cost / STEPS), key=lambda link: link.score)


def assembled(pieces: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Positions [T, 22, 3] of pieces in a row, which joints rest bool [T, 22], and each piece's first and end."""
    points, rests = np.empty((0, LAYOUT.joints, 3)), np.empty((0, LAYOUT.joints), bool)
    spans: list[tuple[int, int]] = []
    for run in _runs(pieces):
        own, resting = _in_one_go(run)
        if len(points):
            assert run[0].step is not None
            points, rests = stepped(points, rests, own, resting, run[0].step, run[0].material.fps)
        else:
            points, rests = own, resting
        ends = len(points) - len(own) + np.cumsum([0, *(piece.frames for piece in run)])
        spans += [(int(first), int(end)) for first, end in zip(ends[:-1], ends[1:], strict=True)]
    held = with_feet_held(points, rests, pieces[0].material.fps)
    return held.astype(np.float32), rests, spans


def _runs(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The pieces parted before those that follow by a step."""
    found: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece.step is not None:
            found.append([])
        found[-1].append(piece)
    return found


def _in_one_go(pieces: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray]:
    """Positions [T, 22, 3] of pieces that follow one another by transitions, and which joints rest."""
    features = [piece.material.features[piece.first : piece.end] for piece in pieces]
    whole = features[0]
    for part in features[1:]:
        whole = np.concatenate([whole, gone_over(whole, part, LAYOUT)])
    points = rigid(hml.decode(torch.from_numpy(whole), LAYOUT)).astype(np.float64)
    return points, np.concatenate([piece.material.contacts[piece.first : piece.end] for piece in pieces])
