"""The viewer's scene follows its controls; where the cameras of MAS stand."""

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.bodies import walking
from utils.formats import results
from utils.geometry.body import joints_of
from utils.geometry.cameras import Camera, even_views, project
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import MissingFileError
from visualize.page import viewer as module
from visualize.page.viewer import ALL, Viewer, even_camera_views, open_viewer, plain_views
from visualize.view import mas_views

needs_viser = pytest.mark.skipif(not importlib.util.find_spec("viser"), reason="needs viser (pip install viser)")


@pytest.fixture
def viewer() -> Iterator[Viewer]:
    contacts = np.zeros((12, 24), bool)
    contacts[3, [7, 10]] = True
    skeleton = replace(walking(6, seed=1), name="<b>", meta={"mesh": False})
    opened = open_viewer([replace(walking(12), contacts=contacts), skeleton], port=0)
    yield opened
    opened.server.stop()


@needs_viser
def test_the_scene_shows_the_asked_time(viewer: Viewer):
    walker, thin = viewer.figures
    viewer.show(3 / 20)
    wanted = joints_of(walker.motion)[0][3]
    assert np.allclose([bone.position for bone in walker.mesh.bones], wanted, atol=1e-6)
    assert np.allclose(walker.dots.points, wanted, atol=1e-6)
    assert walker.touching.visible and np.allclose(walker.touching.points, wanted[[7, 10]], atol=1e-6)
    assert thin.mesh is None and thin.dots.visible and not thin.touching.visible
    viewer.show(99)
    assert (walker.shown, thin.shown) == (11, 5) and not walker.touching.visible


@needs_viser
def test_the_controls_are_obeyed(viewer: Viewer):
    walker, thin = viewer.figures
    assert abs(walker.frame.position[0] - thin.frame.position[0]) > 1, "side by side"
    controls = viewer.controls
    assert controls["sample"].options == (ALL, "0 walk", "1 <b>")
    controls["sample"].value, controls["mesh"].value, controls["joints"].value = "0 walk", False, True
    viewer.arrange()
    assert (walker.frame.visible, thin.frame.visible) == (True, False) and walker.frame.position[0] == 0
    assert not walker.mesh.visible and walker.bones.visible
    controls["contacts"].value = False
    viewer.arrange()
    viewer.show(3 / 20)
    assert not walker.touching.visible


@needs_viser
def test_playing_takes_its_time(viewer: Viewer):
    viewer.controls["speed"].value = 2.0
    viewer.play(0.2)
    assert 0.1 < viewer.controls["time"].value < 0.55
    viewer.controls["play"].value, before = False, viewer.controls["time"].value
    viewer.play(0.1)
    assert viewer.controls["time"].value == before


def test_without_viser_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str):
        raise ImportError(name)

    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(MissingFileError, match="pip install viser"):
        open_viewer([walking(2)])


def test_cameras_of_mas_see_what_mas_saw():
    """Points on the ray from an eye through the target are one point in the picture of that view, with `up` upwards."""
    distance, turned = 7.0, even_views(5, 0.2)
    for number, view in enumerate(even_camera_views(5, 0.2, distance)):
        points = np.stack([view.eye * share for share in (0.0, 0.3, -0.5)] + [0.1 * view.up])
        seen = torch.from_numpy(points * (1, 1, -1)).float()[None, None]
        pixels = project(seen, turned[number : number + 1], Camera(distance, 1.0))[0, 0, 0].numpy()
        assert np.abs(pixels[:3]).max() < 1e-6
        assert pixels[3] == pytest.approx([0, 0.1], abs=1e-5)
        assert np.linalg.norm(view.eye) == pytest.approx(distance)
        assert view.eye[1] > 0, "from above"


def test_plain_views_look_from_where_they_say():
    front, side, top = (view.eye for view in plain_views(3.0))
    assert (front.argmax(), side.argmax(), top.argmax()) == (2, 0, 1)


def test_views_are_those_of_the_dataset(tmp_path: Path):
    skeleton = SKELETONS["nba"]
    content = {
        "motions": np.zeros((1, 4, 16, 3), np.float32), "model_kwargs": {"y": {"lengths": np.array([4])}}, "fps": 30.0,
        "joint_names": list(skeleton.joints), "parents": list(skeleton.parents), "dataset": "nba",
    }  # fmt: skip
    results.write(tmp_path / "results.npy", content)
    views = mas_views(str(tmp_path / "results.npy"), 7)
    assert [view.name for view in views] == [f"view {i}" for i in range(7)]
    np.save(tmp_path / "other.npy", np.zeros((4, 22, 3)))
    assert mas_views(str(tmp_path / "other.npy"), 7) == [] == mas_views("clip.bvh", 7)
