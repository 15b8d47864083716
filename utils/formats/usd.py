"""USD: skinned, animated bodies as UsdSkel, for Blender, Houdini, Omniverse and usdview. Needs the package usd-core.

Each motion is a SkelRoot with a Skeleton, a SkelAnimation and a skinned Mesh. Metres, y up; frame t of the first motion
is time code t, and time codes per second are its frame rate. Joints are turned by nothing in rest, and a vertex hangs
on at most four of them, as in `utils.formats.glb`. What moves vertices by the pose has no place in the file.
OpenUSD documentation, "UsdSkel: Schemas In-Depth".
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from utils.formats.checks import check_read
from utils.formats.export_format import Format, look_at_bodies
from utils.formats.glb import check, continuous_quaternions
from utils.geometry.body import Body, BodyMotion
from utils.geometry.kinematics import walk
from utils.geometry.mesh import INFLUENCES, influences, vertex_normals
from utils.geometry.rotations import quaternion_to_matrix
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.files import atomic_path

SUFFIXES = (".usdc", ".usda", ".usd")
_USER = "userProperties"  # the name space of what a skeleton is said to have besides; Blender reads it
_COLOUR = (0.42, 0.56, 0.72)


def write(path: str | Path, motions: Sequence[BodyMotion]) -> None:
    """Write motions into one stage, binary (`.usdc`, `.usd`) or text (`.usda`) by the suffix of `path`.

    Raises UsageError for another suffix or no motion, MissingFileError where usd-core is not installed, and what
    `utils.formats.glb.check` raises.
    """
    if not motions:
        raise UsageError(f"there is no motion to write to {path}")
    if Path(path).suffix not in SUFFIXES:
        raise UsageError(f"{path} does not end in one of {', '.join(SUFFIXES)}")
    for motion in motions:
        check(motion, path)
        _without_root_bone(motion)
    pxr = usd_core()
    with atomic_path(path) as temporary:
        stage = pxr.Usd.Stage.CreateNew(str(temporary))
        pxr.UsdGeom.SetStageUpAxis(stage, pxr.UsdGeom.Tokens.y)
        pxr.UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        fps = float(motions[0].fps)
        stage.SetTimeCodesPerSecond(fps)
        stage.SetFramesPerSecond(fps)
        stage.SetStartTimeCode(0)
        stage.SetEndTimeCode(max((len(motion.root) - 1) * fps / motion.fps for motion in motions))
        world = pxr.UsdGeom.Xform.Define(stage, "/World")
        stage.SetDefaultPrim(world.GetPrim())
        for number, motion in enumerate(motions):
            name = pxr.Tf.MakeValidIdentifier(motion.name or motion.body.name or "motion")
            _add_motion(pxr, stage, f"/World/{name}_{number}", _parents_first(motion), fps / motion.fps)
        stage.GetRootLayer().Save()


def usd_core() -> Any:
    """The modules of usd-core. Raises MissingFileError where it is not installed."""
    names = ("Gf", "Sdf", "Tf", "Usd", "UsdGeom", "UsdSkel", "Vt")
    try:
        return SimpleNamespace(**{name: importlib.import_module(f"pxr.{name}") for name in names})
    except ImportError as error:
        raise MissingFileError("USD needs the package usd-core: pip install usd-core") from error


def _without_root_bone(motion: BodyMotion) -> None:
    """Raise UsageError for a motion that should get a bone that this file has no place for."""
    if motion.root_bone:
        raise UsageError("USD is written without a root bone; choose glb, fbx or bvh, or leave out --root_bone")


def _parents_first(motion: BodyMotion) -> BodyMotion:
    """The motion with its joints in an order that USD accepts: parents before children."""
    body = motion.body
    if all(parent < joint for joint, parent in enumerate(body.parents)):
        return motion
    order = walk(body.parents)
    turned = Body(
        body.name,
        tuple(body.joints[joint] for joint in order),
        tuple(-1 if body.parents[joint] < 0 else order.index(body.parents[joint]) for joint in order),
        body.rest[order],
        body.vertices,
        body.faces,
        body.weights[:, order],
    )
    contacts = None if motion.contacts is None else motion.contacts[:, order]
    return BodyMotion(turned, motion.rotations[:, order], motion.root, motion.fps, motion.name, motion.text, contacts)


def _add_motion(pxr: Any, stage: Any, path: str, motion: BodyMotion, codes: float) -> None:
    """Define the prims of a motion under `path`; its frame t is at the time code t * codes."""
    Gf, Vt, UsdSkel = pxr.Gf, pxr.Vt, pxr.UsdSkel
    body = motion.body
    root = UsdSkel.Root.Define(stage, path)
    skeleton = UsdSkel.Skeleton.Define(stage, f"{path}/Skeleton")
    joints = Vt.TokenArray(_joint_paths(pxr, body))
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateJointNamesAttr(Vt.TokenArray(list(body.joints)))
    starts = body.offsets.astype(np.float64)
    starts[0] = body.rest[0]
    for create, places in ((skeleton.CreateBindTransformsAttr, body.rest), (skeleton.CreateRestTransformsAttr, starts)):
        matrices = [Gf.Matrix4d(1.0).SetTranslate(Gf.Vec3d(*map(float, place))) for place in places]
        create(Vt.Matrix4dArray(matrices))
    animation = UsdSkel.Animation.Define(stage, f"{path}/Animation")
    animation.CreateJointsAttr(joints)
    _animate(pxr, animation, motion, starts, codes)
    binding = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    UsdSkel.BindingAPI.Apply(root.GetPrim()).CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    mesh = _add_mesh(pxr, stage, f"{path}/Body", body)
    UsdSkel.BindingAPI.Apply(mesh.GetPrim()).CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    root.CreateExtentAttr(mesh.GetExtentAttr().Get())
    _describe(pxr, skeleton.GetPrim(), motion)


def _joint_paths(pxr: Any, body: Body) -> list[str]:
    """Tokens such as `pelvis/left_hip/left_knee`, which tell USD the tree."""
    paths: list[str] = []
    for name, parent in zip(body.joints, body.parents, strict=True):
        plain = pxr.Tf.MakeValidIdentifier(name)
        paths.append(plain if parent < 0 else f"{paths[parent]}/{plain}")
    return paths


def _animate(pxr: Any, animation: Any, motion: BodyMotion, starts: np.ndarray, codes: float) -> None:
    """Sample the joints' translations, rotations and scales; only the root's translation moves."""
    Gf, Vt = pxr.Gf, pxr.Vt
    quaternions = continuous_quaternions(motion.rotations).astype(np.float32)
    places = np.tile(starts.astype(np.float32), (len(motion.root), 1, 1))
    places[:, 0] = motion.root
    translations, rotations = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    animation.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1, 1, 1)] * len(starts)))
    for frame, (place, turned) in enumerate(zip(places, quaternions, strict=True)):
        quats = [Gf.Quatf(w, x, y, z) for w, x, y, z in turned.tolist()]
        translations.Set(Vt.Vec3fArray.FromNumpy(place), frame * codes)
        rotations.Set(Vt.QuatfArray(quats), frame * codes)


def _add_mesh(pxr: Any, stage: Any, path: str, body: Body) -> Any:
    """Define the skinned mesh in rest."""
    UsdGeom, Gf, Vt = pxr.UsdGeom, pxr.Gf, pxr.Vt
    mesh = UsdGeom.Mesh.Define(stage, path)
    vertices = np.asarray(body.vertices, np.float32)
    points = Vt.Vec3fArray.FromNumpy(vertices)
    mesh.CreatePointsAttr(points)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(body.faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.asarray(body.faces, np.int32).reshape(-1)))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(vertex_normals(vertices, body.faces)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDisplayColorAttr(Vt.Vec3fArray([Gf.Vec3f(*_COLOUR)]))
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(points))
    joints, shares = influences(body.weights)
    binding = pxr.UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1.0))
    binding.CreateJointIndicesPrimvar(False, INFLUENCES).Set(Vt.IntArray.FromNumpy(joints.astype(np.int32).reshape(-1)))
    binding.CreateJointWeightsPrimvar(False, INFLUENCES).Set(
        Vt.FloatArray.FromNumpy(shares.astype(np.float32).reshape(-1))
    )
    return mesh


def _describe(pxr: Any, prim: Any, motion: BodyMotion) -> None:
    """Give a prim attributes for what USD has none for."""
    types = pxr.Sdf.ValueTypeNames
    known = [("name", types.String, motion.name), ("text", types.String, motion.text)]
    known += [("body", types.String, motion.body.name), ("fps", types.Double, float(motion.fps))]
    if motion.contacts is not None:
        stands = pxr.Vt.IntArray.FromNumpy(motion.contacts.astype(np.int32).reshape(-1))
        known.append(("contacts", types.IntArray, stands))
    for name, kind, value in known:
        prim.CreateAttribute(f"{_USER}:{name}", kind, custom=True).Set(value)


def read(path: str | Path) -> list[BodyMotion]:
    """The motions of a stage that `write` made, from what clients see: points, weights, joints and samples.

    Raises MissingFileError, also where usd-core is not installed, or DataError.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path} does not exist")
    pxr = usd_core()
    try:
        stage = pxr.Usd.Stage.Open(str(path))
        roots = [prim for prim in stage.Traverse() if prim.IsA(pxr.UsdSkel.Root)]
        if not roots or pxr.UsdGeom.GetStageUpAxis(stage) != "Y" or pxr.UsdGeom.GetStageMetersPerUnit(stage) != 1.0:
            raise ValueError("it holds no skinned body in metres, y up")
        return [check_read(_read_motion(pxr, stage, prim)) for prim in roots]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        said = " ".join(str(error).rpartition(" : ")[2].split())
        raise DataError(f"{path} is not a USD motion that this program wrote: {said}") from error


