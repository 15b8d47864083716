"""The loader of folders with motion and sentences: parts, spans, windows, captions, what is passed over, the cache."""

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.options import DataOptions
from data_loaders.registry import DATASETS, DatasetSpec
from data_loaders.text import folders, humanml
from data_loaders.text.folders import own, read_captions
from data_loaders.text.humanml import load
from train.common.runs import passed_over
from utils.run.errors import DataError, MissingFileError, UsageError

HUMANML, KIT, MOCAP = (DATASETS[name] for name in ("humanml", "kit", "mocap"))


def rng_of(k: int) -> np.random.RandomState:
    return np.random.RandomState(k + 1)


def clip(spec: DatasetSpec, frames: int, first: float = 0.0) -> np.ndarray:
    """Features that tell the frame's number in every place."""
    return np.repeat(first + np.arange(frames, dtype=np.float32)[:, None], spec.features, 1)


def write(folder: Path, spec: DatasetSpec, clips: dict[str, tuple[int, list[str]]], split: str = "train") -> Path:
    """A folder with clips of so many frames and such lines; Mean 0, Std 1."""
    for part in ("new_joint_vecs", "texts"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    np.save(folder / "Mean.npy", np.zeros(spec.features, np.float32))
    np.save(folder / "Std.npy", np.ones(spec.features, np.float32))
    for number, (name, (frames, lines)) in enumerate(clips.items()):
        np.save(folder / "new_joint_vecs" / f"{name}.npy", clip(spec, frames, 1000 * number))
        (folder / "texts" / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in clips))
    return folder


def options(folder: Path, **changes) -> DataOptions:
    return replace(DataOptions(datapath=str(folder)), **changes)


def whole(caption: str) -> str:
    return f"{caption}#x/OTHER#0.0#0.0"


def test_captions_spans_and_lengths(tmp_path):
    """A clip with its whole captions is one item, each span another, frames by the dataset's rate."""
    lines = [whole("walks"), "turns#a/B c/D#1.0#4.5", whole("strolls"), "walks#x/OTHER#0.5#nan", "ends#x/Y#5.0#9.0"]
    write(tmp_path, HUMANML, {"000001": (150, lines), "000002": (60, [whole("walks")])})
    data = load(HUMANML, options(tmp_path))
    assert data.names == ["000001", "000001#1", "000001#4", "000002"]
    assert data.frames.tolist() == [150, 70, 50, 60], "a span ends with its clip"
    told = [["walks", "strolls"], ["turns"], ["ends"], ["walks"]]
    assert [[data.captions[k] for k in texts] for texts in data.texts] == told
    assert data.tags[data.captions.index("turns")] == "a/B c/D"
    assert data.item(1)[[0, -1], 0].tolist() == [20, 89]
    assert data.skipped == {"span too short": 1}, "0.5 s to 0 s is nothing"
    assert data.weights is None and data.captions.index("walks") == data.texts[3][0]


def test_kit_counts_its_spans_by_its_own_rate(tmp_path):
    write(tmp_path, KIT, {"a": (190, [whole("x"), "y#x/OTHER#2.0#6.0"])})
    right, published = load(KIT, options(tmp_path)), load(KIT, options(tmp_path), compat="published")
    assert right.item(1)[[0, -1], 0].tolist() == [25, 74] and published.item(1)[[0, -1], 0].tolist() == [40, 119]


@pytest.mark.parametrize(("spec", "low", "high"), [(HUMANML, 40, 199), (KIT, 24, 199), (MOCAP, 20, 5000)])
def test_short_and_long_clips(tmp_path, spec, low, high):
    line = [whole("x")]
    write(tmp_path, spec, {"a": (low - 1, line), "b": (low, line), "c": (high, line), "d": (high + 1, line)})
    data = load(spec, options(tmp_path))
    assert data.names == (["b", "c", "d"] if spec is MOCAP else ["b", "c"])
    assert data.skipped == ({"too short": 1} if spec is MOCAP else {"too short": 1, "too long": 1})


def test_what_cannot_be_used_is_counted(tmp_path):
    write(tmp_path, HUMANML, {name: (50, [whole("x")]) for name in "abcde"})
    broken = clip(HUMANML, 50)
    broken[3, 7] = np.nan
    np.save(tmp_path / "new_joint_vecs" / "b.npy", broken)
    (tmp_path / "texts" / "c.txt").write_text("\n")
    (tmp_path / "new_joint_vecs" / "d.npy").unlink()
    (tmp_path / "texts" / "e.txt").unlink()
    data = load(HUMANML, options(tmp_path))
    assert data.names == ["a"] and data.skipped == {"not finite": 1, "without a sentence": 1, "not there": 2}


