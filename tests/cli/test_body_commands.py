"""visualize.render_mesh and visualize.export as commands, on toy results: what they write, and what they refuse."""

import numpy as np
import pytest

from data_loaders.points.toy import body_motion
from tests.commands import refusal, run
from tests.gltf_files import Made
from utils.formats import bvh, glb, reading, results, smpl_params
from utils.geometry.skeleton import SKELETONS
from utils.run.folders import RECORD
from visualize import render_mesh

SMPL22, NBA = SKELETONS["smpl22"], SKELETONS["nba"]


@pytest.fixture(scope="module")
def mdm(tmp_path_factory):
    """A folder with results of two prompts, two motions each."""
    folder = tmp_path_factory.mktemp("mdm")
    clips = np.stack([body_motion(20.0, 0, i)[0][:10] for i in range(4)]).astype(np.float32)
    results.write(
        folder / "results.npy",
        {
            "motion": clips.transpose(0, 2, 3, 1), "text": ["one", "two", "one", "two"], "num_samples": 2,
            "num_repetitions": 2, "lengths": np.array([10, 8, 6, 5]), "fps": 20.0,
            "joint_names": list(SMPL22.joints), "parents": list(SMPL22.parents),
        },
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def mas(tmp_path_factory):
    """A folder with published results of MAS, which name no joints."""
    folder = tmp_path_factory.mktemp("mas")
    people = np.stack([body_motion(20.0, 0, i)[0][:8] for i in range(2)]).astype(np.float32)
    at = {name: people[:, :, joint] for joint, name in enumerate(SMPL22.joints)}
    words = "pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle neck head head left_shoulder".split()
    words += "left_elbow left_wrist right_shoulder right_elbow right_wrist".split()
    motions = np.stack([at[word] for word in words], 2) / NBA.metres_per_unit * (1, 1, -1)
    motions[:, :, 9] += (0, 0.2, 0)
    content = {"motions": motions.astype(np.float32), "model_kwargs": {"y": {"lengths": np.array([8, 7])}}}
    np.save(folder / "results.npy", np.array(content, dtype=object), allow_pickle=True)
    return folder


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("result_7.mp4", (7, None)), ("input_motions_3.mp4", (3, None)), ("sample01_rep02.mp4", (1, 2)),
        ("row00_col12.mp4", (0, 12)), ("result_7.cut.mp4", (7, None)),
    ],
)  # fmt: skip
def test_the_name_of_a_video_says_the_sample(name, sample, tmp_path):
    assert render_mesh.sample_of(tmp_path / name)[1] == sample


def test_the_sample_that_the_video_names_is_rendered(mdm, capsys):
    """Repetition 1 of sample 1 is motion 3: its text, its length; the published files."""
    line = ("--input_path", mdm / "sample01_rep01.mp4", "--format obj params npz --body free --cuda False --device 0")
    run("visualize.render_mesh", *line)
    assert "joints met to" in capsys.readouterr().out
    found = smpl_params.read(mdm / "sample01_rep01_smpl_params.npy")
    assert (found["text"], found["length"]) == ("two", 5)
    frames = sorted(path.name for path in (mdm / "sample01_rep01_obj").iterdir())
    assert frames == [RECORD] + [f"frame00{i}.obj" for i in range(5)]
    assert "exists already" in refusal(capsys, 2, "visualize.render_mesh", *line)


def test_what_cannot_have_its_names_is_refused_before_the_fit(mdm, tmp_path, monkeypatch, capsys):
    """Two clips of one name in a GLB, as programs write them; files that exist."""

    def fit(*arguments):
        raise AssertionError("clips are fitted before their files are known to be wanted")

    tree = Made([{"name": "a", "children": [1]}, {"name": "b", "translation": [0, 1, 0]}])
    for _ in range(2):
        tree.clip("Walk").track(0, "translation", [0.0, 0.5], [[0, 0, 0], [1, 0, 0]])
    take = tree.save(tmp_path / "take.glb")
    for name in ("result", "sample01_rep01"):
        (tmp_path / f"{name}.bvh").write_text("an earlier export")
    np.save(tmp_path / "result.npy", body_motion(20.0, 0, 0)[0][:5])
    monkeypatch.setattr("body.from_joints.make_body", fit)
    assert "two motions are called Walk" in refusal(capsys, 2, "visualize.export", take, "--format bvh csv")
    assert "exists already" in refusal(capsys, 2, "visualize.export", tmp_path / "result.npy", "--format csv bvh")
    line = (mdm / "sample01_rep01.mp4", "--format bvh --output_dir", tmp_path)
    assert "exists already" in refusal(capsys, 2, "visualize.render_mesh", *line)


