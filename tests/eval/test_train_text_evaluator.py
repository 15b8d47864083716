"""Training the evaluator of text models: whole commands on toy people, resumption, refusals, and what it measures."""

import json

import numpy as np
import pytest
import torch

from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec, load_dataset
from data_loaders.representations import hml
from eval.metrics import distances as metrics
from eval.text.evaluator_quality import WORSE, among_others, draw, made_worse
from tests.commands import listing, refusal, run
from utils.run import checkpoint

ENTRY = "eval.train_text_evaluator"
SPEC = dataset_spec("mocap")
TINY = (
    "--c_embedding 8 --c_width 16 --c_layers 1 --c_heads 2 --c_ff_size 16 --train_batch_size 8 --threads 1 "
    "--lr 1e-3 --use_ema --text_noise 0.2 --resume_interval 2"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "mocap"
    run("prepare.toy_motion", "--dataset mocap --num_motions 48", "--output_dir", folder)
    return folder


@pytest.fixture(scope="module")
def evaluator(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluators") / "toy"
    run(ENTRY, "--datapath", data, "--save_dir", folder, TINY, "--num_steps 4")
    return folder


def held_out(data, part: str = "test"):
    return load_dataset(SPEC, DataOptions(dataset="mocap", datapath=str(data), data_split=part))


def test_a_run_leaves_what_describes_it(evaluator):
    content = checkpoint.load(evaluator / "checkpoint_4.pth")
    assert content["step"] == 4 and "model_avg" in content
    assert set(listing(evaluator)) >= {"args.json", "Mean.npy", "Std.npy", "manifest.json", "progress.jsonl"}
    args = json.loads((evaluator / "args.json").read_text())
    assert args["dataset"] == "mocap" and args["c_embedding"] == 8 and args["data_augmentations"] == ["length_aug"]
    records = [json.loads(line) for line in (evaluator / "progress.jsonl").read_text().splitlines()]
    assert {"loss", "top1"} <= set(records[-1])


def test_a_resumed_run_is_the_uninterrupted_one(evaluator, data, tmp_path):
    run(ENTRY, "--datapath", data, "--save_dir", tmp_path / "part", TINY, "--num_steps 4")
    (tmp_path / "part" / "checkpoint_4.pth").unlink()
    run(ENTRY, "--resume_checkpoint", tmp_path / "part")
    whole, resumed = (checkpoint.load(folder / "checkpoint_4.pth") for folder in (evaluator, tmp_path / "part"))
    for part in ("model", "model_avg"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in whole[part].items())


def test_training_brings_pairs_together(data, tmp_path, capsys):
    run(ENTRY, "--datapath", data, "--save_dir", tmp_path / "run", TINY, "--num_steps 40 --log_interval 10 --lr 5e-3")
    records = [json.loads(line) for line in (tmp_path / "run" / "progress.jsonl").read_text().splitlines()]
    assert records[-1]["loss"] < 0.8 * records[0]["loss"]
    assert "--measure" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "flags", "said"),
    [
        (2, "--save_dir {new} --dataset nba", "compares 3D motion with sentences; choose humanml, kit, mocap"),
        (2, "--save_dir {new} --dataset humanact12", "compares 3D motion with sentences"),
        (2, "--save_dir {new} --lambda_vel 1", "--lambda_vel is for train.train_mdm"),
        (2, "--dataset mocap", "--save_dir is required"),
        (2, "--save_dir {old}", "exists already"),
        (3, "--save_dir {new} --datapath {new}", "train.txt is missing"),
        (4, "--save_dir {new} --datapath {data} --train_batch_size 4000", "lower --train_batch_size"),
        (2, "--save_dir {new} --datapath {data} --c_width 18", "--c_width 18"),
        (3, "--measure {new}", "does not exist"),
        (4, "--resume_checkpoint {old} --save_dir {new} --c_embedding 9", "does not fit"),
    ],
)
def test_what_is_refused(code, flags, said, evaluator, data, tmp_path, capsys):
    before = listing(tmp_path), listing(evaluator)
    told = flags.format(new=tmp_path / "new", old=evaluator, data=data)
    assert said in refusal(capsys, code, ENTRY, told)
    assert (listing(tmp_path), listing(evaluator)) == before


def test_quality_needs_whole_batches(evaluator, data, capsys):
    """The toy test part has a handful of clips; R-precision compares 32."""
    count = len(held_out(data))
    assert count < metrics.BATCH
    assert f"{metrics.BATCH}" in refusal(capsys, 4, ENTRY, "--measure", evaluator)


