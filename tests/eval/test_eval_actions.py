"""eval.eval_humanact12_uestc as a command on toy data: files, the same again, resumption, published checkpoints."""

import json

import numpy as np
import pytest
import torch

from data_loaders.registry import dataset_spec
from eval.reporting import record
from tests.commands import listing, refusal, run
from tests.eval.test_action_scores import real_poses, recogniser_files
from tests.toys import humanact12_folder
from utils.run import checkpoint

MODULE = "eval.eval_humanact12_uestc"
TINY = (
    "--layers 1 --latent_dim 16 --num_heads 2 --ff_size 16 --train_batch_size 4 --diffusion_steps 5 --threads 1 "
    "--num_steps 2 --save_interval 2"
)
SMALL = "--eval_num_samples 12 --num_seeds 2 --threads 1 --body free"
ENDINGS = (".yaml", ".json", ".txt", "_examples.npz")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acts")
    humanact12_folder(folder)
    real_poses(folder)
    return folder


@pytest.fixture(scope="module")
def recognisers(tmp_path_factory):
    return recogniser_files(tmp_path_factory.mktemp("recognisers"))


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "action"
    run("train.train_mdm", "--dataset humanact12", "--datapath", data, "--save_dir", folder, TINY)
    return folder


@pytest.fixture
def base(data, recognisers, model):
    return ("--model_path", model, "--datapath", data, "--recognisers", recognisers)


def files(folder, stem) -> dict[str, bytes]:
    """The figures and what lies beside them; of the record what does not tell of the run."""
    content = {ending: (folder / (stem + ending)).read_bytes() for ending in ENDINGS}
    told = json.loads(content[".json"])
    del told["seconds"], told["provenance"]
    return content | {".json": json.dumps(told).encode()}


def test_the_whole_command(base, model, data, tmp_path, capsys):
    """Published name and form, a record that reads back; the same again, resumed and in one go; more seeds go on."""
    stem = "evaluation_results_iter2_samp12_scale2p5_a2m"
    run(MODULE, *base, SMALL, "--output_dir", tmp_path / "one")
    out = capsys.readouterr().out
    assert {path.name for path in (tmp_path / "one").iterdir()} == {stem + end for end in (*ENDINGS, "_units")}
    first = files(tmp_path / "one", stem)
    assert first[".txt"].decode() in out and f"Saving evaluation: {tmp_path / 'one' / stem}.yaml" in out
    lines = first[".yaml"].decode().splitlines()
    assert lines[0] == "feats:" and lines[1] == "  accuracy_gen:" and len(lines) == 1 + 12 * 3
    told = record.read(tmp_path / "one" / f"{stem}.json")
    assert (told["kind"], told["dataset"], told["settings"]["num_seeds"]) == ("action", "humanact12", 2)
    assert set(told["subjects"]) == {"gen", "gt", "gt2"} and told["better"]["multimodality"] == "closer"
    with np.load(tmp_path / "one" / f"{stem}_examples.npz") as kept:
        assert len(kept.files) == 6 and kept["gen/best/0"].shape == (60, 24, 3)

    run(MODULE, *base, SMALL, "--output_dir", tmp_path / "two")
    run(MODULE, *base, SMALL, "--num_seeds 1 --output_dir", tmp_path / "cut")
    units = tmp_path / "cut" / f"{stem}_units"
    (units / "gt_00_000.npz").unlink()
    before = listing(units)
    run(MODULE, *base, SMALL, "--resume --output_dir", tmp_path / "cut")
    assert {name: time for name, time in listing(units).items() if name in before} == before
    assert files(tmp_path / "two", stem) == first and files(tmp_path / "cut", stem) == first

    said = refusal(capsys, 2, MODULE, *base, SMALL, "--seed 5 --resume --output_dir", tmp_path / "cut")
    assert "was made with seed 10, now it is 5" in said
    run(MODULE, *base, SMALL, "--seed 5 --output_dir", tmp_path / "cut")
    assert files(tmp_path / "cut", stem)[".yaml"] != first[".yaml"]


def test_debug_is_two_sets_of_ten_beside_the_checkpoint(base, model):
    run(MODULE, *base, "--eval_mode debug --guidance_param 1 --threads 1 --body free")
    told = record.read(model / "evaluation_results_iter2_samp10_scale1_a2m.json")
    assert told["settings"]["eval_num_samples"] == 10
    assert len(told["subjects"]["gen"]["fid"]["values"]) == told["settings"]["num_seeds"] == 2


