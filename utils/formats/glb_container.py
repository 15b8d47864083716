"""GLB, the binary container of glTF 2.0: a chunk of JSON, a chunk of bytes, and arrays that accessors cut out of them.

Khronos Group, glTF 2.0 specification: sections 3.6 (buffers, views, accessors) and 4.4 (GLB). Little-endian.
Matrices are [N, 4, 4] with rows first here and with columns first in the file.
"""

import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from utils.run.errors import DataError, MissingFileError
from utils.run.files import atomic_write

_MAGIC, _JSON, _BINARY = 0x46546C67, 0x4E4F534A, 0x004E4942
_SHAPES = {"SCALAR": (), "VEC2": (2,), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}
_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
VERTICES, INDICES = 34962, 34963  # what a buffer view is for (its "target")


class Broken(ValueError):
    """A file that is no GLB, or one whose parts do not fit together; readers name the file."""


@dataclass
class Container:
    """The JSON of a file and the bytes of its one buffer; `add` and `array` put arrays in and take them out."""

    document: dict[str, Any] = field(default_factory=dict)
    binary: bytearray = field(default_factory=bytearray)

    def append(self, kind: str, item: dict[str, Any]) -> int:
        """Enter an item in a list of the document (`nodes`, `meshes`, ...); its index."""
        items = self.document.setdefault(kind, [])
        items.append(item)
        return len(items) - 1

    def item(self, kind: str, index: Any) -> dict[str, Any]:
        """An item of a list of the document. Raises Broken where there is none."""
        items = self.document.get(kind)
        if not isinstance(items, list) or not isinstance(index, int) or not 0 <= index < len(items):
            raise Broken(f"it has no {kind}[{index}]")
        if not isinstance(items[index], dict):
            raise Broken(f"{kind}[{index}] is no object")
        return items[index]

    def add(self, values: np.ndarray, *, target: int | None = None, bounds: bool = False, unit: bool = False) -> int:
        """Enter an array [N], [N, 2|3|4] or [N, 4, 4] of one of the component types; the index of its accessor.

        `bounds` writes its min and max, `unit` declares integers to stand for [0, 1] or [-1, 1].
        """
        shape = next(name for name, shape in _SHAPES.items() if shape == values.shape[1:])
        code = next(code for code, dtype in _DTYPES.items() if np.dtype(dtype) == values.dtype)
        laid = np.ascontiguousarray(values.swapaxes(1, 2) if shape == "MAT4" else values)
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": laid.nbytes}
        self.binary += laid.tobytes() + bytes(-laid.nbytes % 4)
        accessor = {
            "bufferView": self.append("bufferViews", view | ({"target": target} if target else {})),
            "componentType": code,
            "count": len(values),
            "type": shape,
        }
        if bounds:
            accessor |= {end: np.atleast_1d(getattr(laid, end)(0)).tolist() for end in ("min", "max")}
        return self.append("accessors", accessor | ({"normalized": True} if unit else {}))

    def array(self, index: Any, shape: str) -> np.ndarray:
        """The values of an accessor of type `shape` ("VEC3"), integers that stand for [0, 1] or [-1, 1] as float32.

        Raises Broken where it reaches beyond the bytes that are there, or its stated bounds are not those it has.
        """
        accessor = self.item("accessors", index)
        if accessor.get("type") != shape or "sparse" in accessor or accessor.get("componentType") not in _DTYPES:
            raise Broken(f"accessors[{index}] is no plain {shape}")
        dtype, name = np.dtype(_DTYPES[accessor["componentType"]]), f"accessors[{index}]"
        view = self.item("bufferViews", accessor.get("bufferView"))
        count, inside = _size(accessor, "count", name), _size(accessor, "byteOffset", name, 0)
        start, length = _size(view, "byteOffset", name, 0), _size(view, "byteLength", name)
        width = math.prod(_SHAPES[shape])
        if view.get("byteStride", width * dtype.itemsize) != width * dtype.itemsize:
            raise Broken(f"the values of {name} do not lie side by side")
        if not count or inside + count * width * dtype.itemsize > length or start + length > len(self.binary):
            raise Broken(f"{name} reaches beyond the bytes of the file")
        values = np.frombuffer(self.binary, dtype, count * width, start + inside).reshape(count, *_SHAPES[shape])
        for end in ("min", "max"):
            if end in accessor and np.atleast_1d(getattr(values, end)(0)).tolist() != accessor[end]:
                raise Broken(f"the {end} of {name} is not that of its values")
        if not np.isfinite(values).all():
            raise Broken(f"{name} holds NaN or infinity")
        if accessor.get("normalized"):
            values = np.maximum(values / np.float32(np.iinfo(dtype).max), np.float32(-1))
        return values.swapaxes(1, 2) if shape == "MAT4" else values


def write(path: str | Path, container: Container) -> None:
    """Write a container as a GLB file, atomically."""
    binary = bytes(container.binary)
    document = container.document | {"buffers": [{"byteLength": len(binary)}]}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    with atomic_write(path) as handle:
        handle.write(struct.pack("<5I", _MAGIC, 2, 28 + len(text) + len(binary), len(text), _JSON))
        handle.write(text)
        handle.write(struct.pack("<2I", len(binary), _BINARY))
        handle.write(binary)


def read(path: str | Path) -> Container:
    """The JSON and the bytes of a GLB file. Raises MissingFileError or DataError."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist") from error
    try:
        chunks = _chunks(content)
        document = json.loads(chunks.get(_JSON, b""))
        if not isinstance(document, dict):
            raise Broken("its JSON is no object")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a readable GLB file: {error}") from error
    return Container(document, bytearray(chunks.get(_BINARY, b"")))


def _chunks(content: bytes) -> dict[int, bytes]:
    """The chunks of a file by type, the first of each."""
    if len(content) < 20 or struct.unpack_from("<2I", content) != (_MAGIC, 2):
        raise Broken("it does not begin as a GLB file of version 2 does")
    announced = struct.unpack_from("<I", content, 8)[0]
    if announced != len(content):
        raise Broken(f"{announced} bytes are announced and {len(content)} are there")
    chunks: dict[int, bytes] = {}
    start = 12
    while start + 8 <= len(content):
        length, kind = struct.unpack_from("<2I", content, start)
        if start + 8 + length > len(content):
            raise Broken("a chunk is longer than the file")
        chunks.setdefault(kind, content[start + 8 : start + 8 + length])
        start += 8 + length
    return chunks


def _size(item: dict[str, Any], key: str, name: str, default: int | None = None) -> int:
    """A number of bytes or of values, which is a whole number and not negative."""
    value = item.get(key, default)
    if not isinstance(value, int) or value < 0:
        raise Broken(f"the {key} of {name} is {value!r}")
    return value
