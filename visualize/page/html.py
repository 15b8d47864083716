"""One HTML file that plays motions in a browser, offline: bodies and clips as base64 in it, drawn by WebGL 2.

What the page does is in `visualize/web`: `page.html` and `page.css` (the frame), `figure.js` (poses from the data),
`gl.js` and `scene.js` (drawing), `player.js` (time, camera, controls, and what its address may ask for). Nothing is
fetched: a policy in the page forbids it.

The data is JSON in `<script id="data">`: `arrays`, each [type, base64 of little-endian numbers], and `bodies` and
`motions` that name them by number, so that what several share (faces, weights, whole bodies) is there once. Vertices
are uint16 in the box from `low` to `high`; each has `influences` (4 joints) and `weights` (4 of 255, together 255);
rotations are int16 quaternions [T, K, (w, x, y, z)] in units of 1/32767; contacts are bits [T, K].
"""

import base64
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.formats.checks import check_motion, check_read
from utils.formats.export_format import Format, look_at_bodies
from utils.geometry.body import Body, BodyMotion, joints_of
from utils.geometry.kinematics import global_rotations, walk
from utils.geometry.mesh import influences, whole_shares
from utils.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix
from utils.geometry.skeleton import Skeleton
from utils.geometry.spans import over_spans
from utils.run.errors import DataError
from utils.run.files import atomic_write, read_text

VERSION = 1
FIELD_OF_VIEW = 30.0  # degrees from the lower to the upper edge; player.js has the same
_WEB = Path(__file__).with_name("web")
_SCRIPTS = ("figure.js", "gl.js", "scene.js", "player.js")
_TURN = 32767  # one in the units of a quaternion
_CENTRED = 0.15  # of the height: motion that goes further below y = 0 does not stand there


def write_page(path: str | Path, motions: Sequence[BodyMotion], title: str = "") -> None:
    """Write `motions`, side by side in this order, as one page that plays from a file, without a network.

    A megabyte of base64 holds about two bodies of 13,000 vertices, or 19 clips of 24 joints and 196 frames. The page
    skins linearly with the 4 largest influences of a vertex: `pose_directions` stay out. Floor: y = 0, or below the
    lowest joint where motion is centred on its root. Raises DataError without motions, NumericError for NaN.
    """
    if not motions:
        raise DataError(f"there is no motion to write to {path}")
    for motion in motions:
        check_motion(motion, path)
    store = _Store()
    content = {
        "version": VERSION,
        "title": title or motions[0].name,
        "motions": [_coded_motion(store, motion) for motion in motions],
        "bodies": store.bodies,
        "arrays": store.arrays,
    }
    data = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    scripts = "\n".join((_WEB / name).read_text() for name in _SCRIPTS)
    parts = {"title": html.escape(content["title"]), "style": (_WEB / "page.css").read_text(), "script": scripts}
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: (parts | {"data": data})[found[1]], (_WEB / "page.html").read_text())
    with atomic_write(path) as handle:
        handle.write(page.encode())


def read(path: str | Path) -> list[BodyMotion]:
    """The motions of a page, as exact as it holds them; motions of one body share one `Body`.

    Raises MissingFileError or DataError.
    """
    page = read_text(path, otherwise="latin-1")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    try:
        if found is None:
            raise ValueError("no data in it")
        content = json.loads(found[1])
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']!r}, not {VERSION}")
        arrays = [_array(kind, data) for kind, data in content["arrays"]]
        bodies = [_decoded_body(record, arrays) for record in content["bodies"]]
        return [check_read(_decoded_motion(record, arrays, bodies)) for record in content["motions"]]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path} is not a page of motions: {error}") from error


def _array(kind: str, data: str) -> np.ndarray:
    return np.frombuffer(bytearray(base64.b64decode(data)), np.dtype(kind).newbyteorder("<"))


class _Store:
    """The arrays and bodies of a page, each once however often it is asked for."""

    def __init__(self) -> None:
        self.arrays: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self._numbers: dict[tuple[str, str], int] = {}

    def array(self, values: np.ndarray) -> int:
        """The number of an array of this type and content."""
        plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        entry = (values.dtype.name, base64.b64encode(plain.tobytes()).decode())
        if entry not in self._numbers:
            self._numbers[entry] = len(self.arrays)
            self.arrays.append(entry)
        return self._numbers[entry]

    def body(self, record: dict[str, Any]) -> int:
        """The number of a body of this content."""
        if record not in self.bodies:
            self.bodies.append(record)
        return self.bodies.index(record)


def _coded_motion(store: _Store, motion: BodyMotion) -> dict[str, Any]:
    contacts = motion.contacts
    if contacts is not None:
        if contacts.shape != motion.rotations.shape[:2]:
            raise DataError(f"{motion.name} has contacts {contacts.shape}, not {motion.rotations.shape[:2]}")
        contacts = store.array(np.packbits(contacts.astype(bool)))
    return {
        "name": motion.name,
        "text": motion.text,
        "fps": float(motion.fps),
        "frames": len(motion.root),
        "floor": _floor(motion),
        "body": store.body(_coded_body(store, motion.body, motion.meta.get("mesh", True))),
        "rotations": store.array(_whole_turns(motion)),
        "root": store.array(np.asarray(motion.root, np.float32)),
        "contacts": contacts,
    }


