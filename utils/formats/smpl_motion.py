"""SMPL parameters of a clip as `.npz`: what programs for AMASS and the SMPL-X add-on for Blender open.

The world of these files is right-handed with z up: our (x, y, z) is (x, -z, y) there, the turn by which Blender imports
glTF too. So a person who walks forward (+z) goes along -y, left stays +x, height is z. Only the world is turned, not
the body: a model's root joint is put at J + trans, with J its place in the model's own rest pose (y up). Hence

    root_orient = R_x(90 degrees) R_root,    trans = R_x(90 degrees) root - J,

and the model's plain formula (Loper et al. 2015) with these numbers gives our vertices in the turned world. J is that
of the body where it is SMPL and the file is for SMPL; else that of the mean model that will be posed, to a centimetre;
the file says which (`trans_pelvis`). Rotations are axis-angle, local, of joints in the order of the model.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.formats.checks import check_motion
from utils.formats.export_format import Format, Look, single
from utils.geometry.body import Body, BodyMotion, joints_of
from utils.geometry.body_rate import at_rate
from utils.geometry.conventions import AXES
from utils.geometry.kinematics import forward
from utils.geometry.motion import Motion
from utils.geometry.rest import rest_joints
from utils.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from utils.geometry.skeleton import SKELETONS
from utils.run.arrays import load_archive
from utils.run.errors import DataError, UsageError
from utils.run.files import atomic_write
from utils.run.provenance import VERSION

ADDON_RATE = 30  # frames a second: the add-on's target; it truncates other rates and refuses lower ones
CONTACTS = ("left_ankle", "left_foot", "right_ankle", "right_foot")
GENDERS = {"smpl": "neutral", "smpl_male": "male", "smpl_female": "female"}  # by the name of the body
_BODY = SKELETONS["smpl22"].joints
_JOINTS = SKELETONS["smpl24"].joints
_Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
# Joints, least number of betas, and where the root of the mean model stands in rest (known to a centimetre).
_MODELS = {
    "smpl": (24, 10, (0.0, -0.22, 0.03)),
    "smplh": (52, 16, (0.0, -0.22, 0.03)),
    "smplx": (55, 10, (0.0, -0.35, 0.01)),
}
_READ = (
    "poses", "trans", "betas", "gender", "mocap_frame_rate", "mocap_framerate", "contacts", "trans_pelvis", "text",
    "rest_joints",
)  # fmt: skip


@dataclass(frozen=True)
class SmplMotion:
    """A clip as such files hold it: poses [T, N, 3] axis-angle, trans [T, 3] of a z-up world, one shape.

    N is 24, 52 or 55. `pelvis` [3] is what `trans_pelvis` says, `contacts` bool [T, 4] of the joints CONTACTS,
    `rest` [24, 3] where the joints of the body stand in rest, which only files of ours say.
    """

    poses: np.ndarray
    trans: np.ndarray
    betas: np.ndarray
    gender: str
    fps: float
    pelvis: np.ndarray | None = None
    contacts: np.ndarray | None = None
    text: str = ""
    name: str = ""
    rest: np.ndarray | None = None


def write(path: str | Path, motion: BodyMotion, model: str = "smplh") -> None:
    """Write a clip for the parameters of `model`: `smpl`, `smplh` (AMASS), `smplx` (the add-on), atomically.

    smpl: `poses` [T, 72]. smplh: [T, 156] with hands at rest and `dmpls` 0, as AMASS has them. smplx: [T, 165] and its
    parts (`root_orient`, `pose_body`, `pose_hand`, `pose_jaw`, `pose_eye`), brought to 30 frames a second, hands flat.
    All: `trans`, `betas`, `gender`, `mocap_framerate`, `text`, `contacts` [T, 4] where known (`contact_names`), and of
    the body that was posed here `body_name` and, where it has them, `body_betas`. `betas` are the same for a SMPL body
    in smpl and smplh, whose shapes SMPL-H shares, and 0 else: the axes of other bodies mean something else. Of the
    hands' joints 22 and 23 only smpl keeps the rotations. Without pickles or object arrays.
    Raises UsageError for a body that has not SMPL's joints, NumericError for NaN or infinity.
    """
    if model not in _MODELS:
        raise UsageError(f"there is no layout {model!r} of SMPL parameters; choose from {', '.join(_MODELS)}")
    check_motion(motion, path)
    joints, least, pelvis = _MODELS[model]
    source_fps, ours = motion.fps, motion.body.name in GENDERS and model != "smplx"
    motion = at_rate(motion, ADDON_RATE) if model == "smplx" else motion
    rotations = smpl_rotations(motion)
    rotations[:, 0] = _Z_UP @ rotations[:, 0]
    turned = matrix_to_axis_angle(torch.from_numpy(rotations[:, : 24 if model == "smpl" else 22]).double()).numpy()
    poses = np.zeros((len(turned), 3 * joints), np.float32)
    poses[:, : turned[0].size] = turned.reshape(len(turned), -1)
    pelvis = np.asarray(motion.body.rest[0] if ours else pelvis, np.float32)
    known = motion.meta.get("betas")
    shape = np.asarray(() if known is None else known, np.float32).reshape(-1)
    betas = shape if ours else np.zeros(0, np.float32)
    content: dict[str, Any] = {
        "poses": poses,
        "trans": (motion.root @ _Z_UP.T - pelvis).astype(np.float32),
        "betas": np.pad(betas, (0, max(0, least - len(betas)))),
        "gender": GENDERS.get(motion.body.name, "neutral"),
        "mocap_framerate": np.float64(motion.fps),
        "surface_model_type": model,
        "trans_pelvis": pelvis,
        "body_name": motion.body.name,
        "rest_joints": _rest_of(motion.body),
        "text": motion.text,
        "version": f"polykine {VERSION}",
    }
    content |= {"body_betas": shape} if len(shape) else {}
    if motion.contacts is not None:
        feet = [motion.body.joints.index(name) for name in CONTACTS]
        content |= {"contacts": motion.contacts[:, feet].astype(np.float32), "contact_names": np.array(CONTACTS)}
    if model == "smplh":
        content["dmpls"] = np.zeros((len(poses), 8), np.float32)
    if model == "smplx":
        content |= _addon_keys(poses, source_fps)
    with atomic_write(path) as handle:
        np.savez_compressed(handle, **content)


def _rest_of(body: Body) -> np.ndarray:
    """Where SMPL's joints [24, 3] stand in a body; hands that it lacks lie beyond the wrists as in the mean body."""
    mean = rest_joints().numpy()
    at = {name: body.rest[joint] for joint, name in enumerate(body.joints)}
    for joint, name in enumerate(_JOINTS):
        above = SKELETONS["smpl24"].parents[joint]
        at.setdefault(name, at[_JOINTS[above]] + mean[joint] - mean[above])
    return np.stack([at[name] for name in _JOINTS]).astype(np.float32)


