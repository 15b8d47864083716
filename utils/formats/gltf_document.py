"""A glTF 2.0 file of anyone's (.glb, .vrm, .gltf) as a typed document: nodes, skins, animation tracks and the bytes.

What is read is only looked at, so that a document can be added to and written again with all else as it was.
Quaternions are [..., 4] with w first here and last in the file; matrices have rows first. Glossary: the rest of a node
is its transform without animation, its world that of its ancestors times its own.
Khronos Group, glTF 2.0 specification, sections 3.5 (nodes), 3.7.3 (skins), 3.11 (animations).
"""

import base64
import binascii
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import torch

from utils.formats import glb_container
from utils.formats.glb_container import Broken, Container, size
from utils.geometry.kinematics import walk
from utils.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix
from utils.run.errors import DataError, MissingFileError

# Extensions that a file may require, because nothing of them lies between a file and its motion.
_HARMLESS = ("KHR_materials_", "KHR_texture_", "EXT_texture_", "KHR_lights_", "EXT_lights_", "VRM", "MSFT_texture_")
_HARMLESS += ("KHR_mesh_quantization", "KHR_xmp", "KHR_node_", "EXT_mesh_gpu_instancing", "KHR_audio", "KHR_animation_")
_COMPRESSED = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
_PATHS = {"translation": 3, "rotation": 4, "scale": 3}
_INTERPOLATIONS = ("LINEAR", "STEP", "CUBICSPLINE")


class Node(NamedTuple):
    """A node in rest: `local` and `world` are [4, 4], `rotation` [4] has w first; a `matrix` comes taken apart.

    Names are those of the file, which may give one to several nodes; `node_7` stands for none.
    """

    name: str
    parent: int
    children: tuple[int, ...]
    translation: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray
    local: np.ndarray
    world: np.ndarray
    mesh: int | None
    skin: int | None


class Skin(NamedTuple):
    """The nodes that are its joints, and the matrices [J, 4, 4] from the mesh in bind pose to each joint's axes."""

    number: int
    name: str  # empty where the file has none
    joints: tuple[int, ...]
    inverse_bind: np.ndarray


class Track(NamedTuple):
    """What one channel does to a node: `path` is "translation", "rotation" or "scale".

    `times` [K] are seconds, ascending, one array for all tracks that share them; `values` [K, 3], quaternions [K, 4] of
    length 1 with w first, or, where `interpolation` is "CUBICSPLINE", [K, 3, 3 or 4]: tangent in, value, tangent out.
    Else it is "LINEAR" or "STEP".
    """

    node: int
    path: str
    times: np.ndarray
    values: np.ndarray
    interpolation: str


class Clip(NamedTuple):
    """An animation: its name (`animation_3` where the file has none), and its number."""

    name: str
    number: int
    extras: dict[str, Any]


