"""What must hold of every skeleton of the table."""

import pytest

from utils.geometry.kinematics import walk
from utils.geometry.skeleton import SKELETONS, check_tree, mirrored_name

ROWS = sorted(SKELETONS)


@pytest.mark.parametrize("name", ROWS)
def test_names_and_sizes(name):
    skeleton = SKELETONS[name]
    assert skeleton.name == name and len(set(skeleton.joints)) == len(skeleton.joints) == len(skeleton.parents)
    assert 0 < skeleton.metres_per_unit <= 1
    assert [skeleton.index(joint) for joint in skeleton.joints] == list(range(len(skeleton.joints)))


@pytest.mark.parametrize("name", ROWS)
def test_mirror_is_an_involution_that_swaps_left_and_right(name):
    skeleton = SKELETONS[name]
    assert [skeleton.mirror[other] for other in skeleton.mirror] == list(range(len(skeleton.joints)))
    opposite = {"left": "right", "right": "left", "middle": "middle"}
    for joint, other in enumerate(skeleton.mirror):
        assert skeleton.side(other) == opposite[skeleton.side(joint)]
        assert (skeleton.side(joint) == "middle") == (joint == other)
    sides = [skeleton.side(joint) for joint in range(len(skeleton.joints))]
    assert sides.count("left") == sides.count("right") >= 6


@pytest.mark.parametrize("name", ROWS)
def test_sides_are_those_that_the_names_say(name):
    skeleton = SKELETONS[name]
    for joint, word in enumerate(skeleton.joints):
        side = skeleton.side(joint)
        if word.lower().startswith(("left", "right")):
            assert word.lower().startswith(side)
        elif side != "middle":
            assert word[0] == side[0].upper() and word[1].isupper()


@pytest.mark.parametrize("name", ROWS)
def test_parents_are_a_tree(name):
    skeleton = SKELETONS[name]
    for joint in range(len(skeleton.joints)):
        above = [joint]
        while skeleton.parents[above[-1]] >= 0:
            above.append(skeleton.parents[above[-1]])
            assert len(above) <= len(skeleton.joints), "a cycle"
    loose = [joint for joint, parent in enumerate(skeleton.parents) if parent == -1]
    assert [skeleton.joints[joint] for joint in loose if joint in skeleton.parents] == [
        {
            "nba": "Hip",
            "smpl22": "pelvis",
            "smpl24": "pelvis",
            "kit21": "root",
            "horse": "Neck",
            "gymnastics": "LeftHip",
        }[name]
    ]
    assert sorted(walk(skeleton.parents)) == list(range(len(skeleton.joints)))


@pytest.mark.parametrize("name", ROWS)
def test_chains_draw_every_joint_but_the_loose_ones(name):
    skeleton = SKELETONS[name]
    drawn = {joint for edge in skeleton.edges for joint in edge}
    loose = {joint for joint, parent in enumerate(skeleton.parents) if parent == -1 and joint not in skeleton.parents}
    assert drawn == set(range(len(skeleton.joints))) - loose
    assert len(skeleton.edges) == sum(len(chain) - 1 for chain in skeleton.chains)
    mirrored = {frozenset(skeleton.mirror[joint] for joint in edge) for edge in skeleton.edges}
    assert mirrored == {frozenset(edge) for edge in skeleton.edges}, "the drawing is symmetric"


def test_the_bodies_by_hand():
    nba = SKELETONS["nba"]
    assert nba.joints[nba.mirror[nba.index("LWrist")]] == "RWrist" and nba.side(nba.index("RKnee")) == "right"
    assert nba.joints[nba.parents[nba.index("RAnkle")]] == "RKnee"
    horse = SKELETONS["horse"]
    assert horse.joints[horse.mirror[horse.index("LeftFrontHoof")]] == "RightFrontHoof"
    assert horse.side(horse.index("Tail")) == "middle"
    smpl = SKELETONS["smpl22"]
    assert smpl.parents == (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)


def test_a_name_without_another_side_is_its_own_mirror_image():
    joints = ("Root", "RArm", "LArm", "Lumbar", "Rib", "left_eye")
    assert [mirrored_name(name, joints) for name in joints] == ["Root", "LArm", "RArm", "Lumbar", "Rib", "left_eye"]


def test_a_tree():
    for joints, parents in ((["a"], [-1]), (list("abc"), [-1, -1, 0]), (list("abc"), [2, -1, 1])):
        check_tree(joints, parents)


@pytest.mark.parametrize(
    ("joints", "parents", "said"),
    [
        (list("ab"), [1, 0], "a is its own ancestor"),
        (list("abc"), [-1, 1, 0], "b is its own ancestor"),
        (list("abc"), [-1, 2, 1], "b is its own ancestor"),
        (list("ab"), [-1, 2], "not as many numbers from -1 to 1"),
        (list("ab"), [-1, -2], "not as many numbers"),
        (list("ab"), [-1], "not as many numbers"),
        (list("ab"), [-1, 0.0], "not as many numbers"),
        (list("ab"), [-1, True], "not as many numbers"),
        ([1, 2], [-1, 0], "have no names"),
        ([], [], "have no names"),
    ],
)
def test_what_is_no_tree(joints, parents, said):
    with pytest.raises(ValueError, match=said):
        check_tree(joints, parents)


def test_a_long_chain_is_a_tree():
    """Of any length, and as fast from its end as from its root."""
    check_tree(["a"] * 5000, list(range(-1, 4999)))
    check_tree(["a"] * 50_000, [*range(1, 50_000), -1])
