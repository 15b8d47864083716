"""Motion on characters of all kinds: which joint is which, limbs that point as they did, contacts, files left whole."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from body.from_joints import make_body
from body.models import load_body
from body.motion.foot_lock import lock_feet
from body.options import BodyOptions
from body.retarget import character as characters
from body.retarget.contacts import with_contacts, with_hands
from body.retarget.figure import make_figure
from body.retarget.names import Undecided
from body.retarget.transfer import in_rig, transferred
from data_loaders.points.toy import body_motion
from tests import rigs
from tests.bodies import small_body, walking
from utils.formats import bvh, glb
from utils.geometry.body import BodyMotion, joints_of, on_floor, vertices_of
from utils.geometry.contacts import carrying
from utils.geometry.motion import Motion
from utils.geometry.rotations import about_axis, axis_angle_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, UsageError

SMPL22 = SKELETONS["smpl22"]
LIMBS = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")
BONES = [
    (f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for limb in LIMBS
    for start, end in zip(limb[:-1], limb[1:], strict=True)
]


@pytest.fixture(scope="module")
def walk() -> BodyMotion:
    """A person of the free body who walks."""
    clips = (body_motion(20.0, 0, k)[0] for k in range(50))
    positions = next(clip for clip in clips if 1.4 < np.linalg.norm(clip[40, 0] - clip[0, 0]) < 3.4)  # in 2 s
    clip = Motion(positions[:80].astype(np.float32), 20.0, SMPL22.joints, SMPL22.parents, name="walk")
    return make_body(clip, BodyOptions(), load_body("free"))[0]


@pytest.fixture(params=rigs.STYLES)
def made(request, tmp_path: Path) -> tuple[rigs.Style, Path, list[rigs.Joint]]:
    path = tmp_path / f"{request.param}.glb"
    return rigs.STYLES[request.param], path, rigs.write(path, rigs.STYLES[request.param])


def roles_of(joints: list[rigs.Joint]) -> dict[str, str]:
    found = {joint.role: joint.name for joint in joints if joint.role not in ("", "spine", "neck")}
    return {role: name for role, name in found.items() if not role[-1].isdigit()}


def directions(points: dict[str, np.ndarray]) -> np.ndarray:
    """Unit vectors [T, 8, 3] along the limbs."""
    bones = np.stack([points[end] - points[start] for start, end in BONES], -2)
    return bones / np.linalg.norm(bones, axis=-1, keepdims=True)


def angles(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Degrees between unit vectors."""
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(one - other, axis=-1) / 2, 0, 1)))


def points_of(motion: BodyMotion) -> dict[str, np.ndarray]:
    return {name: joints_of(motion)[0][:, joint] for joint, name in enumerate(motion.body.joints)}


def in_file(path: Path, name: str, joints: list[rigs.Joint], turn: float = 0.0) -> dict[str, np.ndarray]:
    """Where the joints of the roles are [T, 3] as the other reader has it, seen by someone the figure's way round."""
    _, names, world = rigs.played(path, name)
    angle = np.radians(-turn)
    back = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return {role: world[:, names.index(joint), :3, 3] @ back.T for role, joint in roles_of(joints).items()}


def test_which_joint_is_which(made):
    style, path, joints = made
    rig, roles = (character := characters.open_character(path)).rig, character.roles
    assert {role: rig.joints[joint] for role, joint in roles.joints.items()} == roles_of(joints)
    assert [rig.joints[joint] for joint in roles.spine] == [joint.name for joint in joints if joint.role == "spine"]
    assert [rig.joints[joint] for joint in roles.neck] == [joint.name for joint in joints if joint.role == "neck"]
    assert (roles.root >= 0) == bool(style.root)
    for side in ("left", "right"):
        fingers = {finger: [rig.joints[joint] for joint in chain] for finger, chain in roles.fingers[side].items()}
        wanted = {
            finger: [joint.name for joint in joints if joint.role.startswith(f"{side}_{finger}")]
            for finger in rigs.FINGERS
        }
        assert fingers == (wanted if style.fingers else {})
    twists = {rig.joints[joint] for joint in roles.twists}
    assert twists == {joint.name for joint in joints if "twist" in joint.name}


