"""Characters made up for the tests of retargeting, as programs export them, and a reader of theirs that shares no code.

All stand on y = 0. The axes of their joints are turned each in its own way; files hold a mesh (a tetrahedron on every
joint, and soles), a material with a picture and a clip of their own.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.geometry.rest import rest_joints
from utils.geometry.skeleton import SKELETONS

SMPL24 = SKELETONS["smpl24"]
HIPS = 0.9
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8dfe0f01f00070002bf2bd7"
    "c7e20000000049454e44ae426082"
)  # one pixel


@dataclass(frozen=True)
class Joint:
    """A joint of a character: where it stands, and what it is ("" for what no motion knows)."""

    name: str
    parent: int
    place: tuple[float, float, float]
    role: str = ""


@dataclass(frozen=True)
class Style:
    """How a program makes characters: names by role, `*` for the side, and what they look like."""

    sides: tuple[str, str]
    trunk: dict[str, str]
    limbs: dict[str, str]
    spine: tuple[str, ...]
    neck: tuple[str, ...] = ()
    fingers: str = ""  # `*` the side, `#` the finger, `%` the number of the joint
    twists: str = ""  # bones that hang aside on upper arm and forearm
    halves: str = ""  # what the second half of a limb's bone has behind its name
    root: str = ""
    down: float = 0.0  # degrees by which arms hang under a T
    arms: float = 1.0
    armature: float = 1.0  # the scale of the node above
    facing: float = 0.0  # degrees by which the node above is turned about y
    humanoid: bool = False


_MIXAMO = "mixamorig:"
STYLES = {
    "mixamo": Style(
        ("Left", "Right"),
        {"pelvis": _MIXAMO + "Hips", "head": _MIXAMO + "Head"},
        {
            role: _MIXAMO + name
            for role, name in zip(
                "hip knee ankle foot collar shoulder elbow wrist".split(),
                "*UpLeg *Leg *Foot *ToeBase *Shoulder *Arm *ForeArm *Hand".split(),
                strict=True,
            )
        },
        tuple(_MIXAMO + name for name in ("Spine", "Spine1", "Spine2")),
        (_MIXAMO + "Neck",),
        fingers=_MIXAMO + "*Hand#%",
        armature=0.01,
    ),
    "unreal": Style(
        ("l", "r"),
        {"pelvis": "pelvis", "head": "head"},
        dict(
            zip(
                "hip knee ankle foot collar shoulder elbow wrist".split(),
                "thigh_* calf_* foot_* ball_* clavicle_* upperarm_* lowerarm_* hand_*".split(),
                strict=True,
            )
        ),
        tuple(f"spine_0{number}" for number in range(1, 6)),
        ("neck_01", "neck_02"),
        fingers="#_0%_*",
        twists="*",
        root="root",
        down=45.0,
    ),
    "vrm": Style(
        ("L", "R"),
        {"pelvis": "J_Bip_C_Hips", "head": "J_Bip_C_Head"},
        dict(
            zip(
                "hip knee ankle foot collar shoulder elbow wrist".split(),
                "J_Bip_*_UpperLeg J_Bip_*_LowerLeg J_Bip_*_Foot J_Bip_*_ToeBase J_Bip_*_Shoulder J_Bip_*_UpperArm "
                "J_Bip_*_LowerArm J_Bip_*_Hand".split(),
                strict=True,
            )
        ),
        ("J_Bip_C_Spine", "J_Bip_C_Chest"),
        ("J_Bip_C_Neck",),
        facing=180.0,
        humanoid=True,
    ),
    "rigify": Style(
        ("L", "R"),
        {"pelvis": "DEF-spine", "head": "DEF-spine.006"},
        dict(
            zip(
                "hip knee ankle foot collar shoulder elbow wrist".split(),
                "DEF-thigh.* DEF-shin.* DEF-foot.* DEF-toe.* DEF-shoulder.* DEF-upper_arm.* DEF-forearm.* "
                "DEF-hand.*".split(),
                strict=True,
            )
        ),
        ("DEF-spine.001", "DEF-spine.002", "DEF-spine.003"),
        ("DEF-spine.004", "DEF-spine.005"),
        halves=".001",
    ),
    "nameless": Style(  # an A, no collars, neck or toes, one bone in the spine: known by its shape alone
        ("1", "2"),
        {"pelvis": "bone7", "head": "bone8"},
        {"hip": "b*3", "knee": "b*4", "ankle": "b*5", "foot": "b*6", "shoulder": "b*9", "elbow": "b*8", "wrist": "b*7"},
        ("bone9",),
        down=35.0,
    ),
    "long arms": Style(
        ("Left", "Right"),
        {"pelvis": "Hips", "head": "Head"},
        dict(
            zip(
                "hip knee ankle foot collar shoulder elbow wrist".split(),
                "*UpperLeg *LowerLeg *Foot *Toes *Shoulder *UpperArm *LowerArm *Hand".split(),
                strict=True,
            )
        ),
        ("Spine", "Chest", "UpperChest"),
        ("Neck",),
        arms=1.5,
        down=80.0,
    ),
}


def joints_of(style: Style) -> list[Joint]:
    """The joints of a character, parents first."""
    rest = dict(zip(SMPL24.joints, rest_joints().double().numpy() + (0, HIPS, 0), strict=True))
    made: list[Joint] = []
    number: dict[str, int] = {}

    def enter(name: str, parent: str, place: np.ndarray, role: str = "") -> str:
        number[name] = len(made)
        made.append(Joint(name, number.get(parent, -1), tuple(float(value) for value in place), role))
        return name

    top = enter(style.root, "", np.zeros(3)) if style.root else ""
    pelvis = enter(style.trunk["pelvis"], top, rest["pelvis"], "pelvis")
    last, ways = pelvis, np.linspace(0, 1, len(style.spine) + 1)[1:]
    for name, share in zip(style.spine, ways, strict=True):
        last = enter(name, last, (1 - share) * rest["pelvis"] + share * (rest["spine3"] + (0, 0.1, 0)), "spine")
    chest = last
    for count, name in enumerate(style.neck):
        place = rest["neck"] + count / len(style.neck) * (rest["head"] - rest["neck"])
        last = enter(name, last, place, "neck")
    enter(style.trunk["head"], last, rest["head"], "head")
    enter(style.trunk["head"] + "_end", style.trunk["head"], rest["head"] + (0, 0.2, 0))
    for side, word, sign in (("left", style.sides[0], 1.0), ("right", style.sides[1], -1.0)):
        _leg(style, side, word, pelvis, rest, enter)
        _arm(style, side, word, sign, chest, rest, enter)
    return made


def _leg(style, side, word, pelvis, rest, enter) -> None:
    last = pelvis
    names = [role for role in ("hip", "knee", "ankle", "foot") if role in style.limbs]
    for role, below in zip(names, [*names[1:], ""], strict=True):
        name, place = style.limbs[role].replace("*", word), rest[f"{side}_{role}"]
        last = enter(name, last, place, f"{side}_{role}")
        if style.halves and role in ("hip", "knee"):
            last = enter(name + style.halves, last, (place + rest[f"{side}_{below}"]) / 2)


def _arm(style, side, word, sign, chest, rest, enter) -> None:
    start, angle = rest[f"{side}_shoulder"], -sign * np.radians(style.down)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])

    def hung(place: np.ndarray) -> np.ndarray:
        return start + turn @ (place - start) * style.arms

    last = chest
    if "collar" in style.limbs:
        last = enter(style.limbs["collar"].replace("*", word), last, rest[f"{side}_collar"], f"{side}_collar")
    for role, below in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand")):
        name, place, end = style.limbs[role].replace("*", word), rest[f"{side}_{role}"], rest[f"{side}_{below}"]
        last = above = enter(name, last, hung(place), f"{side}_{role}")
        if style.halves and role != "wrist":
            last = enter(name + style.halves, last, hung((place + end) / 2))
        if style.twists and role != "wrist":
            enter(name.replace(f"_{word}", f"_twist_01_{word}"), above, hung(place + 0.6 * (end - place)))
    wrist = last
    for count, finger in enumerate(FINGERS if style.fingers else ()):
        last, way = wrist, np.array([sign * (0.3 if finger == "thumb" else 1), 0, 0.8 if finger == "thumb" else 0])
        place = rest[f"{side}_wrist"] + (sign * (0.03 if count == 0 else 0.09), 0, 0.06 - 0.025 * count)
        for step in range(3):
            name = style.fingers.replace("*", word).replace("%", str(step + 1))
            name = name.replace("#", finger if style.fingers.startswith("#") else finger.capitalize())
            last = enter(name, last, hung(place + 0.03 * step * way), f"{side}_{finger}_{step}")
    if not style.fingers:
        enter(style.limbs["wrist"].replace("*", word) + "_end", wrist, hung(rest[f"{side}_hand"]))


def write(path: Path, style: Style, change=lambda document: None, seed: int = 0) -> list[Joint]:
    """Write a character as GLB; `change` may spoil its JSON first. Returns its joints."""
    joints = joints_of(style)
    chunks: list[bytes] = []
    document: dict = {
        "asset": {"version": "2.0", "generator": "tests"}, "scene": 0, "scenes": [{"nodes": [0, len(joints) + 1]}],
        "nodes": [], "bufferViews": [], "accessors": [], "materials": [{"name": "coat", "pbrMetallicRoughness": {
            "baseColorTexture": {"index": 0}}}], "textures": [{"source": 0}],
    }  # fmt: skip

    def view(content: bytes) -> int:
        start = sum(map(len, chunks))
        document["bufferViews"].append({"buffer": 0, "byteOffset": start, "byteLength": len(content)})
        chunks.append(content + bytes(-len(content) % 4))
        return len(document["bufferViews"]) - 1

    def add(values: np.ndarray, kind: str, bounds: bool = False) -> int:
        code = {"f": 5126, "H": 5123}[values.dtype.char]
        item = {"bufferView": view(values.tobytes()), "componentType": code, "count": len(values), "type": kind}
        if bounds:
            item |= {"min": np.atleast_1d(values.min(0)).tolist(), "max": np.atleast_1d(values.max(0)).tolist()}
        document["accessors"].append(item)
        return len(document["accessors"]) - 1

    places = np.array([joint.place for joint in joints])
    turns = [_random_turn(np.random.default_rng((seed, number))) for number in range(len(joints))]
    angle = np.radians(style.facing)
    outer = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    document["nodes"].append(
        {"name": "Armature", "children": [1], "scale": [style.armature] * 3, "rotation": _quaternion(outer)}
    )
    for number, joint in enumerate(joints):
        above = np.eye(3) if joint.parent < 0 else turns[joint.parent]
        start = np.zeros(3) if joint.parent < 0 else places[joint.parent]
        node = {
            "name": joint.name,
            "translation": (above.T @ (places[number] - start) / style.armature).tolist(),
            "rotation": _quaternion(above.T @ turns[number]),
        }
        if below := [other + 1 for other, one in enumerate(joints) if one.parent == number]:
            node["children"] = below
        document["nodes"].append(node)
    vertices, faces, owners = _flesh(joints, places)
    inverse = np.tile(np.eye(4), (len(joints), 1, 1))
    for number, turn in enumerate(turns):
        whole = np.eye(4)
        whole[:3, :3], whole[:3, 3] = outer @ turn * style.armature, outer @ places[number]
        inverse[number] = np.linalg.inv(whole)
    document["images"] = [{"mimeType": "image/png", "bufferView": view(PICTURE)}]
    attributes = {
        "POSITION": add((vertices @ outer.T).astype("<f4"), "VEC3", True),
        "JOINTS_0": add(np.pad(owners[:, None], ((0, 0), (0, 3))).astype("<u2"), "VEC4"),
        "WEIGHTS_0": add(np.pad(np.ones((len(owners), 1)), ((0, 0), (0, 3))).astype("<f4"), "VEC4"),
    }
    primitive = {"attributes": attributes, "indices": add(faces.reshape(-1).astype("<u2"), "SCALAR"), "material": 0}
    document["meshes"] = [{"name": "flesh", "primitives": [primitive]}]
    document["skins"] = [
        {
            "joints": list(range(1, len(joints) + 1)),
            "inverseBindMatrices": add(inverse.swapaxes(1, 2).reshape(-1, 16).astype("<f4"), "MAT4"),
        }
    ]
    document["nodes"].append({"name": "Body", "mesh": 0, "skin": 0})
    still = {"input": add(np.array([0, 1], "<f4"), "SCALAR", True)}
    still["output"] = add(np.array([document["nodes"][1]["rotation"]] * 2, "<f4"), "VEC4")
    document["animations"] = [
        {"name": "idle", "samplers": [still], "channels": [{"sampler": 0, "target": {"node": 1, "path": "rotation"}}]}
    ]
    if style.humanoid:
        document |= _vrm(joints)
    document["buffers"] = [{"byteLength": sum(map(len, chunks))}]
    change(document)
    pack(path, document, b"".join(chunks))
    return joints


def _vrm(joints: list[Joint]) -> dict:
    """What VRM says of a humanoid's bones."""
    words = {
        "pelvis": "hips", "head": "head", "collar": "Shoulder", "shoulder": "UpperArm", "elbow": "LowerArm",
        "wrist": "Hand", "hip": "UpperLeg", "knee": "LowerLeg", "ankle": "Foot", "foot": "Toes",
    }  # fmt: skip
    bones = {}
    for number, joint in enumerate(joints, 1):
        side, _, part = joint.role.rpartition("_")
        if part in words:
            bones[side + words[part]] = {"node": number}
    return {"extensionsUsed": ["VRMC_vrm"], "extensions": {"VRMC_vrm": {"humanoid": {"humanBones": bones}}}}


