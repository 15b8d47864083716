"""Motion out of glTF files: against a reading by the letter of the specification, and against sums done by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import skinned
from tests.bodies import angle_between, small_body, walking
from tests.gltf_files import Made, Plain, matrix, turn
from utils.formats import glb, gltf
from utils.geometry.body import joints_of
from utils.geometry.kinematics import global_rotations
from utils.geometry.motion import Motion
from utils.run.errors import DataError, MissingFileError, UsageError

KAYKIT = ("CombatMelee", "CombatRanged", "General", "MovementAdvanced", "MovementBasic", "Simulation", "Special")
REAL = {f"Med_{name}.glb": 30.0 for name in KAYKIT} | {
    "bird-animations.glb": 24.0, "human-addon-animations.glb": 24.0, "human-base-animations.glb": 24.0,
}  # fmt: skip
IDENTITY = np.tile(np.eye(4), (3, 1, 1))


def world_of(motion: Motion) -> np.ndarray:
    assert motion.rotations is not None
    return global_rotations(torch.from_numpy(motion.rotations).double(), motion.parents).numpy()


def without_scale(matrices: np.ndarray) -> np.ndarray:
    """The rotations [..., 3, 3] in matrices, by singular values."""
    left, _, right = np.linalg.svd(matrices[..., :3, :3])
    return left @ right


@pytest.mark.parametrize("name", REAL)
def test_files_of_others(shared: Path, name: str):
    """Positions, rotations and rate against a reading that shares nothing with ours, in every clip."""
    path = shared / "data" / "more" / "glb" / name
    if not path.is_file():
        pytest.skip(f"needs {path}")
    plain, motions = Plain(path), gltf.read(path)
    document = plain.document
    assert [motion.name for motion in motions] == [clip["name"] for clip in document["animations"]]
    (skin,) = document["skins"]
    names = [document["nodes"][joint]["name"] for joint in skin["joints"]]
    inverse = plain.values(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
    bound = np.linalg.inv(inverse)
    for number, motion in enumerate(motions):
        keys = plain.key_times(number)
        frames = (keys - keys[0]) * REAL[name]
        assert motion.fps == REAL[name] and len(motion.positions) == round(frames[-1]) + 1
        assert np.abs(frames - np.rint(frames)).max() < 0.02
        assert motion.rest is not None and sorted(motion.joints) == sorted(names)
        order = [names.index(joint) for joint in motion.joints]
        np.testing.assert_allclose(motion.rest, bound[order, :3, 3], atol=1e-4)
        world = world_of(motion)
        for frame in {0, len(frames) // 3, len(frames) - 1}:
            seen = plain.pose(number, keys[frame])[skin["joints"]][order]
            at = round(frames[frame])
            assert np.abs(motion.positions[at] - seen[:, :3, 3]).max() < 1e-4, motion.name
            sizes = np.linalg.det(seen[:, :3, :3])
            solid = sizes > 1e-9  # what is scaled to nothing has no direction
            turned = without_scale(seen[:, :3, :3] @ np.linalg.inv(bound[order])[:, :3, :3])
            if solid.any():
                assert angle_between(world[at, solid], turned[solid]) < 0.01, motion.name


def test_a_hundred_clips_are_read_in_two_seconds(tmp_path: Path):
    """40 joints, a track for each of translation, rotation and scale, as exporters write them: 12,000 tracks."""
    import time

    nodes = [{"name": f"j{k}", "children": [k + 1], "translation": [0, 0.1, 0]} for k in range(39)] + [{"name": "j39"}]
    made, times = Made(nodes), np.arange(30) / 30
    made.skin(list(range(40)), np.tile(np.eye(4), (40, 1, 1)))
    angles = np.linspace(0, 90, 30)
    turns, still = [turn("Z", angle) for angle in angles], np.ones((2, 3))
    clock, ends = made.array(times), made.array(times[[0, -1]])
    for number in range(100):
        made.clip(f"clip {number}")
        for node in range(40):
            made.track(node, "rotation", clock, turns).track(node, "scale", ends, still, "STEP")
            made.track(node, "translation", ends, still * 0.1)
    path = made.save(tmp_path / "a.glb")
    begin = time.process_time()
    assert len(gltf.read(path)) == 100
    assert time.process_time() - begin < 4  # on a busy machine; 1.2 s on a free one


@pytest.mark.parametrize("root_bone", [False, True])
def test_what_we_write(tmp_path: Path, root_bone: bool):
    clip = replace(walking(30, 29.97, small_body()), name="a clip", root_bone=root_bone)
    glb.write(tmp_path / "a.glb", [clip])
    (found,) = gltf.read(tmp_path / "a.glb")
    assert (found.name, found.fps, found.texts) == ("a clip", 29.97, ("a person walks",))
    assert found.source == str(tmp_path / "a.glb") and not found.note and found.rotations is not None
    places = [found.joints.index(joint) for joint in clip.body.joints]
    assert np.abs(found.positions[:, places] - joints_of(clip)[0]).max() < 1e-5
    assert found.rest is not None and np.abs(found.rest[places] - clip.body.rest).max() < 1e-5
    ours = global_rotations(torch.from_numpy(clip.rotations).double(), clip.body.parents).numpy()
    assert angle_between(world_of(found)[:, places], ours) < 0.01
    below = places[1:] if root_bone else places
    assert angle_between(found.rotations[:, below], clip.rotations[:, 24 - len(below) :]) < 0.01
    assert len(found.joints) == 24 + root_bone
    if root_bone:
        root = found.joints.index("Root")
        assert found.parents[root] == -1 and found.parents[places[0]] == root
        np.testing.assert_allclose(found.positions[:, root, [0, 2]], clip.root[:, [0, 2]], atol=0.35)
        np.testing.assert_allclose(found.positions[:, root, 1], 0, atol=1e-6)


def test_two_of_ours_in_one_file(tmp_path: Path):
    """Each has a clip of its own, so nobody has to be picked; a person can be all the same."""
    clips = [skinned.dance(skinned.body(), seed=seed, name=f"dance {seed}") for seed in (1, 2)]
    glb.write(tmp_path / "a.glb", clips)
    for clip, found in zip(clips, gltf.read(tmp_path / "a.glb"), strict=True):
        assert found.name == clip.name and found.joints == clip.body.joints
        assert np.abs(found.positions - joints_of(clip)[0]).max() < 1e-5
    (second,) = gltf.read(tmp_path / "a.glb", person=1)
    assert second.name == "dance 2"
    assert [found.name for found in gltf.read(tmp_path / "a.glb", person="dance 2 skeleton")] == ["dance 2"]
    assert [found.name for found in gltf.read(tmp_path / "a.glb", clip="dance 1")] == ["dance 1"]


def arm(**top) -> Made:
    """A bone of 2 along y, one of 1 along x on it, below a node `top`; skin bound as the nodes stand in the world."""
    nodes = [
        {"name": "top", "children": [1]} | top,
        {"name": "upper", "children": [2], "translation": [1, 0, 0]},
        {"name": "lower", "children": [3], "translation": [0, 2, 0]},
        {"name": "end", "translation": [1, 0, 0]},
    ]
    return Made(nodes)


def test_interpolations(tmp_path: Path):
    """STEP keeps, LINEAR turns evenly the short way, CUBICSPLINE follows its tangents; before and after keys hold."""
    made = arm().clip("all")
    made.track(1, "rotation", [0, 1], [turn("Z", 0), [-x for x in turn("Z", 90)]])
    made.track(1, "translation", [0.25, 0.5, 1], [[1, 0, 0], [3, 0, 0], [3, 0, 4]])
    made.track(2, "rotation", [0, 0.5, 1], [turn("X", 0), turn("X", 90), turn("X", 180)], "STEP")
    zero, tangent = [0, 0, 0], [0, 0, 6]
    made.track(3, "translation", [0, 1], [zero, [1, 0, 0], tangent, tangent, [1, 0, 2], zero], "CUBICSPLINE")
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    assert found.fps == 24 and len(found.positions) == 25 and found.joints == ("upper", "lower", "end")
    world, t = world_of(found), np.arange(25) / 24
    np.testing.assert_allclose(world[:, 0], [matrix(rotation=turn("Z", 90 * s))[:3, :3] for s in t], atol=1e-6)
    x = 1 + 2 * np.clip((t - 0.25) / 0.25, 0, 1)
    z = 4 * np.clip((t - 0.5) / 0.5, 0, 1)
    np.testing.assert_allclose(found.positions[:, 0], np.stack([x, 0 * t, z], 1), atol=1e-6)
    steps = np.where(t < 0.5, 0, np.where(t < 1, 90, 180))
    local = [matrix(rotation=turn("X", angle))[:3, :3] for angle in steps]
    np.testing.assert_allclose(found.rotations[:, 1], local, atol=1e-6)
    # p(t) of appendix C: values (1, 0, 0) and (1, 0, 2), tangents 6 along z at both ends.
    spline = 2 * (3 * t**2 - 2 * t**3) + 6 * (t**3 - 2 * t**2 + t) + 6 * (t**3 - t**2)
    end = np.stack([1 + 0 * t, 0 * t, spline], 1)
    in_upper = np.array([0, 2, 0]) + (np.array(local) @ end[..., None])[..., 0]
    expected = found.positions[:, 0] + (world[:, 0] @ in_upper[..., None])[..., 0]
    np.testing.assert_allclose(found.positions[:, 2], expected, atol=1e-5)
    assert "stretch" in found.note


def test_a_spline_of_quaternions_is_made_unit(tmp_path: Path):
    """Half way between 0 and 90 degrees with tangents of 0: the mean of both, made unit, is 45 degrees."""
    zero = [0, 0, 0, 0]
    keys = [zero, turn("Y", 0), zero, zero, turn("Y", 90), zero]
    made = arm().clip().track(1, "rotation", [0, 1], keys, "CUBICSPLINE")
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    assert found.rotations is not None and found.name == "animation_0"
    np.testing.assert_allclose(found.rotations[12, 0], matrix(rotation=turn("Y", 45))[:3, :3], atol=1e-6)


def test_numbers_of_other_kinds(tmp_path: Path):
    """Quaternions as normalised shorts and bytes, quaternions that are not of length 1."""
    times = np.arange(3) / 24
    exact = np.array([turn("Z", angle) for angle in (0, 30, 60)])
    for kind, largest, near in (("i2", 32767, 0.005), ("i1", 127, 1.0)):
        made = arm().clip("a").track(1, "rotation", times, np.rint(exact * largest), kind=kind)
        made.track(2, "rotation", times, exact * 2.5)
        (found,) = gltf.read(made.save(tmp_path / "a.glb"))
        assert found.rotations is not None
        right = [matrix(rotation=turn("Z", angle))[:3, :3] for angle in (0, 30, 60)]
        assert angle_between(found.rotations[:, 0], np.array(right)) < near
        assert angle_between(found.rotations[:, 1], np.array(right)) < 1e-3


@pytest.mark.parametrize(
    ("times", "rate", "count"),
    [
        (np.arange(10) / 24, 24, 10),
        (np.arange(10) / 29.97, 29.97, 10),
        (np.arange(10) / 12, 12, 10),
        (1 / 24 + np.arange(10) / 24, 24, 10),  # as Blender has it: the clip begins with frame 1
        (np.round(np.arange(100) / 30, 3), 30, 100),
        ([0, 0.1, 0.1667, 0.3, 1.0], 30, 31),
        ([0, 0.375, 0.583333, 1.208333], 24, 30),
        ([0, 1.7], 30, 52),
        (np.arange(2001) / 1000, 200, 401),
        ([0.5], 24, 1),
    ],
)
def test_the_rate_is_that_of_the_keys(tmp_path: Path, times: np.ndarray, rate: float, count: int):
    made = arm().clip("a").track(1, "rotation", times, [turn("Z", 50 * second) for second in times])
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    assert found.fps == pytest.approx(rate, rel=1e-5) and len(found.positions) == count
    assert ("1000 keys" in found.note) == (len(times) == 2001)


def test_keys_without_a_rate_are_said(tmp_path: Path):
    times = np.cumsum(np.random.RandomState(0).uniform(0.02, 0.05, 40))
    made = arm().clip("a").track(1, "rotation", times, [turn("Z", 50 * second) for second in times])
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    assert found.fps == 48 and "no even times" in found.note


def test_a_still_clip_has_the_rate_of_the_others(tmp_path: Path):
    made = arm().clip("still").track(1, "rotation", [0, 1], [turn("Z", 20)] * 2, "STEP")
    made.clip("moves").track(1, "rotation", np.arange(60) / 50, [turn("Z", k) for k in range(60)])
    still, moves = gltf.read(made.save(tmp_path / "a.glb"))
    assert still.fps == moves.fps == 50 and len(still.positions) == 51


def test_a_rig_in_centimetres_that_lies_on_its_back(tmp_path: Path):
    """As FBX comes through: the node above the bones turns z up into y up and scales; the skin is bound in its axes."""
    above = {"rotation": turn("X", -90), "scale": [0.01, 0.01, 0.01]}
    made = arm(**above)
    for node in made.document["nodes"][1:]:
        node["translation"] = [100 * x for x in node["translation"]]
    local = [matrix((100, 0, 0)), matrix((100, 200, 0)), matrix((200, 200, 0))]
    made.document["nodes"] += [{"name": "body", "mesh": 0, "skin": 0}]
    made.document["nodes"][0]["children"].append(4)
    made.document["meshes"] = [{"primitives": []}]
    made.skin([1, 2, 3], np.linalg.inv(local))
    made.clip("a").track(1, "rotation", [0, 1 / 24], [turn("Z", 0), turn("Z", 90)])
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    assert found.rest is not None and found.rotations is not None and found.note == ""
    np.testing.assert_allclose(found.rest, [[1, 0, 0], [1, 0, -2], [2, 0, -2]], atol=1e-6)
    np.testing.assert_allclose(found.positions[0], found.rest, atol=1e-6)
    # A quarter turn about the file's z, which is y in the world: x goes to -z, the second bone from -z to -x.
    np.testing.assert_allclose(found.positions[1], [[1, 0, 0], [-1, 0, 0], [-1, 0, -1]], atol=1e-6)
    np.testing.assert_allclose(found.rotations[1, 0], matrix(rotation=turn("Y", 90))[:3, :3], atol=1e-6)
    np.testing.assert_allclose(found.rotations[:, 1:], np.tile(np.eye(3), (2, 2, 1, 1)), atol=1e-6)


@pytest.mark.parametrize("with_mesh", [False, True])
def test_nodes_that_do_not_rest_as_the_skin_was_bound(tmp_path: Path, with_mesh: bool):
    """Nodes that stand in the first frame of the clip: the rest pose is the bind pose, rotations are relative to it."""
    made = arm()
    made.document["nodes"][2]["rotation"] = turn("Z", 70)
    if with_mesh:
        made.document["nodes"] += [{"name": "body", "mesh": 0, "skin": 0}]
        made.document["meshes"] = [{"primitives": []}]
    made.skin([1, 2, 3], np.linalg.inv([matrix((1, 0, 0)), matrix((1, 2, 0)), matrix((2, 2, 0))]))
    made.clip("a").track(2, "rotation", [0, 1 / 30], [turn("Z", 70), turn("Z", 90)])
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    assert found.rest is not None and found.rotations is not None
    np.testing.assert_allclose(found.rest, [[1, 0, 0], [1, 2, 0], [2, 2, 0]], atol=1e-6)
    assert angle_between(found.rotations[0, 1], matrix(rotation=turn("Z", 70))[:3, :3]) < 1e-3
    np.testing.assert_allclose(found.positions[1], [[1, 0, 0], [1, 2, 0], [1, 3, 0]], atol=1e-6)


def test_a_node_above_the_skin_that_moves_is_a_joint(tmp_path: Path):
    """A path laid on the node of the armature; one whose tracks only repeat where it rests is none."""
    made = arm(translation=[0, 1, 0])
    made.skin([1, 2, 3], np.linalg.inv([matrix((1, 1, 0)), matrix((1, 3, 0)), matrix((2, 3, 0))]))
    made.clip("still").track(0, "translation", [0, 1], [[0, 1, 0]] * 2).track(1, "rotation", [0, 1], [turn("Z", 5)] * 2)
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    assert found.joints == ("upper", "lower", "end") and found.parents == (-1, 0, 1)
    made.clip("goes").track(0, "translation", [0, 1], [[0, 1, 0], [0, 1, 3]])
    made.track(1, "rotation", [0, 1], [turn("Z", 5)] * 2)
    still, goes = gltf.read(made.save(tmp_path / "a.glb"))
    assert still.joints == goes.joints == ("top", "upper", "lower", "end") and goes.parents == (-1, 0, 1, 2)
    np.testing.assert_allclose(goes.positions[-1, 1], [1, 1, 3], atol=1e-6)
    assert goes.rest is not None
    np.testing.assert_allclose(goes.rest[0], [0, 1, 0], atol=1e-6)


def test_mirrored_and_unevenly_scaled_ancestors(tmp_path: Path):
    """Rotations stay rotations, and bones go where the file has them."""
    made = arm(scale=[-1, 2, 1]).clip("a").track(1, "rotation", [0, 1 / 24], [turn("Z", 0), turn("Z", 30)])
    path = made.save(tmp_path / "a.glb")
    (found,) = gltf.read(path)
    plain = Plain(path)
    np.testing.assert_allclose(found.positions[1], plain.pose(0, 1 / 24)[1:4, :3, 3], atol=1e-6)
    assert found.rotations is not None
    np.testing.assert_allclose(
        found.rotations @ found.rotations.swapaxes(-1, -2), np.tile(np.eye(3), (2, 3, 1, 1)), atol=1e-5
    )
    np.testing.assert_allclose(np.linalg.det(found.rotations), 1, atol=1e-5)
    np.testing.assert_allclose(found.rotations[0], np.tile(np.eye(3), (3, 1, 1)), atol=1e-6)


def test_what_is_scaled_to_nothing_has_a_place(tmp_path: Path):
    made = arm().clip("a").track(1, "scale", [0, 1], [[0, 0, 0], [1, 1, 1]])
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    np.testing.assert_allclose(found.positions[0], [[1, 0, 0]] * 3, atol=1e-5)
    assert found.rotations is not None and np.isfinite(found.rotations).all() and "stretch" in found.note


def two_people(apart: bool) -> Made:
    """Two skinned chains below one node of the scene; both in one clip, or each in its own."""
    nodes = [{"name": "scene", "children": [1, 5]}]
    for first, side in ((1, "anna"), (5, "ben")):
        nodes += [{"name": side, "children": [first + 1]}]
        nodes += [
            {"name": "hips", "children": [first + 2]},
            {"name": "spine", "children": [first + 3]},
            {"name": "head"},
        ]
    made = Made(nodes)
    for first in (2, 6):
        made.skin([first, first + 1, first + 2], IDENTITY)
        if apart or first == 2:
            made.clip(nodes[first - 1]["name"])
        made.track(first, "translation", [0, 1], [[0, 0, 0], [first, 0, 0]])
    return made


def test_people_are_told_apart(tmp_path: Path):
    path = two_people(apart=False).save(tmp_path / "a.glb")
    with pytest.raises(UsageError, match=r"several move in 'anna': pick a person .*0: anna, 1: ben"):
        gltf.read(path)
    for person in ("ben", 1, "1"):
        (found,) = gltf.read(path, person=person)
        assert found.positions[-1, 0].tolist() == [6, 0, 0] and found.joints == ("hips", "spine", "head")
    for person in ("carl", 2, -1):
        with pytest.raises(UsageError, match="has no person .*0: anna, 1: ben"):
            gltf.read(path, person=person)
    assert [found.name for found in gltf.read(two_people(apart=True).save(path))] == ["anna", "ben"]
    with pytest.raises(DataError, match="no motion of what was picked"):
        gltf.read(path, clip="anna", person="ben")


def test_skins_that_share_bones_are_one_person(tmp_path: Path):
    """A body, hair on a bone below its head, and a sleeve on the same bones."""
    made = arm()
    made.document["nodes"][3]["children"] = [4]
    made.document["nodes"].append({"name": "hair"})
    made.skin([1, 2, 3], IDENTITY).skin([4], IDENTITY[:1]).skin([3, 2], IDENTITY[:2])
    made.clip("a").track(1, "rotation", [0, 1], [turn("Z", 0), turn("Z", 9)])
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    assert found.joints == ("upper", "lower", "end", "hair") and found.parents == (-1, 0, 1, 2)


def test_clips_are_picked_by_name(tmp_path: Path):
    made = arm()
    for name in ("Rig|walk", "Rig|run", "Rig|walk"):
        made.clip(name).track(1, "rotation", [0, 1], [turn("Z", 0), turn("Z", 9)])
    path = made.save(tmp_path / "a.glb")
    assert [found.name for found in gltf.read(path, clip="Rig|walk")] == ["Rig|walk"] * 2
    assert [found.name for found in gltf.read(path, clip="run")] == ["Rig|run"]
    with pytest.raises(UsageError, match=r"no clip 'jump'; it has 3: Rig\|walk, Rig\|run"):
        gltf.read(path, clip="jump")
    with pytest.raises(UsageError, match=r"did you mean Rig\|walk\?"):
        gltf.read(path, clip="Rig|Walk")


def test_no_motion(tmp_path: Path):
    """A rig alone, a mesh alone, a clip that moves only shapes, a file that is not there."""
    made = arm().skin([1, 2, 3], IDENTITY)
    with pytest.raises(DataError, match="has a rig of 3 joints but no motion"):
        gltf.read(made.save(tmp_path / "a.glb"))
    made.clip("shapes").track(1, "weights", [0, 1], np.zeros(2))
    with pytest.raises(DataError, match="has a rig of 3 joints but no motion"):
        gltf.read(made.save(tmp_path / "a.glb"))
    with pytest.raises(DataError, match="has no rig but no motion|has no rig and no motion"):
        gltf.read(arm().save(tmp_path / "a.glb"))
    with pytest.raises(MissingFileError):
        gltf.read(tmp_path / "b.glb")


def test_other_nodes_that_move_are_no_people(tmp_path: Path):
    """A camera beside a skin, and one beside a bare tree."""
    made = arm()
    made.document["nodes"].append({"name": "camera"})
    made.clip("a").track(4, "translation", [0, 1], np.ones((2, 3)))
    made.track(1, "rotation", [0, 1], [turn("Z", 0), turn("Z", 9)])
    (found,) = gltf.read(made.save(tmp_path / "a.glb"))
    assert found.joints == ("upper", "lower", "end")
    (found,) = gltf.read(made.skin([1, 2], IDENTITY[:2]).save(tmp_path / "a.glb"))
    assert found.joints == ("upper", "lower")