def _addon_keys(poses: np.ndarray, source_fps: float) -> dict[str, Any]:
    """What the SMPL-X file has besides; the parts of `poses` [T, 165] as AMASS names them."""
    parts = np.split(poses, [3, 66, 69, 75], axis=1)
    return dict(zip(("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand"), parts, strict=True)) | {
        "mocap_framerate": np.int64(ADDON_RATE),
        "mocap_frame_rate": np.int64(ADDON_RATE),
        "mocap_time_length": np.float64(len(poses) / ADDON_RATE),
        "expression": np.zeros((len(poses), 10), np.float32),
        "source_fps": np.float64(source_fps),
    }


def smpl_rotations(motion: BodyMotion) -> np.ndarray:
    """Local rotations [T, 24, 3, 3] in SMPL's order, the joints found by name; hands that the body lacks do not turn.

    Raises UsageError for a body that lacks one of the 22 others, or hangs them on other joints.
    """
    body = motion.body
    parents = {
        name: body.joints[parent] if parent >= 0 else "" for name, parent in zip(body.joints, body.parents, strict=True)
    }
    wanted = {
        name: _JOINTS[parent] if parent >= 0 else ""
        for name, parent in zip(_JOINTS, SKELETONS["smpl24"].parents, strict=True)
    }
    for name in _JOINTS:
        if parents.get(name, wanted[name] if name not in _BODY else None) != wanted[name]:
            raise UsageError(
                f"{body.name} has no {name} on {wanted[name] or 'top'} as SMPL has, so it has no SMPL parameters; "
                "BVH and GLB hold any skeleton"
            )
    rotations = np.tile(np.eye(3, dtype=np.float32), (len(motion.root), len(_JOINTS), 1, 1))
    known = [joint for joint, name in enumerate(_JOINTS) if name in parents]
    rotations[:, known] = motion.rotations[:, [body.joints.index(_JOINTS[joint]) for joint in known]]
    return rotations


