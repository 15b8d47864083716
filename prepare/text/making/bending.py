"""Paths bent: a walk that goes straight made to go along an arc, round a circle, round a corner or in an S.

The heading turns by a(t) more than it did. The root goes along the rotated path, r' = integral of R(a) dr, and the
frame of the body is moved by

    A(t) p = R(a(t)) (p - r(t)) + r'(t).

A foot that stands is moved by A at one moment, the middle of its stand, so it rests as it did; while it swings that
moment goes on to the next stand's, and the legs make up for what is between it and the body. In a curve the body leans
towards the inside, about the point on the floor below the root, by part of what would balance it.
"""

from dataclasses import dataclass

import numpy as np
import torch

from prepare.text.making.stances import LEGS, turned, with_feet_at
from utils.geometry.contacts import runs
from utils.geometry.rotations import about_axis
from utils.geometry.smoothing import gaussian_over_time

_LEAN = 0.6  # share of the balance, atan(v^2 / (g radius)), by which people lean
_GRAVITY = 9.81  # metres / second^2
_STEADY = 0.25  # seconds of the Gaussian that takes the sway of the steps from speeds and ways


@dataclass(frozen=True)
class Curve:
    """How far the heading turns (radians, positive to the left) along parts of a path, and how long these are (metres).

    `ease` is the share of a part at each of its ends over which its curvature comes and goes.
    """

    turns: tuple[float, ...]
    lengths: tuple[float, ...]
    ease: float = 0.15

    def heading(self, distance: np.ndarray) -> np.ndarray:
        """The heading (radians) at each distance (metres) along the path."""
        start, found = 0.0, np.zeros_like(distance)
        for turn, length in zip(self.turns, self.lengths, strict=True):
            found += turn * _eased(((distance - start) / length).clip(0, 1), self.ease)
            start += length
        return found


def _eased(share: np.ndarray, ease: float) -> np.ndarray:
    """The integral, 0 to 1, of a trapezoid that rises and falls over `ease` at each end."""
    if ease <= 0:
        return share
    top = 1 / (1 - ease)
    up = np.minimum(share, ease)
    down = np.maximum(share - (1 - ease), 0)
    level = share - up - down
    return top * (up**2 / (2 * ease) + level + down - down**2 / (2 * ease))


def distances(points: np.ndarray, fps: float) -> np.ndarray:
    """How far the root of positions [T, 22, 3] has gone over the floor at each frame, its sway left out [T]."""
    path = gaussian_over_time(points[:, 0, ::2].astype(np.float64), _STEADY * fps)
    return np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=-1).cumsum()])


def bent(points: np.ndarray, turn: np.ndarray, contacts: np.ndarray, fps: float) -> np.ndarray:
    """Positions [T, 22, 3] whose heading turns by `turn` [T] (radians, positive to the left) more than it did.

    `contacts` bool [T, 22] says which joints of the feet rest.
    """
    points, turn = np.asarray(points, np.float64), np.asarray(turn, np.float64)
    frames = np.arange(len(points), dtype=np.float64)
    root = points[:, 0, ::2]
    middle = (turn[1:] + turn[:-1]) / 2
    path = np.concatenate([root[:1], root[0] + np.cumsum(turned(np.diff(root, axis=0), middle), axis=0)])

    def bent_at(places: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Places [T, K, 3] moved by A at fractional frames `moments` [T]."""
        angle = np.interp(moments, frames, turn)
        pivot, goal = (np.stack([np.interp(moments, frames, way[:, k]) for k in (0, 1)], -1) for way in (root, path))
        flat = turned(places[..., ::2] - pivot[:, None], angle[:, None]) + goal[:, None]
        return np.stack([flat[..., 0], places[..., 1], flat[..., 1]], -1)

    found = _leaning(bent_at(points, frames), turn, path, fps)
    moved = []
    for leg in LEGS:
        goal = bent_at(points[:, [leg.ankle]], _moments(np.asarray(contacts[:, list(leg.foot)].any(1))))[:, 0]
        moved.append(goal - found[:, leg.ankle])
        toe = [*leg.foot[1:]]
        found[:, toe] = found[:, [leg.ankle]] + _feet(points, toe, leg.ankle, contacts, turn)
    return with_feet_at(found, np.stack(moved), fps)


def _feet(points: np.ndarray, toe: list[int], ankle: int, contacts: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """From ankle to toe [T, 1, 3], turned as the heading is at the foot's moment."""
    moments = _moments(np.asarray(contacts[:, [ankle, *toe]].any(1)))
    angle = np.interp(moments, np.arange(len(turn), dtype=np.float64), turn)
    bone = points[:, toe] - points[:, [ankle]]
    flat = turned(bone[..., ::2], angle[:, None])
    return np.stack([flat[..., 0], bone[..., 1], flat[..., 1]], -1)


def _moments(stands: np.ndarray) -> np.ndarray:
    """At which frame [T] the body's movement is what a foot gets: constant while it stands (bool [T])."""
    frames = np.arange(len(stands), dtype=np.float64)
    at, moment = [], []
    for first, end in runs(stands):
        at += [first, end - 1]
        moment += [(first + end - 1) / 2] * 2
    if not at:
        return frames
    if not stands[0]:
        at, moment = [0, *at], [0.0, *moment]
    if not stands[-1]:
        at, moment = [*at, len(stands) - 1], [*moment, len(stands) - 1.0]
    return np.interp(frames, at, moment)


def _leaning(points: np.ndarray, turn: np.ndarray, path: np.ndarray, fps: float) -> np.ndarray:
    """The body leaning into the curve, about the floor below the root."""
    steady = gaussian_over_time(path, _STEADY * fps)
    speed = np.gradient(steady, axis=0) * fps
    size = np.linalg.norm(speed, axis=-1)
    lean = _LEAN * np.arctan(size * np.gradient(turn) * fps / _GRAVITY)
    lean = gaussian_over_time(lean, _STEADY * fps)
    ahead = np.stack([speed[:, 0], 0 * size, speed[:, 1]], -1) / np.maximum(size, 1e-3)[:, None]
    ahead = np.where(size[:, None] > 1e-3, ahead, (0.0, 0.0, 1.0))
    about = about_axis(torch.from_numpy(ahead), torch.from_numpy(-lean)).numpy()
    floor = np.stack([path[:, 0], 0 * size, path[:, 1]], -1)[:, None]
    return floor + (points - floor) @ about.swapaxes(1, 2)