def test_a_batch_of_the_published_kind(tmp_path):
    """Whole units, one less one time in three; windows from anywhere; zeros after normalising; any of the captions."""
    write(tmp_path, HUMANML, {"a": (103, [whole("one"), whole("two")]), "b": (47, [whole("three")])})
    np.save(tmp_path / "Mean.npy", np.full(HUMANML.features, 10, np.float32))
    np.save(tmp_path / "Std.npy", np.full(HUMANML.features, 2, np.float32))
    data = load(HUMANML, options(tmp_path, num_frames=60))
    seen, starts, told = Counter(), set(), set()
    for draw in range(200):
        batch = data.batch([0, 1], lambda k, draw=draw: np.random.RandomState(2 * draw + k))
        lengths, motion, mask = batch["lengths"], batch["motion"], batch["mask"]
        assert motion.shape == (2, lengths[0], 263) and mask.shape == (2, lengths[0], 1)
        assert motion.dtype == mask.dtype == torch.float32 and batch["caption"].dtype == lengths.dtype == torch.int64
        assert batch["action"].tolist() == [-1, -1]
        assert (mask[:, :, 0].sum(1) == lengths).all() and (motion[1, lengths[1] :] == 0).all()
        frames = motion[0, :, 5] * 2 + 10
        assert torch.equal(frames, frames[0] + torch.arange(len(frames)))
        seen[(int(lengths[0]), int(lengths[1]))] += 1
        starts.add(int(frames[0]))
        told.add((data.captions[batch["caption"][0]], data.captions[batch["caption"][1]]))
    assert {first for first, _ in seen} == {100, 96} and {second for _, second in seen} == {44, 40}
    assert 0.2 < sum(count for (first, _), count in seen.items() if first == 96) / 200 < 0.47
    assert min(starts) == 0 and 3 < max(starts) <= 7 and told == {("one", "three"), ("two", "three")}
    assert load(HUMANML, options(tmp_path), pad_to=196).batch([1], rng_of)["motion"].shape == (1, 196, 263)


def test_statistics_of_another_folder_hold_as_they_stand(tmp_path):
    """Weights belong to the Mean and Std that they were trained with, which contain the emphasis of the root."""
    write(tmp_path, MOCAP, {"a": (300, [whole("x")])})
    (tmp_path / "model").mkdir()
    for name, value in (("Mean", 1.5), ("Std", 4.0)):
        np.save(tmp_path / "model" / f"{name}.npy", np.full(MOCAP.features, value, np.float32))
    own, other = (load(MOCAP, options(tmp_path, root_emphasis=3), stats=at) for at in (None, tmp_path / "model"))
    assert (other.mean == 1.5).all() and (other.std == 4).all() and not (own.std == own.std[0]).all()
    seen = [data.batch([0], rng_of)["motion"][0].numpy() * data.std + data.mean for data in (own, other)]
    np.testing.assert_allclose(*seen, rtol=1e-4, atol=1e-3)


def test_draws_belong_to_the_place_in_the_batch(tmp_path):
    write(tmp_path, MOCAP, {name: (300, [whole("x"), whole("y")]) for name in "abc"})
    data = load(MOCAP, options(tmp_path))
    together, alone = data.batch([0, 1, 2], rng_of), data.batch([2], lambda k: rng_of(k + 2))
    for name in ("motion", "lengths", "caption"):
        torch.testing.assert_close(together[name][2:], alone[name])


def test_windows_of_our_own_folders(tmp_path):
    write(tmp_path, MOCAP, {"a": (1000, [whole("x")]), "b": (50, [whole("x")])})
    assert load(MOCAP, options(tmp_path)).batch([0, 1], rng_of)["lengths"].tolist() == [196, 48]
    assert load(MOCAP, options(tmp_path, num_frames=122)).batch([0, 1], rng_of)["lengths"].tolist() == [120, 48]
    varied = load(MOCAP, options(tmp_path, num_frames=122, data_augmentations=("length_aug",)))
    found = set()
    for draw in range(300):
        batch = varied.batch([0, 1], lambda k, draw=draw: np.random.RandomState(3 * draw + k + 1))
        longest = batch["motion"].shape[1]
        assert batch["lengths"].tolist() == [longest, min(longest, 48)]
        found.add(longest)
    assert found == set(range(40, 121, 4)), "one draw for the whole batch"
    asked = []
    varied.batch([0, 1], lambda k: asked.append(k) or rng_of(k + 1))
    assert sorted(asked) == [humanml.BATCH, 0, 1], "each draw has a generator of its own"
    with pytest.raises(UsageError, match="cannot be varied by mirror_aug"):
        load(MOCAP, options(tmp_path, data_augmentations=("mirror_aug",)))
    with pytest.raises(UsageError, match="length_aug"):
        load(HUMANML, options(tmp_path, data_augmentations=("length_aug",)))


