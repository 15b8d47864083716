"""MAS and 2D sampling by sentences: models of mocap2d that are told them, from the folder to 3D motion."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from sample.common.session import Request
from sample.multiview.sampling import view_denoiser
from tests.commands import refusal, run, train
from tests.people import mocap_session, moving, record, write_folder
from utils.formats import results

TOLD = "--dataset mocap2d --arch dit --text_encoder_type minilm --lr 0.02 --num_steps 30"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Clips that wave and clips that kick, a test part among them."""
    kinds = ({"texts": ["a person waves", "someone waves a hand"]}, {"texts": ["a person kicks"]})
    clips = [(moving(90 + 9 * i, i), record(f"clip{i}", "test" if i > 5 else "train") | kinds[i % 2]) for i in range(8)]
    folder = tmp_path_factory.mktemp("data") / "mocap2d"
    write_folder(folder, clips)
    return folder


@pytest.fixture(scope="module")
def model(data, tmp_path_factory) -> Path:
    """A model of a few updates that is told sentences."""
    return train(tmp_path_factory.mktemp("model") / "text", data, f"{TOLD} --cond text")


def sampled(out: Path, module: str, model: Path, *parts: object, prompts: tuple[str, ...] = ()) -> dict:
    """What a command writes into results.npy."""
    import importlib

    views = "--num_views 3" if module == "sample.mas" else ""
    line = ["--model_path", str(model), "--output_dir", str(out), "--overwrite", *views.split(), *map(str, parts)]
    importlib.import_module(module).main([*line, *(["--text_prompt", *prompts] if prompts else [])])
    return results.load(out / "results.npy")


@pytest.mark.parametrize(("module", "shape"), [("sample.generate", (2, 16, 2, 12)), ("sample.mas", (2, 12, 16, 3))])
def test_a_sentence_decides_what_is_made(module, shape, model, tmp_path):
    flags = ("--num_samples", 2, "--motion_length", 0.6)
    waves, kicks, again = (
        sampled(tmp_path / "out", module, model, *flags, prompts=(prompt,))
        for prompt in ("a person waves", "a person kicks", "a person waves")
    )
    assert waves["motions"].shape == shape and np.isfinite(waves["motions"]).all()
    assert waves["motions"].tobytes() == again["motions"].tobytes()
    assert np.abs(waves["motions"] - kicks["motions"]).max() > 1e-3
    told = waves["model_kwargs"]["y"]
    assert told["text"] == ["a person waves"] * 2 and told["scale"].tolist() == [2.5, 2.5] and "action" not in told


def test_without_a_prompt_sentences_of_the_test_part_are_taken(model, data, tmp_path):
    flags = ("--num_samples", 4, "--motion_length", 0.4)
    content = sampled(tmp_path / "out", "sample.generate", model, "--datapath", data, *flags)
    texts = content["model_kwargs"]["y"]["text"]
    assert len(texts) == 4 and set(texts) <= {"a person waves", "someone waves a hand", "a person kicks"}
    assert len(set(texts)) > 1


def test_a_file_of_prompts(model, tmp_path):
    (tmp_path / "prompts.txt").write_text("a person kicks\na person waves\n")
    content = sampled(
        tmp_path / "out", "sample.mas", model, "--input_text", tmp_path / "prompts.txt", "--motion_length", 0.4
    )
    assert content["model_kwargs"]["y"]["text"] == ["a person kicks", "a person waves"]
    assert np.abs(content["motions"][0] - content["motions"][1]).max() > 1e-3


@pytest.mark.parametrize("module", ["sample.generate", "sample.mas"])
def test_prompts_one_after_another(module, model, tmp_path):
    """Two of 16 frames that share 4; a sample does not depend on how many there are, nor on how many run at once."""
    flags = ("--motion_length", 0.8, "--overlap", 0.2)
    prompts = ("a person waves", "a person kicks")
    content = sampled(tmp_path / "out", module, model, *flags, "--num_samples", 2, prompts=prompts)
    assert content["model_kwargs"]["y"]["lengths"].tolist() == [28, 28]
    assert content["model_kwargs"]["y"]["text"] == ["a person waves, a person kicks"] * 2
    one = sampled(tmp_path / "one", module, model, *flags, "--num_samples", 1, "--max_batch", 1, prompts=prompts)
    np.testing.assert_allclose(one["motions"][0], content["motions"][0], atol=1e-5)
    same = sampled(tmp_path / "same", module, model, *flags, "--num_samples", 1, prompts=prompts[:1] * 2)
    assert np.abs(same["motions"] - one["motions"]).max() > 1e-3, "the second prompt is heard"


