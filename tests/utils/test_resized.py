"""A body whose joints were moved: its flesh follows, and what was not moved stays as it was."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from body.models import load_body
from utils.geometry.body import Body, resized
from utils.run.errors import DataError


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("free").shaped()


def rebuilt(body: Body, factor: Callable[[str], float | tuple[float, float, float]]) -> np.ndarray:
    """Rest joints [K, 3] with the offset of each joint multiplied."""
    rest = body.rest.copy()
    for joint, parent in enumerate(body.parents):
        if parent >= 0:
            rest[joint] = rest[parent] + body.offsets[joint] * factor(body.joints[joint])
    return rest


def flesh(body: Body, *joints: str) -> np.ndarray:
    """The vertices [V] that only these joints move."""
    return body.weights[:, [body.joints.index(joint) for joint in joints]].sum(1) > 0.999


def girth(body: Body, vertices: np.ndarray, joint: str, child: str) -> float:
    """Mean distance of vertices from a bone."""
    start, end = (body.rest[body.joints.index(name)] for name in (joint, child))
    way = (end - start) / np.linalg.norm(end - start)
    aside = body.vertices[vertices] - start
    return float(np.linalg.norm(aside - (aside @ way)[:, None] * way, axis=1).mean())


def test_its_own_rest_changes_nothing(body: Body):
    assert np.abs(resized(body, body.rest).vertices - body.vertices).max() < 1e-6


def test_a_similar_body_is_similar(body: Body):
    moved = resized(body, body.rest * 0.7 + (1, 2, 3))
    assert np.abs(moved.vertices - (body.vertices * 0.7 + np.float32([1, 2, 3]))).max() < 1e-5
    assert np.abs(moved.rest - (body.rest * 0.7 + (1, 2, 3))).max() < 1e-6


def test_there_and_back(body: Body):
    rest = rebuilt(body, lambda name: 1.15 if name.endswith(("knee", "ankle", "elbow")) else 1)
    back = resized(resized(body, rest), body.rest)
    assert np.abs(back.vertices - body.vertices).max() < 0.006


def test_longer_legs_are_longer_and_no_thicker(body: Body):
    long = resized(body, rebuilt(body, lambda name: 1.3 if name.endswith(("knee", "ankle")) else 1))
    added = 0.3 * (np.linalg.norm(body.offsets[4]) + np.linalg.norm(body.offsets[7]))
    assert np.ptp(long.vertices[:, 1]) - np.ptp(body.vertices[:, 1]) == pytest.approx(added, rel=0.02)
    shin = flesh(body, "left_knee")
    assert girth(long, shin, "left_knee", "left_ankle") == pytest.approx(
        girth(body, shin, "left_knee", "left_ankle"), rel=0.01
    )
    upper = flesh(body, "spine1", "spine2", "spine3", "neck", "head", "left_shoulder", "left_elbow", "left_wrist")
    assert np.abs(long.vertices - body.vertices)[upper].max() < 1e-5
    foot = flesh(body, "left_ankle", "left_foot")
    assert np.ptp((long.vertices - body.vertices)[foot], axis=0).max() < 1e-5


def test_wider_hips_widen_the_pelvis_and_leave_the_shoulders(body: Body):
    wide = resized(body, rebuilt(body, lambda name: (1.5, 1, 1) if name.endswith("hip") else 1))
    low = body.weights[:, 0] > 0.9
    assert np.ptp(wide.vertices[low, 0]) > 1.25 * np.ptp(body.vertices[low, 0])
    chest = flesh(body, "spine3", "neck", "head") & (body.vertices[:, 1] > body.rest[16, 1])
    assert np.abs(wide.vertices - body.vertices)[chest].max() < 0.003


def test_raised_shoulders_lift_what_joins_them_to_the_trunk(body: Body):
    rest = body.rest.copy()
    arm = [body.joints.index(f"left_{name}") for name in ("shoulder", "elbow", "wrist", "hand")]
    rest[arm] += (0, 0.04, 0)
    lifted = (resized(body, rest).vertices - body.vertices)[:, 1]
    assert lifted[body.weights[:, arm].sum(1) > 0.999].min() > 0.039
    assert lifted[body.weights[:, body.joints.index("left_collar")] > 0.4].mean() > 0.02
    assert np.abs(lifted[body.weights[:, body.joints.index("right_collar")] > 0.4]).max() < 0.01


def test_pivots_of_the_spine_drag_no_flesh(body: Body):
    rest = body.rest.copy()
    for name in ("spine1", "spine2", "spine3"):
        rest[body.joints.index(name)] += (0, -0.04, 0.03)
    assert np.abs(resized(body, rest).vertices - body.vertices).max() < 1e-6


def test_soles_stay_level_when_the_foot_joint_is_lower(body: Body):
    rest = body.rest.copy()
    for name in ("left_foot", "right_foot"):
        rest[body.joints.index(name)] += (0, -0.02, 0.02)
    moved = resized(body, rest)
    sole = flesh(body, "left_ankle", "left_foot") & (body.vertices[:, 1] < body.vertices[:, 1].min() + 0.004)
    heel = sole & (body.vertices[:, 2] < -0.09)
    toes = sole & (body.vertices[:, 2] > 0.06)
    tilt = moved.vertices[heel, 1].mean() - moved.vertices[toes, 1].mean()
    assert abs(tilt - body.vertices[heel, 1].mean() + body.vertices[toes, 1].mean()) < 0.004


def test_an_arm_that_hangs_is_turned_not_sheared(body: Body):
    rest = body.rest.copy()
    shoulder = body.rest[16]
    cos, sin = np.cos(0.8), np.sin(0.8)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    for name in ("left_elbow", "left_wrist", "left_hand"):
        joint = body.joints.index(name)
        rest[joint] = shoulder + turn @ (body.rest[joint] - shoulder)
    moved = resized(body, rest)
    arm = flesh(body, "left_elbow", "left_wrist", "left_hand")
    wanted = shoulder + (body.vertices[arm] - shoulder) @ turn.T
    assert np.abs(moved.vertices[arm] - wanted).max() < 1e-5


def test_what_cannot_be_resized(body: Body):
    with pytest.raises(DataError, match="only bodies with SMPL's joints"):
        resized(replace(body, joints=tuple(f"j{k}" for k in range(24))), body.rest)
    with pytest.raises(DataError, match="24 joints needs as many finite places"):
        resized(body, body.rest[:22])
    with pytest.raises(DataError, match="NaN"):
        resized(body, np.full_like(body.rest, np.nan))
    with pytest.raises(DataError, match="without length"):
        resized(body, np.zeros_like(body.rest))
    rest = body.rest.copy()
    rest[15] = rest[12]
    with pytest.raises(DataError, match="from neck to head has no length"):
        resized(body, rest)
