"""The rig in a glTF file (.glb, .vrm, .gltf), and a motion of it as one more animation of the file.

A character is bound to its skeleton in one pose (the inverse of its inverse bind matrices) and may rest in another, as
that of a frame where its maker stopped; both are offered. What VRM says of its humanoid's bones is taken as it says.
Khronos Group, glTF 2.0 specification, sections 3.7.3 (skins) and 3.11 (animations); VRM Consortium, VRM 0.0 and
VRMC_vrm 1.0, "humanoid".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from body.retarget.rig import Rig
from body.retarget.transfer import RigMotion
from utils.formats.glb_container import Broken
from utils.formats.gltf_document import Document, Skin, read_document, write_document
from utils.geometry.kinematics import walk
from utils.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix
from utils.run.errors import DataError, reading

_POSED = np.radians(60)  # the most that half the joints of a skin are turned by a pose
_SCALED = 0.05  # how far the scale of a skin's joints may be from that of a place where the mesh may stand
_SAME = 1e-3  # radians, or parts of the figure's size: a pose that is no further away is the same
_VRM = {
    "hips": "pelvis", "head": "head", "Shoulder": "collar", "UpperArm": "shoulder", "LowerArm": "elbow",
    "Hand": "wrist", "UpperLeg": "hip", "LowerLeg": "knee", "Foot": "ankle", "Toes": "foot",
}  # fmt: skip
_TRIANGLES = 4


@dataclass(frozen=True)
class GltfFile:
    """A glTF file that a character comes in; `nodes` are those of the joints of its rig."""

    path: Path
    nodes: tuple[int, ...]
    ending: str

    def write(self, path: str | Path, motion: RigMotion, fps: float, name: str) -> None:
        """Write a copy of the file that has a motion as one more animation, atomically.

        Raises DataError where the file holds what JSON may not (NaN, halves of letters).
        """
        document = read_document(self.path)
        taken = {clip.name for clip in document.clips}
        names = (name, *(f"{name} {number}" for number in range(2, len(taken) + 3)))
        add_animation(document, self.nodes, motion, fps, next(title for title in names if title not in taken))
        try:
            write_document(path, document)
        except ValueError as error:
            raise DataError(f"{self.path} cannot be written again: {error}") from error

    def read(self, path: str | Path) -> np.ndarray:
        """Where the joints are [T, K, 3] in the last animation of a file that was written. Raises DataError."""
        document = read_document(path)
        try:
            return joint_places(document, self.nodes, len(document.clips) - 1)
        except Broken as error:
            raise DataError(f"{path} does not read back: {error}") from error


def open_gltf(path: str | Path) -> tuple[GltfFile, list[Rig]]:
    """A glTF file, and its rig in the pose that it is bound in, and in the one its nodes rest in where that is another.

    Raises MissingFileError, and DataError where there are no joints, or joints that are mirrored.
    """
    path = Path(path)
    document, name = read_document(path), path.name
    if not document.nodes:
        raise DataError(f"{name} has no joints")
    with reading(path, "a readable character"), np.errstate(all="ignore"):
        nodes = _nodes_of(document, _skinned(document))
        resting = np.stack([document.nodes[node].world for node in nodes])
        bound = None if _mirrored(resting) else _bound(document, nodes, resting)
        poses = [resting] if bound is None else [bound, resting]
        if any(map(_mirrored, poses)):
            raise DataError(f"{name} has joints that are mirrored or have no size: apply their scale where it was made")
        rigs = [_rig(document, nodes, world, name) for world in poses]
    if not all(np.isfinite(rig.places).all() and np.isfinite(rig.vertices).all() for rig in rigs):
        raise DataError(f"{name} is no readable character: its joints stand at places beyond all measure")
    return GltfFile(path, nodes, ".vrm" if path.suffix.lower() == ".vrm" else ".glb"), rigs


def _mirrored(world: np.ndarray) -> bool:
    return not bool((np.linalg.det(world[:, :3, :3]) > 0).all())


def _skinned(document: Document) -> set[int]:
    return {joint for skin in document.skins for joint in skin.joints}


def _rig(document: Document, nodes: tuple[int, ...], world: np.ndarray, name: str) -> Rig:
    """The rig of nodes whose worlds are [K, 4, 4]. Raises Broken."""
    number, skinned = {node: joint for joint, node in enumerate(nodes)}, _skinned(document)
    parents = tuple(number.get(document.nodes[node].parent, -1) for node in nodes)
    scales = np.cbrt(np.linalg.det(world[[max(parent, 0) for parent in parents], :3, :3]))
    scales[np.array(parents) < 0] = 1.0
    bones = np.array([node in skinned or not skinned for node in nodes])
    return Rig(
        name,
        tuple(str(document.document["nodes"][node].get("name", f"node_{node}")) for node in nodes),
        parents,
        world[:, :3, 3],
        world[:, :3, :3] / np.linalg.norm(world[:, :3, :3], axis=1, keepdims=True),
        scales,
        bones,
        bones,
        *_mesh(document, nodes, world),
        {role: number[node] for role, node in _humanoid(document) if node in number},
    )


def _nodes_of(document: Document, skinned: set[int]) -> tuple[int, ...]:
    """The nodes of a skeleton: its joints, what is above them, and what hangs on them and has no mesh."""
    parents = [node.parent for node in document.nodes]
    if not skinned:
        return tuple(walk(parents))
    chosen = set(skinned)
    for joint in skinned:
        while (joint := parents[joint]) >= 0:
            chosen.add(joint)
    found = []
    for node in walk(parents):
        hangs = parents[node] in chosen and document.nodes[node].mesh is None
        if node in chosen or (hangs and any(above in skinned for above in _up(parents, node))):
            chosen.add(node)
            found.append(node)
    return tuple(found)


def _up(parents: list[int], node: int) -> Iterator[int]:
    while node >= 0:
        yield node
        node = parents[node]


def _bound(document: Document, nodes: tuple[int, ...], resting: np.ndarray) -> np.ndarray | None:
    """The worlds [K, 4, 4] of nodes in the pose that skins are bound in; None where that is the one they rest in."""
    number = {node: joint for joint, node in enumerate(nodes)}
    world, told = resting.copy(), np.zeros(len(nodes), bool)
    size = float(np.ptp(resting[:, :3, 3], axis=0).max()) or 1.0
    differs = False
    for skin in document.skins:
        joints = [number[node] for node in skin.joints]
        carried = resting[joints] @ skin.inverse_bind  # where each joint has the mesh: all the same in bind pose
        if all(_near(one, carried[0], size) for one in carried):
            told[joints] = True
            continue
        world[joints] = _mesh_in_world(document, skin, carried) @ np.linalg.inv(skin.inverse_bind)
        told[joints], differs = True, True
    if not differs:
        return None
    for joint, node in enumerate(nodes):  # in the order of `walk`: parents come first
        parent = number.get(document.nodes[node].parent, -1)
        if not told[joint] and parent >= 0:
            world[joint] = world[parent] @ document.nodes[node].local
    return world


def _mesh_in_world(document: Document, skin: Skin, carried: np.ndarray) -> np.ndarray:
    """Where a mesh stands [4, 4] in bind pose, of joints that rest in another and carry it [J, 4, 4] elsewhere.

    It is the world's origin or that of the node above the skeleton, whichever most joints are turned against least
    and have the scale of; else where the topmost joint has it.
    """
    top = min(
        range(len(skin.joints)),
        key=lambda joint: len(list(_up([n.parent for n in document.nodes], skin.joints[joint]))),
    )
    above = document.nodes[skin.joints[top]].parent
    scales = np.cbrt(np.abs(np.linalg.det(carried[:, :3, :3])))
    best, least = carried[top], np.cos(_POSED)
    for place in (np.eye(4), document.nodes[above].world if above >= 0 else np.eye(4)):
        scale = np.cbrt(abs(np.linalg.det(place[:3, :3])))
        turned = np.einsum("jik,ik->j", carried[:, :3, :3], place[:3, :3]) / np.maximum(scales * scale, 1e-30)
        cosine = float(np.median((turned - 1) / 2))
        if cosine > least and abs(np.median(scales) / scale - 1) < _SCALED:
            best, least = place, cosine
    return best


def _near(one: np.ndarray, other: np.ndarray, size: float) -> bool:
    scale = np.cbrt(abs(np.linalg.det(other[:3, :3]))) or 1.0
    turned = np.abs(one[:3, :3] - other[:3, :3]).max() < _SAME * scale
    return bool(turned and np.abs(one[:3, 3] - other[:3, 3]).max() < _SAME * size)


def _mesh(document: Document, nodes: tuple[int, ...], world: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices [V, 3] in the world, faces and weights [V, K] of all that is skinned to the joints or hangs on them."""
    number = {node: joint for joint, node in enumerate(nodes)}
    vertices, faces, weights = [np.zeros((0, 3))], [np.zeros((0, 3), np.int32)], [np.zeros((0, len(nodes)), np.float32)]
    count = 0
    for node in document.nodes:
        owner = node.parent if node.parent in number else -1
        if node.mesh is None or (node.skin is None and owner < 0):
            continue
        for primitive in document.item("meshes", node.mesh).get("primitives", ()):
            told = primitive.get("attributes", {})
            if "POSITION" not in told or primitive.get("mode", _TRIANGLES) != _TRIANGLES:
                continue
            points = np.asarray(document.accessor(told["POSITION"]), np.float64)
            shares = np.zeros((len(points), len(nodes)), np.float32)
            if node.skin is None:
                shares[:, number[owner]] = 1
                points = points @ node.local[:3, :3].T + node.local[:3, 3]
                points = points @ world[number[owner], :3, :3].T + world[number[owner], :3, 3]
            elif not 0 <= node.skin < len(document.skins):
                raise Broken(f"{node.name} has a skin that is not there")
            elif "JOINTS_0" in told and "WEIGHTS_0" in told:
                skin = document.skins[node.skin]
                _add_shares(document, told, [number[joint] for joint in skin.joints], shares)
                carried = np.zeros((len(nodes), 4, 4))
                for joint, inverse in zip(skin.joints, skin.inverse_bind, strict=True):
                    carried[number[joint]] = world[number[joint]] @ inverse
                blended = (shares @ carried.reshape(len(nodes), 16)).reshape(-1, 4, 4)[:, :3]
                points = (blended[..., :3] @ points[..., None]).squeeze(-1) + blended[..., 3]
            else:
                continue
            corners = document.accessor(primitive["indices"]) if "indices" in primitive else np.arange(len(points))
            corners = corners[: len(corners) // 3 * 3].reshape(-1, 3).astype(np.int32)
            if len(corners) and corners.max() >= len(points):
                raise Broken(f"a face of {node.name} has a corner that is not there")
            vertices.append(points)
            faces.append(corners + count)
            weights.append(shares)
            count += len(points)
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(weights)


def _add_shares(document: Document, told: dict[str, Any], joints: list[int], shares: np.ndarray) -> None:
    """Enter the weights of the vertices of a primitive, which sum to 1 afterwards."""
    rows, numbers = np.arange(len(shares)), np.array(joints)
    for number in range(4):
        if f"JOINTS_{number}" not in told or f"WEIGHTS_{number}" not in told:
            break
        chosen, part = (document.accessor(told[f"{kind}_{number}"]) for kind in ("JOINTS", "WEIGHTS"))
        if chosen.shape != part.shape or len(chosen) != len(shares) or chosen.max() >= len(joints):
            raise Broken("its vertices hang on joints that are not there")
        for corner in range(chosen.shape[1]):
            np.add.at(shares, (rows, numbers[chosen[:, corner].astype(int)]), part[:, corner].astype(np.float32))
    shares /= np.maximum(shares.sum(1, keepdims=True), 1e-9)


def _humanoid(document: Document) -> Iterator[tuple[str, int]]:
    """The roles that VRM names outright, with their nodes."""
    extensions = document.document.get("extensions", {})
    bones: list[tuple[Any, Any]] = []
    if isinstance(told := _inside(extensions, "VRMC_vrm", "humanoid", "humanBones"), dict):
        bones = [(name, bone.get("node")) for name, bone in told.items() if isinstance(bone, dict)]
    elif isinstance(told := _inside(extensions, "VRM", "humanoid", "humanBones"), list):
        bones = [(bone.get("bone"), bone.get("node")) for bone in told if isinstance(bone, dict)]
    for name, node in bones:
        side = next((side for side in ("left", "right") if str(name).startswith(side)), "")
        if isinstance(node, int) and (role := _VRM.get(str(name)[len(side) :])):
            yield f"{side}_{role}" if side else role, node


def _inside(item: Any, *keys: str) -> Any:
    for key in keys:
        item = item.get(key) if isinstance(item, dict) else None
    return item


def add_animation(document: Document, nodes: Sequence[int], motion: RigMotion, fps: float, name: str) -> None:
    """Enter a motion as one more animation of a document; all that is there stays as it is.

    One quaternion a frame for each joint that turns, two for one that is held otherwise than it rests, and translations
    of what moves, or hangs on its parent otherwise than in rest. A joint that rests as the file has it is left alone.
    A node that has its transform as a matrix gets it as translation, rotation and scale, as the specification demands
    of nodes that are animated.
    """
    frames = len(motion.rotations)
    seconds = (np.arange(frames) / fps).astype("<f4")
    clocks: dict[int, int] = {}  # accessors of the times, by how many there are
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []

    def enter(node: int, path: str, values: np.ndarray) -> None:
        _take_apart(document, node)
        if len(values) not in clocks:
            times = seconds if len(values) == frames else seconds[[0, -1]]
            clocks[len(values)] = document.add(times, bounds=True)
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        output = document.add(values.astype("<f4"))
        samplers.append({"input": clocks[len(values)], "output": output, "interpolation": "LINEAR"})

    hangs = np.array([document.nodes[node].parent in nodes for node in nodes])
    least = 1e-5 * np.abs(motion.held[hangs]).max(initial=0)
    turns = _continuous(matrix_to_quaternion(torch.from_numpy(motion.rotations)).numpy())
    for joint, node in enumerate(nodes):
        turn = turns[:, joint]
        held = np.abs(turn - turn[:1]).max() < 1e-6
        rests = document.nodes[node].rotation
        if not held or min(np.abs(turn[0] - rests).max(), np.abs(turn[0] + rests).max()) > 1e-6:
            turn = turn[:: max(1, frames - 1)] if held else turn
            enter(node, "rotation", turn[:, [1, 2, 3, 0]])
        if joint in motion.moved:
            enter(node, "translation", motion.moved[joint])
        elif hangs[joint] and np.abs(motion.held[joint] - document.nodes[node].translation).max() > least:
            enter(node, "translation", np.tile(motion.held[joint], (min(frames, 2), 1)))
    document.append("animations", {"name": name, "samplers": samplers, "channels": channels})


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions [T, K, 4] with the signs that make each the nearest to the one before."""
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    return np.concatenate([quaternions[:1], quaternions[1:] * np.cumprod(flips, axis=0)])


def _take_apart(document: Document, node: int) -> None:
    """Give a node its transform as translation, rotation and scale."""
    raw, rest = document.item("nodes", node), document.nodes[node]
    if raw.pop("matrix", None) is not None:
        raw |= {
            "translation": rest.translation.tolist(),
            "rotation": rest.rotation[[1, 2, 3, 0]].tolist(),
            "scale": rest.scale.tolist(),
        }


def joint_places(document: Document, nodes: tuple[int, ...], clip: int) -> np.ndarray:
    """Where nodes are [T, N, 3] in the frames of an animation of `add_animation`, read back. Raises Broken."""
    tracks = document.tracks(document.clips[clip])
    frames = max((len(track.times) for track in tracks), default=0)
    parts = {(track.node, track.path): track.values for track in tracks}
    world: dict[int, np.ndarray] = {}
    for number in walk([node.parent for node in document.nodes]):
        node, local = document.nodes[number], np.zeros((frames, 4, 4))
        turns = parts.get((number, "rotation"), node.rotation[None])
        turned = quaternion_to_matrix(torch.from_numpy(turns)).numpy() * node.scale
        local[:, :3, :3] = turned if len(turned) == frames else turned[:1]
        ways = parts.get((number, "translation"), node.translation[None])
        local[:, :3, 3], local[:, 3, 3] = ways if len(ways) == frames else ways[:1], 1
        world[number] = local if node.parent < 0 else world[node.parent] @ local
    return np.stack([world[node][:, :3, 3] for node in nodes], 1)
