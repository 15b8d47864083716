"""Paths that feet tell: recorded walks, robbed of theirs, go as far again; who stands, stands; who jumps, flies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from body.motion.root_path import anchored
from tests.people import standing_smpl22
from utils.formats import shards
from utils.geometry import human
from utils.geometry.contacts import feet_contacts
from utils.geometry.joint_maps import to_smpl
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError

SMPL22, NBA = SKELETONS["smpl22"], SKELETONS["nba"]


def clip(positions: np.ndarray, fps: float = 30) -> Motion:
    return Motion(np.asarray(positions, np.float32), fps, SMPL22.joints, SMPL22.parents)


def errors(motions: list[Motion], words: tuple[str, ...], ankles_only: bool = False, most: int = 12) -> list[float]:
    """How far the end of each recovered path is from its true end, as a share of the way gone."""
    found = []
    for motion in motions:
        way = motion.positions[-1, 0, [0, 2]] - motion.positions[0, 0, [0, 2]]
        if not any(word in " ".join(motion.meta["actions"]) for word in words) or np.linalg.norm(way) < 2:
            continue
        centred = replace(motion, positions=motion.positions - motion.positions[:, :1])
        if ankles_only:
            points = human.to_nba16(motion.positions, motion.rotations)
            centred = Motion(points - points[:, :1], motion.fps, NBA.joints, NBA.parents)
        path = anchored(centred).positions[:, 0]
        end = path[-1, [0, 2]] - path[0, [0, 2]]
        found.append(float(np.linalg.norm(end - way) / np.linalg.norm(way)))
        if len(found) == most:
            break
    return found


@pytest.mark.parametrize(
    ("shard", "words", "ankles_only", "most"),
    [("cmu", ("walk",), False, 0.12), ("cmu", ("walk",), True, 0.15), ("sie", ("run",), False, 0.13)],
)
def test_recorded_paths_come_back(shared: Path, shard: str, words: tuple[str, ...], ankles_only: bool, most: float):
    found = errors(list(shards.read(shared / f"data/{shard}.npz")), words, ankles_only)
    assert len(found) >= 5 and np.mean(found) < most


def test_who_stands_stays(shared: Path):
    rng = np.random.RandomState(0)
    points = np.repeat(standing_smpl22()[None], 60, 0)
    points[:, 16:] += 0.2 * np.sin(np.arange(60) / 5)[:, None, None]
    points += rng.normal(0, 0.002, points.shape)
    path = anchored(clip(points - points[:, :1])).positions[:, 0]
    assert np.abs(path[:, [0, 2]]).max() < 0.03 and np.ptp(path[:, 1]) < 0.02


def test_who_sways_over_standing_feet_keeps_them_in_place():
    sway = 0.15 * np.sin(np.arange(90) / 9)[:, None] * (1, 0, 0.3)
    points = np.repeat(standing_smpl22()[None], 90, 0)
    upper = [joint for joint in range(22) if SMPL22.joints[joint].split("_")[-1] not in ("ankle", "foot")]
    points[:, upper] += sway[:, None]
    found = anchored(clip(points - points[:, :1])).positions
    feet = found[:, [7, 8, 10, 11]]
    assert np.abs(feet - feet.mean(0)).max() < 0.02
    np.testing.assert_allclose(found[:, 0] - found[:1, 0], sway - sway[0], atol=0.02)


def test_a_jump_with_legs_drawn_up_flies():
    """Pushed off within 0.25 s to 2.5 m/s: 0.51 s in the air, 32 cm high, in which the feet come up under the hips."""
    fps, gravity, speed = 60, 9.81, 2.5
    push = np.cumsum(np.linspace(0, speed, 15)) / fps
    time = np.arange(1, round(2 * speed / gravity * fps)) / fps
    flight = push[-1] + speed * time - gravity * time**2 / 2
    hips = np.concatenate([np.zeros(20), push, flight, push[::-1], np.zeros(20)])
    air = slice(35, 35 + len(time))
    points = np.repeat(standing_smpl22()[None], len(hips), 0)
    feet = points[:, [7, 8, 10, 11], 1]
    feet[air] += (flight - push[-1] + 0.3 * np.sin(np.pi * np.arange(len(time)) / len(time)) ** 2)[:, None]
    points[..., 1] += hips[:, None] - push[-1]
    points[:, [7, 8, 10, 11], 1] = feet
    found = anchored(clip(points - points[:, :1], fps)).positions
    height = found[:, 0, 1] - found[0, 0, 1]
    assert 0.5 * 0.32 < height.max() - push[-1] < 1.1 * 0.32, "a take-off that ends at once is told a little too slow"
    assert found[35 + len(time) // 2, [10, 11], 1].min() > 0.4
    np.testing.assert_allclose(height[:35], hips[:35], atol=0.02)
    np.testing.assert_allclose(height[-35:], hips[-35:], atol=0.02)


def test_lowest_feet_are_on_the_floor_and_ankles_without_toes_above_it():
    points = np.repeat(standing_smpl22()[None], 20, 0)
    whole = anchored(clip(points + (3, 2, 1))).positions
    assert abs(whole[:, [10, 11], 1]).max() < 1e-3 and np.abs(whole[0, [1, 2]].mean(0)[[0, 2]]).max() < 1e-5
    seen = to_smpl(Motion(human.to_nba16(points.astype(np.float32)) / 0.75, 30, NBA.joints, NBA.parents)).motion
    np.testing.assert_allclose(anchored(seen).positions[:, [7, 8], 1], 0.08, atol=2e-3)


def test_feet_of_an_anchored_walk_rest(shared: Path):
    motion = next(c for c in shards.read(shared / "data/cmu.npz") if c.name == "02_01")
    found = anchored(replace(motion, positions=motion.positions - motion.positions[:, :1]))
    contacts = feet_contacts(found.positions, found.fps, ((7, 10), (8, 11)))
    assert contacts.any(1).mean() > 0.8


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_clips(frames: int):
    points = np.repeat(standing_smpl22()[None], frames, 0)
    assert np.isfinite(anchored(clip(points)).positions).all()


def test_who_has_no_feet_is_refused():
    with pytest.raises(DataError, match="--root centred"):
        anchored(Motion(np.zeros((3, 2, 3), np.float32), 30, ("a", "b"), (-1, 0)))
