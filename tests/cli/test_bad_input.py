"""Bad input ends in one clear line and the right exit code, with nothing half-written."""

import contextlib
import errno
import importlib
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.acclaim import ASF
from tests.commands import TINY, listing, refusal, run, toy, train
from utils.formats import results
from utils.run import checkpoint
from utils.run.errors import DataError, UsageError, run_command
from utils.run.folders import RECORD

USAGE, MISSING, DATA, NUMERIC = 2, 3, 4, 5
SAMPLERS = ("sample.generate", "sample.mas", "sample.ablations", "sample.dreamfusion")


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A dataset and a model, to be copied and spoilt."""
    folder = tmp_path_factory.mktemp("origin")
    toy(folder / "data")
    train(folder / "model", folder / "data")
    return folder


@pytest.fixture
def data(origin, tmp_path):
    return shutil.copytree(origin / "data", tmp_path / "data")


@pytest.fixture
def model(origin, tmp_path):
    return shutil.copytree(origin / "model", tmp_path / "model")


@pytest.fixture
def ends(capsys, tmp_path):
    """Run a command that must end with a code and leave the folder as it was; its line."""

    def end(code: int, module: str, *parts: object) -> str:
        before = listing(tmp_path)
        said = refusal(capsys, code, module, *parts)
        assert listing(tmp_path) == before
        return said

    return end


@pytest.fixture
def sampling(ends, model, tmp_path):
    """The same for a sampling command on the model."""

    def end(code: int, *parts: object, module: str = "sample.mas") -> str:
        flags = () if any("--motion_length" in str(part) for part in parts) else ("--motion_length 0.3",)
        return ends(code, module, "--model_path", model, "--output_dir", tmp_path / "out", *flags, *parts)

    return end


@pytest.fixture
def training(ends, data, tmp_path):
    """The same for training on the data."""

    def end(code: int, *parts: object) -> str:
        return ends(
            code, "train.train_mdm", "--datapath", data, "--save_dir", tmp_path / "run", TINY, "--num_steps 3", *parts
        )

    return end


# ---- checkpoints


@pytest.mark.parametrize("module", SAMPLERS)
def test_missing_checkpoint(ends, tmp_path, module):
    path = tmp_path / "nothing.pth"
    assert f"checkpoint {path} does not exist" in ends(MISSING, module, "--model_path", path)


def test_missing_parts_of_a_checkpoint(sampling, model):
    (model / "args.json").unlink()
    assert "args.json is missing; it belongs beside the checkpoint" in sampling(MISSING)


def test_folder_without_a_checkpoint(sampling, model):
    (model / "checkpoint_3.pth").unlink()
    assert "holds no usable checkpoint" in sampling(MISSING)


@pytest.mark.parametrize("args", ["{", "[]", "", '{"layers": "two"}', '{"layers": null}', '{"dataset": "amass"}'])
def test_spoilt_args(sampling, model, args):
    (model / "args.json").write_text(args)
    assert "args.json" in sampling(DATA)


def hostile(bait: Path) -> object:
    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(bait),))

    return Hostile()


@pytest.mark.parametrize("kind", ["junk", "empty", "cut", "other weights", "no weights", "list", "hostile"])
def test_spoilt_checkpoints(sampling, model, tmp_path, kind):
    path = model / "checkpoint_3.pth"
    (model / "manifest.json").unlink()
    content = checkpoint.load(path)
    if kind == "junk":
        path.write_bytes(b"junk")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == "other weights":
        torch.save({"model": {"layer.weight": torch.ones(2)}}, path)
    elif kind == "no weights":
        torch.save({"state": 3}, path)
    elif kind == "list":
        torch.save([content], path)
    else:
        torch.save(content | {"extra": hostile(tmp_path / "bait")}, path)
    said = sampling(DATA)
    assert "checkpoint_3.pth" in said and not (tmp_path / "bait").exists()
    assert len(said) < 500


def test_a_checkpoint_that_is_not_what_was_saved(sampling, model):
    path = model / "checkpoint_3.pth"
    raw = bytearray(path.read_bytes())
    raw[-300] ^= 1
    path.write_bytes(raw)
    assert "holds no usable checkpoint" in sampling(MISSING), "a folder: there is no other"
    assert "is damaged" in sampling(DATA, "--model_path", path)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--dataset horse", "does not fit trans_enc for horse (17 joints)"),
        ("--dataset gymnastics", "18 joints"),
        ("--latent_dim 16", "does not fit"),
        ("--arch gru", "does not fit gru"),
        ("--arch dit", "does not fit dit"),
        ("--layers 3", "does not fit"),
    ],
)
def test_a_model_of_another_shape(sampling, flags, said):
    assert said in sampling(DATA, flags)


# ---- flags


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--num_views 0", "--num_views: 0 is less than 1"),
        ("--num_samples 0", "--num_samples: 0 is less than 1"),
        ("--motion_length 0", "--motion_length 0.0 s is less than a frame at 30 frames a second"),
        ("--motion_length -2", "is less than a frame"),
        ("--motion_length inf", "not a finite number"),
        ("--max_batch -1", "less than 0"),
        ("--sampling_steps 1000", "cannot take 1000 of 6 diffusion steps"),
        ("--sampling_steps 1", "at least 2"),
        ("--action_name walk", "trained unconditionally, not with action"),
        ("--cond action", "--cond action"),
        ("--cond text", "--cond text"),
        ("--dataset nbaa", "invalid choice: 'nbaa' (choose from"),
        ("--device tpu", "choose cpu, cuda, mps or a GPU index"),
        ("--show_input_motions", "add that flag"),
        ("--seed -1", "-1 is less than 0"),
        ("--numviews 3", "did you mean num_views?"),
    ],
)
def test_flags_that_cannot_be_obeyed(sampling, flags, said):
    assert said in sampling(USAGE, flags)


def test_an_unknown_ablation(sampling):
    assert "'masss'" in sampling(USAGE, "--ablation_name masss", module="sample.ablations")
    said = sampling(USAGE, "--ablation_name random_angles --sampler ddim", module="sample.ablations")
    assert "it needs --sampler ddpm" in said


@pytest.mark.parametrize("module", SAMPLERS)
def test_an_output_folder_that_is_there_before_any_work(sampling, module, tmp_path, monkeypatch):
    monkeypatch.setattr("sample.common.session.open_session", lambda *_: pytest.fail("the model was loaded"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    said = sampling(USAGE, module=module)
    assert "out exists already; choose another folder or add --overwrite to replace it" in said


def test_a_results_file_in_the_way(sampling, tmp_path):
    (tmp_path / "out").write_text("a file")
    assert "exists already" in sampling(USAGE)


# ---- data


def test_missing_data(sampling, training, tmp_path):
    said = sampling(MISSING, "--use_data", "--datapath", tmp_path / "nowhere")
    assert "nowhere/motions does not exist" in said and "prepare.toy_motion" in said
    assert "nowhere/motions does not exist" in training(MISSING, "--datapath", tmp_path / "nowhere")
    said = training(MISSING, "--dataset mocap2d", "--datapath", tmp_path / "nowhere")
    assert "prepare.mocap" in said


def test_an_empty_folder(training, data):
    shutil.rmtree(data / "motions")
    (data / "motions").mkdir()
    assert "motions holds no .npy files" in training(MISSING)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (np.ones((9, 17, 3), np.float32), "has 17 joints; nba has 16"),
        (np.ones((9, 16, 2), np.float32), "has shape (9, 16, 2)"),
        (np.ones((9, 48), np.float32), "has shape (9, 48)"),
        (np.ones((0, 16, 3), np.float32), "holds no frames"),
        (np.full((9, 16, 3), "x"), "values, not numbers"),
        (np.ones((9, 16, 3), complex), "values, not numbers"),
        (np.where(np.arange(9 * 48).reshape(9, 16, 3) == 100, np.nan, 1.0), "y of joint RHip in frame 2 is nan"),
        (np.where(np.arange(9 * 48).reshape(9, 16, 3) == 5, np.inf, 1.0), "is inf"),
        (b"\x93NUMPY\x01\x00", "is not a readable array file"),
        (b"", "is not a readable array file"),
    ],
)  # fmt: skip
def test_spoilt_motions(training, sampling, data, spoilt, said):
    path = min((data / "motions").iterdir())
    (data / "split.json").write_text(json.dumps({"train": [p.stem for p in (data / "motions").iterdir()], "test": []}))
    if isinstance(spoilt, bytes):
        path.write_bytes(spoilt)
    else:
        np.save(path, spoilt)
    for line in (training(DATA), sampling(DATA, "--use_data --num_samples 2", "--datapath", data)):
        assert said in line and path.name in line


def test_hostile_motions(training, data, tmp_path):
    path = min((data / "motions").iterdir())
    np.save(path, np.array({"motions": hostile(tmp_path / "bait")}, dtype=object), allow_pickle=True)
    assert "which no motion file needs" in training(DATA)
    assert not (tmp_path / "bait").exists()


def test_fewer_motions_than_a_batch(training, sampling, data):
    assert "fewer than a batch of 32; lower --train_batch_size" in training(DATA, "--train_batch_size 32")
    said = sampling(DATA, "--use_data --num_samples 32", "--datapath", data)
    assert "--num_samples 32" in said and "train part holds" in said
    assert "--num_samples 32" in sampling(
        DATA, "--use_data --compat published --num_samples 32", "--datapath", data
    )  # fmt: skip


def test_spoilt_figures(training, data):
    np.save(data / "Mean.npy", np.zeros((16, 2)))
    assert "Std.npy does not exist" in training(MISSING)
    np.save(data / "Std.npy", np.zeros((16, 2)))
    assert "must be positive" in training(DATA)
    np.save(data / "Std.npy", np.ones((17, 2)))
    assert "of shape (16, 2)" in training(DATA)


# ---- training


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--cond text", "has no sentences"),
        ("--cond action", "has no action labels"),
        ("--num_heads 3", "--num_heads 3"),
        ("--model_mean_type epsilon", "narrower than the 32 numbers of 1 frame; raise --latent_dim from 8"),
        ("--model_mean_type epsilon --arch dit", "the 128 numbers of 4 frames"),
        ("--diffusion_steps 0", "0 is less than 2"),
        ("--noise_schedule wave", "unknown noise schedule 'wave'"),
        ("--noise_schedule linear --diffusion_steps 20", "more than 20 diffusion steps"),
        ("--data_augmentations mirror_aug", "cannot be varied by mirror_aug"),
        ("--data_augmentations shrink", "'shrink'"),
        ("--data_size 0", "0 is less than 1"),
        ("--num_steps 0", "less than 1"),
        ("--train_batch_size 0", "less than 1"),
        ("--log_interval 0", "less than 1"),
        ("--lr -1", "less than 0"),
        ("--lr nan", "not a finite number"),
        ("--ema_decay 2", "more than 1"),
    ],
)
def test_trainings_that_cannot_be_run(training, flags, said):
    assert said in training(USAGE, flags)


def test_training_needs_a_folder_of_its_own(ends, data, tmp_path, monkeypatch):
    line = ("train.train_mdm", "--datapath", data, TINY)
    assert "--save_dir is required" in ends(USAGE, *line)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("kept")
    monkeypatch.setattr("data_loaders.registry.load_dataset", lambda *_: pytest.fail("the data were loaded"))
    said = ends(USAGE, *line, "--save_dir", tmp_path / "run")
    assert "exists already" in said and "--overwrite_model" in said


def test_a_platform_that_is_not_installed(training, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = training(MISSING, "--train_platform_type ClearmlPlatform")
    assert said.endswith("needs the package clearml: pip install clearml")


def test_what_cannot_be_resumed(ends, model, tmp_path, data):
    line = ("train.train_mdm", "--datapath", data, "--num_steps 5", "--resume_checkpoint")
    assert "does not exist" in ends(MISSING, *line, tmp_path / "nothing.pth")
    content = checkpoint.load(model / "checkpoint_3.pth")
    (model / "manifest.json").unlink()
    path = model / "checkpoint_3.pth"
    torch.save({"model": content["model"]}, path)
    for where in ((), ("--save_dir", tmp_path / "new")):
        assert "weights only: it can be sampled from, but not resumed" in ends(DATA, *line, path, *where)
    torch.save(content, path)
    assert "does not fit the model: size mismatch" in ends(DATA, *line, path, "--latent_dim 16")
    assert "does not fit the model" in ends(DATA, *line, path, "--save_dir", tmp_path / "new", "--layers 3")
    torch.save(content | {"extra": hostile(tmp_path / "bait")}, path)
    assert "opened safely" in ends(DATA, *line, path)
    assert not (tmp_path / "bait").exists()


def test_a_loss_that_is_not_finite(capsys, data, tmp_path):
    said = refusal(
        capsys, NUMERIC, "train.train_mdm", "--datapath", data, "--save_dir", tmp_path / "run", TINY,
        "--num_steps 50 --lr 1e38 --log_interval 1000",
    )  # fmt: skip
    assert "not finite" in said or "NaN or infinity" in said
    assert not list((tmp_path / "run").glob("*.pth")) and not list((tmp_path / "run").glob(".tmp-*"))


# ---- motion capture

BVH = """HIERARCHY
ROOT hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  End Site
  {
    OFFSET 0 1 0
  }
}
MOTION
Frames: 2
Frame Time: 0.0333333
0 1 0 0 0 0
0 1 0 0 oops 0
"""


def mocap(folder: Path, **contents: str) -> Path:
    folder.mkdir()
    for name, text in contents.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"a_bvh": BVH}, "a.bvh, line 15: "),
        ({"a_bvh": BVH.replace("CHANNELS 6", "CHANNELS 7")}, "a.bvh, line 5: "),
        ({"a_bvh": BVH.replace("Frames: 2", "Frames: 3")}, "a.bvh, line "),
        ({"a_bvh": "HIERARCHY\n"}, "the file ends before MOTION"),
        ({"a_bvh": ""}, "a.bvh"),
        ({"a_asf": ASF, "a_amc": "1\nroot 0 0 0 0 0 0\nfemur 1 x\n"}, "a.amc, line 3: "),
        ({"a_asf": ASF, "a_amc": "1\nroot 0 0 0 0 0 0\n"}, "a.amc, line 2: "),
        ({"a_asf": ASF.replace("4.5", "long"), "a_amc": "1\n"}, "a.asf, line "),
        ({"a_npz": "PK"}, "a.npz is not a readable .npz file"),
        ({"a_bvh": BVH.replace("oops", "0")}, ""),
    ],
)
def test_malformed_motion_capture(ends, tmp_path, contents, said):
    folder = mocap(tmp_path / "in", **contents)
    line = ends(DATA, "prepare.mocap", "--sources", folder, "--output_dir", tmp_path / "out")
    assert said in line


def test_motion_capture_that_is_not_there(ends, tmp_path):
    out = ("--output_dir", tmp_path / "out")
    assert "name at least one file or folder" in ends(USAGE, "prepare.mocap", *out)
    assert "does not exist" in ends(MISSING, "prepare.mocap", *out, "--sources", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "no .bvh, .amc, .npz" in ends(MISSING, "prepare.mocap", *out, "--sources", tmp_path / "empty")
    folder = mocap(tmp_path / "in", a_amc="1\n")
    assert "needs its skeleton" in ends(MISSING, "prepare.mocap", *out, "--sources", folder)
    assert "exists already" in ends(USAGE, "prepare.mocap", "--sources", folder, "--output_dir", tmp_path / "empty")


def test_other_preparations(ends, tmp_path, data, model):
    assert "exists already" in ends(USAGE, "prepare.toy_motion", "--output_dir", data)
    assert "at least 1" in ends(USAGE, "prepare.toy_motion", "--num_motions 0", "--output_dir", tmp_path / "new")
    assert "exists already" in ends(USAGE, "prepare.ship", "--model_path", model, "--output_dir", data)
    assert "does not exist" in ends(
        MISSING, "prepare.ship", "--model_path", tmp_path / "nothing_1.pth", "--output_dir", tmp_path / "new"
    )
    assert "does not exist" in ends(MISSING, "prepare.motion_stats", "--datapath", tmp_path / "nothing")
    np.save(data / "Mean.npy", np.zeros((16, 2)))
    assert "add --overwrite" in ends(USAGE, "prepare.motion_stats", "--datapath", data)


# ---- results and the disk


def test_a_hostile_results_file(tmp_path):
    content = {"motions": np.ones((1, 2, 16, 3), np.float32), "bait": hostile(tmp_path / "bait")}
    np.save(tmp_path / "results.npy", np.array(content, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="which no motion file needs"):
        results.load(tmp_path / "results.npy")
    (tmp_path / "results.npy").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="not a readable array file"):
        results.load(tmp_path / "results.npy")
    assert not (tmp_path / "bait").exists()


class FullDisk:
    """Files in the making fail on the `after`-th write to the disk that is asked for."""

    def __init__(self, after: int):
        self.left = after

    def __call__(self, real):
        def limited(*arguments, **settings):
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **settings)

        return limited


@contextlib.contextmanager
def full_disk(after: int):
    """A block in which `after` files and folders can still be put in their place, and the next cannot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", FullDisk(after)(os.replace))
        yield


