"""glTF documents of others: what accessors, nodes and skins say, what is written back, and what lies."""

import base64
import json
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.gltf_files import Made, matrix, pack, turn, unpack
from tests.utils.test_gltf import IDENTITY, arm
from utils.formats import gltf
from utils.formats.gltf_document import read_document, told_apart, write_document
from utils.run.errors import DataError

ROW = [{"name": "a"}]


def test_what_is_added_leaves_all_else_as_it_was(shared: Path, tmp_path: Path):
    """A file with mesh, texture and extensions: its bytes come first, its JSON is the same but for what was added."""
    path = shared / "data" / "more" / "glb" / "bird-animations.glb"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    document = read_document(path)
    clock = document.add(np.arange(3, dtype="<f4"), bounds=True)
    values = document.add(np.ones((3, 3), "<f4"))
    channel = {"sampler": 0, "target": {"node": 0, "path": "translation"}}
    document.append("animations", {"channels": [channel], "samplers": [{"input": clock, "output": values}]})
    write_document(tmp_path / "a.glb", document)
    (old, old_bytes), (new, new_bytes) = unpack(path.read_bytes()), unpack((tmp_path / "a.glb").read_bytes())
    assert new_bytes[: len(old_bytes)] == old_bytes and len(new_bytes) == len(old_bytes) + 12 + 36
    for kind in ("animations", "accessors", "bufferViews"):
        assert new[kind][: len(old[kind])] == old[kind]
    added = {"animations", "accessors", "bufferViews", "buffers"}
    assert {key: value for key, value in new.items() if key not in added} == {
        key: value for key, value in old.items() if key not in added
    }
    found = read_document(tmp_path / "a.glb")
    assert found.clips[-1].name == "animation_5"
    (track,) = found.tracks(found.clips[-1])
    assert track.times.tolist() == [0, 1, 2] and track.values.tolist() == [[1, 1, 1]] * 3


def test_bytes_are_added_at_a_multiple_of_four(tmp_path: Path):
    made = Made(ROW)
    made.array([1, 2, 3], "u1")
    made.binary = made.binary[:3]
    document = read_document(
        pack(tmp_path / "a.glb", json.dumps(made.document | {"buffers": [{"byteLength": 3}]}).encode(), b"\1\2\3")
    )
    index = document.add(np.ones(2, "<f4"))
    assert document.document["bufferViews"][-1]["byteOffset"] == 4
    assert document.accessor(0).tolist() == [1, 2, 3] and document.accessor(index).tolist() == [1, 1]


def test_values_of_accessors(tmp_path: Path):
    """Strides, offsets, sparse values over others and over nothing, integers that stand for fractions, matrices."""
    made = Made(ROW)
    mixed = made.array(np.arange(12).reshape(4, 3))
    made.document["bufferViews"][-1]["byteStride"] = 12
    made.document["accessors"].append(
        {"bufferView": 0, "byteOffset": 4, "componentType": 5126, "count": 4, "type": "SCALAR"}
    )
    places, news = made.array([1, 3], "u2"), made.array([[7, 7, 7], [8, 8, 8]])
    views = [made.document["accessors"][index]["bufferView"] for index in (places, news)]
    indices = {"bufferView": views[0], "componentType": 5123}
    sparse = {"count": 2, "indices": indices, "values": {"bufferView": views[1]}}
    made.document["accessors"] += [
        made.document["accessors"][mixed] | {"sparse": sparse},
        {"componentType": 5126, "count": 5, "type": "VEC3", "sparse": sparse},
    ]
    made.array([0, 127, 255], "u1", normalized=True)
    made.array([-128, -127, 0], "i1", normalized=True)
    made.array(np.arange(16).reshape(1, 4, 4))
    document = read_document(made.save(tmp_path / "a.glb"))
    found = [document.accessor(index) for index in range(len(made.document["accessors"]))]
    assert found[1].tolist() == [1, 4, 7, 10]
    assert found[4].tolist() == [[0, 1, 2], [7, 7, 7], [6, 7, 8], [8, 8, 8]]
    assert found[5].tolist() == [[0] * 3, [7] * 3, [0] * 3, [8] * 3, [0] * 3]
    np.testing.assert_allclose(found[6], [0, 127 / 255, 1])
    np.testing.assert_allclose(found[7], [-1, -1, 0])
    assert found[8].tolist() == np.arange(16).reshape(1, 4, 4).tolist()
    with pytest.raises(ValueError, match="read-only"):
        found[1][0] = 3