def test_windows_of_an_exact_length(tmp_path):
    write(tmp_path, HUMANML, {"a": (59, [whole("x")]), "b": (60, [whole("x")]), "c": (90, [whole("x")])})
    data = load(HUMANML, options(tmp_path), exact=60)
    assert data.names == ["b", "c"] and data.skipped == {"shorter than 60 frames": 1}
    starts = set()
    for draw in range(150):
        batch = data.batch([0, 1], lambda k, draw=draw: np.random.RandomState(2 * draw + k))
        assert batch["lengths"].tolist() == [60, 60] and batch["motion"].shape == (2, 60, 263)
        starts.add(int(batch["motion"][1, 0, 0]) - 2000)
    assert starts == set(range(31))
    with pytest.raises(DataError, match="no clip of 100 frames"):
        load(HUMANML, options(tmp_path), exact=100)
    with pytest.raises(UsageError, match="pred_len"):
        load(HUMANML, options(tmp_path), exact=200)


def test_shares_of_an_epoch(tmp_path):
    write(tmp_path, MOCAP, {"a": (50, [whole("x")]), "b": (50, [whole("y")]), "c": (10, [whole("z")])})
    index = {"fps": 20, "clips": {"a": {"share": 0.3}, "b": {"share": 0.1}, "c": {"share": 0.6}}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    np.testing.assert_allclose(load(MOCAP, options(tmp_path)).weights, [0.75, 0.25])
    (tmp_path / "index.json").write_text(json.dumps({"fps": 30, "clips": index["clips"]}))
    with pytest.raises(DataError, match="30 frames a second; mocap has 20"):
        load(MOCAP, options(tmp_path))
    (tmp_path / "index.json").write_text(json.dumps({"fps": 20}))
    with pytest.raises(DataError, match="index.json must hold the clips"):
        load(MOCAP, options(tmp_path))


def test_the_root_can_be_made_to_count_more(tmp_path):
    write(tmp_path, MOCAP, {"a": (50, [whole("x")])})
    data = load(MOCAP, options(tmp_path, root_emphasis=4.0))
    assert data.std[:5].tolist() == [0.25, 0.25, 0.25, 0.25, 1]


def test_parts_and_sizes(tmp_path):
    write(tmp_path, MOCAP, {name: (50, [whole(name)]) for name in "abc"})
    write(tmp_path, MOCAP, {"d": (50, [whole("d")])}, "val")
    assert load(MOCAP, options(tmp_path, data_split="val")).captions == ["d"]
    assert len(load(MOCAP, options(tmp_path, data_size=2))) == 2
    with pytest.raises(MissingFileError, match=r"test.txt is missing: make it with `python -m prepare.humanml"):
        load(MOCAP, options(tmp_path, data_split="test"))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"train.txt is missing: dataset/README.md .* prepare.toy_motion"):
        load(HUMANML, options(tmp_path))
    write(tmp_path, KIT, {"a": (50, [whole("x")])})
    for name in ("Mean.npy", "Std.npy"):
        (tmp_path / name).unlink()
    with pytest.raises(MissingFileError, match="Mean.npy and Std.npy of kit"):
        load(KIT, options(tmp_path))
    shutil.rmtree(tmp_path / "new_joint_vecs")
    write(tmp_path, HUMANML, {"a": (50, [whole("x")])})
    shutil.rmtree(tmp_path / "new_joint_vecs")
    with pytest.raises(MissingFileError, match=r"none of the 1 clips .*train.txt names can be used \(1 not there\)"):
        load(HUMANML, options(tmp_path))
    (tmp_path / "train.txt").write_text("\n")
    with pytest.raises(DataError, match="names no clip"):
        load(HUMANML, options(tmp_path))


