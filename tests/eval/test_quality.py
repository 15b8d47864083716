"""The quality table and the table of classes on a small dataset and a small model, and who is refused."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from data_loaders.points import projections
from data_loaders.points.projections import see
from eval import quality
from eval.mas import quality_table as table
from eval.mas.quality_table import class_table, quality_table, real_clips, table_cell
from eval.metrics.physical import summary
from model.denoisers.build import build_denoiser
from sample.options import MasOptions
from tests.people import BODY, SPEC, TINY, mocap_session, moving, record, standing, tiny_dit, write_folder
from utils.run import checkpoint
from utils.run.errors import DataError, UsageError


@pytest.fixture
def data(tmp_path):
    """Ten clips of test and two of train."""
    clips = [(moving(100 + 10 * i, i), record(f"t{i}", "test")) for i in range(10)]
    clips += [(moving(200, 20 + i), record(f"n{i}", "train")) for i in range(2)]
    options = write_folder(tmp_path / "data", clips, 20.0)
    return dataclasses.replace(options, data_split="test", data_augmentations=("facing_aug",))


def cells(text: str) -> dict[str, dict[str, str]]:
    """Row -> column -> cell of a markdown table."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


def test_real_windows_in_2d_and_3d_are_turned_alike(data):
    dataset = projections.load(SPEC, data)
    flat, solid, lengths = real_clips(dataset, 15, 0)
    assert len(flat) == len(solid) == 15 and lengths.tolist() == [len(clip) for clip in flat]
    assert len({len(clip) for clip in flat}) > 1
    for seen, points in zip(flat, solid, strict=True):
        again = see(torch.from_numpy(points)[None], torch.zeros(1), SPEC)[0] * BODY.metres_per_unit
        np.testing.assert_allclose(again, seen, atol=1e-5)
    again = real_clips(dataset, 15, 0)[1]
    assert all(np.array_equal(one, other) for one, other in zip(solid, again, strict=True))


def test_the_table_of_a_model_that_moves(data):
    session = mocap_session(data, tiny_dit(), samples=3)
    text = quality_table(session, MasOptions(num_views=3), real=8)
    found = cells(text)
    assert set(found) == {
        "speed", "speed_below_4hz", "acceleration", "jerk", "slow_change", "still_percent", "diversity",
        "bones_median_percent", "bones_p90_percent", "asymmetry_median_percent", "asymmetry_p90_percent",
    }  # fmt: skip
    flat, solid, _ = real_clips(projections.load(SPEC, data), 8, 0)
    for column, clips in (("2D real", flat), ("3D real", solid)):
        figures = summary(clips, SPEC.fps, BODY)
        for name, value in figures.items():
            assert found[name][column] == f"{value:.3g}"
    for kind, real in (("2D", "2D real"), ("3D raw", "3D real"), ("3D rigid", "3D real")):
        ratio = float(found["speed"][kind]) / float(found["speed"][real])
        assert float(found["speed"]["ratio " + kind.removeprefix("3D ")]) == pytest.approx(ratio, rel=0.02)
    assert found["bones_median_percent"]["2D"] == found["bones_median_percent"]["ratio rigid"] == "-"
    assert float(found["bones_p90_percent"]["3D raw"]) > 1
    for name in ("bones_median_percent", "bones_p90_percent", "asymmetry_p90_percent"):
        assert float(found[name]["3D rigid"]) < 0.01, "rigid bones are rigid and as long left as right"
    assert text == quality_table(session, MasOptions(num_views=3), real=8)


def test_the_table_of_a_model_that_stands(data):
    """A transformer as it is built says zero: the mean pose, without any motion."""
    session = mocap_session(data, build_denoiser(TINY, SPEC.features).eval(), samples=2)
    found = cells(quality_table(session, MasOptions(num_views=3), real=4))
    assert found["still_percent"]["2D"] == found["still_percent"]["3D raw"] == "100"
    assert found["still_percent"]["3D real"] == "0"
    assert found["speed"]["ratio 2D"] == found["speed"]["ratio raw"] == found["speed"]["ratio rigid"] == "0.00"
    assert float(found["diversity"]["3D raw"]) == pytest.approx(0, abs=1e-5)