def test_quality_is_written_beside_the_evaluator(evaluator, data, monkeypatch, capsys):
    """On the train part in place of the test part, which is too small."""
    from eval.text import evaluator_quality as text_evaluator_quality

    monkeypatch.setattr(text_evaluator_quality, "ROUNDS", 2)
    monkeypatch.setattr(text_evaluator_quality, "WORSE", {"slowed": (WORSE["slowed to this speed"][0], (0.5,))})
    seen = []

    def spied(motions, seed, count=0):
        seen.append((motions.augmentations, len(motions)))
        return draw(motions, seed, count)

    monkeypatch.setattr(text_evaluator_quality, "draw", spied)
    names = (data / "train.txt").read_text()
    small = (data / "test.txt").read_text()
    try:
        (data / "test.txt").write_text(names)
        pages = []
        for _ in range(2):
            run(ENTRY, "--measure", evaluator)
            pages.append(capsys.readouterr().out)
    finally:
        (data / "test.txt").write_text(small)
    assert pages[0] == pages[1] == (evaluator / "quality.md").read_text()
    assert set(seen) == {((), len(names.split()))}, "whole clips, not the windows of training"
    assert "R-precision, top 1" in pages[0] and "nan" not in pages[0]
    assert f"python -m {ENTRY} --measure {evaluator}" in pages[0]


def test_pairs_are_windows_of_the_clips(data):
    motions = held_out(data, "train")
    pairs = draw(motions, seed=1, count=10)
    assert len(set(pairs.items.tolist())) == 10
    for k, item in enumerate(pairs.items.tolist()):
        length = int(pairs.lengths[k])
        clip, window = motions.item(item), pairs.features[k, :length].numpy()
        starts = range(len(clip) - length + 1)
        assert any(np.abs(clip[first : first + length] - window).max() < 1e-4 for first in starts)
        assert int(pairs.captions[k]) in motions.texts[item] and not pairs.features[k, length:].any()
    assert torch.equal(draw(motions, 1, 10).features, pairs.features)


def test_features_come_back_from_the_world(data):
    """Made worse by nothing, the features are those of the clip: of its first frames, for the path."""
    motions = held_out(data)
    pairs = draw(motions, seed=0)
    same = made_worse(pairs, motions, WORSE["noise of so many metres"][0], 0.0, 0)
    assert torch.equal(same.lengths, (pairs.lengths - 1) // 4 * 4)
    layout = hml.layout_of("smpl22")
    ric = hml.blocks(layout)["ric"]
    for k, length in enumerate(same.lengths.tolist()):
        inner = slice(0, length - 1)
        assert (same.features[k, inner, ric] - pairs.features[k, inner, ric]).abs().max() < 0.02


def test_ways_to_make_motion_worse():
    rng = np.random.RandomState(0)
    clip = np.arange(40.0)[:, None, None] * np.ones((1, 22, 3))
    made = {way: [worsen(clip, how, rng) for how in strengths] for way, (worsen, strengths) in WORSE.items()}
    assert all(each.shape == clip.shape for several in made.values() for each in several)
    away = [np.abs(each - clip).std() for each in made["noise of so many metres"]]
    assert away == sorted(away) and away[-1] < 0.05
    for share, each in zip((0.1, 0.25, 0.5, 1.0), made["share of frames shuffled"], strict=True):
        assert 0 < (each != clip).any((1, 2)).mean() <= share and sorted(each[:, 0, 0]) == sorted(clip[:, 0, 0])
    for speed, each in zip((0.8, 0.65, 0.5), made["slowed to this speed"], strict=True):
        np.testing.assert_allclose(np.diff(each[2:-2, 0, 0]), speed, atol=1e-6)
    for share, each in zip((0.25, 0.5, 0.75, 1.0), made["share of frames frozen"], strict=True):
        still = (np.diff(each[:, 0, 0]) == 0).sum()
        assert still == min(40 * share, 39)


def test_figures_among_other_descriptions():
    """Two batches of three by hand: places 1, 1 and 3 count; an alike motion that is nearer does not."""
    text = np.array([[0.0], [10.0], [20.0]] * 2)
    motion = np.array([[1.0], [11.0], [-5.0]] * 2)
    alone = np.eye(3, dtype=bool)
    found = among_others(text, motion, [alone, alone])
    assert found["R-precision among other descriptions, top 1"] == pytest.approx(2 / 3)
    assert found["R-precision among other descriptions, top 2"] == pytest.approx(2 / 3)
    assert found["R-precision among other descriptions, top 3"] == 1
    assert found["the same by chance, top 1"] == pytest.approx(1 / 3) and found["the same by chance, top 3"] == 1
    assert found["distance from its own sentence"] == pytest.approx((1 + 1 + 25) / 3)
    assert found["distance from sentences of other descriptions"] == pytest.approx((11 + 5 + 9 + 15 + 19 + 9) / 6)
    alike = alone.copy()
    alike[2, 1] = alike[1, 2] = True
    found = among_others(text, motion, [alike, alike])
    assert found["R-precision among other descriptions, top 2"] == 1
    assert found["the same by chance, top 1"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
