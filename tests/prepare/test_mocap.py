"""`prepare.mocap`: the files it finds, how large a unit is, and that recordings arrive as people of 16 joints."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.common import packed
from data_loaders.common.recordings import find_files
from data_loaders.common.splits import held_out
from data_loaders.text.captions import SENTENCES, sentences
from prepare import mocap
from prepare.mocap import MocapOptions, convert
from tests.people import BODY, SMPL, SPEC, standing_smpl22
from utils.formats.reading import find_skeleton
from utils.geometry.conventions import unit_of
from utils.geometry.kinematics import bone_lengths
from utils.geometry.motion import Motion
from utils.run.errors import DataError, MissingFileError, UsageError


def person(frames: int = 61, unit: float = 1.0) -> np.ndarray:
    """The 22 joints [frames, 22, 3] of somebody who walks along +z at 1.5 m/s, 30 frames a second."""
    path = np.arange(frames)[:, None, None] * (0, 0, 0.05)
    return ((standing_smpl22() + path) / unit).astype(np.float32)


def write_bvh(path: Path, positions: np.ndarray, fps: float = 30.0) -> Path:
    """Joint positions [T, 22, 3] as a BVH file in which every joint has position channels and none turns."""
    lines: list[str] = ["HIERARCHY"]
    order: list[int] = []

    def node(joint: int, depth: int) -> None:
        order.append(joint)
        tab = "\t" * depth
        lines.append(f"{tab}{'JOINT' if depth else 'ROOT'} {SMPL.joints[joint]}")
        lines.append(f"{tab}{{\n{tab}\tOFFSET 0 0 0\n{tab}\tCHANNELS 3 Xposition Yposition Zposition")
        for child, parent in enumerate(SMPL.parents):
            if parent == joint:
                node(child, depth + 1)
        lines.append(f"{tab}}}")

    node(0, 0)
    parents = [joint if parent < 0 else parent for joint, parent in enumerate(SMPL.parents)]
    local = positions - positions[:, parents]
    local[:, 0] = positions[:, 0]
    lines += ["MOTION", f"Frames: {len(positions)}", f"Frame Time: {1 / fps:.6f}"]
    lines += [" ".join(f"{value:.5f}" for value in frame[order].ravel()) for frame in local]
    path.write_text("\n".join(lines) + "\n")
    return path


def run(folder: Path, *arguments) -> packed.PackedMotions:
    mocap.main([*map(str, arguments), "--output_dir", str(folder)])
    return packed.read(folder)


def test_files_are_found_in_order_whatever_their_case(tmp_path):
    for name in ("b/two.BVH", "a.bvh", "b/c/three.amc", "b/c/three.asf", "notes.txt", "b/four.npz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_files((str(tmp_path), str(tmp_path / "a.bvh")))
    names = [str(path.relative_to(tmp_path)) for path in found]
    assert names == ["a.bvh", "b/c/three.amc", "b/four.npz", "b/two.BVH"], "each once"
    with pytest.raises(UsageError, match="--sources"):
        find_files(())
    with pytest.raises(MissingFileError, match="nowhere does not exist"):
        find_files((str(tmp_path / "nowhere"),))
    with pytest.raises(MissingFileError, match=r"no .bvh.*notes.txt"):
        find_files((str(tmp_path / "notes.txt"),))


def test_the_skeleton_of_an_amc_file(tmp_path):
    amc = tmp_path / "HDM_dg_06-03_03_120.amc"
    with pytest.raises(MissingFileError, match=r"HDM_dg_06-03_03_120.amc needs its skeleton"):
        find_skeleton(amc)
    for name in ("HDM_dg.ASF", "HDM_bd.asf", "1.asf", "11.asf"):
        (tmp_path / name).touch()
    assert find_skeleton(amc).name == "HDM_dg.ASF"
    assert find_skeleton(tmp_path / "11_01.amc").name == "11.asf"
    assert find_skeleton(tmp_path / "1_11.amc").name == "1.asf"
    assert find_skeleton(tmp_path / "11.amc").name == "11.asf"
    with pytest.raises(MissingFileError, match="12.asf"):
        find_skeleton(tmp_path / "12_01.amc")
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "subject.asf").touch()
    assert find_skeleton(tmp_path / "alone" / "12_01.amc").name == "subject.asf"


@pytest.mark.parametrize("unit", [1.0, 0.1, 0.01, 0.0254, 0.0254 / 0.45])
def test_units_are_told_by_the_bones(unit):
    for height in (1.35, 1.7, 2.0):
        clip = Motion(person(5, unit) * height / 1.58, 30, SMPL.joints, SMPL.parents)
        assert unit_of(clip)[1] == pytest.approx(unit)


def test_conversion():
    """120 frames a second become 30; the record says where a clip is from; the split is the source's if it has one."""
    options = MocapOptions()
    motion = Motion(person(121), 120, SMPL.joints, SMPL.parents, None, "walk_1", {"actions": ["walk"], "style": "old"})
    positions, record = convert(motion, "lab", options)
    assert positions.shape == (31, 16, 3)
    wrists = [positions[0, BODY.index(name)] for name in ("LWrist", "RWrist")]
    np.testing.assert_allclose(wrists, [(0.7, 1.42, 0), (-0.7, 1.42, 0)], atol=1e-6)
    assert positions[0, BODY.index("Nose"), 2] > positions[0, BODY.index("Head"), 2] > 0
    np.testing.assert_allclose(np.diff(positions[:, 0, 2]), 0.2, atol=1e-5)
    texts = record.pop("texts")
    assert texts == sentences({"actions": ["walk"], "style": "old"}, "lab/walk_1") and len(texts) == SENTENCES
    assert record == {
        "name": "lab/walk_1", "source": "lab", "split": "train", "actions": ["walk"], "style": "old", "licence": "",
    }  # fmt: skip
    for split in ("train", "test"):
        motion.meta["split"] = split
        assert convert(motion, "lab", options)[1]["split"] == split
    del motion.meta["split"]
    names = [f"clip{i}" for i in range(50)]
    splits = [
        convert(Motion(person(3), 30, SMPL.joints, SMPL.parents, None, name), "lab", options)[1]["split"]
        for name in names
    ]
    assert splits == ["test" if held_out(name, 0.1) else "train" for name in names] and "test" in splits


