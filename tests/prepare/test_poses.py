"""`prepare.poses`: which poses are taken, their parts, pairs that no cut changes, keys of the published files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.poses import sampling
from data_loaders.poses.dataset import load
from data_loaders.poses.distances import geodesic
from data_loaders.poses.folder import read_index, read_pairs, read_samples
from data_loaders.poses.neighbours import nearest_of
from data_loaders.poses.noise import LEVELS
from data_loaders.poses.sampling import mirrored, part_of, published_frames, thinned_frames
from prepare import poses as command
from tests.data_loaders.test_pose_neighbours import people
from tests.toys import swinging
from utils.geometry.kinematics import forward
from utils.geometry.rest import rest_offsets
from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, UsageError


def amass(path: Path, frames: int, label: int, seed: int) -> Path:
    """A file as AMASS has them: somebody who swings their limbs, upright in a world whose z is up."""
    poses = np.zeros((frames, 156))
    poses[:, :66] = swinging(frames, label, seed)[:, :66]
    poses[:, :3] = (np.pi / 2, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path, poses=poses, trans=np.zeros((frames, 3)), betas=np.zeros(16), gender="neutral", mocap_framerate=30.0
    )  # fmt: skip
    return path


@pytest.fixture
def sources(tmp_path) -> Path:
    """Four subjects of three published datasets, two clips each."""
    folder = tmp_path / "amass"
    places = (("CMU", "01"), ("KIT", "3"), ("SFU", "0005"), ("SSM_synced", "x"))
    for number, (dataset, subject) in enumerate(places):
        for clip in range(2):
            amass(folder / dataset / subject / f"{clip}_poses.npz", 50 + 10 * clip, number, 10 * number + clip)
    return folder


def run(output: Path, sources: Path, *flags: str) -> Path:
    command.main(["--sources", str(sources), "--output_dir", str(output), *flags])
    return output


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_a_folder_and_its_keys(sources, tmp_path, capsys):
    folder = run(tmp_path / "poses", sources)
    out = capsys.readouterr().out
    assert "next: python -m train.train_posendf --poses" in out and "train:" in out
    index = read_index(folder)
    assert {(file["name"], file["part"]) for file in index["files"]} == {
        ("CMU_01_000", "train"), ("KIT_3_000", "train"), ("SFU_0005_000", "val"), ("SSM_synced_x_000", "test"),
    }  # fmt: skip
    for file in index["files"]:
        with np.load(folder / "samples" / file["part"] / f"{file['name']}.npz") as samples:
            count = file["samples"]
            assert samples["pose_body"].shape == (count, 69) and samples["root_orient"].shape == (count, 3)
            assert samples["betas"].shape == (10,) and not samples["pose_body"][:, 63:].any()
        with np.load(folder / "pairs" / file["part"] / f"{file['name']}.npz") as pairs:
            rows = 3 * count
            assert pairs["pose"].shape == (rows, 21, 4) and pairs["dist"].shape == (rows, 1)
            assert pairs["nn_pose"].shape == (rows, 1, 21, 4)
            assert {value.dtype for value in pairs.values()} == {np.dtype(np.float32)}


def test_distances_are_to_the_train_part(sources, tmp_path):
    folder = run(tmp_path / "poses", sources, "--k_dist", "2")
    real = load(folder / "pairs", folder / "samples", "train").manifold
    for part in sampling.PARTS:
        found = load(folder / "pairs", folder / "samples", part)
        expected, _ = nearest_of(found.pairs.poses, real, 2)
        torch.testing.assert_close(found.pairs.distances, expected, rtol=1e-3, atol=1e-6)
        told = geodesic(found.pairs.poses[:, None], found.pairs.nearest)
        torch.testing.assert_close(told, found.pairs.distances, rtol=1e-3, atol=1e-6)
        assert set(found.pairs.levels.unique().tolist()) == set(torch.tensor(LEVELS).tolist())
        clean = found.pairs.distances[found.pairs.levels == 0, 0]
        assert (clean.max() < 1e-6) == (part == "train")


def test_the_poses_are_those_of_the_file(tmp_path):
    amass(tmp_path / "lab" / "CMU" / "01" / "a_poses.npz", 40, 1, 0)
    folder = run(tmp_path / "poses", tmp_path / "lab", "--min_distance", "0", "--mirror", "False")
    told = np.load(tmp_path / "lab" / "CMU" / "01" / "a_poses.npz")["poses"][:, 3:66].reshape(-1, 21, 3)
    found = read_samples(folder / "samples" / "train" / "CMU_01_000.npz")
    expected = axis_angle_to_quaternion(torch.from_numpy(told)).float()
    assert geodesic(found, expected).max() < 1e-6


def test_no_cut_changes_the_pairs(sources, tmp_path):
    whole = content(run(tmp_path / "whole", sources, "--pairs_per_pose", "1.5"))
    again = content(run(tmp_path / "again", sources, "--pairs_per_pose", "1.5", "--workers", "2"))
    parts = tmp_path / "parts"
    for shard in (3, 1, 2):
        run(parts, sources, "--pairs_per_pose", "1.5", "--shard", f"{shard}/3")
    assert whole == again == content(parts)
    assert not list(tmp_path.glob("parts_*")), "what the shards made is put together"


def test_shards_of_other_lines_are_not_put_together(sources, tmp_path):
    run(tmp_path / "poses", sources, "--shard", "1/2")
    with pytest.raises(UsageError, match="not made by one line"):
        run(tmp_path / "poses", sources, "--shard", "2/2", "--noise", "tangent")
    assert not (tmp_path / "poses").exists()


def test_the_published_rule(sources, tmp_path):
    rule = ("--sampling", "published", "--noise", "published", "--k_dist", "5", "--mirror", "False")
    folder = run(tmp_path / "poses", sources, *rule, "--levels", "0.01", "0.05", "0.1", "0.25", "0.5")
    pairs = read_pairs(folder / "pairs" / "train" / "CMU_01_000.npz")
    assert pairs.distances.shape[1] == 5 and pairs.levels.min() == torch.tensor(0.01)
    assert len(read_samples(folder / "samples" / "train" / "CMU_01_000.npz")) == int(0.24 * 50) + int(0.24 * 60)


def test_published_frames_leave_the_ends_out():
    frames = published_frames(100, np.random.RandomState(0))
    assert len(set(frames.tolist())) == 24 and frames.min() >= 10 and frames.max() < 90
    assert len(published_frames(3, np.random.RandomState(0))) == 0


def test_thinned_frames_are_apart_and_leave_nothing_far(monkeypatch: pytest.MonkeyPatch):
    start = people(2, 0.3)
    way = torch.linspace(0, 1, 400)[:, None, None]
    clip = torch.nn.functional.normalize(start[0] * (1 - way) + start[1] * way, dim=-1)
    frames = thinned_frames(clip, 1e-3)
    kept = clip[frames]
    apart = geodesic(kept[:, None], kept[None]) + 10 * torch.eye(len(kept))
    assert frames[0] == 0 and 3 < len(frames) < 100 and apart.min() >= 1e-3 - 1e-6
    assert geodesic(clip[:, None], kept[None]).min(1)[0].max() < 1e-3 + 1e-6
    assert len(thinned_frames(clip, 0.0)) == 400 and len(thinned_frames(clip[:1].expand(50, -1, -1), 1e-3)) == 1


def test_a_mirror_image_is_that_of_the_body():
    poses = people(3, 0.5)
    body = SKELETONS["smpl22"]
    still = torch.eye(3).expand(3, 1, 3, 3)

    def joints(of: torch.Tensor) -> torch.Tensor:
        turns = torch.cat([still, quaternion_to_matrix(of)], 1)
        offsets = rest_offsets()[:22]
        offsets = (
            offsets + offsets[list(body.mirror)] * torch.tensor((-1.0, 1.0, 1.0))
        ) / 2  # one that has two equal sides
        return forward(turns, offsets, body.parents, torch.zeros(3))[0]

    expected = joints(poses)[:, list(body.mirror)] * torch.tensor((-1.0, 1.0, 1.0))
    torch.testing.assert_close(joints(mirrored(poses)), expected, rtol=0, atol=1e-5)
    assert torch.equal(mirrored(mirrored(poses)), poses)


def test_parts():
    shares = (0.1, 0.1)
    assert part_of("x", None, Path("a/MPI_mosh/1/x.npz"), shares) == "val"
    assert part_of("x", None, Path("a/Transitions_mocap/1/x.npz"), shares) == "test"
    assert part_of("x", "test", Path("shard.npz"), shares) == "test"
    found = [part_of(f"clip {n}", "train", Path("shard.npz"), shares) for n in range(300)]
    assert set(found) == {"train", "val"} and 0.05 < found.count("val") / 300 < 0.15
    assert "test" in [part_of(f"clip {n}", None, Path("a.bvh"), shares) for n in range(100)]


def test_nothing_that_is_marked_test_is_trained_on(sources, tmp_path):
    """Not as a reference either; nor are its copies and mirror images."""
    clip = sources / "CMU" / "01" / "0_poses.npz"
    (sources / "SSM_synced" / "x" / "copy_poses.npz").write_bytes(clip.read_bytes())
    before = read_samples(run(tmp_path / "a", sources / "CMU") / "samples" / "train" / "CMU_01_000.npz")
    after = read_samples(run(tmp_path / "b", sources) / "samples" / "train" / "CMU_01_000.npz")
    assert len(after) < len(before)


@pytest.mark.parametrize(
    ("flags", "error", "said"),
    [
        (["--shard", "3/2"], UsageError, "should be i/n"),
        (["--shard", "one"], UsageError, "should be i/n"),
        (["--levels", "much"], UsageError, "should be numbers"),
        (["--levels", "-1"], UsageError, "unknown argument|expected|should be numbers"),
        (["--noise", "pink"], UsageError, "invalid choice"),
    ],
)
def test_wrong_flags(flags, error, said, sources, tmp_path):
    with pytest.raises(error, match=said):
        run(tmp_path / "poses", sources, *flags)
    assert not (tmp_path / "poses").exists()


def test_sources_without_rotations_are_said(tmp_path):
    positions = np.random.RandomState(0).normal(size=(30, 22, 3)).astype(np.float32)
    np.save(tmp_path / "joints.npy", positions)
    with pytest.raises(DataError):
        run(tmp_path / "poses", tmp_path / "joints.npy")
    with pytest.raises(MissingFileError):
        run(tmp_path / "poses", tmp_path / "nowhere")


def test_an_index_that_leads_elsewhere_is_refused(tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({"files": [{"name": "../x", "part": "train"}]}))
    with pytest.raises(DataError):
        read_index(tmp_path)
    with pytest.raises(MissingFileError):
        read_index(tmp_path / "none")


@pytest.mark.parametrize("fault", ["nan", "joints", "rows", "missing"])
def test_broken_pairs_are_refused(fault, tmp_path):
    arrays = {"pose": np.zeros((4, 21, 4)), "dist": np.zeros((4, 2)), "nn_pose": np.zeros((4, 2, 21, 4))}
    if fault == "nan":
        arrays["dist"][0] = np.nan
    if fault == "joints":
        arrays["pose"] = np.zeros((4, 22, 4))
    if fault == "rows":
        arrays["dist"] = np.zeros((3, 2))
    if fault == "missing":
        del arrays["nn_pose"]
    np.savez(tmp_path / "pairs.npz", **arrays)
    with pytest.raises(DataError):
        read_pairs(tmp_path / "pairs.npz")