def test_limbs_point_as_those_of_the_source_in_the_file(made, tmp_path: Path):
    """Whatever the rest pose, the axes of the nodes, the scale and the turn above: every limb, every frame."""
    style, path, joints = made
    motion, character = walking(12), characters.open_character(path)
    figure = make_figure(character.rig, character.roles, motion.body)
    character.file.write(tmp_path / "out.glb", in_rig(transferred(motion, figure), figure), motion.fps, "walk")
    found = in_file(tmp_path / "out.glb", "walk", joints, style.facing)
    assert angles(directions(found), directions(points_of(motion))).max() < 0.01
    source = points_of(motion)
    hips, goal = ((points["left_hip"] + points["right_hip"]) / 2 for points in (found, source))
    np.testing.assert_allclose(hips, goal * figure.size, atol=1e-4)


def test_contacts_hold_and_the_path_is_scaled(made, walk: BodyMotion, tmp_path: Path):
    style, path, joints = made
    character = characters.open_character(path)
    posed, figure = characters.moved(walk, character)
    character.file.write(tmp_path / "out.glb", posed, walk.fps, "walk")
    found, source = in_file(tmp_path / "out.glb", "walk", joints, style.facing), points_of(walk)
    assert np.median(angles(directions(found), directions(source))) < 3
    hips, goal = ((points["left_hip"] + points["right_hip"])[:, [0, 2]] / 2 for points in (found, source))
    assert np.linalg.norm(hips[-1] - hips[0]) == pytest.approx(
        figure.size * np.linalg.norm(goal[-1] - goal[0]), rel=0.01
    )
    rest = {joint.role: joint.place for joint in joints}
    body = on_floor(walk.body)
    high = body.rest[[body.joints.index("left_hip"), body.joints.index("right_hip")], 1].mean()
    assert figure.size == pytest.approx(rest["left_hip"][1] / high, rel=0.01)
    slides = []
    toes = [source["left_foot"], source["right_foot"]]
    foot, stands = carrying(np.stack(toes, 1), [0, 1])
    held = stands[:-1] & stands[1:] & (foot[:-1] == foot[1:])
    for points, size in ((source, 1.0), (found, figure.size)):
        ends = np.stack([[points[f"{side}_{name}"] for name in ("ankle", "foot")] for side in ("left", "right")])
        steps = np.linalg.norm(np.diff(ends[..., [0, 2]], axis=2), axis=-1).min(1).T / size
        slides.append(steps[np.arange(len(foot) - 1), foot[:-1]][held].mean())
    assert slides[1] <= 1.05 * slides[0]
    assert with_lowest(character, posed) > -0.01


def with_lowest(character: characters.Character, posed) -> float:
    """The height of the lowest vertex of a character over a motion, by the weights of its file."""
    rig = character.rig
    owner = rig.weights.argmax(1)
    local = np.einsum("vji,vj->vi", rig.axes[owner], rig.vertices - rig.places[owner])
    world = posed.rotations.copy()
    for joint, parent in enumerate(rig.parents):
        if parent >= 0:
            world[:, joint] = world[:, parent] @ posed.rotations[:, joint]
    return float((posed.places[:, owner, 1] + np.einsum("tvi,vi->tv", world[:, owner, 1], local)).min())