def _flesh(joints: list[Joint], places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces and owners: a tetrahedron on each joint of the body, and under each foot a sole on the floor."""
    corners = np.array([[-1, -1, -1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]]) * 0.015
    vertices = (places[:, None] + corners).reshape(-1, 3)
    vertices[:, 1] = np.maximum(vertices[:, 1], 0)
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    faces = (np.arange(len(joints))[:, None, None] * 4 + faces).reshape(-1, 3)
    owners = np.repeat(np.arange(len(joints)), 4)
    if not joints[0].role:  # a root bone
        vertices, faces, owners = vertices[4:], faces[4:] - 4, owners[4:]
    for number, joint in enumerate(joints):
        if joint.role.endswith(("_ankle", "_foot")):
            sole = np.array([[0, 0, -0.05], [0.03, 0, 0], [-0.03, 0, 0]]) * (1 if joint.role.endswith("_ankle") else -1)
            faces = np.concatenate([faces, [[len(vertices), len(vertices) + 1, len(vertices) + 2]]])
            vertices = np.concatenate([vertices, places[number] * (1, 0, 1) + sole])
            owners = np.concatenate([owners, [number] * 3])
    return vertices, faces, owners


def _random_turn(rng: np.random.Generator) -> np.ndarray:
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return turn * np.sign(np.linalg.det(turn))


def _quaternion(matrix: np.ndarray) -> list[float]:
    """x, y, z, w of a rotation, as the eigenvector of K (Bar-Itzhack 2000)."""
    m = matrix
    k = np.array([
        [m[0, 0] - m[1, 1] - m[2, 2], m[1, 0] + m[0, 1], m[2, 0] + m[0, 2], m[2, 1] - m[1, 2]],
        [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], m[2, 1] + m[1, 2], m[0, 2] - m[2, 0]],
        [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
        [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m.trace()],
    ]) / 3  # fmt: skip
    return np.linalg.eigh(k)[1][:, -1].tolist()


def pack(path: Path, document: dict, binary: bytes) -> None:
    """Write a GLB file."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<5I", 0x46546C67, 2, 28 + len(text) + len(binary), len(text), 0x4E4F534A)
    path.write_bytes(head + text + struct.pack("<2I", len(binary), 0x004E4942) + binary)