def test_cells():
    assert table_cell(0.5, 0.25, False, False) == "0.5" and table_cell(0.5, 0.25, True, False) == "0.25"
    assert table_cell(12.345, 2.0, False, True) == "12.3" and table_cell(12.0, 2.0, True, True) == "-"
    assert table_cell(float("nan"), 1.0, False, False) == "-"


def test_classes_that_were_not_met_are_listed(tmp_path):
    """All samples are one pose, so they are of one class; of the others those above 1 % of the frames are missed."""
    rng = np.random.RandomState(0)
    clips = [
        (standing(length) + rng.normal(0, 0.3, (1, 16, 3)).astype(np.float32), record(name, actions=(name,)))
        for name, length in (("kick", 900), ("sit", 900), ("jump", 900), ("bow", 45))
    ]
    clips.append((standing(3000), record("idle", actions=("idle",))))
    data = write_folder(tmp_path / "data", clips, 20.0)
    session = mocap_session(data, build_denoiser(TINY, SPEC.features).eval(), samples=1, steps=3)
    text = class_table(session, MasOptions(num_views=3), 4)
    found = cells(text)
    assert set(found) == set(SPEC.actions)
    assert found["kick"]["share of training frames"] == f"{100 * 900 / 5745:.1f} %"
    assert found["bow"]["share of training frames"] == "0.8 %"
    met = [name for name, row in found.items() if row["samples"] != "0"]
    assert len(met) == 1 and found[met[0]]["samples"] == "4"
    last = text.splitlines()[-1]
    missed = set(last.removeprefix("Classes above 1 % that were not met: ").removesuffix(".").split(", "))
    assert missed == {"kick", "sit", "jump", "idle"} - set(met)


def test_samples_are_named_by_the_class_they_look_like(tmp_path, monkeypatch):
    """Samples that are turned copies of training windows of two classes."""
    kick, wave = moving(150, 1, 0.4), moving(150, 2, 0.4)
    clips = [(kick, record("k", actions=("kick",))), (wave, record("w", actions=("wave",)))]
    data = write_folder(tmp_path / "data", clips, 20.0)
    session = mocap_session(data, tiny_dit(), samples=1)

    def shown(session, request, options):
        turn = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
        parts = [torch.from_numpy(clip[30:90] - clip[30:90, :1]) * torch.tensor([1.0, 1, -1]) for clip in (kick, wave)]
        return torch.stack([parts[0], parts[1] @ turn, parts[1]])

    monkeypatch.setattr(table, "sample_3d", shown)
    found = cells(class_table(session, MasOptions(), 3))
    assert found["kick"]["samples"] == "1" and found["wave"]["samples"] == "2"


def test_clips_too_short_to_be_named(tmp_path):
    data = write_folder(tmp_path / "data", [(moving(30), record("a"))], 20.0)
    session = mocap_session(data, tiny_dit(), samples=1)
    with pytest.raises(DataError, match="40 frames"):
        class_table(session, MasOptions(num_views=3), 1)


def test_the_command(data, tmp_path, capsys):
    folder = tmp_path / "model"
    folder.mkdir()
    checkpoint.save(folder, 7, {"model": tiny_dit().state_dict()})
    args = {"dataset": "mocap2d", "diffusion_steps": 10, "cond": "no_cond"}
    (folder / "args.json").write_text(json.dumps(dataclasses.asdict(TINY) | args))
    line = ["--model_path", str(folder), "--datapath", data.datapath, "--num_samples", "2", "--num_views", "3"]
    quality.main([*line, "--num_real", "4", "--num_labelled", "2", "--table", str(tmp_path / "table.md")])
    said = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text() == said
    assert "| 2 clips against 4 real windows | 2D real |" in said and "Classes above 1 %" in said
    with pytest.raises(UsageError, match="num_real"):
        quality.main([*line, "--num_real", "1"])
    (folder / "args.json").write_text(json.dumps(dataclasses.asdict(TINY) | args | {"dataset": "nba"}))
    with pytest.raises(UsageError, match="nba does not have; use mocap2d"):
        quality.main(line)
