"""Packed shards: decoding by hand and against forward kinematics of recorded motion, and files that are none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.formats import shards
from utils.geometry.kinematics import bone_lengths, forward
from utils.geometry.rotations import axis_angle_to_matrix
from utils.run.errors import DataError, MissingFileError

QUANTUM, TURN = np.float32(0.0005), np.float32(1 / 1024)
JOINTS, PARENTS = ("pelvis", "spine1", "neck"), (-1, 0, 1)
TREE = {"joints": JOINTS, "parents": PARENTS, "fps": 30, "licence": "CC0", "credit": "nobody"}


def second_differences(values: np.ndarray) -> np.ndarray:
    """Whole numbers [N, C] as int16 second differences [C, N], with wrap-around."""
    before = np.concatenate([np.zeros((2, values.shape[1]), np.int64), values.astype(np.int64)])
    return (before[2:] - 2 * before[1:-1] + before[:-2]).astype(np.int16).T


def write_shard(path: Path, lengths=(7, 5), rotate: bool = True, **changes) -> tuple[np.ndarray, np.ndarray]:
    """A shard of random motion; its positions [N, 3, 3] and axis-angles [N, 3, 3] as they are stored."""
    rng, frames = np.random.RandomState(0), sum(lengths)
    points = np.cumsum(rng.randint(-90, 90, (frames, 3, 3)), axis=0)
    turns = rng.randint(-3000, 3000, (frames, 3, 3))
    offsets = points.copy()
    offsets[:, 1:] -= points[:, :1]
    clips = [{"name": f"clip{i}", "actions": ["walk"], "split": "train"} for i in range(len(lengths))]
    content = {
        "start": np.cumsum((0, *lengths)).astype(np.int32),
        "pos_dd": second_differences(offsets.reshape(frames, -1)),
        "pos_quantum": QUANTUM,
        "meta": np.frombuffer(json.dumps(TREE | {"clips": clips}).encode(), np.uint8),
    }
    if rotate:
        content |= {"rot_dd": second_differences(turns.reshape(frames, -1)), "rot_quantum": TURN}
    content = {name: value for name, value in (content | changes).items() if value is not None}
    np.savez_compressed(path, **content)
    return points * QUANTUM, turns * TURN


def test_what_was_packed_comes_back_clip_by_clip(tmp_path):
    points, turns = write_shard(tmp_path / "a.npz")
    clips = list(shards.read(tmp_path / "a.npz"))
    assert [clip.name for clip in clips] == ["clip0", "clip1"] and [len(clip.positions) for clip in clips] == [7, 5]
    np.testing.assert_allclose(np.concatenate([clip.positions for clip in clips]), points, atol=1e-5)
    matrices = axis_angle_to_matrix(torch.from_numpy(turns)).numpy()
    np.testing.assert_allclose(np.concatenate([clip.rotations for clip in clips]), matrices, atol=1e-5)
    for clip in clips:
        assert (clip.joints, clip.parents, clip.fps) == (JOINTS, PARENTS, 30) and clip.positions.dtype == np.float32
        assert clip.meta["split"] == "train" and clip.meta["licence"] == "CC0" and clip.meta["actions"] == ["walk"]


def test_wrap_around_of_the_second_differences_is_meant(tmp_path):
    """Between two clips a joint may jump further than int16 second differences reach; it still lands where it was."""
    points = np.zeros((4, 1), np.int64)
    points[2:] = 30000
    points[3:] = -30000
    assert np.abs(np.diff(points, 2, axis=0)).max() > 2**15
    np.testing.assert_array_equal(shards._integrate(second_differences(points)), points)


def test_positions_alone(tmp_path):
    write_shard(tmp_path / "a.npz", rotate=False)
    assert all(clip.rotations is None for clip in shards.read(tmp_path / "a.npz"))


@pytest.mark.parametrize("name", ["sie", "cmu_actions"])
def test_recorded_motion_is_what_its_rotations_and_rest_pose_say(shared, name):
    path = shared / "data" / f"{name}.npz"
    with np.load(path) as content:
        rest, rows = torch.from_numpy(content["rest"]), content["skel"]
    frames = 0
    for clip, row in zip(shards.read(path), rows, strict=True):
        assert clip.fps == 30 and np.isfinite(clip.positions).all()
        positions = torch.from_numpy(clip.positions)
        local = torch.from_numpy(clip.rotations).float()
        found, _ = forward(local, rest[row], clip.parents, positions[:, 0])
        assert (found - positions).norm(dim=-1).max() < 0.0021
        if len(clip.positions) > 1:
            bones = bone_lengths(positions, clip.parents)
            assert (bones - bones.mean(0)).abs().max() < 0.002
        assert clip.positions[..., 1].min() > -0.3 and clip.positions[..., 1].max() < 3.5
        frames += len(clip.positions)
    assert frames > 5000


def test_recorded_people_face_where_they_walk(shared):
    """At identity the left hip is on +x: positions and axes are right-handed."""
    walks = [clip for clip in shards.read(shared / "data" / "cmu_actions.npz") if clip.meta["actions"] == ["walking"]]
    ahead = []
    for clip in walks:
        root, left = clip.positions[:, 0], clip.positions[:, clip.joints.index("left_hip")]
        facing = clip.rotations[:, 0, :, 2]
        assert (np.cross(facing, left - root)[:, 1] > 0).mean() > 0.95
        ahead.append((np.diff(root, axis=0) * facing[1:]).sum(-1).mean() * clip.fps)
    assert np.median(ahead) > 0.5 and (np.array(ahead) > 0).mean() > 0.9, "metres a second; a few walk backward"


def _meta(**changes) -> np.ndarray:
    tree = TREE | {"clips": [{"name": "a"}, {"name": "b"}]} | changes
    return np.frombuffer(json.dumps({k: v for k, v in tree.items() if v is not None}).encode(), np.uint8)


@pytest.mark.parametrize(
    "changes",
    [
        {"meta": None},
        {"meta": np.frombuffer(b"{", np.uint8)},
        {"meta": np.frombuffer(b"[]", np.uint8)},
        {"meta": np.frombuffer(b"\xff\xfe", np.uint8)},
        {"meta": _meta(fps=None)},
        {"meta": _meta(clips=None)},
        {"meta": _meta(clips=[{"name": "only one"}])},
        {"meta": _meta(clips=[{}, {}])},
        {"meta": _meta(clips=["a", "b"])},
        {"meta": _meta(parents=None)},
        {"meta": _meta(parents=[-1, 0])},
        {"meta": _meta(joints=["a", "b"], parents=[-1, 0])},
        {"start": np.array([0, 7, 99], np.int32)},
        {"start": np.array([0, 14, 12], np.int32)},
        {"start": np.array([], np.int32)},
        {"start": np.array([[0, 12]], np.int32)},
        {"pos_dd": np.zeros((9, 11), np.int16)},
        {"pos_dd": np.zeros(9, np.int16)},
        {"rot_dd": np.zeros((7, 12), np.int16)},
        {"rot_quantum": None},
        {"pos_quantum": np.float32(np.nan)},
    ],
)
def test_shards_that_do_not_add_up(tmp_path, changes):
    write_shard(tmp_path / "a.npz", **changes)
    with pytest.raises(DataError, match="a.npz"):
        list(shards.read(tmp_path / "a.npz"))


def test_files_that_are_no_shards(tmp_path):
    with pytest.raises(MissingFileError, match="none.npz"):
        list(shards.read(tmp_path / "none.npz"))
    path = tmp_path / "a.npz"
    write_shard(path)
    whole = path.read_bytes()
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", start=np.array([{}], dtype=object))
    contents = [b"", b"no archive", whole[: len(whole) // 2], whole[:40], whole[:-30]]
    contents += [(tmp_path / name).read_bytes() for name in ("array.npy", "objects.npz")]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(DataError, match="a.npz"):
            list(shards.read(path))


def test_damaged_shards_end_in_a_sentence_or_in_motion(tmp_path):
    path = tmp_path / "a.npz"
    write_shard(path)
    whole, rng = np.frombuffer(path.read_bytes(), np.uint8), np.random.RandomState(0)
    refused = 0
    for _ in range(200):
        changed = whole.copy()
        changed[rng.randint(len(whole), size=rng.randint(1, 4))] ^= np.uint8(1 << rng.randint(8))
        path.write_bytes(changed.tobytes())
        try:
            assert all(np.isfinite(clip.positions).all() for clip in shards.read(path))
        except DataError:
            refused += 1
    assert refused > 100
