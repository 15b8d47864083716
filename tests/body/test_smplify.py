"""The published objective, term by term against its golden numbers, and the fit that minimises it."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from body.fit import smplify
from tests.benchmarks.body_fit import golden_body
from tests.body.test_fitting import person_of, posed
from utils.run.errors import DataError, NumericError

LEAVES = ("body_pose", "betas", "global_orient", "camera_t")


@pytest.fixture(scope="module")
def record(golden: Path) -> dict[str, torch.Tensor]:
    with np.load(golden / "mesh" / "smplify_terms.npz") as packed:
        return {name: torch.as_tensor(values) for name, values in packed.items()}


@pytest.fixture(scope="module")
def model(golden: Path):
    return golden_body(golden / "mesh" / "smpl_like_body.npz")


def close(found: torch.Tensor | None, wanted: torch.Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=atol)


def prior_of(record: dict[str, torch.Tensor]) -> smplify.Mixture:
    return smplify.mixture(record["gmm_means"], record["gmm_covars"], record["gmm_weights"])


def test_single_terms(record: dict[str, torch.Tensor]):
    prior = prior_of(record)
    close(prior.log_weights.exp()[None], record["gmm_nll_weights"])
    close(smplify.pose_term(record["body_pose"], prior), record["gmm_prior"])
    close(smplify.angle_term(record["body_pose"]), record["angle_prior"])
    close(smplify.gmof(record["gmof_x"], 100.0), record["gmof_sigma100"])


@pytest.mark.parametrize(("confidence", "joints"), [("ones", "term_joint"), ("foot", "term_joint_foot")])
def test_second_stage(record: dict[str, torch.Tensor], model, confidence: str, joints: str):
    pose, betas, orient, camera = (record[name].reshape(5, -1).clone().requires_grad_() for name in LEAVES)
    terms = smplify.body_terms(
        smplify.joints_at(model, pose, betas, orient),
        camera,
        record["j3d"],
        record[f"conf_{confidence}"],
        pose,
        record["preserve_pose"],
        betas,
        prior_of(record),
    )
    names = {"joints": joints, "pose": "term_pose_prior", "angle": "term_angle"}
    names |= {"shape": "term_shape", "preserve": "term_preserve"}
    for name, told in names.items():
        close(getattr(terms, name).detach(), record[told])
    terms.total.backward()
    close(terms.total.detach().double(), record[f"total_lbfgs_{confidence}"])
    for name, leaf in zip(LEAVES, (pose, betas, orient, camera), strict=True):
        wanted = record[f"grad_lbfgs_{confidence}_{name}"].reshape(5, -1)
        close(leaf.grad, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_first_stage(record: dict[str, torch.Tensor], model):
    orient, camera = (record[name].reshape(5, -1).clone().requires_grad_() for name in LEAVES[2:])
    joints = smplify.joints_at(model, record["body_pose"], record["betas"], orient)
    close(joints.detach(), record["model_joints"])
    started = smplify.start_translation(joints.detach(), record["j3d"])
    close(started, record["guess_init_t"])
    loss = smplify.camera_loss(joints, camera, started, record["j3d"])
    loss.backward()
    close(loss.detach().double(), record["camera_loss"])
    for name, leaf in (("global_orient", orient), ("camera_t", camera)):
        wanted = record[f"camera_grad_{name}"].reshape(5, -1)
        close(leaf.grad, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_a_fit(model):
    motion = posed(model.shaped(), frames=2)
    fitted = smplify.fit(person_of(motion), model, iterations=8)
    report = fitted.meta["report"]
    assert report["mean_error_mm"] < 40
    assert fitted.meta["evaluations"] > 15
    assert "published objective" in fitted.meta["note"] and "our own prior" in fitted.meta["note"]
    assert fitted.rotations.shape == (2, 24, 3, 3) and np.isfinite(fitted.root).all()


def test_more_iterations_fit_better(model):
    person = person_of(posed(model.shaped(), frames=2))
    errors = [smplify.fit(person, model, count).meta["report"]["mean_error_mm"] for count in (1, 5)]
    assert errors[1] < errors[0]


def test_a_missing_joint_is_not_met(model):
    person = person_of(posed(model.shaped(), frames=2))
    person.confidence[:, 10:12] = 0
    wanted = smplify.fit(person, model, 3)
    person.motion.positions[:, 10:12] = np.nan
    np.testing.assert_array_equal(smplify.fit(person, model, 3).root, wanted.root)


def test_a_prior_of_the_users_own(record: dict[str, torch.Tensor], tmp_path: Path):
    path = tmp_path / "gmm_08.pkl"
    content = {"means": record["gmm_means"], "covars": record["gmm_covars"], "weights": record["gmm_weights"]}
    path.write_bytes(pickle.dumps({name: values.numpy() for name, values in content.items()}))
    read, wanted = smplify.read_mixture(path), prior_of(record)
    close(read.means, wanted.means)
    close(read.log_weights, wanted.log_weights, atol=1e-4)
    for spoilt in ({"means": np.zeros((8, 69))}, {**content, "means": np.zeros((8, 5))}, [1, 2]):
        path.write_bytes(pickle.dumps(spoilt))
        with pytest.raises(DataError, match=r"gmm_08\.pkl"):
            smplify.read_mixture(path)


def test_nan_is_refused(model):
    person = person_of(posed(model.shaped(), frames=2))
    person.motion.positions[1, 3] = np.nan
    with pytest.raises(NumericError, match="1 frames, the first of them 1"):
        smplify.fit(person, model, 1)