class Echo(torch.nn.Module):
    """A network whose motion is what it is told."""

    def forward(self, x, step, condition):
        return condition["text"][:, :1, :1].expand_as(x)


@pytest.mark.parametrize("most", [0, 1, 5])
def test_each_view_of_each_sample_is_told_its_own_segments(data, most):
    """Segments s of samples b are told 10 b + s: each view shows 10 b, then what lies between, then 10 b + 1."""
    options = write_folder(data.parent / "other", [(moving(60), record("a"))])
    session = mocap_session(options, Echo(), 2)
    session = dataclasses.replace(
        session, sampling=dataclasses.replace(session.sampling, max_batch=most, guidance_param=1.0)
    )
    text = torch.tensor([0.0, 10.0, 1.0, 11.0])[:, None, None]
    segments = Request(torch.full((4,), 6), {"text": text, "text_visible": torch.ones(4, 1, dtype=torch.bool)})
    request = Request(torch.full((2,), 9), segments=segments, overlap=3)
    made = view_denoiser(session, request, 3)(torch.zeros(6, 9, 16, 2), 1)
    expected = torch.tensor([0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1])
    for view in range(3):
        for sample in range(2):
            seen = made[2 * view + sample]
            torch.testing.assert_close(seen, (expected + 10 * sample)[:, None, None].expand(9, 16, 2))


def test_refusals(model, data, tmp_path, capsys):
    bare = tmp_path / "bare"
    write_folder(bare, [(moving(90, i), record(f"clip{i}")) for i in range(4)])
    line = ("train.train_mdm", "--datapath", bare, "--save_dir", tmp_path / "run", TOLD, "--cond text")
    assert f"prepare.mocap --output_dir {bare}" in refusal(capsys, 3, *line)
    assert not (tmp_path / "run").exists()
    said = refusal(capsys, 3, "sample.generate", "--model_path", model, "--datapath", bare)
    assert "test part" in said and "prepare.mocap" in said
    said = refusal(capsys, 2, "sample.mas", "--model_path", model, "--action_name wave")
    assert "trained with sentences, not with action" in said
    acting = train(tmp_path / "acting", data, f"{TOLD} --cond action --train_batch_size 2 --num_steps 1")
    said = refusal(capsys, 2, "sample.mas", "--model_path", acting, "--text_prompt waves")
    assert "--action_name" in said and "not with text" in said


def test_dreamfusion_hears_prompts_too(model, tmp_path, monkeypatch):
    monkeypatch.setattr("sample.common.draws.STEPS", 3)
    import importlib

    made = []
    for second in ("a person waves", "a person kicks"):
        out = tmp_path / second.split()[-1]
        importlib.import_module("sample.dreamfusion").main(
            ["--model_path", str(model), "--output_dir", str(out), "--num_views", "2", "--num_samples", "1",
             "--motion_length", "0.8", "--overlap", "0.2", "--text_prompt", "a person waves", second]
        )  # fmt: skip
        made.append(results.load(out / "results.npy")["motions"])
    assert made[0].shape == (1, 28, 16, 3) and np.abs(made[0] - made[1]).max() > 1e-4


def test_a_folder_made_by_prepare_trains(tmp_path):
    """From a recorded file to a model that reads sentences, by commands alone."""
    from tests.prepare.test_mocap import person, write_bvh

    (tmp_path / "in").mkdir()
    for name in ("walk_1", "kick_1", "wave_1"):
        write_bvh(tmp_path / "in" / f"{name}.bvh", person(120, 0.01))
    run("prepare.mocap", "--sources", tmp_path / "in", "--output_dir", tmp_path / "data", "--test_share 0")
    folder = train(tmp_path / "run", tmp_path / "data", f"{TOLD} --cond text --num_steps 1")
    content = sampled(
        tmp_path / "out", "sample.mas", folder, "--num_samples", 1, "--motion_length", 0.4, prompts=("a person walks",)
    )
    assert content["motions"].shape == (1, 8, 16, 3)
