"""Small glTF files put together by hand, and a reading of any GLB by the letter of the specification.

The reading shares nothing with the project's own: one frame at a time, 4 x 4 matrices, recursion.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

CODES = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}


class Made:
    """A document in the making: `array` enters an accessor, `track` a channel of the last animation."""

    def __init__(self, nodes: list[dict[str, Any]], **more: Any):
        self.document: dict[str, Any] = {
            "asset": {"version": "2.0"}, "nodes": nodes, "accessors": [], "bufferViews": [], "animations": [],
        } | more  # fmt: skip
        self.binary = b""

    def array(self, values: Any, kind: str = "f4", **more: Any) -> int:
        values = np.asarray(values, "<" + kind)
        shape = SHAPES[values.shape[1:]]
        laid = values.swapaxes(1, 2) if shape == "MAT4" else values
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": laid.nbytes}
        self.binary += laid.tobytes() + bytes(-laid.nbytes % 4)
        self.document["bufferViews"].append(view)
        accessor = {"bufferView": len(self.document["bufferViews"]) - 1, "componentType": CODES[kind]}
        self.document["accessors"].append(accessor | {"count": len(values), "type": shape} | more)
        return len(self.document["accessors"]) - 1

    def clip(self, name: str | None = None, **more: Any) -> "Made":
        animation = ({"name": name} if name is not None else {}) | {"channels": [], "samplers": []} | more
        self.document["animations"].append(animation)
        return self

    def track(self, node: int, path: str, times: Any, values: Any, way: str = "LINEAR", kind: str = "f4") -> "Made":
        """`times` may be the number of an accessor."""
        clip = self.document["animations"][-1]
        clock = times if isinstance(times, int) else self.array(times)
        output = self.array(values, kind, **({"normalized": True} if kind != "f4" else {}))
        clip["channels"].append({"sampler": len(clip["samplers"]), "target": {"node": node, "path": path}})
        clip["samplers"].append({"input": clock, "output": output, "interpolation": way})
        return self

    def skin(self, joints: list[int], inverse: Any, **more: Any) -> "Made":
        skin = {"joints": joints, "inverseBindMatrices": self.array(inverse)} | more
        self.document.setdefault("skins", []).append(skin)
        return self

    def save(self, path: Path) -> Path:
        document = self.document | {"buffers": [{"byteLength": len(self.binary)}]}
        return pack(path, json.dumps(document).encode(), self.binary)


def pack(path: Path, text: bytes, binary: bytes) -> Path:
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


def unpack(content: bytes) -> tuple[dict[str, Any], bytes]:
    (size,) = struct.unpack_from("<I", content, 12)
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def turn(axis: str, degrees: float) -> list[float]:
    """The quaternion of a turn about X, Y or Z, w last."""
    half = np.radians(degrees) / 2
    return [float(np.sin(half)) * (axis == letter) for letter in "XYZ"] + [float(np.cos(half))]


def matrix(translation: Any = (0, 0, 0), rotation: Any = (0, 0, 0, 1), scale: Any = (1, 1, 1)) -> np.ndarray:
    """The matrix [4, 4] of a node, its columns what becomes of the axes: q e q*, by products of quaternions."""
    x, y, z, w = np.asarray(rotation, float) / np.linalg.norm(rotation)
    left = np.array([[w, -z, y, x], [z, w, -x, y], [-y, x, w, z], [-x, -y, -z, w]])  # q p, p as (x, y, z, w)
    right = np.array([[w, -z, y, -x], [z, w, -x, -y], [-y, x, w, -z], [x, y, z, w]])  # p q*
    found = np.eye(4)
    found[:3, :3] = (left @ right)[:3, :3] * np.asarray(scale, float)
    found[:3, 3] = translation
    return found


class Plain:
    """A GLB file read by the letter: `pose` gives the world matrices of its nodes at a time of an animation."""

    def __init__(self, path: Path):
        self.document, self.binary = unpack(path.read_bytes())

    def values(self, index: int) -> np.ndarray:
        accessor = self.document["accessors"][index]
        view = self.document["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
        assert accessor["componentType"] == 5126
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        return np.frombuffer(self.binary, "<f4", accessor["count"] * width, start).reshape(-1, width).astype(float)

    def key_times(self, animation: int) -> np.ndarray:
        clip = self.document["animations"][animation]
        return np.unique(np.concatenate([self.values(sampler["input"])[:, 0] for sampler in clip["samplers"]]))

    def at(self, sampler: dict[str, Any], seconds: float, turns: bool) -> np.ndarray:
        times, values = self.values(sampler["input"])[:, 0], self.values(sampler["output"])
        after = int(np.searchsorted(times, seconds, "right"))
        if after == 0 or after == len(times) or sampler.get("interpolation") == "STEP":
            return values[max(after, 1) - 1]
        part = (seconds - times[after - 1]) / (times[after] - times[after - 1])
        one, other = values[after - 1], values[after]
        if not turns:
            return one + part * (other - one)
        cosine = float(one @ other) / np.linalg.norm(one) / np.linalg.norm(other)
        other, angle = (-other, np.arccos(min(-cosine, 1))) if cosine < 0 else (other, np.arccos(min(cosine, 1)))
        if angle < 1e-6:
            return one
        return (np.sin((1 - part) * angle) * one + np.sin(part * angle) * other) / np.sin(angle)

    def pose(self, animation: int | None = None, seconds: float = 0.0) -> np.ndarray:
        nodes = [dict(node) for node in self.document["nodes"]]
        clip = {"channels": []} if animation is None else self.document["animations"][animation]
        for channel in clip["channels"]:
            path = channel["target"]["path"]
            sampler = clip["samplers"][channel["sampler"]]
            nodes[channel["target"]["node"]][path] = self.at(sampler, seconds, path == "rotation")
        world = np.zeros((len(nodes), 4, 4))

        def visit(number: int, above: np.ndarray) -> None:
            node = nodes[number]
            parts = {path: node[path] for path in ("translation", "rotation", "scale") if path in node}
            own = np.reshape(node["matrix"], (4, 4)).T if "matrix" in node else matrix(**parts)
            world[number] = above @ own
            for child in node.get("children", ()):
                visit(child, world[number])

        for root in set(range(len(nodes))) - {child for node in nodes for child in node.get("children", ())}:
            visit(root, np.eye(4))
        return world
