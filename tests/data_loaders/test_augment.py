"""Variations of a motion: the published numbers, the published windows, and clips that are too short for them."""

import numpy as np
import pytest

from data_loaders.points import keypoints as base
from data_loaders.points.augment import crop_window
from data_loaders.registry import DATASETS
from utils.run.randomness import numpy_rng


class RecordedNormals(np.random.RandomState):
    def __init__(self, *draws):
        super().__init__()
        self.draws = list(draws)

    def normal(self, loc=0.0, scale=1.0, size=None):
        assert (loc, scale) == (0, (0.1, 0.2)[2 - len(self.draws)])
        return self.draws.pop(0).reshape(tuple(size or ()))


def test_scale_then_shift_as_published(golden):
    recorded = np.load(golden / "mas" / "aug_scale_shift_horse.npz")
    spec = DATASETS["horse"]
    mean, std = base.load_stats(spec, golden)
    motion = recorded["motion_in"]
    data = base.PointDataset(
        spec, ["one"], [motion], [np.ones((10, 17), np.float32)], mean, std, ("shift_aug", "scale_aug"), 0.1, 0.2
    )
    result, _ = data.item(0, RecordedNormals(recorded["scale_normal"], recorded["shift_normal"]))
    np.testing.assert_allclose(result, recorded["motion_out"], atol=1e-5)
    assert result.dtype == np.float32


@pytest.mark.parametrize("name", ["horse", "gymnastics"])
def test_windows_are_as_long_as_published(name):
    span = DATASETS[name].crop
    assert span is not None
    rng = numpy_rng("windows")
    windows = [crop_window(700, span, rng) for _ in range(500)]
    lengths = [window.stop - window.start for window in windows]
    assert span[0] <= min(lengths) and max(lengths) < span[1]
    assert min(lengths) < span[0] + 20 and max(lengths) > span[1] - 20
    assert all(window.start >= 0 and window.stop <= 700 for window in windows)


def test_without_a_span_more_than_half_is_kept():
    rng = numpy_rng("halves")
    windows = [crop_window(20, None, rng) for _ in range(300)]
    assert {window.stop - window.start for window in windows} == set(range(11, 21))


@pytest.mark.parametrize("length", [1, 2, 80, 89])
def test_short_clips_are_kept_whole_instead_of_hanging(length):
    assert crop_window(length, (90, 600), numpy_rng(0)) == slice(0, length)
    window = crop_window(length, None, numpy_rng(0))
    assert length // 2 < window.stop - window.start <= length
