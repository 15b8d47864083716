"""`prepare.humanml`: the folder it makes, captions from files and from labels, mirror images, parts, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.common.splits import held_out, part_by_name
from data_loaders.options import DataOptions
from data_loaders.registry import DATASETS
from data_loaders.representations import hml
from data_loaders.text.humanml import load
from data_loaders.texts import mirrored, read_lines
from prepare import humanml
from prepare.humanml import HumanMLOptions, gait, spans_of
from prepare.text import folder as text_folder
from tests.people import SMPL, standing_smpl22
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.folders import RECORD

LAYOUT = hml.layout_of("smpl22")


def person(frames: int = 61, speed: float = 1.0, turn: float = 0.0, fps: float = 20.0) -> np.ndarray:
    """Somebody [frames, 22, 3] in a T who glides ahead at so many m/s, in all turning left by `turn` degrees."""
    points = standing_smpl22()
    yaw = np.radians(turn) * np.linspace(0, 1, frames)
    zero, one = 0 * yaw, 0 * yaw + 1
    turns = np.stack([np.cos(yaw), zero, np.sin(yaw), zero, one, zero, -np.sin(yaw), zero, np.cos(yaw)], -1)
    path = np.cumsum(np.stack([np.sin(yaw), zero, np.cos(yaw)], -1) * speed / fps, 0)
    return (points @ turns.reshape(-1, 3, 3).mT + path[:, None]).astype(np.float32)


def lopsided(frames: int = 61) -> np.ndarray:
    """Somebody whose left arm alone is up and waves."""
    points = person(frames)
    points[:, SMPL.index("left_wrist")] += np.array([-0.2, 0.3, 0])
    points[:, SMPL.index("left_wrist"), 2] += 0.1 * np.sin(np.arange(frames))
    return points


def run(out: Path, *arguments) -> dict:
    humanml.main([*map(str, arguments), "--output_dir", str(out)])
    return json.loads((out / "index.json").read_text())["clips"]


def names(out: Path, part: str) -> list[str]:
    return (out / f"{part}.txt").read_text().split()


def test_the_layout_of_the_folder(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "walk_01.npy", person())
    np.save(tmp_path / "in" / "jump_01.npy", person(91))
    index = run(tmp_path / "out", "--sources", tmp_path / "in", "--test_share", "0", "--val_share", "0")
    out = tmp_path / "out"
    found = sorted(path.name for path in out.iterdir())
    lists = ["all.txt", "index.json", "new_joint_vecs", "new_joints", "test.txt", "texts", "train.txt", "val.txt"]
    assert found == [RECORD, "Mean.npy", "Std.npy", *lists]
    assert names(out, "all") == ["npy_jump_01", "npy_walk_01", "Mnpy_jump_01", "Mnpy_walk_01"] == list(index)
    assert names(out, "train") == names(out, "all") and names(out, "val") == names(out, "test") == []
    features = np.load(out / "new_joint_vecs" / "npy_walk_01.npy")
    joints = np.load(out / "new_joints" / "npy_walk_01.npy")
    assert features.shape == (60, 263) and joints.shape == (60, 22, 3) and features.dtype == joints.dtype == np.float32
    expected = hml.encode([person()], LAYOUT, yaw="continuous")[0].numpy()
    np.testing.assert_array_equal(features, expected)
    placed = hml.place([person()], LAYOUT)[0].numpy()[:-1]
    np.testing.assert_allclose(joints, placed, atol=1e-5)
    assert abs(joints[..., 1].min()) < 1e-5, "it stands on the floor"
    record = index["npy_walk_01"]
    assert (record["actions"], record["source"], record["frames"], record["split"]) == (["walk"], "npy", 60, "train")
    said = capsys.readouterr().out
    assert "4 clips with their mirror images" in said and "4 train, 0 val, 0 test" in said
    assert f"--dataset mocap --datapath {out}" in said
    data = load(DATASETS["mocap"], DataOptions(datapath=str(out)))
    assert len(data) == 4 and any("walk" in caption for caption in data.captions)


def test_turns_of_any_size_stay_whole(tmp_path):
    """The published features lose the way where somebody turns by more than half a turn; these do not."""
    np.save(tmp_path / "spin.npy", person(201, 1.0, 700))
    run(tmp_path / "out", "--sources", tmp_path / "spin.npy", "--test_share", "0", "--mirror", "False")
    placed = hml.place([person(201, 1.0, 700)], LAYOUT)[0]
    features = torch.from_numpy(np.load(tmp_path / "out" / "new_joint_vecs" / "npy_spin.npy"))
    start = hml.first_heading(placed, LAYOUT, "right"), torch.zeros(2)
    np.testing.assert_allclose(hml.decode(features, LAYOUT, start).numpy(), placed[:-1], atol=1e-4)
    np.testing.assert_allclose(
        np.load(tmp_path / "out" / "new_joints" / "npy_spin.npy"), hml.decode(features, LAYOUT), atol=1e-6
    )


def test_figures_are_those_of_the_training_part(tmp_path):
    for name, frames in (("a", 61), ("b", 91), ("c", 121)):
        np.save(tmp_path / f"{name}.npy", lopsided(frames))
    index = run(tmp_path / "out", "--sources", tmp_path, "--test_share", "0.4")
    used = [torch.from_numpy(np.load(tmp_path / "out" / "new_joint_vecs" / f"{name}.npy"))
            for name, record in index.items() if record["split"] == "train"]  # fmt: skip
    assert 0 < len(used) < len(index)
    mean, std = hml.statistics(used)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "Mean.npy"), mean, atol=1e-6)
    saved = np.load(tmp_path / "out" / "Std.npy")
    np.testing.assert_allclose(saved, hml.block_std(std, LAYOUT).clamp_min(1e-3), rtol=1e-5)
    assert saved.min() >= 1e-3, "a contact that never changes is not divided by nothing"


def test_mirror_images(tmp_path):
    """Positions and sentences change sides, the share of an epoch and the part stay."""
    np.save(tmp_path / "in.npy", lopsided())
    (tmp_path / "in.txt").write_text("waves the left arm#waves/VERB the/DET left/ADJ arm/NOUN#0.0#2.0\nstands\n")
    index = run(tmp_path / "out", "--sources", tmp_path / "in.npy", "--test_share", "0")
    joints = {name: np.load(tmp_path / "out" / "new_joints" / f"{name}.npy") for name in index}
    flipped = joints["npy_in"][:, list(SMPL.mirror)] * (-1, 1, 1)
    # The bones of the standard skeleton differ a little from side to side.
    np.testing.assert_allclose(joints["Mnpy_in"], flipped, atol=0.03)
    assert np.abs(joints["Mnpy_in"] - joints["npy_in"]).max() > 0.2
    first, second = read_lines(tmp_path / "out" / "texts" / "Mnpy_in.txt")
    assert first.caption == "waves the right arm" and (first.start, first.end) == (0, 2)
    assert first.tags == ("waves/VERB", "the/DET", "right/ADJ", "arm/NOUN") and second.caption == "stands"
    assert index["npy_in"] == index["Mnpy_in"]
    alone = run(tmp_path / "alone", "--sources", tmp_path / "in.npy", "--test_share", "0", "--mirror", "False")
    assert list(alone) == ["npy_in"]


def test_text_files_are_found(tmp_path):
    """Beside the motion, in a folder `texts` there or one up, or where --texts says; else labels tell."""
    places = {"beside": "in/new_joints", "inside": "in/new_joints/texts", "above": "in/texts", "told": "elsewhere"}
    (tmp_path / "in" / "new_joints").mkdir(parents=True)
    for name, place in places.items():
        np.save(tmp_path / "in" / "new_joints" / f"{name}.npy", person())
        (tmp_path / place).mkdir(exist_ok=True, parents=True)
        (tmp_path / place / f"{name}.txt").write_text(f"sentence of {name}\n")
    run(tmp_path / "out", "--sources", tmp_path / "in", "--mirror", "False")
    for name in ("beside", "inside", "above"):
        (line,) = read_lines(tmp_path / "out" / "texts" / f"npy_{name}.txt")
        assert line.caption == f"sentence of {name}"
    assert any("moves" in line.caption for line in read_lines(tmp_path / "out" / "texts" / "npy_told.txt"))
    run(tmp_path / "two", "--sources", tmp_path / "in", "--texts", tmp_path / "elsewhere", "--mirror", "False")
    (line,) = read_lines(tmp_path / "two" / "texts" / "npy_told.txt")
    assert line.caption == "sentence of told"
    assert len(read_lines(tmp_path / "two" / "texts" / "npy_beside.txt")) > 1


def test_rates_and_kinds_of_files(tmp_path):
    np.savez(tmp_path / "a.npz", positions=person(121, fps=40), fps=40)
    np.savez(tmp_path / "b.npz", positions=person(61))
    np.save(tmp_path / "c.npy", person(61).astype(np.float64))
    index = run(tmp_path / "out", "--sources", tmp_path, "--mirror", "False", "--test_share", "0")
    assert {name: record["frames"] for name, record in index.items()} == {"npz_a": 60, "npz_b": 60, "npy_c": 60}
    vectors = {name: np.load(tmp_path / "out" / "new_joint_vecs" / f"{name}.npy") for name in index}
    np.testing.assert_allclose(vectors["npz_a"][:, 2], 0.05, atol=0.02)
    np.testing.assert_allclose(vectors["npz_b"], vectors["npy_c"], atol=1e-6)


def test_what_is_skipped_is_said(tmp_path, capsys):
    clips = tmp_path / "in"
    clips.mkdir()
    broken = person()
    broken[7, 3, 1] = np.nan
    np.save(clips / "a.npy", person())
    np.save(clips / "b.npy", broken)
    np.save(clips / "c.npy", person(20))
    np.save(clips / "d.npy", np.zeros((50, 22, 3), np.float32))
    run(tmp_path / "out", "--sources", clips, "--mirror", "False", "--test_share", "0")
    captured = capsys.readouterr()
    assert "1 skipped (shorter than 21 frames)" in captured.out
    assert "b.npy: b holds NaN" in captured.err and "d.npy" in captured.err and captured.err.count("passed over") == 2
    (clips / "a.npy").unlink()
    with pytest.raises(DataError, match="no clip is left to train on: of 1 that were read"):
        run(tmp_path / "none", "--sources", clips)
    assert not (tmp_path / "none").exists()


def test_clips_that_are_points_are_not_called_infinite(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", person())
    np.savez(
        tmp_path / "in" / "b.npz", positions=0 * person() + 1, joint_names=SMPL.joints, parents=SMPL.parents, fps=20
    )
    run(tmp_path / "out", "--sources", tmp_path / "in", "--test_share", "0")
    captured = capsys.readouterr()
    assert "1 skipped (without legs of any length)" in captured.out and "finite" not in captured.out + captured.err
    assert "b.npz: 1 clip; the person would be 0 m tall" in captured.out


def test_names_are_file_names_and_each_its_own():
    records = [{"name": name, "source": "cmu"} for name in ("a/b.c", "a b.c", "ä", "x-1_y")]
    clips = [text_folder.Clip(np.zeros((2, 22, 3)), record) for record in records]
    assert text_folder._named(clips) == ["cmu_a_b_c", "cmu_a_b_c__2", "cmu", "cmu_x-1_y"]


def test_parts():
    many = [f"clip{number}" for number in range(400)]
    parts = [part_by_name(name, None) for name in many]
    assert [part == "test" for part in parts] == [held_out(name, 0.1) for name in many]
    assert 20 < parts.count("val") < 60
    assert {part_by_name(name, "test") for name in many} == {"test"}
    kept = [part_by_name(name, "train") for name in many]
    assert set(kept) == {"train", "val"} and 25 < kept.count("val") < 60
    assert {part_by_name(name, "val") for name in many} == {"val"}


@pytest.mark.parametrize(
    ("actions", "speed", "turn", "told"),
    [
        (["walk"], 1.2, 0, {}),
        (["walking"], 0.5, 90, {"turn": "left", "pace": "slow"}),
        (["walk"], 1.8, -90, {"turn": "right", "pace": "fast"}),
        (["run", "jog"], 1.2, 0, {"pace": "slow"}),
        (["jog"], 2.5, 30, {}),
        (["run"], 4.0, 170, {"pace": "fast"}),
        (["walk", "dance"], 0.5, 90, {}),
        ([], 0.5, 90, {}),
    ],
)
def test_what_a_gait_tells(actions, speed, turn, told):
    assert gait(person(61, speed, turn), 20, actions) == told


def test_what_is_wrong_in_a_folder_is_named(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in "ab":
        np.save(tmp_path / "in" / f"{name}.npy", person())
    (tmp_path / "in" / "a.txt").write_text("a person walks\n#walk/VERB#0.0#0.0\n")
    np.save(tmp_path / "in" / "c.npy", person()[:, :16])
    run(tmp_path / "out", "--sources", tmp_path / "in", "--mirror", "False")
    captured = capsys.readouterr()
    assert "2 clips in" in captured.out
    assert [line.removeprefix("note: ").removeprefix(f"{tmp_path / 'in'}/") for line in captured.err.splitlines()] == [
        "a.txt, line 2: no caption",
        f"passed over: {tmp_path}/in/c.npy names no joints and has 16 of them; without names, only 22 (smpl22), "
        "21 (kit21), 24 (smpl24) are known",
    ]
    assert [line.caption for line in read_lines(tmp_path / "out" / "texts" / "npy_a.txt")] == ["a person walks"]


def test_refusals(tmp_path):
    np.save(tmp_path / "a.npy", person()[:, :16])
    with pytest.raises(DataError, match=r"a.npy names no joints and has 16"):
        run(tmp_path / "out", "--sources", tmp_path)
    np.savez(tmp_path / "a.npz", positions=person(), fps=-1)
    with pytest.raises(DataError, match="a.npz says fps '-1'"):
        run(tmp_path / "out", "--sources", tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", motion=person())
    with pytest.raises(DataError, match="a.npz holds motion, but no text"):
        run(tmp_path / "out", "--sources", tmp_path / "a.npz")
    with pytest.raises(UsageError, match="name at least one"):
        run(tmp_path / "out")
    with pytest.raises(MissingFileError, match="--texts .*there is no such folder"):
        run(tmp_path / "out", "--sources", tmp_path, "--texts", tmp_path / "nowhere")
    for flag, value in (("--fps", "0"), ("--test_share", "1"), ("--val_share", "-1"), ("--scale", "-1")):
        with pytest.raises(UsageError, match=flag):
            run(tmp_path / "out", "--sources", tmp_path, flag, value)
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="--overwrite"):
        run(tmp_path / "out", "--sources", tmp_path)
    (tmp_path / "bad").mkdir()
    np.save(tmp_path / "bad" / "a.npy", person())
    (tmp_path / "bad" / "a.txt").write_text("x#y\n")
    with pytest.raises(DataError, match="a.txt, line 1"):
        run(tmp_path / "other", "--sources", tmp_path / "bad")
    assert not (tmp_path / "other").exists()


def test_recorded_shards_and_files(shared, tmp_path):
    """Labels, parts and sentences of a shard; recordings in BVH and AMC; sides of a turn as they are."""
    data = shared / "data"
    fixtures = [data / "fixtures" / "bvh" / "reactidle_001_acted_first120.bvh", data / "fixtures" / "asf_amc" / "cmu"]
    index = run(tmp_path / "out", "--sources", data / "sie.npz", data / "cmu_actions.npz", *fixtures)
    own = {name: record for name, record in index.items() if not name.startswith("M")}
    assert {record["source"] for record in own.values()} == {"sie", "cmu_actions", "bvh", "amc"}
    assert sum(record["split"] == "test" for record in own.values() if record["source"] == "cmu_actions") == 14
    assert sum(record["share"] for record in own.values()) == pytest.approx(1)
    turns = []
    for name, record in index.items():
        captions = [line.caption for line in read_lines(tmp_path / "out" / "texts" / f"{name}.txt")]
        assert 1 < len(captions) == len(set(captions)) <= 12
        joints = np.load(tmp_path / "out" / "new_joints" / f"{name}.npy")
        assert -0.001 < joints[..., 1].min() < 0.05 and 0.6 < np.median(joints[:, 0, 1]) < 1.1, name
        if record["source"] == "sie" and any("turns left" in caption for caption in captions[:1]):
            yaw = np.unwrap(hml.heading(torch.from_numpy(joints), LAYOUT).numpy())
            turns.append(np.degrees(yaw[-1] - yaw[0]))
            assert not any(mirrored(caption) != caption and "right" in caption for caption in captions)
    assert len(turns) >= 30 and (np.array(turns) > 0).mean() > 0.9


def test_one_clip_is_trained_on_whatever_its_name(tmp_path, capsys):
    for name in ("old_key_poses", "b", "c"):
        np.save(tmp_path / f"{name}.npy", person())
        run(tmp_path / f"out_{name}", "--sources", tmp_path / f"{name}.npy", "--mirror", "False")
        assert (tmp_path / f"out_{name}" / "train.txt").read_text().split() == [f"npy_{name}"]
    assert "too few clips to hold some out" in capsys.readouterr().out


@pytest.mark.parametrize(
    "spans", [["a:0:inf"], ["a:0:1e300"], ["a:nan:2"], ["a:-1:2"], ["a:2:1"], ["a:1"], ["a:b:2"], ["a:0:1", "a:2:3"]]
)
def test_spans_that_are_none_are_refused(spans: list[str]):
    with pytest.raises(UsageError, match=f"--spans {spans[-1]}: "):
        spans_of(HumanMLOptions(spans=tuple(spans)))


def test_sentences_about_parts_of_a_clip_go_with_its_span(tmp_path):
    np.save(tmp_path / "walk.npy", person(101))
    spans = {"all": "0#0", "starts before": "0#2", "inside": "1.5#3", "is the part": "1#4", "ends later": "2#4.5"}
    told = "".join(f"{caption}#{caption}/OTHER#{span}\n" for caption, span in spans.items())
    (tmp_path / "walk.txt").write_text(told)
    run(tmp_path / "out", "--sources", tmp_path / "walk.npy", "--spans", "walk:1:4")
    lines = read_lines(tmp_path / "out" / "texts" / "npy_walk.txt")
    assert [(line.caption, line.start, line.end) for line in lines] == [
        ("all", 0, 0), ("inside", 0.5, 2), ("is the part", 0, 3),
    ]  # fmt: skip


def test_nothing_made_is_said(tmp_path, capsys):
    np.save(tmp_path / "clip_07.npy", person())
    run(tmp_path / "out", "--sources", tmp_path / "clip_07.npy", "--made_share", "1")
    assert "no motion was made" in capsys.readouterr().err
