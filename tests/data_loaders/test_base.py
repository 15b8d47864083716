"""The 2D datasets: the published loaders' numbers, our own split, and bad input said in one sentence."""

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.options import DataOptions
from data_loaders.points import keypoints as base
from data_loaders.registry import DATASETS
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.randomness import numpy_rng

PUBLISHED = ("nba", "horse", "gymnastics")
NBA = DATASETS["nba"]


def options_for(name: str, datapath: Path, **changes) -> DataOptions:
    chosen = {"dataset": name, "datapath": str(datapath), "data_augmentations": ()} | changes
    return DataOptions(**chosen)


def write(folder: Path, motions: dict[str, np.ndarray]) -> DataOptions:
    (folder / "motions").mkdir(parents=True, exist_ok=True)
    for name, points in motions.items():
        np.save(folder / "motions" / f"{name}.npy", points)
    return options_for("nba", folder)


def clip(frames: int = 8, joints: int = 16) -> np.ndarray:
    return numpy_rng("clip", frames, joints).uniform(0.4, 1, (frames, joints, 3)).astype(np.float32)


class RecordedDraws(np.random.RandomState):
    """Hands out recorded integers in order, checking that each may have been drawn."""

    def __init__(self, integers):
        super().__init__()
        self.integers = list(integers)

    def randint(self, low, high=None, size=None, dtype=int):
        value = int(self.integers.pop(0))
        assert low <= value < high and size is None
        return value


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("split", ["train", "test"])
def test_published_split_order_and_first_item(name, split, golden):
    recorded = np.load(golden / "mas" / f"loader_{name}.npz")
    options = options_for(name, golden / "mas" / "tiny_data" / name, data_split=split)
    data = base.load(DATASETS[name], options, compat="published", seed=0)
    assert data.names == recorded[f"{split}/names"].tolist()
    assert [len(motion) for motion in data.motions] == recorded[f"{split}/lengths"].tolist()
    motion, mask = data.item(0, numpy_rng(0))
    assert motion.dtype == np.float32 and mask.dtype == np.float32
    np.testing.assert_array_equal(motion, recorded[f"{split}/first_motion"].astype(np.float32))
    np.testing.assert_array_equal(mask, recorded[f"{split}/first_mask"][..., 0])


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("source", ["recorded", "numpy seed 0"])
def test_published_batch(name, source, golden):
    recorded = np.load(golden / "mas" / f"loader_{name}.npz")
    spec = DATASETS[name]
    options = options_for(
        name,
        golden / "mas" / "tiny_data" / name,
        data_size=4,
        data_augmentations=tuple(spec.defaults.get("data_augmentations", ())),
    )
    data = base.load(spec, options, compat="published", seed=0)
    assert data.names == recorded["batch/names_loaded"].tolist()
    rng = RecordedDraws(recorded["batch/np_randint_draws"]) if source == "recorded" else np.random.RandomState(0)
    batch = data.batch([2, 1, 3], lambda _: rng)  # the order that the published loader drew
    assert batch["lengths"].tolist() == recorded["batch/lengths"].tolist()
    np.testing.assert_array_equal(batch["motion"].permute(0, 2, 3, 1), recorded["batch/motion"])
    mask = batch["mask"].permute(0, 2, 3, 1).expand(-1, -1, 2, -1)
    np.testing.assert_array_equal(mask, recorded["batch/mask"])
    assert batch["action"].tolist() == [-1, -1, -1]
    assert [batch[key].dtype for key in ("motion", "mask", "lengths", "action")] == [torch.float32] * 2 + [
        torch.int64
    ] * 2


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name, golden, tmp_path):
    recorded = np.load(golden / "mas" / "dataset_stats.npz")
    mean, std = base.load_stats(DATASETS[name], tmp_path)
    np.testing.assert_array_equal(mean, recorded[f"{name}/Mean"])
    np.testing.assert_array_equal(std, recorded[f"{name}/Std"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_trajectory(name, golden):
    recorded = np.load(golden / "mas" / "trajectory.npz")
    key = {"gymnastics": "gym"}.get(name, name)
    path = base.trajectory(recorded[key], DATASETS[name])
    np.testing.assert_allclose(path, recorded[f"{key}_traj"], atol=1e-6)
    torch_path = base.trajectory(torch.from_numpy(recorded[key])[None], DATASETS[name])
    np.testing.assert_allclose(torch_path[0], path, atol=1e-6)


def test_normalise_is_one_thing_for_numpy_and_torch():
    points, mean, std = clip()[..., :2], np.full((16, 2), 0.3), np.full((16, 2), 2.0)
    normalised = base.normalise(points, mean, std)
    np.testing.assert_allclose(normalised, (points - 0.3) / 2, rtol=1e-6)
    as_torch = base.normalise(torch.from_numpy(points), mean, std)
    assert as_torch.dtype == torch.float32
    np.testing.assert_allclose(as_torch, normalised, atol=1e-6)
    np.testing.assert_allclose(base.denormalise(as_torch, mean, std), points, atol=1e-6)


def test_figures_of_the_folder_win(tmp_path):
    options = write(tmp_path, {f"m{i}": clip() for i in range(9)})
    np.save(tmp_path / "Mean.npy", np.full((16, 2), 0.5))
    np.save(tmp_path / "Std.npy", np.full((16, 2), 0.25))
    data = base.load(NBA, options)
    np.testing.assert_allclose(data.motions[0], (clip()[::2, :, :2] - 0.5) / 0.25, atol=1e-5)
    (tmp_path / "Std.npy").unlink()
    with pytest.raises(MissingFileError, match="Std.npy"):
        base.load(NBA, options)


def test_default_split_is_decided_by_the_name_alone(tmp_path):
    names = [f"clip{i:03d}" for i in range(100)]
    options = write(tmp_path, {name: clip(4) for name in names})
    train = base.load(NBA, options)
    test = base.load(NBA, dataclasses.replace(options, data_split="test"))
    assert train.names == sorted(train.names) and sorted(train.names + test.names) == names
    assert 4 <= len(test) <= 18
    assert base.load(NBA, options, seed=5).names == train.names
    for name in train.names[::2]:
        (tmp_path / "motions" / f"{name}.npy").unlink()
    assert base.load(NBA, options).names == train.names[1::2]
    some = base.load(NBA, dataclasses.replace(options, data_size=7)).names
    assert len(some) == 7 and some == sorted(some) and set(some) <= set(train.names)
    assert some != train.names[1:14:2], "a part of the data is a fair sample, not the first names"


@pytest.mark.parametrize("compat", ["none", "published"])
def test_split_file_is_honoured(tmp_path, compat):
    options = write(tmp_path, {name: clip() for name in "abcd"})
    (tmp_path / "split.json").write_text(json.dumps({"train": ["a", "c"], "test": ["b"]}))
    assert sorted(base.load(NBA, options, compat).names) == ["a", "c"]
    assert base.load(NBA, dataclasses.replace(options, data_split="test"), compat).names == ["b"]
    for content, reason in (
        ({"train": ["a", "x"], "test": []}, "'x'"),
        ({"train": ["a"], "test": ["a"]}, "as train and as test"),
        (["a"], "must hold"),
    ):
        (tmp_path / "split.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match=reason):
            base.load(NBA, options, compat)


def test_a_sample_depends_on_its_own_draws_only(golden):
    options = options_for("horse", golden / "mas" / "tiny_data" / "horse", data_augmentations=base.AUGMENTATIONS)
    data = base.load(DATASETS["horse"], options)

    def draws(position: int) -> np.random.RandomState:
        return numpy_rng("draws", {0: 3, 1: 4}[position])

    pair = data.batch([0, 2], draws)
    alone = data.batch([2], lambda _: draws(1))
    length = int(alone["lengths"][0])
    assert int(pair["lengths"][1]) == length
    torch.testing.assert_close(pair["motion"][1, :length], alone["motion"][0])
    assert not pair["motion"][1, length:].any() and not pair["mask"][1, length:].any()


def test_every_variation_is_honoured_for_every_dataset(golden):
    for name in PUBLISHED:
        folder = golden / "mas" / "tiny_data" / name
        plain = base.load(DATASETS[name], options_for(name, folder))
        longest = int(np.argmax([len(motion) for motion in plain.motions]))
        before = base.denormalise(plain.motions[longest], plain.mean, plain.std)
        for variation in base.AUGMENTATIONS:
            options = options_for(name, folder, data_augmentations=(variation,))
            data = base.load(DATASETS[name], options)
            items = [data.item(longest, numpy_rng("any", i))[0] for i in range(5)]
            after = base.denormalise(items[0], data.mean, data.std)
            if variation == "length_aug":
                assert len({len(item) for item in items}) > 1
            elif variation == "scale_aug":
                ratio = after[before != 0] / before[before != 0]
                np.testing.assert_allclose(ratio, np.median(ratio), atol=1e-2)
                assert abs(np.median(ratio) - 1) > 1e-3
            else:
                moved = (after - before).reshape(-1, 2)
                np.testing.assert_allclose(moved, moved[:1].repeat(len(moved), 0), atol=1e-4)
                assert np.abs(moved[0]).min() > 1e-3


def test_masks(golden):
    points = clip(6, 18)
    spec = DATASETS["gymnastics"]
    points[..., :2] *= 0.1
    points[:, :, 2] = 0.5
    points[2, 3, 2] = 0.005
    points[4, spec.ball, :2] = (4, 0)
    expected = np.ones((6, 18))
    expected[2, 3] = expected[4, spec.ball] = 0
    np.testing.assert_array_equal(base.seen_points(points, spec)[1], expected)


def test_unknown_variation(tmp_path):
    options = write(tmp_path, {"a": clip()})
    with pytest.raises(UsageError, match="mirror_aug.*length_aug, scale_aug, shift_aug"):
        base.load(NBA, dataclasses.replace(options, data_augmentations=("mirror_aug",)))


class _Hostile:
    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def _with(position, value) -> np.ndarray:
    points = clip()
    points[position] = value
    return points


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (clip(joints=17), "has 17 joints; nba has 16"),
        (clip()[..., :2], r"\[frames, 16, 3\]"),
        (clip()[0], r"shape \(16, 3\)"),
        (clip()[:0], "no frames"),
        (clip().astype("U8"), "not numbers"),
        (_with((3, 2, 1), np.nan), "y of joint RKnee in frame 3 is nan"),
        (_with((5, 9, 0), np.inf), "x of joint Head in frame 5 is inf"),
        (_with((0, 0, 2), np.nan), "c of joint Hip in frame 0 is nan"),
    ],
)
def test_bad_motion_is_named(tmp_path, points, reason):
    options = write(tmp_path, {"fine": clip(), "wrong": points})
    (tmp_path / "split.json").write_text(json.dumps({"train": ["fine", "wrong"], "test": []}))
    with pytest.raises(DataError, match=reason) as caught:
        base.load(NBA, options)
    assert "wrong.npy" in str(caught.value)


def test_unreadable_and_hostile_files(tmp_path):
    options = write(tmp_path, {"fine": clip()})
    path = tmp_path / "motions" / "wrong.npy"
    (tmp_path / "split.json").write_text(json.dumps({"train": ["fine", "wrong"], "test": []}))
    whole = (tmp_path / "motions" / "fine.npy").read_bytes()
    np.save(tmp_path / "object.npy", np.array([_Hostile()], dtype=object))
    for content in (
        b"",
        b"not an array",
        whole[:200],
        pickle.dumps(_Hostile()),
        (tmp_path / "object.npy").read_bytes(),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match="wrong.npy"):
            base.load(NBA, options)


def test_empty_folders_say_what_to_do(tmp_path):
    options = options_for("nba", tmp_path)
    for _ in range(2):
        with pytest.raises(MissingFileError, match=r"dataset/README.md.*prepare.toy_motion"):
            base.load(NBA, options)
        (tmp_path / "motions").mkdir(exist_ok=True)
    with pytest.raises(DataError, match="the test part of .* is empty: 5 motions"):
        base.load(
            NBA,
            dataclasses.replace(write(tmp_path, {f"m{i}": clip() for i in range(5)}), data_split="test"),
            "published",
        )


def test_all_clips_too_short(tmp_path):
    (tmp_path / "motions").mkdir()
    for i in range(20):
        np.save(tmp_path / "motions" / f"m{i}.npy", clip(89, 17))
    with pytest.raises(DataError, match="too short"):
        base.load(DATASETS["horse"], options_for("horse", tmp_path))


def test_names_that_collide_are_refused(tmp_path):
    options = write(tmp_path, {"a.1": clip(), "a.2": clip()})
    with pytest.raises(DataError, match="share the name 'a'"):
        base.load(NBA, options)


def test_files_of_the_system_are_no_motions(tmp_path):
    options = write(tmp_path, {f"m{i}": clip() for i in range(9)})
    (tmp_path / "motions" / "._m0.npy").write_bytes(b"macOS")
    (tmp_path / "motions" / "notes.txt").write_text("")
    assert all(name.startswith("m") for name in base.load(NBA, options).names)
