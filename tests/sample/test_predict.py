"""The predictor and its command: a sentence becomes videos, from a model that is loaded once."""

import importlib
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from model.text.lengths import seconds_of
from sample import predictor as module
from sample.predictor import Predictor
from tests.commands import listing, refusal, toy, train
from utils.formats import hik
from utils.formats.video import frame_count
from utils.run.errors import MissingFileError, UsageError
from utils.run.folders import RECORD
from utils.run.options import RunOptions

TEXT = "--dataset mocap --text_encoder_type minilm --arch dit --lr 0.02 --num_steps 20"


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Tiny models that read sentences, one of them shown frames (dip); and one that reads none."""
    bodies = toy(tmp_path_factory.mktemp("toy") / "mocap", "mocap", 9)
    folder = tmp_path_factory.mktemp("models")
    train(folder / "text", bodies, TEXT)
    train(folder / "dip", bodies, f"{TEXT} --context_len 8 --pred_len 16")
    train(folder / "mute", bodies, f"{TEXT} --cond no_cond --num_steps 1")
    return folder


@pytest.fixture(scope="module")
def ready(models) -> Predictor:
    return Predictor(models / "text", RunOptions(device="cpu"))


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Less than six seconds of motion, to be drawn sooner."""
    monkeypatch.setattr("sample.common.request.DEFAULT_SECONDS", 0.8)


def content(videos: list[Path]) -> list[bytes]:
    return [video.read_bytes() for video in videos]


def test_a_video_of_each_repetition(ready, tmp_path):
    videos = ready.predict("a person walks", 2, folder=tmp_path / "out")
    assert videos == [tmp_path / "out" / f"repetition_{i}.mp4" for i in range(2)]
    assert set(listing(tmp_path / "out")) == {RECORD, *(video.name for video in videos)}
    assert [frame_count(video) for video in videos] == [16, 16]
    first, second = content(videos)
    assert first != second


