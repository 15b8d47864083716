"""The judge of obedience: its sentences, its figures by closed form, and the whole command on toy people."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest

from data_loaders.captioner.phases import Phase
from data_loaders.text.captions import PHRASES, STYLES, conjugated, pool
from eval.recognition import obedience, paraphrases
from eval.recognition.classifier import KINDS
from eval.recognition.obedience import GROUPS, METRICS, misses, read_sentences, summed_up
from tests.commands import listing, refusal, run
from utils.run.errors import DataError
from utils.run.folders import RECORD

SENTENCES = "assets/prompts/obedience.txt"
TEMPLATES = ("data_loaders/captioner/phrases.py", "data_loaders/captioner/wording.py", "data_loaders/text/captions.py")
TINY = (
    "--layers 1 --latent_dim 16 --num_heads 2 --ff_size 16 --train_batch_size 4 --diffusion_steps 5 --threads 1 "
    "--num_steps 2 --save_interval 2"
)
PRONOUNS = {"he", "she", "his", "her"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "mocap"
    run("prepare.toy_motion", "--dataset mocap --num_motions 32", "--output_dir", folder)
    return folder


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "text"
    run("train.train_mdm", "--dataset mocap", "--datapath", data, "--save_dir", folder, TINY)
    return folder


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9'-]+", text.lower()))


def test_the_shipped_sentences_are_a_dozen_a_group():
    asked = read_sentences(SENTENCES)
    assert len({each.sentence for each in asked}) == 120
    assert {group: sum(each.group == group for each in asked) for group in GROUPS} == dict.fromkeys(GROUPS, 12)


def test_no_sentence_is_one_that_is_made_for_training():
    """Each has a word, and not a pronoun alone, that no template of the training's sentences has."""
    known: set[str] = set()
    for path in TEMPLATES:
        for node in ast.walk(ast.parse(Path(path).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                known |= set().union(*(words(conjugated(node.value, ending)) for ending in ("s", "ing", "")))
    assert {"walks", "sitting", "clockwise", "someone", "wearily"} <= known
    made = {text for kind in PHRASES for style in ("", *STYLES) for text in pool(kind, False, style)}
    for each in read_sentences(SENTENCES):
        assert words(each.sentence) - known - PRONOUNS, each.sentence
        assert each.sentence not in made


def test_sides_are_asked_for_in_pairs():
    """Of what is asked to one side the mirror image is asked as well, in the same words."""
    from data_loaders.texts import mirrored

    sentences = {each.sentence: each.asks for each in read_sentences(SENTENCES)}
    sided = [text for text in sentences if mirrored(text) != text]
    assert len(sided) >= 26
    for text in sided:
        other = mirrored(text)
        assert other in sentences and sentences[other] != sentences[text], text


def test_a_file_of_sentences(tmp_path):
    path = tmp_path / "asked.txt"
    path.write_text("side | kick(side=left) | he kicks\n\nstyle | walk(speed<0.9 plain) | she drags herself along\n")
    first, second = read_sentences(str(path))
    assert (first.group, first.sentence, first.kind, first.plain) == ("side", "he kicks", "kick", "")
    assert second.plain == "a person walks"
    for line, said in (
        ("side | he kicks", "is not `group"),
        ("sied | kick | he kicks", "did you mean side"),
        ("side | kikc | he kicks", "did you mean kick"),
        ("style | crawl(speed<0.9 plain) | slowly", "no plain sentence"),
    ):
        path.write_text(line)
        with pytest.raises(DataError, match=said):
            read_sentences(str(path))


def row(group: str, obeyed: list[bool], made: float = 2.0, real: float | None = 1.0) -> dict:
    return {
        "group": group, "expectation": "walk", "sentence": f"of {group}", "in_training": False, "obeyed": obeyed,
        "share": float(np.mean(obeyed)), "right": sum(obeyed) > len(obeyed) / 2, "shown": ["seen"] * len(obeyed),
        "made": dict.fromkeys(METRICS, made), "real": real and dict.fromkeys(METRICS, real),
    }  # fmt: skip


def test_the_sum_of_groups_and_the_misses():
    rows = [row("side", [True, True, False]), row("side", [True, False, False], 4.0), row("order", [True] * 3, 9, None)]
    total = summed_up(rows)
    assert total["groups"] == {
        "side": {"sentences": 2, "right": 1, "motions": 6, "share": pytest.approx(0.5)},
        "order": {"sentences": 1, "right": 1, "motions": 3, "share": 1.0},
    }
    assert total["over_real"] == dict.fromkeys(METRICS, 3.0) and total["beside_real"] == 2
    wild = summed_up([*rows[:2], row("side", [True], 100.0)])
    assert wild["over_real"]["sliding"] == 4.0 and wild["together"]["sliding"] == pytest.approx(106 / 3)
    assert summed_up(rows[2:])["over_real"] == {}
    assert misses(rows) == ["side: of side [walk] 1 of 3: seen"]


def toy_real(data: Path):
    from eval.recognition.classifier import load_real

    return load_real(data, "train")


def test_what_is_seen_decides_and_sides_matter(data, tmp_path, monkeypatch):
    """The rows of made-up phases: the captioner's answer, not the sentence, is held against the expectation."""
    path = tmp_path / "asked.txt"
    path.write_text("side | kick(side=left) | he kicks\nstyle | walk(speed<0.9 plain) | she drags herself along\n")
    asked, real = read_sentences(str(path)), toy_real(data)
    monkeypatch.setattr(paraphrases, "REAL_WINDOWS", 2)
    clips = np.zeros((2, 2, 30, 22, 3)) + np.arange(4).reshape(2, 2, 1, 1, 1)
    seen = {
        0: [Phase("kick", 0, 1, side="left")], 1: [Phase("walk", 0, 2, speed=0.5)],
        2: [Phase("kick", 0, 1, side="right")], 3: [Phase("walk", 0, 2, speed=1.0)],
        9: [Phase("walk", 0, 2, speed=1.0)],
    }  # fmt: skip
    monkeypatch.setattr(obedience, "phases_of", lambda clip, fps: tuple(seen[int(clip[0, 0, 0])]))
    plain = {"a person walks": np.full((2, 30, 22, 3), 9.0)}
    rows = obedience.judge(asked, clips, plain, real, None)
    assert [each["obeyed"] for each in rows] == [[True, False], [True, False]]
    assert not any(each["right"] for each in rows), "half is no majority"
    assert rows[0]["shown"] == ["kick(left) 0.0-1.0", "kick(right) 0.0-1.0"]


def test_the_whole_command(data, model, tmp_path, monkeypatch, capsys):
    for name, value in (("STEPS", 10), ("NETWORKS", 2)):
        monkeypatch.setattr(f"eval.recognition.classifier.{name}", value)
    monkeypatch.setattr(paraphrases, "REAL_WINDOWS", 4)
    prompts = tmp_path / "asked.txt"
    prompts.write_text(
        "side | wave(side=left) | he says hi\nstyle | walk(speed<0.9 plain) | she drags herself along\n"
        "plain | looks like walk | he strolls\n"
    )
    flags = ("--model_path", model, "--real", data, "--prompts", prompts, "--motion_length 2 --threads 1 --seed 3")
    run("eval.obedience", *flags, "--num_samples 2 --output_dir", tmp_path / "one")
    sheets = {"side.png", "style.png", "plain.png"}
    assert set(listing(tmp_path / "one")) == {RECORD, "obedience.md", "obedience.json"} | sheets
    told = json.loads((tmp_path / "one" / "obedience.json").read_text())
    assert [len(each["obeyed"]) for each in told["sentences"]] == [2, 2, 2] and told["seconds"] == 2
    assert {each["kind"] for each in told["sentences"]} == {"wave", "walk"} <= set(KINDS)
    assert told["captioner"] and all(0 <= each["shown"] <= 1 for each in told["captioner"])
    said, table = capsys.readouterr().out, (tmp_path / "one" / "obedience.md").read_text()
    for part in ("| side | ", "Obeyed: ", "Over real motion", "| label of real clips |"):
        assert part in said and part in table
    assert "## side" in table and "not obeyed:" in said
    run("eval.obedience", *flags, "--num_samples 2 --output_dir", tmp_path / "two")
    again = json.loads((tmp_path / "two" / "obedience.json").read_text())
    assert again["sentences"] == told["sentences"] and again["captioner"] == told["captioner"]
    assert "exists already" in refusal(capsys, 2, "eval.obedience", *flags, "--output_dir", tmp_path / "two")


def test_what_cannot_be_judged_is_refused(model, data, tmp_path, capsys):
    base = ("--model_path", model, "--output_dir", tmp_path / "out", "--threads 1")
    assert "prepare.humanml" in refusal(capsys, 3, "eval.obedience", *base, "--real", tmp_path / "nowhere")
    assert "--prompts" in refusal(capsys, 2, "eval.obedience", *base, "--real", data, "--text_prompt walks")
    assert "22 joints" in refusal(capsys, 2, "eval.obedience", "--model_path save/mocap2d --threads 1")
    assert not (tmp_path / "out").exists()