def test_a_results_file_is_read_once(mdm, tmp_path, monkeypatch):
    read = []
    for module in (reading, results):
        load = module.load_array
        monkeypatch.setattr(module, "load_array", lambda path, load=load: read.append(path) or load(path))
    run("visualize.render_mesh", mdm / "sample00_rep00.mp4", "--format csv --body free --output_dir", tmp_path)
    assert read == [mdm / "results.npy"]


def test_published_results_of_mas(mas, tmp_path, capsys):
    line = ("visualize.render_mesh", mas / "result_1.mp4", "--output_dir", tmp_path, "--format bvh")
    assert "say which skeleton" in refusal(capsys, 4, *line)
    run(*line, "--skeleton_type nba --fit smplify --num_smplify_iters 2")
    said = capsys.readouterr().out
    assert "left_foot" in said and "published" in said
    assert [path.name for path in tmp_path.iterdir()] == ["result_1.bvh"]


def test_a_whole_file_is_exported(mdm, tmp_path, capsys):
    run("visualize.export", mdm / "results.npy", "--format glb html csv --samples 0 3 --output_dir", tmp_path / "out")
    names = {"results.html", *(f"sample0{i}_rep0{i}.{ending}" for i in (0, 1) for ending in ("glb", "csv"))}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "out" / "sample01_rep01.csv")


def test_rate_and_root_bone_of_files(mdm, tmp_path):
    line = ("--samples 0 --format glb bvh --fps 25 --root_bone --output_dir", tmp_path / "out")
    run("visualize.export", mdm / "results.npy", *line)
    (motion,) = glb.read(tmp_path / "out/sample00_rep00.glb")
    assert (motion.fps, motion.root_bone, len(motion.root)) == (25.0, True, 12)
    assert bvh.read(tmp_path / "out/sample00_rep00.bvh").joints[0] == "Root"


def test_holes_are_closed_and_said_or_named(mdm, tmp_path, capsys):
    content = results.load(mdm / "results.npy")
    for frames, name in ((slice(2, 5), "short"), (slice(1, 8), "long")):
        motion = content["motion"].copy()
        motion[0, 20, :, frames] = np.nan
        np.save(tmp_path / f"{name}.npy", np.array({**content, "motion": motion}, dtype=object), allow_pickle=True)
    run("visualize.export", tmp_path / "short.npy", "--samples 0 --format csv --output_dir", tmp_path / "out")
    assert "left_wrist 2-4" in capsys.readouterr().out
    line = ("visualize.export", tmp_path / "long.npy", "--samples 0 --format csv --output_dir", tmp_path / "none")
    assert "left_wrist 1-7" in refusal(capsys, 4, *line) and not (tmp_path / "none").exists()


def test_refusals(mdm, mas, tmp_path, capsys):
    """One clear line each, and nothing written."""
    out = ("--output_dir", tmp_path / "out")
    for code, said, *line in (
        (2, "must end in .mp4", "visualize.render_mesh", mdm / "results.npy"),
        (2, "names no sample", "visualize.render_mesh", mdm / "walk.mp4"),
        (4, "2 samples and 2 repetitions", "visualize.render_mesh", mdm / "sample02_rep00.mp4"),
        (4, "2 samples and 2 repetitions", "visualize.render_mesh", mdm / "sample00_rep02.mp4"),
        (3, "belongs beside", "visualize.render_mesh", tmp_path / "result_0.mp4"),
        (2, "--samples", "visualize.render_mesh", mdm / "sample00_rep00.mp4", "--samples 1"),
        (2, "number 0 to 3", "visualize.export", mdm / "results.npy", "--samples 4"),
        (2, "'glbb'; did you mean glb", "visualize.export", mdm / "results.npy", "--format glbb"),
        (3, "nowhere.pkl", "visualize.export", mdm / "results.npy", "--body nowhere.pkl"),
        (4, "gymnastics", "visualize.export", mas / "results.npy", "--skeleton_type gymnastics"),
        (2, "name the motion", "visualize.export"),
    ):
        assert said in refusal(capsys, code, *line, *out), line
        assert not (tmp_path / "out").exists()
