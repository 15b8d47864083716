"""Sentences about windows of clips: which windows, what is said of them, and of their mirror images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.captioner.detect import phases_of
from data_loaders.captioner.phases import Phase
from data_loaders.captioner.plans import from_rows, plan_of
from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec
from data_loaders.representations import hml
from data_loaders.text.humanml import load
from data_loaders.texts import mirrored, read_lines
from prepare.text.windows import LENGTHS, Told, told_of, windows_of, with_rare_ones
from tests.people import SMPL
from tests.prepare.test_humanml import person, run

FPS = 20.0


@pytest.mark.parametrize("frames", [10, 37, 40, 45, 80, 121, 500])
def test_windows_cover_a_clip(frames):
    windows = windows_of(frames, FPS)
    seen = {frame for first, length in windows for frame in range(first, first + length)}
    assert all(first >= 0 and first + length <= frames and length % 4 == 0 for first, length in windows)
    assert len(seen) >= frames // 4 * 4 and len(windows) == len(set(windows))
    if frames >= 120:
        assert {length for _, length in windows} == {round(FPS * seconds) for seconds in LENGTHS}


@pytest.mark.parametrize("fps", [0.5, 1.0, 1.5])
def test_windows_at_slow_rates_have_frames_and_come_once(fps: float):
    windows = windows_of(30, fps)
    assert windows and all(length >= 4 for _, length in windows) and len(windows) == len(set(windows))
    assert told_of(person(30, speed=0.5, fps=fps), {"actions": ["walk"]}, "slow", fps).windows


def both_ways() -> np.ndarray:
    """Somebody who glides ahead for four seconds, and then back as far."""
    ahead = person(81, speed=1.2)
    return np.concatenate([ahead, ahead[-2::-1]])


def still(frames: int, left: np.ndarray | float = 0.0) -> np.ndarray:
    """Somebody who stands, arms hanging, the left one raised ahead by so many radians."""
    points = person(frames, speed=0.0)
    for side, lift in (("left", left), ("right", 0.0)):
        angle = np.broadcast_to(lift, frames)
        way = np.stack((0 * angle, -np.cos(angle), np.sin(angle)), axis=-1)
        for joint, reach in (("elbow", 0.28), ("wrist", 0.53)):
            points[:, SMPL.index(f"{side}_{joint}")] = points[:, SMPL.index(f"{side}_shoulder")] + reach * way
    return points


def test_what_lies_outside_of_a_window_is_not_said():
    record = {"actions": ["walk"], "texts": []}
    lines = told_of(both_ways(), record, "to and fro", FPS).lines
    early = " ".join(line.caption for line in lines if line.end <= 4)
    late = " ".join(line.caption for line in lines if line.start >= 4.1)
    assert "forward" in early and "back" not in early
    assert "back" in late


def test_sentences_about_all_parts_are_said_where_all_are_seen():
    parts = [{"labels": ["walk"], "start": 0.0, "end": 4.0}, {"labels": ["walk-back"], "start": 4.0, "end": 8.0}]
    record = {"actions": ["walk"], "texts": ["somebody goes to and fro"], "parts": parts}
    told = told_of(both_ways(), record, "joined", FPS).lines
    spans = {(line.start, line.end) for line in told if "to and fro" in line.caption}
    assert spans and all(start <= 1.6 and end >= 6.4 for start, end in spans)


def test_labels_that_a_window_does_not_show_are_not_said():
    record = {"actions": ["kick"], "content": "kick", "texts": ["a person kicks high"]}
    said = " ".join(line.caption for line in told_of(person(121, speed=1.2), record, "walk", FPS).lines)
    assert "kick" not in said and "walk" in said
    assert not told_of(still(121), record, "still", FPS).lines, "what is done may have been missed"
    assert told_of(still(121), {"actions": ["idle"], "texts": []}, "still", FPS).lines


def test_mirror_images_have_mirrored_sentences(tmp_path: Path):
    points = still(81, left=np.pi * np.clip(np.linspace(-1, 2, 81), 0, 1))
    np.save(tmp_path / "raise_01.npy", points.astype(np.float32))
    run(tmp_path / "out", "--sources", tmp_path / "raise_01.npy", "--captions", "motion")
    texts = tmp_path / "out" / "texts"
    (plain,) = [path for path in texts.glob("*.txt") if not path.name.startswith("M")]
    seen, flipped = (
        [line for line in read_lines(path) if not line.whole] for path in (plain, texts / f"M{plain.name}")
    )
    assert [mirrored(line.caption) for line in seen] == [line.caption for line in flipped]
    assert [(line.start, line.end) for line in seen] == [(line.start, line.end) for line in flipped]
    assert any("left" in line.caption for line in seen) and not any("right" in line.caption for line in seen)


def test_without_the_flag_the_whole_clip_alone_is_told(tmp_path: Path):
    np.save(tmp_path / "walk_01.npy", person(81))
    run(tmp_path / "out", "--sources", tmp_path / "walk_01.npy")
    assert all(line.whole for path in (tmp_path / "out" / "texts").iterdir() for line in read_lines(path))


def test_what_is_rarely_done_is_seen_more_often():
    walk, stand, kick = (
        Phase(kind, 0, 1, direction="forward" * (kind == "walk")) for kind in ("walk", "stand", "kick")
    )
    walks, kicks = Told([], [(0, 1, (walk,))] * 2), Told([], [(0, 1, (stand,)), (0, 1, (kick,))])
    told = [walks] * 99 + [kicks]
    shares = with_rare_ones(np.full(100, 0.01), told)
    assert shares.sum() == pytest.approx(1) and np.ptp(shares[:99]) == 0
    # Kicks, and the standing before, are in 0.5 % of all windows: 10 % are 20 times as many.
    assert shares[99] / shares[0] == pytest.approx(20**0.5)
    assert with_rare_ones(np.full(100, 0.01), [walks] * 100) == pytest.approx(np.full(100, 0.01))


def test_what_is_done_in_a_window_is_in_its_folder_and_told_to_models_that_are_planned(tmp_path: Path):
    lifted = np.clip(np.arange(81) / FPS - 1, 0, 1) * 2.8
    np.save(tmp_path / "raise_left_01.npy", still(81, lifted))
    run(tmp_path / "out", "--sources", tmp_path / "raise_left_01.npy", "--captions", "motion", "--test_share", 0)
    options = DataOptions(dataset="mocap", datapath=str(tmp_path / "out"), data_split="train")
    data = load(dataset_spec("mocap"), options, planned=True)
    found = {}
    for item, name in enumerate(data.names):
        batch = data.batch([item], lambda place: np.random.RandomState(0))
        ((caption, seconds, rows),) = data.plans([item], lambda place: np.random.RandomState(0))
        assert caption == batch["caption"][0] and seconds * FPS == batch["lengths"][0] == batch["plan"].shape[1]
        joints = hml.decode(torch.from_numpy(data.item(item)), hml.layout_of(SMPL)).numpy()
        plan = batch["plan"][0].numpy()
        assert (plan == plan_of(from_rows(rows), len(plan), FPS)).all() and plan[:, -1].all()
        assert {p.kind for p in phases_of(joints[: len(plan)], FPS)} == {p.kind for p in from_rows(rows)}
        found[name] = {p.side for p in from_rows(rows) if p.kind == "raise arm"}
    assert list(found.values()) in ([{"left"}, {"right"}], [{"right"}, {"left"}]), "and of its mirror image"
    assert "plan" not in load(dataset_spec("mocap"), options).batch([0], lambda place: np.random.RandomState(0))


def test_phases_that_are_none_are_refused(tmp_path: Path):
    np.save(tmp_path / "walk_01.npy", person(81))
    run(tmp_path / "out", "--sources", tmp_path / "walk_01.npy", "--captions", "motion", "--test_share", 0)
    next((tmp_path / "out" / "phases").iterdir()).write_text('[[0.0, 2.0, [["walk", 1]]]]')
    options = DataOptions(dataset="mocap", datapath=str(tmp_path / "out"), data_split="train")
    assert any("windows" in fault for fault in load(dataset_spec("mocap"), options).faults)
