"""Whole commands of 3D motion from text, actions and nothing: what they write, what they refuse, published files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.commands import refusal, run
from tests.toys import humanact12_folder
from utils.formats import results
from utils.run.folders import RECORD

TINY = (
    "--layers 1 --latent_dim 16 --num_heads 2 --ff_size 16 --train_batch_size 4 --diffusion_steps 5 --threads 1 "
    "--num_steps 2 --save_interval 2"
)
SHORT = "--motion_length 1.5 --threads 1"


@pytest.fixture(scope="module")
def text_data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "mocap"
    run("prepare.toy_motion", "--dataset mocap --num_motions 16", "--output_dir", folder)
    return folder


@pytest.fixture(scope="module")
def text_model(text_data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "text"
    run("train.train_mdm", "--dataset mocap", "--datapath", text_data, "--save_dir", folder, TINY)
    return folder


@pytest.fixture(scope="module")
def action_model(tmp_path_factory) -> Path:
    data = humanact12_folder(tmp_path_factory.mktemp("toy") / "acts")
    folder = tmp_path_factory.mktemp("models") / "action"
    flags = "--dataset humanact12 --cond_mask_prob 0 --lambda_rcxyz 1 --lambda_vel 1 --lambda_fc 1"
    run("train.train_mdm", flags, "--datapath", data.datapath, "--save_dir", folder, TINY)
    return folder


def generate(model: Path, folder: Path, *flags: object) -> dict:
    """The results of sample.generate."""
    run("sample.generate", "--model_path", model, "--output_dir", folder, SHORT, *flags)
    return results.load(folder / "results.npy")


def test_a_sentence_becomes_motion(text_model, tmp_path):
    """Three motions of the published layout, a video of each, all of them side by side, and what else is promised."""
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a person walks\na person waves the left hand\n\n")
    made = generate(text_model, tmp_path / "out", "--input_text", prompts, "--num_repetitions 2")
    assert made["motion"].shape == (4, 22, 3, 30) and made["features"].shape == (4, 30, 263)
    assert made["rotations"].shape == (4, 30, 22, 3, 3) and made["lengths"].tolist() == [30] * 4
    assert (made["num_samples"], made["num_repetitions"]) == (2, 2)
    assert made["text"] == ["a person walks", "a person waves the left hand"] * 2
    names = {path.name for path in (tmp_path / "out").iterdir()}
    videos = {f"sample{s:02d}_rep{r:02d}.mp4" for s in range(2) for r in range(2)} | {"samples_00_to_01.mp4"}
    assert names == videos | {RECORD, "results.npy", "results.txt", "results_len.txt", "contact_sheet.png"}
    assert (tmp_path / "out" / "results.txt").read_text().splitlines() == made["text"]
    assert [motion.joints[0] for motion in results.read(tmp_path / "out" / "results.npy")] == ["pelvis"] * 4


def test_a_sample_depends_on_its_prompt_and_its_number_alone(text_model, tmp_path):
    """However many motions are asked for, and at however many at once."""
    few = generate(text_model, tmp_path / "few", "--num_samples 1 --text_prompt", "walks")
    many = generate(text_model, tmp_path / "many", "--num_samples 3 --max_batch 2 --text_prompt", "walks")
    np.testing.assert_allclose(many["features"][0], few["features"][0], atol=1e-4)
    assert np.abs(many["features"][1] - many["features"][0]).max() > 1e-2


def test_prompts_one_after_another_share_a_motion(text_model, tmp_path):
    run(
        "sample.generate", "--model_path", text_model, "--output_dir", tmp_path / "out",
        "--num_samples 2 --motion_length 1.5 --overlap 0.5 --threads 1 --text_prompt walks waves sits",
    )  # fmt: skip
    made = results.load(tmp_path / "out" / "results.npy")
    assert made["motion"].shape == (2, 22, 3, 3 * 30 - 2 * 10) and made["text"] == [["walks", "waves", "sits"]] * 2
    assert (tmp_path / "out" / "results.txt").read_text().splitlines() == ["walks#waves#sits"] * 2


def test_captions_of_the_test_part_are_the_prompts_where_none_is_given(text_data, text_model, tmp_path):
    (text_data / "test.txt").write_text((text_data / "train.txt").read_text().splitlines()[0])
    made = generate(text_model, tmp_path / "out", "--num_samples 2 --datapath", text_data)
    name = (text_data / "test.txt").read_text()
    known = [line.split("#")[0] for line in (text_data / "texts" / f"{name}.txt").read_text().splitlines()]
    assert len(made["text"]) == 2 and set(made["text"]) <= set(known)


def test_an_action_becomes_motion(action_model, tmp_path):
    made = generate(action_model, tmp_path / "out", "--action_name jump --num_samples 2 --num_repetitions 1")
    assert made["motion"].shape == (2, 24, 3, 30) and made["text"] == ["jump", "jump"]
    kinds = tmp_path / "kinds.txt"
    kinds.write_text("walk\nturn steering wheel\n")
    made = generate(action_model, tmp_path / "file", "--num_repetitions 1 --action_file", kinds)
    assert made["text"] == ["walk", "turn steering wheel"]
    drawn = generate(action_model, tmp_path / "drawn", "--num_samples 6 --num_repetitions 1")
    assert len(set(drawn["text"])) > 1


def test_a_published_checkpoint_is_sampled_as_it_is(shared, tmp_path):
    """model<step>.pt with its args.json, of a model without a condition, named as the published program names it."""
    with np.load(shared / "golden" / "mdm" / "net_enc_uncond.npz") as record:
        weights = {name[2:]: torch.from_numpy(record[name]) for name in record.files if name.startswith("w/")}
        config = json.loads(str(record["config"]))
    folder = tmp_path / "humanact12_unconstrained"
    folder.mkdir()
    torch.save({"model": {}, "model_avg": weights}, folder / "model000000010.pt")
    config |= {"diffusion_steps": 5, "cuda": True, "save_dir": "elsewhere", "batch_size": 64, "data_dir": ""}
    (folder / "args.json").write_text(json.dumps(config))
    run("sample.generate", "--model_path", folder / "model000000010.pt", "--num_samples 2 --seed 3", SHORT)
    made = results.load(folder / "samples_humanact12_unconstrained_000000010_seed3" / "results.npy")
    assert made["motion"].shape == (6, 24, 3, 30)
    assert (folder / "samples_humanact12_unconstrained_000000010_seed3" / "row01_col02.mp4").is_file()


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ("--action_name walk", 2, "was trained with sentences"),
        ("--text_prompt walks --motion_length 30", 2, "know up to 9.8 s"),
        ("--text_prompt walks --motion_length 0.01", 2, "less than a frame"),
        ("--text_prompt walks --input_text prompts.txt", 2, "not both"),
        ("--input_text nowhere.txt", 3, "nowhere.txt does not exist"),
        ("--datapath nowhere", 3, "--text_prompt"),
        ("--text_prompt walks waves --motion_length 1", 2, "make it longer"),
    ],
)
def test_a_text_model_refuses(text_model, tmp_path, capsys, flags, code, said):
    line = refusal(capsys, code, "sample.generate", "--model_path", text_model, "--output_dir", tmp_path / "out", flags)
    assert said in line and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--text_prompt walks", "was trained with kinds of motion"),
        ("--action_name jumpp", "did you mean jump?"),
        ("--action_name jump --motion_length 9", "know up to 3 s"),
    ],
)
def test_an_action_model_refuses(action_model, tmp_path, capsys, flags, said):
    line = refusal(capsys, 2, "sample.generate", "--model_path", action_model, "--output_dir", tmp_path / "out", flags)
    assert said in line and not (tmp_path / "out").exists()


def test_empty_prompts_are_refused(text_model, tmp_path, capsys):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    common = ("sample.generate", "--model_path", text_model, "--output_dir", tmp_path / "out")
    assert "holds no line" in refusal(capsys, 4, *common, "--input_text", empty)
