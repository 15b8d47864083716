"""Every format: written, read back, refused where it would replace something or holds something else."""

import dataclasses

import numpy as np
import pytest

from tests.bodies import small_body, walking
from utils.formats import bvh, csv, glb
from utils.geometry.body import joints_of
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError
from utils.run.folders import RECORD
from visualize.files import blender, exporting
from visualize.files.exporting import TABLE, export, prepared
from visualize.options import FORMATS, ExportOptions

THROUGH_OTHERS = {"usd", "fbx", "abc"}


@pytest.fixture
def motions():
    """Two clips, 30 frames a second."""
    return [dataclasses.replace(walking(9, 30.0, seed=seed), name=f"result_{seed}") for seed in (0, 1)]


def test_the_flag_offers_what_the_table_has():
    assert list(FORMATS) == list(TABLE)


@pytest.mark.parametrize("name", sorted(set(TABLE) - THROUGH_OTHERS))
def test_a_format(name, motions, tmp_path):
    written = export(motions, [name], tmp_path / "out", "results")
    form = TABLE[name]
    expected = ["results.html"] if form.together else [f"result_{i}{form.ending}" for i in (0, 1)]
    assert [path.name for path in written] == expected == sorted(path.name for path in (tmp_path / "out").iterdir())
    with pytest.raises(UsageError, match="exists already"):
        export(motions, [name], tmp_path / "out", "results")
    assert export(motions, [name], tmp_path / "out", "results", overwrite=True) == written


@pytest.mark.parametrize("part", ["rotations", "root", "rest", "vertices", "weights", "all of them large"])
@pytest.mark.parametrize("name", sorted(set(TABLE) - {"usd"}))
def test_no_format_takes_what_is_not_finite(name, part, motions, tmp_path, monkeypatch):
    monkeypatch.setattr(blender, "command", lambda *_: pytest.fail("Blender was called"))
    motion = motions[0]
    if part in ("rotations", "root"):
        broken = getattr(motion, part).copy()
        broken[3, ..., 0] = np.nan
        motion = dataclasses.replace(motion, **{part: broken})
    elif part in ("rest", "vertices", "weights"):
        broken = getattr(motion.body, part).copy()
        broken[5, 0] = np.inf
        motion = dataclasses.replace(motion, body=dataclasses.replace(motion.body, **{part: broken}))
    else:  # numbers that are finite, and places that are not
        body = dataclasses.replace(motion.body, rest=motion.body.rest * np.float32(1e38))
        motion = dataclasses.replace(motion, body=body, root=motion.root + np.float32(3e38))
    with pytest.raises(NumericError, match="NaN or infinity|infinite"):
        TABLE[name].write(tmp_path / f"a{TABLE[name].ending}", [motion])
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_paths_stay_in_the_folder(motions, tmp_path):
    names = ("../../x", "/abs/x", "a/b", "a:b", "走" * 100)
    clips = [dataclasses.replace(motions[0], name=name) for name in names]
    out = tmp_path / "deep" / "out"
    written = export(clips, ["csv", "html"], out, "../results")
    assert {path.parent for path in written} == {out} and len(set(written)) == len(names) + 1
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in written)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and path.parent != out] == []
    assert {"a_b.csv", "a_b__2.csv"} < {path.name for path in written}


def test_a_file_of_many_motions_is_read_once(motions, tmp_path):
    form, read = TABLE["html"], []
    (path,) = export(motions, ["html"], tmp_path, "results")
    counted = dataclasses.replace(form, read=lambda path: read.append(path) or form.read(path))
    exporting.check(path, counted, motions)
    assert read == [path]


def test_nothing_is_written_where_one_file_exists(motions, tmp_path):
    (tmp_path / "result_1.bvh").write_text("mine")
    with pytest.raises(UsageError, match="result_1.bvh exists"):
        export(motions, ["glb", "bvh"], tmp_path, "results")
    assert [path.name for path in tmp_path.iterdir()] == ["result_1.bvh"]


@pytest.mark.parametrize("name", sorted(set(TABLE) - THROUGH_OTHERS - {"mp4"}))
def test_a_file_of_something_else_is_not_taken_for_it(name, motions, tmp_path):
    """The check compares frames, and joints or vertices, with what was asked for."""
    form = TABLE[name]
    (path,) = export(motions[:1], [name], tmp_path, "results")
    longer = dataclasses.replace(motions[0], rotations=motions[0].rotations[:6], root=motions[0].root[:6])
    with pytest.raises(DataError, match="frames of result_0, not"):
        exporting.check(path, form, [longer])
    with pytest.raises(DataError, match="from where they were"):
        exporting.check(path, form, [dataclasses.replace(motions[0], root=motions[0].root + np.float32(0.01))])


def test_other_angles_are_not_taken_for_those_of_the_file(motions, tmp_path):
    (path,) = export(motions[:1], ["hik"], tmp_path, "results")
    turned = motions[0].rotations.copy()
    turned[:, 3] = motions[1].rotations[:, 3]
    with pytest.raises(DataError, match="from where they were"):
        exporting.check(path, TABLE["hik"], [dataclasses.replace(motions[0], rotations=turned)])


