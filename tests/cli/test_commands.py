"""Whole commands: a sample depends on (seed, i) only, all samplers and ablations run, every file asked for is there."""

import importlib
import json
import shutil

import numpy as np
import pytest

from data_loaders.common import packed
from sample.options import ABLATIONS
from tests.commands import TINY, listing, run, toy, train
from utils.formats import results
from utils.formats.video import frame_count
from utils.run.folders import RECORD

SHORT = "--motion_length 0.3 --num_views 3"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy(tmp_path_factory.mktemp("toy") / "nba", count=12)


@pytest.fixture(scope="module")
def models(tmp_path_factory, data):
    """A model of each kind of network; a dit starts as zero, so it is trained for a while."""
    folder = tmp_path_factory.mktemp("models")
    kinds = {"trans_enc": "", "trans_dec": "", "gru": "", "dit": "--lr 0.02 --num_steps 20"}
    return {arch: train(folder / arch, data, f"--arch {arch} {flags}") for arch, flags in kinds.items()}


@pytest.fixture
def sampled(models, tmp_path):
    """Run a command on a model and return the content of its results.npy."""
    count = iter(range(100))

    def sample(module: str, arch: str, *parts: object) -> dict:
        folder = tmp_path / f"out{next(count)}"
        run(module, "--model_path", models[arch], "--output_dir", folder, *parts)
        return results.load(folder / "results.npy")

    return sample


def views(module: str) -> str:
    """Flags of a short run."""
    return "--motion_length 0.3" + (" --num_views 3" if module != "sample.generate" else "")


@pytest.mark.parametrize("module", ["sample.generate", "sample.mas"])
@pytest.mark.parametrize("arch", ["trans_enc", "trans_dec", "gru", "dit"])
def test_neither_other_samples_nor_chunks_change_a_sample(sampled, module, arch):
    two = sampled(module, arch, views(module), "--num_samples 2")["motions"]
    four = sampled(module, arch, views(module), "--num_samples 4")["motions"]
    chunks = sampled(module, arch, views(module), "--num_samples 4 --max_batch 3")["motions"]
    np.testing.assert_allclose(four[:2], two, atol=1e-5)
    np.testing.assert_allclose(chunks, four, atol=1e-5)
    assert np.abs(four[0] - four[1]).max() > 0.01


@pytest.mark.parametrize("module", ["sample.generate", "sample.mas"])
def test_nor_do_samples_of_other_lengths(sampled, data, module):
    flags = ("--use_data --data_augmentations length_aug", "--datapath", data, views(module).partition("0.3")[2])
    two = sampled(module, "trans_enc", *flags, "--num_samples 2")
    four = sampled(module, "trans_enc", *flags, "--num_samples 4 --max_batch 5")
    lengths = four["model_kwargs"]["y"]["lengths"]
    assert len(set(lengths.tolist())) > 1 and two["model_kwargs"]["y"]["lengths"].tolist() == lengths[:2].tolist()
    time = 1 if module == "sample.mas" else 3
    for content in (two, four):
        for motion, length in zip(
            np.moveaxis(content["motions"], time, 1), lengths[: len(content["motions"])], strict=True
        ):
            assert not motion[length:].any() and motion[:length].any()
    shortest = min(two["motions"].shape[time], four["motions"].shape[time])
    one, other = (np.moveaxis(content["motions"], time, 1)[:2, :shortest] for content in (two, four))
    np.testing.assert_allclose(other, one, atol=1e-5)


