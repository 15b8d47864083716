"""A learned prior in the fit of a body: its slope, the bound that steps rely on, and what it fills in."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from body.fit import solver as body_solver
from body.fit.fitting import fit
from body.fit.plausible import BEND, distance_and_slope
from body.from_joints import learned_prior
from body.models import BodyModel, load_body
from body.options import BodyOptions
from tests.body.test_fitting import person_of, posed, with_rotations
from utils.geometry.body import joints_of
from utils.geometry.rotations import axis_angle_to_matrix, matrix_to_quaternion
from utils.run.errors import MissingFileError, UsageError

LEFT_ARM = (18, 20)


class Nearest(nn.Module):
    """What Pose-NDF is taught: the distance to the nearest of some poses [N, 21, 4]."""

    def __init__(self, known: Tensor):
        super().__init__()
        self.known = nn.Parameter(known)

    def forward(self, poses: Tensor) -> Tensor:
        return (1 - (poses[:, None] * self.known).sum(-1).abs()).mean(-1).amin(-1)


@pytest.fixture(scope="module")
def free() -> BodyModel:
    return load_body("free")


def rotations(frames: int, seed: int, radians: float = 0.5) -> Tensor:
    draws = torch.randn(frames, 24, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return axis_angle_to_matrix(radians * draws)


def test_the_slope_is_that_of_the_distance():
    network, at, way = Nearest(matrix_to_quaternion(rotations(3, 0)[:, 1:22])), rotations(5, 1), 1e-6
    turn = torch.randn(5, 24, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    _, slopes = distance_and_slope(network, at)
    there, back = (distance_and_slope(network, at @ axis_angle_to_matrix(sign * way * turn))[0] for sign in (1, -1))
    torch.testing.assert_close((there - back) / (2 * way), (slopes * turn).sum((1, 2)), rtol=1e-5, atol=1e-9)
    assert not slopes[:, [0, 22, 23]].any(), "the prior knows nothing of root and hands"


def test_the_bound_is_above_and_touches():
    """d + slope . w + BEND |w|^2 / 2 is nowhere below the distance, and hardly above it where one pose is known."""
    several, one = (Nearest(matrix_to_quaternion(rotations(count, 0)[:, 1:22])) for count in (6, 1))
    turn = torch.zeros(200, 24, 3, dtype=torch.float64)
    turn[:, 1:22] = 0.3 * torch.randn(200, 21, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for network, tight in ((several, False), (one, True)):
        at = rotations(1, 0).expand(200, 24, 3, 3) @ axis_angle_to_matrix(0.2 * turn.roll(1, 0))
        near, slopes = distance_and_slope(network, at)
        bound = near + (slopes * turn).sum((1, 2)) + BEND / 2 * turn.square().sum((1, 2))
        found = distance_and_slope(network, at @ axis_angle_to_matrix(turn))[0]
        assert (bound > found - 1e-4).all()
        assert not tight or float((bound - found).abs().max()) < 0.05 * float(found.mean())


def test_a_missing_arm_is_where_plausible_poses_have_it(free: BodyModel):
    motion = posed(free.shaped())
    known = matrix_to_quaternion(torch.from_numpy(motion.rotations[:, 1:22]).double())
    person = person_of(motion)
    person.confidence[:, LEFT_ARM] = 0
    wanted = joints_of(motion)[0]

    def away(network: nn.Module | None) -> float:
        joints = joints_of(fit(person, free, resize=True, network=network))[0]
        return float(np.linalg.norm((joints - wanted)[:, LEFT_ARM], axis=-1).mean())

    assert away(Nearest(known)) < 0.5 * away(None)


def test_steps_know_the_prior(free: BodyModel, monkeypatch: pytest.MonkeyPatch):
    """The gradient that the solver uses, against differences of the sum, prior included."""
    caught: list[tuple[body_solver.Problem, body_solver.State]] = []

    def catch(problem: body_solver.Problem, state: body_solver.State) -> tuple[body_solver.State, int]:
        caught.append((problem, state))
        return state, 0

    monkeypatch.setattr("body.fit.windows.solve", catch)
    network = Nearest(matrix_to_quaternion(rotations(3, 0)[:, 1:22]))
    fit(person_of(posed(free.shaped(), frames=3)), free, resize=True, network=network)
    ((problem, state),) = caught
    errors = body_solver.errors_of(problem, state)
    assert float((problem.plausible * errors.far).mean()) > 1  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
    gradient = body_solver.normal_equations(problem, state, errors)[4]
    along = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    still = torch.zeros(len(problem.precision), dtype=torch.float64)
    moved = [body_solver.moved(problem, state, way * along, still) for way in (1e-6, -1e-6)]
    there, back = (body_solver.cost_of(problem, each, body_solver.errors_of(problem, each)) for each in moved)
    assert (there - back) / 2e-6 == pytest.approx(2 * float((gradient * along).sum()), rel=1e-4)


def test_recorded_rotations_need_no_prior(free: BodyModel):
    motion = posed(free.shaped(), frames=4)
    person = with_rotations(motion)
    network = Nearest(matrix_to_quaternion(rotations(3, 0)[:, 1:22]))
    fitted = [fit(person, free, network=each).rotations for each in (None, network)]
    np.testing.assert_array_equal(*fitted)


def test_what_is_refused(tmp_path):
    assert learned_prior(BodyOptions()) is None
    with pytest.raises(MissingFileError, match="--prior_path"):
        learned_prior(BodyOptions(pose_prior="ndf", prior_path=str(tmp_path / "none")))
    for other in ({"fit": "smplify"}, {"body": "capsules"}):
        with pytest.raises(UsageError, match="--pose_prior ndf"):
            learned_prior(BodyOptions(pose_prior="ndf", **other))
