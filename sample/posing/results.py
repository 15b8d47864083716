"""What a task with poses writes: the same kind of file that came in, results.npy, GLB, and a contact sheet."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from body.posing.bodies import joint_degrees
from sample.options import PosesOptions
from sample.posing.tasks import Outcome
from utils.formats import results
from utils.geometry.body import BodyMotion, joints_of
from utils.geometry.rotations import axis_angle_to_quaternion, quaternion_to_axis_angle
from utils.geometry.skeleton import SKELETONS
from utils.run.arrays import load_archive, load_array
from utils.run.errors import NumericError
from utils.run.files import atomic_write
from utils.run.names import file_names
from utils.run.provenance import provenance
from visualize.files.exporting import export
from visualize.meshes.raster import open_renderer
from visualize.meshes.video import draw_body
from visualize.sticks.contact_sheet import CELL, write_drawn_sheet
from visualize.sticks.figures import PAPER

COLUMNS, ROWS = 8, 12  # figures side by side, and rows at most
_SAME = {".gltf": "glb", ".vrm": "glb", ".npz": "npz", ".bvh": "bvh", ".csv": "csv", ".fbx": "fbx", ".amc": "bvh"}
_SAME_ROTATION = 1e-7  # of 1 - |q . r|, above rounding in single precision
# What is kept of files of AMASS, and of ours in their layout; marker labels and their like are not.
AMASS = (
    "poses", "trans", "betas", "gender", "mocap_framerate", "mocap_frame_rate", "mocap_time_length", "dmpls",
    "root_orient", "pose_body", "pose_hand", "pose_jaw", "pose_eye", "surface_model_type", "trans_pelvis", "body_name",
    "body_betas", "rest_joints", "text", "contacts", "contact_names", "version", "expression", "source_fps",
)  # fmt: skip


def write_outcomes(folder: Path, made: Sequence[Outcome], options: PosesOptions, seed: int, checkpoint: Path) -> None:
    """Write all files of a task into a folder. Raises NumericError for poses that are not finite."""
    if not all(each.after.isfinite().all() for each in made):
        raise NumericError("the poses hold NaN or infinity: nothing was written")
    names = file_names([each.name for each in made])
    named = [
        replace(each, name=name, motion=replace(each.motion, name=name)) for name, each in zip(names, made, strict=True)
    ]
    results.write(folder / "results.npy", content(named, seed, checkpoint))
    results.read(folder / "results.npy")
    for each in named:
        write_same(folder, each, options.order)
    bodies = [each.motion for each in named]
    export(bodies, ["glb"], folder, "poses", overwrite=True)
    if options.keep_steps:
        write_steps(folder / "projection_steps", named)
    if options.task == "generate":
        gallery(folder / "contact_sheet.png", named[0])
    else:
        sheet(folder / "contact_sheet.png", named)


def content(made: Sequence[Outcome], seed: int, checkpoint: Path) -> dict[str, Any]:
    """The dict of results.npy: one motion a clip, filled up with its last frame, on the 22 joints of `smpl22`."""
    skeleton, longest = SKELETONS["smpl22"], max(len(each.after) for each in made)
    motion = np.stack([_filled(joints_of(each.motion)[0][:, :22], longest) for each in made])
    return {
        "motion": np.ascontiguousarray(motion.transpose(0, 2, 3, 1)),
        "text": [each.motion.text or each.name for each in made],
        "lengths": np.array([len(each.after) for each in made]),
        "num_samples": len(made),
        "num_repetitions": 1,
        "rotations": np.stack([_filled(each.motion.rotations[:, :22], longest) for each in made]).astype(np.float32),
        "pose_distance": [each.near.numpy() for each in made],
        "fps": float(made[0].motion.fps),
        "joint_names": list(skeleton.joints),
        "parents": list(skeleton.parents),
        "provenance": provenance(seed, checkpoint),
        **(made[0].told if len(made) == 1 else {}),
    }


def write_same(folder: Path, made: Outcome, order: str = "") -> None:
    """Write the kind of file that a clip came in, with its new poses; poses of no file as Pose-NDF has them."""
    source, poses = made.source, made.after.numpy()
    poses = np.roll(poses, -1, -1) if order == "xyzw" else poses
    if source is not None and source.kind == "motion":
        form = _SAME.get(source.path.suffix.lower(), "")
        if form:
            export([made.motion], [form], folder, made.name, overwrite=True)
        return
    if source is not None and source.kind == "quaternions" and not source.key:
        with atomic_write(folder / f"{made.name}.npy") as handle:
            np.save(handle, with_quaternions(load_array(source.path), poses))
        return
    told = {"distance": made.near.numpy(), "distance_before": made.far.numpy()}
    told |= {} if made.steps is None else {"steps": made.steps.numpy()}
    if source is None:
        arrays: dict[str, Any] = {"pose_body": poses, **told, **made.told}
    elif source.kind == "quaternions":
        arrays = load_archive(source.path)
        arrays |= told | {source.key: with_quaternions(arrays[source.key], poses)}
    elif source.kind == "axis_angles":
        arrays = load_archive(source.path) | told
        arrays[source.key] = with_axis_angles(arrays[source.key], 0, made.after)
    else:
        arrays = load_archive(source.path, AMASS)
        arrays["poses"] = with_axis_angles(arrays["poses"].reshape(len(poses), -1), 3, made.after)
        if "pose_body" in arrays:
            arrays["pose_body"] = arrays["poses"][:, 3:66]
    with atomic_write(folder / f"{made.name}.npz") as handle:
        np.savez_compressed(handle, **arrays)


def with_axis_angles(values: np.ndarray, start: int, poses: Tensor) -> np.ndarray:
    """Numbers [T, N] of an axis-angle file, the 63 from `start` on being those of other poses [T, 21, 4].

    Joints that stay the same rotation keep their numbers to the bit.
    """
    turned = values.copy()
    old = torch.from_numpy(values[:, start : start + 63].astype(np.float64)).unflatten(1, (21, 3))
    moved = ~((axis_angle_to_quaternion(old) * poses.double()).sum(-1).abs() >= 1 - _SAME_ROTATION)  # NaN is
    new = torch.where(moved[..., None], quaternion_to_axis_angle(poses.double()), old)
    turned[:, start : start + 63] = new.flatten(1).numpy()
    return turned


def with_quaternions(values: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Quaternions [T, 21, 4] of a file, to the bit, where they are the same rotations as `poses`; else these."""
    with np.errstate(invalid="ignore"):
        same = np.abs((values.astype(np.float64) * poses).sum(-1)) >= 1 - _SAME_ROTATION  # NaN is not
    return np.where(same[..., None], values, poses).astype(values.dtype if values.dtype.kind == "f" else np.float32)