def _whole_turns(motion: BodyMotion) -> np.ndarray:
    """The local rotations as int16 quaternions [T, K, 4].

    Each is that to the joints above it as the page has them, so that what rounding turns does not add up on a chain.
    """
    parents = motion.body.parents

    def coded(rotations: Tensor) -> Tensor:
        world = global_rotations(rotations.double(), parents)
        found, turns = torch.empty_like(world), torch.empty((*world.shape[:2], 4), dtype=torch.int16)
        for joint in walk(parents):
            parent = parents[joint]
            local = world[:, joint] if parent < 0 else found[:, parent].mT @ world[:, joint]
            units = (matrix_to_quaternion(local) * _TURN).round()
            turned = quaternion_to_matrix(units)
            found[:, joint] = turned if parent < 0 else found[:, parent] @ turned
            turns[:, joint] = units.to(torch.int16)
        return turns

    return over_spans(coded, torch.as_tensor(np.asarray(motion.rotations))).numpy()


def _floor(motion: BodyMotion) -> float:
    """The height of the floor: 0, or that of the lowest joint of motion that is not on y = 0."""
    height, lowest = float(np.ptp(motion.body.rest[:, 1])), float(joints_of(motion)[0][..., 1].min())
    return lowest if lowest < -_CENTRED * height else 0.0


def _coded_body(store: _Store, body: Body, with_mesh: bool) -> dict[str, Any]:
    named = Skeleton(body.name, body.joints, (), body.parents)
    record: dict[str, Any] = {
        "name": body.name,
        "joints": list(body.joints),
        "parents": [int(parent) for parent in body.parents],
        "sides": [named.side(joint) for joint in range(len(body.joints))],
        "rest": store.array(np.asarray(body.rest, np.float32)),
    }
    if not with_mesh or not len(body.faces):
        return record | {"vertices": None}
    low, high = body.vertices.min(0).astype(float), body.vertices.max(0).astype(float)
    span = np.where(high > low, high - low, 1.0)
    joints, shares = influences(body.weights)
    wide = np.uint16 if len(body.vertices) <= 1 << 16 else np.uint32
    return record | {
        "low": low.tolist(),
        "high": (low + span).tolist(),
        "vertices": store.array(np.rint((body.vertices - low) / span * 65535).astype(np.uint16)),
        "influences": store.array(joints.astype(np.uint8 if len(body.joints) <= 256 else np.uint16)),
        "weights": store.array(whole_shares(shares, 255).astype(np.uint8)),
        "faces": store.array(body.faces.astype(wide)),
    }


def _decoded_body(record: dict[str, Any], arrays: list[np.ndarray]) -> Body:
    joints, parents = tuple(record["joints"]), tuple(record["parents"])
    rest = arrays[record["rest"]].reshape(len(joints), 3)
    if record["vertices"] is None:
        nothing = np.zeros((0, 3), np.float32)
        return Body(record["name"], joints, parents, rest, nothing, nothing.astype(int), np.zeros((0, len(joints))))
    low, high = np.array(record["low"]), np.array(record["high"])
    vertices = (low + arrays[record["vertices"]].reshape(-1, 3) / 65535 * (high - low)).astype(np.float32)
    weights = np.zeros((len(vertices), len(joints)), np.float32)
    parts = arrays[record["weights"]].reshape(-1, 4) / np.float32(255)
    moved_by = arrays[record["influences"]].reshape(-1, 4).astype(int)
    np.add.at(weights, (np.arange(len(vertices))[:, None], moved_by), parts)
    return Body(
        record["name"], joints, parents, rest, vertices, arrays[record["faces"]].reshape(-1, 3).astype(int), weights
    )


def _decoded_motion(record: dict[str, Any], arrays: list[np.ndarray], bodies: list[Body]) -> BodyMotion:
    body, frames, contacts = bodies[record["body"]], record["frames"], record["contacts"]
    joints, mesh = len(body.joints), len(body.faces) > 0
    turned = torch.from_numpy(arrays[record["rotations"]].reshape(frames, joints, 4).astype(np.float32))
    if contacts is not None:
        contacts = np.unpackbits(arrays[contacts], count=frames * joints).reshape(frames, joints).astype(bool)
    return BodyMotion(
        body,
        quaternion_to_matrix(turned).numpy(),
        arrays[record["root"]].reshape(frames, 3),
        record["fps"],
        record["name"],
        record["text"],
        contacts,
        {} if mesh else {"mesh": False},
    )


FORMAT = Format(".html", write_page, read, look_at_bodies, together=True)
