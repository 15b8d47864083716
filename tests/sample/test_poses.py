"""Poses by a pose prior: each task from a file to files, what stays as it was, and what is refused in one line."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from model.poses.interpolation import turns_between
from model.poses.pose_ndf import canonical
from model.poses.reading import load_pose_ndf
from sample.posing.tasks import random_poses
from tests.commands import listing, refusal, run
from tests.model.test_pose_ndf import some_poses, tiny
from tests.model.test_pose_ndf_files import published
from utils.formats import glb, smpl_motion
from utils.formats.reading import read_motion
from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_to_axis_angle

COMMAND = "sample.poses"
NEAR = "--max_dist 0.05"
SMALL = "--threads 1 --device cpu"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The small network of the golden numbers, as its program leaves it."""
    network, _ = tiny(Path(__file__).parents[1] / "golden")
    return published(tmp_path_factory.mktemp("published") / "run", network)


def calm(count: int, seed: int = 0, degrees: float = 20.0) -> torch.Tensor:
    """Poses [N, 21, 4] near the T, w near 1."""
    draws = torch.randn(count, 21, 3, generator=torch.Generator().manual_seed(seed))
    return axis_angle_to_quaternion(np.deg2rad(degrees) * draws)


def quaternions(path: Path, poses: torch.Tensor, key: str = "pose_body", **more: np.ndarray) -> Path:
    np.savez(path, **{key: poses.numpy()}, **more)  # type: ignore[arg-type]
    return path


def amass(path: Path, frames: int = 5) -> Path:
    rng = np.random.RandomState(0)
    np.savez(
        path, poses=rng.normal(0, 0.3, (frames, 156)), trans=rng.normal(0, 0.1, (frames, 3)), betas=np.zeros(16),
        gender="female", mocap_framerate=60.0, dmpls=rng.normal(size=(frames, 8)),
    )  # fmt: skip
    return path


