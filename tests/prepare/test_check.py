"""`prepare.check` knows what it is shown, what is missing in it, and where it belongs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.registry import DATASETS
from prepare import check
from utils.run.errors import DataError, MissingFileError, UsageError


def says(path: Path, capsys) -> str:
    check.main([str(path)])
    return capsys.readouterr().out


def save_model(folder: Path, joints: int = 16, width: int = 8, depth: int = 2, prefix: str = "", **args) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"{prefix}input_process.poseEmbedding.weight": torch.zeros(width, joints * 2)}
    for layer in range(depth):
        weights[f"{prefix}seqTransEncoder.layers.{layer}.linear1.weight"] = torch.zeros(16, width)
    torch.save({"model": weights, "step": 20}, folder / "checkpoint_20.pth")
    (folder / "args.json").write_text(
        json.dumps({"dataset": "nba", "arch": "trans_enc", "latent_dim": 8, "layers": 2} | args)
    )
    return folder


@pytest.mark.parametrize("name", ["nba", "horse", "gymnastics"])
def test_datasets_are_known_by_their_joints(name, golden, capsys, tmp_path):
    text = says(golden / "mas" / "tiny_data" / name, capsys)
    assert f"is the dataset {name}" in text and "--datapath" in text
    assert f"belongs in {check.ROOT / 'dataset' / name}" in text
    assert says(golden / "mas" / "tiny_data" / name / "motions", capsys) == text


def test_a_folder_in_its_place(golden, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "ROOT", tmp_path)
    shutil.copytree(golden / "mas" / "tiny_data" / "nba", tmp_path / "dataset" / "nba")
    (tmp_path / "dataset" / "nba" / "split.json").write_text(json.dumps({"train": ["m01", "m02"], "test": ["m03"]}))
    text = says(tmp_path / "dataset" / "nba", capsys)
    assert "where it belongs" in text and "2 train, 1 test (split.json)" in text


def test_one_folder_too_deep_and_one_too_high(golden, tmp_path):
    deep = tmp_path / "nba"
    shutil.copytree(golden / "mas" / "tiny_data" / "nba", deep / "nba")
    with pytest.raises(MissingFileError, match=rf"one folder deeper: {deep / 'nba'} \(motions\)"):
        check.main([str(deep)])
    flat = tmp_path / "flat"
    shutil.copytree(golden / "mas" / "tiny_data" / "nba" / "motions", flat)
    with pytest.raises(MissingFileError, match=f"{flat / 'motions'} is missing: the 12 files"):
        check.main([str(flat)])
    save_model(tmp_path / "save" / "nba_diffusion_model")
    with pytest.raises(MissingFileError, match=r"nba_diffusion_model \(a model\)"):
        check.main([str(tmp_path / "save")])


def test_nothing_of_use(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        check.main([str(tmp_path / "none")])
    with pytest.raises(MissingFileError, match="it holds nothing"):
        check.main([str(tmp_path)])
    with pytest.raises(UsageError, match="PATH"):
        check.main([])
    (tmp_path / "nba.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="unpack it"):
        check.main([str(tmp_path / "nba.zip")])
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(DataError, match="neither a folder nor a checkpoint"):
        check.main([str(tmp_path / "readme.txt")])
    with pytest.raises(MissingFileError, match="nba.zip, readme.txt"):
        check.main([str(tmp_path)])


def test_bad_motions_are_counted_and_named(golden, tmp_path):
    folder = tmp_path / "nba"
    shutil.copytree(golden / "mas" / "tiny_data" / "nba", folder)
    points = np.load(folder / "motions" / "m05.npy")
    points[3, 2, 0] = np.nan
    np.save(folder / "motions" / "m05.npy", points)
    (folder / "motions" / "m07.npy").write_bytes(b"broken download")
    with pytest.raises(
        DataError, match=r"2 of 12 motions are wrong: .*m05.npy is not finite: x of joint RKnee.*m07.npy"
    ):
        check.main([str(folder)])
    for path in (folder / "motions").iterdir():
        np.save(path, np.zeros((5, 23, 3), np.float32))
    with pytest.raises(DataError, match="23 joints, which fits no dataset"):
        check.main([str(folder)])


def test_pose_predictions(tmp_path, capsys):
    folder = tmp_path / "elepose_predictions"
    folder.mkdir()
    for index in range(3):
        np.save(folder / f"{index}.npy", np.linspace(-1, 1, 10 * 17 * 3).reshape(10, 17, 3))
    text = says(folder, capsys)
    assert "3D pose predictions" in text and str(check.ROOT / "dataset" / "nba" / "elepose_predictions") in text
    np.save(folder / "0.npy", np.zeros((10, 16, 3)))
    with pytest.raises(DataError, match="neither motions nor pose predictions"):
        check.main([str(folder)])


@pytest.mark.parametrize("name", ["nba", "horse", "gymnastics"])
def test_published_checkpoints(name, shared, capsys):
    text = says(shared / "golden" / "mas" / "cli" / name, capsys)
    assert f"is a diffusion model for {name}: checkpoint_20.pth" in text and "trans_enc" in text
    assert f"save/{name}" in text and "sample.mas --model_path" in text
    assert says(shared / "golden" / "mas" / "cli" / name / "checkpoint_20.pth", capsys) == text


def test_evaluator(tmp_path, capsys):
    folder = save_model(tmp_path / "vae", prefix="encoder.", e_latent_dim=8, e_num_layers=2)
    text = says(folder, capsys)
    assert "evaluator for nba" in text and "save/evaluator/nba" in text and "sample.mas" not in text


@pytest.mark.parametrize("arch", ["trans_enc", "trans_dec", "gru", "dit"])
def test_our_own_checkpoints(arch, tmp_path, capsys):
    from model.denoiser import build_denoiser, file_layout
    from model.options import ModelOptions

    options = ModelOptions(arch=arch, layers=2, latent_dim=8, num_heads=2, ff_size=16)
    state = file_layout(options)[0](build_denoiser(options, 34).state_dict())
    torch.save({"model": state, "step": 3}, tmp_path / "checkpoint_3.pth")
    (tmp_path / "args.json").write_text(json.dumps(vars(options) | {"dataset": "horse"}))
    text = says(tmp_path, capsys)
    assert "diffusion model for horse" in text and f"{arch}, width 8, 2 layers" in text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": "horse"}, "horse of 17 joints, the weights say 16"),
        ({"dataset": "humanml"}, "'humanml'; known are nba"),
        ({"latent_dim": 16}, "latent_dim 16, the weights say 8"),
        ({"layers": 3}, "layers 3, the weights say 2"),
        ({"arch": "gru"}, "arch gru, the weights say trans_enc"),
    ],
)
def test_args_that_do_not_fit_the_weights(tmp_path, changes, reason):
    folder = save_model(tmp_path / "model", **changes)
    with pytest.raises(DataError, match=reason):
        check.main([str(folder)])


def test_incomplete_models(tmp_path):
    folder = save_model(tmp_path / "model", joints=17)
    (folder / "args.json").unlink()
    with pytest.raises(MissingFileError, match="args.json is missing.*checkpoint_20.pth.*for horse"):
        check.main([str(folder)])
    save_model(folder)
    (folder / "checkpoint_20.pth").unlink()
    with pytest.raises(MissingFileError, match="no checkpoint_<step>.pth"):
        check.main([str(folder)])
    save_model(folder)
    whole = (folder / "checkpoint_20.pth").read_bytes()
    (folder / "checkpoint_20.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="checkpoint_20.pth"):
        check.main([str(folder)])
    torch.save({"model": {"body.weight": torch.zeros(3, 3)}}, folder / "checkpoint_20.pth")
    with pytest.raises(DataError, match="another kind"):
        check.main([str(folder)])


def test_every_dataset_has_a_place():
    assert all(row.defaults["datapath"].startswith("./dataset/") for row in DATASETS.values())
