"""`prepare.check` knows what it is shown, what is missing in it, and where it belongs."""

import json
import pickle
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
    from model.denoisers.build import build_denoiser, file_layout
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
        ({"dataset": "horse"}, "horse of 34 numbers a frame, the weights say 32"),
        ({"dataset": "humanml"}, "humanml of 263 numbers a frame, the weights say 32"),
        ({"dataset": "babel"}, "'babel'; known are nba"),
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


def write_texts(folder: Path, width: int, clips: int = 3) -> Path:
    """A folder in the layout of HumanML3D."""
    for part in ("new_joint_vecs", "texts"):
        (folder / part).mkdir(parents=True)
    np.save(folder / "Mean.npy", np.zeros(width, np.float32))
    np.save(folder / "Std.npy", np.ones(width, np.float32))
    for part in ("train", "val", "test"):
        (folder / f"{part}.txt").write_text("".join(f"{part}{number}\n" for number in range(clips)))
        for number in range(clips):
            np.save(folder / "new_joint_vecs" / f"{part}{number}.npy", np.zeros((100, width), np.float32))
            (folder / "texts" / f"{part}{number}.txt").write_text("a#a/DET#0.0#0.0\nb#b/DET#0.0#0.0\n")
    return folder


@pytest.mark.parametrize(("width", "name"), [(263, "humanml"), (251, "kit")])
def test_folders_with_sentences(tmp_path, capsys, width, name):
    folder = write_texts(tmp_path / "data", width)
    text = says(folder, capsys)
    assert f"is the dataset {name}: 9 clips" in text and "6 sentences to train on" in text
    assert "parts: 3 train, 3 val, 3 test" in text and f"--dataset {name} --datapath {folder}" in text
    assert says(folder / "texts", capsys) == says(folder / "new_joint_vecs", capsys) == text
    (folder / "texts" / "val1.txt").unlink()
    assert "8 clips" in says(folder, capsys) and "no motion or no text" not in text
    assert "1 names in the lists have no motion or no text" in says(folder, capsys)
    np.save(folder / "new_joint_vecs" / "val2.npy", np.zeros((9, 3), np.float32))
    (folder / "new_joint_vecs" / "test0.npy").write_bytes(b"broken download")
    with pytest.raises(DataError, match=r"2 of 9 motions are wrong: .*val2.npy has shape \(9, 3\).*test0.npy is not"):
        check.main([str(folder)])


@pytest.mark.parametrize("name", check.TEXT_FILES)
def test_what_a_folder_with_sentences_lacks(tmp_path, name):
    folder = write_texts(tmp_path / "HumanML3D", 263)
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(MissingFileError, match=rf"\(humanml\) lacks {name} \(.*github.com|{name} \(lies in") as caught:
        check.main([str(folder)])
    assert ("gives sentences to sample with" in str(caught.value)) == (name in ("new_joint_vecs", "val.txt"))


def test_lines_without_a_caption_and_clips_that_are_not_finite(tmp_path, capsys):
    folder = write_texts(tmp_path / "data", 263)
    sound = says(folder, capsys)
    assert "passed over" not in sound
    (folder / "texts" / "train1.txt").write_text("a#a/DET#0.0#0.0\n#b/DET#0.0#0.0\n")
    features = np.load(folder / "new_joint_vecs" / "val2.npy")
    features[-1, 5] = np.nan
    np.save(folder / "new_joint_vecs" / "val2.npy", features)
    said = says(folder, capsys).splitlines()
    at = said.index("2 clips or lines are passed over: they are empty or not finite")
    named = said[at + 1 : at + 3]
    assert "train1.txt" in named[0] and "line 2" in named[0] and "caption" in named[0]
    assert "val2.npy: not finite" in named[1]
    assert "5 sentences to train on" in said[0] and "9 clips" in said[0]


def test_other_folders_with_sentences(tmp_path, capsys):
    from prepare import toy_motion

    toy_motion.main(["--dataset", "mocap", "--output_dir", str(tmp_path / "toy"), "--num_motions", "10"])
    assert "is the dataset mocap: 20 clips" in says(tmp_path / "toy", capsys)
    (tmp_path / "toy" / "Std.npy").unlink()
    with pytest.raises(MissingFileError, match=r"\(mocap\) lacks Std.npy \(make it anew"):
        check.main([str(tmp_path / "toy")])
    folder = write_texts(tmp_path / "wide", 99)
    with pytest.raises(DataError, match="fits neither HumanML3D"):
        check.main([str(folder)])
    empty = write_texts(tmp_path / "empty", 263)
    shutil.rmtree(empty / "texts")
    (empty / "texts").mkdir()
    with pytest.raises(MissingFileError, match="none has motion and text"):
        check.main([str(empty)])


def test_folders_of_actions(tmp_path, capsys):
    clips = {"poses": [np.zeros((70, 72))] * 4, "joints3D": [np.zeros((70, 24, 3))] * 4, "y": [0, 1, 2, 11]}
    folder = tmp_path / "HumanAct12Poses"
    folder.mkdir()
    (folder / "humanact12poses.pkl").write_bytes(pickle.dumps(clips))
    text = says(folder, capsys)
    assert "is the dataset humanact12: 4 clips (train) of 12 actions" in text and "--dataset humanact12" in text
    (folder / "humanact12poses.pkl").write_bytes(pickle.dumps(clips | {"y": [0, 1, 2, 12]}))
    with pytest.raises(DataError, match="the action is 12"):
        check.main([str(folder)])
    (tmp_path / "uestc" / "info").mkdir(parents=True)
    (tmp_path / "uestc" / "info" / "names.txt").write_text("a0_d0_p001_c1_color.avi\n")
    lacking = r"uestc\) lacks vibe_cache_refined.pkl, info/num_frames_min.txt, info/action_classes.txt"
    with pytest.raises(MissingFileError, match=lacking):
        check.main([str(tmp_path / "uestc")])


def test_checkpoints_of_3d_motion(tmp_path, capsys):
    weights = {"input_process.poseEmbedding.weight": torch.zeros(8, 263)}
    weights |= {f"seqTransEncoder.layers.{layer}.linear1.weight": torch.zeros(16, 8) for layer in range(2)}
    torch.save(weights, tmp_path / "model000000010.pt")
    with pytest.raises(MissingFileError, match="args.json is missing.*humanml or mocap"):
        check.main([str(tmp_path)])
    args = {"dataset": "humanml", "arch": "trans_enc", "latent_dim": 8, "layers": 2}
    (tmp_path / "args.json").write_text(json.dumps(args))
    text = says(tmp_path, capsys)
    assert "a diffusion model for humanml: model000000010.pt" in text and "sample.generate --model_path" in text


def test_every_dataset_has_a_place():
    assert all(row.defaults["datapath"].startswith("./dataset/") for row in DATASETS.values())
