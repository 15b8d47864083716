"""Motions in a browser by viser, an optional package: a server on this machine, the scene in it, what its buttons do.

Samples stand in a row along x, or one alone. World: y up, right-handed, metres, floor y = 0.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import torch

from utils.geometry.body import BodyMotion, joints_of
from utils.geometry.cameras import even_views
from utils.geometry.rotations import matrix_to_quaternion
from utils.geometry.skeleton import Skeleton
from utils.run.errors import MissingFileError
from visualize.meshes.light import SKIN
from visualize.sticks.figures import LEFT, LOOSE, MIDDLE, RIGHT

ALL = "all"
_COLOURS = {"left": LEFT, "right": RIGHT, "middle": MIDDLE}
_FRAMES_A_SECOND = 30  # that are sent at most


@dataclass(frozen=True)
class View:
    """Where an eye stands, in metres from the point it looks at, and which way is up in its picture."""

    name: str
    eye: np.ndarray
    up: np.ndarray


@dataclass(eq=False)
class Figure:
    """What stands in the scene for one motion."""

    motion: BodyMotion
    joints: np.ndarray  # [T, K, 3]
    turns: np.ndarray  # [T, K, 4]
    limbs: np.ndarray  # [L, 2]
    frame: Any
    bones: Any
    dots: Any
    touching: Any
    mesh: Any = None
    shown: int = -1


@dataclass
class Viewer:
    """A running server with its figures and what the controls say."""

    server: Any
    figures: list[Figure]
    controls: dict[str, Any]
    views: list[View] = field(default_factory=list)

    @property
    def duration(self) -> float:
        """Seconds of the longest motion that is shown."""
        return max((len(figure.joints) - 1) / figure.motion.fps for figure in self.chosen())

    def chosen(self) -> list[Figure]:
        """The figures that are shown."""
        wanted = self.controls["sample"].value
        return [figure for figure in self.figures if wanted in (ALL, _name(figure, self.figures))]

    def show(self, seconds: float) -> None:
        """Pose all figures that are shown as they are at a time; a clip that is over stands still."""
        with self.server.atomic():
            for figure in self.chosen():
                last = len(figure.joints) - 1
                pose_figure(figure, min(int(seconds * figure.motion.fps + 1e-6), last), self.controls["contacts"].value)

    def arrange(self) -> None:
        """Obey what the controls say of samples, mesh, joints and contacts."""
        chosen, control = self.chosen(), {name: handle.value for name, handle in self.controls.items()}
        step = 1.3 * max(_room(figure) for figure in chosen)
        for figure in self.figures:
            figure.frame.visible, figure.shown = figure in chosen, -1
            if figure in chosen:
                figure.frame.position = ((chosen.index(figure) - (len(chosen) - 1) / 2) * step, 0.0, 0.0)
            if figure.mesh is not None:
                figure.mesh.visible = control["mesh"]
            figure.bones.visible = figure.dots.visible = control["joints"] or figure.mesh is None
            figure.touching.visible = False
        self.show(self.controls["time"].value)

    def look(self, name: str) -> None:
        """Turn the eyes of all who look on to a view, at the first figure that is shown."""
        view, figure = next(view for view in self.views if view.name == name), self.chosen()[0]
        target = figure.joints[max(figure.shown, 0), 0] + np.asarray(figure.frame.position)
        for client in self.server.get_clients().values():
            client.camera.up_direction = view.up
            client.camera.position = target + view.eye
            client.camera.look_at = target

    def play(self, seconds: float = float("inf")) -> None:
        """Play, for so many seconds, whenever the button says so; returns when they are over."""
        began = last = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            if self.controls["play"].value and self.duration > 0:
                moved = self.controls["time"].value + (now - last) * self.controls["speed"].value
                self.controls["time"].value = moved % self.duration
                self.show(moved % self.duration)
            last = now
            time.sleep(1 / _FRAMES_A_SECOND)


def require_viser() -> Any:
    """The package. Raises MissingFileError where it is missing."""
    try:
        return import_module("viser")
    except ImportError as error:
        raise MissingFileError("the viewer needs viser: pip install viser") from error


def open_server(host: str, port: int) -> Any:
    """A server with a floor, y up, at the next free port if one is taken. Raises MissingFileError without viser."""
    server = require_viser().ViserServer(host=host, port=port, verbose=False)
    server.scene.set_up_direction("+y")
    server.scene.add_grid(
        "/floor", plane="xz", infinite_grid=True, cell_size=0.25, section_size=1.0, fade_distance=20.0
    )
    return server


def open_viewer(
    motions: Sequence[BodyMotion], host: str = "127.0.0.1", port: int = 8080, views: Sequence[View] = ()
) -> Viewer:
    """A viewer of the motions on a server of this machine (the next free port, if that one is taken).

    `views` are offered besides front, side and top. Raises MissingFileError where viser is missing.
    """
    server = open_server(host, port)
    figures = [make_figure(server, motion, number) for number, motion in enumerate(motions)]
    size = max(float(np.ptp(motion.body.rest, axis=0).max()) for motion in motions)
    viewer = Viewer(server, figures, {}, [*plain_views(1.5 * size), *views])
    viewer.controls = _controls(server, viewer)
    server.initial_camera.position = figures[0].joints[0, 0] + viewer.views[0].eye * (1, 1, 0.7 + 0.3 * len(figures))
    server.initial_camera.look_at = figures[0].joints[0, 0]
    viewer.arrange()
    return viewer


def plain_views(distance: float) -> list[View]:
    """Front (from +z), side (from +x) and top."""
    places = {"front": (0.0, 0.15, 1.0), "side": (1.0, 0.15, 0.0), "top": (0.0, 1.0, 1e-3)}
    return [View(name, distance * np.array(place), np.array([0.0, 1.0, 0.0])) for name, place in places.items()]


def even_camera_views(count: int, elevation: float, distance: float) -> list[View]:
    """The `count` cameras of MAS around the figure, in our right-handed frame (in theirs z points away)."""
    turned = even_views(count, elevation).double().numpy() * np.array([1, 1, -1])[:, None]  # [V, 3, 3], axes in columns
    return [View(f"view {i}", -distance * axes[:, 2], axes[:, 1]) for i, axes in enumerate(turned)]


def make_figure(server: Any, motion: BodyMotion, number: int) -> Figure:
    """Enter a motion into the scene, in its first frame."""
    body, place = motion.body, f"/sample{number}"
    joints, turned = joints_of(motion)
    turns = matrix_to_quaternion(torch.from_numpy(turned)).numpy()
    limbs = np.array([(parent, joint) for joint, parent in enumerate(body.parents) if parent >= 0], int).reshape(-1, 2)
    named = Skeleton(body.name, body.joints, (), body.parents)
    colours = np.array([_COLOURS[named.side(joint)] for joint in range(len(body.joints))], np.uint8)
    size = float(np.ptp(body.rest, axis=0).max()) or 1.0
    scene, frame = server.scene, server.scene.add_frame(place, show_axes=False)
    scene.add_label(f"{place}/name", motion.name or str(number), position=joints[0, 0] + (0, 0.75 * size, 0))
    mesh = None
    if len(body.faces) and motion.meta.get("mesh", True):
        mesh = scene.add_mesh_skinned(
            f"{place}/mesh", body.vertices, body.faces, bone_wxyzs=np.tile((1.0, 0, 0, 0), (len(joints[0]), 1)),
            bone_positions=body.rest, skin_weights=body.weights, color=SKIN,
        )  # fmt: skip
    bones = scene.add_line_segments(
        f"{place}/bones", joints[0][limbs], np.repeat(colours[limbs[:, 1], None], 2, 1), thickness=0.012 * size
    )
    shape = {"precision": "float32", "point_shape": "circle"}
    dots = scene.add_point_cloud(f"{place}/joints", joints[0], colours, point_size=0.018 * size, **shape)
    touching = scene.add_point_cloud(f"{place}/contacts", joints[0], LOOSE, point_size=0.03 * size, **shape)
    return Figure(motion, joints, turns, limbs, frame, bones, dots, touching, mesh)


def pose_figure(figure: Figure, frame: int, with_contacts: bool) -> None:
    """Move a figure to a frame, unless it stands so."""
    if frame == figure.shown:
        return
    figure.shown, joints, contacts = frame, figure.joints[frame], figure.motion.contacts
    if figure.mesh is not None:
        for bone, place, turn in zip(figure.mesh.bones, joints, figure.turns[frame], strict=True):
            bone.position, bone.wxyz = place, turn
    figure.bones.points, figure.dots.points = joints[figure.limbs], joints
    touch = contacts is not None and with_contacts and bool(contacts[frame].any())
    if contacts is not None and touch:
        figure.touching.points = joints[contacts[frame]]
    figure.touching.visible = touch


def _controls(server: Any, viewer: Viewer) -> dict[str, Any]:
    """The panel of the viewer, by name; changes are obeyed at once."""
    names = [_name(figure, viewer.figures) for figure in viewer.figures]
    gui, longest = server.gui, max((len(figure.joints) - 1) / figure.motion.fps for figure in viewer.figures)
    controls = {
        "play": gui.add_checkbox("Play", initial_value=True),
        "time": gui.add_slider("Time (s)", 0.0, max(longest, 0.01), 0.01, 0.0),
        "speed": gui.add_slider("Speed", 0.1, 2.0, 0.1, 1.0),
        "sample": gui.add_dropdown("Sample", [ALL, *names], initial_value=ALL),
        "mesh": gui.add_checkbox("Mesh", initial_value=True),
        "joints": gui.add_checkbox("Joints", initial_value=False),
        "contacts": gui.add_checkbox("Contacts", initial_value=True),
    }
    look = gui.add_dropdown("Seen from", [view.name for view in viewer.views])
    look.on_update(lambda _: viewer.look(look.value))
    for name in ("sample", "mesh", "joints", "contacts"):
        controls[name].on_update(lambda _: viewer.arrange())
    controls["time"].on_update(lambda event: event.client and viewer.show(controls["time"].value))
    for figure, name in zip(viewer.figures, names, strict=True):
        gui.add_markdown(f"**{_plain(name)}** {_plain(figure.motion.text)}")
    return controls


def _plain(text: str) -> str:
    """Text that says the same in Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()<>#+-.!|&~" else letter for letter in text)


def _name(figure: Figure, figures: list[Figure]) -> str:
    """What the list of samples calls a figure: its number and its name."""
    number = next(i for i, other in enumerate(figures) if other is figure)
    return f"{number} {figure.motion.name}".strip()


def _room(figure: Figure) -> float:
    """How wide a place in the row must be: the path across x and the body."""
    return float(np.ptp(figure.joints[..., 0]))
