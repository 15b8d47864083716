"""Walks and runs bent into shapes: which, by how much, and what is said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from data_loaders.text.captions import NEUTRAL, kind_of
from data_loaders.texts import mirrored
from prepare.text.folder import Clip
from prepare.text.making.bending import Curve, bent, distances
from prepare.text.making.joining import repeated
from prepare.text.making.material import Material
from prepare.text.making.records import LONGEST, SENTENCES, TRIES, one_of, part_of, record_of, slides
from utils.run.randomness import numpy_rng

# Turning rates (radians a second) that 95 of 100 frames of recorded walks, and 99 of runs, stay below.
RATES = {"walk": 1.25, "run": 0.77, "back": 0.6, "side": 0.6}
GAITS = {"walk": "walk", "walk-uneven": "walk", "run": "run", "dash": "run", "walk-back": "back", "walk-left": "side"}
STRAIGHT = np.radians(40)  # a path that turns more than this is none to bend
MOVES = 0.35  # metres a second: the least speed of a path that is bent


@dataclass(frozen=True)
class Shape:
    """A way to bend a path: angles (degrees) between which its turns lie, seconds, and what one says of it.

    `phrases` tell the turn to the left: * marks the verb that the gait takes the place of.
    """

    angles: tuple[tuple[int, int], ...]
    seconds: tuple[float, float]
    phrases: tuple[str, ...]
    gaits: tuple[str, ...] = ("walk", "run")
    ahead: float = 0.0  # share of the way that is straight, before and after a turn


SHAPES: dict[str, Shape] = {
    "arc": Shape(
        ((40, 130),), (3, 6),
        ("{} in a curve to the left", "{} along an arc to the left", "{}, curving to the left", "{} in a left arc"),
    ),
    "mild arc": Shape(((30, 90),), (3, 6), ("{} in a curve",), ("back", "side")),
    "half circle": Shape(
        ((165, 195),), (4, 8),
        ("{} in a half circle to the left", "{} in a semicircle to the left", "{} half a circle counterclockwise",
         "{} in a counterclockwise half circle"),
    ),
    "circle": Shape(
        ((345, 375),), (6, 9.8),
        ("{} in a circle counterclockwise", "{} in a counterclockwise circle", "{} in a circle to the left",
         "{} a full circle counterclockwise", "{} around in a circle, turning left", "{} counterclockwise in a circle"),
    ),
    "round and round": Shape(
        ((480, 560),), (8, 9.8),
        ("{} in circles counterclockwise", "{} round and round to the left", "{} in a counterclockwise circle"),
        ("walk",),
    ),
    "S": Shape(
        ((50, 110), (-110, -50)), (5, 9),
        ("{} in an S curve, first to the left, then to the right", "{} in a curve to the left and then to the right",
         "{} along a winding path, left and then right"),
    ),
    "bend": Shape(((40, 50),), (3, 6), ("{} and then veers slightly to the left", "{} and bears left"),
                            ahead=0.35),
    "corner": Shape(
        ((84, 96),), (3.5, 7),
        ("{} and turns left", "{} forward, then turns left and goes on", "{} around a corner to the left",
         "{}, makes a left turn and goes on", "{} and turns left by 90 degrees"), ahead=0.35,
    ),
    "about": Shape(
        ((170, 190),), (5, 8),
        ("{} forward, turns around to the left and comes back", "{} and makes a U-turn to the left",
         "{}, turns left by 180 degrees and comes back"), ahead=0.33,
    ),
}  # fmt: skip
SPOKEN = {"walk": ("walks", "walks", "strolls", "is walking"), "run": ("runs", "jogs", "is running"),
          "back": ("walks backward", "walks backwards"), "side": ("steps sideways",)}  # fmt: skip


def bent_clips(materials: Sequence[Material], count: int, seed: int) -> list[Clip]:
    """At most `count` clips whose straight walks and runs are bent, equally many of each shape."""
    gaits = {gait: [m for m in materials if _gait(m) == gait] for gait in RATES}
    sources = {name: [gaits[gait] for gait in shape.gaits if gaits[gait]] for name, shape in SHAPES.items()}
    names = [name for name in SHAPES if sources[name]]
    made: list[Clip] = []
    for number in range(count if names else 0):
        name, rng = names[number % len(names)], numpy_rng("bent", seed, number)
        drawn = (_bent(one_of(rng, one_of(rng, sources[name])), name, rng) for _ in range(TRIES))
        made += list(islice(filter(None, drawn), 1))
    return made


def _gait(material: Material) -> str:
    """Which gait of `RATES` a clip shows from its first to its last frame in a straight line; else nothing."""
    gait = GAITS.get(kind_of(material.clip.record)[0], "")
    turned = np.ptp(material.headings)
    return gait if gait and turned < STRAIGHT and np.percentile(material.speeds, 5) > MOVES else ""


def _bent(material: Material, name: str, rng: np.random.RandomState) -> Clip | None:
    """A clip of the shape, as long as it takes; None where the gait has no round, or is too slow for the shape."""
    shape, gait, fps = SHAPES[name], _gait(material), material.fps
    side = rng.choice([-1, 1])
    angles = np.radians([rng.uniform(*between) for between in shape.angles])
    rate = RATES[gait] * rng.uniform(0.6, 0.95)
    needed = np.abs(angles).sum() / (1 - 2 * shape.ahead) / rate
    seconds = max(rng.uniform(*shape.seconds), needed)
    if seconds > LONGEST or (looped := repeated(material, round(seconds * fps))) is None:
        return None
    points, contacts = looped
    way = distances(points, fps)
    straight = shape.ahead * way[-1] * rng.uniform(0.7, 1.3)
    turning = way[-1] - 2 * shape.ahead * way[-1]
    lengths = [turning * abs(angle) / np.abs(angles).sum() for angle in angles]
    # Half of the circles and arcs are as curved in their first and last frames as in all others.
    ease = 0.15 if shape.ahead or len(angles) > 1 else rng.choice([0.0, 0.05])
    curve = Curve((0.0, *(side * angles)), (max(straight, 1e-6), *lengths), ease)
    turn = curve.heading(way)
    if np.abs(np.gradient(turn)).max(initial=0) * fps > 1.15 * RATES[gait]:
        return None
    points = bent(points, turn, contacts, fps).astype(np.float32)
    if slides(points, [material]):
        return None
    record = record_of("bent", [material], f"{material.clip.record['name']}:{name}:{'left' if side > 0 else 'right'}")
    record |= {"texts": _told(shape, gait, side, rng), "turned": float(turn[-1])}
    return Clip(points, record | {"parts": [part_of(material, 0, len(points) / fps)]})


def _told(shape: Shape, gait: str, side: int, rng: np.random.RandomState) -> list[str]:
    """Sentences about a bent path."""
    found = {}
    for _ in range(4 * SENTENCES):
        phrase = one_of(rng, shape.phrases).format(one_of(rng, SPOKEN[gait]))
        sentence = f"{one_of(rng, NEUTRAL)} {phrase}"
        found[sentence if side > 0 else mirrored(sentence)] = None
    return list(found)[:SENTENCES]