def test_sentences_come_from_the_source_its_labels_and_the_name():
    def texts(name: str, texts=(), **meta) -> list[str]:
        motion = Motion(person(3), 30, SMPL.joints, SMPL.parents, None, name, meta, texts=tuple(texts or ()))
        return convert(motion, "lab", MocapOptions())[1]["texts"]

    assert texts("a", texts=["a man hops"], actions=["jump"])[0] == "a man hops"
    assert all("kick" in text for text in texts("kick_03")), "where nothing else tells, the name does"
    assert any("left hand" in text for text in texts("b", content="wave-left-hand", style=None, texts=None))
    assert not any("kick" in text for text in texts("kick_04", actions=["walk"]))
    assert texts("c", actions=["walk"]) != texts("d", actions=["walk"])


@pytest.mark.parametrize(("unit", "arguments"), [(0.01, ()), (0.3, ("--scale", "0.3"))])
def test_a_folder_of_bvh(tmp_path, capsys, unit, arguments):
    (tmp_path / "in").mkdir()
    for name in ("one", "two"):
        write_bvh(tmp_path / "in" / f"{name}.bvh", person(61, unit))
    motions = run(tmp_path / "out", "--sources", tmp_path / "in", "--fps", "20", *arguments)
    assert motions.fps == 20 and [clip["name"] for clip in motions.clips] == ["bvh/one", "bvh/two"]
    assert [(clip["start"], clip["stop"]) for clip in motions.clips] == [(0, 41), (41, 82)]
    np.testing.assert_allclose(motions.positions[0, BODY.index("LWrist")], (0.7, 1.42, 0), atol=1e-3)
    said = capsys.readouterr().out
    assert "2 clips in" in said and "next: python -m train.train_mdm --dataset mocap2d" in said
    assert said.count("taken for 0.01 m (centimetres, from the bones; else: --scale)") == (0 if arguments else 2)


def test_the_folder_trains_as_it_is(tmp_path):
    from data_loaders.options import DataOptions
    from data_loaders.points import projections

    write_bvh(tmp_path / "one.bvh", person(200, 0.01))
    run(tmp_path / "out", "--sources", tmp_path / "one.bvh", "--test_share", "0")
    data = projections.load(SPEC, DataOptions(datapath=str(tmp_path / "out"), data_augmentations=()))
    batch = data.batch([0], lambda i: np.random.RandomState(i + 1))
    assert batch["motion"].shape == (1, 120, 16, 2) and float(batch["motion"].abs().max()) < 8


