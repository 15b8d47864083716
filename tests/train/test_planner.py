"""From a folder of motion to a planner and a model that is told plans, and to motion of a sentence: whole commands."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model.text.encoders import default_folder
from sample.common.plans import as_condition, load_planner
from tests.commands import refusal, run
from tests.prepare.test_humanml import person
from tests.prepare.test_humanml import run as prepared
from utils.run.errors import MissingFileError

TINY = ("--num_steps", 2, "--train_batch_size", 2, "--threads", 1)


@pytest.fixture(scope="module", autouse=True)
def encoder() -> None:
    try:
        default_folder("minilm_words")
    except MissingFileError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("planned")
    for number, speed in enumerate((0.0, 1.2, 1.4)):
        np.save(path / f"{('idle', 'walk', 'walk')[number]}_{number}.npy", person(81, speed=speed))
    prepared(path / "data", "--sources", *sorted(path.glob("*.npy")), "--captions", "motion", "--test_share", 0)
    data = ("--dataset", "mocap", "--datapath", path / "data", "--num_frames", 60)
    run(
        "train.train_planner",
        *data,
        *TINY,
        "--planner_width",
        16,
        "--planner_layers",
        1,
        "--save_dir",
        path / "planner",
    )
    size = ("--latent_dim", 16, "--num_heads", 2, "--layers", 1, "--ff_size", 16, "--arch", "dit", "--cond", "text")
    words = ("--text_encoder_type", "minilm_words", "--word_layers", 1, "--plan", True, "--diffusion_steps", 3)
    run("train.train_mdm", *data, *TINY, *size, *words, "--save_dir", path / "model")
    return path


def test_a_sentence_is_planned_and_sampled(folder: Path):
    line = (
        "--model_path",
        folder / "model",
        "--motion_length",
        2,
        "--num_samples",
        2,
        "--text_prompt",
        "walks",
    )
    found = []
    for name, planner in (("a", "planner"), ("b", "planner")):
        run("sample.generate", *line, "--planner_path", folder / planner, "--output_dir", folder / name)
        found.append(np.load(folder / name / "results.npy", allow_pickle=True).item()["motion"])
    assert np.isfinite(found[0]).all() and (found[0] == found[1]).all()


def test_a_model_that_is_told_plans_needs_a_planner(folder: Path, capsys):
    line = (
        "sample.generate",
        "--model_path",
        folder / "model",
        "--text_prompt",
        "walks",
        "--output_dir",
        folder / "none",
    )
    assert "nowhere" in refusal(capsys, 3, *line, "--planner_path", folder / "nowhere")
    assert "is no planner" in refusal(capsys, 4, *line, "--planner_path", folder / "model")
    assert not (folder / "none").exists()


def test_plans_depend_on_the_seed_and_the_number_of_a_motion_alone(folder: Path):
    from model.text.encoders import load_text_encoder

    planner = load_planner(str(folder / "planner"), load_text_encoder("minilm_words"))
    texts = ["a person walks", "a person stands", "a person walks"]
    together, alone = planner(texts, [2.0, 2.0, 2.0], 5), planner(texts[2:], [2.0], 5, first=2)
    assert together[2:] == alone and planner(texts, [2.0, 2.0, 2.0], 5) == together
    assert planner([], [], 5) == [] and planner(texts, [2.0, 2.0, 2.0], 6) != together
    condition = as_condition(together, [40, 20, 40], 20)
    assert condition.shape[:2] == (3, 40) and not condition[1, 20:].any() and condition[:, :20, -1].all()
    assert isinstance(condition, torch.Tensor)


def test_clips_of_which_nothing_is_known_are_refused(tmp_path: Path, capsys):
    np.save(tmp_path / "walk_1.npy", person(81))
    prepared(tmp_path / "data", "--sources", tmp_path / "walk_1.npy", "--test_share", 0)
    line = (
        "train.train_planner",
        "--train_batch_size 2",
        "--datapath",
        tmp_path / "data",
        "--save_dir",
        tmp_path / "run",
    )
    assert "--captions motion" in refusal(capsys, 4, *line)
    assert not (tmp_path / "run").exists()


def test_a_planner_is_shipped_without_statistics(folder: Path, tmp_path: Path):
    run("prepare.ship", "--model_path", folder / "planner", "--output_dir", tmp_path / "shipped")
    assert json.loads((tmp_path / "shipped" / "args.json").read_text())["planner_width"] == 16
    assert not (tmp_path / "shipped" / "Mean.npy").exists()