def test_all_else_in_the_file_stays_as_it_was(made, walk: BodyMotion, tmp_path: Path):
    _, path, _ = made
    character = characters.open_character(path)
    posed, _ = characters.moved(walk, character)
    character.file.write(tmp_path / "out.glb", posed, walk.fps, "walk")
    (before, old), (after, new) = rigs.unpack(path), rigs.unpack(tmp_path / "out.glb")
    assert rigs.views(after, new)[: len(before["bufferViews"])] == rigs.views(before, old)
    for kind in before:
        if kind in ("accessors", "bufferViews", "animations"):
            assert after[kind][: len(before[kind])] == before[kind]
        elif kind != "buffers":
            assert after[kind] == before[kind], kind
    assert [clip["name"] for clip in after["animations"]] == ["idle", "walk"]


def test_a_clip_of_that_name_is_not_replaced(walk: BodyMotion, tmp_path: Path):
    rigs.write(tmp_path / "a.glb", rigs.STYLES["mixamo"])
    for source, target in (("a", "b"), ("b", "c")):
        character = characters.open_character(tmp_path / f"{source}.glb")
        character.file.write(tmp_path / f"{target}.glb", characters.moved(walk, character)[0], 20.0, "idle")
    document, _ = rigs.unpack(tmp_path / "c.glb")
    assert [clip["name"] for clip in document["animations"]] == ["idle", "idle 2", "idle 3"]


def test_what_the_khronos_validator_asks_of_animations(made, walk: BodyMotion, tmp_path: Path):
    _, path, _ = made
    character = characters.open_character(path)
    character.file.write(tmp_path / "out.glb", characters.moved(walk, character)[0], walk.fps, "walk")
    document, binary = rigs.unpack(tmp_path / "out.glb")
    animation = document["animations"][-1]
    targets = [tuple(channel["target"].values()) for channel in animation["channels"]]
    assert len(set(targets)) == len(targets)
    assert sorted(channel["sampler"] for channel in animation["channels"]) == list(range(len(animation["samplers"])))
    for channel in animation["channels"]:
        sampler, node = animation["samplers"][channel["sampler"]], document["nodes"][channel["target"]["node"]]
        clock, accessor = rigs.numbers(document, binary, sampler["input"]), document["accessors"][sampler["input"]]
        values = rigs.numbers(document, binary, sampler["output"])
        assert accessor["min"] == [clock.min()] and accessor["max"] == [clock.max()]
        assert (np.diff(clock[:, 0]) > 0).all() and len(values) == len(clock) and "matrix" not in node
        if channel["target"]["path"] == "rotation":
            np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-6)
            assert ((values[1:] * values[:-1]).sum(1) > 0).all()
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0 and view["byteOffset"] + view["byteLength"] <= len(binary)


def test_nodes_that_state_a_matrix_are_taken_apart(walk: BodyMotion, tmp_path: Path):
    def as_matrices(document: dict) -> None:
        for node in document["nodes"]:
            if "children" in node or "translation" in node:
                x, y, z, w = node.pop("rotation", [0, 0, 0, 1])
                turn = torch.tensor([[w, x, y, z]], dtype=torch.float64)
                matrix = np.eye(4)
                from utils.geometry.rotations import quaternion_to_matrix

                matrix[:3, :3] = quaternion_to_matrix(turn)[0].numpy() * node.pop("scale", [1, 1, 1])
                matrix[:3, 3] = node.pop("translation", [0, 0, 0])
                node["matrix"] = matrix.T.reshape(-1).tolist()

    joints = rigs.write(tmp_path / "a.glb", rigs.STYLES["unreal"], as_matrices)
    character = characters.open_character(tmp_path / "a.glb")
    posed, _ = characters.moved(walk, character)
    character.file.write(tmp_path / "b.glb", posed, walk.fps, "walk")
    document, _ = rigs.unpack(tmp_path / "b.glb")
    moved = {channel["target"]["node"] for channel in document["animations"][-1]["channels"]}
    assert len(moved) > 20 and not any("matrix" in document["nodes"][node] for node in moved)
    assert np.abs(character.file.read(tmp_path / "b.glb") - posed.places).max() < 1e-5
    assert len(joints) < len(document["nodes"])


