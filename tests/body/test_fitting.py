"""The fit of a body: it finds poses that the body took, whichever way it faces, and leaves alone what is not seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from body.fit import solver as body_solver
from body.fit.fitting import fit
from body.fit.pose_prior import hinge_angles, pose_prior
from body.fit.start import start_pose
from body.models import BodyModel, load_body
from tests.benchmarks.body_fit import golden_body
from tests.benchmarks.body_fit_quality import FEET, asked, test_clips
from utils.geometry.body import Body, BodyMotion, joints_of, resized
from utils.geometry.contacts import sliding
from utils.geometry.joint_maps import Fittable
from utils.geometry.kinematics import forward
from utils.geometry.motion import Motion
from utils.geometry.rotations import about_axis, axis_angle_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, NumericError

test_clips.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]
SMPL22, SMPL24 = SKELETONS["smpl22"], SKELETONS["smpl24"]
TIPS = (10, 11, 15, 20, 21, 22, 23)  # what turns there is not seen


def posed(body: Body, frames: int = 12, fps: float = 30.0, yaw: float = 0.0) -> BodyMotion:
    """A body that goes at 1 m/s and moves all its joints within their ranges; tips rest."""
    prior = pose_prior(torch.as_tensor(body.offsets))
    draws = np.random.RandomState(1)
    seconds = np.arange(frames)[:, None, None] / fps
    part = 0.35 + 0.25 * np.sin(3 * seconds + draws.uniform(0, 6, (1, 24, 3)))
    low, high = prior.low.numpy(), prior.high.numpy()
    angles = low + part * (high - low)
    angles = np.where(prior.hinge.numpy(), angles, 0.5 * angles)
    angles[:, TIPS] = 0
    angles[:, 0] = 0
    local = axis_angle_to_matrix(torch.from_numpy(angles))
    turn = about_axis("Y", torch.tensor(yaw, dtype=torch.float64))
    local[:, 0] = turn @ local[:, 0]
    root = np.stack([0 * seconds, 0 * seconds + 0.95, seconds], -1).reshape(frames, 3) @ turn.numpy().T
    return BodyMotion(body, local.float().numpy(), root.astype(np.float32), fps, "posed")


def person_of(motion: BodyMotion) -> Fittable:
    positions = joints_of(motion)[0][:, :22]
    clip = Motion(positions, motion.fps, SMPL22.joints, SMPL22.parents, name=motion.name)
    return Fittable(clip, np.ones(positions.shape[:2], np.float32))


def with_rotations(motion: BodyMotion) -> Fittable:
    person = person_of(motion)
    return replace(person, motion=replace(person.motion, rotations=motion.rotations[:, :22]))


def errors(fitted: BodyMotion, positions: np.ndarray) -> np.ndarray:
    return 1000 * np.linalg.norm(joints_of(fitted)[0][:, :22] - positions, axis=-1)


@pytest.fixture(scope="module")
def free() -> BodyModel:
    return load_body("free")


@pytest.fixture(scope="module")
def synthetic(golden: Path) -> BodyModel:
    return golden_body(golden / "mesh" / "smpl_like_body.npz")


@pytest.mark.parametrize("yaw", [0.0, np.pi / 2, np.pi, -2.5])
@pytest.mark.parametrize("resize", [False, True])
def test_a_body_finds_its_own_poses(free: BodyModel, yaw: float, resize: bool):
    person = person_of(posed(free.shaped(), yaw=yaw))
    fitted = fit(person, free, resize=resize)
    found = errors(fitted, person.motion.positions)
    assert found.mean() < 1.5 and found.max() < 8
    report = fitted.meta["report"]
    assert report["mean_error_mm"] == pytest.approx(found.mean(), abs=0.01)
    assert report["max_error_mm"] == pytest.approx(found.max(), abs=0.05)


def test_one_shape_is_found(synthetic: BodyModel):
    betas = np.array([1.0, -1.5, 0.5], np.float32)
    person = person_of(posed(synthetic.shaped(betas), frames=20))
    fitted = fit(person, synthetic)
    assert errors(fitted, person.motion.positions).mean() < 2
    np.testing.assert_allclose(fitted.meta["betas"][:2], betas[:2], atol=0.35)
    np.testing.assert_allclose(fitted.body.rest, synthetic.shaped(fitted.meta["betas"]).rest, atol=1e-5)


def test_a_body_takes_the_proportions_of_a_person(free: BodyModel):
    body = free.shaped()
    rest = body.rest * np.array([1.2, 1.1, 1.0], np.float32)
    person = person_of(posed(resized(body, rest), frames=20))
    fitted = fit(person, free)
    assert fitted.meta["betas"] is None
    assert errors(fitted, person.motion.positions).mean() < 1.5
    lengths = [np.linalg.norm(each, axis=-1)[1:20] for each in (fitted.body.offsets, rest - rest[list(SMPL24.parents)])]
    limbs = [joint - 1 for joint in (4, 5, 7, 8, 18, 19)]
    np.testing.assert_allclose(lengths[0][limbs], lengths[1][limbs], rtol=0.01)


def test_moving_and_turning_the_person_moves_and_turns_the_body(free: BodyModel):
    person = person_of(posed(free.shaped(), frames=6))
    turn = about_axis("Y", torch.tensor(2.9)).numpy()
    there = person.motion.positions @ turn.T + np.array([3.0, 0.0, -2.0], np.float32)
    moved = replace(person, motion=replace(person.motion, positions=there.astype(np.float32)))
    one, other = fit(person, free), fit(moved, free)
    np.testing.assert_allclose(joints_of(one)[0] @ turn.T + (3.0, 0.0, -2.0), joints_of(other)[0], atol=1e-3)
    np.testing.assert_allclose(turn @ one.rotations[:, 0], other.rotations[:, 0], atol=2e-3)
    np.testing.assert_allclose(one.rotations[:, 1:], other.rotations[:, 1:], atol=5e-3)


def test_the_same_clip_gives_the_same_body(free: BodyModel):
    person = person_of(posed(free.shaped(), frames=5))
    one, other = fit(person, free), fit(person, free)
    np.testing.assert_array_equal(one.rotations, other.rotations)
    np.testing.assert_array_equal(one.root, other.root)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("resize", [False, True])
def test_short_clips(free: BodyModel, frames: int, resize: bool):
    person = person_of(posed(free.shaped(), frames=frames))
    assert errors(fit(person, free, resize=resize), person.motion.positions).mean() < 2


def test_missing_joints_do_not_count(free: BodyModel):
    person = person_of(posed(free.shaped()))
    truth = person.motion.positions.copy()
    missing = [3, 6, 9, 10, 11, 13, 14]  # spine, feet and collars
    person.confidence[:, missing] = 0
    fitted = fit(person, free, resize=False)
    person.motion.positions[:, missing] = np.nan
    again = fit(person, free, resize=False)
    np.testing.assert_array_equal(fitted.rotations, again.rotations)
    found = errors(fitted, truth).mean(0)
    assert found[[0, 1, 2, 4, 5, 7, 8, 12, 15, 16, 17, 18, 19, 20, 21]].max() < 5
    assert found[missing].max() < 60
    assert set(fitted.meta["report"]["joint_error_mm"]) == {
        name for joint, name in enumerate(SMPL22.joints) if joint not in missing
    }


def test_feet_without_toes_stand_level(free: BodyModel):
    positions = np.repeat(free.rest[None, :22], 8, 0) + np.array([0, 0.95, 0], np.float32)
    positions[:, 15, 2] += 0.02
    person = Fittable(Motion(positions, 30.0, SMPL22.joints, SMPL22.parents), np.ones((8, 22), np.float32))
    person.confidence[:, [10, 11]] = 0
    turned = joints_of(fit(person, free, resize=False))[1]
    assert (turned[:, [7, 8], 1, 1] > np.cos(np.deg2rad(3))).all()
    lean = about_axis("X", torch.tensor(np.deg2rad(15.0))).float().numpy()
    person.motion.positions[:] = positions @ lean.T
    turned = joints_of(fit(person, free, resize=False))[1]
    assert (turned[:, [7, 8], 1, 1] > np.cos(np.deg2rad(9))).all()


def test_joints_missing_for_a_while_pass_smoothly(free: BodyModel):
    person = person_of(posed(free.shaped(), frames=20))
    truth = person.motion.positions.copy()
    person.confidence[8:11, 20] = 0
    person.motion.positions[8:11, 20] = np.nan
    fitted = fit(person, free, resize=False)
    assert errors(fitted, truth)[8:11, 20].max() < 60
    assert np.linalg.norm(np.diff(joints_of(fitted)[0][:, 20], axis=0), axis=-1).max() < 0.15


def test_a_knee_that_is_seen_backwards_is_not_bent_backwards(free: BodyModel):
    motion = posed(free.shaped(), frames=6)
    for name, axis, angle in (("left_knee", "X", -0.6), ("right_elbow", "Y", -0.6)):
        motion.rotations[:, SMPL24.index(name)] = about_axis(axis, torch.tensor(angle)).numpy()
    seen = hinge_angles(torch.as_tensor(motion.rotations), torch.as_tensor(motion.body.offsets))
    assert (seen[:, [0, 3]] < -0.4).all()
    fitted = fit(person_of(motion), free, resize=False)
    found = hinge_angles(torch.as_tensor(fitted.rotations), torch.as_tensor(fitted.body.offsets))
    assert float(found.min()) > np.deg2rad(-5)
    assert fitted.meta["report"]["frames_bent_backwards"] == 0


def test_standing_feet_are_held_the_more(free: BodyModel):
    person = person_of(posed(free.shaped(), frames=10))
    noise = np.random.RandomState(0).normal(0, 0.02, person.motion.positions.shape).astype(np.float32)
    person.motion.positions[:] += noise
    person.motion.positions[:, 7] -= noise[:, 7]
    contacts = np.zeros((10, 22), bool)
    loose = errors(fit(person, free, contacts), person.motion.positions)[:, 7].mean()
    contacts[:, 7] = True
    held = fit(person, free, contacts)
    assert errors(held, person.motion.positions)[:, 7].mean() < 0.8 * loose
    np.testing.assert_array_equal(held.contacts, np.pad(contacts, ((0, 0), (0, 2))))


def test_a_standing_foot_counts_double(free: BodyModel):
    person = person_of(posed(free.shaped(), frames=10))
    person.motion.positions[:, 7, 0] += np.float32(0.03) * (-1) ** np.arange(10, dtype=np.float32)
    contacts = np.zeros((10, 22), bool)
    loose = errors(fit(person, free, contacts), person.motion.positions)[::2, 7].mean()
    contacts[::2, 7] = True  # never in two frames, so that nothing is held steady
    assert errors(fit(person, free, contacts), person.motion.positions)[::2, 7].mean() < 0.97 * loose


def test_the_rest_pose_takes_on_bends_of_the_skeleton(free: BodyModel):
    """Another skeleton's flat feet and bent spine are no pose."""
    rest = free.rest.copy()
    rest[[10, 11]] += (0, 0.045, 0.02)
    rest[6] += (0, 0, 0.03)
    rest[15] += (0, 0.02, -0.03)
    positions = np.repeat(rest[None, :22], 10, 0) - np.array([0, rest[10, 1] - 0.02, 0], np.float32)
    person = Fittable(Motion(positions, 30.0, SMPL22.joints, SMPL22.parents), np.ones((10, 22), np.float32))
    fitted = fit(person, free)
    turned = joints_of(fitted)[1]
    assert (np.trace(turned, axis1=-2, axis2=-1) > 1 + 2 * np.cos(np.deg2rad(8))).all()
    np.testing.assert_allclose(
        fitted.body.offsets[[6, 9, 10, 15]], (rest - rest[list(SMPL24.parents)])[[6, 9, 10, 15]], atol=0.012
    )


