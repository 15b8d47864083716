"""The moments of long recordings in which something is done: a kick, a jump, somebody sitting down or rising.

They are found by the captioner, so that what is joined shows what its labels say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from data_loaders.captioner.detect import phases_of
from data_loaders.captioner.phases import Phase
from data_loaders.text.captions import kind_of
from prepare.text.making.material import Material

# Seconds that belong to a moment before and after it, of each kind that is looked for.
AROUND = {
    "kick": (0.5, 0.5), "jump": (0.5, 0.5), "punch": (0.6, 0.8), "bow": (0.4, 0.4), "turn": (0.3, 0.3),
    "sit down": (0.8, 1.4), "rise": (1.4, 0.8), "crouch down": (0.5, 1.0), "kneel down": (0.5, 1.0),
    "lie down": (0.6, 1.2),
}  # fmt: skip
LEAST_TURN = np.radians(60)
_LONG = 6.0  # seconds: a shorter recording is what its labels say from end to end
# Labels of recordings whose moments are part of something else.
_APART = {"climb", "ladder", "stairs", "dance", "ballet", "pirouette", "indian dance", "salsa", "breakdance",
          "charleston", "lambada", "laugh", "exercise", "wave-left-hand", "wave-both-hands"}  # fmt: skip
_UP_FROM = {"sit": "stand-up", "lie": "get-up", "kneel": "stand-up", "crouch": ""}


def moments_of(materials: Sequence[Material]) -> list[Material]:
    """Parts of the long recordings among the materials, each with its own label as `content`."""
    return [
        moment
        for material in materials
        if material.frames > _LONG * material.fps and kind_of(material.clip.record)[0] not in _APART
        for moment in _moments(material)
    ]


def _moments(material: Material) -> Iterator[Material]:
    phases, fps = phases_of(material.points, material.fps), material.fps
    for number, phase in enumerate(phases):
        label = _label(phase, phases[:number])
        if not label or phase.begun or phase.lasts:
            continue
        before, after = AROUND[phase.kind]
        # What else the body does next to it belongs to others.
        first = max(0, round((phase.start - before) * fps))
        end = min(material.frames, round((phase.end + after) * fps))
        yield part_of(material, first, end, label)


def _label(phase: Phase, earlier: Sequence[Phase]) -> str:
    """The kind of `captions.PHRASES` that a phase is, mirrored by name; nothing if it is of no use."""
    if phase.kind not in AROUND:
        return ""
    if phase.kind == "rise":
        state = next((p.kind for p in reversed(earlier) if p.kind in _UP_FROM), "")
        return _UP_FROM.get(state, "")
    if phase.kind == "turn":
        side = "left" if phase.turned > 0 else "right"
        return f"spot-turn-{side}" if abs(phase.turned) > LEAST_TURN else ""
    if phase.kind == "jump":
        return "jump-forward" if phase.direction == "forward" else "jump"
    same = {"sit down": "sit-down", "crouch down": "crouch", "kneel down": "kneel", "lie down": "lie-down"}
    return same.get(phase.kind, phase.kind)


def part_of(material: Material, first: int, end: int, content: str) -> Material:
    """Frames `first` to `end` of a material, labelled by what they show, without what else its clip is said to be."""
    name = f"{material.clip.record['name']}@{first / material.fps:.1f}"
    record = material.clip.record | {"name": name, "content": content, "actions": [content], "texts": []}
    points = material.points[first : end + 1]
    clip = replace(material.clip, positions=points, record=record, lines=())
    span = slice(first, end)
    return Material(clip, points, material.features[span], material.contacts[first : end + 1], material.fps)
