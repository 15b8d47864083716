"""Which motions belong to the training part of a folder and which to the test part."""

import hashlib
import random
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from utils.run.errors import DataError
from utils.run.files import read_json

TEST_SHARE = 0.1
_SAME = 1e-3  # metres, of twice a height: two clips whose joints differ by less are one


def _fraction(name: str) -> float:
    """A number in [0, 1) that depends on nothing but the name."""
    return int(hashlib.sha1(name.encode()).hexdigest()[:8], 16) / 16**8


def held_out(name: str, share: float = TEST_SHARE) -> bool:
    """Whether a motion belongs to the test part: decided by its name, whatever other motions come or go."""
    return _fraction(name) < share


def part_by_name(name: str, said: str | None, test_share: float = TEST_SHARE, val_share: float = TEST_SHARE) -> str:
    """`train`, `val` or `test`: as the source says, else by a hash of the name; validation is a share of the rest."""
    if said == "test" or (not said and held_out(name, test_share)):
        return "test"
    return "val" if said == "val" or held_out(f"val/{name}", val_share) else "train"


def alike(clips: Sequence[np.ndarray], mirror: Sequence[int]) -> list[list[int]]:
    """Which clips, positions [T, J, 3] with y up, are mirror images or copies of each other: groups of two or more.

    `mirror` [J] are the joints of the other side. Told by the heights of both sides together, frame by frame, which
    neither the mirror nor a turn about y nor a shift along the floor changes.
    """
    heights = [np.nan_to_num(clip[..., 1] + clip[:, list(mirror), 1]) for clip in clips]
    mean = [float(height.mean()) if height.size else 0.0 for height in heights]
    order = sorted(range(len(clips)), key=lambda k: (len(heights[k]), mean[k]))
    group_of = list(range(len(clips)))
    for place, k in enumerate(order):
        for other in islice(order, place + 1, None):
            if len(heights[other]) > len(heights[k]) or mean[other] - mean[k] > _SAME:
                break
            if np.abs(heights[other] - heights[k]).max(initial=0.0) <= _SAME:
                group_of[other] = group_of[k]
                break
    groups: dict[int, list[int]] = {}
    for k, group in enumerate(group_of):
        groups.setdefault(group, []).append(k)
    return [members for members in groups.values() if len(members) > 1]


def together(parts: Sequence[str], groups: Sequence[Sequence[int]], told_test: Sequence[bool]) -> list[str]:
    """The part of each clip where clips of a group share one: that of the first, or `test` if a source says so."""
    shared = list(parts)
    for members in groups:
        part = "test" if any(told_test[k] for k in members) else parts[min(members)]
        for k in members:
            shared[k] = part
    return shared


def _listed(folder: Path, names: Sequence[str], split: str) -> list[str]:
    """The names that `split.json` lists for a part. Raises DataError if it does not fit the motions."""
    path = folder / "split.json"
    content = read_json(path)
    parts: dict[str, list[str]] = content if isinstance(content, dict) else {}
    listed = [parts.get(part) for part in ("train", "test")]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in listed):
        raise DataError(f'{path} must hold {{"train": [names], "test": [names]}}')
    known = set(names)
    for name in parts["train"] + parts["test"]:
        if name not in known:
            raise DataError(f"{path} lists {name!r}, but there is no motions/{name}.npy")
    twice = sorted(set(parts["train"]) & set(parts["test"]))
    if twice:
        raise DataError(f"{path} lists {twice[0]!r} as train and as test")
    return parts[split]


def _take_of(name: str, names: Collection[str]) -> str:
    """The motion that a name is of: a mirror image (M...) goes with its original."""
    return name[1:] if name.startswith("M") and name[1:] in names else name


def names_of_part(names: Sequence[str], folder: Path, split: str, published_seed: int | None = None) -> list[str]:
    """The names of the part `split` in the order in which they are loaded.

    A `split.json` in `folder` decides the part; without one the hash of each name does, or, with a `published_seed`,
    the published rule: of the sorted names the first tenth is test, and Python's generator shuffles the part.
    The default order is that of the hashes, so that the first motions are a fair sample of all.
    """
    names = sorted(names)
    if (folder / "split.json").is_file():
        part = _listed(folder, names, split)
    elif published_seed is not None:
        border = int(TEST_SHARE * len(names))
        part = names[:border] if split == "test" else names[border:]
    else:
        known = set(names)
        part = [name for name in names if held_out(_take_of(name, known)) == (split == "test")]
    if published_seed is None:
        return sorted(part, key=_fraction)
    random.Random(published_seed).shuffle(part)
    return part
