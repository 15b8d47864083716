"""A clip and its mirror image are in one part, whatever they are called."""

import numpy as np

from data_loaders.common import packed
from data_loaders.common.splits import alike, held_out, names_of_part, together
from tests.commands import run
from utils.geometry.skeleton import SKELETONS

MIRROR = SKELETONS["smpl22"].mirror


def clips(count: int, frames: int = 30) -> list[np.ndarray]:
    chance = np.random.RandomState(0)
    return [chance.normal(size=(frames, 22, 3)).cumsum(0).astype(np.float32) * 0.02 + 1 for _ in range(count)]


def mirrored(clip: np.ndarray) -> np.ndarray:
    """The other side of a clip, somewhere else and turned."""
    x, y, z = np.moveaxis(clip[:, list(MIRROR)], -1, 0)
    return np.stack((0.6 * x + 0.8 * z + 3, y, 0.8 * x - 0.6 * z - 1), -1)


def test_mirror_images_and_copies_are_found():
    a, b, c, d = clips(4)
    assert alike([a, b, mirrored(a), c, d, c, a], MIRROR) == [[0, 2, 6], [3, 5]]
    assert alike([a, a[1:], b, a[:, list(MIRROR)] + (0, 0.01, 0), np.empty((0, 22, 3))], MIRROR) == []


def test_one_part_for_all_of_a_group():
    parts = ["train", "val", "train", "test", "val"]
    assert together(parts, [[1, 2], [0, 4]], [False] * 5) == ["train", "val", "val", "test", "train"]
    assert together(parts, [[2, 3], [0, 4]], [False, False, False, True, False])[2:4] == ["test", "test"]


def test_a_name_with_m_goes_with_its_original(tmp_path):
    names = [f"{number:06d}" for number in range(60)]
    both = [*names, *(f"M{name}" for name in names), "Mike"]
    test = set(names_of_part(both, tmp_path, "test"))
    assert test - {"Mike"} == {prefix + name for name in names if held_out(name) for prefix in ("", "M")} and test
    assert ("Mike" in test) == held_out("Mike")


def test_whole_commands_keep_pairs_together(tmp_path):
    (tmp_path / "in").mkdir()
    for number, clip in enumerate(clips(30, 50)):
        np.save(tmp_path / "in" / f"a_{number:02d}.npy", clip)
        np.save(tmp_path / "in" / f"z_{number:02d}.npy", mirrored(clip))
    run(
        "prepare.humanml",
        "--sources",
        tmp_path / "in",
        "--output_dir",
        tmp_path / "out",
        "--test_share 0.3 --val_share 0.4",
    )
    parts = {part: set((tmp_path / "out" / f"{part}.txt").read_text().split()) for part in ("train", "val", "test")}
    for members in parts.values():
        assert {f"npy_z_{name[-2:]}" for name in members if name.startswith("npy_a")} <= members and members


def test_the_runs_of_the_sie_shard(shared, tmp_path):
    """Of its 50 clips 46 are mirror images of each other; validation takes whole pairs."""
    run(
        "prepare.humanml",
        "--sources",
        shared / "data" / "sie.npz",
        "--output_dir",
        tmp_path,
        "--overwrite --val_share 0.4",
    )
    side = {name: part for part in ("train", "val") for name in (tmp_path / f"{part}.txt").read_text().split()}
    pairs = [("run_left00", "run_right07"), ("run_left14", "run_right06"), ("run_forward00", "run_forward01")]
    for pair in pairs:
        assert len({side[f"sie_sie_humanoid3d_{name}"] for name in pair}) == 1
    assert set(side.values()) == {"train", "val"}
    run("prepare.mocap", "--sources", shared / "data" / "sie.npz", "--output_dir", tmp_path / "flat")
    assert "told_test" not in packed.read(tmp_path / "flat").clips[0]
