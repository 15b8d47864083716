"""Small evaluators of random weights in the published layout, and the vectors of words that they read."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from model.evaluators.text_motion import CONTACTS, PARTS, MovementEncoder, Reader, TextMotion
from utils.run.randomness import seeded

WORDS = ("unk", "sos", "eos", "a", "person", "walk", "walks", "left", "the")


def write_words(folder: Path, words: Sequence[str] = WORDS, width: int = 300) -> Path:
    """The three published files of vectors of words; word i has row i of the vectors, counted from behind."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "our_vab_data.npy", np.random.RandomState(0).normal(0, 1, (len(words), width)))
    (folder / "our_vab_words.pkl").write_bytes(pickle.dumps(list(words)))
    rows = {word: len(words) - 1 - k for k, word in enumerate(words)}
    (folder / "our_vab_idx.pkl").write_bytes(pickle.dumps(rows))
    return folder


def write_evaluator(path: Path, features: int = 263, width: int = 12, seed: int = 0) -> Path:
    """A published file with small encoders of motion with so many features a frame."""
    with seeded("evaluator", seed):
        network = TextMotion(
            MovementEncoder(features - CONTACTS, 9, 10), Reader(10, 11, width), Reader(300, 8, width, tags=15)
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({part: getattr(network, part).state_dict() for part in PARTS} | {"epoch": 3}, path)
    return path