@pytest.mark.parametrize("module", ["sample.generate", "sample.mas"])
@pytest.mark.parametrize("after", [0, 1, 3, 4])
def test_a_disk_that_runs_full_while_sampling(sampling, module, after, tmp_path):
    """In the place of results.npy, of a video, of the contact sheet, of the folder."""
    with full_disk(after):
        said = sampling(DATA, "--num_samples 2", module=module)
    assert "No space left on device" in said and "make room" in said


def test_a_disk_that_runs_full_spares_the_old_results(model, tmp_path, capsys):
    line = (
        "sample.generate",
        "--model_path",
        model,
        "--output_dir",
        tmp_path / "out",
        "--motion_length 0.3 --num_samples 1",
    )
    run(*line)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with full_disk(2):
        refusal(capsys, DATA, *line, "--overwrite --seed 3")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out"]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_disk_that_is_full_when_a_training_starts(training, after):
    """Nothing of the run is there before all that describes it is."""
    with full_disk(after):
        assert "No space left on device" in training(DATA)


def test_a_disk_that_runs_full_while_training(data, tmp_path, capsys):
    """The saves up to then stay, and the run goes on from them once there is room."""
    line = ("train.train_mdm", "--datapath", data, TINY, "--resume_interval 1 --num_steps 3")
    run(*line, "--save_dir", tmp_path / "whole")
    with full_disk(4 + 3):  # Mean, Std, args, the folder; a checkpoint, its manifest, a checkpoint
        assert "No space left" in refusal(capsys, DATA, *line, "--save_dir", tmp_path / "run")
    folder = tmp_path / "run"
    assert checkpoint.newest(folder) == folder / "checkpoint_1.pth"
    assert [path.name for path in folder.glob(".*")] == [RECORD] and not (folder / "run.lock").exists()
    run("train.train_mdm", "--resume_checkpoint", folder)
    whole, resumed = (checkpoint.load(path / "checkpoint_3.pth") for path in (tmp_path / "whole", folder))
    assert all(torch.equal(resumed["model"][name], value) for name, value in whole["model"].items())


@pytest.mark.parametrize("fault", ["none", "short", "junk"])
def test_a_video_that_does_not_read_back(sampling, monkeypatch, fault):
    from sample.common import pictures as output

    real = output.video.write_video

    def write(path, frames, fps):
        if path.name == "result_1.mp4" and fault == "short":
            real(path, list(frames)[:-1], fps)
        elif path.name == "result_1.mp4" and fault == "junk":
            path.write_bytes(b"junk")
        elif path.name != "result_1.mp4":
            real(path, frames, fps)

    monkeypatch.setattr(output.video, "write_video", write)
    assert "result_1.mp4" in sampling(MISSING if fault == "none" else DATA, "--num_samples 3")


def test_motions_that_are_not_finite(sampling, model):
    path = model / "checkpoint_3.pth"
    content = checkpoint.load(path)
    (model / "manifest.json").unlink()
    content["model"]["output_process.poseFinal.bias"][3] = float("nan")
    torch.save(content, path)
    assert "NaN or infinity: nothing was written" in sampling(NUMERIC, module="sample.generate")


def test_debug_shows_the_traceback():
    with pytest.raises(UsageError), pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["x", "--num_views", "0", "--debug"])
        run_command(importlib.import_module("sample.mas").main)
