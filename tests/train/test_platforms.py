"""What the platforms are told, on stand-ins for their packages."""

import sys
import types

import pytest

from train.common import platforms
from utils.run.errors import MissingFileError


def test_clearml_gets_curves_and_films(tmp_path, monkeypatch):
    said = []
    logger = types.SimpleNamespace(
        report_scalar=lambda **point: said.append(point), report_media=lambda **film: said.append(film)
    )
    task = types.SimpleNamespace(
        connect=lambda args, name: said.append((args, name)),
        get_logger=lambda: logger,
        close=lambda: said.append("end"),
    )
    opened = types.SimpleNamespace(init=lambda **names: said.append(names) or task)
    monkeypatch.setitem(sys.modules, "clearml", types.SimpleNamespace(Task=opened))
    platform = platforms.open_platform("ClearmlPlatform", tmp_path / "run", {"lr": 1})
    platform.report_scalar("loss", 0.5, 7, "Loss")
    platform.report_media([tmp_path / "a.mp4"], 7)
    platform.close()
    film = {"title": "Predicted Motion", "series": "a", "iteration": 7, "local_path": str(tmp_path / "a.mp4")}
    assert said == [
        {"project_name": "motion_diffusion", "task_name": "run"}, ({"lr": 1}, "Args"),
        {"title": "Loss", "series": "loss", "iteration": 7, "value": 0.5}, film, "end",
    ]  # fmt: skip


def test_wandb_gets_curves_and_films_and_no_entity(tmp_path, monkeypatch):
    said = []
    run = types.SimpleNamespace(log=lambda values, step: said.append((values, step)), finish=lambda: said.append("end"))
    stand_in = types.SimpleNamespace(
        init=lambda **names: said.append(names) or run, Video=lambda path, format: (path, format)
    )
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    platform = platforms.open_platform("WandBPlatform", tmp_path / "run", {"lr": 1})
    platform.report_scalar("loss", 0.5, 7, "Loss")
    platform.report_media([tmp_path / "a.mp4", tmp_path / "b.mp4"], 7)
    platform.close()
    films = [(str(tmp_path / name), "mp4") for name in ("a.mp4", "b.mp4")]
    assert said == [
        {"project": "motion_diffusion", "name": "run", "config": {"lr": 1}, "dir": str(tmp_path / "run")},
        ({"Loss/loss": 0.5}, 7), ({"Predicted Motion": films}, 7), "end",
    ]  # fmt: skip


def test_tensorboard_keeps_curves_and_passes_over_films(tmp_path):
    platform = platforms.open_platform("TensorboardPlatform", tmp_path, {})
    platform.report_scalar("loss", 0.5, 7, "Loss")
    platform.report_media([tmp_path / "a.mp4"], 7)
    platform.close()
    assert [path.name.split(".")[2] for path in tmp_path.iterdir()] == ["tfevents"]


def test_only_the_first_rank_has_a_platform(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert platforms.open_platform("TensorboardPlatform", tmp_path, {}) is None
    assert not list(tmp_path.iterdir())


def test_no_platform_and_a_missing_package(monkeypatch):
    assert platforms.open_platform("NoPlatform", "", {}) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingFileError, match="pip install wandb"):
        platforms.check_platform("WandBPlatform")
