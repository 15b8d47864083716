"""3D clips seen as 2D: which side is which, how the camera turns, what each variation draws, and who is refused."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from data_loaders.common import labels, packed
from data_loaders.options import DataOptions
from data_loaders.points import projections
from data_loaders.points.keypoints import denormalise
from data_loaders.points.projections import (
    BATCH,
    WINDOW,
    ProjectedDataset,
    action_ids,
    clip_weights,
    detector_noise,
    read_captions,
    see,
)
from tests.people import ALL_VARIATIONS, BODY, SPEC, counting, moving, record, standing, write_folder
from utils.geometry.cameras import even_views, project
from utils.geometry.kinematics import mirror
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.randomness import numpy_rng

HEAD, LEFT_HIP = BODY.index("Head"), BODY.index("LHip")


def rng_of(position: int) -> np.random.RandomState:
    return numpy_rng("test", position)


class Fixed(np.random.RandomState):
    """Every draw is the middle of its range but for those given, by NAMES."""

    NAMES = ("tempo", "size", "mirror", "place", "label", "facing")

    def __init__(self, **shares):
        super().__init__(0)
        self.shares = [shares.get(name, 0.5) for name in self.NAMES]

    def uniform(self, low=0.0, high=1.0, size=None):
        assert size == len(self.NAMES)
        return np.array(self.shares)


def loaded(tmp_path, clips, *variations, fps: float = 20.0, **changes) -> ProjectedDataset:
    """The clips as a dataset; by default at the dataset's own rate."""
    options = write_folder(tmp_path / "data", clips, fps)
    return projections.load(SPEC, dataclasses.replace(options, data_augmentations=variations, **changes))


def shown(dataset: ProjectedDataset, batch: dict) -> torch.Tensor:
    """The batch's motion in data units."""
    return denormalise(batch["motion"], dataset.mean, dataset.std)


def test_at_azimuth_0_the_person_faces_the_viewer(tmp_path):
    """So the left side is on the right of the picture, as in a photograph and unlike in a mirror."""
    data = loaded(tmp_path, [(standing(60), record("a"))])
    points = data.windows([0], rng_of)["points"][0]
    picture = shown(data, data.batch([0], rng_of))[0, :60]
    assert (points[:, BODY.index("Nose"), 2] < -0.05).all(), "z points away from the viewer"
    for joint in ("Wrist", "Shoulder", "Hip", "Ankle"):
        assert (picture[:, BODY.index("L" + joint), 0] > 0.05).all()
        assert (picture[:, BODY.index("R" + joint), 0] < -0.05).all()
    assert (picture[:, HEAD, 1] > 0.5).all() and (picture[:, BODY.index("LAnkle"), 1] < -0.5).all()


def test_azimuths_are_those_of_the_views_of_sampling():
    points = torch.from_numpy(moving(9))[None] - torch.tensor([0.0, 0.95, 0])
    for views, offset in ((7, 0.0), (3, 1.0)):
        azimuth = offset - math.pi + torch.arange(views) * (2 * math.pi / views)
        seen = see(points.expand(views, -1, -1, -1), azimuth, SPEC)
        expected = project(points, even_views(views, SPEC.elevation, offset), projections.camera_of(SPEC))[:, 0]
        torch.testing.assert_close(seen, expected, atol=1e-5, rtol=0)


def test_a_quarter_turn_by_hand(tmp_path):
    """x' = x cos a - z sin a: the nose, nearest to the viewer at azimuth 0, points to the right at a quarter turn."""
    data = loaded(tmp_path, [(standing(60), record("a"))], "facing_aug")
    made = data.windows([0], lambda _: Fixed(facing=0.25))
    assert float(made["azimuth"]) == pytest.approx(math.pi / 2)
    picture = shown(data, data.batch([0], lambda _: Fixed(facing=0.25)))[0, :60]
    assert (picture[:, BODY.index("Nose"), 0] > 0.1).all()
    left, right = (picture[:, BODY.index(name), 1] for name in ("LWrist", "RWrist"))
    assert (left > right).all(), "seen from a little above, the far wrist is higher in the picture"


