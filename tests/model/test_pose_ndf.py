"""Pose-NDF: the published numbers with both lists of parents, and that the sign of a quaternion does not matter."""

import dataclasses
from pathlib import Path

import pytest
import torch

from model.options import PoseNDFOptions
from model.poses.pose_ndf import JOINTS, PARENTS, PoseNDF, value_and_gradient
from tests.published import tensors
from utils.run.errors import UsageError

TINY = PoseNDFOptions(dims="32,16", parents="published")
ACTS = ("softplus", "lrelu")


def tiny(golden: Path, act: str = "softplus", parents: str = "published") -> tuple[PoseNDF, dict[str, torch.Tensor]]:
    """The small network that the golden numbers were made with, and those numbers."""
    record = tensors(golden / "posendf" / f"net_{act}.npz")
    network = PoseNDF(dataclasses.replace(TINY, act=act, parents=parents))
    network.load_state_dict({name[2:]: value for name, value in record.items() if name.startswith("w/")})
    return network.eval(), record


def some_poses(count: int, seed: int = 0) -> torch.Tensor:
    """Random rotations [N, 21, 4] of both signs."""
    draws = torch.randn(count, len(JOINTS), 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(draws, dim=-1)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("parents", "which"), [("published", ""), ("right", "_true_parents")])
def test_published_numbers(golden, act, parents, which):
    network, record = tiny(golden, act, parents)
    features = network.enc(record["quats"])
    torch.testing.assert_close(features, record["enc_features" + which], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(network(record["quats"]), record["dist" + which][:, 0], atol=0, rtol=1e-5)


@pytest.mark.parametrize("act", ACTS)
def test_published_gradients(golden, act):
    network, record = tiny(golden, act)
    value, gradient = value_and_gradient(network, record["quats"])
    torch.testing.assert_close(value, record["dist"][:, 0], atol=0, rtol=1e-5)
    torch.testing.assert_close(gradient, record["grad_quats"], atol=1e-6, rtol=1e-4)
    assert not value.requires_grad and not record["quats"].requires_grad


def test_both_lists_of_parents(golden):
    record = tensors(golden / "posendf" / "net_softplus.npz")
    assert PARENTS["published"] == tuple(record["parent_mapping_legacy"].tolist())
    assert PARENTS["right"] == tuple(record["parent_mapping_true"].tolist())
    assert JOINTS[PARENTS["right"][JOINTS.index("left_knee")]] == "left_hip"


@pytest.mark.parametrize("parents", PARENTS)
def test_a_joint_hears_of_its_ancestors_only(parents):
    """Joints of one level are computed together: none reads another's features by mistake."""
    torch.manual_seed(0)
    network, poses = PoseNDF(dataclasses.replace(TINY, parents=parents, beta=1.0)).double(), some_poses(1).double()
    before = network.enc(poses).view(21, 6)
    for joint in range(21):
        turned = poses.clone()
        turned[:, joint] = some_poses(1, joint + 1)[:, joint].double()
        changed = (network.enc(turned).view(21, 6) != before).any(-1)
        for other in range(21):
            above = other
            while above >= 0 and above != joint:
                above = PARENTS[parents][above]
            assert bool(changed[other]) == (above == joint), (JOINTS[joint], JOINTS[other])


def test_the_sign_of_a_quaternion_does_not_matter(golden):
    network, _ = tiny(golden)
    poses = some_poses(16)
    signs = torch.where(torch.rand(16, 21, 1, generator=torch.Generator().manual_seed(1)) < 0.5, -1.0, 1.0)
    value, gradient = value_and_gradient(network, poses)
    other, turned = value_and_gradient(network, signs * poses)
    assert torch.equal(value, other) and torch.equal(gradient, signs * turned)


def test_no_distance_is_negative_and_the_default_is_of_the_published_size():
    network = PoseNDF(PoseNDFOptions())
    assert sum(weight.numel() for weight in network.enc.parameters()) == 3516
    assert sum(weight.numel() for weight in network.dfnet.parameters()) == 1_362_049
    for act in ("softplus", "relu", "lrelu"):
        assert (PoseNDF(dataclasses.replace(TINY, act=act))(some_poses(32)) >= 0).all()


@pytest.mark.parametrize("dims", ["", "32;16", "32,-1", "0", "1e3"])
def test_widths_that_are_none(dims):
    with pytest.raises(UsageError, match="--dims"):
        PoseNDF(dataclasses.replace(TINY, dims=dims))
