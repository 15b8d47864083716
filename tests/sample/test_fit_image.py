"""A body fitted to the keypoints of a picture: known poses are found, files are written, bad input is refused."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from body.models import load_body
from model.poses.pose_ndf import canonical
from sample.posing import image_fit
from sample.posing.image_fit import Camera, Guess, Seen, Weights, fit_keypoints, posed_points
from sample.posing.landmarks import Figure, figure_of
from tests.body.test_plausible import Nearest
from tests.commands import listing, refusal, run
from tests.model.test_pose_ndf import tiny
from tests.model.test_pose_ndf_files import published
from utils.formats import glb
from utils.formats.keypoints.openpose import BODY25
from utils.formats.reading import read_motion
from utils.geometry.joint_maps import known_joints
from utils.geometry.rotations import about_axis, axis_angle_to_matrix, matrix_to_quaternion

COMMAND = "sample.poses"
SMALL = "--task fit_image --threads 1 --device cpu"
SIZE, CAMERA = (400, 300), Camera(500.0, (199.5, 149.5))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    network, _ = tiny(Path(__file__).parents[1] / "golden")
    return published(tmp_path_factory.mktemp("published") / "run", network)


@pytest.fixture(scope="module")
def figure() -> Figure:
    return figure_of(load_body("free"))


def person(figure: Figure, degrees: float = 0.0, lean: float = 0.0) -> Guess:
    """Somebody 4 m away with one arm up and bent and a knee lifted, turned by an angle to the left, and leaning."""
    angles = torch.zeros(1, 24, 3, dtype=torch.float64)
    for joint, turn in (
        (16, (0, -0.5, 0.9)),
        (18, (0, -1.2, 0)),
        (17, (0, 0, 1.0)),
        (2, (-1.1, 0, 0)),
        (5, (1.2, 0, 0)),
    ):
        angles[0, joint] = torch.tensor(turn)
    rotations = axis_angle_to_matrix(angles)
    turned = about_axis("Y", torch.deg2rad(torch.tensor(degrees)).double())
    rotations[:, 0] = about_axis("Z", torch.deg2rad(torch.tensor(lean)).double()) @ turned
    shape = torch.zeros(1, figure.directions.shape[-1], dtype=torch.float64)
    return Guess(rotations, torch.tensor([[0.2, 0.1, -4.0]], dtype=torch.float64), shape)


def points_of(figure: Figure, guess: Guess) -> Tensor:
    return posed_points(figure, guess)[0]


def keypoints(figure: Figure, guess: Guess) -> dict[str, np.ndarray]:
    """Where the keypoints of BODY_25 are in the picture, x to the right, y downwards."""
    points = points_of(figure, guess).numpy()
    seen = {}
    for name in known_joints(BODY25):
        x, y, z = points[figure.places[name]]
        seen[name] = np.array((199.5 + 500 * x / -z, 149.5 - 500 * y / -z))
    return seen


def seen_of(figure: Figure, guess: Guess) -> Seen:
    found = keypoints(figure, guess)
    pixels = torch.from_numpy(np.stack(list(found.values())))
    return Seen(pixels, torch.ones(len(found)).double(), [figure.places[name] for name in found])


def aligned_error(found: Tensor, wanted: Tensor) -> float:
    """Mean distance in millimetres after the best similarity (Umeyama 1991)."""
    one, other = found - found.mean(0), wanted - wanted.mean(0)
    u, s, v = torch.linalg.svd(one.T @ other)
    signs = torch.tensor([1.0, 1.0, float(torch.sign(torch.linalg.det(u @ v)))]).double()
    turned = (s * signs).sum() / one.square().sum() * one @ u @ torch.diag(signs) @ v
    return 1000 * float((turned - other).norm(dim=-1).mean())


@pytest.mark.parametrize(("degrees", "lean"), [(10.0, 0.0), (170.0, 0.0), (-60.0, 80.0)])
def test_known_poses_are_found(figure: Figure, degrees: float, lean: float):
    """From the front, from behind, and lying; a prior that knows the pose settles what a picture leaves open."""
    guess = person(figure, degrees, lean)
    known = Nearest(canonical(matrix_to_quaternion(guess.rotations[:, 1:22])))
    fit = fit_keypoints(figure, seen_of(figure, guess), CAMERA, known)
    wanted, found = (points_of(figure, each)[:22] for each in (guess, fit.guess))
    assert aligned_error(found, wanted) < 25
    assert (fit.shown - seen_of(figure, guess).pixels).norm(dim=-1).mean() < 1.5
    turn = (fit.guess.rotations[0, 0].T @ guess.rotations[0, 0]).diagonal().sum()
    assert turn > 1 + 2 * np.cos(np.deg2rad(20)), "the orientation, within 20 degrees"
    assert abs(float(fit.guess.root[0, 2]) + 4) < 0.4


def test_steps_follow_the_sum(figure: Figure):
    """Gradients against differences of the sum, all terms, off the minimum; the prior on."""
    guess = person(figure, 20.0)
    network = Nearest(matrix_to_quaternion(axis_angle_to_matrix(torch.randn(3, 21, 3).double())))
    task = image_fit._task(figure, seen_of(figure, guess), CAMERA, network, Weights())
    size = 3 + 66 + figure.directions.shape[-1]
    draws = torch.Generator().manual_seed(0)
    shift, along = (torch.randn(1, size, generator=draws, dtype=torch.float64) for _ in range(2))
    guess = image_fit._moved(guess, 0.05 * shift)
    _, gradient, _ = image_fit._system(task, guess, 2.0, None)
    there, back = (
        float(image_fit._system(task, image_fit._moved(guess, way * along), 2.0, None)[0]) for way in (1e-6, -1e-6)
    )
    assert (there - back) / 2e-6 == pytest.approx(2 * float((gradient * along).sum()), rel=1e-4)


def test_confidence_weighs(figure: Figure):
    """A wrist that lies elsewhere pulls the body the less, the less sure it is; far away it hardly pulls at all."""
    guess = person(figure)
    seen = seen_of(figure, guess)
    row = seen.points.index(figure.places["left_wrist"])
    seen.pixels[row, 1] += 20

    def missed(trust: float) -> float:
        trusted = seen.trust.clone()
        trusted[row] = trust
        fit = fit_keypoints(figure, Seen(seen.pixels, trusted, seen.points), CAMERA)
        return float((fit.shown[row] - seen.pixels[row]).norm())

    sure, unsure = missed(1.0), missed(0.1)
    assert unsure > 2 * sure and unsure > 2
    seen.pixels[row, 1] += 200
    assert missed(1.0) > 100


def test_bones_are_turned_to_the_other_end_of_their_depth(figure: Figure):
    """Each stays where it is seen, and goes away from the viewer as it came towards him."""
    guess = person(figure, 30.0)
    task = image_fit._task(figure, seen_of(figure, guess), CAMERA, None, Weights())
    turned = image_fit._turned_round(task, guess)
    before, after = points_of(figure, guess), posed_points(figure, turned)
    for number, (upper, lower) in enumerate(image_fit._FLIPPED):
        ends = [figure.places[name] for name in (upper, lower)]
        bone, other = (points[ends[1]] - points[ends[0]] for points in (before, after[number]))
        sight = torch.nn.functional.normalize(before[ends].sum(0), dim=0)
        assert float(other @ sight) == pytest.approx(-float(bone @ sight), abs=1e-9)
        torch.testing.assert_close(other - (other @ sight) * sight, bone - (bone @ sight) * sight)


def openpose(path: Path, *people: dict[str, np.ndarray]) -> Path:
    rows = []
    for found in people:
        numbers = np.zeros((25, 3))
        for name, row in known_joints(BODY25).items():
            numbers[row] = (*found[name], 0.9)
        rows.append({"pose_keypoints_2d": numbers.flatten().tolist()})
    path.write_text(json.dumps({"people": rows}))
    return path


def picture(path: Path) -> Path:
    cv2.imwrite(str(path), np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
    return path


def test_the_command(model: Path, figure: Figure, tmp_path: Path):
    guess, folder = person(figure, 20.0), tmp_path / "out"
    image = picture(tmp_path / "some one.png")
    openpose(tmp_path / "some one_keypoints.json", keypoints(figure, guess))
    run(COMMAND, SMALL, "--model_path", model, "--focal_length 500 --input_path", image, "--output_dir", folder)
    assert {"overlay.png", "results.npy", "some one.npz", "some one.glb", "contact_sheet.png"} <= set(listing(folder))
    overlay = cv2.imread(str(folder / "overlay.png"))
    assert overlay.shape == (SIZE[1], SIZE[0], 3)
    drawn = np.abs(overlay.astype(int) - 90).max(-1) > 8
    assert 0.03 < drawn.mean() < 0.4 and drawn[100:200, 150:300].mean() > 3 * drawn[:, :60].mean()
    (motion,) = read_motion(folder / "results.npy")
    assert motion.positions.shape == (1, 22, 3) and abs(float(motion.positions[..., 1].min())) < 0.2
    assert len(glb.read(folder / "some one.glb")[0].root) == 1
    with np.load(folder / "some one.npz") as found:
        assert found["pose_body"].shape == (1, 21, 4) and found["focal_length"] == 500
        assert np.linalg.norm(found["keypoints"][:, :2] - found["keypoints_of_body"], axis=-1).mean() < 3
        assert abs(found["trans"][0, 2] + 4) < 0.5


def test_keypoints_alone_and_people_by_number(model: Path, figure: Figure, tmp_path: Path, capsys):
    found = [keypoints(figure, person(figure, degrees)) for degrees in (0.0, 180.0)]
    path = openpose(tmp_path / "two.json", *found)
    asked = (COMMAND, SMALL, "--model_path", model, "--input_path", path)
    assert "choose one with --person" in refusal(capsys, 2, *asked, "--image_size 400 300")
    assert "say --image_size" in refusal(capsys, 2, *asked, "--person 1")
    run(*asked, "--image_size 400 300 --person 1 --focal_length 500 --prior_weight 0 --output_dir", tmp_path / "out")
    with np.load(tmp_path / "out" / "two.npz") as content:
        turn = axis_angle_to_matrix(torch.from_numpy(content["root_orient"]))[0, 2, 2]
    assert turn < -0.8, "the second turns her back"
    assert cv2.imread(str(tmp_path / "out" / "overlay.png")).shape == (300, 400, 3)


def test_what_is_refused(model: Path, figure: Figure, tmp_path: Path, capsys):
    image, asked = picture(tmp_path / "a.png"), (COMMAND, SMALL, "--model_path", model, "--input_path")
    assert "a_keypoints.json or a.json" in refusal(capsys, 3, *asked, image)
    assert "does not exist" in refusal(capsys, 3, *asked, tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    assert "is no picture" in refusal(capsys, 4, *asked, tmp_path / "text.png")
    (tmp_path / "a.json").write_text('{"people": []}')
    assert "nobody in the picture" in refusal(capsys, 4, *asked, image)
    openpose(tmp_path / "a.json", keypoints(figure, person(figure)))
    assert "--image_size 400" in refusal(capsys, 2, *asked, tmp_path / "a.json", "--image_size 400")
    only = {name: np.zeros(2) for name in known_joints(BODY25)}
    only |= {
        name: np.array((20.0, 20.0 + row)) for row, name in enumerate(("nose", "left_ear", "right_ear", "left_heel"))
    }
    openpose(tmp_path / "a.json", only)
    assert "no bone" in refusal(capsys, 4, *asked, image)
    assert sorted(listing(tmp_path)) == ["a.json", "a.png", "text.png"], "nothing half-written"
