"""The show of prompts: its file, its verdicts and figures by closed form, and the whole command on toy people."""

import json

import numpy as np
import pytest

from data_loaders.representations import hml
from eval.recognition import paraphrases
from eval.recognition.classifier import KINDS
from eval.recognition.paraphrases import METRICS, Prompt, known_sentences, metrics_of, read_prompts, summed_up, verdict
from tests.commands import listing, refusal, run
from tests.dip import CONTEXT, dip_session, told
from utils.run.errors import DataError, MissingFileError
from utils.run.folders import RECORD

LAYOUT = hml.layout_of("smpl22")
FPS = 20.0
TINY = (
    "--layers 1 --latent_dim 16 --num_heads 2 --ff_size 16 --train_batch_size 4 --diffusion_steps 5 --threads 1 "
    "--num_steps 2 --save_interval 2"
)


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


def body(frames: int) -> np.ndarray:
    """22 joints [T, 22, 3] that stand still, each at its own height, toes on the floor."""
    clip = np.zeros((frames, 22, 3))
    clip[..., 1] = np.linspace(0.2, 1.7, 22)
    for foot in (LAYOUT.left_feet, LAYOUT.right_feet):
        clip[:, foot, 1] = (0.08, 0.0)
    return clip


def test_a_file_of_prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("walk: someone strolls\n\n  raise arms :  hands up: both of them  \n")
    assert read_prompts(str(path)) == [
        Prompt("walk", "someone strolls"),
        Prompt("raise arms", "hands up: both of them"),
    ]
    for line, said in (
        ("wlak: strolls", "did you mean walk"),
        ("someone strolls", "kind: sentence"),
        ("walk:", "'walk:'"),
    ):
        path.write_text(f"run: off\n{line}\n")
        with pytest.raises(DataError, match=said):
            read_prompts(str(path))
    with pytest.raises(MissingFileError, match="does not exist"):
        read_prompts(str(tmp_path / "none.txt"))


def test_the_shipped_prompts_are_readable():
    prompts = read_prompts("assets/prompts/paraphrases.txt")
    assert len(prompts) == len({prompt.sentence for prompt in prompts}) == 20


def test_a_prompt_that_is_a_caption_is_found():
    captions = ["A person walks.", "waves the left hand", "jump"]
    asked = ["a person walks", "a person  walks", "Waves the LEFT hand. ", "jumps", "Jump"]
    found = known_sentences([Prompt("walk", sentence) for sentence in asked], captions)
    assert found == [True, False, True, False, True]


def test_more_than_half_must_be_right():
    assert verdict("walk", ["walk", "run", "walk"]) == {"right": True, "share": 2 / 3, "most": "walk"}
    assert not verdict("walk", ["walk", "run"])["right"], "half is no majority"
    assert not verdict("walk", ["walk", "walk", "run", "wave", "sit"])["right"], "nor are the most of many"
    assert verdict("walk", ["run"] * 5) == {"right": False, "share": 0.0, "most": "run"}


def test_figures_of_a_body_that_slides_along():
    clip = body(60)
    assert metrics_of(clip, FPS, LAYOUT) == pytest.approx(0, abs=1e-9)
    time = np.arange(60) / FPS
    clip[..., 2] += 0.4 * time[:, None]
    speed, slide, jitter = metrics_of(clip, FPS, LAYOUT)
    assert (
        speed == pytest.approx(0.4, rel=0.03) and slide == pytest.approx(0.4) and jitter == pytest.approx(0, abs=1e-8)
    )
    clip[..., 0] += time[:, None] ** 3
    assert metrics_of(clip, FPS, LAYOUT)[2] == pytest.approx(6.0), "the third derivative of t^3"


def test_a_tremble_counts_as_jitter_and_not_as_speed():
    """x = a cos(2 pi f t), f = 6 Hz: no speed below 4 Hz; its third differences are a (2 sin(pi f dt) / dt)^3 high."""
    clip = body(200)
    clip[:, 20, 0] += 0.01 * np.cos(np.pi * 120 * (np.arange(200) + 0.5) / 200)
    speed, slide, jitter = metrics_of(clip, FPS, LAYOUT)
    assert speed == pytest.approx(0, abs=1e-9) and slide == 0
    each = (2 * FPS * np.sin(np.pi * 6 / FPS)) ** 3 * 0.01
    assert jitter == pytest.approx(each * 2 / np.pi / 22, rel=0.05)


def row(share: float, made: tuple, real: tuple, known: bool = False) -> dict:
    ratio = [a / b for a, b in zip(made, real, strict=True)]
    told = {name: dict(zip(METRICS, values, strict=True)) for name, values in (("made", made), ("real", real))}
    return {
        "right": share > 0.5,
        "share": share,
        "in_training": known,
        "ratio": dict(zip(METRICS, ratio, strict=True)),
        **told,
    }