def unpack(path: Path) -> tuple[dict, bytes]:
    """JSON and bytes of a GLB file."""
    content = path.read_bytes()
    length = struct.unpack_from("<I", content, 12)[0]
    return json.loads(content[20 : 20 + length]), content[28 + length :]


def views(document: dict, binary: bytes) -> list[bytes]:
    """The bytes of each buffer view."""
    return [
        binary[view.get("byteOffset", 0) : view.get("byteOffset", 0) + view["byteLength"]]
        for view in document["bufferViews"]
    ]


def numbers(document: dict, binary: bytes, index: int) -> np.ndarray:
    """The floats of an accessor [N, width]."""
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    return np.frombuffer(binary, "<f4", accessor["count"] * width, start).reshape(-1, width).astype(np.float64)


def played(path: Path, name: str) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Seconds [T], names of nodes, and their matrices [T, N, 4, 4] in the world while an animation plays."""
    document, binary = unpack(path)
    (animation,) = [item for item in document["animations"] if item["name"] == name]
    clocks = [numbers(document, binary, sampler["input"])[:, 0] for sampler in animation["samplers"]]
    seconds = max(clocks, key=len)
    tracks = {}
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        clock = numbers(document, binary, sampler["input"])[:, 0]
        values = numbers(document, binary, sampler["output"])
        if len(clock) < len(seconds):
            assert np.abs(values - values[0]).max() < 1e-6
            values = np.tile(values[:1], (len(seconds), 1))
        tracks[channel["target"]["node"], channel["target"]["path"]] = values
    parents = {child: number for number, node in enumerate(document["nodes"]) for child in node.get("children", ())}
    world: dict[int, np.ndarray] = {}

    def placed(number: int) -> np.ndarray:
        if number not in world:
            node, local = document["nodes"][number], np.zeros((len(seconds), 4, 4))
            x, y, z, w = np.asarray(tracks.get((number, "rotation"), [node.get("rotation", [0, 0, 0, 1])])).T
            rows = [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
            local[:, :3, :3] = np.array(rows).transpose(2, 0, 1) * node.get("scale", [1, 1, 1])
            local[:, :3, 3] = tracks.get((number, "translation"), node.get("translation", [0, 0, 0]))
            local[:, 3, 3] = 1
            world[number] = placed(parents[number]) @ local if number in parents else local
        return world[number]

    matrices = np.stack([placed(number) for number in range(len(document["nodes"]))], 1)
    return seconds, [node.get("name", "") for node in document["nodes"]], matrices