def loaded(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as content:
        return dict(content)


def test_generated(model, tmp_path):
    out = tmp_path / "out"
    run(COMMAND, "--model_path", model, NEAR, SMALL, "--num_samples 9 --keep_steps --output_dir", out)
    found = loaded(out / "poses.npz")
    assert found["pose_body"].shape == (9, 21, 4) and (found["distance"] < 0.05).all()
    assert (found["distance_before"] > found["distance"]).all() and (found["steps"] > 0).all()
    network = load_pose_ndf(model)
    with torch.no_grad():
        np.testing.assert_allclose(network(torch.from_numpy(found["pose_body"])), found["distance"], rtol=1e-4)
    steps = [loaded(out / "projection_steps" / f"{number}.npz")["pose_body"] for number in range(9)]
    np.testing.assert_array_equal(steps[3][0], random_poses(9, 0)[3])
    np.testing.assert_array_equal(np.stack(steps)[:, -1], found["pose_body"])
    (motion,) = read_motion(out / "results.npy")
    assert motion.rotations is not None and motion.positions.shape == (9, 22, 3)
    assert np.abs(motion.positions[:, :, 1].min(1)).max() < 0.15, "each pose stands on the floor"
    assert len(glb.read(out / "poses.glb")[0].root) == 9
    assert (out / "contact_sheet.png").stat().st_size > 10_000


def test_a_pose_depends_on_seed_and_number_only(model, tmp_path):
    for count, seed in ((2, 0), (5, 0), (2, 1)):
        flags = f"--num_samples {count} --seed {seed} --output_dir"
        run(COMMAND, "--model_path", model, NEAR, SMALL, flags, tmp_path / f"{count}_{seed}")
    two, five, other = (loaded(tmp_path / name / "poses.npz")["pose_body"] for name in ("2_0", "5_0", "2_1"))
    np.testing.assert_allclose(two, five[:2], atol=1e-4)
    assert np.abs(two - other).max() > 0.1


def test_random_poses_of_both_rules():
    """Uniform rotations turn by 126 degrees on average; the published ones have no negative number."""
    ours, theirs = random_poses(200, 3), random_poses(200, 3, "published")
    angles = torch.rad2deg(2 * ours[..., 0].acos())
    assert abs(float(angles.mean()) - 126.5) < 2 and (ours[..., 1:] < 0).any()
    assert (theirs >= 0).all()
    for poses in (ours, theirs):
        torch.testing.assert_close(poses.norm(dim=-1), torch.ones(200, 21))


def test_generated_from_the_poses_of_a_file(model, tmp_path):
    path = quaternions(tmp_path / "poses.npz", some_poses(4), "pose")
    flags = "--num_samples 6 --max_steps 0 --order wxyz --output_dir"
    run(COMMAND, "--model_path", model, SMALL, "--input_path", path, flags, tmp_path / "out")
    found = loaded(tmp_path / "out" / "poses.npz")["pose_body"]
    known = canonical(some_poses(4)).numpy()
    assert all(any(np.array_equal(pose, each) for each in known) for pose in found)


def test_the_published_rule_takes_one_step_more(model, tmp_path):
    run(
        COMMAND, "--model_path", model, SMALL, "--rule published --max_steps 3 --num_samples 2 --keep_steps",
        "--output_dir", tmp_path / "out",
    )  # fmt: skip
    found = loaded(tmp_path / "out" / "poses.npz")
    assert found["steps"].tolist() == [4, 4]
    first = loaded(tmp_path / "out" / "projection_steps" / "0.npz")["pose_body"]
    assert first.shape == (5, 21, 4) and (first[0] >= 0).all()


def test_projected_quaternions(model, tmp_path):
    """The same file comes out: what is near enough stays to the bit, and so does what else it holds."""
    near = loaded_near(model, tmp_path)
    mixed = torch.cat([torch.from_numpy(near[:2]), some_poses(2)])
    path = quaternions(tmp_path / "take.npz", mixed, "pose", label=np.array("x"))
    run(COMMAND, "project --model_path", model, NEAR, SMALL, "--order wxyz --input_path", path)
    out = tmp_path / "take_poses_project_seed_0"
    found = loaded(out / "take.npz")
    np.testing.assert_array_equal(found["pose"][:2], near[:2])
    assert (found["distance"] < 0.05).all() and found["label"] == "x" and found["steps"].tolist()[:2] == [0, 0]
    assert {"take.glb", "results.npy", "contact_sheet.png"} <= set(listing(out))
    swapped = quaternions(tmp_path / "swapped.npz", mixed.roll(-1, -1), "pose")
    run(COMMAND, "project --model_path", model, NEAR, SMALL, "--order xyzw --input_path", swapped)
    other = loaded(tmp_path / "swapped_poses_project_seed_0" / "swapped.npz")["pose"]
    np.testing.assert_array_equal(np.roll(other, 1, -1), found["pose"])
    np.save(tmp_path / "array.npy", mixed.numpy())
    run(COMMAND, "project --model_path", model, NEAR, SMALL, "--order wxyz --input_path", tmp_path / "array.npy")
    array = np.load(tmp_path / "array_poses_project_seed_0" / "array.npy")
    np.testing.assert_array_equal(array, found["pose"])


def loaded_near(model: Path, tmp_path: Path) -> np.ndarray:
    """Plausible poses."""
    run(COMMAND, "--model_path", model, NEAR, SMALL, "--num_samples 3 --output_dir", tmp_path / "near")
    return loaded(tmp_path / "near" / "poses.npz")["pose_body"]


def test_projected_amass(model, tmp_path):
    """All but the 63 numbers of the body are what they were, and so are these in frames that do not move."""
    path = amass(tmp_path / "walk_poses.npz")
    before = loaded(path)
    network = load_pose_ndf(model)
    poses = axis_angle_to_quaternion(torch.from_numpy(before["poses"][:, 3:66]).unflatten(1, (21, 3)))
    far = network(poses.float()).numpy()
    bound = float(np.median(far))
    run(COMMAND, "project --model_path", model, f"--max_dist {bound}", SMALL, "--input_path", path)
    after = loaded(tmp_path / "walk_poses_poses_project_seed_0" / "walk_poses.npz")
    assert set(after) == set(before)
    for name in set(before) - {"poses"}:
        np.testing.assert_array_equal(after[name], before[name])
    for part in (slice(0, 3), slice(66, 156)):
        np.testing.assert_array_equal(after["poses"][:, part], before["poses"][:, part])
    moved = (after["poses"] != before["poses"]).any(1)
    np.testing.assert_array_equal(moved, far >= bound)
    turned = axis_angle_to_quaternion(torch.from_numpy(after["poses"][:, 3:66]).unflatten(1, (21, 3)))
    assert (network(turned.float()) <= bound + 1e-5).all()
    assert smpl_motion.read(tmp_path / "walk_poses_poses_project_seed_0" / "walk_poses.npz").fps == 60


def test_projected_motion_comes_out_in_its_format(model, tmp_path):
    """A BVH of ours: its rotations count, its path stays."""
    path = amass(tmp_path / "walk.npz")
    run("visualize.export", path, "--format bvh --output_dir", tmp_path)
    run(COMMAND, "project --model_path", model, NEAR, SMALL, "--input_path", tmp_path / "walk.bvh")
    out = tmp_path / "walk_poses_project_seed_0"
    (before,), (after,) = read_motion(tmp_path / "walk.bvh"), read_motion(out / "walk.bvh")
    assert len(after.positions) == len(before.positions) and after.fps == before.fps
    way = after.positions[:, 0] - before.positions[:, 0]
    np.testing.assert_allclose(way, way[:1].repeat(len(way), 0), atol=2e-3)
    assert np.abs(after.positions - before.positions - way[:, None]).max() > 0.05


def test_axis_angles_of_the_published_samples(model, tmp_path):
    turns = quaternion_to_axis_angle(calm(3)).flatten(1).numpy()
    wide = np.pad(turns, ((0, 0), (0, 6)), constant_values=0.5).astype(np.float32)
    np.savez(tmp_path / "subject.npz", pose_body=wide, betas=np.ones(16))
    run(COMMAND, "project --model_path", model, NEAR, SMALL, "--input_path", tmp_path / "subject.npz")
    found = loaded(tmp_path / "subject_poses_project_seed_0" / "subject.npz")
    assert found["pose_body"].shape == (3, 69) and (found["pose_body"][:, 63:] == 0.5).all()
    assert (found["betas"] == 1).all() and np.abs(found["pose_body"] - wide).max() > 0.1


def test_interpolated(model, tmp_path):
    """Ends are reached, and backwards it is the same clip."""
    path = quaternions(tmp_path / "poses.npz", calm(4))
    for name, which in (("there", "1 3"), ("back", "3 1"), ("through", "0 2 -1")):
        flags = f"--poses {which} --num_steps 6 --output_dir"
        run(COMMAND, "interpolate --model_path", model, SMALL, "--input_path", path, flags, tmp_path / name)
    there, back, through = (
        loaded(tmp_path / name / "interpolation.npz")["pose_body"] for name in ("there", "back", "through")
    )
    keys = canonical(calm(4)).numpy()
    np.testing.assert_allclose(there[[0, -1]], keys[[1, 3]], atol=1e-6)
    np.testing.assert_array_equal(there, back[::-1])
    assert len(there) == 7 and len(through) == 13
    assert min(np.abs(through - keys[2]).max((1, 2))) < 1e-6
    assert len(glb.read(tmp_path / "there" / "interpolation.glb")[0].root) == 7


def test_the_published_way_does_not_reach_the_end(model, tmp_path):
    path = quaternions(tmp_path / "poses.npz", calm(2))
    flags = "--rule published --max_dist 0.5 --num_steps 20 --output_dir"
    run(COMMAND, "interpolate --model_path", model, SMALL, "--input_path", path, flags, tmp_path / "out")
    found = torch.from_numpy(loaded(tmp_path / "out" / "interpolation.npz")["pose_body"])
    start, end = canonical(calm(2))
    share = float(turns_between(found[-1], end) / turns_between(start, end))
    assert abs(share - 0.9**20) < 0.02


def test_scored(model, tmp_path):
    """A row a frame with what the network says, a row a clip, and the share above the threshold."""
    poses = torch.cat([calm(3), some_poses(2)])
    quaternions(tmp_path / "data" / "a.npz" if (tmp_path / "data").mkdir() else tmp_path / "data" / "a.npz", poses)
    amass(tmp_path / "data" / "b.npz", 4)
    (tmp_path / "data" / "broken.bvh").write_text("no motion")
    with torch.no_grad():
        wanted = load_pose_ndf(model)(canonical(poses)).numpy()
    threshold = float(np.sort(wanted)[2:4].mean())
    flags = f"--threshold {threshold} --output_dir"
    for name in ("a.npz", ""):
        source, out = tmp_path / "data" / name, tmp_path / f"out{name}"
        run(COMMAND, "score --model_path", model, SMALL, "--input_path", source, flags, out)
    frames = list(csv.DictReader((tmp_path / "outa.npz" / "frames.csv").open()))
    np.testing.assert_allclose([float(row["distance"]) for row in frames], wanted, atol=2e-6)
    clips = {row["clip"]: row for row in csv.DictReader((tmp_path / "outa.npz" / "clips.csv").open())}
    assert float(clips["a"]["implausible"]) == 0.4 and clips["all"]["frames"] == "5"
    both = [row["clip"] for row in csv.DictReader((tmp_path / "out" / "clips.csv").open())]
    assert both == ["a", "b", "all"] and (tmp_path / "out" / "scores.png").stat().st_size > 5000


def test_perturbed(model, tmp_path):
    """Noise of the asked size on the joints of an AMASS clip, its distances, and where these leave the band."""
    path = amass(tmp_path / "walk.npz", 40)
    flags = "--noise_magnitude 0.05 --body free --output_dir"
    run(COMMAND, "perturb --model_path", model, SMALL, "--input_path", path, flags, tmp_path / "out")
    before, after = loaded(path), loaded(tmp_path / "out" / "walk.npz")
    for part in (slice(0, 3), slice(66, 156)):
        np.testing.assert_array_equal(after["poses"][:, part], before["poses"][:, part])
    old, new = (
        canonical(axis_angle_to_quaternion(torch.from_numpy(each["poses"][:, 3:66]).unflatten(1, (21, 3))).float())
        for each in (before, after)
    )
    size = float((new - old).square().sum(-1).mean().sqrt())
    assert abs(size / (0.05 * 3**0.5) - 1) < 0.05, "three of four directions remain on the sphere"
    rows = list(csv.DictReader((tmp_path / "out" / "perturbed.csv").open()))
    network = load_pose_ndf(model)
    numbers = {name: np.array([float(row[name]) for row in rows]) for name in ("before", "after", "apart", "outside")}
    np.testing.assert_allclose(numbers["before"], network(old), atol=2e-5)
    np.testing.assert_allclose(numbers["after"], network(new), atol=2e-5)
    np.testing.assert_allclose(numbers["apart"], (1 - (old * new).sum(-1).abs()).mean(-1), atol=2e-5)
    change = numbers["after"] - numbers["before"]
    clear = np.abs(np.abs(change) - numbers["apart"]) > 1e-4
    wanted = np.where(np.abs(change) > numbers["apart"], np.sign(change), 0)
    np.testing.assert_array_equal(numbers["outside"][clear], wanted[clear])
    assert {-1, 1} <= set(wanted) and (tmp_path / "out" / "perturbed.png").stat().st_size > 5000


def bad(kind: str) -> np.ndarray:
    poses = calm(3).numpy()
    if kind == "zero":
        poses[1, 4] = 0
    elif kind == "long":
        poses[2] *= 1.5
    elif kind == "nan":
        poses[0, 0, 0] = np.nan
    elif kind == "swapped":
        poses = np.roll(calm(3, degrees=8).numpy(), -1, -1)
    elif kind == "24 joints":
        poses = np.concatenate([poses, poses[:, :3]], 1)
    elif kind == "none":
        poses = poses[:0]
    return poses


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("zero", "right_knee of pose 1 has a quaternion that is zero"),
        ("long", "left_hip of pose 2 has a quaternion of length 1.5"),
        ("nan", "left_hip of pose 0 has a quaternion that is zero or not finite"),
        ("swapped", "say --order xyzw, or --order wxyz"),
        ("24 joints", "poses of 24 joints; a pose is the 21 joints"),
        ("none", "holds no poses"),
    ],
)
@pytest.mark.parametrize("task", ["project", "score"])
def test_bad_poses_are_refused_and_nothing_is_written(model, tmp_path, capsys, kind, said, task):
    np.savez(tmp_path / "poses.npz", pose_body=bad(kind))
    before = listing(tmp_path)
    line = refusal(capsys, 4, COMMAND, task, "--model_path", model, SMALL, "--input_path", tmp_path / "poses.npz")
    assert said in line and "poses.npz" in line
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("code", "said", "flags"),
    [
        (2, "--input_path", "project"),
        (2, "--poses 9: there are 4 poses", "interpolate --poses 0 9 --input_path {poses}"),
        (2, "--poses two", "interpolate --poses two 1 --input_path {poses}"),
        (2, "names one pose", "interpolate --poses 1 --input_path {poses}"),
        (2, "between two poses", "interpolate --rule published --poses 0 1 2 --input_path {poses}"),
        (2, "capsules", "generate --body capsules"),
        (2, "--missing tail", "complete --missing tail --input_path {poses}"),
        (2, "lacks nothing", "complete --input_path {poses}"),
        (3, "holds no observations.npz", "denoise --input_path {folder}"),
        (4, "has 4 frames and its truth 5", "denoise --input_path {poses} --truth {amass}"),
        (2, "no file of quaternions", "score --order xyzw --input_path {amass}"),
        (3, "nothing.npz does not exist", "score --input_path nothing.npz"),
        (3, "train.train_posendf", "generate --model_path nowhere"),
        (2, "exists already", "generate --output_dir {folder}"),
    ],
)
def test_lines_that_are_refused(model, tmp_path, capsys, code, said, flags):
    places = {
        "poses": quaternions(tmp_path / "poses.npz", calm(4)),
        "amass": amass(tmp_path / "walk.npz"),
        "folder": tmp_path,
    }
    before = listing(tmp_path)
    task, *rest = flags.format(**places).split()
    chosen = rest if "--model_path" in rest else ["--model_path", model, *rest]
    out = [] if "--output_dir" in rest else ["--output_dir", tmp_path / "out"]
    assert said in refusal(capsys, code, COMMAND, task, *chosen, *out, SMALL)
    assert listing(tmp_path) == before


