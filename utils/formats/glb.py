"""GLB: skinned, animated bodies that Blender, game engines and browsers open. Core glTF 2.0, no extension.

Each motion is a mesh, a skeleton and an animation: one quaternion a joint and frame, and the translation of the root.
The y axes of its nodes point along the bones in rest (`utils.geometry.bone_frames`), for there Blender draws a bone;
rotations in the file are those of the body seen from these axes. A root bone, where one is asked for, is the last joint
of the skin. glTF is right-handed, in metres, y up, as this project is. A vertex hangs on at most four joints. What
moves vertices by the pose (`pose_directions`) has no place in the file.
Khronos Group, glTF 2.0 specification, sections 3.7 (meshes, skins) and 3.11 (animations).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.formats import glb_container
from utils.formats.checks import check_motion, check_read
from utils.formats.export_format import Format, look_at_bodies
from utils.formats.glb_container import INDICES, VERTICES, Broken, Container
from utils.geometry.body import Body, BodyMotion
from utils.geometry.bone_frames import bone_frames
from utils.geometry.kinematics import walk
from utils.geometry.mesh import influences, vertex_normals, whole_shares
from utils.geometry.root_bone import NAME as ROOT_BONE
from utils.geometry.root_bone import RootBone, joined_root, split_root
from utils.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix
from utils.geometry.spans import over_spans
from utils.run.errors import DataError, UsageError

_FULL = 65535  # the weight 1 as an unsigned short; a vertex's weights sum to it exactly
_SAME = np.eye(3)
_COLOURS = ((0.42, 0.56, 0.72), (0.80, 0.52, 0.36), (0.47, 0.64, 0.45), (0.62, 0.50, 0.70), (0.74, 0.66, 0.38))


def write(path: str | Path, motions: Sequence[BodyMotion]) -> None:
    """Write motions into one file, each with a mesh, a skin and an animation of its own, where they stand.

    The animation's `extras` hold fps, frames, text, the joints' names and, where known, `contacts`: the frames
    [first, past the last] in which each joint stands on the floor.
    Raises UsageError for no motion, DataError for a body that has no faces or not one root that comes first,
    NumericError for NaN or infinity.
    """
    if not motions:
        raise UsageError(f"there is no motion to write to {path}")
    for motion in motions:
        check(motion, path)
    container = Container({"asset": {"version": "2.0", "generator": "polykine"}, "scene": 0, "scenes": [{"nodes": []}]})
    shared: dict[Any, Any] = {}  # what several motions have in common is written once
    for number, motion in enumerate(motions):
        first, body = len(container.document.get("nodes", ())), motion.body
        same = id(body), motion.root_bone
        if same not in shared:
            frames = bone_frames(body)
            shared[same] = (*_add_body(container, body, frames, motion.root_bone), frames)
        attributes, indices, inverse, frames = shared[same]
        _add_joints(container, body, frames)
        colour = [*_COLOURS[number % len(_COLOURS)], 1.0]
        look = {"baseColorFactor": colour, "metallicFactor": 0.0, "roughnessFactor": 0.75}
        material = container.append("materials", {"name": f"skin {number}", "pbrMetallicRoughness": look})
        primitive = {"attributes": attributes, "indices": indices, "material": material}
        name = motion.name or body.name or f"motion {number}"
        mesh = container.append("meshes", {"name": body.name or "body", "primitives": [primitive]})
        joints, top = list(range(first, first + len(body.joints))), first
        if motion.root_bone:
            top = container.append("nodes", {"name": ROOT_BONE, "translation": [0.0, 0.0, 0.0], "children": [first]})
            joints.append(top)
        bound = {"joints": joints, "skeleton": top, "inverseBindMatrices": inverse}
        told = {"extras": {"rest": np.asarray(body.rest, np.float32).tolist()}}
        skin = container.append("skins", {"name": f"{name} skeleton"} | bound | told)
        # Blender makes one armature of all joints that stand in the scene itself, so each skeleton has a node above it.
        above = container.append("nodes", {"name": f"{name} skeleton", "children": [top]})
        figure = container.append("nodes", {"name": name, "mesh": mesh, "skin": skin})
        container.document["scenes"][0]["nodes"] += [above, figure]
        clock = (len(motion.root), motion.fps)
        if clock not in shared:
            shared[clock] = container.add(times(motion), bounds=True)
        _add_animation(container, motion, frames, name, joints, shared[clock])
    glb_container.write(path, container)


def check(motion: BodyMotion, path: str | Path) -> None:
    """Raise DataError or NumericError if a motion cannot be a skinned, animated mesh in the file `path`."""
    check_motion(motion, path)
    body, name = motion.body, motion.name or motion.body.name
    if not len(body.faces):
        raise DataError(f"the body of {name} has no faces, so {path} was not written")
    if body.parents[0] != -1 or sum(parent < 0 for parent in body.parents) != 1:
        raise DataError(f"the skeleton of {name} has not one root that comes first, so {path} was not written")


def times(motion: BodyMotion) -> np.ndarray:
    """The seconds [T] of the frames, float32."""
    return (np.arange(len(motion.root)) / motion.fps).astype(np.float32)


def _add_body(container: Container, body: Body, frames: np.ndarray, root_bone: bool) -> tuple[dict[str, int], int, int]:
    """Enter the mesh of a body: accessors of its attributes, of its indices, of the inverse bind matrices."""
    joints, shares = influences(body.weights)
    whole = whole_shares(shares, _FULL).astype("<u2")
    joints = np.where(whole > 0, joints, 0).astype("<u1" if len(body.joints) <= 256 else "<u2")
    vertices = np.asarray(body.vertices, "<f4")
    attributes = {
        "POSITION": container.add(vertices, target=VERTICES, bounds=True),
        "NORMAL": container.add(vertex_normals(body.vertices, body.faces), target=VERTICES),
        "JOINTS_0": container.add(joints, target=VERTICES),
        "WEIGHTS_0": container.add(whole, target=VERTICES, unit=True),
    }
    # 65535 itself, the largest unsigned short, may not be an index: graphics interfaces use it to cut strips.
    faces = np.asarray(body.faces).reshape(-1).astype("<u2" if len(vertices) <= 65535 else "<u4")
    inverse = np.tile(np.eye(4, dtype="<f4"), (len(body.joints) + root_bone, 1, 1))
    inverse[: len(frames), :3, :3] = frames.swapaxes(1, 2)
    inverse[: len(frames), :3, 3] = -_across(frames, body.rest)
    return attributes, container.add(faces, target=INDICES), container.add(inverse)


def _across(frames: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """Ways [..., K, 3] in axes [K, 3, 3]."""
    return (frames.swapaxes(1, 2) @ np.asarray(ways, np.float64)[..., None]).squeeze(-1)


def _above(frames: np.ndarray, parents: Sequence[int]) -> np.ndarray:
    """The axes [K, 3, 3] of the joint above each; those of the world above the root."""
    return np.stack([np.eye(3) if parent < 0 else frames[parent] for parent in parents])


def _add_joints(container: Container, body: Body, frames: np.ndarray) -> None:
    """Enter one node a joint; the root stands at its place in rest."""
    first, above = len(container.document.get("nodes", ())), _above(frames, body.parents)
    ways = body.offsets.astype(np.float64)
    ways[0] = body.rest[0]
    offsets = _across(above, ways).astype(np.float32)
    turns = matrix_to_quaternion(torch.from_numpy(above.swapaxes(1, 2) @ frames))[:, [1, 2, 3, 0]].float()
    for joint, name in enumerate(body.joints):
        children = [first + child for child, parent in enumerate(body.parents) if parent == joint]
        node = {"name": name, "translation": offsets[joint].tolist(), "rotation": turns[joint].tolist()}
        container.append("nodes", node | ({"children": children} if children else {}))


def _add_animation(
    container: Container, motion: BodyMotion, frames: np.ndarray, name: str, nodes: list[int], clock: int
) -> None:
    """Enter the clip of a motion with these nodes, a root bone's last, at the times of the accessor `clock`."""
    places = {nodes[0]: motion.root}
    quaternions = continuous_quaternions(motion.rotations, _above(frames, motion.body.parents), frames)
    if motion.root_bone:
        bone = split_root(motion)
        quaternions[:, :1] = continuous_quaternions(bone.turned[:, None], np.eye(3), frames[0])
        quaternions = np.concatenate([quaternions, continuous_quaternions(bone.heading[:, None])], 1)
        places = {nodes[0]: bone.hips, nodes[-1]: bone.path}
    quaternions = quaternions[..., [1, 2, 3, 0]].astype("<f4")
    tracks = [(node, "translation", np.asarray(place, "<f4")) for node, place in places.items()]
    tracks += [(node, "rotation", quaternions[:, joint]) for joint, node in enumerate(nodes)]
    channels, samplers = [], []
    for node, way, values in tracks:
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": way}})
        samplers.append({"input": clock, "output": container.add(values), "interpolation": "LINEAR"})
    extras: dict[str, Any] = {"fps": float(motion.fps), "frames": len(motion.root), "text": motion.text}
    extras |= {"body": motion.body.name, "joints": list(motion.body.joints)}
    extras |= {"root_bone": True} if motion.root_bone else {}
    if motion.contacts is not None:
        stands = ((joint, _spans(motion.contacts[:, k])) for k, joint in enumerate(motion.body.joints))
        extras["contacts"] = {joint: spans for joint, spans in stands if spans}
    container.append("animations", {"name": name, "channels": channels, "samplers": samplers, "extras": extras})


