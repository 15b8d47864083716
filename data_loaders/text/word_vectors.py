"""Sentences as the published evaluators read them: a vector a word (GloVe), and its part of speech or its importance.

On disk, as published: `our_vab_data.npy` [V, 300], `our_vab_words.pkl`, the words, and `our_vab_idx.pkl`, their rows.
A sentence comes as `word/TAG word/TAG`; words that matter to motion have a tag of their own in place of that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.run.arrays import load_array, load_pickle
from utils.run.errors import DataError, MissingFileError

FILES = ("our_vab_data.npy", "our_vab_words.pkl", "our_vab_idx.pkl")
REMEDY = "`bash prepare/download_glove.sh` brings them"
MOST_WORDS = 20  # of a sentence that are read
TAGS = (
    "VERB", "NOUN", "DET", "ADP", "NUM", "AUX", "PRON", "ADJ", "ADV",
    "Loc_VIP", "Body_VIP", "Obj_VIP", "Act_VIP", "Desc_VIP", "OTHER",
)  # fmt: skip
IMPORTANT = {
    "Loc_VIP": (
        "left", "right", "clockwise", "counterclockwise", "anticlockwise", "forward", "back", "backward", "up", "down",
        "straight", "curve",
    ),
    "Body_VIP": (
        "arm", "chin", "foot", "feet", "face", "hand", "mouth", "leg", "waist", "eye", "knee", "shoulder", "thigh",
    ),
    "Obj_VIP": (
        "stair", "dumbbell", "chair", "window", "floor", "car", "ball", "handrail", "baseball", "basketball",
    ),
    "Act_VIP": (
        "walk", "run", "swing", "pick", "bring", "kick", "put", "squat", "throw", "hop", "dance", "jump", "turn",
        "stumble", "stop", "sit", "lift", "lower", "raise", "wash", "stand", "kneel", "stroll", "rub", "bend",
        "balance", "flap", "jog", "shuffle", "lean", "rotate", "spin", "spread", "climb",
    ),
    "Desc_VIP": (
        "slowly", "carefully", "fast", "careful", "slow", "quickly", "happy", "angry", "sad", "happily", "angrily",
        "sadly",
    ),
}  # fmt: skip
_TAG_OF = {word: tag for tag, words in IMPORTANT.items() for word in words}
_START, _END, _UNKNOWN, _OTHER = "sos/OTHER", "eos/OTHER", "unk", "OTHER"


@dataclass(frozen=True)
class WordVectors:
    """Vectors [V, W] of words, and the row of each word."""

    vectors: np.ndarray
    rows: dict[str, int]

    def __call__(self, sentences: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vectors [N, L, W], tags [N, L, 15] (one-hot), both float32, and lengths [N] of tagged sentences.

        Start and end count as words, at most 20 words between them are read, and behind the end are zeros.
        """
        read = [[self.row_and_tag(word) for word in words_of(sentence)] for sentence in sentences]
        lengths = np.array([len(words) for words in read], np.int64)
        vectors = np.zeros((len(read), MOST_WORDS + 2, self.vectors.shape[1]), np.float32)
        tags = np.zeros((len(read), MOST_WORDS + 2, len(TAGS)), np.float32)
        for k, words in enumerate(read):
            rows, tagged = zip(*words, strict=True)
            vectors[k, : len(words)] = self.vectors[list(rows)]
            tags[k, range(len(words)), tagged] = 1
        return vectors, tags, lengths

    def row_and_tag(self, tagged: str) -> tuple[int, int]:
        """The row of `word/TAG` and the number of its tag; an unknown word is `unk` with the tag OTHER."""
        word, slash, tag = tagged.rpartition("/")
        word = word if slash else tag
        row = self.rows.get(word)
        if row is None:
            return self.rows[_UNKNOWN], TAGS.index(_OTHER)
        tag = _TAG_OF.get(word, tag)
        return row, TAGS.index(tag if tag in TAGS else _OTHER)


def words_of(sentence: str) -> list[str]:
    """The tagged words of `word/TAG word/TAG` that are read, between those of start and end."""
    return [_START, *sentence.split()[:MOST_WORDS], _END]


def load(folder: str | Path) -> WordVectors:
    """The word vectors of a folder. Raises MissingFileError, or DataError for files that do not fit together."""
    paths = [Path(folder) / name for name in FILES]
    if absent := [path.name for path in paths if not path.is_file()]:
        raise MissingFileError(f"{folder} lacks {', '.join(absent)}, the vectors of words: {REMEDY}")
    vectors, words, rows = load_array(paths[0]), load_pickle(paths[1]), load_pickle(paths[2])
    fits = (
        vectors.ndim == 2
        and vectors.dtype.kind == "f"
        and isinstance(words, list | tuple)
        and isinstance(rows, dict)
        and _UNKNOWN in words
        and all(isinstance(word, str) and _is_row(rows.get(word), len(vectors)) for word in words)
    )
    if not fits or not np.isfinite(vectors).all():
        raise DataError(f"{', '.join(FILES)} in {folder} are no vectors of words that fit together: {REMEDY}")
    return WordVectors(vectors.astype(np.float32), {word: int(rows[word]) for word in words})


def _is_row(row: object, count: int) -> bool:
    return isinstance(row, int | np.integer) and 0 <= int(row) < count
