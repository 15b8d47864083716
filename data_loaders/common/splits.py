"""Which motions belong to the training part of a folder and which to the test part."""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

from utils.run.errors import DataError
from utils.run.files import read_json

TEST_SHARE = 0.1


def _fraction(name: str) -> float:
    """A number in [0, 1) that depends on nothing but the name."""
    return int(hashlib.sha1(name.encode()).hexdigest()[:8], 16) / 16**8


def held_out(name: str, share: float = TEST_SHARE) -> bool:
    """Whether a motion belongs to the test part: decided by its name, whatever other motions come or go."""
    return _fraction(name) < share


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
        part = [name for name in names if held_out(name) == (split == "test")]
    if published_seed is None:
        return sorted(part, key=_fraction)
    random.Random(published_seed).shuffle(part)
    return part