def test_a_file_that_rests_in_a_frame_of_its_clip_is_measured_as_it_is_bound(walk: BodyMotion, tmp_path: Path):
    def crouch(document: dict) -> None:
        for node in document["nodes"]:
            if node["name"].endswith(("UpLeg", "LeftArm", "Spine")):
                x, y, z, w = node["rotation"]
                node["translation"][1] += 3  # centimetres
                node["rotation"] = [x * 0.6 + w * 0.8, y * 0.6 + z * 0.8, z * 0.6 - y * 0.8, w * 0.6 - x * 0.8]

    plain, bent = tmp_path / "a.glb", tmp_path / "b.glb"
    rigs.write(plain, rigs.STYLES["mixamo"])
    rigs.write(bent, rigs.STYLES["mixamo"], crouch)
    one, other = (characters.open_character(path) for path in (plain, bent))
    np.testing.assert_allclose(other.rig.places, one.rig.places, atol=1e-5)
    for character, path in ((one, plain), (other, bent)):
        character.file.write(path.with_suffix(".out.glb"), characters.moved(walk, character)[0], 20.0, "walk")
    places = [character.file.read(path.with_suffix(".out.glb")) for character, path in ((one, plain), (other, bent))]
    np.testing.assert_allclose(places[1], places[0], atol=1e-5)


def test_spines_share_the_turn_evenly():
    """Of a source whose spine turns by 90 degrees in three equal parts, n bones turn by 90 / n each."""
    body = small_body()
    angles_of = {"spine1": 30.0, "spine2": 30.0, "spine3": 30.0}
    rotations = torch.eye(3).repeat(1, len(body.joints), 1, 1)
    for name, angle in angles_of.items():
        rotations[:, body.joints.index(name)] = about_axis("Y", torch.deg2rad(torch.tensor([angle])))
    motion = BodyMotion(body, rotations.numpy(), np.array([[0, 0.9, 0]], np.float32), 20.0)
    for style in ("unreal", "vrm", "nameless"):
        joints = rigs.joints_of(rigs.STYLES[style])
        character = fake(joints)
        figure = make_figure(character.rig, character.roles, body)
        made = transferred(motion, figure)
        count = len(character.roles.spine)
        for number in range(count):
            turn = made.rotations[0, made.body.joints.index(f"spine{number + 1}")]
            assert np.degrees(np.arctan2(turn[0, 2], turn[0, 0])) == pytest.approx(90 / count, abs=0.01)
        shoulder = joints_of(made)[1][0, made.body.joints.index("left_shoulder")]
        np.testing.assert_allclose(shoulder, about_axis("Y", torch.tensor(np.pi / 2)).numpy(), atol=1e-5)


def fake(joints: list[rigs.Joint]) -> characters.Character:
    """A character without a file."""
    from body.retarget.names import find_roles
    from body.retarget.rig import Rig

    count = len(joints)
    rig = Rig(
        "fake",
        tuple(joint.name for joint in joints),
        tuple(joint.parent for joint in joints),
        np.array([joint.place for joint in joints]),
        np.tile(np.eye(3), (count, 1, 1)),
        np.ones(count),
        np.ones(count, bool),
        np.ones(count, bool),
        weights=np.zeros((0, count)),
    )
    return characters.Character(None, rig, find_roles(rig))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("style", ["unreal", "rigify"])