def read(path: str | Path, fps: float = 0.0) -> SmplMotion:
    """The clip of such a file, ours or AMASS's: poses of 72, 156 or 165 numbers a frame, flat or [T, N, 3].

    Of `betas` a frame the first is taken; `fps` is the rate of files that say none. Raises MissingFileError or
    DataError.
    """
    content = load_archive(path, _READ)
    missing = [name for name in ("poses", "trans", "betas") if name not in content]
    if missing:
        raise DataError(f"{path} has no {', '.join(missing)}; it holds no SMPL parameters")
    poses, trans = (_finite(content, name, path) for name in ("poses", "trans"))
    frames = len(trans) if trans.ndim == 2 else 0
    numbers = poses.size // frames if frames else 0
    if trans.shape != (frames, 3) or not frames or poses.shape[:1] != (frames,) or numbers not in (72, 156, 165):
        raise DataError(
            f"{path} has poses {poses.shape} and trans {trans.shape}; poses are [T, 72], [T, 156] or [T, 165], trans "
            "is [T, 3]"
        )
    betas, pelvis = _finite(content, "betas", path), content.get("trans_pelvis")
    pelvis = None if pelvis is None else _finite(content, "trans_pelvis", path)
    contacts = content.get("contacts")
    if pelvis is not None and pelvis.shape != (3,) or contacts is not None and contacts.shape != (frames, 4):
        raise DataError(f"{path} has a trans_pelvis or contacts of another shape than [3] and [{frames}, 4]")
    return SmplMotion(
        poses.reshape(frames, -1, 3),
        trans,
        betas[0] if betas.ndim == 2 and len(betas) else betas.reshape(-1),
        _word(content, "gender") or "neutral",
        _rate(content, path, fps),
        pelvis,
        None if contacts is None else contacts > 0.5,
        _word(content, "text"),
        Path(path).stem,
        _own_rest(content, path),
    )


def _finite(content: Mapping[str, np.ndarray], name: str, path: str | Path) -> np.ndarray:
    values = content[name]
    with np.errstate(over="ignore"):
        found = values.astype(np.float32) if values.dtype.kind in "fiu" else None
    if found is None or not np.isfinite(found).all():
        raise DataError(f"{path}: {name} is {values.dtype} {values.shape} and not made of finite numbers")
    return found


def _own_rest(content: Mapping[str, np.ndarray], path: str | Path) -> np.ndarray | None:
    """The rest pose that a file of ours holds. Raises DataError."""
    if "rest_joints" not in content:
        return None
    rest = _finite(content, "rest_joints", path)
    if rest.shape != (len(_JOINTS), 3):
        raise DataError(f"{path} has rest_joints {rest.shape}, not [{len(_JOINTS)}, 3]")
    return rest


def _word(content: Mapping[str, np.ndarray], name: str) -> str:
    """A string of the file, which older programs write as bytes."""
    value = content[name].item() if name in content and content[name].size == 1 else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _rate(content: Mapping[str, np.ndarray], path: str | Path, fps: float) -> float:
    value = content.get("mocap_frame_rate", content.get("mocap_framerate"))
    rate = float(value.item()) if value is not None and value.size == 1 and value.dtype.kind in "fiu" else math.nan
    if not 0 < rate < math.inf and fps:
        return fps
    if not 0 < rate < math.inf:
        raise DataError(f"{path} has a mocap_framerate of {value}, which is no frame rate (--input_fps says one)")
    return rate


