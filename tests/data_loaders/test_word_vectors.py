"""Words as the published evaluators read them: tags by the golden lists, lengths with start and end, bad files."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from data_loaders.text.word_vectors import IMPORTANT, TAGS, load
from tests.evaluators import WORDS, write_words
from utils.run.errors import DataError, MissingFileError

WIDTH = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_words(tmp_path / "glove")


def tags_of(sentence: str, folder: Path) -> list[str]:
    _, tags, lengths = load(folder)([sentence])
    assert (tags[0, lengths[0] :] == 0).all() and (tags[0, : lengths[0]].sum(-1) == 1).all()
    return [TAGS[row.argmax()] for row in tags[0, : lengths[0]]]


def test_lists_are_the_published_ones(golden: Path):
    published = json.loads((golden / "mdm" / "word_vectorizer.json").read_text())
    assert list(TAGS) == published["pos_order"]
    assert {tag: set(words) for tag, words in IMPORTANT.items()} == {
        tag: set(words) for tag, words in published["vip_words"].items()
    }


def test_a_sentence_is_read_between_start_and_end(folder: Path):
    read = load(folder)
    vectors, tags, lengths = read(["a/DET person/NOUN", "the/DET"])
    stored = np.load(folder / "our_vab_data.npy").astype(np.float32)
    assert vectors.shape == (2, 22, WIDTH) and tags.shape == (2, 22, 15)
    assert lengths.tolist() == [4, 3]
    at = [len(WORDS) - 1 - WORDS.index(word) for word in ("sos", "a", "person", "eos")]
    np.testing.assert_array_equal(vectors[0, :4], stored[at])
    assert not vectors[0, 4:].any()


def test_the_part_of_speech_gives_way_to_what_matters_and_to_what_is_unknown(folder: Path):
    said = "walk/NOUN walks/VERB left/ADJ the/DET person/XYZ zebra/NOUN 1/2/NUM person"
    told = ["Act_VIP", "VERB", "Loc_VIP", "DET", "OTHER", "OTHER", "OTHER", "OTHER"]
    assert tags_of(said, folder) == ["OTHER", *told, "OTHER"]
    vectors, _, _ = load(folder)(["zebra/NOUN person"])
    stored = np.load(folder / "our_vab_data.npy").astype(np.float32)
    np.testing.assert_array_equal(vectors[0, 1:3], stored[[len(WORDS) - 1, len(WORDS) - 1 - WORDS.index("person")]])


@pytest.mark.parametrize(("count", "length"), [(0, 2), (19, 21), (20, 22), (31, 22)])
def test_at_most_twenty_words_are_read(folder: Path, count: int, length: int):
    vectors, _, lengths = load(folder)([" ".join(["person/NOUN"] * count)])
    assert lengths[0] == length
    end = np.load(folder / "our_vab_data.npy")[len(WORDS) - 1 - WORDS.index("eos")]
    np.testing.assert_allclose(vectors[0, length - 1], end, rtol=1e-6)


def test_missing_files_are_named_with_what_brings_them(folder: Path, tmp_path: Path):
    (folder / "our_vab_idx.pkl").unlink()
    with pytest.raises(MissingFileError, match=r"lacks our_vab_idx.pkl.*download_glove.sh"):
        load(folder)
    with pytest.raises(MissingFileError, match="lacks our_vab_data.npy, our_vab_words.pkl, our_vab_idx.pkl"):
        load(tmp_path / "nowhere")


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path):
    def broken(name: str, **content: object) -> Path:
        made = write_words(tmp_path / name)
        for file, value in content.items():
            (made / f"our_vab_{file}.pkl").write_bytes(pickle.dumps(value))
        return made

    for folder in (
        broken("row", idx={word: len(WORDS) for word in WORDS}),
        broken("absent", words=[*WORDS, "more"]),
        broken("no unk", words=WORDS[1:]),
        broken("other", words=7),
    ):
        with pytest.raises(DataError, match="fit together"):
            load(folder)
    folder = write_words(tmp_path / "nan")
    np.save(folder / "our_vab_data.npy", np.full((len(WORDS), WIDTH), np.nan))
    with pytest.raises(DataError, match="fit together"):
        load(folder)


def test_a_hostile_pickle_is_not_run(tmp_path: Path):
    class Hostile:
        def __reduce__(self):
            return print, ("run",)

    folder = write_words(tmp_path / "glove")
    (folder / "our_vab_words.pkl").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError, match="asks for"):
        load(folder)
