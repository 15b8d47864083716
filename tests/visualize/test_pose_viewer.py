"""The viewer of poses: what turns moves the body, what is told of it is what the prior says, projection is played."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from body.models import load_body
from model.poses.pose_ndf import JOINTS, PoseNDF, canonical
from model.poses.projection import project
from tests.commands import refusal
from tests.model.test_pose_ndf import some_poses, tiny
from tests.model.test_pose_ndf_files import published
from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_multiply

if importlib.util.find_spec("viser"):
    from visualize.page.poses import PoseViewer, open_pose_viewer

needs_viser = pytest.mark.skipif(not importlib.util.find_spec("viser"), reason="needs viser (pip install viser)")
ELBOW, WRIST = 18, 20  # of the 24 joints of the body, left


@pytest.fixture(scope="module")
def network() -> PoseNDF:
    return tiny(Path(__file__).parents[1] / "golden")[0].eval().requires_grad_(False)


@pytest.fixture
def viewer(network: PoseNDF) -> "Iterator[PoseViewer]":
    opened = open_pose_viewer(some_poses(4), network, load_body("free"), port=0)
    yield opened
    opened.server.stop()


def bones(viewer: "PoseViewer") -> np.ndarray:
    """Where the bones of the mesh are [24, 3], which is what the browser skins by."""
    return np.array([bone.position for bone in viewer.figure.mesh.bones])


@needs_viser
def test_poses_are_shown_with_their_distances(viewer, network):
    first = bones(viewer)
    viewer.step(1)
    assert viewer.number == 1 and np.abs(bones(viewer) - first).max() > 0.05
    said = float(network(canonical(some_poses(4)))[1])
    assert viewer.controls["distance"].value == f"{said:.5f}"
    viewer.step(-2)
    assert viewer.number == 3, "round at the ends"
    np.testing.assert_allclose(viewer.figure.joints[0].min(0)[1], 0, atol=0.15)


@needs_viser
def test_sliders_turn_the_joint_and_what_hangs_on_it(viewer, network):
    """30 degrees about y swing the left hand in the T from +x towards -z."""
    control = viewer.controls
    rest = torch.zeros(21, 4)
    rest[:, 0] = 1
    viewer.change(rest)
    before = bones(viewer)
    control["joint"].value, control["y"].value = "left_elbow", 30.0
    viewer.turn_by_sliders()
    way, old = (positions[WRIST] - positions[ELBOW] for positions in (bones(viewer), before))
    np.testing.assert_allclose(bones(viewer)[ELBOW], before[ELBOW], atol=1e-5)
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turned = (cosine * old[0] + sine * old[2], old[1], cosine * old[2] - sine * old[0])
    np.testing.assert_allclose(way, turned, atol=1e-5)
    with torch.no_grad():
        assert control["distance"].value == f"{float(network(viewer.poses[:1])[0]):.5f}"
    viewer.take(viewer.file)
    torch.testing.assert_close(viewer.poses, canonical(some_poses(4)))


@needs_viser
def test_the_gizmo_turns_the_joint_in_the_world(viewer):
    """The bone comes to stand as the gizmo does, and sliders say the local rotation."""
    viewer.controls["joint"].value = "left_elbow"
    viewer.show()
    np.testing.assert_allclose(viewer.gizmo.position, bones(viewer)[ELBOW], atol=1e-6)
    there = torch.from_numpy(np.asarray(viewer.gizmo.wxyz, np.float32))
    turn = axis_angle_to_quaternion(torch.tensor([0.0, 0.0, 0.5]))
    wanted = quaternion_multiply(turn, there)
    viewer.gizmo.wxyz = wanted.numpy()
    viewer.turn_by_gizmo(released=True)
    stands = torch.from_numpy(np.asarray(viewer.figure.mesh.bones[ELBOW].wxyz, np.float32))
    assert abs(float((stands * wanted).sum())) > 1 - 1e-6 and abs(float((stands * there).sum())) < 0.98
    degrees = torch.tensor([viewer.controls[axis].value for axis in "xyz"])
    local = axis_angle_to_quaternion(torch.deg2rad(degrees))
    assert abs(float((local * viewer.poses[0, JOINTS.index("left_elbow")]).sum())) > 1 - 1e-5


@needs_viser
def test_the_way_to_the_manifold_is_played_once(viewer, network):
    viewer.controls["max_dist"].value, viewer.controls["fps"].value = 0.1, 60
    viewer.step(1)
    viewer.project()
    found = project(network, canonical(some_poses(4))[1:2], 0.1, keep=True)
    assert found.path is not None
    torch.testing.assert_close(viewer.poses, found.path[:, 0])
    assert float(viewer.distances[-1]) < 0.1 < float(viewer.distances[0]) and viewer.number == 0
    assert viewer.controls["pose"].max == len(viewer.poses) - 1
    viewer.poses, viewer.distances = viewer.poses[:3], viewer.distances[:3]
    viewer.play(1.0)
    assert viewer.number == 2 and not viewer.controls["play"].value


@needs_viser
def test_shape_and_view_are_obeyed(viewer):
    height = np.ptp(bones(viewer)[:, 1])
    viewer.change(torch.nn.functional.one_hot(torch.zeros(21, dtype=torch.long), 4).float())
    height = np.ptp(bones(viewer)[:, 1])
    viewer.controls["child"].value = 1.0
    viewer.reshape()
    assert np.ptp(bones(viewer)[:, 1]) < 0.9 * height
    viewer.controls["mesh"].value = viewer.controls["handle"].value = False
    viewer.dress()
    assert not viewer.figure.mesh.visible and not viewer.gizmo.visible
    viewer.shake()
    assert float((viewer.poses[0] - viewer.file[0]).abs().max()) > 0.01


@pytest.mark.parametrize(
    ("code", "said", "flags"),
    [
        (2, "name one file", "walk.bvh --poses {good}"),
        (2, "capsules", "--poses {good} --body capsules"),
        (3, "nothing.npz does not exist", "--poses nothing.npz"),
        (3, "train.train_posendf", "--poses {good} --model_path nowhere"),
        (4, "poses of 20 joints", "--poses {bad}"),
    ],
)
def test_lines_that_are_refused(network, tmp_path, capsys, monkeypatch, code, said, flags):
    monkeypatch.setattr("visualize.page.viewer.import_module", lambda name: SimpleNamespace())
    np.savez(tmp_path / "good.npz", pose_body=some_poses(2).numpy())
    np.savez(tmp_path / "bad.npz", pose_body=some_poses(2)[:, :20].numpy())
    line = flags.format(good=tmp_path / "good.npz", bad=tmp_path / "bad.npz").split()
    model = [] if "--model_path" in line else ["--model_path", published(tmp_path / "run", network)]
    assert said in refusal(capsys, code, "visualize.view", *line, *model, "--device cpu --port 0")
