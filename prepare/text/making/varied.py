"""Clips played otherwise: backwards where physics allows it, a little slower or faster, and gaits gone on with."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data_loaders.text.captions import kind_of
from data_loaders.texts import mirrored
from prepare.text.folder import Clip
from prepare.text.making.joining import repeated
from prepare.text.making.material import Material, materials_of
from prepare.text.making.records import LONGEST, TRIES, one_of, part_of, record_of, slides
from utils.geometry.resample import sample_frames
from utils.run.randomness import numpy_rng

# What a motion is that is seen backwards.
REVERSED = {
    "sit-down": "stand-up", "stand-up": "sit-down", "lie-down": "get-up", "get-up": "lie-down", "walk": "walk-back",
    "walk-back": "walk", "walk-left": "walk-right", "walk-right": "walk-left",
}  # fmt: skip
SLOW = 1.0  # metres a second: a walk that is faster looks wrong backwards, for heels strike and toes push off
TEMPO = (0.8, 1.25)  # frames gone on by for each frame
_SAME = (0.92, 1.09)  # between which a tempo is no other one
TEMPO_KINDS = ("walk", "walk-turn-left", "walk-left", "walk-back", "run", "run-turn-left", "raise-up-left-hand",
               "raise-up-both-hands", "wave-left-hand", "wave-both-hands", "bow", "kick", "jump", "punch")  # fmt: skip
GOES_ON = ("walk", "run", "dash", "walk-back", "walk-left", "sneak", "crouch-walk", "crawl")
_SHORT = 4.0  # seconds: a gait that lasts longer needs not be gone on with


def side_of(record: dict) -> str:
    """The kind that labels tell, by its own name: that of the mirror image where it is one."""
    kind, flip = kind_of(record)
    return mirrored(kind) if flip else kind


def reversed_materials(materials: Sequence[Material]) -> list[Material]:
    """Those that can be played backwards, so played, with the label of what is seen then."""
    fitting = [m for m in materials if side_of(m.clip.record) in REVERSED and _slow_enough(m)]
    clips = [
        Clip(np.ascontiguousarray(m.points[::-1]), record_of("reversed", [m], m.clip.record["name"])
             | {"content": REVERSED[side_of(m.clip.record)], "actions": [REVERSED[side_of(m.clip.record)]]})
        for m in fitting
    ]  # fmt: skip
    return materials_of(clips, materials[0].fps) if clips else []


def _slow_enough(material: Material) -> bool:
    return "walk" not in side_of(material.clip.record) or float(np.median(material.speeds)) < SLOW


def reversed_clips(materials: Sequence[Material], count: int, seed: int) -> list[Clip]:
    """At most `count` of the clips that can be played backwards, so played; those of each kind in turn."""
    by_kind: dict[str, list[Material]] = {}
    for material in reversed_materials(materials):
        by_kind.setdefault(side_of(material.clip.record), []).append(material)
    order = []
    for kind, members in by_kind.items():
        rng = numpy_rng("reversed", seed, kind)
        order += [(place, kind, members[index]) for place, index in enumerate(rng.permutation(len(members)))]
    return [
        replace(m.clip, record=m.clip.record | {"parts": [part_of(m, 0, m.frames / m.fps)]})
        for _, _, m in sorted(order, key=lambda entry: entry[:2])[:count]
    ]


def tempo_clips(materials: Sequence[Material], count: int, seed: int) -> list[Clip]:
    """At most `count` clips of gaits and gestures that go slower or faster."""
    fitting = [m for m in materials if kind_of(m.clip.record)[0] in TEMPO_KINDS and m.frames < LONGEST * m.fps]
    made = []
    for number in range(count if fitting else 0):
        rng = numpy_rng("tempo", seed, number)
        material = one_of(rng, fitting)
        rate = 1.0
        while _SAME[0] < rate < _SAME[1]:
            rate = float(np.exp(rng.uniform(*np.log(TEMPO))))
        times = np.arange(0, len(material.points) - 1 + 1e-6, rate)
        points = sample_frames(material.points, times, 0, len(material.points) - 1)
        record = record_of("tempo", [material], f"{material.clip.record['name']}:{rate:.2f}")
        record["content"] = side_of(material.clip.record)
        made.append(Clip(points, record | {"tempo": rate, "parts": [part_of(material, 0, len(points) / material.fps)]}))
    return made


def looped_clips(materials: Sequence[Material], count: int, seed: int) -> list[Clip]:
    """At most `count` clips in which a gait that was recorded for a moment goes on and on, straight ahead."""
    fitting = [m for m in materials if kind_of(m.clip.record)[0] in GOES_ON and m.frames < _SHORT * m.fps]
    made: list[Clip] = []
    for number in range(count if fitting else 0):
        rng = numpy_rng("looped", seed, number)
        for _ in range(TRIES):
            material, seconds = one_of(rng, fitting), rng.uniform(4, LONGEST)
            looped = repeated(material, round(seconds * material.fps))
            if looped is None or slides(looped[0], [material]):
                continue
            record = record_of("looped", [material], material.clip.record["name"])
            record |= {"content": side_of(material.clip.record), "parts": [part_of(material, 0, seconds)]}
            made.append(Clip(looped[0].astype(np.float32), record))
            break
    return made