def test_twist_bones_share_the_twist(style: str):
    """A hand that turns by 80 degrees about the forearm: what lies along it turns by its part."""
    body, character = small_body(), fake(rigs.joints_of(rigs.STYLES[style]))
    rotations = torch.eye(3).repeat(3, len(body.joints), 1, 1)
    turn = torch.deg2rad(torch.tensor([0.0, 40.0, 80.0]))
    rotations[:, body.joints.index("left_wrist")] = about_axis("X", turn)
    rotations[:, body.joints.index("right_shoulder")] = about_axis("X", turn)
    motion = BodyMotion(body, rotations.numpy(), np.tile(np.array([0, 0.9, 0], np.float32), (3, 1)), 20.0)
    figure = make_figure(character.rig, character.roles, body)
    posed = in_rig(transferred(motion, figure), figure)
    world = posed.rotations.copy()
    for joint, parent in enumerate(character.rig.parents):
        if parent >= 0:
            world[:, joint] = world[:, parent] @ posed.rotations[:, joint]
    shares = {}
    for joint, name in enumerate(character.rig.joints):
        cosine = (np.trace(world[0, joint].T @ world[2, joint]) - 1) / 2
        shares[name] = np.degrees(np.arccos(np.clip(cosine, -1, 1))) / 80
    if style == "unreal":
        wanted = {"lowerarm_l": 0, "lowerarm_twist_01_l": 0.6, "hand_l": 1, "upperarm_r": 1, "upperarm_twist_01_r": 0.6}
    else:
        wanted = {"DEF-forearm.L": 0.25, "DEF-forearm.L.001": 0.75, "DEF-hand.L": 1, "DEF-upper_arm.L": 0}
        wanted |= {"DEF-upper_arm.R": 0.25, "DEF-upper_arm.R.001": 0.75, "DEF-forearm.R": 0.25 + 0.75}
        del wanted["DEF-forearm.R"]
    assert {name: shares[name] for name in wanted} == pytest.approx(wanted, abs=1e-3)


def test_fingers_hang_loose():
    body, character = small_body(), fake(rigs.joints_of(rigs.STYLES["unreal"]))
    motion = BodyMotion(
        body, np.tile(np.eye(3, dtype=np.float32), (2, len(body.joints), 1, 1)), np.zeros((2, 3), "f"), 20
    )
    figure = make_figure(character.rig, character.roles, body)
    places = in_rig(transferred(motion, figure), figure).places[0]
    at = {name: places[joint] for joint, name in enumerate(character.rig.joints)}
    for side, sign in (("l", 1), ("r", -1)):
        ways = [at[f"middle_0{k}_{side}"] - at[before] for k, before in ((1, f"hand_{side}"), (2, f"middle_01_{side}"))]
        ways.append(at[f"middle_03_{side}"] - at[f"middle_02_{side}"])
        bends = [np.degrees(np.arctan2(-way[1], sign * way[0])) for way in ways]  # towards the palm, which is below
        assert bends == pytest.approx([0, 20, 46], abs=0.5)


def test_hands_that_meet_meet_on_longer_arms():
    body = small_body()
    rotations = torch.eye(3).repeat(1, len(body.joints), 1, 1)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        turn = torch.tensor([0.0, -sign * 1.25, 0.0])
        rotations[:, body.joints.index(f"{side}_shoulder")] = axis_angle_to_matrix(turn)
        rotations[:, body.joints.index(f"{side}_elbow")] = axis_angle_to_matrix(turn * 0.97)
    motion = BodyMotion(body, rotations.numpy(), np.array([[0, 0.9, 0]], np.float32), 20.0)
    hands = [joints_of(motion)[0][0, body.joints.index(f"{side}_hand")] for side in ("left", "right")]
    assert np.linalg.norm(hands[0] - hands[1]) < 0.25
    character = fake(rigs.joints_of(rigs.STYLES["long arms"]))
    figure = make_figure(character.rig, character.roles, body)
    apart = []
    for made in (transferred(motion, figure), with_hands(transferred(motion, figure), motion, figure.palms)):
        positions, turned = joints_of(made)
        wrists = [made.body.joints.index(f"{side}_wrist") for side in ("left", "right")]
        knuckles = [positions[0, w] + turned[0, w] @ palm for w, palm in zip(wrists, figure.palms, strict=True)]
        apart.append(np.linalg.norm((knuckles[0] - knuckles[1]) - (hands[0] - hands[1])))
    assert apart[0] > 0.1 and apart[1] < 0.1 * apart[0]