def test_averaged_weights_are_those_that_count(base, model, data, recognisers, tmp_path):
    """A file of both kinds of weights, as training with --use_ema leaves it, is evaluated by the averaged ones."""
    weights = checkpoint.weights(checkpoint.load(checkpoint.resolve(model)))
    folder = tmp_path / "ema"
    folder.mkdir()
    for name in ("args.json", "Mean.npy", "Std.npy"):
        (folder / name).write_bytes((model / name).read_bytes())
    other = {name: value + 1 for name, value in weights.items()}
    torch.save({"model": other, "model_avg": weights}, folder / "model000000002.pt")
    common = ("--datapath", data, "--recognisers", recognisers, SMALL, "--num_seeds 1")
    run(MODULE, "--model_path", folder / "model000000002.pt", *common, "--output_dir", tmp_path / "a")
    run(MODULE, "--model", model, *common, "--output_dir", tmp_path / "b")
    name = "evaluation_results_iter2_samp12_scale2p5_a2m.yaml"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_published_model_told_nothing(golden, data, recognisers, tmp_path):
    """KID, precision and recall of every set, from a published file as it is."""
    with np.load(golden / "mdm" / "net_enc_uncond.npz") as packed:
        weights = {name[2:]: torch.from_numpy(packed[name]) for name in packed.files if name.startswith("w/")}
        config = json.loads(str(packed["config"]))
    folder = tmp_path / "unconstrained"
    folder.mkdir()
    torch.save(weights, folder / "model000450000.pt")
    (folder / "args.json").write_text(json.dumps(config | {"diffusion_steps": 4, "cond_mask_prob": 0.0}))
    run(MODULE, "--model_path", folder / "model000450000.pt", "--datapath", data, "--recognisers", recognisers, SMALL)
    stem = folder / "evaluation_results_iter450000_samp12_scale1_a2m"
    lines = stem.with_suffix(".yaml").read_text().splitlines()
    keys = [line.strip(" :") for line in lines if line.endswith(":")]
    assert {"fid_unconstrained", "kid_unconstrained", "precision_unconstrained", "recall_unconstrained"} < set(keys)
    assert keys == sorted(keys[:1]) + sorted(keys[1:]) and "accuracy_gen" not in keys
    told = record.read(stem.with_suffix(".json"))
    assert len(told["subjects"]["gen"]["kid_unconstrained"]["values"]) == 2
    assert told["better"]["precision_unconstrained"] == "higher" and told["evaluator"]["name"].count(".tar") == 2


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ("--eval_mode wo_mm", 2, "--eval_mode wo_mm is of eval.eval_humanml; choose debug"),
        ("--eval_num_samples 25", 4, "holds 24 motions, fewer than --eval_num_samples 25"),
        ("--eval_num_samples 2", 2, "a set takes at least 4"),
        ("--action_name jump", 2, "--action_name means nothing here"),
        ("--recognisers nowhere", 3, "nowhere/humanact12_gru.tar is missing; this brings it: bash prepare/download"),
        ("--datapath nowhere", 3, "humanact12poses.pkl does not exist"),
        ("--body smpl7.pkl", 3, "smpl7.pkl does not exist"),
    ],
)
def test_what_cannot_be_evaluated(base, model, tmp_path, capsys, flags, code, said):
    before = listing(model)
    line = refusal(capsys, code, MODULE, *base, SMALL, flags, "--output_dir", tmp_path / "out")
    assert said in line and not (tmp_path / "out").exists() and listing(model) == before


def test_models_of_other_things(recognisers, capsys):
    assert "--model_path is required" in refusal(capsys, 2, MODULE)
    line = refusal(capsys, 2, MODULE, "--model_path save/mocap2d --recognisers", recognisers)
    assert "are for models of humanact12 and uestc, not of mocap2d" in line


def test_the_report_of_such_a_record(base, tmp_path):
    from eval.reporting import content as report_content

    run(MODULE, *base, SMALL, "--output_dir", tmp_path / "out")
    (section,) = report_content.load(list((tmp_path / "out").glob("*.json")))
    assert section.reference == "gt" and set(section.metrics) == {"fid", "diversity", "accuracy", "multimodality"}
    assert section.examples["gen"][0].motion.shape[1:] == (len(dataset_spec("humanact12").skeleton.joints), 3)
