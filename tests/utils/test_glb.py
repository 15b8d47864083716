"""GLB: what the file says, read by other means than those it was written with, is the motion that was given."""

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from tests import skinned
from utils.formats import glb
from utils.geometry.body import Body, BodyMotion, vertices_of
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError


@pytest.fixture(scope="module")
def motion() -> BodyMotion:
    return skinned.dance(skinned.body())


@pytest.fixture(scope="module")
def content(motion: BodyMotion, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("glb") / "one.glb"
    glb.write(path, [motion])
    return path.read_bytes()


def split(content: bytes) -> tuple[dict, bytes]:
    """The JSON and the binary chunk, by the letter of the specification."""
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON" and size % 4 == 0
    rest, other = struct.unpack_from("<I4s", content, 20 + size)
    assert other == b"BIN\0" and rest % 4 == 0 and 28 + size + rest == len(content)
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def values(document: dict, binary: bytes, index: int) -> np.ndarray:
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    dtype = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}[accessor["componentType"]]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
    part = np.frombuffer(binary[view["byteOffset"] :][: view["byteLength"]], dtype)
    assert part.size == accessor["count"] * width
    return part.reshape(-1, width)


def turned(quaternion: np.ndarray) -> np.ndarray:
    """The matrix of a quaternion (x, y, z, w), by v + 2 w (u x v) + 2 u x (u x v)."""
    across = np.cross(np.eye(3), -quaternion[:3])  # columns u x e
    return np.eye(3) + 2 * quaternion[3] * across.T + 2 * across.T @ across.T


