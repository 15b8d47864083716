"""Tiny made-up folders of HumanAct12 and UESTC in the published layouts: a body that swings its limbs as it walks."""

import pickle
from pathlib import Path

import numpy as np
import torch

from data_loaders.action.uestc import ROOT, camera_path
from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec
from utils.geometry.kinematics import forward
from utils.geometry.rest import rest_offsets
from utils.geometry.rotations import about_axis, axis_angle_to_matrix, matrix_to_axis_angle
from utils.geometry.skeleton import SKELETONS

BODY = SKELETONS["smpl24"]
SWINGING = {"hip": 0.5, "knee": 0.4, "shoulder": 0.8, "elbow": 0.3}  # radians, by the end of the joint's name
UPSIDE_DOWN = np.array((np.pi, 0, 0), np.float32)  # a standing body in the frame of a camera: y down


def swinging(frames: int, label: int, seed: int = 0) -> np.ndarray:
    """Poses [T, 72] of a body that stands before a camera and swings its limbs, each action in its own rhythm."""
    rng = np.random.RandomState(seed)
    poses = np.zeros((frames, 24, 3), np.float32)
    poses[:, 0] = UPSIDE_DOWN + rng.normal(0, 0.02, 3)
    phase = 2 * np.pi * (0.02 * (label + 1) * np.arange(frames) + rng.uniform())
    for joint, name in enumerate(BODY.joints):
        side = -1 if BODY.side(joint) == "left" else 1
        poses[:, joint, label % 3] += side * SWINGING.get(name.split("_")[-1], 0.05) * np.sin(phase)
    return poses.reshape(frames, 72)


def walked(frames: int, seed: int = 0) -> np.ndarray:
    """A path [T, 3] in metres that starts where the camera's middle is."""
    step = np.random.RandomState(seed).uniform(-0.02, 0.02, (1, 3))
    return (np.arange(frames)[:, None] * step).astype(np.float32)


def humanact12_folder(folder: Path, clips: int = 24, frames: tuple[int, int] = (30, 90), seed: int = 0) -> DataOptions:
    """Write `clips` clips of the 12 actions in turn, of frames[0] to frames[1] frames; the options that read them."""
    rng = np.random.RandomState(seed)
    content = {"poses": [], "joints3D": [], "y": []}
    for i in range(clips):
        length, label = rng.randint(frames[0], frames[1] + 1), i % 12
        poses = swinging(length, label, i)
        turns = axis_angle_to_matrix(torch.from_numpy(poses).view(-1, 24, 3))
        path = torch.from_numpy(walked(length, i)) + torch.tensor((0.1, 0.2, 3.0))
        joints, _ = forward(turns, rest_offsets(), BODY.parents, path)
        for name, value in (("poses", poses), ("joints3D", joints.numpy()), ("y", label)):
            content[name].append(value)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "humanact12poses.pkl").write_bytes(pickle.dumps(content))
    return DataOptions(dataset="humanact12", datapath=str(folder), cond="action")


def uestc_clip(frames: int, label: int, view: int, seed: int) -> dict[str, np.ndarray]:
    """What VIBE would say of a clip whose person is turned by 45 degrees times `view` away from the camera."""
    turn = about_axis("Y", torch.tensor(view * np.pi / 4, dtype=torch.float32))
    poses = torch.from_numpy(swinging(frames, label, seed))
    poses[:, :3] = matrix_to_axis_angle(turn @ axis_angle_to_matrix(poses[:, :3]))
    joints = np.random.RandomState(seed).uniform(-1, 1, (frames, 49, 3)).astype(np.float32)
    joints[:, ROOT] = 0
    path = walked(frames, seed) @ turn.numpy().T
    depth = 4 + path[:, 2]
    scale = 500 / (depth * 270)
    camera = np.stack([scale, scale, path[:, 0], path[:, 1]], -1).astype(np.float32)
    return {"pose": poses.numpy(), "joints3d": joints, "orig_cam": camera}


def uestc_folder(
    folder: Path, clips: int = 24, frames: tuple[int, int] = (50, 90), seed: int = 0, cached: bool = False
) -> DataOptions:
    """Write `clips` clips of the 40 actions in turn, half by training subjects; the options that read the train part.

    Views 0 to 7 come in turn, side 1 every third time (then the person faces the camera). `cached` writes the
    camera's paths as well.
    """
    rng = np.random.RandomState(seed)
    columns, names, counts = {"pose": [], "joints3d": [], "orig_cam": []}, [], []
    for i in range(clips):
        length, label, view, side = rng.randint(frames[0], frames[1] + 1), i % 40, i % 8, 1 + (i % 3 > 0)
        for name, value in uestc_clip(length, label, 0 if side == 1 else view, i).items():
            columns[name].append(value)
        names.append(f"a{label}_d{view}_p{(1, 3)[i % 2]:03d}_c{side}_color.avi")
        counts.append(length)
    (folder / "info").mkdir(parents=True, exist_ok=True)
    (folder / "vibe_cache_refined.pkl").write_bytes(pickle.dumps(columns))
    if cached:
        paths = [camera_path(camera) for camera in columns["orig_cam"]]
        (folder / "globtrans_usez.pkl").write_bytes(pickle.dumps(paths))
    (folder / "info" / "names.txt").write_text("\n".join(names) + "\n")
    (folder / "info" / "num_frames_min.txt").write_text("\n".join(map(str, counts)) + "\n")
    (folder / "info" / "action_classes.txt").write_text("\n".join(dataset_spec("uestc").actions) + "\n")
    return DataOptions(dataset="uestc", datapath=str(folder), cond="action")