def test_soles_do_not_sink_and_what_stands_stands(walk: BodyMotion):
    """On legs of other proportions feet that stand in the source stand, whole bodies do not go through the floor."""
    joints = rigs.joints_of(rigs.STYLES["mixamo"])
    longer = [
        replace(joint, place=(joint.place[0] * 1.5, joint.place[1] - 0.08, joint.place[2]))
        if joint.role.endswith("knee")
        else joint
        for joint in joints
    ]
    character, source = fake(longer), lock_feet(walk)
    figure = make_figure(character.rig, character.roles, source.body)
    plain = transferred(source, figure)
    made = with_contacts(plain, source, figure.palms)
    assert source.contacts is not None
    worst = []
    for motion in (plain, made):
        positions, _ = joints_of(motion)
        speeds = []
        for side in ("left", "right"):
            ours, theirs = motion.body.joints.index(f"{side}_foot"), source.body.joints.index(f"{side}_foot")
            rests = source.contacts[:-1, theirs] & source.contacts[1:, theirs]
            speeds.append(np.linalg.norm(np.diff(positions[:, ours][:, [0, 2]], axis=0), axis=-1)[rests] * source.fps)
        worst.append(float(np.concatenate(speeds).mean()))
    assert worst[1] < 0.05 < worst[0]


def test_root_bones_carry_the_path(walk: BodyMotion, tmp_path: Path):
    joints = rigs.write(tmp_path / "a.glb", rigs.STYLES["unreal"])
    character = characters.open_character(tmp_path / "a.glb")
    posed, figure = characters.moved(walk, character)
    character.file.write(tmp_path / "b.glb", posed, walk.fps, "walk")
    _, names, world = rigs.played(tmp_path / "b.glb", "walk")
    root, pelvis = (world[:, names.index(name), :3, 3] for name in ("root", "pelvis"))
    np.testing.assert_allclose(root[:, 1], 0, atol=1e-6)
    np.testing.assert_allclose(root[:, [0, 2]], pelvis[:, [0, 2]], atol=1e-5)
    still, _ = characters.moved(walk, character, still=True)
    character.file.write(tmp_path / "c.glb", still, walk.fps, "walk")
    _, names, world = rigs.played(tmp_path / "c.glb", "walk")
    assert np.ptp(world[:, names.index("root"), :3, 3], axis=0).max() < 0.15 * np.ptp(root, axis=0).max()
    assert len(joints) == len(posed.rotations[0]) - 1


def test_a_bvh_file_keeps_its_hierarchy(walk: BodyMotion, tmp_path: Path):
    """Names, offsets, channels and their orders as they are; limbs point as they did; z up and centimetres too."""
    body = small_body("bones")
    turned = replace(body, rest=(body.rest @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)) * 100)
    bvh.write(
        tmp_path / "mine.bvh",
        BodyMotion(turned, np.eye(3, dtype=np.float32)[None, None].repeat(24, 1), np.zeros((1, 3), "f"), 30),
    )
    text = (
        (tmp_path / "mine.bvh")
        .read_text()
        .replace("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 3 Yrotation Zrotation Xrotation", 4)
    )
    (tmp_path / "mine.bvh").write_text(text)
    character = characters.open_character(tmp_path / "mine.bvh")
    posed, figure = characters.moved(walk, character)
    character.file.write(tmp_path / "out.bvh", posed, walk.fps, "walk")
    head, _, frames = (tmp_path / "out.bvh").read_text().partition("MOTION")
    assert head == text.partition("MOTION")[0] and f"Frames: {len(walk.root)}" in frames
    read = bvh.read(tmp_path / "out.bvh")
    points = {name: read.positions[:, joint][:, [0, 2, 1]] * (1, 1, -1) for joint, name in enumerate(read.joints)}
    assert np.median(angles(directions(points), directions(points_of(walk)))) < 3
    assert 80 < figure.size < 120


