"""Names of other programs: readers that know these programs find SMPL's joints in them again."""

import pytest

from utils.geometry.human import joints_named
from utils.geometry.joint_names import SCHEMES, renamed
from utils.geometry.skeleton import SKELETONS

SMPL24 = SKELETONS["smpl24"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_named_joints_are_found_again(scheme: str):
    names = renamed(SMPL24.joints, scheme)
    assert len(set(names)) == 24 and not set(names) & {"left_hip", "pelvis2", "left_hand"}
    _, found = joints_named(names)
    assert found == {joint: [number] for number, joint in enumerate(SMPL24.joints[:22])}


def test_what_is_no_joint_of_smpl_keeps_its_name():
    assert renamed(("left_knee", "tail"), "unreal") == ("calf_l", "tail")