def test_what_is_wrong_is_named_and_passed_over(tmp_path, capsys):
    """A line without a caption, a clip that is not finite, a foreign file; told when training starts, and by check."""
    write(
        tmp_path, MOCAP, {"a": (50, [whole("x"), "#x/NOUN#0.0#0.0"]), "b": (50, [whole("y")]), "c": (50, [whole("z")])}
    )
    broken = clip(MOCAP, 50, 0)
    broken[7, 3] = np.nan
    np.save(tmp_path / "new_joint_vecs" / "b.npy", broken)
    (tmp_path / "new_joint_vecs" / "c.npy").write_text("a letter")
    for _ in range(2):  # from the files, and from the cache
        data = load(MOCAP, options(tmp_path))
        assert data.names == ["a"] and data.captions == ["x"]
        assert data.skipped == {"lines without a caption": 1, "not finite": 1, "unreadable": 1}
        line, frame, foreign = data.faults
        assert line == f"{tmp_path}/texts/a.txt, line 2: no caption"
        assert frame == f"{tmp_path}/new_joint_vecs/b.npy: not finite from frame 7 on"
        assert foreign.startswith(f"{tmp_path}/new_joint_vecs/c.npy is not")
    said = passed_over(data)
    assert said[0] == "passed over: 1 lines without a caption, 1 not finite, 1 unreadable"
    assert said[1:] == [f"  {fault}" for fault in data.faults]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("Std.npy", np.zeros(263, np.float32), "must be positive"),
        ("Mean.npy", np.zeros(251, np.float32), r"finite numbers of shape \(263,\), not float32 \(251,\)"),
        ("Mean.npy", np.full(263, np.nan, np.float32), "finite numbers of shape"),
        ("new_joint_vecs/a.npy", np.zeros((50, 251), np.float32), r"a.npy holds float32 \(50, 251\)"),
        ("new_joint_vecs/a.npy", np.zeros((50, 263), np.int64), "a.npy holds int64"),
    ],
)
def test_arrays_of_another_kind(tmp_path, name, value, reason):
    write(tmp_path, HUMANML, {"a": (50, [whole("x")])})
    np.save(tmp_path / name, value)
    with pytest.raises(DataError, match=reason):
        load(HUMANML, options(tmp_path))


def test_the_cache_is_used_and_follows_the_files(tmp_path):
    write(tmp_path, MOCAP, {name: (50, [whole(name)]) for name in "abc"})
    first = load(MOCAP, options(tmp_path))
    (kept,) = (tmp_path / "cache").iterdir()
    before = kept.stat().st_mtime_ns
    again = load(MOCAP, options(tmp_path))
    assert kept.stat().st_mtime_ns == before
    for name in ("motion", "lengths", "caption"):
        torch.testing.assert_close(first.batch([0, 1, 2], rng_of)[name], again.batch([0, 1, 2], rng_of)[name])
    (tmp_path / "texts" / "b.txt").write_text(whole("another"))
    assert load(MOCAP, options(tmp_path)).captions == ["a", "another", "c"]
    (renewed,) = (tmp_path / "cache").iterdir()
    assert renewed.name != kept.name
    renewed.write_bytes(renewed.read_bytes()[:-40])
    assert load(MOCAP, options(tmp_path)).captions == ["a", "another", "c"], "a damaged one is made anew"
    assert load(MOCAP, options(tmp_path)).captions == ["a", "another", "c"]
    np.save(tmp_path / "new_joint_vecs" / "a.npy", clip(MOCAP, 60, 7))
    assert load(MOCAP, options(tmp_path)).item(0)[0, 0] == 7
    np.save(tmp_path / "Mean.npy", np.ones(263, np.float32))
    assert load(MOCAP, options(tmp_path)).mean[0] == 1, "figures are not kept"


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    write(tmp_path, MOCAP, {"a": (50, [whole("x")])})
    tmp_path.chmod(0o500)
    try:
        assert len(load(MOCAP, options(tmp_path))) == 1
    finally:
        tmp_path.chmod(0o700)


def test_captions_need_no_motion(tmp_path):
    """Sentences and a list are enough to sample with; frames are the motion's where that is there."""
    lines = [whole("x"), "y#x/OTHER#1.0#3.0"]
    write(tmp_path, HUMANML, {"a": (103, lines), "b": (50, [whole("z")])}, "test")
    (tmp_path / "new_joint_vecs" / "b.npy").unlink()
    assert read_captions(HUMANML, tmp_path, "test") == [("x", 100), ("y", 40), ("z", 196)]
    shutil.rmtree(tmp_path / "new_joint_vecs")
    assert read_captions(HUMANML, tmp_path, "test") == [("x", 196), ("y", 40), ("z", 196)]
    shutil.rmtree(tmp_path / "texts")
    with pytest.raises(MissingFileError, match="no sentences of the test part"):
        read_captions(HUMANML, tmp_path, "test")


