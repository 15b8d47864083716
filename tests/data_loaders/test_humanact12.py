"""HumanAct12: what is read of the published file, how windows are cut, and bad input said in one sentence."""

import dataclasses
import os
import pickle

import numpy as np
import pytest
import torch

from data_loaders.action import humanact12
from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec, load_dataset
from data_loaders.representations import rot6d
from tests.toys import humanact12_folder
from utils.geometry.rest import rest_offsets
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.randomness import numpy_rng

SPEC = dataset_spec("humanact12")


def rng_of(position: int) -> np.random.RandomState:
    return numpy_rng("test", position)


def published(folder) -> dict:
    """What the file of a folder holds."""
    return pickle.loads((folder / "humanact12poses.pkl").read_bytes())


def test_a_batch(tmp_path):
    data = load_dataset(SPEC, humanact12_folder(tmp_path, clips=14))
    assert len(data) == 14 and data.weights is None and data.captions == [] and data.actions == SPEC.actions
    assert data.mean.tolist() == [0] * 150 and data.std.tolist() == [1] * 150
    batch = data.batch([13, 2, 5], rng_of)
    assert {name: (tuple(value.shape), value.dtype) for name, value in batch.items()} == {
        "motion": ((3, 60, 150), torch.float32),
        "mask": ((3, 60, 1), torch.float32),
        "lengths": ((3,), torch.int64),
        "action": ((3,), torch.int64),
        "caption": ((3,), torch.int64),
    }
    assert batch["mask"].all() and batch["lengths"].tolist() == [60] * 3
    assert batch["action"].tolist() == [1, 2, 5] and batch["caption"].tolist() == [-1] * 3
    assert batch["motion"].isfinite().all()


@pytest.mark.parametrize("num_frames", [None, 20])
def test_a_window_is_what_the_file_holds(tmp_path, num_frames):
    options = dataclasses.replace(humanact12_folder(tmp_path), num_frames=num_frames)
    data, content = humanact12.load(SPEC, options), published(tmp_path)
    starts = set()
    for index, stored in enumerate(content["joints3D"]):
        window = data.window(index, rng_of(index))
        assert len(window) == (num_frames or 60) and window[-1] < len(stored)
        whole = np.arange(len(window)) + window[0]
        assert window.tolist() == np.minimum(whole, len(stored) - 1).tolist()
        starts.add(window[0])
        motion = data.batch([index], lambda _, i=index: rng_of(i))["motion"][0]
        assert not motion[0, 144:].any(), "the translation counts from the window's first frame"
        joints = rot6d.decode(motion, rest_offsets())
        np.testing.assert_allclose(joints, stored[window] - stored[window[0], 0], atol=1e-5)
    assert len(starts) > 5


def test_windows_begin_anywhere_and_short_clips_rest_on_their_last_frame(tmp_path):
    data = humanact12.load(SPEC, humanact12_folder(tmp_path, clips=1, frames=(63, 63)))
    starts = [int(data.window(0, numpy_rng("start", i))[0]) for i in range(60)]
    assert set(starts) == {0, 1, 2, 3}
    data = humanact12.load(SPEC, humanact12_folder(tmp_path, clips=1, frames=(45, 45)))
    motion = data.batch([0], rng_of)["motion"][0]
    assert (motion[44:] == motion[44]).all() and (motion[43] != motion[44]).any()
    data = humanact12.load(SPEC, humanact12_folder(tmp_path, clips=1, frames=(60, 60)))
    assert data.window(0, rng_of(0)).tolist() == list(range(60))


def test_a_sample_depends_on_its_own_draws_only(tmp_path):
    data = humanact12.load(SPEC, humanact12_folder(tmp_path, frames=(70, 90)))
    pair = data.batch([4, 7], rng_of)
    alone = data.batch([7], lambda _: rng_of(1))
    torch.testing.assert_close(pair["motion"][1], alone["motion"][0], rtol=0, atol=1e-6)
    assert not torch.equal(alone["motion"], data.batch([7], lambda _: rng_of(2))["motion"])


def test_there_is_one_part_and_a_fair_share_of_it(tmp_path):
    options = humanact12_folder(tmp_path, clips=24)
    for split in ("train", "val", "test"):
        assert len(humanact12.load(SPEC, dataclasses.replace(options, data_split=split))) == 24
    some = humanact12.load(SPEC, dataclasses.replace(options, data_size=8))
    assert [clip.label for clip in some.clips] == [0, 3, 6, 9, 0, 3, 6, 9]
    assert len(humanact12.load(SPEC, dataclasses.replace(options, data_size=100))) == 24


def test_a_missing_file_says_where_it_comes_from(tmp_path):
    with pytest.raises(MissingFileError, match=r"humanact12poses\.pkl does not exist; dataset/README\.md says where"):
        humanact12.load(SPEC, DataOptions(dataset="humanact12", datapath=str(tmp_path)))


def test_variations_are_refused(tmp_path):
    options = dataclasses.replace(humanact12_folder(tmp_path), data_augmentations=("mirror_aug",))
    with pytest.raises(UsageError, match="humanact12 cannot be varied by mirror_aug"):
        humanact12.load(SPEC, options)


def with_clip(content: dict, name: str, value) -> dict:
    """The content with clip 3 of a list replaced."""
    return content | {name: [*content[name][:3], value, *content[name][4:]]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: [content], "must hold a dict of the lists poses, joints3D, y"),
        (lambda content: {"poses": content["poses"]}, "must hold a dict of the lists"),
        (lambda content: {name: [] for name in content}, "holds no clips"),
        (lambda content: content | {"y": [1]}, "different lengths: 24 poses, 24 joints3D, 1 y"),
        (lambda content: with_clip(content, "poses", None), "poses of clip 3 is not an array but NoneType"),
        (
            lambda content: with_clip(content, "poses", np.zeros((9, 69))),
            r"clip 3: the poses are \[frames, 72\] floats",
        ),
        (lambda content: with_clip(content, "poses", np.zeros((9, 72))), "clip 3 has 9 frames of poses and"),
        (lambda content: with_clip(content, "poses", content["poses"][3] * np.nan), "clip 3: the poses are not finite"),
        (lambda content: with_clip(content, "poses", np.zeros((0, 72))), "clip 3 has 0 frames of poses"),
        (
            lambda content: with_clip(content, "joints3D", np.zeros((9, 3))),
            r"clip 3: the joints are \[frames, 1 or mor",
        ),
        (lambda content: with_clip(content, "y", 12), "clip 3: the action is 12, not a number from 0 to 11"),
        (lambda content: with_clip(content, "y", "walk"), "clip 3: the action is 'walk'"),
    ],
)
def test_bad_input_is_named(tmp_path, change, reason):
    options = humanact12_folder(tmp_path)
    (tmp_path / "humanact12poses.pkl").write_bytes(pickle.dumps(change(published(tmp_path))))
    with pytest.raises(DataError, match=reason) as caught:
        humanact12.load(SPEC, options)
    assert "humanact12poses.pkl" in str(caught.value)


class _Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def test_a_hostile_file_runs_nothing(tmp_path):
    options, bait = humanact12_folder(tmp_path), tmp_path / "bait"
    content = published(tmp_path) | {"extra": _Hostile(str(bait))}
    (tmp_path / "humanact12poses.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="is not a readable pickle: it asks for"):
        humanact12.load(SPEC, options)
    assert not bait.exists()