def test_what_motions_are_made_from_is_never_replaced(motions, tmp_path):
    (tmp_path / "result_0.bvh").write_text("a recording")
    (tmp_path / "result_0.csv").write_text("an earlier export")
    for folder in (tmp_path, tmp_path / ".." / tmp_path.name):
        with pytest.raises(UsageError, match=r"result_0\.bvh would replace what it is made from"):
            export(motions[:1], ["csv", "bvh"], folder, "x", overwrite=True, sources=[tmp_path / "result_0.bvh"])
    assert (tmp_path / "result_0.bvh").read_text() == "a recording"
    assert (tmp_path / "result_0.csv").read_text() == "an earlier export"


def test_motions_of_one_name_would_be_one_file(motions, tmp_path):
    with pytest.raises(UsageError, match="called walk"):
        export([dataclasses.replace(motion, name="walk") for motion in motions], ["glb"], tmp_path, "results")


def test_without_blender_it_is_said_how_to_get_it(motions, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYKINE_BLENDER", str(tmp_path / "nothing"))
    with pytest.raises(MissingFileError, match="bpy"):
        export(motions[:1], ["glb", "fbx"], tmp_path / "out", "results")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["npz", "smplx", "params", "hik"])
def test_who_has_not_smpls_joints_is_refused_before_anything_is_written(name, tmp_path):
    motion = walking(4, body=small_body(joints=("pelvis", "left_hip")))
    with pytest.raises(UsageError, match="no SMPL parameters"):
        export([motion], ["glb", name], tmp_path / "out", "results")
    assert not (tmp_path / "out").exists()


def test_old_files_stay_until_the_new_ones_are_found_right(motions, tmp_path, monkeypatch):
    """Also those of other formats of the same command: all of them change, or none."""
    out = tmp_path / "out"
    export(motions[:1], ["obj", "csv"], out, "results")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    broken = dataclasses.replace(TABLE["csv"], write=lambda path, some: path.write_text("time"))
    monkeypatch.setitem(TABLE, "csv", broken)
    other = dataclasses.replace(motions[0], root=motions[0].root + 1)
    with pytest.raises(DataError, match=r"^\S+/out/result_0.csv"):
        export([other], ["obj", "csv"], out, "results", overwrite=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_shorter_sequence_leaves_no_frame_of_the_longer_one(motions, tmp_path):
    export(motions[:1], ["obj"], tmp_path, "results")
    short = dataclasses.replace(motions[0], rotations=motions[0].rotations[:4], root=motions[0].root[:4])
    export([short], ["obj"], tmp_path, "results", overwrite=True)
    written = sorted(path.name for path in (tmp_path / "result_0_obj").iterdir())
    assert written == [RECORD, *(f"frame00{i}.obj" for i in range(4))]


def test_what_is_no_earlier_export_is_never_replaced(motions, tmp_path):
    export(motions[:1], ["obj"], tmp_path, "results")
    (tmp_path / "result_0_obj" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="notes.txt is no earlier export"):
        export(motions[:1], ["obj"], tmp_path, "results", overwrite=True)
    assert (tmp_path / "result_0_obj" / "notes.txt").read_text() == "mine"
    (tmp_path / "result_0.glb").mkdir()
    with pytest.raises(UsageError, match="result_0.glb is no earlier export"):
        export(motions[:1], ["glb"], tmp_path, "results", overwrite=True)
    (tmp_path / "result_1_obj").write_text("mine")
    with pytest.raises(UsageError, match="result_1_obj is no earlier export"):
        export(motions[1:], ["obj"], tmp_path, "results", overwrite=True)


@pytest.mark.parametrize("fps", [24.0, 25.0, 60.0])
def test_every_file_has_the_rate_that_is_asked_for(fps, motions, tmp_path):
    some = prepared(motions[:1], ExportOptions(fps=fps))
    written = export(some, ["glb", "bvh", "csv", "html"], tmp_path, "results")
    frames = int(8 / 30 * fps + 1e-6) + 1
    clips = glb.read(written[0])[0], bvh.read(written[1]), csv.read(written[2])
    assert [clip.fps for clip in clips] == pytest.approx([fps] * 3)
    assert len(clips[0].root) == len(clips[1].positions) == len(clips[2].positions) == frames
    ours = joints_of(motions[0])[0]
    at = np.arange(frames) * 30 / fps
    between = np.stack([[np.interp(at, np.arange(9), track) for track in joint.T] for joint in ours.swapaxes(0, 1)])
    np.testing.assert_allclose(clips[2].positions, between.transpose(2, 0, 1), atol=0.01)


def test_in_rest_bodies_stand_on_the_floor(motions, tmp_path):
    (path,) = export(motions[:1], ["glb"], tmp_path, "results")
    (found,) = glb.read(path)
    assert found.body.vertices[:, 1].min() == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(joints_of(found)[0], joints_of(motions[0])[0], atol=2e-5)
    assert motions[0].body.vertices[:, 1].min() < -0.5