def test_from_the_cache_no_clip_is_opened(tmp_path, monkeypatch):
    write(tmp_path, MOCAP, {f"{number:03d}": (500, [whole(f"caption {number % 5}")]) for number in range(20)})
    load(MOCAP, options(tmp_path))
    monkeypatch.setattr(folders, "_read", lambda *_: pytest.fail("the files are read again"))
    data = load(MOCAP, options(tmp_path))
    assert len(data) == 20 and len(data.captions) == 5
    assert isinstance(data.features, np.memmap), "nor is all of it read"


def test_the_genuine_sample_clip(shared, tmp_path):
    """Clip 012314 of HumanML3D, as published, through the loader."""
    with np.load(shared / "golden" / "mdm" / "rep_genuine_012314.npz") as golden:
        features, mean, std = golden["new_joint_vecs"], golden["Mean"], golden["Std"]
    write(tmp_path, HUMANML, {"012314": (50, [whole("x")])})
    np.save(tmp_path / "new_joint_vecs" / "012314.npy", features)
    np.save(tmp_path / "Mean.npy", mean)
    np.save(tmp_path / "Std.npy", std)
    data = load(HUMANML, options(tmp_path))
    batch = data.batch([0], rng_of)
    length = int(batch["lengths"])
    assert length in (168, 164) and len(features) == 170
    expected = [(features[k : k + length] - mean) / std for k in range(170 - length + 1)]
    assert min(np.abs(batch["motion"][0].numpy() - window).max() for window in expected) < 1e-5
    assert own(MOCAP) and not own(HUMANML)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (b"a\n../../etc/x\n", "'../../etc/x' is not the name of a clip"),
        (b"a\n/abs/x\n", "'/abs/x' is not the name of a clip"),
        (b"a\nb\x00c\n", "is not the name of a clip"),
        (b"a\n" + b"x" * 100_000, "is not the name of a clip"),
        (b"a\n\xff\xfe\n", "train.txt is not UTF-8 text"),
    ],
)
def test_a_list_of_what_are_no_names(tmp_path, listed, said):
    write(tmp_path, HUMANML, {"a": (50, [whole("x")])})
    (tmp_path / "train.txt").write_bytes(listed)
    for read in (lambda: load(HUMANML, options(tmp_path)), lambda: read_captions(HUMANML, tmp_path, "train")):
        with pytest.raises(DataError, match=said) as error:
            read()
        assert len(str(error.value)) <= 300


def test_our_own_clips_are_seen_through_the_windows_that_captions_tell(tmp_path):
    lines = [whole("walks"), "turns#x/Y#1.0#4.0", "spins#x/Y#1.0#4.0", "jumps#x/Y#4.0#6.0", "rests#x/Y#2.0#8.0"]
    write(tmp_path, MOCAP, {"a": (170, lines), "b": (90, [whole("stands")])})
    data = load(MOCAP, options(tmp_path, data_augmentations=("length_aug",), num_frames=120))
    assert data.names == ["a", "b"], "a clip stays one item"
    assert [[data.captions[k] for k in texts] for texts in data.texts] == [
        [*"walks turns spins jumps rests".split()],
        ["stands"],
    ]
    told = {"turns": (20, 60), "spins": (20, 60), "jumps": (80, 40), "rests": (40, 120)}
    found = Counter()
    for seed in range(60):
        batch = data.batch([0, 0], lambda k, seed=seed: np.random.RandomState(100 * seed + k + 1))
        for motion, length, caption in zip(batch["motion"], batch["lengths"], batch["caption"], strict=True):
            text = data.captions[caption]
            assert (int(motion[0, 0]), int(length)) == told[text]
            found[text] += 1
    assert set(found) == set(told), "each window, and each of its captions, comes up"


def test_windows_of_an_exact_length_lie_in_those_that_are_told(tmp_path):
    lines = ["jumps#x/Y#4.0#6.0", "turns#x/Y#1.0#4.0", "rests#x/Y#2.0#8.0"]
    write(tmp_path, MOCAP, {"a": (170, lines), "short": (170, ["x#x/Y#0.0#2.0"])})
    data = load(MOCAP, options(tmp_path), exact=60)
    assert data.names == ["a"], "a clip without a window of so many frames is passed over"
    batch = data.batch([0] * 20, rng_of)
    assert set(batch["lengths"].tolist()) == {60} and {data.captions[k] for k in batch["caption"]} == {"turns"}
    longer = load(MOCAP, options(tmp_path), exact=80).batch([0] * 40, rng_of)
    assert {longer["motion"][k, 0, 0].item() for k in range(40)} <= set(range(40, 81))
