"""Sentences: the lines of text files, left and right exchanged, and what is made from labels."""

import re

import pytest

from data_loaders.text import captions
from data_loaders.text.captions import (
    PHRASES,
    STYLES,
    conjugated,
    kind_of,
    pool,
    sentences,
)
from data_loaders.texts import TextLine, mirrored, read_lines, written
from utils.run.errors import DataError, MissingFileError


def test_lines_of_humanml3d(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(
        "a man walks.#a/DET man/NOUN walk/VERB#0.0#0.0\n\nhe turns#he/PRON turn/VERB#1.5#nan\n"
        "une marche à gauche#x/OTHER#nan#nan\njust a sentence, it's plain\n",
        encoding="utf-8",
    )
    first, second, third, plain = read_lines(path)
    assert first == TextLine("a man walks.", ("a/DET", "man/NOUN", "walk/VERB")) and first.whole
    assert (second.start, second.end, second.whole) == (1.5, 0.0, False)
    assert third.caption == "une marche à gauche" and third.whole
    assert plain.tags == ("just/OTHER", "a/OTHER", "sentence/OTHER", "it's/OTHER", "plain/OTHER") and plain.whole
    path.write_text("".join(written(line) + "\n" for line in (first, second, plain)), encoding="utf-8")
    assert read_lines(path) == [first, second, plain]


@pytest.mark.parametrize("line", ["a#b", "a#b#c#d", "a#b#1", "a#b#-1#2", "a#b#0#inf"])
def test_lines_that_are_none(tmp_path, line):
    path = tmp_path / "a.txt"
    path.write_text(f"fine\n{line}\n")
    with pytest.raises(DataError, match=r"a.txt, line 2"):
        read_lines(path)


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(MissingFileError, match="none.txt does not exist"):
        read_lines(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match="not UTF-8"):
        read_lines(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("caption", "other"),
    [
        ("a man turns Left, then right.", "a man turns Right, then left."),
        ("steps leftwards with the right-hand rail", "steps rightwards with the left-hand rail"),
        ("walks clockwise", "walks counterclockwise"),
        ("walks counter-clockwise", "walks clockwise"),
        ("bright lights, upright, leftover", "bright lights, upright, leftover"),
        ("walk-turn-left", "walk-turn-right"),
    ],
)
def test_left_and_right_change_places(caption, other):
    assert mirrored(caption) == other


def test_verbs():
    assert conjugated("*walk and *turn left", "s") == "walks and turns left"
    assert conjugated("*walk and *turn left", "ing") == "walking and turning left"
    assert conjugated("*walk and *turn left", "") == "walk and turn left"
    verbs = "run dash go practise sit box hit climb wave dance kick stop tie see carry step do play"
    assert [conjugated(f"*{verb}", "s") for verb in verbs.split()] == (
        "runs dashes goes practises sits boxes hits climbs waves dances kicks stops ties sees carries steps does plays"
    ).split()
    assert [conjugated(f"*{verb}", "ing") for verb in verbs.split() if verb != "tie"] == (
        "running dashing going practising sitting boxing hitting climbing waving dancing kicking stopping seeing "
        "carrying stepping doing playing"
    ).split()


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"content": "walk-turn-right", "actions": ["walk"]}, ("walk-turn-left", True)),
        ({"content": "walk-turn-left", "actions": ["walk"]}, ("walk-turn-left", False)),
        ({"content": "dance-short", "actions": ["dance"]}, ("dance", False)),
        ({"actions": ["dance", "salsa"]}, ("salsa", False)),
        ({"actions": ["kick", "soccer"]}, ("soccer", False)),
        ({"actions": ["walking"], "turn": "right"}, ("walk-turn-left", True)),
        ({"actions": ["jog"], "turn": "left"}, ("run-turn-left", False)),
        ({"actions": ["run"], "texts": ["a person runs and turns right"]}, ("run-turn-left", True)),
        ({"actions": ["kick"], "texts": ["a person does karate side kicks"]}, ("kick-side", False)),
        ({"actions": ["idle"]}, ("idle", False)),
        ({"actions": ["juggling"]}, ("move", False)),
        ({}, ("move", False)),
    ],
)
def test_kinds_of_motion(record, kind):
    assert kind_of(record) == kind


def test_own_sentences_come_first_and_the_rest_depends_on_the_name():
    record = {"content": "wave-right-hand", "actions": ["wave"], "style": "tired", "texts": [" A person #waves. ", ""]}
    made = sentences(record, "clip")
    assert made[0] == "A person waves." and len(made) == len(set(made)) == captions.SENTENCES
    assert made == sentences(record, "clip") != sentences(record, "other clip")
    assert set(made[1:]) <= set(pool("wave-left-hand", True, "exhausted"))
    many = [f"sentence {i}" for i in range(20)]
    assert sentences(record | {"texts": many}, "clip") == many, "nobody's sentences are dropped"


def test_a_walk_has_a_pace():
    slow = sentences({"actions": ["walk"], "pace": "slow"}, "clip")
    told = set(pool("walk", False, "slow")) - set(pool("walk", False))
    assert told & set(slow[:2])


def every_pool():
    for kind in PHRASES:
        for style in ("", *STYLES):
            for flip in (False, True):
                yield kind, style, flip, pool(kind, flip, style)


def test_pools_are_large_clean_and_right():
    """Sides are told as they are, sexed styles by nobody of the other sex, and words kept for evaluation by nobody."""
    kept = (
        "strolls along|cheerful|saunter|jogs along|sprints away|greet|boogie|bends at the waist|hops up|takes a seat"
        "|giggle|scales a wall|\\bsips?\\b"
    )
    for kind, style, flip, made in every_pool():
        text = "\n".join(made).replace("energy left", "energy")
        assert 40 < len(set(made)) == len(made) <= captions.POOL, (kind, style)
        assert not re.search(kept, text), (kind, style)
        assert not re.search(r"\*|  |^\s|\s$|\b(a|an|the) (a|an|the)\b|ss\b.ss\b", text, re.MULTILINE), (kind, style)
        if kind.endswith("-left") or "-left-" in kind:
            assert not re.search(r"\bleft\b" if flip else r"\bright\b", text), (kind, flip)
            assert re.search(r"\bright\b" if flip else r"\bleft\b", text)
        if style == "feminine":
            assert not re.search(r"\b(man|guy)\b", text)
        if style == "masculine":
            assert not re.search(r"\b(woman|lady|girl)\b", text)
        if style:
            plain = [sentence for sentence in made if not _tells(sentence, style)]
            assert 0.02 < len(plain) / len(made) < 0.45, (kind, style)


def _tells(sentence: str, style: str) -> bool:
    row = STYLES[style]
    return any(word in sentence for word in (*row.adverbs, *row.adjectives, *row.subjects))


def test_labels_in_file_names():
    assert captions.labels_in("Subject01_walk_03") == ["walk"] and captions.labels_in("take_07") == []