def test_the_root_stays_at_the_origin(tmp_path):
    data = loaded(tmp_path, [(moving(200), record("a")), (moving(50, 1), record("b"))], *ALL_VARIATIONS, fps=30.0)
    assert not data.windows([0, 1], rng_of)["points"][:, :, 0].any()
    np.testing.assert_allclose(shown(data, data.batch([0, 1], rng_of))[:, :, 0], 0, atol=1e-6)


def test_sizes_are_in_data_units(tmp_path):
    """A point beside the root is as far from the camera: 0.1 m are 0.1 / 0.75 data units."""
    data = loaded(tmp_path, [(standing(60), record("a"))])
    batch = data.batch([0], rng_of)
    wide = shown(data, batch)[0, :60, LEFT_HIP]
    np.testing.assert_allclose(wide, np.tile([0.1 / 0.75, 0], (60, 1)), atol=1e-5)
    np.testing.assert_allclose(wide[:, 0] * BODY.metres_per_unit, 0.1, atol=1e-5)


def heads(data: ProjectedDataset, clip: int, rng) -> np.ndarray:
    """Frame of the clip that each frame of a window of `counting` clips shows [length], undoing the size."""
    made = data.windows([clip], rng)
    points = made["points"][0, : int(made["lengths"])]
    height = points[:, HEAD, 1] * 0.1 / points[:, LEFT_HIP, 0].abs()
    return (height.double().numpy() - 0.8) * 1000


@pytest.mark.parametrize("fps", [20.0, 30.0, 120.0])
def test_windows_lie_inside_their_clip_and_keep_its_pace(tmp_path, fps):
    """Three clips end to end in one array, whose heads tell which frame is shown."""
    clips = [(counting(n, first), record(f"c{n}")) for n, first in ((900, 0.0), (700, 2.0), (300, 4.0))]
    plain, varied = loaded(tmp_path, clips, fps=fps), loaded(tmp_path, clips, *ALL_VARIATIONS, fps=fps)
    starts, paces = [], []
    for draw in range(60):
        for data in (plain, varied):
            clip = draw % 3
            frames = heads(data, clip, lambda i, draw=draw: numpy_rng(draw, i)) - 2000 * clip
            count = (900, 700, 300)[clip]
            assert frames.min() > -0.05 and frames.max() < count - 1 + 0.05
            starts.append(frames[0] / count)
            pace = np.diff(frames)[2:-2] * 20 / fps
            np.testing.assert_allclose(pace, np.median(pace), atol=0.02)
            if data is plain:
                np.testing.assert_allclose(pace, 1, atol=0.02)
            else:
                paces.append(np.median(pace))
    assert len(set(np.round(starts, 3))) > 50
    assert 0.88 - 1e-3 < min(paces) < 0.93 and 1.07 < max(paces) < 1.12 + 1e-3


def test_tempo_and_size_reach_their_bounds_and_no_further(tmp_path):
    data = loaded(tmp_path, [(counting(400), record("a"))], "tempo_aug", "size_aug")
    for share, tempo, size in ((0.0, 0.88, 0.94), (0.5, 1.0, 1.0), (1.0, 1.12, 1.06)):
        fixed = Fixed(tempo=share, size=share)
        assert np.median(np.diff(heads(data, 0, lambda _, fixed=fixed: fixed))) == pytest.approx(tempo, abs=1e-3)
        points = data.windows([0], lambda _, fixed=fixed: fixed)["points"]
        assert float(points[0, 0, LEFT_HIP, 0]) == pytest.approx(0.1 * size, rel=1e-5)