def continuous_quaternions(rotations: np.ndarray, above: np.ndarray = _SAME, frames: np.ndarray = _SAME) -> np.ndarray:
    """Unit quaternions [T, K, 4] (w first) of matrices [T, K, 3, 3], each on the side of the one before it.

    Programs that mix the numbers of two frames then go the short way. Rotations of joints with axes `frames` under
    ones with axes `above`, [K, 3, 3], are told in these.
    """
    before, axes = (torch.from_numpy(np.asarray(each, np.float64)) for each in (above, frames))
    quaternions = over_spans(
        lambda turned: matrix_to_quaternion(before.mT @ turned.double() @ axes), torch.as_tensor(np.asarray(rotations))
    ).numpy()
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    quaternions[1:] *= np.cumprod(flips, 0)
    return quaternions


def _spans(stands: np.ndarray) -> list[list[int]]:
    """The runs [first, past the last] of True in a track [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], stands.astype(np.int8), [0]])))
    return edges.reshape(-1, 2).tolist()


def read(path: str | Path) -> list[BodyMotion]:
    """The motions of a file that `write` made, read from what clients see: accessors, nodes, skins and animations.

    Raises MissingFileError, or DataError for a file that is broken or that is built in another way (joints that are
    turned in rest, several primitives, tracks of different times).
    """
    container = glb_container.read(path)
    try:
        document = container.document
        figures = [node for node in document.get("nodes", ()) if "skin" in node]
        joints = {node for skin in document.get("skins", ()) for node in skin["joints"]}
        fixed = [node for number, node in enumerate(document.get("nodes", ())) if number not in joints]
        if any(set(node) & {"translation", "rotation", "scale", "matrix"} for node in fixed):
            raise Broken("something other than its joints is moved")
        if not figures or len(figures) != len(document.get("animations", ())):
            raise Broken(f"it has {len(figures)} skinned meshes and {len(document.get('animations', ()))} animations")
        with np.errstate(all="ignore"):  # what is too large is refused below
            return [check_read(_read_motion(container, node, number)) for number, node in enumerate(figures)]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise DataError(f"{path} is not a motion that this program wrote: {error}") from error


def _read_motion(container: Container, figure: dict[str, Any], number: int) -> BodyMotion:
    animation = container.item("animations", number)
    extras = animation["extras"]
    nodes, floor = container.item("skins", figure["skin"])["joints"], []
    if extras.get("root_bone"):
        nodes, floor = nodes[:-1], nodes[-1:]
    body, axes = _read_body(container, figure, nodes)
    fps, frames = float(extras["fps"]), int(extras["frames"])
    if not 0 < fps < np.inf:
        raise Broken(f"its frame rate is {fps}")
    tracks: dict[tuple[int, str], np.ndarray] = {}
    for channel in animation["channels"]:
        target, sampler = channel["target"], animation["samplers"][channel["sampler"]]
        seconds = container.array(sampler["input"], "SCALAR")
        if len(seconds) != frames or not np.allclose(seconds, np.arange(frames) / fps, rtol=1e-6, atol=1e-6):
            raise Broken(f"the times of an animation are not {frames} frames, {fps} a second")
        shape = "VEC4" if target["path"] == "rotation" else "VEC3"
        tracks[target["node"], target["path"]] = container.array(sampler["output"], shape)
    missing = [name for name, node in zip(body.joints, nodes, strict=True) if (node, "rotation") not in tracks]
    if missing or len(tracks) != len(nodes) + 1 + 2 * len(floor):
        raise Broken(f"its animation has no rotation of {missing}" if missing else "its animation moves something else")
    quaternions = np.stack([tracks[node, "rotation"] for node in (*nodes, *floor)], 1)
    if np.abs(np.linalg.norm(quaternions, axis=-1) - 1).max() > 1e-4:
        raise Broken("its animation holds quaternions that are not of length 1")
    root = tracks[nodes[0], "translation"].copy()
    above, own = (torch.from_numpy(each) for each in (_above(axes, body.parents), axes))
    turned = over_spans(
        lambda found: (above @ _matrices(found[:, : len(own)]) @ own.mT).float(), torch.from_numpy(quaternions)
    ).numpy()
    if floor:
        hips, heading = (_matrices(torch.from_numpy(quaternions[:, joint])).numpy() for joint in (0, -1))
        root, joined = joined_root(RootBone(tracks[floor[0], "translation"], heading, root, hips))
        turned[:, 0] = above[0].numpy() @ joined @ axes[0].T
    if len(turned) != frames or len(root) != frames:
        raise Broken(f"its tracks do not have {frames} frames")
    contacts = _read_contacts(extras, body.joints, frames)
    made = BodyMotion(body, turned, root, fps, figure["name"], extras["text"], contacts)
    return replace(made, root_bone=bool(floor))


def _matrices(quaternions: torch.Tensor) -> torch.Tensor:
    """Matrices [..., 3, 3], float64, of the quaternions [..., 4] of a file, w last."""
    return quaternion_to_matrix(quaternions[..., [3, 0, 1, 2]].double())


def _read_body(container: Container, figure: dict[str, Any], nodes: list[int]) -> tuple[Body, np.ndarray]:
    """The body in rest, and the axes [K, 3, 3] of its nodes there."""
    skin, mesh = container.item("skins", figure["skin"]), container.item("meshes", figure["mesh"])
    (primitive,) = mesh["primitives"]
    attributes = primitive["attributes"]
    vertices = container.array(attributes["POSITION"], "VEC3").copy()
    faces = container.array(primitive["indices"], "SCALAR").reshape(-1, 3).astype(np.int64)
    joints, shares = container.array(attributes["JOINTS_0"], "VEC4"), container.array(attributes["WEIGHTS_0"], "VEC4")
    lengths = np.linalg.norm(container.array(attributes["NORMAL"], "VEC3"), axis=1)
    if not len(vertices) == len(joints) == len(shares) == len(lengths) or faces.max() >= len(vertices):
        raise Broken("the attributes of its mesh or its faces do not fit its vertices")
    if joints.max() >= len(nodes) or np.abs(shares.sum(1) - 1).max() > 1e-5 or np.abs(lengths - 1).max() > 1e-3:
        raise Broken("its weights do not sum to 1, hang on joints that are not there, or normals are not of length 1")
    weights = np.zeros((len(vertices), len(nodes)), np.float32)
    np.add.at(weights, (np.arange(len(vertices))[:, None], joints.astype(np.int64)), shares)
    inverse = container.array(skin["inverseBindMatrices"], "MAT4")
    parents, offsets, turns, names = _read_tree(container, nodes)
    if len(inverse) != len(skin["joints"]):
        raise Broken("its inverse bind matrices are not as many as its joints")
    axes, moved = inverse[: len(nodes), :3, :3].swapaxes(1, 2).astype(np.float64), inverse[: len(nodes), :3, 3]
    bound = -(axes @ moved[..., None]).squeeze(-1)
    rest = np.array(skin["extras"]["rest"], np.float32)  # as the body has it, to the last digit
    body = Body(mesh["name"], names, parents, rest, vertices, faces, weights)
    above, ways = _above(axes, parents), np.concatenate([rest[:1], body.offsets[1:]])
    for found, wanted in (
        (rest, bound),
        (_across(above, ways), offsets),
        (above @ turns, axes),
        (axes @ axes.swapaxes(1, 2), np.eye(3)),
    ):
        if not np.allclose(found, wanted, atol=1e-5):
            raise Broken("its inverse bind matrices are not those of its joints in rest")
    return body, axes


def _read_tree(
    container: Container, nodes: list[int]
) -> tuple[tuple[int, ...], np.ndarray, np.ndarray, tuple[str, ...]]:
    """Parents (as places in `nodes`), translations [K, 3], rotations [K, 3, 3] and names of the joints."""
    joints = [container.item("nodes", node) for node in nodes]
    parents = [-1] * len(nodes)
    for number, joint in enumerate(joints):
        if not set(joint) <= {"name", "translation", "rotation", "children"}:
            raise Broken(f"its joint {joint.get('name')!r} is scaled in rest")
        for child in joint.get("children", ()):
            if parents[nodes.index(child)] != -1:
                raise Broken(f"node {child} has two parents")
            parents[nodes.index(child)] = number
    if parents[0] != -1 or parents.count(-1) != 1 or len(walk(parents)) != len(parents):
        raise Broken("its joints are not one tree")
    turns = np.array([joint["rotation"] for joint in joints], np.float64)[:, [3, 0, 1, 2]]
    offsets = np.array([joint["translation"] for joint in joints])
    names = tuple(str(joint["name"]) for joint in joints)
    return tuple(parents), offsets, quaternion_to_matrix(torch.from_numpy(turns)).numpy(), names


def _read_contacts(extras: dict[str, Any], joints: tuple[str, ...], frames: int) -> np.ndarray | None:
    if "contacts" not in extras:
        return None
    contacts = np.zeros((frames, len(joints)), bool)
    for name, spans in extras["contacts"].items():
        for first, last in spans:
            contacts[first:last, joints.index(name)] = True
    return contacts


FORMAT = Format(".glb", write, read, look_at_bodies, standing=True, by_name=True)