@dataclass
class Document(Container):
    """The JSON of a file, the bytes of its buffers one after the other, and what they mean.

    `append` and `add` enter new items and arrays behind all that was there.
    """

    nodes: list[Node] = field(default_factory=list)
    order: list[int] = field(default_factory=list)  # the nodes, parents before children
    skins: list[Skin] = field(default_factory=list)
    clips: list[Clip] = field(default_factory=list)
    _known: dict[int, np.ndarray] = field(default_factory=dict, repr=False)
    _times: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def accessor(self, index: Any) -> np.ndarray:
        """As `Container.accessor`; read once, and not to be written to."""
        if not isinstance(index, int) or index not in self._known:
            values = super().accessor(index)
            values.flags.writeable = False
            self._known[index] = values
        return self._known[index]

    def tracks(self, clip: Clip) -> list[Track]:
        """What an animation does to translation, rotation and scale of nodes. Raises Broken."""
        animation, found = self.item("animations", clip.number), {}
        samplers = _dicts(animation, "samplers", clip.name)
        for number, channel in enumerate(_dicts(animation, "channels", clip.name)):
            target = channel.get("target")
            if not isinstance(target, dict):
                raise Broken(f"channel {number} of {clip.name} has no target")
            node, path = target.get("node"), target.get("path")
            if node is None or not isinstance(path, str) or path not in _PATHS:
                continue  # weights of morph targets, and what extensions animate
            if type(node) is not int or not 0 <= node < len(self.nodes):
                raise Broken(f"{clip.name} moves node {node}, which is not there")
            if (node, path) in found:
                raise Broken(f"{clip.name} has the {path} of {self.nodes[node].name} twice")
            chosen = channel.get("sampler")
            if type(chosen) is not int or not 0 <= chosen < len(samplers):
                raise Broken(f"channel {number} of {clip.name} has no sampler")
            found[node, path] = self._track(node, path, samplers[chosen], f"{clip.name}, {self.nodes[node].name}")
        return list(found.values())

    def _track(self, node: int, path: str, sampler: dict[str, Any], name: str) -> Track:
        way, width = sampler.get("interpolation", "LINEAR"), _PATHS[path]
        if way not in _INTERPOLATIONS:
            raise Broken(f"the interpolation of {name} is {way!r}")
        times, values = self._clock(sampler.get("input"), name), self.accessor(sampler.get("output"))
        keys = len(times) * (3 if way == "CUBICSPLINE" else 1)
        if values.shape != (keys, width) or values.dtype.kind != "f":
            raise Broken(f"the {path} of {name} has values {list(values.shape)} for {len(times)} keys")
        values = values.astype(np.float64).reshape(len(times), -1, width)
        if path == "rotation":
            values = values[..., [3, 0, 1, 2]]
            centre = values[:, values.shape[1] // 2]
            length = np.linalg.norm(centre, axis=-1, keepdims=True)
            if not 0.1 < length.min() <= length.max() < 10:
                raise Broken(f"the rotations of {name} are no quaternions of length 1")
            if way != "CUBICSPLINE":
                values = (centre / length)[:, None]
        return Track(node, path, times, values if way == "CUBICSPLINE" else values[:, 0], way)

    def _clock(self, index: Any, name: str) -> np.ndarray:
        """The seconds [K] of keys, one array for all tracks that share them."""
        times = self.accessor(index)
        if index not in self._times:
            if times.ndim != 1 or times.dtype.kind != "f" or (np.diff(times) < 0).any() or times[0] < 0:
                raise Broken(f"the times of {name} are not ascending seconds")
            self._times[index] = times.astype(np.float64)
        return self._times[index]


def read_document(path: str | Path) -> Document:
    """The document in a .glb, .vrm or .gltf file, the last with its buffers and images in files or data URIs.

    Of several buffers one is made, the first leading. Images of a .gltf that lie beside it are taken in; others keep
    their URI. Nodes and skins are checked and read, `tracks` when they are asked for.
    Raises MissingFileError or DataError; DataError names the program that undoes a compression.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist") from error
    try:
        packed = glb_container.is_packed(content)
        container = glb_container.unpacked(content) if packed else Container(glb_container.json_object(content))
        _check_version(container.document)
        _check_extensions(container.document)
        _join_buffers(container, path, packed)
        document = Document(container.document, container.binary)
        with np.errstate(all="ignore"):  # what is too large is refused
            document.nodes, document.order = _read_nodes(container)
            document.skins = _read_skins(document)
        document.clips = _read_clips(container)
    except (Broken, OverflowError) as error:
        raise DataError(f"{path} is not a readable glTF file: {error}") from error
    return document


def write_document(path: str | Path, document: Document) -> None:
    """Write a document as a GLB file, atomically: its bytes are there as they were read, what was added behind them."""
    glb_container.write(path, document)


def _check_version(document: dict[str, Any]) -> None:
    asset = document.get("asset")
    version = asset.get("version") if isinstance(asset, dict) else None
    if not isinstance(version, str) or not version.startswith("2."):
        raise Broken(f"it is of version {str(version)[:20]}; glTF 2.0 is read")


def _check_extensions(document: dict[str, Any]) -> None:
    """Raise Broken for what a file requires and is not read here."""
    required = document.get("extensionsRequired", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise Broken("its extensionsRequired are no names")
    views = document.get("bufferViews", [])
    inside = [view.get("extensions") for view in views if isinstance(view, dict)] if isinstance(views, list) else []
    used = [name for names in inside if isinstance(names, dict) for name in names if name in _COMPRESSED]
    for name in (*required, *used[:1]):
        if name in _COMPRESSED:
            undo = "gltf-transform copy in.glb out.glb"
            raise Broken(f"it is compressed with {_COMPRESSED[name]} ({name}); undo it with: {undo}")
        if not name.startswith(_HARMLESS):
            raise Broken(f"it requires the extension {name[:60]}, which is not read: export it without")


def _join_buffers(container: Container, path: Path, packed: bool) -> None:
    """Bring the bytes of all buffers, and the images of a .gltf, into the one of the container."""
    buffers, whole = _dicts(container.document, "buffers", "it"), bytearray()
    starts = []
    for number, buffer in enumerate(buffers):
        length, name = size(buffer, "byteLength", f"buffers[{number}]"), f"buffers[{number}]"
        inside = packed and number == 0 and "uri" not in buffer
        content = bytes(container.binary) if inside else _fetched(buffer.get("uri"), path.parent, name)
        if length > len(content):
            raise Broken(f"{name} announces {length} bytes and {len(content)} are there")
        starts.append(len(whole))
        whole += content[:length] + bytes(-length % 4)
    for number, view in enumerate(_dicts(container.document, "bufferViews", "it")):
        buffer = view.get("buffer")
        if type(buffer) is not int or not 0 <= buffer < len(buffers):
            raise Broken(f"bufferViews[{number}] lies in no buffer")
        if size(view, "byteOffset", f"bufferViews[{number}]", 0) + size(
            view, "byteLength", f"bufferViews[{number}]"
        ) > size(buffers[buffer], "byteLength", "its buffer"):
            raise Broken(f"bufferViews[{number}] reaches beyond its buffer")
        if buffer:
            view |= {"buffer": 0, "byteOffset": view.get("byteOffset", 0) + starts[buffer]}
    container.binary = whole
    for image in _dicts(container.document, "images", "it") if not packed else ():
        _take_in(container, image, path.parent)
    if buffers or container.binary:
        kept = {key: value for key, value in (buffers[0] if buffers else {}).items() if key != "uri"}
        container.document["buffers"] = [kept | {"byteLength": len(container.binary)}]


def _fetched(uri: Any, folder: Path, name: str) -> bytes:
    """The bytes a URI stands for: its own (data:), or those of a file in or below the folder."""
    if not isinstance(uri, str):
        raise Broken(f"{name} has no bytes")
    if uri.startswith("data:"):
        try:
            return base64.b64decode(uri.partition(",")[2], validate=True)
        except (binascii.Error, ValueError) as error:
            raise Broken(f"the data URI of {name} is no base64") from error
    found = _beside(uri, folder)
    if found is None:
        raise Broken(f"{name} is {uri[:80]!r}, and buffers are read from beside the file only")
    if not found.is_file():
        raise Broken(f"{uri[:120]}, which holds {name}, is not there: keep it beside the file")
    return found.read_bytes()


def _beside(uri: str, folder: Path) -> Path | None:
    """The file of a relative URI in or below a folder; None where it leads elsewhere."""
    try:
        folder = folder.resolve()
        found = (folder / unquote(uri)).resolve()
    except (ValueError, OSError):
        return None
    return found if ":" not in uri.split("/")[0] and found.is_relative_to(folder) else None


def _take_in(container: Container, image: dict[str, Any], folder: Path) -> None:
    """Enter the bytes of an image, where they lie beside the file, for a GLB has no files beside it."""
    uri, kinds = image.get("uri"), {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
    found = _beside(uri, folder) if isinstance(uri, str) and not uri.startswith("data:") else None
    if found is None or not found.is_file() or found.suffix.lower() not in kinds:
        return
    content = found.read_bytes()
    view = {"buffer": 0, "byteOffset": len(container.binary), "byteLength": len(content)}
    container.binary += content + bytes(-len(content) % 4)
    del image["uri"]
    image |= {"mimeType": kinds[found.suffix.lower()], "bufferView": container.append("bufferViews", view)}


def _read_nodes(container: Container) -> tuple[list[Node], list[int]]:
    raw = _dicts(container.document, "nodes", "it")
    parents = [-1] * len(raw)
    for number, node in enumerate(raw):
        for child in _indices(node.get("children", []), len(raw), f"the children of nodes[{number}]"):
            if parents[child] != -1:
                raise Broken(f"nodes[{child}] has two parents")
            parents[child] = number
    order = walk(parents) if -1 in parents else []
    if len(order) != len(raw):
        raise Broken("its nodes go in a circle")
    parts = [_rest(node, f"nodes[{number}]") for number, node in enumerate(raw)]
    local = _matrices(raw, parts)
    world = local.copy()
    for node in order:
        if parents[node] >= 0:
            world[node] = world[parents[node]] @ local[node]
    if not np.isfinite(world).all() or np.abs(world).max(initial=0) > 1e9:
        raise Broken("its nodes stand at places beyond all measure")
    names = [node.get("name") for node in raw]
    names = [name if isinstance(name, str) and name.strip() else f"node_{number}" for number, name in enumerate(names)]
    nodes = [
        Node(
            names[number], parents[number], tuple(node.get("children", ())), *parts[number], local[number],
            world[number], _index(node.get("mesh")), _index(node.get("skin")),
        )
        for number, node in enumerate(raw)
    ]  # fmt: skip
    return nodes, order


def told_apart(names: Sequence[str]) -> list[str]:
    """Names, each once: one that came before gets its place behind it."""
    found: list[str] = []
    taken: set[str] = set()
    for place, name in enumerate(names):
        while name in taken:
            name = f"{name}_{place}"
        taken.add(name)
        found.append(name)
    return found


def _rest(node: dict[str, Any], name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Translation, rotation and scale of a node."""
    if "matrix" in node:
        matrix = _numbers(node["matrix"], 16, f"the matrix of {name}").reshape(4, 4).T
        scale = np.linalg.norm(matrix[:3, :3], axis=0)
        scale[0] *= -1 if np.linalg.det(matrix[:3, :3]) < 0 else 1
        turned = matrix[:3, :3] / np.where(scale == 0, 1, scale)
        return matrix[:3, 3].copy(), matrix_to_quaternion(torch.from_numpy(turned)).numpy(), scale
    translation = _numbers(node.get("translation", [0, 0, 0]), 3, f"the translation of {name}")
    rotation = _numbers(node.get("rotation", [0, 0, 0, 1]), 4, f"the rotation of {name}")[[3, 0, 1, 2]]
    scale = _numbers(node.get("scale", [1, 1, 1]), 3, f"the scale of {name}")
    length = np.linalg.norm(rotation)
    if not 0.1 < length < 10:
        raise Broken(f"the rotation of {name} is no quaternion of length 1")
    return translation, rotation / length, scale


def _matrices(raw: Sequence[dict[str, Any]], parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> np.ndarray:
    """The matrices [N, 4, 4] of nodes, of their parts or as a file has them."""
    found = np.tile(np.eye(4), (len(raw), 1, 1))
    if not len(raw):
        return found
    translations, rotations, scales = (np.stack(part) for part in zip(*parts, strict=True))
    found[:, :3, :3] = quaternion_to_matrix(torch.from_numpy(rotations)).numpy() * scales[:, None]
    found[:, :3, 3] = translations
    for number, node in enumerate(raw):
        if "matrix" in node:
            found[number, :3] = np.reshape(node["matrix"], (4, 4)).T[:3]
    return found


def _read_skins(document: Document) -> list[Skin]:
    skins = []
    for number, skin in enumerate(_dicts(document.document, "skins", "it")):
        name = f"skins[{number}]"
        joints = _indices(skin.get("joints"), len(document.nodes), f"the joints of {name}")
        if not joints or len(set(joints)) != len(joints):
            raise Broken(f"the joints of {name} are not one node each")
        inverse = np.tile(np.eye(4), (len(joints), 1, 1))
        if "inverseBindMatrices" in skin:
            inverse = document.accessor(skin["inverseBindMatrices"]).astype(np.float64)
        if inverse.shape[1:] != (4, 4) or len(inverse) < len(joints):
            raise Broken(f"{name} has {len(inverse)} inverse bind matrices for {len(joints)} joints")
        stated = skin.get("name")
        skins.append(Skin(number, stated if isinstance(stated, str) else "", joints, inverse[: len(joints)]))
    return skins


def _read_clips(container: Container) -> list[Clip]:
    clips = []
    for number, animation in enumerate(_dicts(container.document, "animations", "it")):
        name, extras = animation.get("name"), animation.get("extras")
        name = name if isinstance(name, str) and name.strip() else f"animation_{number}"
        clips.append(Clip(name, number, extras if isinstance(extras, dict) else {}))
    return clips


def _dicts(holder: dict[str, Any], kind: str, name: str) -> list[dict[str, Any]]:
    """A list of objects, empty where it is missing. Raises Broken."""
    items = holder.get(kind, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Broken(f"the {kind} of {name} are no list of objects")
    return items


def _indices(values: Any, count: int, name: str) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(type(value) is int and 0 <= value < count for value in values):
        raise Broken(f"{name} are not numbers of nodes")
    return tuple(values)


def _index(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _numbers(values: Any, count: int, name: str) -> np.ndarray:
    if not isinstance(values, list) or len(values) != count or not all(type(value) in (int, float) for value in values):
        raise Broken(f"{name} is not {count} numbers")
    if not all(math.isfinite(value) and abs(value) < 1e9 for value in values):
        raise Broken(f"{name} is not finite")
    return np.array(values, np.float64)