def shown(document: dict, binary: bytes, frame: int, number: int = 0) -> np.ndarray:
    """The vertices [V, 3] that a client shows at a key of an animation: sum of w_j G_j B_j v."""
    places = {k: np.eye(4) for k in range(len(document["nodes"]))}
    for k, node in enumerate(document["nodes"]):
        places[k][:3, 3] = node.get("translation", (0, 0, 0))
    animation = document["animations"][number]
    for channel in animation["channels"]:
        key = values(document, binary, animation["samplers"][channel["sampler"]]["output"])[frame].astype(float)
        node = places[channel["target"]["node"]]
        if channel["target"]["path"] == "rotation":
            node[:3, :3] = turned(key)
        else:
            node[:3, 3] = key
    world: dict[int, np.ndarray] = {}

    def visit(k: int, above: np.ndarray) -> None:
        world[k] = above @ places[k]
        for child in document["nodes"][k].get("children", ()):
            visit(child, world[k])

    for k in document["scenes"][document["scene"]]["nodes"]:
        visit(k, np.eye(4))
    figure = [node for node in document["nodes"] if "mesh" in node][number]
    skin, mesh = document["skins"][figure["skin"]], document["meshes"][figure["mesh"]]
    inverse = values(document, binary, skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
    moved = np.stack([world[joint] for joint in skin["joints"]]) @ inverse
    parts = mesh["primitives"][0]["attributes"]
    joints, weights = values(document, binary, parts["JOINTS_0"]), values(document, binary, parts["WEIGHTS_0"])
    blended = (moved[joints] * (weights / 65535)[..., None, None]).sum(1)
    points = values(document, binary, parts["POSITION"])
    return (blended[:, :3, :3] @ points[..., None])[..., 0] + blended[:, :3, 3]


def test_a_client_shows_our_vertices(motion: BodyMotion, content: bytes):
    document, binary = split(content)
    ours = vertices_of(motion)
    for frame in (0, 17, 39):
        assert np.abs(shown(document, binary, frame) - ours[frame]).max() < 2e-5


def test_frames_are_at_their_times_and_extras_tell_the_rest(motion: BodyMotion, content: bytes):
    document, binary = split(content)
    (animation,) = document["animations"]
    assert len({sampler["input"] for sampler in animation["samplers"]}) == 1
    clock = animation["samplers"][0]["input"]
    np.testing.assert_allclose(values(document, binary, clock)[:, 0], np.arange(40) / 20, rtol=1e-6)
    assert document["accessors"][clock]["min"] == [0] and document["accessors"][clock]["max"][0] == pytest.approx(1.95)
    extras = animation["extras"]
    assert (extras["fps"], extras["frames"], extras["text"]) == (20, 40, motion.text)
    assert extras["joints"] == list(skinned.JOINTS)
    assert extras["contacts"] == {"right_leg": [[2, 5]], "left_foot": [[0, 20], [39, 40]]}


def test_neighbouring_quaternions_lie_on_one_side(motion: BodyMotion, content: bytes):
    document, binary = split(content)
    (animation,) = document["animations"]
    tracks = [sampler["output"] for sampler in animation["samplers"]][1:]
    keys = np.stack([values(document, binary, track) for track in tracks], 1)
    assert (keys[1:] * keys[:-1]).sum(-1).min() > 0.9
    assert keys[:, 0, 3].min() < -0.9  # the root turns round more than once, so w changes sign


def test_layout_obeys_the_specification(tmp_path: Path):
    """Also where an array does not end at a multiple of four bytes, and a vertex hangs on fewer than four joints."""
    body = skinned.body(influences=2)
    body = dataclasses.replace(body, faces=body.faces[: len(body.faces) // 2 * 2 - 1])
    glb.write(tmp_path / "odd.glb", [skinned.dance(body)])
    document, binary = split((tmp_path / "odd.glb").read_bytes())
    assert all(view["byteOffset"] % 4 == 0 for view in document["bufferViews"])
    assert document["buffers"] == [{"byteLength": len(binary)}]
    parts = document["meshes"][0]["primitives"][0]["attributes"]
    points = values(document, binary, parts["POSITION"])
    assert document["accessors"][parts["POSITION"]]["min"] == points.min(0).tolist()
    joints, weights = values(document, binary, parts["JOINTS_0"]), values(document, binary, parts["WEIGHTS_0"])
    assert (weights.sum(1, dtype=int) == 65535).all() and (joints[weights == 0] == 0).all()
    assert ((weights > 0).sum(1) == 2).all()
    assert document["scenes"][0]["nodes"] == [8, 9] and not {"extensionsUsed"} & set(document)


def test_four_largest_influences_stay_in_proportion(tmp_path: Path):
    body = skinned.body(influences=7)
    glb.write(tmp_path / "seven.glb", [skinned.dance(body)])
    kept = glb.read(tmp_path / "seven.glb")[0].body.weights
    largest = np.where(body.weights >= np.sort(body.weights, 1)[:, -4:-3], body.weights, 0)
    assert ((kept > 0).sum(1) == 4).all()
    np.testing.assert_allclose(kept, largest / largest.sum(1, keepdims=True), atol=2 / 65535)


def test_body_of_one_joint(tmp_path: Path):
    vertices, faces = skinned.ball()
    ones = np.ones((len(vertices), 1), np.float32)
    motion = skinned.dance(Body("ball", ("ball",), (-1,), np.zeros((1, 3), np.float32), vertices, faces, ones), 1)
    motion = dataclasses.replace(motion, contacts=None)
    glb.write(tmp_path / "ball.glb", [motion])
    (found,) = glb.read(tmp_path / "ball.glb")
    assert found.contacts is None and found.body.weights.tolist() == ones.tolist() and len(found.root) == 1


def test_what_is_written_is_read(motion: BodyMotion, tmp_path: Path):
    path = tmp_path / "zwei Tänze ✓.glb"
    other = skinned.dance(skinned.body(seed=5), 7, 12.5, seed=3, name="other")
    glb.write(path, [motion, other, dataclasses.replace(motion, name="again")])
    found = glb.read(path)
    assert [clip.name for clip in found] == ["dance", "other", "again"]
    for ours, theirs in zip([motion, other, motion], found, strict=True):
        assert (theirs.fps, theirs.text) == (ours.fps, ours.text)
        assert (theirs.body.joints, theirs.body.parents) == (ours.body.joints, ours.body.parents)
        for name in ("rest", "vertices", "faces"):
            np.testing.assert_array_equal(getattr(theirs.body, name), getattr(ours.body, name))
        np.testing.assert_allclose(theirs.body.weights, ours.body.weights, atol=1 / 65535)
        np.testing.assert_allclose(theirs.rotations, ours.rotations, atol=1e-6)
        np.testing.assert_array_equal(theirs.root, ours.root)
        np.testing.assert_array_equal(theirs.contacts, ours.contacts)
    document, binary = split(path.read_bytes())
    np.testing.assert_allclose(shown(document, binary, 6, 1), vertices_of(other)[6], atol=2e-5)
    first, _, third = (mesh["primitives"][0]["attributes"] for mesh in document["meshes"])
    assert first == third  # one body, written once


def test_joints_may_come_before_their_parents(motion: BodyMotion, tmp_path: Path):
    body = motion.body
    order = [0, 7, 6, 5, 4, 3, 2, 1]
    parents = tuple(-1 if body.parents[joint] < 0 else order.index(body.parents[joint]) for joint in order)
    mixed = dataclasses.replace(
        body, parents=parents, joints=tuple(body.joints[k] for k in order), rest=body.rest[order],
        weights=body.weights[:, order],
    )  # fmt: skip
    glb.write(tmp_path / "mixed.glb", [dataclasses.replace(motion, body=mixed, rotations=motion.rotations[:, order])])
    np.testing.assert_allclose(
        shown(*split((tmp_path / "mixed.glb").read_bytes()), 9), vertices_of(motion)[9], atol=2e-5
    )
    assert glb.read(tmp_path / "mixed.glb")[0].body.parents == parents


@pytest.mark.parametrize(("rows", "joints"), [(258, 2), (9, 300)])
def test_wide_numbers_where_they_are_needed(tmp_path: Path, rows: int, joints: int):
    """More than 65535 vertices, more than 256 joints."""
    vertices, faces = skinned.ball(rows, rows)
    rest = np.linspace((0, 0, 0), (0, 1, 0), joints, dtype=np.float32)
    weights = np.zeros((len(vertices), joints), np.float32)
    weights[np.arange(len(vertices)), (joints - 1 - np.arange(len(vertices))) % joints] = 1
    names, parents = tuple(f"j{k}" for k in range(joints)), tuple(range(-1, joints - 1))
    glb.write(tmp_path / "wide.glb", [skinned.dance(Body("snake", names, parents, rest, vertices, faces, weights), 2)])
    found = glb.read(tmp_path / "wide.glb")[0].body
    np.testing.assert_array_equal(found.faces, faces)
    np.testing.assert_array_equal(found.weights, weights)
    assert len(vertices) > 65535 or joints > 256


def test_free_body_is_small(tmp_path: Path):
    from body.models import load_body

    motion = skinned.dance(load_body("free").shaped(), 196)
    glb.write(tmp_path / "free.glb", [motion])
    assert (tmp_path / "free.glb").stat().st_size < 1_000_000
    found = vertices_of(glb.read(tmp_path / "free.glb")[0])
    assert np.linalg.norm(found - vertices_of(motion), axis=-1).max() < 1e-4


def test_what_cannot_be_written_is_refused(motion: BodyMotion, tmp_path: Path):
    root = motion.root.copy()
    root[3, 1] = np.nan
    bare = dataclasses.replace(motion.body, faces=np.zeros((0, 3), int))
    twins = dataclasses.replace(motion.body, parents=(-1, -1, 1, 1, 0, 0, 4, 1))
    for error, motions in (
        (UsageError, []),
        (NumericError, [motion, dataclasses.replace(motion, root=root)]),
        (DataError, [dataclasses.replace(motion, body=bare)]),
        (DataError, [dataclasses.replace(motion, body=twins)]),
        (DataError, [dataclasses.replace(motion, fps=0.0)]),
    ):
        with pytest.raises(error, match="no.glb"):
            glb.write(tmp_path / "no.glb", motions)
    assert list(tmp_path.iterdir()) == []


def test_broken_files_are_refused(content: bytes, tmp_path: Path):
    with pytest.raises(MissingFileError):
        glb.read(tmp_path / "nothing.glb")
    path = tmp_path / "broken.glb"
    for size in (0, 11, 19, 400, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match="broken.glb"):
            glb.read(path)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("animations 0 extras fps", 30.0),
        ("animations 0 extras frames", 1e999),
        ("animations 0 channels 3 target node", 5),
        ("animations 0 samplers 3 output", 0),
        ("accessors 0 count", 10**12),
        ("accessors 0 max 1", 2.0),
        ("accessors 0 bufferView", -1),
        ("accessors 0 byteOffset", 4),
        ("accessors 1 componentType", 5123),
        ("accessors 3 normalized", False),
        ("bufferViews 2 byteOffset", 10**6),
        ("nodes 4 translation 0", 0.3),
        ("nodes 4 children", [6, 0]),
        ("nodes 4 children", [4]),
        ("nodes 1 children", [2, 3, 7, 6]),
        ("nodes 4 rotation", [0, 0, 0, 1]),
        ("nodes 8 translation", [0, 0.1, 0]),
        ("skins 0 joints", [0, 1, 2]),
        ("skins", {}),
        ("nodes", "x"),
    ],
)
def test_contradictions_are_refused(content: bytes, tmp_path: Path, keys: str, value: object):
    document, binary = split(content)
    path = tmp_path / "broken.glb"
    path.write_bytes(joined(document, binary))
    assert len(glb.read(path)) == 1
    holder, (*way, last) = document, [int(key) if key.isdigit() else key for key in keys.split()]
    for key in way:
        holder = holder[key]
    holder[last] = value
    path.write_bytes(joined(document, binary))
    with pytest.raises(DataError, match="broken.glb"):
        glb.read(path)


def test_numbers_that_are_no_rotation_are_refused(content: bytes, tmp_path: Path):
    document, binary = split(content)
    accessor = document["accessors"][document["animations"][0]["samplers"][3]["output"]]
    start = document["bufferViews"][accessor["bufferView"]]["byteOffset"]
    for value in (1.5, np.nan, 3e38):
        spoilt = bytearray(binary)
        struct.pack_into("<f", spoilt, start + 8, value)
        (tmp_path / "broken.glb").write_bytes(joined(document, bytes(spoilt)))
        with pytest.raises(DataError, match="broken.glb"):
            glb.read(tmp_path / "broken.glb")


def joined(document: dict, binary: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    size = 28 + len(text) + len(binary)
    return b"".join([struct.pack("<4sII", b"glTF", 2, size), struct.pack("<I4s", len(text), b"JSON"), text,
                     struct.pack("<I4s", len(binary), b"BIN\0"), binary])  # fmt: skip


def test_any_flipped_byte_is_read_or_refused(content: bytes, tmp_path: Path):
    path = tmp_path / "flipped.glb"
    draw = np.random.default_rng(0)
    head = 20 + struct.unpack_from("<I", content, 12)[0]
    refused = 0
    for place in [*draw.integers(0, head, 150), *draw.integers(head, len(content), 50)]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.integers(8)
        path.write_bytes(flipped)
        try:
            glb.read(path)
        except DataError:
            refused += 1
    assert refused > 80
