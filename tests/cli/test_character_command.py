"""visualize.export and render_mesh with a character of the user's, cycles, motion in place, other programs' names."""

import json
from pathlib import Path

import numpy as np
import pytest

from data_loaders.points.toy import body_motion
from tests import rigs
from tests.commands import listing, refusal, run
from utils.formats import bvh, glb, results
from utils.geometry.joint_names import renamed
from utils.geometry.skeleton import SKELETONS

SMPL22 = SKELETONS["smpl22"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Results of one prompt, two motions."""
    folder = tmp_path_factory.mktemp("mdm")
    clips = np.stack([body_motion(20.0, 0, i)[0][:30] for i in range(2)]).astype(np.float32)
    results.write(
        folder / "results.npy",
        {
            "motion": clips.transpose(0, 2, 3, 1), "text": ["one", "one"], "num_samples": 1,
            "num_repetitions": 2, "lengths": np.array([30, 20]), "fps": 20.0,
            "joint_names": list(SMPL22.joints), "parents": list(SMPL22.parents),
        },
    )  # fmt: skip
    return folder


def test_motions_onto_a_character(folder: Path, tmp_path: Path, capsys):
    """One file a motion, the clip by the motion's name, beside what else is asked for; the joints left are listed."""
    rigs.write(tmp_path / "my hero.glb", rigs.STYLES["unreal"])
    run(
        "visualize.export",
        folder / "results.npy",
        "--body free --format glb csv --character",
        tmp_path / "my hero.glb",
        "--output_dir",
        tmp_path / "out",
    )
    assert sorted(listing(tmp_path / "out")) == [
        f"sample00_rep0{k}{ending}" for k in (0, 1) for ending in (".csv", "_my hero.glb")
    ]
    document, _ = rigs.unpack(tmp_path / "out" / "sample00_rep01_my hero.glb")
    assert [clip["name"] for clip in document["animations"]] == ["idle", "sample00_rep01"]
    seconds, _, _ = rigs.played(tmp_path / "out" / "sample00_rep01_my hero.glb", "sample00_rep01")
    np.testing.assert_allclose(seconds, np.arange(20) / 20, atol=1e-6)
    assert "my hero.glb: joints that keep their rest pose: head_end" in capsys.readouterr().out


def test_the_sample_of_a_video_onto_a_vrm(folder: Path, tmp_path: Path):
    rigs.write(tmp_path / "mine.vrm", rigs.STYLES["vrm"])
    run(
        "visualize.render_mesh",
        folder / "sample00_rep01.mp4",
        "--body free --format csv --character",
        tmp_path / "mine.vrm",
        "--output_dir",
        tmp_path / "out",
    )
    assert sorted(listing(tmp_path / "out")) == ["sample00_rep01.csv", "sample00_rep01_mine.vrm"]


def test_a_rig_that_is_not_known_gets_a_map_as_a_draft(folder: Path, tmp_path: Path, capsys):
    def unnamed(document: dict) -> None:
        for number, node in enumerate(document["nodes"]):
            node["name"] = f"x{number}"
        children = document["nodes"][1]["children"]
        del children[children.index(3) if 3 in children else -1]

    joints = rigs.write(tmp_path / "it.glb", rigs.STYLES["mixamo"], unnamed)
    line = (
        "visualize.export",
        folder / "results.npy",
        "--samples 0 --body free --character",
        tmp_path / "it.glb",
        "--output_dir",
        tmp_path / "out",
    )
    said = refusal(capsys, 4, *line)
    assert said.endswith(f"--map {tmp_path / 'out' / 'it_map.json'}")
    assert list(listing(tmp_path / "out")) == ["it_map.json"]
    (tmp_path / "out" / "it_map.json").write_text("{}")
    refusal(capsys, 4, *line)
    assert (tmp_path / "out" / "it_map.json").read_text() == "{}"  # it may hold somebody's work
    assert len(joints) > 20


def test_the_recording_and_the_character_stay(folder: Path, tmp_path: Path, capsys):
    """--overwrite replaces earlier exports, never what the command reads."""
    run("visualize.export", folder / "results.npy", "--samples 0 --body free --format bvh --output_dir", tmp_path)
    take = tmp_path / "sample00_rep00.bvh"
    before = take.read_bytes()
    for line in ((take,), (folder / "results.npy", "--samples 0 --character", take)):
        said = refusal(
            capsys, 2, "visualize.export", *line, "--body free --overwrite --format bvh --output_dir", tmp_path
        )
        assert "would replace what it is made from" in said and take.read_bytes() == before


def test_a_map_is_one_of_a_character(folder: Path, tmp_path: Path, capsys):
    (tmp_path / "map.json").write_text("{}")
    line = ("--map", tmp_path / "map.json", "--output_dir", tmp_path / "out")
    assert "--character" in refusal(capsys, 2, "visualize.export", folder / "results.npy", *line)
    assert not (tmp_path / "out").exists()


def test_what_has_too_few_joints_gets_no_draft_of_a_map(folder: Path, tmp_path: Path, capsys):
    node = {"asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": [{"name": "box"}]}
    rigs.pack(tmp_path / "box.glb", node, b"")
    line = ("--character", tmp_path / "box.glb", "--output_dir", tmp_path / "out")
    assert "box.glb has too few joints for arms and legs (1)" in refusal(
        capsys, 4, "visualize.export", folder / "results.npy", *line
    )
    assert not (tmp_path / "out").exists()


def test_a_cycle_in_place_by_other_names(folder: Path, tmp_path: Path):
    run(
        "visualize.export",
        folder / "results.npy",
        "--samples 0 --body free --format bvh glb --names mixamo --loop --in_place --output_dir",
        tmp_path,
    )
    clip, (body,) = bvh.read(tmp_path / "sample00_rep00.bvh"), glb.read(tmp_path / "sample00_rep00.glb")
    assert set(renamed(SKELETONS["smpl24"].joints, "mixamo")) <= set(clip.joints)
    assert set(body.body.joints) == set(renamed(SKELETONS["smpl24"].joints, "mixamo"))
    np.testing.assert_allclose(clip.positions[0], clip.positions[-1], atol=2e-4)
    assert len(clip.positions) < 30


@pytest.mark.parametrize("bad", ["nothing.glb", "text.glb", "list.json", "skinless.glb"])
def test_what_is_no_character_is_said_and_nothing_is_written(bad: str, folder: Path, tmp_path: Path, capsys):
    (tmp_path / "text.glb").write_text("glTF")
    (tmp_path / "list.json").write_text(json.dumps([]))
    rigs.pack(tmp_path / "skinless.glb", {"asset": {"version": "2.0"}, "scenes": [{}]}, b"")
    code = {"nothing.glb": 3, "list.json": 2}.get(bad, 4)
    said = refusal(
        capsys,
        code,
        "visualize.export",
        folder / "results.npy",
        "--character",
        tmp_path / bad,
        "--output_dir",
        tmp_path / "out",
    )
    assert bad in said and len(said) <= 330 and not (tmp_path / "out").exists()