def _read_motion(pxr: Any, stage: Any, prim: Any) -> BodyMotion:
    UsdSkel = pxr.UsdSkel
    path = prim.GetPath()
    skeleton = UsdSkel.Skeleton(stage.GetPrimAtPath(path.AppendChild("Skeleton")))
    animation = UsdSkel.Animation(stage.GetPrimAtPath(path.AppendChild("Animation")))
    mesh = pxr.UsdGeom.Mesh(stage.GetPrimAtPath(path.AppendChild("Body")))
    if not (skeleton and animation and mesh):
        raise ValueError(f"{path} lacks its skeleton, its animation or its mesh")
    known = {name: skeleton.GetPrim().GetAttribute(f"{_USER}:{name}").Get() for name in ("name", "text", "body", "fps")}
    parents = tuple(UsdSkel.Topology(skeleton.GetJointsAttr().Get()).GetParentIndices())
    rest = _places(skeleton.GetBindTransformsAttr().Get())
    joints = tuple(map(str, skeleton.GetJointNamesAttr().Get()))
    if not len(joints) == len(parents) == len(rest):
        raise ValueError("its joints, their names and their places in rest are not as many")
    binding = UsdSkel.BindingAPI(mesh.GetPrim())
    vertices = np.array(mesh.GetPointsAttr().Get(), np.float32)
    faces = np.array(mesh.GetFaceVertexIndicesAttr().Get(), np.int64).reshape(-1, 3)
    hung = np.array(binding.GetJointIndicesPrimvar().Get()).reshape(len(vertices), -1)
    shares = np.array(binding.GetJointWeightsPrimvar().Get(), np.float32).reshape(hung.shape)
    weights = np.zeros((len(vertices), len(joints)), np.float32)
    np.add.at(weights, (np.arange(len(vertices))[:, None], hung), shares)
    codes = animation.GetRotationsAttr().GetTimeSamples()
    if not codes or not np.allclose(codes, np.arange(len(codes)) * stage.GetTimeCodesPerSecond() / known["fps"]):
        raise ValueError(f"its samples are not {known['fps']} a second")
    quaternions = np.array(
        [[(q.real, *q.imaginary) for q in animation.GetRotationsAttr().Get(code)] for code in codes], np.float64
    )
    root = np.array([animation.GetTranslationsAttr().Get(code)[0] for code in codes], np.float32)
    turned = quaternion_to_matrix(torch.from_numpy(quaternions)).float().numpy()
    stands = skeleton.GetPrim().GetAttribute(f"{_USER}:contacts").Get()
    contacts = None if stands is None else np.array(stands, bool).reshape(len(codes), -1)
    body = Body(known["body"], joints, parents, rest, vertices, faces, weights)
    starts = np.concatenate([rest[:1], body.offsets[1:]])
    if not np.allclose(_places(skeleton.GetRestTransformsAttr().Get()), starts, atol=1e-5):
        raise ValueError("its joints do not stand in rest where the mesh was bound to them")
    return BodyMotion(body, turned, root, known["fps"], known["name"], known["text"], contacts)


def _places(matrices: Any) -> np.ndarray:
    """The translations [K, 3] of matrices."""
    return np.array([matrix.ExtractTranslation() for matrix in matrices], np.float32)


def _need(motion: BodyMotion) -> None:
    _without_root_bone(motion)
    usd_core()


FORMAT = Format(".usdc", write, read, look_at_bodies, standing=True, by_name=True, need=_need)