def test_a_clip_that_is_shorter_than_the_window_ends_in_zeros(tmp_path):
    data = loaded(tmp_path, [(moving(30), record("short")), (moving(300, 1), record("long"))])
    batch = data.batch([0, 1], rng_of)
    assert batch["motion"].shape == (2, WINDOW[1], 16, 2) and batch["mask"].shape == (2, WINDOW[1], 16, 1)
    assert batch["lengths"].tolist() == [30, WINDOW[1]] and batch["lengths"].dtype == torch.int64
    assert batch["motion"].dtype == batch["mask"].dtype == torch.float32
    assert not batch["motion"][0, 30:].any() and not batch["mask"][0, 30:].any()
    assert batch["motion"][0, :30].abs().amax((1, 2)).min() > 0.1
    assert (batch["mask"][0, :30] == 1).all() and (batch["mask"][1] == 1).all()
    expected = moving(30)[:, :, :2] - moving(30)[:, :1, :2]
    points = data.windows([0, 1], rng_of)["points"][0, :30, :, :2]
    np.testing.assert_allclose(points, expected, atol=1e-6)


def test_lengths_of_short_clips_count_whole_frames_at_the_datasets_rate(tmp_path):
    data = loaded(tmp_path, [(moving(n), record(str(n))) for n in (31, 60, 61, 62, 63)], fps=30.0)
    assert data.batch(range(5), rng_of)["lengths"].tolist() == [21, 40, 41, 41, 42]
    assert [data.frames(i) for i in range(5)] == [21, 40, 41, 41, 42]


def test_length_aug_draws_one_window_for_the_batch(tmp_path):
    data = loaded(tmp_path, [(moving(400, i), record(str(i))) for i in range(3)], "length_aug")
    lengths = [data.batch([0, 1, 2], lambda i, step=step: numpy_rng(step, i))["lengths"] for step in range(150)]
    assert all(len(set(each.tolist())) == 1 for each in lengths)
    found = [int(each[0]) for each in lengths]
    assert WINDOW[0] <= min(found) < 50 and 110 < max(found) <= WINDOW[1]


def test_mirror_swaps_the_sides_and_twice_is_the_motion_itself(tmp_path):
    data = loaded(tmp_path, [(moving(200), record("a"))], "mirror_aug")
    as_is, mirrored = (data.windows([0], lambda _, s=share: Fixed(mirror=s))["points"] for share in (0.9, 0.1))
    plain = loaded(tmp_path, [(moving(200), record("a"))]).windows([0], lambda _: Fixed())["points"]
    assert torch.equal(as_is, plain)
    assert not torch.allclose(mirrored, as_is, atol=0.05)
    torch.testing.assert_close(mirrored[..., BODY.index("LWrist"), 0], -as_is[..., BODY.index("RWrist"), 0])
    torch.testing.assert_close(mirrored[..., BODY.index("LWrist"), 1:], as_is[..., BODY.index("RWrist"), 1:])
    torch.testing.assert_close(mirrored[..., BODY.index("Nose"), 1:], as_is[..., BODY.index("Nose"), 1:])
    torch.testing.assert_close(mirror(mirrored, BODY), as_is, atol=0, rtol=0)


def test_facing_aug_goes_all_the_way_around_or_not_at_all(tmp_path):
    clips = [(moving(100), record("a"))]
    plain, turned = loaded(tmp_path, clips), loaded(tmp_path, clips, "facing_aug")
    assert float(plain.windows([0], rng_of)["azimuth"]) == 0
    azimuth = [float(turned.windows([0], lambda i, k=k: numpy_rng(k, i))["azimuth"]) for k in range(200)]
    assert min(azimuth) >= 0 and max(azimuth) < 2 * math.pi
    assert np.histogram(azimuth, 8, (0, 2 * math.pi))[0].min() > 10


def test_a_sample_depends_on_its_clip_and_its_position_only(tmp_path):
    data = loaded(
        tmp_path, [(moving(300 + i, i), record(str(i))) for i in range(4)], *ALL_VARIATIONS, detector_noise=1.0
    )
    whole, other = data.batch([3, 1, 2, 0], rng_of), data.batch([0, 1], rng_of)
    for name in ("motion", "mask", "lengths", "action"):
        torch.testing.assert_close(whole[name][1], other[name][1], atol=1e-6, rtol=0)
    assert not torch.allclose(whole["motion"][0], other["motion"][0], atol=0.1)
    again = data.batch([3, 1, 2, 0], rng_of)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    moved = data.batch([1, 1], rng_of)["motion"]
    assert not torch.allclose(moved[0], moved[1], atol=0.1), "the same clip at another position is another sample"


