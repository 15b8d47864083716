"""Poses in a browser by viser: a player with distances, a body whose shape and joints turn, the way to the manifold.

One body faces +z and has its lowest point on the floor. What is changed is the pose that is shown: it stays changed in
the player until the poses of the file are taken again. World as in `viewer`.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from body.models import BodyModel
from body.posing.bodies import standing
from data_loaders.poses.noise import perturbed
from model.poses.pose_ndf import JOINTS, canonical
from model.poses.projection import project
from utils.geometry.body import Body, joints_of, outline
from utils.geometry.rotations import (
    axis_angle_to_quaternion,
    matrix_to_quaternion,
    quaternion_conjugate,
    quaternion_multiply,
    quaternion_to_axis_angle,
)
from visualize.page.viewer import Figure, make_figure, open_server, plain_views, pose_figure

FPS = 20
AXES = ("x", "y", "z")
_SHAKEN = 0.1  # half-angle in radians, the deviation by which "Shake" turns every joint about each axis
_TICK = 1 / 60  # seconds between looks at the controls


@dataclass
class PoseViewer:
    """A running server with a body in one of the poses [T, 21, 4], their distances [T], and what the controls say.

    `file` are the poses as they came. Callbacks of controls come from several threads, so one at a time is obeyed.
    """

    server: Any
    model: BodyModel
    network: nn.Module
    file: Tensor
    poses: Tensor = field(init=False)
    distances: Tensor = field(init=False)
    small: Body = field(init=False)
    figure: Figure = field(init=False)
    gizmo: Any = None
    controls: dict[str, Any] = field(default_factory=dict)
    shaken: int = 0
    lock: Any = field(default_factory=threading.RLock)

    @property
    def number(self) -> int:
        """Which pose is shown."""
        return min(self.controls["pose"].value, len(self.poses) - 1)

    @property
    def joint(self) -> int:
        """Which joint, of the 21, the sliders and the gizmo turn."""
        return JOINTS.index(self.controls["joint"].value)

    def take(self, poses: Tensor, number: int = 0) -> None:
        """Play these poses, from one of them on."""
        with self.lock:
            self.poses = canonical(poses).clone()
            self.distances = self.asked(self.poses)
            slider = self.controls["pose"]
            slider.value = 0
            slider.max = max(len(poses) - 1, 1)  # viser wants a slider that can move
            slider.value = number
            self.show()

    @torch.no_grad()
    def asked(self, poses: Tensor) -> Tensor:
        """What the prior says of poses [T, 21, 4]: [T]."""
        device = next(self.network.parameters()).device
        return torch.cat([self.network(part.to(device)).cpu() for part in poses.split(1024)])

    def reshape(self) -> None:
        """Give the body the shape of the sliders."""
        with self.lock, self.server.atomic():
            body = self.model.shaped({name: self.controls[name].value for name in shapes_of(self.model)})
            self.small = outline(body)
            if self.controls.get("there"):
                self.figure.frame.remove()
            self.figure = make_figure(self.server, standing(body, self.poses[self.number][None], "pose", FPS), 0)
            self.controls["there"] = True
            self.dress()
            self.show()

    def dress(self) -> None:
        """Obey what the controls say of mesh, joints and gizmo."""
        if self.figure.mesh is not None:
            self.figure.mesh.visible = self.controls["mesh"].value
        self.figure.bones.visible = self.figure.dots.visible = self.controls["joints"].value
        self.gizmo.visible = self.controls["handle"].value

    def show(self, by: str = "") -> None:
        """Stand as the pose that is shown; `by` (`sliders`, `gizmo`) is what turned it, and is left as it is."""
        with self.lock, self.server.atomic():
            pose, figure = self.poses[self.number], self.figure
            joints, turned = joints_of(standing(self.small, pose[None], "", FPS))
            figure.joints, figure.turns = joints, matrix_to_quaternion(torch.from_numpy(turned)).numpy()
            figure.shown = -1
            pose_figure(figure, 0, False)
            self.controls["distance"].value = f"{float(self.distances[self.number]):.5f}"
            if by != "sliders":
                degrees = torch.rad2deg(quaternion_to_axis_angle(pose[self.joint])).tolist()
                for axis, angle in zip(AXES, degrees, strict=True):
                    self.controls[axis].value = round(angle, 1)
            if by != "gizmo":
                self.gizmo.position = joints[0, self.joint + 1]
                self.gizmo.wxyz = figure.turns[0, self.joint + 1]

    def change(self, pose: Tensor, by: str = "") -> None:
        """Put another pose [21, 4] in the place of the one that is shown."""
        with self.lock:
            self.controls["play"].value = False
            self.poses[self.number] = canonical(pose)
            self.distances[self.number] = self.asked(self.poses[self.number][None])[0]
            self.show(by)

    def turn_by_sliders(self) -> None:
        """Turn the joint by the vector of the sliders: about its direction, by its length in degrees."""
        with self.lock:
            degrees = torch.tensor([float(self.controls[axis].value) for axis in AXES])
            self.change(self._with(axis_angle_to_quaternion(torch.deg2rad(degrees))), "sliders")

    def turn_by_gizmo(self, released: bool) -> None:
        """Turn the joint so that it stands in the world as the gizmo does, which is put onto it when it is released."""
        with self.lock:
            above = self.figure.turns[0, self.model.parents[self.joint + 1]]
            world = torch.as_tensor(np.asarray(self.gizmo.wxyz), dtype=torch.float32)
            local = quaternion_multiply(quaternion_conjugate(torch.from_numpy(above)), world)
            self.change(self._with(local / local.norm()), "" if released else "gizmo")

    def _with(self, quaternion: Tensor) -> Tensor:
        """The pose that is shown with another rotation of the joint."""
        pose = self.poses[self.number].clone()
        pose[self.joint] = quaternion
        return pose

    def shake(self) -> None:
        """Turn all joints a little, each time in another way."""
        with self.lock:
            rows, level = np.array([self.shaken]), torch.tensor([_SHAKEN])
            self.shaken += 1
            self.change(perturbed(self.poses[self.number][None], level, "tangent", rows, 0, "viewer")[0])

    def project(self) -> None:
        """Play the way of the pose that is shown to the distance that is asked for."""
        with self.lock:
            device = next(self.network.parameters()).device
            start = self.poses[self.number][None].to(device)
            found = project(self.network, start, float(self.controls["max_dist"].value), keep=True)
            assert found.path is not None
            self.take(found.path[:, 0].cpu())
            self.controls["loop"].value, self.controls["play"].value = False, True

    def play(self, seconds: float = float("inf")) -> None:
        """Play, for so many seconds, whenever the button says so; returns when they are over."""
        began = last = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            if not self.controls["play"].value:
                last = now
            elif now - last >= 1 / self.controls["fps"].value:
                last = now
                self.step(1)
            time.sleep(_TICK)

    def step(self, way: int) -> None:
        """Go to the next pose or the one before: round at the ends, or, where it plays only once, no further."""
        with self.lock:
            there, once = self.number + way, self.controls["play"].value and not self.controls["loop"].value
            if once and there >= len(self.poses):
                self.controls["play"].value = False
                return
            self.controls["pose"].value = there % len(self.poses)
            self.show()


def shapes_of(model: BodyModel) -> tuple[str, ...]:
    """The axes of shape that have a slider: the first ten."""
    return model.shape_names[:10]


def open_pose_viewer(
    poses: Tensor, network: nn.Module, model: BodyModel, host: str = "127.0.0.1", port: int = 8080
) -> PoseViewer:
    """A viewer of poses [T, 21, 4] on a server of this machine (the next free port, if that one is taken).

    `network` says how far they are from plausible ones. Raises MissingFileError where viser is missing.
    """
    server = open_server(host, port)
    viewer = PoseViewer(server, model, network, canonical(poses))
    viewer.poses, viewer.distances = viewer.file.clone(), viewer.asked(viewer.file)
    viewer.gizmo = server.scene.add_transform_controls("/turn", scale=0.25, disable_axes=True, disable_sliders=True)
    _add_controls(server.gui, viewer)
    viewer.reshape()
    front = plain_views(1.1 * float(np.ptp(viewer.small.rest, axis=0).max()))[0]
    server.initial_camera.position, server.initial_camera.look_at = front.eye + (0, 0.9, 0), (0.0, 0.9, 0.0)
    _obey(viewer)
    return viewer


def _add_controls(gui: Any, viewer: PoseViewer) -> None:
    """The panel: what the pose is worth on top, and four tabs."""
    control = viewer.controls
    control["distance"] = gui.add_text("Distance to the manifold", "", disabled=True)
    control["max_dist"] = gui.add_number("Near enough", 0.001, min=0.0, max=1.0, step=0.0001)
    control["project"] = gui.add_button("Project")
    tabs = gui.add_tab_group()
    with tabs.add_tab("Player"):
        last = max(len(viewer.file) - 1, 1)
        control["pose"] = gui.add_slider("Pose", 0, last, 1, 0)
        control["step"] = gui.add_button_group("Step", ("Previous", "Next"))
        control["play"] = gui.add_checkbox("Play", initial_value=False)
        control["loop"] = gui.add_checkbox("Loop", initial_value=True)
        control["fps"] = gui.add_slider("Poses a second", 1, 60, 1, FPS)
        control["again"] = gui.add_button("The file's poses again")
    with tabs.add_tab("Joints"):
        control["joint"] = gui.add_dropdown("Joint", JOINTS, initial_value="left_shoulder")
        for axis in AXES:
            control[axis] = gui.add_slider(f"About {axis} (degrees)", -180.0, 180.0, 0.1, 0.0)
        control["reset"] = gui.add_button_group("All joints", ("T pose", "Shake"))
    with tabs.add_tab("Shape"):
        bound = 5.0 if viewer.model.name != "free" else 1.0  # deviations, or a share of what a named axis can be
        for name in shapes_of(viewer.model):
            control[name] = gui.add_slider(name, -bound, bound, 0.01, 0.0)
        control["mean"] = gui.add_button("Mean shape")
    with tabs.add_tab("View"):
        for name, title, shown in (
            ("mesh", "Mesh", True), ("joints", "Joints", False), ("handle", "Gizmo", True),
        ):  # fmt: skip
            control[name] = gui.add_checkbox(title, initial_value=shown)


def _obey(viewer: PoseViewer) -> None:
    """Do what the controls say when someone who looks on moves them."""
    control = viewer.controls

    def mean(_: Any) -> None:
        for name in shapes_of(viewer.model):
            control[name].value = 0.0
        viewer.reshape()

    def all_joints(_: Any) -> None:
        rest = torch.zeros(len(JOINTS), 4)
        rest[:, 0] = 1
        viewer.change(rest) if control["reset"].value == "T pose" else viewer.shake()

    control["pose"].on_update(lambda event: event.client and viewer.show())
    control["step"].on_click(lambda _: viewer.step(1 if control["step"].value == "Next" else -1))
    control["again"].on_click(lambda _: viewer.take(viewer.file))
    control["project"].on_click(lambda _: viewer.project())
    control["joint"].on_update(lambda event: event.client and viewer.show())
    control["reset"].on_click(all_joints)
    control["mean"].on_click(mean)
    for axis in AXES:
        control[axis].on_update(lambda event: event.client and viewer.turn_by_sliders())
    for name in shapes_of(viewer.model):
        control[name].on_update(lambda event: event.client and viewer.reshape())
    for name in ("mesh", "joints", "handle"):
        control[name].on_update(lambda event: event.client and viewer.dress())
    viewer.gizmo.on_update(lambda event: viewer.turn_by_gizmo(event.phase == "end"))
