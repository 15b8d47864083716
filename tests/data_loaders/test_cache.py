"""The cache: what is kept comes back, until a file behind it changes or the cache is damaged."""

import os
import zipfile

import numpy as np
import pytest

from data_loaders.common import cache


def arrays() -> dict[str, np.ndarray]:
    return {
        "large": np.arange(3 * cache.MAPPED // 4, dtype=np.float32).reshape(-1, 12),
        "small": np.array([3, 1, 2]),
        "told": np.frombuffer(b'{"names": []}', np.uint8),
        "none": np.zeros((0, 4), np.float32),
    }


def test_what_is_kept_comes_back(tmp_path):
    cache.write(tmp_path, "train", "k1", arrays())
    found = cache.read(tmp_path, "train", "k1")
    assert found is not None and found.keys() == arrays().keys()
    for name, value in arrays().items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype and found[name].shape == value.shape
    assert isinstance(found["large"], np.memmap) and not isinstance(found["small"], np.memmap)
    assert not found["large"].flags.writeable
    assert cache.read(tmp_path, "train", "k2") is None and cache.read(tmp_path, "test", "k1") is None


def test_a_new_key_replaces_the_part_alone(tmp_path):
    cache.write(tmp_path, "test", "k1", arrays())
    for key in ("k1", "k2"):
        cache.write(tmp_path, "train", key, arrays())
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["test-k1.npz", "train-k2.npz"]


def test_keys_follow_names_sizes_times_and_parameters(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        path.write_text("x")
        os.utime(path, ns=(10**18, 10**18))
    key = cache.key_of([one, two], 20)
    assert key == cache.key_of([one, two], 20)
    assert len({key, cache.key_of([two, one], 20), cache.key_of([one], 20), cache.key_of([one, two], 12.5)}) == 4
    os.utime(two, ns=(10**18, 10**18 + 1))
    later = cache.key_of([one, two], 20)
    two.write_text("xy")
    os.utime(two, ns=(10**18, 10**18 + 1))
    longer = cache.key_of([one, two], 20)
    two.unlink()
    assert len({key, later, longer, cache.key_of([one, two], 20)}) == 4


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "squeezed", "flipped"])
def test_a_damaged_cache_counts_for_nothing(tmp_path, damage):
    cache.write(tmp_path, "train", "k", arrays())
    path = tmp_path / "cache" / "train-k.npz"
    whole = path.read_bytes()
    if damage == "squeezed":
        np.savez_compressed(path, **arrays())
        found = cache.read(tmp_path, "train", "k")
        assert found is not None
        np.testing.assert_array_equal(found["large"], arrays()["large"])
        return
    place = whole.rindex(b'"names"')
    flipped = whole[:place] + b"#" + whole[place + 1 :]
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"no", "empty": b"", "flipped": flipped}[damage])
    assert cache.read(tmp_path, "train", "k") is None


def test_objects_are_refused(tmp_path):
    (tmp_path / "cache").mkdir()
    np.savez(tmp_path / "cache" / "train-k.npz", told=np.array([{}, []], dtype=object))
    assert cache.read(tmp_path, "train", "k") is None


def test_nothing_is_kept_where_nothing_can_be(tmp_path):
    (tmp_path / "cache").write_text("a file is in the way")
    cache.write(tmp_path, "train", "k", arrays())
    assert (tmp_path / "cache").read_text() == "a file is in the way"
    cache.write(tmp_path / "nowhere", "train", "k", arrays())
    assert not (tmp_path / "nowhere").exists()


def test_the_file_is_an_ordinary_archive(tmp_path):
    cache.write(tmp_path, "train", "k", arrays())
    with np.load(tmp_path / "cache" / "train-k.npz", allow_pickle=False) as content:
        np.testing.assert_array_equal(content["large"], arrays()["large"])
    with zipfile.ZipFile(tmp_path / "cache" / "train-k.npz") as archive:
        assert archive.testzip() is None