def test_frames_of_the_batch_are_drawn_by_the_batch_alone(tmp_path):
    """No position shares its draws with the batch, so the window's length tells nothing about a sample."""
    data = loaded(tmp_path, [(moving(300), record("a"))], "length_aug")
    asked = []
    data.windows([0, 0, 0], lambda i: asked.append(i) or numpy_rng(i))
    assert sorted(asked) == [BATCH, 0, 1, 2]


def test_shares_of_an_epoch():
    def clip(frames: int, action: str, source: str = "bandai") -> dict:
        return {"start": 0, "stop": frames, "actions": [action], "source": source}

    clips = [clip(300, "walk"), clip(600, "walk"), clip(100, "kick")]
    weights = clip_weights(clips, SPEC)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(2)
    per_frame = weights / (300, 600, 100)
    assert per_frame[2] / per_frame[0] == pytest.approx(9**0.3), "a class nine times rarer"
    clips = [clip(500, "idle", "reactidle"), clip(500, "idle"), clip(500, "stand", "reactidle")]
    weights = clip_weights(clips, SPEC)
    assert weights[0] / weights[1] == pytest.approx(0.15)


def test_weights_belong_to_the_clips_that_were_loaded(tmp_path):
    clips = [(moving(200), record("a")), (moving(30), record("brief")), (moving(400), record("b", "test"))]
    data = loaded(tmp_path, clips, fps=60.0)
    assert data.names == ["a"] and data.weights.tolist() == [1.0] and len(data) == 1
    data = loaded(tmp_path, clips)
    assert data.names == ["a", "brief"] and data.weights.sum() == pytest.approx(1)


def test_labels_are_normalised(tmp_path):
    index = SPEC.actions.index
    assert action_ids(["walking"], SPEC) == action_ids(["walk"], SPEC) == [index("walk")]
    assert action_ids(["jog", "run"], SPEC) == [index("run")]
    assert action_ids([], SPEC) == action_ids(["juggling"], SPEC) == [index("other")]
    assert action_ids(["kata", "kick"], SPEC) == sorted([index("punch"), index("kick")])
    spelt = {name: label.action for name, label in labels.LABELS.items() if label.action}
    assert set(spelt.values()) <= set(SPEC.actions)
    assert not set(spelt) & set(SPEC.actions)
    data = loaded(tmp_path, [(moving(80), record("a", actions=("kick", "walking")))])
    drawn = [int(data.batch([0], lambda i, k=k: numpy_rng(k, i))["action"]) for k in range(60)]
    assert set(drawn) == {index("kick"), index("walk")}
    assert 15 < drawn.count(index("kick")) < 45


def test_labels_of_the_recorded_shards_are_known(shared):
    """Most of the recorded time has a class of its own."""
    frames = {"other": 0, "all": 0}
    for name in ("cmu_actions", "sie", "cmu", "cmu2"):
        with np.load(shared / "data" / f"{name}.npz") as shard:
            meta, start = json.loads(bytes(shard["meta"])), shard["start"]
        for clip, count in zip(meta["clips"], np.diff(start), strict=True):
            frames["all"] += count
            frames["other"] += count * (action_ids(clip["actions"], SPEC) == [SPEC.actions.index("other")])
    assert frames["other"] < 0.25 * frames["all"]


