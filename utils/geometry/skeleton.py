"""Skeletons by joint name: what to draw, which tree to walk, which joint mirrors which.

`edges` are for drawing and may contain cycles; `parents` is a tree (-1: a root, or a joint that hangs on nothing,
such as a ball). `metres_per_unit` converts the units of the 2D data, as seen at the camera's distance, to metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Skeleton:
    """Names, chains and tree of a set of joints."""

    name: str
    joints: tuple[str, ...]
    chains: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]
    metres_per_unit: float = 1.0

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Pairs of joints joined by a drawn limb, in chain order."""
        return tuple(pair for chain in self.chains for pair in zip(chain[:-1], chain[1:], strict=True))

    @property
    def mirror(self) -> tuple[int, ...]:
        """For each joint the index of its mirror image (itself on the midline)."""
        return tuple(self.joints.index(mirrored_name(name, self.joints)) for name in self.joints)

    def side(self, joint: int) -> str:
        """`left`, `right` or `middle`."""
        if self.mirror[joint] == joint:
            return "middle"
        name = self.joints[joint].lower()
        return "left" if name.startswith("l") else "right"

    def index(self, joint: str) -> int:
        """Index of a joint by name."""
        return self.joints.index(joint)


def mirrored_name(name: str, joints: tuple[str, ...]) -> str:
    """The joint on the other side of the body, or `name` itself where there is none."""
    for left, right in (("Left", "Right"), ("left_", "right_"), ("L", "R")):
        for this, other in ((left, right), (right, left)):
            if name.startswith(this) and other + name[len(this) :] in joints:
                return other + name[len(this) :]
    return name


_NBA = (
    "Hip RHip RKnee RAnkle LHip LKnee LAnkle Neck Nose Head LShoulder LElbow LWrist RShoulder RElbow RWrist"
).split()
_HORSE = (
    "LeftEye RightEye Nose Neck Tail LeftShoulder LeftElbow LeftFrontHoof RightShoulder RightElbow RightFrontHoof "
    "LeftHip LeftKnee LeftBackHoof RightHip RightKnee RightBackHoof"
).split()
_GYMNASTICS = (
    "Nose LeftEye RightEye LeftEar RightEar LeftShoulder RightShoulder LeftElbow RightElbow LeftWrist RightWrist "
    "LeftHip RightHip LeftKnee RightKnee LeftAnkle RightAnkle Ball"
).split()
_SMPL22 = (
    "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
    "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist"
).split()
_KIT21 = "root BP BT BLN BUN LS LE LW RS RE RW LH LK LA LMrot LF RH RK RA RMrot RF".split()

SKELETONS: dict[str, Skeleton] = {
    row.name: row
    for row in (
        Skeleton(
            "nba",
            tuple(_NBA),
            ((12, 11, 10, 7), (15, 14, 13, 7), (6, 5, 4, 0), (3, 2, 1, 0), (0, 7, 8, 9)),
            (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 7, 10, 11, 7, 13, 14),
            metres_per_unit=0.75,
        ),
        Skeleton(
            "horse",
            tuple(_HORSE),
            ((3, 0, 2, 1, 3), (3, 5, 6, 7), (3, 8, 9, 10), (3, 4), (4, 11, 12, 13), (4, 14, 15, 16)),
            (3, 3, 3, -1, 3, 3, 5, 6, 3, 8, 9, 4, 11, 12, 4, 14, 15),
            metres_per_unit=0.5,
        ),
        Skeleton(
            "gymnastics",
            tuple(_GYMNASTICS),
            ((5, 3, 1, 0, 2, 4, 6), (5, 7, 9), (6, 8, 10), (5, 6, 12, 11, 5), (11, 13, 15), (12, 14, 16)),
            (5, 0, 0, 0, 0, 11, 11, 5, 6, 7, 8, -1, 11, 11, 12, 13, 14, -1),
            metres_per_unit=0.66,
        ),
        Skeleton(
            "smpl22",
            tuple(_SMPL22),
            ((0, 2, 5, 8, 11), (0, 1, 4, 7, 10), (0, 3, 6, 9, 12, 15), (9, 14, 17, 19, 21), (9, 13, 16, 18, 20)),
            (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19),
        ),
        Skeleton(
            "smpl24",
            (*_SMPL22, "left_hand", "right_hand"),
            (
                (0, 2, 5, 8, 11),
                (0, 1, 4, 7, 10),
                (0, 3, 6, 9, 12, 15),
                (9, 14, 17, 19, 21, 23),
                (9, 13, 16, 18, 20, 22),
            ),
            (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21),
        ),
        Skeleton(
            "kit21",
            tuple(_KIT21),
            ((0, 11, 12, 13, 14, 15), (0, 16, 17, 18, 19, 20), (0, 1, 2, 3, 4), (3, 5, 6, 7), (3, 8, 9, 10)),
            (-1, 0, 1, 2, 3, 3, 5, 6, 3, 8, 9, 0, 11, 12, 13, 14, 0, 16, 17, 18, 19),
            metres_per_unit=0.001,
        ),
    )
}


def check_tree(joints: Sequence[Any], parents: Sequence[Any]) -> None:
    """Raise ValueError unless joints have names and each a parent (-1: none), and none is its own ancestor."""
    if not joints or not all(isinstance(name, str) for name in joints):
        raise ValueError("the joints have no names")
    if len(parents) != len(joints) or not all(type(parent) is int and -1 <= parent < len(joints) for parent in parents):
        raise ValueError(f"the parents of {len(joints)} joints are not as many numbers from -1 to {len(joints) - 1}")
    rooted = {-1}
    for joint in range(len(joints)):
        above: set[int] = set()
        while joint not in rooted and joint not in above:
            above.add(joint)
            joint = parents[joint]
        if joint not in rooted:
            raise ValueError(f"the joint {joints[joint][:80]} is its own ancestor")
        rooted |= above