def test_the_model_that_is_taken_by_default_is_the_shipped_one(capsys, monkeypatch):
    monkeypatch.setattr("utils.run.options.found", lambda path: "/nowhere/pose_ndf")
    assert "pose_ndf does not exist" in refusal(capsys, 3, COMMAND, "generate")


def humor(folder: Path, frames: int = 12) -> Path:
    """A clip in HuMoR's layout: a person who bows slowly, with noise, and the truth."""
    clip = folder / "results_out" / "bow"
    clip.mkdir(parents=True)
    turns = np.zeros((frames, 63))
    turns[:, 6:9] = np.linspace(0, 0.5, frames)[:, None] * (1, 0, 0)
    noise = np.random.RandomState(0).normal(0, 0.1, turns.shape)
    root = {"root_orient": np.full((frames, 3), 0.1), "trans": np.ones((frames, 3))}
    np.savez(clip / "gt_results.npz", pose_body=turns, **root)
    np.savez(clip / "observations.npz", pose_body=turns + noise, **root)
    return folder


def test_denoised_in_the_layout_of_humor(model, tmp_path, capsys):
    """The same kind of file, root and path to the bit, and the truth beside it compared with."""
    source = humor(tmp_path / "in")
    run(
        COMMAND,
        "denoise --model_path",
        model,
        SMALL,
        "--max_steps 3 --input_path",
        source,
        "--output_dir",
        tmp_path / "o",
    )
    before, after = loaded(source / "results_out" / "bow" / "observations.npz"), loaded(tmp_path / "o" / "bow.npz")
    for name in ("root_orient", "trans"):
        np.testing.assert_array_equal(after[name], before[name])
    assert after["pose_body"].shape == (12, 63) and np.abs(after["pose_body"] - before["pose_body"]).max() > 0.02
    said = capsys.readouterr().out
    assert "noise of about" in said and "Gaussian filter" in said and "as given" in said