def test_detector_noise_keeps_lost_points_where_they_were():
    points = moving(400)[:, :, :2]
    noisy, confidence = detector_noise(points, numpy_rng(0), 1.0)
    assert noisy.shape == points.shape and confidence.shape == (400, 16) and noisy.dtype == np.float32
    lost = confidence == 0
    assert 0.02 < lost.mean() < 0.1
    assert confidence[~lost].min() >= 0.4 and confidence.max() <= 1
    stays = lost[1:] & lost[:-1]
    np.testing.assert_array_equal((noisy[1:] - noisy[:-1])[stays], 0)
    for joint in range(16):
        edges = np.flatnonzero(np.diff(np.r_[0, lost[:, joint], 0]))
        assert all(stop - start <= 60 for start, stop in edges.reshape(-1, 2))


def test_detector_noise_grows_with_its_strength():
    points = moving(400)[:, :, :2]
    moved = {}
    for strength in (0.5, 1.0, 2.0):
        noisy, confidence = detector_noise(points, numpy_rng(0), strength)
        moved[strength] = np.where(confidence[..., None] > 0, noisy - points, np.nan)
        assert np.nanstd(moved[strength]) == pytest.approx(0.02 * strength * 2**0.5, rel=0.15)
    np.testing.assert_allclose(np.nanmean(moved[1.0] * 2 - moved[2.0]), 0, atol=1e-5)
    both = np.isfinite(moved[1.0]) & np.isfinite(moved[2.0])
    np.testing.assert_allclose(moved[2.0][both], 2 * moved[1.0][both], atol=1e-5)
    gone = [np.isnan(each).mean() for each in moved.values()]
    assert gone[0] < gone[1] < gone[2]
    np.testing.assert_array_equal(detector_noise(points, numpy_rng(0), 0.0)[0], points)


def test_noise_reaches_the_batch_only_where_asked_for(tmp_path):
    clips = [(moving(60), record("a"))]
    clean, noisy = loaded(tmp_path, clips), loaded(tmp_path, clips, detector_noise=1.0)
    batches = [data.batch([0], rng_of) for data in (clean, noisy)]
    difference = (shown(noisy, batches[1]) - shown(clean, batches[0]))[0, :60]
    assert 0.015 < float(difference.std()) < 0.08
    assert set(batches[0]["mask"].unique().tolist()) == {0.0, 1.0}
    assert (batches[1]["mask"] == 0).sum() > (batches[0]["mask"] == 0).sum()
    assert not batches[1]["motion"][0, 60:].any() and not batches[1]["mask"][0, 60:].any()


def test_parts_are_disjoint_and_those_of_the_index(tmp_path):
    clips = [(moving(50, i), record(str(i), "test" if i % 3 == 0 else "train")) for i in range(9)]
    train, test = (loaded(tmp_path, clips, data_split=split) for split in ("train", "test"))
    assert test.names == ["0", "3", "6"] and sorted(train.names + test.names) == [str(i) for i in range(9)]
    assert loaded(tmp_path, clips, data_size=2).names == ["1", "2"]


def told(name: str, *texts: str, split: str = "train") -> dict:
    """What the index says of a clip that has sentences."""
    return record(name, split) | {"texts": list(texts)}


def caption(data: ProjectedDataset, clip: int, share: float, draw: int = 0) -> str:
    """The sentence drawn for a window of a clip, which is mirrored where `share` is below a half."""
    rng = Fixed(mirror=share)
    rng.seed(draw)
    index = int(data.batch([clip], lambda _: rng)["caption"])
    return data.captions[index]


def test_sentences_come_with_the_windows(tmp_path):
    clips = [(moving(90), told("a", "a person waves", "someone waves")), (moving(90, 1), told("b", "a person kicks"))]
    data = loaded(tmp_path, clips)
    batch = data.batch([1, 0, 1], rng_of)
    assert batch["caption"].shape == (3,) and batch["caption"].dtype == torch.int64
    assert [data.captions[i] for i in batch["caption"].tolist()[::2]] == ["a person kicks"] * 2
    drawn = [caption(data, 0, 0.9, draw) for draw in range(40)]
    assert set(drawn) == {"a person waves", "someone waves"} and 8 < drawn.count("someone waves") < 32
    again = data.batch([1, 0, 1], rng_of)
    assert torch.equal(again["caption"], batch["caption"])