def test_nodes_and_skins(tmp_path: Path):
    above = matrix((1, 2, 3), turn("Y", 90), (2, 2, -2))
    nodes = [
        {"matrix": above.T.ravel().tolist(), "children": [1, 2]},
        {"name": "a", "translation": [1, 0, 0], "rotation": turn("X", 90), "scale": [1, 2, 3], "mesh": 0, "skin": 0},
        {"name": "a"},
    ]
    made = Made(nodes, meshes=[{"primitives": []}]).skin([1, 2], [matrix((0, -1, 0)), np.eye(4)], name="s")
    document = read_document(made.save(tmp_path / "a.glb"))
    root, one, other = document.nodes
    assert [node.name for node in document.nodes] == ["node_0", "a", "a"] and told_apart(["a", "b", "a"]) == [
        "a",
        "b",
        "a_2",
    ]
    assert (root.parent, one.parent, other.parent, root.children) == (-1, 0, 0, (1, 2))
    assert (one.mesh, one.skin, other.mesh, other.skin) == (0, 0, None, None)
    np.testing.assert_allclose(root.local, above)
    np.testing.assert_allclose(matrix(root.translation, root.rotation[[1, 2, 3, 0]], root.scale), above, atol=1e-12)
    np.testing.assert_allclose(one.world, above @ matrix((1, 0, 0), turn("X", 90), (1, 2, 3)), atol=1e-12)
    (skin,) = document.skins
    assert skin.name == "s" and skin.joints == (1, 2) and skin.inverse_bind[0, 1, 3] == -1


def beside(made: Made, folder: Path, *uris: str) -> Path:
    """A .gltf whose buffer is cut into as many parts as there are URIs, each view in the part it begins in."""
    document = made.document | {"buffers": []}
    for number, view in enumerate(document["bufferViews"]):
        part = made.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        uri = uris[min(number, len(uris) - 1)]
        if uri == "data:":
            uri = "data:application/octet-stream;base64," + base64.b64encode(part).decode()
        else:
            (folder / uri.replace("%20", " ")).write_bytes(part)
        document["buffers"].append({"byteLength": len(part), "uri": uri})
        view |= {"buffer": number, "byteOffset": 0}
    (folder / "a.gltf").write_text(json.dumps(document))
    return folder / "a.gltf"


def swinging() -> Made:
    return arm().clip("a").track(1, "rotation", [0, 0.5, 1], [turn("Z", angle) for angle in (0, 40, 90)])


def test_gltf_with_files_and_data_uris(tmp_path: Path):
    """As motion, and written again as one GLB without files beside it, its picture inside."""
    (packed,) = gltf.read(swinging().save(tmp_path / "a.glb"))
    made = swinging()
    made.document["images"] = [{"uri": "skin.png", "name": "skin"}, {"uri": "../other.png"}, {"uri": "gone.png"}]
    (tmp_path / "skin.png").write_bytes(b"\x89PNG?")
    path = beside(made, tmp_path, "the%20times.bin", "data:")
    (found,) = gltf.read(path)
    np.testing.assert_array_equal(found.positions, packed.positions)
    write_document(tmp_path / "b.glb", read_document(path))
    (again,) = gltf.read(tmp_path / "b.glb")
    np.testing.assert_array_equal(again.positions, packed.positions)
    document, binary = unpack((tmp_path / "b.glb").read_bytes())
    assert document["buffers"] == [{"byteLength": len(binary)}]
    inside, *others = document["images"]
    view = document["bufferViews"][inside.pop("bufferView")]
    assert inside == {"name": "skin", "mimeType": "image/png"} and others == made.document["images"][1:]
    assert binary[view["byteOffset"] :][: view["byteLength"]] == b"\x89PNG?"


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], Path]:
    """A swinging arm with a skin, its JSON changed."""

    def write(folder: Path) -> Path:
        made = swinging().skin([1, 2, 3], IDENTITY)
        change(made.document)
        return made.save(folder / "a.glb")

    return write


