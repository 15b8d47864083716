"""Joint rotations as features: the published rows, joints and translation, and the free body they are shown on."""

import numpy as np
import pytest
import torch

from data_loaders.registry import dataset_spec
from data_loaders.representations import rot6d
from tests.published import tensors
from utils.geometry.kinematics import forward
from utils.geometry.rest import offsets_of, rest_joints, rest_offsets
from utils.geometry.rotations import axis_angle_to_matrix
from utils.geometry.skeleton import SKELETONS

BODY = SKELETONS["smpl24"]


def some_poses(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses [..., 24, 3] and translations [..., 3]."""
    draws = torch.Generator().manual_seed(3)
    return torch.randn(*shape, 24, 3, generator=draws), torch.randn(*shape, 3, generator=draws)


def test_rows_are_the_published_ones(golden):
    record = tensors(golden / "mdm" / "conversions.npz")
    poses = record["axis_angle"].repeat(2, 1)
    features = rot6d.encode(poses, torch.tensor((1.0, 2.0, 3.0)))
    rows = record["aa_to_matrix"][:, :2].flatten(1).repeat(2, 1)
    torch.testing.assert_close(features.view(25, 6)[:24], rows, atol=2e-6, rtol=0)
    assert features[144:].tolist() == [1, 2, 3, 0, 0, 0]
    turned = rot6d.rotations(torch.cat([record["d6"].repeat(2, 1).flatten(), torch.zeros(6)]))
    torch.testing.assert_close(turned, record["rows6d_to_matrix"].repeat(2, 1, 1), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("root", "recorded"), [("centred", "joints_no_trans"), ("moving", "joints_trans")])
def test_published_joints(golden, root, recorded):
    record = tensors(golden / "mdm" / "losses_smpl.npz")
    features = record["smpl/x0"].movedim(-1, 1).flatten(2)
    assert record["smpl/parents"].tolist() == list(BODY.parents)
    joints = rot6d.decode(features, offsets_of(record["smpl/rest_joints"]), root)
    torch.testing.assert_close(joints, record[f"smpl/{recorded}"].movedim(-1, 1), atol=2e-6, rtol=0)


def test_encoding_loses_nothing():
    poses, path = some_poses(2, 7)
    features = rot6d.encode(poses, path)
    assert features.shape == (2, 7, 150) == (2, 7, dataset_spec("humanact12").features)
    assert features.dtype == torch.float32
    torch.testing.assert_close(rot6d.rotations(features), axis_angle_to_matrix(poses), atol=2e-6, rtol=0)
    expected, _ = forward(axis_angle_to_matrix(poses), rest_offsets(), BODY.parents, path - path[:, :1])
    torch.testing.assert_close(rot6d.decode(features, rest_offsets()), expected, atol=5e-6, rtol=0)


def test_the_root_moves_or_stays():
    poses, path = some_poses(5)
    features = rot6d.encode(poses, path)
    centred, moving = (rot6d.decode(features, rest_offsets(), root) for root in ("centred", "moving"))
    assert not centred[:, 0].any()
    torch.testing.assert_close(moving[:, 0], path - path[0])
    torch.testing.assert_close(moving - moving[:, :1], centred, atol=1e-6, rtol=0)


def test_rest_pose():
    rest = rest_joints()
    assert rest.shape == (24, 3) and not rest[0].any() and not rest_offsets()[0].any()
    torch.testing.assert_close(rest[list(BODY.mirror)] * torch.tensor((-1.0, 1, 1)), rest)
    still = rot6d.decode(rot6d.encode(torch.zeros(1, 24, 3), torch.zeros(1, 3)), rest_offsets())
    torch.testing.assert_close(still[0], rest)
    left, top = BODY.index("left_wrist"), BODY.index("head")
    assert rest[left, 0] > 0.6 and rest[top, 1] > 0.6, "the left side on +x, the head up"
    for foot in ("left_foot", "right_foot"):
        toe = BODY.index(foot)
        assert rest[toe, 1] < -0.8 and rest[toe, 2] > rest[BODY.parents[toe], 2], "the toes to the front"
    np.testing.assert_allclose(torch.linalg.vector_norm(rest_offsets()[[4, 7, 18, 20]], dim=-1), [
        0.3947, 0.4077, 0.242, 0.239,
    ], atol=1e-3)  # fmt: skip


def test_upright_is_half_a_turn():
    points, _ = some_poses(4)
    turn = axis_angle_to_matrix(torch.tensor((torch.pi, 0, 0)))
    torch.testing.assert_close(rot6d.upright(points), points @ turn.T, atol=1e-6, rtol=0)