def test_a_mirrored_window_has_the_mirrored_sentence(tmp_path):
    data = loaded(tmp_path, [(moving(90), told("a", "a person waves the left hand"))], "mirror_aug")
    assert caption(data, 0, 0.9) == "a person waves the left hand"
    assert caption(data, 0, 0.1) == "a person waves the right hand"
    unmoved = loaded(tmp_path, [(moving(90), told("a", "a person waves the left hand"))])
    assert caption(unmoved, 0, 0.1) == "a person waves the left hand"


def test_sentences_change_nothing_else(tmp_path):
    """Old folders and new ones give the same windows of a seed."""
    bare = [(moving(300 + i, i), record(str(i))) for i in range(3)]
    said = [(motion, clip | {"texts": [f"number {i}", "a person"]}) for i, (motion, clip) in enumerate(bare)]
    one, other = (
        loaded(tmp_path, clips, *ALL_VARIATIONS, detector_noise=1.0).batch([2, 0, 1], rng_of) for clips in (bare, said)
    )
    assert set(other) - set(one) == {"caption"}
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_models_that_are_told_sentences_need_one_for_each_clip(tmp_path):
    mixed = [(moving(90), told("a", "a person waves")), (moving(90, 1), record("b")), (moving(90, 2), record("c"))]
    assert loaded(tmp_path, mixed).batch([1, 0], rng_of)["caption"].tolist() == [-1, 0]
    for clips in (mixed, mixed[1:]):
        with pytest.raises(MissingFileError, match=r"without sentences in its train part.*prepare.mocap --output_dir"):
            loaded(tmp_path, clips, cond="text")
    assert loaded(tmp_path, mixed[:1], cond="text").captions == ["a person waves"]


def test_sentences_are_read_without_the_motion(tmp_path):
    clips = [(moving(90), told("a", "one", "two")), (moving(500, 1), told("b", "three", split="test"))]
    options = write_folder(tmp_path / "data", clips, 30.0)
    (tmp_path / "data" / "positions.npy").unlink()
    assert read_captions(SPEC, options.datapath, "train") == [("one", 60), ("two", 60)]
    assert read_captions(SPEC, options.datapath, "test") == [("three", WINDOW[1])]
    with pytest.raises(MissingFileError, match="val part.*prepare.mocap"):
        read_captions(SPEC, options.datapath, "val")


def test_refusals_say_what_mends_them(tmp_path):
    options = DataOptions(dataset="mocap2d", datapath=str(tmp_path))
    with pytest.raises(MissingFileError, match=r"index.json.*prepare.mocap"):
        projections.load(SPEC, options)
    with pytest.raises(MissingFileError, match="dataset/mocap2d"):
        projections.load(dataclasses.replace(SPEC, defaults={"datapath": "./none/dataset/mocap2d"}), DataOptions())
    points = moving(60)
    points[7, 3, 1] = np.nan
    with pytest.raises(DataError, match="NaN"):
        loaded(tmp_path, [(points, record("a"))])
    with pytest.raises(DataError, match="no test clip"):
        loaded(tmp_path, [(moving(60), record("a"))], data_split="test")
    with pytest.raises(DataError, match="no train clip of at least 20 frames"):
        loaded(tmp_path, [(moving(20), record("a"))])
    with pytest.raises(UsageError, match="scale_aug.*facing_aug"):
        loaded(tmp_path, [(moving(60), record("a"))], "scale_aug")
    for size in (0, -1):
        with pytest.raises(UsageError, match="data_size"):
            loaded(tmp_path, [(moving(60), record("a"))], data_size=size)


def test_another_skeleton_is_refused(tmp_path):
    people = np.zeros((60, 22, 3), np.float32)
    packed.write(tmp_path / "data", [(people, record("a"))], 30, "smpl22", overwrite=True)
    with pytest.raises(DataError, match="smpl22, not nba"):
        projections.load(SPEC, DataOptions(dataset="mocap2d", datapath=str(tmp_path / "data")))