def test_rigs_that_cannot_be(tmp_path: Path):
    def two_left_hands(document: dict) -> None:
        for node in document["nodes"]:
            node["name"] = node["name"].replace("RightHand", "LeftHand")

    def crossed(document: dict) -> None:
        for node in document["nodes"]:
            if "Leg" in node["name"] or "Foot" in node["name"]:
                left = "Left" in node["name"]
                node["name"] = node["name"].replace("Left" if left else "Right", "Right" if left else "Left")

    def headless(document: dict) -> None:
        for number, node in enumerate(document["nodes"]):
            node["name"] = f"thing {number}"
        document["nodes"][1]["children"] = document["nodes"][1]["children"][:1]

    def beheaded(document: dict) -> None:
        head = next(i for i, node in enumerate(document["nodes"]) if node["name"].endswith("Head"))
        for node in document["nodes"]:
            node["children"] = [child for child in node.get("children", ()) if child != head]
        document["scenes"][0]["nodes"].append(head)

    for change, said in (
        (two_left_hands, "LeftHand"),
        (crossed, "left"),
        (headless, "no joint that is known to be"),
        (beheaded, "do not hang on one joint"),
    ):
        rigs.write(tmp_path / "a.glb", rigs.STYLES["mixamo"], change)
        with pytest.raises(DataError, match=said):
            characters.open_character(tmp_path / "a.glb")
    rigs.write(tmp_path / "a.glb", rigs.STYLES["mixamo"], lambda document: document["skins"][0].update(joints=[]))
    with pytest.raises(DataError, match=r"a\.glb"):
        characters.open_character(tmp_path / "a.glb")
    rigs.write(
        tmp_path / "a.glb", rigs.STYLES["mixamo"], lambda document: document["nodes"][3].update(scale=[-1, 1, 1])
    )
    with pytest.raises(DataError, match="mirrored"):
        characters.open_character(tmp_path / "a.glb")
    with pytest.raises(UsageError, match=r"\.obj"):
        characters.open_character(tmp_path / "a.obj")


def test_a_map_decides(walk: BodyMotion, tmp_path: Path):
    def unnamed(document: dict) -> None:
        for number, node in enumerate(document["nodes"]):
            node["name"] = f"x{number}"
        document["nodes"][1]["children"].append(len(document["nodes"]))
        document["nodes"].append(
            {"name": "extra leg", "translation": [0, -100, 0], "children": [len(document["nodes"]) + 1]}
        )
        document["nodes"].append(
            {"name": "extra shin", "translation": [0, -10, 0], "children": [len(document["nodes"]) + 1]}
        )
        document["nodes"].append({"name": "extra foot", "translation": [0, -10, 0]})

    joints = rigs.write(tmp_path / "a.glb", rigs.STYLES["mixamo"], unnamed)
    with pytest.raises(Undecided) as undecided:
        characters.open_character(tmp_path / "a.glb")
    characters.write_map(tmp_path / "map.json", undecided.value.rig, undecided.value.found)
    draft = json.loads((tmp_path / "map.json").read_text())
    assert set(draft) == set(characters.ROLES) and draft["pelvis"] is None
    wanted = {joint.role: f"x{number}" for number, joint in enumerate(joints, 1) if joint.role in characters.ROLES}
    (tmp_path / "map.json").write_text(json.dumps(draft | wanted))
    character = characters.open_character(tmp_path / "a.glb", tmp_path / "map.json")
    assert {role: character.rig.joints[joint] for role, joint in character.roles.joints.items()} == wanted
    for content, error in (({"pelvis": "nobody"}, UsageError), ({"hips": "x1"}, UsageError), ([1], DataError)):
        (tmp_path / "map.json").write_text(json.dumps(content))
        with pytest.raises(error, match=r"map\.json"):
            characters.open_character(tmp_path / "a.glb", tmp_path / "map.json")