def write_steps(folder: Path, made: Sequence[Outcome]) -> None:
    """Write the steps of each pose, [K + 1, 21, 4] under `pose_body`, as published: 0.npz and so on.

    Poses of several clips are numbered through.
    """
    folder.mkdir()
    paths = [each.path[:, pose] for each in made if each.path is not None for pose in range(each.path.shape[1])]
    for number, path in enumerate(paths):
        with atomic_write(folder / f"{number}.npz") as handle:
            np.savez_compressed(handle, pose_body=path.numpy())


def gallery(path: Path, made: Outcome) -> None:
    """Write a PNG of single poses, at most 96 of them, each with its number and its distance."""
    count = min(len(made.after), COLUMNS * ROWS)
    rows = -(-count // COLUMNS)
    columns = -(-count // rows)

    def draw(row: int, cells: list[int]) -> Iterator[np.ndarray]:
        shown = [row * columns + cell for cell in cells if row * columns + cell < count]
        part = replace(made.motion, rotations=made.motion.rotations[shown], root=made.motion.root[shown])
        yield from draw_body(part, "", CELL, renderer=renderer)
        yield from [np.full((CELL, CELL, 3), PAPER, np.uint8)] * (len(cells) - len(shown))

    def note(row: int, cell: int) -> str:
        number = row * columns + cell
        return f"{number}: {made.near[number]:.4f}" if number < count else ""

    captions = [f"poses {row * columns} to {min((row + 1) * columns, count) - 1}" for row in range(rows)]
    with contextlib.closing(open_renderer()[0]) as renderer:
        write_drawn_sheet(path, draw, [columns] * rows, captions, columns, [1.0] * rows, note)


def sheet(path: Path, made: Sequence[Outcome]) -> None:
    """Write a PNG of clips, at most 6 that were changed with what they were above, each figure with its distance."""
    rows: list[tuple[str, BodyMotion, Tensor]] = []
    for each in made[: ROWS // 2]:
        rows += [(f"{each.name}: before", each.first, each.far)] if each.first is not None else []
        after = "after" if each.first is not None else f"{len(each.after)} poses"
        rows.append((f"{each.name}: {after}", each.motion, each.near))

    def draw(row: int, frames: list[int]) -> Iterator[np.ndarray]:
        return draw_body(rows[row][1], "", CELL, frames=frames, renderer=renderer)

    def note(row: int, frame: int) -> str:
        return f"{frame}: {rows[row][2][frame]:.4f}"

    captions, motions, _ = zip(*rows, strict=True)
    with contextlib.closing(open_renderer()[0]) as renderer:
        lengths, rates = [len(motion.root) for motion in motions], [motion.fps for motion in motions]
        write_drawn_sheet(path, draw, lengths, captions, COLUMNS, rates, note)


def summary(made: Sequence[Outcome], options: PosesOptions) -> list[str]:
    """What became of each clip, a sentence each, for the user."""
    said = []
    for each in made:
        away = int((each.near >= options.max_dist).sum())
        line = f"{each.name}: {len(each.near)} poses, distance {each.near.mean():.4f} on average, "
        line += f"{each.near.max():.4f} at most"
        if each.steps is not None:
            turned = joint_degrees(each.before, each.after)
            line += (
                f" (before: {each.far.mean():.4f}, {each.far.max():.4f}); {int((each.steps > 0).sum())} moved, by "
                f"{turned.mean():.1f} degrees a joint, in {int(each.steps.max())} steps at most"
            )
            line += f"; {away} did not come to {options.max_dist:g}" if away else ""
        said.append(line)
    return said


def _filled(values: np.ndarray, frames: int) -> np.ndarray:
    """An array [T, ...] with its last frame again and again, [frames, ...]."""
    return np.concatenate([values, np.repeat(values[-1:], frames - len(values), 0)])
