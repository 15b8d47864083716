"""GLB, the binary container of glTF 2.0: a chunk of JSON, a chunk of bytes, and arrays that accessors cut out of them.

`array` reads what this program writes and refuses all else, `accessor` whatever the specification allows.
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
_MOST = 1 << 25  # numbers in an array that is not spelled out in the file
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
        if not isinstance(items, list) or type(index) is not int or not 0 <= index < len(items):
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
        accessor, name = self.item("accessors", index), f"accessors[{index}]"
        if accessor.get("type") != shape or "sparse" in accessor or accessor.get("componentType") not in _DTYPES:
            raise Broken(f"{name} is no plain {shape}")
        dtype, width = np.dtype(_DTYPES[accessor["componentType"]]), math.prod(_SHAPES[shape])
        view = self.item("bufferViews", accessor.get("bufferView"))
        if view.get("byteStride", width * dtype.itemsize) != width * dtype.itemsize:
            raise Broken(f"the values of {name} do not lie side by side")
        count, inside = size(accessor, "count", name), size(accessor, "byteOffset", name, 0)
        values = self._cut(view, inside, (count, width), dtype, name).reshape(count, *_SHAPES[shape])
        for end in ("min", "max"):
            if end in accessor and np.atleast_1d(getattr(values, end)(0)).tolist() != accessor[end]:
                raise Broken(f"the {end} of {name} is not that of its values")
        values = _meant(values, accessor, name)
        return values.swapaxes(1, 2) if shape == "MAT4" else values

    def accessor(self, index: Any) -> np.ndarray:
        """The values [N], [N, 2|3|4] or [N, 4, 4] of any accessor: strided, sparse, normalised to float32.

        Stated bounds are not looked at. Raises Broken for what reaches beyond the bytes that are there.
        """
        accessor, name = self.item("accessors", index), f"accessors[{index}]"
        shape, code = accessor.get("type"), accessor.get("componentType")
        if not isinstance(shape, str) or shape not in _SHAPES or not isinstance(code, int) or code not in _DTYPES:
            raise Broken(f"{name} is {shape} of {code}, which is not read")
        dtype, width = np.dtype(_DTYPES[code]), math.prod(_SHAPES[shape])
        count, inside = size(accessor, "count", name), size(accessor, "byteOffset", name, 0)
        if "bufferView" in accessor:
            view = self.item("bufferViews", accessor["bufferView"])
            values = self._cut(view, inside, (count, width), dtype, name)
        elif 0 < count * width <= _MOST:
            values = np.zeros((count, width), dtype)
        else:
            raise Broken(f"{name} announces {count} values that are not in the file")
        values = values.copy()  # of its own: a view would keep the bytes from growing
        if "sparse" in accessor:
            self._replace_some(values, accessor["sparse"], name)
        values = _meant(values, accessor, name).reshape(count, *_SHAPES[shape])
        return values.swapaxes(1, 2) if shape == "MAT4" else values

    def _cut(self, view: dict[str, Any], inside: int, shape: tuple[int, int], dtype: np.dtype, name: str) -> np.ndarray:
        """The numbers [N, width] that lie in a buffer view, `inside` bytes from where it begins."""
        start, length = size(view, "byteOffset", name, 0), size(view, "byteLength", name)
        (count, width), step = shape, size(view, "byteStride", name, shape[1] * dtype.itemsize)
        if step < width * dtype.itemsize:
            raise Broken(f"the values of {name} overlap")
        needed = inside + (count - 1) * step + width * dtype.itemsize
        if not count or needed > length or start + length > len(self.binary):
            raise Broken(f"{name} reaches beyond the bytes of the file")
        return np.ndarray(shape, dtype, self.binary, start + inside, (step, dtype.itemsize))

    def _replace_some(self, values: np.ndarray, sparse: Any, name: str) -> None:
        """Put the values of a sparse accessor in their places (section 3.6.2.3)."""
        if not isinstance(sparse, dict) or not all(isinstance(sparse.get(k), dict) for k in ("indices", "values")):
            raise Broken(f"{name} is sparse without indices and values")
        count, (places, news) = size(sparse, "count", name), (sparse["indices"], sparse["values"])
        if not 0 < count <= len(values) or places.get("componentType") not in (5121, 5123, 5125):
            raise Broken(f"{name} replaces {count} of {len(values)} values")
        view = self.item("bufferViews", places.get("bufferView"))
        kind = np.dtype(_DTYPES[places["componentType"]])
        indices = self._cut(view, size(places, "byteOffset", name, 0), (count, 1), kind, name)[:, 0]
        if indices.max() >= len(values):
            raise Broken(f"{name} replaces value {indices.max()} of {len(values)}")
        view = self.item("bufferViews", news.get("bufferView"))
        shape = (count, values.shape[1])
        values[indices] = self._cut(view, size(news, "byteOffset", name, 0), shape, values.dtype, name)


def _meant(values: np.ndarray, accessor: dict[str, Any], name: str) -> np.ndarray:
    """What the numbers of an accessor stand for (section 3.6.2.2). Raises Broken for NaN and infinity."""
    if not np.isfinite(values).all():
        raise Broken(f"{name} holds NaN or infinity")
    if accessor.get("normalized") and values.dtype.kind in "iu":
        return np.maximum(values / np.float32(np.iinfo(values.dtype).max), np.float32(-1))
    return values


def write(path: str | Path, container: Container) -> None:
    """Write a container as a GLB file, atomically; its bytes are the one buffer."""
    binary = bytes(container.binary)
    stated = next(iter(container.document.get("buffers", ())), {})
    buffer = {key: value for key, value in stated.items() if key != "uri"} | {"byteLength": len(binary)}
    document = container.document | {"buffers": [buffer]}
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
        return unpacked(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist") from error
    except ValueError as error:
        raise DataError(f"{path} is not a readable GLB file: {error}") from error


def unpacked(content: bytes) -> Container:
    """The JSON and the bytes in the content of a GLB file. Raises Broken."""
    chunks = _chunks(content)
    return Container(json_object(chunks.get(_JSON, b"")), bytearray(chunks.get(_BINARY, b"")))


def is_packed(content: bytes) -> bool:
    """Whether the content of a file begins as that of a GLB file does."""
    return content.startswith(struct.pack("<I", _MAGIC))


def json_object(text: bytes) -> dict[str, Any]:
    """A JSON object. Raises Broken."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Broken(str(error)) from error
    if not isinstance(document, dict):
        raise Broken("its JSON is no object")
    return document


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


def size(item: dict[str, Any], key: str, name: str, default: int | None = None) -> int:
    """A number of bytes or of values, which is a whole number and not negative."""
    value = item.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Broken(f"the {key} of {name} is {value!r}")
    return value
