"""A diffusion prior of poses: trained by the one loop, sampled by the one loop, known joints kept to the bit."""

import numpy as np
import pytest
import torch

from data_loaders.poses.folder import write_samples
from model.poses.diffusion import PoseDenoiser, load_pose_denoiser
from model.poses.pose_ndf import canonical
from sample.posing.diffusion import sampled
from tests.commands import listing, refusal, run
from tests.model.test_pose_ndf import some_poses
from tests.sample.test_poses import SMALL, calm, loaded, model, quaternions  # noqa: F401
from utils.geometry.rotations import axis_angle_to_quaternion

TRAINING = "--prior diffusion --num_steps 60 --train_batch_size 32 --lr 3e-3 --warmup_steps 5 --save_interval 60"


def bent(count: int) -> torch.Tensor:
    """Poses [N, 21, 4] of two kinds: the left elbow turned by 1 or by -1 radian about y; all else nearly still."""
    turns = 0.02 * torch.randn(count, 21, 3, generator=torch.Generator().manual_seed(0))
    turns[:, 17, 1] = torch.where(torch.arange(count) % 2 == 0, 1.0, -1.0)
    return canonical(axis_angle_to_quaternion(turns))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diffusion")
    poses = bent(128)
    write_samples(folder / "poses" / "samples" / "train" / "a.npz", poses, poses[:, 0])
    run("train.train_posendf", "--poses", folder / "poses", "--save_dir", folder / "run", TRAINING, SMALL)
    return folder / "run"


def test_numbers_and_poses_there_and_back():
    """Also for poses that the network was not trained on, and for a number that never moves."""
    network = PoseDenoiser(bent(16))
    torch.testing.assert_close(
        network.to_poses(network.to_model(some_poses(5))), canonical(some_poses(5)), atol=1e-4, rtol=0
    )
    seen = PoseDenoiser(bent(400)).to_model(bent(400))
    assert seen.mean().abs() < 1e-4 and abs(float(seen[:, 0, 6 * 17 + 2].std()) - 1) < 0.05


def test_what_is_sampled_is_like_what_it_was_trained_on(trained):
    """The elbow bends to either side and not between; a pose depends on the seed and its number alone."""
    network = load_pose_denoiser(trained)
    poses = sampled(network, 24, seed=1)
    torch.testing.assert_close(poses.norm(dim=-1), torch.ones(24, 21))
    elbow = 2 * torch.asin(poses[:, 17, 2].clamp(-1, 1))
    assert (elbow > 0.5).any() and (elbow < -0.5).any() and float((elbow.abs() - 1).abs().median()) < 0.4
    torch.testing.assert_close(sampled(network, 3, seed=1), poses[:3], atol=1e-4, rtol=0)
    assert float((sampled(network, 3, seed=2) - poses[:3]).abs().max()) > 1e-3


def test_known_joints_are_kept_and_decide_the_others(trained):
    """To the bit; what was never seen with a bent elbow does not follow it."""
    known = bent(8)
    mask = torch.ones(8, 21, dtype=torch.bool)
    mask[:, 17] = False
    made = sampled(load_pose_denoiser(trained), 8, 0, known, mask)
    assert torch.equal(made[mask], known[mask])
    assert float((made[~mask] - known[~mask]).abs().max()) > 1e-3


def test_generated_by_the_command(model, trained, tmp_path):  # noqa: F811
    flags = "--prior diffusion --num_samples 6 --body free --output_dir"
    run("sample.poses", "--model_path", model, SMALL, "--diffusion_path", trained, flags, tmp_path / "out")
    found = loaded(tmp_path / "out" / "poses.npz")
    wanted = sampled(load_pose_denoiser(trained), 6, 0)
    np.testing.assert_allclose(found["pose_body"], wanted, atol=1e-6)
    assert (found["distance"] == found["distance_before"]).all() and "steps" not in found


@pytest.mark.parametrize(
    ("code", "said", "flags"),
    [
        (2, "go together", "generate --prior diffusion"),
        (2, "go together", "generate --diffusion_path {run}"),
        (2, "--task project asks Pose-NDF", "project --prior diffusion --diffusion_path {run} --input_path {poses}"),
        (2, "begins with noise", "generate --prior diffusion --diffusion_path {run} --input_path {poses}"),
        (2, "--keep_steps", "generate --prior diffusion --diffusion_path {run} --keep_steps"),
        (3, "nowhere does not exist", "generate --prior diffusion --diffusion_path nowhere"),
        (4, "is no diffusion prior", "generate --prior diffusion --diffusion_path {model}"),
    ],
)
def test_lines_that_are_refused(model, trained, tmp_path, capsys, code, said, flags):  # noqa: F811
    places = {"run": trained, "poses": quaternions(tmp_path / "poses.npz", calm(2)), "model": model}
    before = listing(tmp_path)
    line = flags.format(**places).split()
    assert said in refusal(
        capsys, code, "sample.poses", *line, "--model_path", model, SMALL, "--output_dir", tmp_path / "o"
    )
    assert listing(tmp_path) == before