def test_refusals(tmp_path):
    write_bvh(tmp_path / "one.bvh", person(5))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UsageError, match="--overwrite"):
        run(out, "--sources", tmp_path)
    for flag, value in (("--fps", "0"), ("--fps", "-5"), ("--scale", "-1"), ("--test_share", "1")):
        with pytest.raises(UsageError, match=flag):
            run(tmp_path / "other", "--sources", tmp_path, flag, value)
    (tmp_path / "two.bvh").write_text((tmp_path / "one.bvh").read_text().replace("left_knee", "tentacle"))
    with pytest.raises(DataError, match="two.*left_knee"):
        run(tmp_path / "other", "--sources", tmp_path / "two.bvh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.bvh", "out", "two.bvh"], "nothing is left behind"


def test_one_foreign_file_does_not_stop_a_folder(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write_bvh(tmp_path / "in" / "one.bvh", person(61))
    (tmp_path / "in" / "three.bvh").write_text("a letter")
    (tmp_path / "in" / "two.bvh").write_text((tmp_path / "in" / "one.bvh").read_text().replace("left_knee", "tentacle"))
    motions = run(tmp_path / "out", "--sources", tmp_path / "in")
    assert [clip["name"] for clip in motions.clips] == ["bvh/one"]
    three, two = capsys.readouterr().err.splitlines()
    assert three.startswith("note: passed over: ") and "three.bvh" in three
    assert two.startswith("note: passed over: ") and "left_knee" in two
    (tmp_path / "in" / "one.bvh").unlink()
    with pytest.raises(DataError, match="three.bvh"):
        run(tmp_path / "other", "--sources", tmp_path / "in")


def test_recorded_files_of_every_format_become_people(shared, tmp_path):
    fixtures = shared / "data" / "fixtures"
    sources = [fixtures / "bvh" / name for name in ("cmu_iclone_002_03.bvh", "reactidle_001_acted_first120.bvh")]
    sources += [fixtures / "bvh" / "dataset-1_dash_normal_001.bvh", fixtures / "asf_amc", shared / "data" / "sie.npz"]
    motions = run(tmp_path / "out", "--sources", *sources)
    assert len(motions.clips) == 55 and motions.fps == 30
    assert all(1 <= len(clip["texts"]) <= SENTENCES for clip in motions.clips)
    assert {clip["source"] for clip in motions.clips} == {"bvh", "amc", "sie"}
    for clip in motions.clips:
        points = motions.positions[clip["start"] : clip["stop"]]
        height = np.median(np.ptp(points[..., 1], axis=1))
        assert 1.0 < height < 2.2, (clip["name"], height)
        left, right, nose = (points[:, BODY.index(name)] for name in ("LHip", "RHip", "Nose"))
        facing = np.cross(left - right, (0, 1, 0))
        ahead = ((nose - points[:, BODY.index("Neck")]) * facing).sum(-1)
        assert (ahead > 0).mean() > 0.9, f"{clip['name']}: the nose is in front"


def test_the_split_of_a_shard_is_kept(shared, tmp_path):
    path = shared / "data" / "cmu_actions.npz"
    motions = run(tmp_path / "out", "--sources", path)
    with np.load(path) as shard:
        meta, start = json.loads(bytes(shard["meta"])), shard["start"]
    parts = {split: {c["name"] for c in motions.clips if c["split"] == split} for split in ("train", "test")}
    assert (len(parts["train"]), len(parts["test"])) == (67, 14) and not parts["train"] & parts["test"]
    for record, clip, frames in zip(meta["clips"], motions.clips, np.diff(start), strict=True):
        assert clip["name"] == f"cmu_actions/{record['name']}" and clip["stop"] - clip["start"] == frames
        assert (clip["split"], clip["actions"]) == (record["split"], record["actions"])
    bones = bone_lengths(torch.from_numpy(motions.positions[:1000]), BODY.parents)
    assert 0.3 < float(bones[:, BODY.index("LKnee")].median()) < 0.55