def test_the_sum_of_all_prompts():
    rows = [
        row(1.0, (1.0, 0.1, 100.0), (1.0, 0.1, 100.0)),
        row(0.6, (0.5, 0.3, 130.0), (1.0, 0.1, 100.0), known=True),
        row(0.2, (2.6, 0.01, 10.0), (2.0, 0.1, 200.0)),
    ]
    total = summed_up(rows)
    assert (total["prompts"], total["right"], total["in_training"]) == (3, 2, 1)
    assert total["share"] == pytest.approx(0.6)
    assert total["median_ratio"] == pytest.approx({"speed": 1.0, "sliding": 1.0, "jitter": 1.0})
    assert total["together"] == pytest.approx({"speed": 4.1 / 4, "sliding": 0.41 / 0.3, "jitter": 240 / 400})
    assert total["within"] == {"speed": 2, "sliding": 2, "jitter": 3}


def test_the_whole_command(data, model, tmp_path, monkeypatch, capsys):
    """Every file, the same again from the same seed, and a prompt's first samples whatever their number."""
    for name, value in (("STEPS", 10), ("NETWORKS", 2)):
        monkeypatch.setattr(f"eval.recognition.classifier.{name}", value)
    monkeypatch.setattr(paraphrases, "REAL_WINDOWS", 4)
    caption = next(iter((data / "texts").iterdir())).read_text().splitlines()[0].split("#")[0]
    prompts = tmp_path / "prompts.txt"
    prompts.write_text(f"walk: he strolls\nwave: {caption}\n")
    flags = ("--model_path", model, "--real", data, "--prompts", prompts, "--motion_length 1.5 --threads 1 --seed 3")
    run("eval.prompts", *flags, "--num_samples 2 --folds 2 --output_dir", tmp_path / "one")
    assert set(listing(tmp_path / "one")) == {RECORD, "prompts.md", "prompts.json", "contact_sheet.png"}
    told = json.loads((tmp_path / "one" / "prompts.json").read_text())
    assert [row["sentence"] for row in told["prompts"]] == ["he strolls", caption]
    assert [len(row["taken_for"]) for row in told["prompts"]] == [2, 2] and told["seconds"] == 1.5
    trained_on = {line.split("#")[0] for name in (data / "train.txt").read_text().split()
                  for line in (data / "texts" / f"{name}.txt").read_text().splitlines()}  # fmt: skip
    assert told["prompts"][1]["in_training"] == (caption in trained_on) and not told["prompts"][0]["in_training"]
    assert set(told["classifier"]) == {"test", "folds"} and set(told["classifier"]["test"]["kinds"]) <= set(KINDS)
    said = capsys.readouterr().out
    table = (tmp_path / "one" / "prompts.md").read_text()
    assert table.strip() in said and table.count("\n| he strolls | walk | ") == 1
    for part in ("Right: ", "Speed over real: ", "Foot sliding over real: ", "Jitter over real: ", "Classifier: "):
        assert part in table
    run("eval.prompts", *flags, "--num_samples 2 --folds 0 --output_dir", tmp_path / "two")
    again = json.loads((tmp_path / "two" / "prompts.json").read_text())
    assert again["prompts"] == told["prompts"] and again["classifier"] == {"test": told["classifier"]["test"]}
    assert "exists already" in refusal(capsys, 2, "eval.prompts", *flags, "--output_dir", tmp_path / "two")


def test_more_samples_change_none_of_the_first(model, data):
    from eval.recognition.paraphrases import make_motions
    from sample.common.session import open_session
    from sample.options import SamplingLine, parse_sampling_line

    asked = [Prompt("walk", "he strolls"), Prompt("wave", "she says hello")]
    made = []
    for count in (1, 3):
        argv = ["--model_path", str(model), "--num_samples", str(count), "--motion_length", "1.5", "--threads", "1"]
        made.append(make_motions(open_session(parse_sampling_line(SamplingLine, "t", "", argv)), asked))
    assert made[1].shape == (3, 2, 30, 22, 3)
    np.testing.assert_allclose(made[1][:1], made[0], atol=1e-4)


def test_a_model_that_goes_on_from_frames_is_evaluated_from_a_stand():
    from eval.recognition.paraphrases import make_motions

    session = dip_session()
    made = make_motions(session, [Prompt("walk", "he strolls"), Prompt("wave", "she says hello")])
    assert made.shape == (2, 2, round(6 * FPS), 22, 3) and not np.array_equal(made[0], made[1])
    asked = told(session)  # of each window, guided: both ways in one batch
    assert len(asked) == 10 and all(window["prefix"].shape[:2] == (8, CONTEXT) for window in asked)


def test_what_cannot_be_evaluated_is_refused(model, data, tmp_path, capsys):
    base = ("--model_path", model, "--output_dir", tmp_path / "out", "--threads 1")
    assert "prepare.humanml" in refusal(capsys, 3, "eval.prompts", *base, "--real", tmp_path / "nowhere")
    assert "--folds 1" in refusal(capsys, 2, "eval.prompts", *base, "--real", data, "--folds 1")
    assert "--prompts" in refusal(capsys, 2, "eval.prompts", *base, "--real", data, "--text_prompt walks")
    assert "22 joints" in refusal(capsys, 2, "eval.prompts", "--model_path save/mocap2d --threads 1")
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("laugh: he laughs\n")
    said = refusal(
        capsys, 4, "eval.prompts", *base, "--real", data, "--prompts", prompts, "--motion_length 1 --folds 0"
    )
    assert "no real clip shows 'laugh'" in said
    assert not (tmp_path / "out").exists()