def test_as_long_as_the_sentence_tells_three_times(ready, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(
        module.figures, "draw_world", lambda clip, *_: [torch.zeros(8, 8, 3).byte().numpy()] * len(clip)
    )
    _, middle, _ = seconds_of(ready._session.text_condition(["a person runs"])["text"][:, 0])[0].tolist()
    assert 2 < middle < 4
    videos = ready.predict("a person runs", folder=tmp_path / "out")
    assert [frame_count(video) for video in videos] == [int(middle * 20)] * 3


def test_an_answer_depends_on_the_question_alone(ready, models):
    """Not on what was asked before, nor on who loaded the model; a folder of its own for each."""
    asked = ("a person walks", "a person waves", "a person walks")
    walks, waves, again = (ready.predict(prompt, 1) for prompt in asked)
    assert content(walks) == content(again) and walks[0].parent != again[0].parent
    assert content(waves) != content(walks) and content(ready.predict("a person walks", 1, seed=1)) != content(walks)
    (alone,), (first, _) = (ready.motions("a person walks", count) for count in (1, 2))
    # Products of another number of rows round otherwise, which 20 updates at a rate of 0.02 make visible in pixels.
    np.testing.assert_allclose(first.positions, alone.positions, atol=1e-5, err_msg="nor on how many are made")
    assert content(Predictor(models / "text").predict("a person walks", 1)) == content(walks)
    assert content(Predictor(models / "text", guidance_param=6.0).predict("a person walks", 1)) != content(walks)


def test_several_ask_at_once(ready):
    prompts = [f"a person walks {i} steps" for i in range(3)]
    answers: dict[str, list[bytes]] = {}

    def ask(prompt: str) -> None:
        torch.set_num_threads(1)
        answers[prompt] = content(ready.predict(prompt, 1))

    threads = [threading.Thread(target=ask, args=(prompt,)) for prompt in prompts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {prompt: content(ready.predict(prompt, 1)) for prompt in prompts}
    assert len(set(map(tuple, answers.values()))) == 3


def test_a_model_that_is_shown_frames_goes_on_from_a_person_who_stands(models, tmp_path, monkeypatch):
    shown = []
    sampled = module.sample_endless
    monkeypatch.setattr(module, "sample_endless", lambda s, r: shown.append(r.inputs["prefix"]) or sampled(s, r))
    videos = Predictor(models / "dip").predict("a person walks", 2, folder=tmp_path / "out")
    assert [frame_count(video) for video in videos] == [16, 16]
    assert shown[0].shape == (2, 8, 263) and torch.allclose(shown[0][:, 0], shown[0][:, -1], atol=1e-4)


def test_joint_angles_of_a_body(ready, models, tmp_path, capsys):
    (file,) = ready.predict("a person walks", 2, "json_file", folder=tmp_path / "out")
    assert file == tmp_path / "out" / "joint_angles.json" and set(listing(tmp_path / "out")) == {RECORD, file.name}
    (angles, root), (other, _) = hik.read(file)
    assert angles.shape == other.shape == (16, 24, 3) and root.shape == (16, 3)
    assert not np.allclose(angles, other, atol=1)
    (alone,) = hik.read(ready.predict("a person walks", 1, "json_file")[0])
    np.testing.assert_allclose(alone[0], angles, atol=0.01)
    capsys.readouterr()
    line = ["--model_path", str(models / "text"), "--prompt", "a person walks", "--num_repetitions", "1"]
    importlib.import_module("sample.predict").main(
        [*line, "--output_format", "json_file", "--output_dir", str(tmp_path / "b")]
    )
    assert capsys.readouterr().out == f"{tmp_path / 'b' / 'joint_angles.json'}\n"


def test_questions_that_have_no_answer(ready, models, tmp_path):
    for question, reason in (
        (("",), "prompt is empty"),
        ((" ",), "prompt is empty"),
        (("a person walks", 0), "num_repetitions is 0"),
        (("a person walks", 1, "gif"), "choose from animation, json_file"),
    ):
        with pytest.raises(UsageError, match=reason):
            ready.predict(*question, folder=tmp_path / "out")
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        ready.predict("a person walks", 1, folder=tmp_path / "taken")
    ready.predict("a person walks", 1, folder=tmp_path / "taken", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    with pytest.raises(UsageError, match=r"mute makes no 3D motion from sentences"):
        Predictor(models / "mute")
    with pytest.raises(UsageError, match=r"save/mocap2d makes no 3D motion from sentences"):
        Predictor("save/mocap2d")
    with pytest.raises(MissingFileError, match="nowhere"):
        Predictor(tmp_path / "nowhere")


def test_the_command_says_where_the_videos_are(models, tmp_path, capsys):
    main = importlib.import_module("sample.predict").main
    line = ["--model_path", str(models / "text"), "--prompt", "a person walks.", "--num_repetitions", "1"]
    capsys.readouterr()
    main([*line, "--seed", "3"])
    made = models / "text" / "predict_text_20_seed3_a_person_walks" / "repetition_0.mp4"
    assert capsys.readouterr().out == f"{made}\n" and frame_count(made) == 16
    main([*line, "--output_dir", str(tmp_path / "out"), "--seed", "3", "--threads", "1"])
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'repetition_0.mp4'}\n"
    assert (tmp_path / "out" / "repetition_0.mp4").read_bytes() == made.read_bytes()


def test_the_command_refuses_before_it_loads(models, tmp_path, capsys, monkeypatch):
    def loaded(*_: object, **__: object) -> None:
        pytest.fail("the model was loaded")

    monkeypatch.setattr(module, "Predictor", loaded)
    base = ("sample.predict", "--model_path", models / "text")
    assert "prompt is empty" in refusal(capsys, 2, *base)
    assert "num_repetitions" in refusal(capsys, 2, *base, "--prompt walks --num_repetitions 0")
    assert "exists already" in refusal(capsys, 2, *base, "--prompt walks --output_dir", tmp_path)


def test_the_default_model_is_the_shipped_one_that_reads_sentences(monkeypatch):
    asked = []

    def read(*_: object) -> None:
        asked.append(_[3])
        raise MissingFileError("read no further")

    monkeypatch.setattr(module, "parse_sampling_line", read)
    with pytest.raises(MissingFileError, match="read no further"):
        Predictor()
    assert asked == [["--model_path", "save/mocap_text", "--text_encoder_path", ""]]


def test_arguments_that_are_unknown_are_refused(models):
    with pytest.raises(UsageError, match="knows no argument guidance; did you mean guidance_param"):
        Predictor(models / "text", guidance=3.0)
    with pytest.raises(UsageError, match="knows no argument num_repetitions"):
        Predictor(models / "text", num_repetitions=2)


def test_arrays_of_what_is_drawn(ready):
    one, other = ready.motions("a person walks", 2)
    assert one.positions.shape == (16, 22, 3) and one.positions.dtype == np.float32 and one.fps == 20
    assert one.joints[0] == "pelvis" and [one.name, other.name] == ["repetition_0", "repetition_1"]
    assert 0.5 < np.ptp(one.positions[0, :, 1]) < 3 and np.abs(one.positions - other.positions).max() > 0.01
    again, _ = ready.motions("a person walks", 2)
    np.testing.assert_array_equal(again.positions, one.positions)
    with pytest.raises(UsageError, match="prompt is empty"):
        ready.motions(" ")


def test_a_body_in_every_kind_of_file(ready, tmp_path):
    (file,) = ready.predict("a person walks", 1, "bvh", folder=tmp_path / "out")
    assert file == tmp_path / "out" / "repetition_0.bvh" and file.read_text().startswith("HIERARCHY")
    with pytest.raises(UsageError, match="json_file, glb, bvh"):
        ready.predict("a person walks", 1, "gif")
