"""Two things at a time: somebody walks and waves. The arms of a gesture on somebody who goes on with what he does.

An arm is carried over as it lies to the chest, whose frame neck, spine and collars tell; it comes and goes in `EASE`
seconds. The legs are not touched.
"""

from collections.abc import Sequence

import numpy as np
import torch

from data_loaders.text.captions import NEUTRAL, PHRASES, conjugated, kind_of
from data_loaders.texts import mirrored
from prepare.text.folder import Clip
from prepare.text.making.material import Material
from prepare.text.making.records import LONGEST, SENTENCES, one_of, part_of, record_of
from prepare.text.making.stances import BODY, rigid
from utils.run.randomness import numpy_rng

GESTURES = ("raise-up-left-hand", "raise-up-both-hands", "wave-left-hand", "wave-both-hands")
BELOW = ("walk", "walk-turn-left", "walk-back", "walk-left", "run", "run-turn-left")
LEAST = 2.4  # seconds that somebody goes on
EASE = 0.35  # seconds
_APART = 0.01  # metres: collars that are nearer to each other tell no direction
_AT = {name: BODY.index(name) for name in BODY.joints}
_ARM = ("shoulder", "elbow", "wrist")


def while_clips(materials: Sequence[Material], count: int, seed: int) -> list[Clip]:
    """At most `count` clips of somebody who walks or runs, and raises an arm or waves while he does."""
    gestures = {kind: [m for m in materials if kind_of(m.clip.record)[0] == kind] for kind in GESTURES}
    long = [m for m in materials if m.frames >= LEAST * m.fps]
    goers = {kind: [m for m in long if kind_of(m.clip.record)[0] == kind] for kind in BELOW}
    kinds, ways = ([kind for kind in table if table[kind]] for table in (gestures, goers))
    made = []
    for number in range(count if kinds and ways else 0):
        rng = numpy_rng("while", seed, number)
        kind = kinds[number % len(kinds)]
        made.append(_both(one_of(rng, goers[one_of(rng, ways)]), one_of(rng, gestures[kind]), rng))
    return made


def _both(below: Material, gesture: Material, rng: np.random.RandomState) -> Clip:
    """The one's legs and trunk with the other's arms, from a moment on, for as long as both go on."""
    fps = below.fps
    frames = min(len(below.points), round(LONGEST * fps))
    start = int(rng.randint(max(1, min(frames - len(gesture.points), round(2 * fps)))))
    end = min(frames, start + len(gesture.points))
    points = below.points[:frames].astype(np.float64)
    sides = arms_of(gesture)
    points[start:end] = with_arms(points[start:end], gesture.points[: end - start], sides, round(EASE * fps))
    record = record_of("while", [below, gesture], f"{below.clip.record['name']}+{gesture.clip.record['name']}")
    record["actions"] = list(gesture.clip.record["actions"])
    record["parts"] = [part_of(below, 0, frames / fps), part_of(gesture, start / fps, end / fps)]
    return Clip(points.astype(np.float32), record | {"texts": _told(record["parts"], rng)})


def arms_of(material: Material) -> tuple[str, ...]:
    """Which arms a gesture is made with, as its labels tell: left, right or both."""
    kind, flip = kind_of(material.clip.record)
    return ("left", "right") if "both" in kind else ("right",) if flip else ("left",)


def with_arms(points: np.ndarray, gesture: np.ndarray, sides: Sequence[str], ease: int) -> np.ndarray:
    """Positions [T, 22, 3] with the arms of `sides` as another's [T, 22, 3] lie to the chest; bones keep lengths.

    They come in `ease` frames and go in as many.
    """
    steps = np.minimum(np.arange(1, len(points) + 1), np.arange(len(points), 0, -1)) / (ease + 1)
    share = steps.clip(0, 1)[:, None]
    share = share * share * (3 - 2 * share)
    turn = chest(points) @ chest(gesture).swapaxes(1, 2)
    found = points.copy()
    for side in sides:
        before = f"{side}_collar"
        for name in _ARM:
            joint, parent = _AT[f"{side}_{name}"], _AT[before]
            own, other = points[:, joint] - points[:, parent], gesture[:, joint] - gesture[:, parent]
            other = np.einsum("tij,tj->ti", turn, other)
            found[:, joint] = found[:, parent] + (1 - share) * own + share * other
            before = f"{side}_{name}"
    return rigid(torch.from_numpy(found))


def chest(points: np.ndarray) -> np.ndarray:
    """The frame [T, 3, 3] of the chest: its left side, up and ahead are the columns."""
    up = points[:, _AT["neck"]] - points[:, _AT["spine1"]]
    left, wide = (points[:, _AT[f"left_{name}"]] - points[:, _AT[f"right_{name}"]] for name in ("collar", "shoulder"))
    # Some sources have their collars in one place.
    left = np.where(np.linalg.norm(left, axis=-1, keepdims=True) > _APART, left, wide)
    up = up / np.linalg.norm(up, axis=-1, keepdims=True)
    left = left - (left * up).sum(-1, keepdims=True) * up
    left = left / np.linalg.norm(left, axis=-1, keepdims=True)
    return np.stack([left, up, np.cross(left, up)], -1)


def _told(parts: Sequence[dict], rng: np.random.RandomState) -> list[str]:
    """Sentences that tell the second part as what is done during the first."""
    found = {}
    for _ in range(3 * SENTENCES):
        phrases = []
        for part, ending in zip(parts, ("s", "ing"), strict=True):
            kind, flip = kind_of(part)
            phrase = conjugated(one_of(rng, PHRASES[kind]), ending)
            phrases.append(mirrored(phrase) if flip else phrase)
        found[f"{one_of(rng, NEUTRAL)} {phrases[0]} while {phrases[1]}"] = None
    return list(found)[:SENTENCES]