@pytest.mark.parametrize("module", ["sample.generate", "sample.mas"])
def test_same_seed_same_bytes_and_other_seed_other_motions(sampled, models, tmp_path, module):
    flags = views(module) + " --num_samples 2"
    one, same = (sampled(module, "trans_enc", flags, "--seed 5")["motions"] for _ in range(2))
    assert one.tobytes() == same.tobytes()
    first, second = (tmp_path / name for name in ("out0", "out1"))
    assert set(listing(first)) == set(listing(second))
    for name in ("result_0.mp4", "result_1.mp4", "contact_sheet.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert np.abs(sampled(module, "trans_enc", flags, "--seed 6")["motions"] - one).max() > 0.01


@pytest.mark.parametrize(("module", "turns"), [("sample.generate", 1), ("sample.mas", 2)])
def test_every_file_asked_for_is_there(models, data, tmp_path, module, turns):
    out = tmp_path / "out"
    run(
        module, "--model_path", models["dit"], "--output_dir", out, "--datapath", data,
        "--num_samples 2 --use_data --show_input_motions",
    )  # fmt: skip
    videos = {f"{kind}_{i}.mp4" for kind in ("result", "input_motions") for i in range(2)}
    assert set(listing(out)) == videos | {RECORD, "results.npy", "results.npz", "contact_sheet.png"}
    lengths = results.load(out / "results.npy")["model_kwargs"]["y"]["lengths"].tolist()
    for i, length in enumerate(lengths):
        assert frame_count(out / f"result_{i}.mp4") == length * turns
        assert frame_count(out / f"input_motions_{i}.mp4") == length


@pytest.mark.parametrize("compat", ["none", "published"])
@pytest.mark.parametrize("name", ABLATIONS)
def test_ablations(models, tmp_path, monkeypatch, name, compat):
    monkeypatch.setattr("sample.common.draws.STEPS", 5)
    model = shutil.copytree(models["trans_enc"], tmp_path / "model")
    run("sample.ablations", "--ablation_name", name, "--model_path", model, SHORT, f"--num_samples 2 --compat {compat}")
    task = f"mas_{name}" if name.startswith(("no_3d", "prominent")) else name
    motions = results.load(model / f"{task}_seed_0" / "results.npy")["motions"]
    assert motions.shape == (2, 9, 16, 3) and np.isfinite(motions).all() and motions.std() > 1e-3


def test_ablations_differ_from_mas_and_mas_is_one_of_them(sampled, monkeypatch):
    monkeypatch.setattr("sample.common.draws.STEPS", 5)
    flags = (SHORT, "--num_samples 1")
    mas = sampled("sample.mas", "trans_enc", *flags)["motions"]
    others = {
        name: sampled("sample.ablations", "trans_enc", f"--ablation_name {name}", *flags)["motions"]
        for name in ABLATIONS
    }
    assert others["mas"].tobytes() == mas.tobytes()
    assert all(np.abs(motions - mas).max() > 1e-3 for name, motions in others.items() if name != "mas")
    alone = sampled("sample.dreamfusion", "trans_enc", *flags)["motions"]
    assert alone.tobytes() == others["dreamfusion"].tobytes()


@pytest.mark.parametrize("module", ["sample.generate", "sample.mas"])
def test_fewer_steps_of_the_implicit_sampler(sampled, module):
    flags = views(module) + " --num_samples 2"
    whole = sampled(module, "trans_enc", flags)["motions"]
    few = sampled(module, "trans_enc", flags, "--sampler ddim --sampling_steps 5")["motions"]
    assert few.shape == whole.shape and np.isfinite(few).all() and np.abs(few - whole).max() > 1e-3
    same = sampled(module, "trans_enc", flags, "--sampler ddpm --sampling_steps 6")["motions"]
    assert same.tobytes() == whole.tobytes(), "six of six steps are all of them"


@pytest.mark.parametrize("arch", ["trans_enc", "trans_dec", "gru", "dit"])
def test_half_precision_is_near(sampled, arch):
    flags = "--motion_length 0.3 --num_samples 2"
    exact = sampled("sample.generate", arch, flags)["motions"]
    near = sampled("sample.generate", arch, flags, "--precision bf16")["motions"]
    assert near.dtype == np.float32
    difference = np.abs(near - exact).max()
    assert 0 < difference < 0.15


def test_views_fits_and_bones_are_heard(sampled):
    base = sampled("sample.mas", "trans_enc", SHORT, "--num_samples 1")["motions"]
    for flags in ("--num_views 5", "--fit adam", "--bones raw"):
        other = sampled("sample.mas", "trans_enc", SHORT, "--num_samples 1", flags)["motions"]
        assert other.shape == base.shape and np.isfinite(other).all() and np.abs(other - base).max() > 1e-4, flags
    for count in (1, 2):
        few = sampled("sample.mas", "trans_enc", "--motion_length 0.3 --num_samples 1", f"--num_views {count}")
        assert np.isfinite(few["motions"]).all() and np.abs(few["motions"]).max() < 20


def test_a_prompt_is_a_title_and_ends_the_name(models, tmp_path, capsys):
    model = shutil.copytree(models["trans_enc"], tmp_path / "model")
    run(
        "sample.generate",
        "--model_path",
        model,
        "--motion_length 0.3 --num_samples 2 --seed 3",
        "--text_prompt",
        "jump",
    )
    assert "this model reads no text" in capsys.readouterr().out
    content = results.load(model / "sample_seed_3_jump" / "results.npy")
    assert content["model_kwargs"]["y"]["text"] == ["jump", "jump"]
    importlib.import_module("sample.generate").main(
        ["--model_path", str(model), "--motion_length", "0.3", "--num_samples", "1", "--text_prompt", "a big jump"]
    )
    assert (model / "sample_seed_0_a_big_jump").is_dir()


def test_results_say_what_they_are(sampled, models):
    content = sampled("sample.mas", "dit", SHORT, "--num_samples 1 --seed 4")
    assert content["fps"] == 30 and content["dataset"] == "nba" and len(content["joint_names"]) == 16
    made = content["provenance"]
    manifest = json.loads((models["dit"] / "manifest.json").read_text())
    assert made["seed"] == 4 and made["checkpoint_sha256"] == manifest["checkpoint_20.pth"]["sha256"]


def test_an_old_folder_is_replaced_only_when_told(models, tmp_path):
    out = tmp_path / "out"
    flags = ("--model_path", models["trans_enc"], "--output_dir", out, "--motion_length 0.3")
    run("sample.generate", *flags, "--num_samples 3")
    run("sample.generate", *flags, "--num_samples 1 --overwrite")
    assert sorted(path.name for path in out.glob("*.mp4")) == ["result_0.mp4"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_model_that_is_told_the_action(tmp_path):
    rng = np.random.RandomState(0)
    rest, swing = rng.uniform(-0.5, 0.5, (16, 3)), np.sin(np.arange(150) / 9)[:, None, None]
    clips = [
        (
            rest + 0.1 * swing * rng.uniform(-1, 1, (16, 3)),
            {"name": f"clip{i}", "source": "made", "split": "train", "licence": "none", "actions": [action]},
        )
        for i, action in enumerate(["walk", "wave"] * 3)
    ]
    packed.write(tmp_path / "data", clips, 30, "nba", overwrite=False)
    train(tmp_path / "model", tmp_path / "data", "--dataset mocap2d --cond action --arch dit")

    def sampled(name: str, *flags: str) -> dict:
        run(
            "sample.generate", "--model_path", tmp_path / "model", "--output_dir", tmp_path / name,
            "--motion_length 0.3 --num_samples 2", *flags,
        )  # fmt: skip
        return results.load(tmp_path / name / "results.npy")

    told, free = sampled("told", "--action_name wave"), sampled("free")
    assert told["model_kwargs"]["y"]["action"].tolist() == [[1], [1]]
    assert told["model_kwargs"]["y"]["scale"].tolist() == [2.5, 2.5]
    assert free["model_kwargs"]["y"]["action"].tolist() == [[-1], [-1]]


def test_tiny_is_tiny():
    """The sampling laws above count on six diffusion steps."""
    assert "--diffusion_steps 6" in TINY
