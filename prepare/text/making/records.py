"""What the records of made clips say, and what all ways of making them share."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from prepare.text.making.material import Material
from prepare.text.making.stances import FEET
from utils.geometry.contacts import sliding

LONGEST = 9.8  # seconds: windows of the features have at most 196 frames at 20 fps
SENTENCES = 12  # texts of a clip at most
TRIES = 8  # draws for one clip, until one is good enough
SLIDES = 1.3, 0.01  # times the sliding of the sources, and metres a second more, up to which feet may slide

Value = TypeVar("Value")


def slides(points: np.ndarray, materials: Sequence[Material]) -> bool:
    """Whether feet slide by more than they do in what the motion is made of."""
    fps, (times, more) = materials[0].fps, SLIDES
    return sliding(points, fps, FEET) > times * max(material.sliding for material in materials) + more


def part_of(material: Material, start: float, end: float, whole: bool = True) -> dict[str, Any]:
    """What the record of a joined clip says of a part: its labels, its seconds, whether all of its clip is in it."""
    record = material.clip.record
    labels = {name: record.get(name) or "" for name in ("name", "style", "content", "turn", "pace")}
    return labels | {"actions": list(record["actions"]), "texts": list(record.get("texts", ())) if whole else [],
                     "start": round(start, 3), "end": round(end, 3), "whole": bool(whole)}  # fmt: skip


def record_of(how: str, materials: Sequence[Material], name: str) -> dict[str, Any]:
    """The record of a clip that is made of these."""
    records = [material.clip.record for material in materials]
    return {
        "name": f"{how}:{name}",
        "source": "made",
        "made": {"how": how, "of": [record["name"] for record in records]},
        "actions": list(dict.fromkeys(label for record in records for label in record["actions"])),
        "style": records[0]["style"] if len({record["style"] for record in records}) == 1 else "",
        "licence": " + ".join(dict.fromkeys(filter(None, (record["licence"] for record in records)))),
        "split": records[0]["split"],
        "told_test": False,
        "content": "",
    }


def one_of(rng: np.random.RandomState, choices: Sequence[Value]) -> Value:
    """One of the choices, each as likely."""
    return choices[rng.randint(len(choices))]