def test_a_head_does_not_take_on_the_lean_of_a_neck(free: BodyModel):
    motion = posed(free.shaped(), frames=8)
    motion.rotations[:, 12] = about_axis("X", torch.tensor(0.4)).numpy()
    fitted = fit(person_of(motion), free, resize=False)
    chest, head = (joints_of(fitted)[1][:, joint] for joint in (9, 15))
    lean = np.einsum("tij,tij->t", chest, head)  # trace of the turn between them
    assert (lean > 1 + 2 * np.cos(np.deg2rad(8))).all()


def angles(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.rad2deg(torch.arccos(((one * other).sum((-1, -2)) / 2 - 0.5).clamp(-1, 1)))


@pytest.mark.parametrize("angle", [-0.5, 0.5])
@pytest.mark.parametrize("knee", [0.0, 1.2])
def test_the_start_twists_limbs_as_they_are_seen(free: BodyModel, angle: float, knee: float):
    """A bent knee or elbow, or else the foot, tells how the limb is turned about itself."""
    rest = torch.as_tensor(free.rest, dtype=torch.float64)
    local = torch.eye(3, dtype=torch.float64).repeat(2, 24, 1, 1)
    local[:, 1] = about_axis(rest[4] - rest[1], torch.tensor(angle, dtype=torch.float64))
    local[:, 4] = about_axis("X", torch.tensor(knee, dtype=torch.float64))
    local[:, 17] = about_axis(rest[19] - rest[17], torch.tensor(angle, dtype=torch.float64))
    local[:, 19] = about_axis("Y", torch.tensor(0.9, dtype=torch.float64))
    offsets = rest - rest[list(SMPL24.parents)]
    positions, _ = forward(local, offsets, SMPL24.parents, torch.zeros(2, 3, dtype=torch.float64))
    start = start_pose(positions[:, :22], torch.ones(22, dtype=torch.bool), rest)
    assert angles(start[:, [1, 17]], local[:, [1, 17]]).max() < 15


def turned(motion: BodyMotion, **by: np.ndarray) -> BodyMotion:
    """The motion with some joints turned further about x, y or z, by name_axis=radians [T]."""
    rotations = motion.rotations.copy()
    for name, angle in by.items():
        joint, axis = name.rsplit("_", 1)
        turn = about_axis(axis.upper(), torch.from_numpy(angle)).float().numpy()
        rotations[:, SMPL24.index(joint)] = rotations[:, SMPL24.index(joint)] @ turn
    return replace(motion, rotations=rotations)


@pytest.mark.parametrize("resize", [False, True])
def test_what_only_rotations_tell_is_kept(free: BodyModel, resize: bool):
    """The turn of the head, of the hands and of the toes, and the twist of forearms, thighs and straight arms."""
    wave = np.sin(np.arange(24) / 4)
    motion = posed(free.shaped(), frames=24)
    motion = turned(
        motion, head_y=0.9 * wave, left_wrist_z=0.7 * wave, right_elbow_x=1.1 * wave, left_foot_x=0.3 * wave
    )
    motion.rotations[:, SMPL24.index("left_elbow")] = np.eye(3)
    motion = turned(motion, left_shoulder_x=0.8 * wave, right_hip_y=0.4 * wave, neck_y=0.4 * wave)
    fitted = fit(with_rotations(motion), free, resize=resize)
    found, wanted = (torch.from_numpy(joints_of(each)[1][:, :22]).double() for each in (fitted, motion))
    off = angles(found, wanted)
    assert off.max() < 4 and off.median() < 1
    assert errors(fitted, joints_of(motion)[0][:, :22]).mean() < 1.5
    without = fit(person_of(motion), free, resize=resize)
    assert angles(torch.from_numpy(joints_of(without)[1][:, :22]).double(), wanted)[:, 15].max() > 40


def test_joints_win_over_rotations_that_contradict_them(free: BodyModel):
    motion = posed(free.shaped(), frames=12)
    lie, lying = about_axis("Z", torch.tensor(0.4)).numpy(), motion.rotations.copy()
    lying[:, [1, 9, 17, 18]] = lying[:, [1, 9, 17, 18]] @ lie
    person = with_rotations(replace(motion, rotations=lying))
    person = replace(person, motion=replace(person.motion, positions=joints_of(motion)[0][:, :22]))
    assert errors(fit(person, free), person.motion.positions).mean() < 2


@pytest.mark.parametrize("cone", [90, 60, 110])
@pytest.mark.parametrize("bend", [0.0, 0.35])
def test_an_arm_that_circles_does_not_spin(free: BodyModel, cone: float, bend: float):
    """Once a second at 30 frames is 12 degrees a frame; of a straight arm no joint shows how it is twisted."""
    motion = posed(free.shaped(), frames=40)
    motion.rotations[:, 1:] = np.eye(3)
    phase = 2 * np.pi * torch.arange(40).double() / 30
    for side, out in (("left_", 1.0), ("right_", -1.0)):
        lowered = about_axis("Z", torch.tensor(-out * np.deg2rad(cone)))
        bent = about_axis("Y", torch.tensor(-out * bend, dtype=torch.float64))
        motion.rotations[:, SMPL24.index(f"{side}shoulder")] = (about_axis("X", -phase) @ lowered).numpy()
        motion.rotations[:, SMPL24.index(f"{side}elbow")] = bent.numpy()
    fitted = fit(person_of(motion), free)
    arms = [SMPL24.index(f"{side}_{part}") for side in ("left", "right") for part in ("collar", "shoulder", "elbow")]
    local = torch.from_numpy(fitted.rotations[:, arms]).double()
    assert angles(local[1:], local[:-1]).max() < 15


def weighted_errors(problem: body_solver.Problem, state: body_solver.State) -> torch.Tensor:
    """The vector whose squares the solver adds up."""
    found, moving = body_solver.errors_of(problem, state), problem.moving
    pairs = (
        (problem.weights[..., None], found.joints),
        (problem.steady[..., None], found.joints.diff(dim=0)),
        (problem.mean[:, moving], found.pull),
        (problem.range[moving], found.beyond),
        (problem.smooth[:, moving], found.change),
        (problem.hold[:, moving], body_solver._sines(found.off)),
        (problem.level[..., None], found.tilt),
        (problem.precision, state.shape),
    )
    return torch.cat([(weight.sqrt() * error).flatten() for weight, error in pairs])


@pytest.mark.parametrize("recorded", [False, True])
def test_derivatives_are_those_of_the_sum(free: BodyModel, monkeypatch: pytest.MonkeyPatch, recorded: bool):
    """The gradient that the solver uses, against differences of the sum that it makes small."""
    caught: list[tuple[body_solver.Problem, body_solver.State]] = []

    def catch(problem: body_solver.Problem, state: body_solver.State) -> tuple[body_solver.State, int]:
        caught.append((problem, state))
        return state, 0

    motion = posed(free.shaped(), frames=3)
    person = with_rotations(motion) if recorded else person_of(motion)
    person.confidence[:, 10] = 0
    monkeypatch.setattr("body.fit.windows.solve", catch)
    fit(person, free, resize=True)
    ((problem, state),) = caught
    count = 3 + 3 * len(problem.moving)
    draws = torch.Generator().manual_seed(0)
    pose = 0.1 * torch.randn(3, count, generator=draws, dtype=torch.float64)
    shape = 0.01 * torch.randn(len(problem.precision), generator=draws, dtype=torch.float64)
    state = body_solver.moved(problem, state, pose, shape)
    system = body_solver.normal_equations(problem, state, body_solver.errors_of(problem, state))
    along = torch.randn(3, count, generator=draws, dtype=torch.float64)
    of_shape = torch.randn(len(problem.precision), generator=draws, dtype=torch.float64)
    slope = 2 * float((system[4] * along).sum() + (system[5] * of_shape).sum())
    moved = [body_solver.moved(problem, state, way * along, way * of_shape) for way in (1e-6, -1e-6)]
    there, back = (body_solver.cost_of(problem, each, body_solver.errors_of(problem, each)) for each in moved)
    assert (there - back) / 2e-6 == pytest.approx(slope, rel=1e-5)
    blocks, neighbours, border, corner, *_ = system
    curve = (along * (blocks @ along[..., None]).squeeze(-1)).sum()
    curve += 2 * (along[:-1] * (neighbours @ along[1:, :, None]).squeeze(-1)).sum()
    curve += 2 * ((along[:, None] @ border).squeeze(1).sum(0) * of_shape).sum() + of_shape @ corner @ of_shape
    plus, minus = (
        weighted_errors(problem, body_solver.moved(problem, state, way * along, way * of_shape))
        for way in (1e-6, -1e-6)
    )
    assert float((((plus - minus) / 2e-6) ** 2).sum()) == pytest.approx(float(curve), rel=1e-5)


def test_steps_solve_the_whole_system(free: BodyModel):
    """Elimination by blocks gives what a dense solver gives."""
    draws = torch.Generator().manual_seed(0)
    frames, size, shapes = 4, 6, 3
    whole = torch.randn(frames * size + shapes, 60, generator=draws, dtype=torch.float64)
    whole = whole @ whole.T + torch.eye(len(whole))
    at = [slice(size * frame, size * (frame + 1)) for frame in range(frames)]
    for one in range(frames):
        for other in range(frames):
            if abs(one - other) > 1:
                whole[at[one], at[other]] = 0
    whole += 60 * torch.eye(len(whole))
    blocks = torch.stack([whole[each, each] for each in at])
    neighbours = torch.stack([whole[one, other] for one, other in zip(at[:-1], at[1:], strict=True)])
    border = torch.stack([whole[each, frames * size :] for each in at])
    gradient = torch.randn(len(whole), generator=draws, dtype=torch.float64)
    corner, by_shape = whole[frames * size :, frames * size :], gradient[frames * size :]
    by_pose = gradient[: frames * size].reshape(frames, size)
    pose, shape = body_solver._step(blocks, neighbours, border, corner, by_pose, by_shape, 0.0)
    wanted = -torch.linalg.solve(whole, gradient)
    torch.testing.assert_close(torch.cat([pose.flatten(), shape]), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shard", ["bandai", "cmu"])
def test_recorded_people(shared: Path, free: BodyModel, shard: str):
    motion = next(iter(test_clips(shared / "data" / f"{shard}.npz")))
    positions = motion.positions[:60]
    fitted = fit(asked(motion, 60), free)
    assert fitted.meta["report"]["mean_error_mm"] < 2
    assert fitted.meta["report"]["frames_bent_backwards"] == 0
    before, after = (sliding(each, motion.fps, FEET) for each in (positions, joints_of(fitted)[0]))
    assert after == pytest.approx(before, rel=0.1, abs=0.003)


def test_joints_that_coincide_in_a_frame_do_no_harm(free: BodyModel):
    person = person_of(posed(free.shaped(), frames=9))
    truth = person.motion.positions.copy()
    person.motion.positions[4] = person.motion.positions[4, :1]
    fitted = fit(person, free)
    assert np.isfinite(fitted.rotations).all() and np.isfinite(fitted.root).all()
    assert errors(fitted, truth)[[0, 1, 7, 8]].mean() < 60


def test_bad_input(free: BodyModel):
    person = person_of(posed(free.shaped(), frames=3))

    def with_positions(positions: np.ndarray) -> Fittable:
        return replace(person, motion=replace(person.motion, positions=positions))

    spoilt = person.motion.positions.copy()
    spoilt[1:, 4] = np.inf
    with pytest.raises(NumericError, match="2 frames, the first of them 1"):
        fit(with_positions(spoilt), free)
    with pytest.raises(DataError, match="22 joints"):
        fit(with_positions(person.motion.positions[:, :20]), free)
    with pytest.raises(DataError, match="no frames"):
        fit(replace(with_positions(person.motion.positions[:0]), confidence=person.confidence[:0]), free)
    with pytest.raises(DataError, match="confidence has shape"):
        fit(replace(person, confidence=person.confidence[:2]), free)
    with pytest.raises(NumericError, match="between 0 and 1"):
        fit(replace(person, confidence=2 * person.confidence), free)
    with pytest.raises(DataError, match="contacts have shape"):
        fit(person, free, np.zeros((3, 5), bool))
    hipless = person.confidence.copy()
    hipless[:, 1] = 0
    with pytest.raises(DataError, match="without left_hip"):
        fit(replace(person, confidence=hipless), free)
    with pytest.raises(DataError, match="within 0.000 m"):
        fit(with_positions(np.zeros((3, 22, 3), np.float32)), free)
