"""The command that fits how long what a sentence says takes."""

import gzip
import json

import numpy as np
import pytest

from model.text.encoders import load_text_encoder
from model.text.lengths import load
from prepare.lengths import weights_of
from tests.commands import refusal, run

SECONDS = {"a person runs": 2.0, "a person sits down": 8.0, "a person walks": 5.0}


def sentences(path, split: str = "train") -> None:
    lines = [json.dumps({"texts": [text], "dur": each, "split": split}) for text, each in SECONDS.items()]
    with gzip.open(path, "wt") as handle:
        handle.write("\n".join([*lines, json.dumps({"texts": ["one runs"], "dur": 2.2, "split": "test"})]) + "\n")


def test_sentences_become_a_map(tmp_path, capsys):
    sentences(tmp_path / "lines.jsonl.gz")
    run("prepare.lengths", "--sentences", tmp_path / "lines.jsonl.gz", "--output", tmp_path / "map.npz")
    said = capsys.readouterr().out
    assert "sentences held out: 1 sentences" in said and "3 sentences, spread" in said
    vectors = load_text_encoder("minilm")(list(SECONDS))[0][:, 0]
    middles = load(tmp_path / "map.npz").seconds(vectors)[:, 1]
    assert middles[0] < middles[2] < middles[1] and np.isfinite(middles).all()


def test_clips_count_for_their_share_and_templates_by_their_root():
    rows, clips = [("a", 1.0, False)] * 4, [("b", 1.0, False)] * 4 + [("c", 1.0, False)]
    found = weights_of(rows, clips)
    assert found.sum() == pytest.approx(1) and found[:4].sum() == pytest.approx(0.8)
    assert found[4:8].sum() == pytest.approx(2 * found[8])
    assert weights_of(rows, []).tolist() == [0.25] * 4


def test_what_holds_no_sentences_is_refused(tmp_path, capsys):
    assert "--sentences FILE" in refusal(capsys, 2, "prepare.lengths")
    missing = ("prepare.lengths", "--sentences", tmp_path / "none.jsonl")
    assert "does not exist" in refusal(capsys, 3, *missing)
    (tmp_path / "other.jsonl").write_text('{"texts": ["walks"]}\n')
    assert "no file of lines" in refusal(capsys, 4, "prepare.lengths", "--sentences", tmp_path / "other.jsonl")
    sentences(tmp_path / "test.jsonl.gz", "test")
    assert "no sentence of a train part" in refusal(
        capsys, 4, "prepare.lengths", "--sentences", tmp_path / "test.jsonl.gz"
    )


@pytest.mark.parametrize(
    "texts, seconds, said",
    [
        (["walks"], 0, "take seconds"),
        (["walks"], -2, "take seconds"),
        (["walks"], float("nan"), "take seconds"),
        (["walks"], float("inf"), "take seconds"),
        ([" "], 2, "have words"),
        ("walks", 2, "no list of sentences"),
    ],
)
def test_sentences_that_take_no_time_are_refused(texts, seconds, said: str, tmp_path, capsys):
    lines = [
        {"texts": ["a person runs"], "dur": 2, "split": "train"},
        {"texts": texts, "dur": seconds, "split": "test"},
    ]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)))
    line = ["prepare.lengths", "--sentences", tmp_path / "lines.jsonl", "--output", tmp_path / "map.npz"]
    assert said in refusal(capsys, 4, *line) and not (tmp_path / "map.npz").exists()


def test_where_the_map_cannot_go_is_said_before_any_work(tmp_path, capsys):
    line = ("prepare.lengths", "--sentences", tmp_path / "none.jsonl", "--output")
    (tmp_path / "file").touch()
    assert "is a folder" in refusal(capsys, 2, *line, tmp_path)
    assert "is no folder" in refusal(capsys, 2, *line, tmp_path / "file" / "map.npz")