def files(uri: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        beside(swinging(), folder, "data:")
        document = json.loads((folder / "a.gltf").read_text())
        document["buffers"][0]["uri"] = uri
        (folder / "a.gltf").write_text(json.dumps(document))
        return folder / "a.gltf"

    return write


def bytes_of(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "a.glb").write_bytes(content)
        return folder / "a.glb"

    return write


def values_of(values: Any, times: Any = (0, 1)) -> Callable[[Path], Path]:
    return lambda folder: arm().clip("a").track(1, "rotation", times, values).save(folder / "a.glb")


def far_sparse(document: dict[str, Any]) -> None:
    index = {"bufferView": 0, "componentType": 5125}
    document["accessors"][1]["sparse"] = {"count": 10**9, "indices": index, "values": {"bufferView": 0}}


def meshopt(document: dict[str, Any]) -> None:
    document["bufferViews"][0]["extensions"] = {"EXT_meshopt_compression": {"buffer": 0}}


def requires(name: str) -> Callable[[Path], Path]:
    return changed(lambda document: document.update(extensionsRequired=[name]))


def first(kind: str, **more: Any) -> Callable[[Path], Path]:
    """The first accessor or buffer view changed; what is None is taken out."""

    def change(document: dict[str, Any]) -> None:
        item = document[kind][0] | more
        document[kind][0] = {key: value for key, value in item.items() if value is not None}

    return changed(change)


def clip(**more: Any) -> Callable[[Path], Path]:
    return changed(lambda document: document["animations"][0].update(more))


def node(number: int, **more: Any) -> Callable[[Path], Path]:
    return changed(lambda document: document["nodes"][number].update(more))


def channel(**target: Any) -> list[dict[str, Any]]:
    return [{"sampler": 0, "target": {"node": 1, "path": "rotation"} | target}]


STILL = [turn("Z", 0)] * 2
LIES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no glTF": (bytes_of(b"what is this"), "Expecting value"),
    "empty": (bytes_of(b""), "Expecting value"),
    "glTF 1.0": (changed(lambda d: d.update(asset={"version": "1.0"})), "version 1.0; glTF 2.0 is read"),
    "no version": (changed(lambda d: d.pop("asset")), "glTF 2.0 is read"),
    "length": (bytes_of(struct.pack("<4sII", b"glTF", 2, 10**9) + bytes(40)), "1000000000 bytes are announced"),
    "chunk": (bytes_of(struct.pack("<4sIIII", b"glTF", 2, 24, 2**31, 0x4E4F534A) + bytes(4)), "longer than the file"),
    "circle": (node(3, children=[0]), "go in a circle"),
    "itself": (node(0, children=[0, 1]), "go in a circle"),
    "two parents": (node(0, children=[1, 3]), "has two parents"),
    "child": (node(0, children=[99]), "are not numbers of nodes"),
    "joint": (changed(lambda d: d["skins"][0].update(joints=[1, 2, -1])), "are not numbers of nodes"),
    "joint twice": (changed(lambda d: d["skins"][0].update(joints=[1, 1])), "are not one node each"),
    "few matrices": (changed(lambda d: d["skins"][0].update(joints=[1, 2, 3, 0])), "3 inverse bind matrices for 4"),
    "count": (first("accessors", count=10**9), "reaches beyond"),
    "nothing": (first("accessors", count=0), "reaches beyond"),
    "zeros": (first("accessors", count=10**9, bufferView=None), "announces 1000000000 values"),
    "offset": (first("accessors", byteOffset=10**12), "reaches beyond"),
    "stride": (first("bufferViews", byteStride=10**9), "reaches beyond"),
    "overlap": (first("bufferViews", byteStride=0), "overlap"),
    "view": (first("bufferViews", byteLength=10**9), "reaches beyond its buffer"),
    "no buffer": (first("bufferViews", buffer=3), "lies in no buffer"),
    "sparse": (changed(far_sparse), "replaces 1000000000 of 3"),
    "fraction": (first("accessors", count=2.5), "is 2.5"),
    "kind": (first("accessors", type="MAT3"), "MAT3 of 5126, which is not read"),
    "NaN": (node(1, translation=[0, float("nan"), 0]), "is not finite"),
    "huge": (node(1, translation=[0, 10**400, 0]), "is not finite|too large"),
    "words": (node(1, rotation=list("abcd")), "is not 4 numbers"),
    "no turn": (node(1, rotation=[0] * 4), "no quaternion"),
    "nodes": (changed(lambda d: d.update(nodes="many")), "are no list of objects"),
    "no such node": (clip(channels=channel(node=77)), "moves node 77"),
    "twice": (clip(channels=channel() * 2), "has the rotation of upper twice"),
    "another's values": (clip(channels=channel(path="scale")), r"has values \[3, 4\] for 3 keys"),
    "sampler": (clip(samplers=[]), "has no sampler"),
    "way": (clip(samplers=[{"input": 0, "output": 1, "interpolation": "BEZIER"}]), "interpolation of a, upper"),
    "backwards": (values_of(STILL, (1, 0)), "are not ascending seconds"),
    "before": (values_of(STILL, (-1, 0)), "are not ascending seconds"),
    "no time": (values_of(STILL, (0, float("nan"))), "NaN or infinity"),
    "keys": (values_of(STILL * 2), r"has values \[4, 4\] for 2 keys"),
    "zero turn": (values_of(np.zeros((2, 4))), "no quaternions of length 1"),
    "infinite": (values_of(np.full((2, 4), np.inf)), "NaN or infinity"),
    "years": (values_of([turn("Z", 0), turn("Z", 9)], (0, 1e9)), "'a' lasts 1e.09 s and has 2 keys in all"),
    "Draco": (requires("KHR_draco_mesh_compression"), r"Draco \(KHR_draco.*\); undo it with: gltf-transform copy in"),
    "meshopt": (requires("EXT_meshopt_compression"), r"meshopt \(EXT_meshopt.*\); undo it with: gltf-transform copy"),
    "meshopt, not required": (changed(meshopt), "meshopt .*; undo it with: gltf-transform copy"),
    "unknown": (requires("ACME_secret"), "requires the extension ACME_secret, which is not read"),
    "no file": (files("gone.bin"), "gone.bin, which holds buffers.0., is not there: keep it beside the file"),
    "elsewhere": (files("/etc/passwd"), "are read from beside the file only"),
    "above": (files("../a.bin"), "are read from beside the file only"),
    "the web": (files("https://example.com/a.bin"), "are read from beside the file only"),
    "a folder": (files("."), "is not there"),
    "base64": (files("data:;base64,@@@@"), "is no base64"),
    "short": (files("data:;base64,AAAA"), "announces 12 bytes and 3 are there"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_lies(tmp_path: Path, name: str):
    write, said = LIES[name]
    path, begin = write(tmp_path), time.perf_counter()
    with pytest.raises(DataError, match=said) as refused:
        gltf.read(path)
    assert str(path.parent) in str(refused.value) and len(str(refused.value)) <= 300
    assert time.perf_counter() - begin < 2


def test_more_than_memory_holds_is_refused_before_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gltf, "_MOST", 100)
    made = swinging().clip("b").track(1, "rotation", [0, 0.5], STILL)
    path = made.save(tmp_path / "a.glb")
    with pytest.raises(
        DataError, match="114 joints times frames, .* its longest clip is 'a' with 25 frames, 24 a second"
    ):
        gltf.read(path)
    assert len(gltf.read(path, clip="b")[0].positions) == 13


def test_what_textures_and_materials_require_is_no_matter(tmp_path: Path):
    names = ["KHR_texture_basisu", "KHR_materials_unlit", "KHR_mesh_quantization", "VRMC_vrm", "KHR_node_visibility"]
    (found,) = gltf.read(changed(lambda document: document.update(extensionsRequired=names))(tmp_path))
    assert len(found.positions) == 25


def test_deep_trees_and_many_of_them(tmp_path: Path):
    """A chain of 2,000 joints, the last a metre on for each, and 2,000 skins on it."""
    nodes = [{"children": [k + 1], "translation": [0, 1, 0]} for k in range(1999)] + [{}]
    made = Made(nodes).skin(list(range(2000)), np.tile(np.eye(4), (2000, 1, 1)))
    made.document["skins"] += [{"joints": [k]} for k in range(2000)]
    made.clip("a").track(0, "rotation", [0, 1 / 24], [turn("Z", 0), turn("Z", 90)])
    path, begin = made.save(tmp_path / "a.glb"), time.perf_counter()
    (found,) = gltf.read(path)
    assert found.joints[7] == "node_7"
    np.testing.assert_allclose(found.positions[:, -1], [[0, 1999, 0], [-1998, 1, 0]], atol=1e-2)
    assert time.perf_counter() - begin < 4
