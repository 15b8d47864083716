"""Clips as motion is made of them: everybody on the bones of the features, with features and contacts at hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from data_loaders.registry import RIGHT
from data_loaders.representations import hml
from prepare.text.folder import Clip
from prepare.text.making.stances import FEET, LAYOUT, contacts_of
from prepare.text.making.stepping import Ends, ends_of
from utils.geometry.contacts import sliding
from utils.geometry.smoothing import gaussian_over_time

_BLOCKS = hml.blocks(LAYOUT)
_AHEAD = 0.15  # seconds: speeds count as the way in this time
_LIKE = [joint for joint in range(22) if joint not in (3, 6, 9, 13, 14)]  # spine and collars follow the others


@dataclass(frozen=True)
class Material:
    """A clip of the sources, or a piece put together from some: what a motion can be made of.

    `points` [T, 22, 3] have the bones of the layout and stand on the floor, `features` [T, F] are theirs (`hml`).
    """

    clip: Clip
    points: np.ndarray
    features: np.ndarray
    contacts: np.ndarray
    fps: float

    @property
    def frames(self) -> int:
        """Number of frames that have features."""
        return len(self.features)

    @cached_property
    def speeds(self) -> np.ndarray:
        """Speed of the root over the floor (metres a second), without the sway of the steps [T]."""
        path = gaussian_over_time(self.points[:, 0, ::2].astype(np.float64), 0.25 * self.fps)
        return np.linalg.norm(np.gradient(path, axis=0), axis=-1) * self.fps

    @cached_property
    def headings(self) -> np.ndarray:
        """The heading (radians) without the sway of the steps [T]."""
        facing = np.unwrap(hml.heading(torch.from_numpy(self.points), LAYOUT).double().numpy())
        return gaussian_over_time(facing, 0.25 * self.fps)

    @cached_property
    def sliding(self) -> float:
        """How fast (metres a second) the foot that carries slides."""
        return sliding(self.points, self.fps, FEET)

    @cached_property
    def ends(self) -> Ends:
        """What steps from and to its moments need to know."""
        return ends_of(self.points, self.contacts, self.fps)

    @cached_property
    def poses(self) -> np.ndarray:
        """What makes two moments alike [T, D]: joints as the body faces, and how far they go in a moment, in metres.

        The distance of two rows is the root of a mean over joints, of place and speed together.
        """
        place = np.zeros((self.frames, LAYOUT.joints, 3))
        place[:, 0, 1] = self.features[:, _BLOCKS["height"]][:, 0]
        place[:, 1:] = self.features[:, _BLOCKS["ric"]].reshape(self.frames, -1, 3)
        speed = self.features[:, _BLOCKS["velocity"]].reshape(self.frames, LAYOUT.joints, 3) * self.fps
        both = np.concatenate([place[:, _LIKE], _AHEAD * speed[:, _LIKE]], 1)
        return both.reshape(self.frames, -1) / np.sqrt(len(_LIKE))


def materials_of(clips: Sequence[Clip], fps: float) -> list[Material]:
    """The clips that can be brought to the bones of the features; those that lack frames or bones are passed over."""
    usable = [clip for clip in clips if len(clip.positions) > 2 and np.isfinite(clip.positions).all()]
    placed = hml.place([clip.positions for clip in usable], LAYOUT)
    whole = [(clip, points) for clip, points in zip(usable, placed, strict=True) if points.isfinite().all()]
    features = hml.extract([points for _, points in whole], LAYOUT, **RIGHT)
    return [
        Material(clip, points.numpy(), found.numpy(), contacts_of(points.numpy(), fps), fps)
        for (clip, points), found in zip(whole, features, strict=True)
    ]