@pytest.mark.parametrize("kind", ["quaternions", "axis_angles"])
def test_completed_keeps_what_was_given_to_the_bit(model, tmp_path, kind):
    poses = -calm(4, 3)
    values = poses.numpy() if kind == "quaternions" else quaternion_to_axis_angle(poses).flatten(1).numpy()
    holes = values.reshape(4, 21, -1).copy()
    holes[1:3, 5] = np.nan
    np.savez(tmp_path / "take.npz", pose_body=holes.reshape(values.shape))
    flags = "--missing left_arm head --num_samples 2 --max_steps 5 --order"
    order = [flags, "wxyz"] if kind == "quaternions" else [flags.removesuffix(" --order")]
    run(
        COMMAND, "complete --model_path", model, SMALL, *order, "--input_path", tmp_path / "take.npz", "--output_dir",
        tmp_path / "out",
    )  # fmt: skip
    known = np.ones((4, 21), bool)
    known[1:3, 5] = known[:, [14, 15, 17, 19]] = False
    one, other = (loaded(tmp_path / "out" / f"take_{number}.npz")["pose_body"].reshape(4, 21, -1) for number in (0, 1))
    np.testing.assert_array_equal(one[known], holes[known])
    np.testing.assert_array_equal(other[known], holes[known])
    assert np.isfinite(one).all() and np.abs(one - other)[~known].max() > 0.05