def test_bones_without_length_are_said():
    joints = rigs.joints_of(rigs.STYLES["mixamo"])
    (elbow,) = (joint.place for joint in joints if joint.role == "right_elbow")
    with pytest.raises(DataError, match="stands where"):
        fake([replace(joint, place=elbow) if joint.role == "right_shoulder" else joint for joint in joints])


def test_the_motion_s_own_body_as_a_character_moves_as_it_does(walk: BodyMotion, tmp_path: Path):
    glb.write(tmp_path / "free.glb", [replace(walk, body=on_floor(walk.body), name="rest")])
    character = characters.open_character(tmp_path / "free.glb")
    posed, figure = characters.moved(walk, character)
    assert figure.size == pytest.approx(1, abs=1e-3)
    names = {name: joint for joint, name in enumerate(character.rig.joints)}
    found = posed.places[:, [names[name] for name in walk.body.joints]]
    np.testing.assert_allclose(found, joints_of(walk)[0], atol=0.003)


def test_a_gltf_with_its_bytes_beside_it_becomes_a_glb(walk: BodyMotion, tmp_path: Path):
    rigs.write(tmp_path / "a.glb", rigs.STYLES["mixamo"])
    document, binary = rigs.unpack(tmp_path / "a.glb")
    document["buffers"] = [{"byteLength": len(binary), "uri": "mine.bin"}]
    (tmp_path / "mine.gltf").write_text(json.dumps(document))
    (tmp_path / "mine.bin").write_bytes(binary)
    character = characters.open_character(tmp_path / "mine.gltf")
    assert character.file.ending == ".glb"
    posed, _ = characters.moved(walk, character)
    character.file.write(tmp_path / "out.glb", posed, walk.fps, "walk")
    assert np.abs(character.file.read(tmp_path / "out.glb") - posed.places).max() < 1e-5
    after, new = rigs.unpack(tmp_path / "out.glb")
    assert rigs.views(after, new)[: len(document["bufferViews"])] == rigs.views(document, binary)


def test_only_people_go_onto_characters(tmp_path: Path):
    rigs.write(tmp_path / "a.glb", rigs.STYLES["mixamo"])
    character = characters.open_character(tmp_path / "a.glb")
    body = small_body(joints=("pelvis", "left_hip", "right_hip", "left_knee", "right_knee"))
    with pytest.raises(DataError, match="only motion of a person"):
        characters.moved(walking(4, body=body), character)


def test_one_frame_will_do(tmp_path: Path):
    rigs.write(tmp_path / "a.glb", rigs.STYLES["unreal"])
    character = characters.open_character(tmp_path / "a.glb")
    posed, _ = characters.moved(walking(1, body=small_body()), character)
    character.file.write(tmp_path / "b.glb", posed, 20.0, "pose")
    assert np.abs(character.file.read(tmp_path / "b.glb") - posed.places).max() < 1e-5


def test_the_shared_characters(shared: Path, walk: BodyMotion, tmp_path: Path):
    """The CC0 rigs, two namings, root bones, with and without a mesh."""
    for name in ("human-base-animations", "human-addon-animations", "rig-human", "Med_General"):
        path = shared / f"data/more/glb/{name}.glb"
        character = characters.open_character(path)
        posed, figure = characters.moved(walk, character)
        character.file.write(tmp_path / "out.glb", posed, walk.fps, "a walk")
        assert np.abs(character.file.read(tmp_path / "out.glb") - posed.places).max() < 1e-5
        (before, old), (after, new) = rigs.unpack(path), rigs.unpack(tmp_path / "out.glb")
        assert rigs.views(after, new)[: len(before["bufferViews"])] == rigs.views(before, old)
        made = with_contacts(transferred(walk, figure), walk, figure.palms)
        if len(made.body.vertices):
            assert vertices_of(made)[..., 1].min() > -0.01