def to_motion(clip: SmplMotion, body: Body) -> BodyMotion:
    """The clip on a body with SMPL's joints, y up; joints that the file or the body lacks do not turn.

    A file that does not say which `trans_pelvis` it means is taken to mean that of `body`.
    """
    names = _JOINTS if clip.poses.shape[1] == len(_JOINTS) else _BODY
    turned = axis_angle_to_matrix(torch.from_numpy(clip.poses[:, : len(names)]).double()).float().numpy()
    turned[:, 0] = _Z_UP.T @ turned[:, 0]
    rotations = np.tile(np.eye(3, dtype=np.float32), (len(turned), len(body.joints), 1, 1))
    known = [joint for joint, name in enumerate(names) if name in body.joints]
    rotations[:, [body.joints.index(names[joint]) for joint in known]] = turned[:, known]
    root = (clip.trans + (body.rest[0] if clip.pelvis is None else clip.pelvis)) @ _Z_UP
    contacts = None
    if clip.contacts is not None:
        contacts = np.zeros((len(turned), len(body.joints)), bool)
        contacts[:, [body.joints.index(name) for name in CONTACTS]] = clip.contacts
    return BodyMotion(body, rotations, root.astype(np.float32), clip.fps, clip.name, clip.text, contacts)


def clip_of(path: str | Path, up: str = "z", fps: float = 0.0) -> Motion:
    """The clip of such a file as joints and rotations, y up; `up` is the axis of its world that points up, `fps` the
    rate of files that say none.

    Where the file does not say how long the bones are (only ours do), they are those of a mean body: the numbers of a
    shape say it only beside SMPL's own files. Hands and face are left out. Raises MissingFileError or DataError.
    """
    clip = read(path, fps)
    names = _JOINTS if clip.poses.shape[1] == len(_JOINTS) else _BODY
    parents = SKELETONS["smpl24"].parents[: len(names)]
    turned = axis_angle_to_matrix(torch.from_numpy(clip.poses[:, : len(names)]).double())
    world = torch.from_numpy(AXES[up].astype(np.float64))
    turned[:, 0] = world @ turned[:, 0]
    rest = rest_joints().numpy() if clip.rest is None else clip.rest
    kind = next(model for model, row in _MODELS.items() if row[0] == clip.poses.shape[1])
    pelvis = np.asarray(_MODELS[kind][2] if clip.pelvis is None else clip.pelvis, np.float64)
    root = world @ torch.from_numpy(clip.trans + pelvis)[..., None]
    offsets = torch.from_numpy((rest - rest[[max(parent, 0) for parent in SKELETONS["smpl24"].parents]])[: len(names)])
    positions, _ = forward(turned, offsets.double(), parents, root.squeeze(-1))
    if not positions.isfinite().all():
        raise DataError(f"{path} holds numbers too large for a position")
    note = "" if clip.rest is not None else "its bones got the lengths of a mean body"
    return Motion(
        positions.float().numpy(), clip.fps, names, parents, turned.float().numpy(), clip.name,
        rest=rest[: len(names)], betas=clip.betas, gender=clip.gender, texts=(clip.text,) if clip.text else (),
        up=up, source=str(path), note=note,
    )  # fmt: skip


def _look(found: SmplMotion, motion: BodyMotion, number: int) -> Look:
    made = to_motion(found, motion.body)
    return len(made.root), joints_of(made)[0][:, :22], joints_of(motion)[0][:, :22]


def _look_at_addon(found: SmplMotion, motion: BodyMotion, number: int) -> Look:
    return _look(found, at_rate(motion, ADDON_RATE), number)


SMPLH = Format(".npz", single(write), read, _look, need=smpl_rotations)
SMPLX = Format("_smplx.npz", single(write, "smplx"), read, _look_at_addon, fps=ADDON_RATE, need=smpl_rotations)
