"""Figures land where they should: sides, axes, camera, floor, depth; and contact sheets."""

import cv2
import numpy as np
import pytest

from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.errors import DataError, NumericError
from visualize.sticks.contact_sheet import CELL, write_contact_sheet
from visualize.sticks.figures import (
    FRAMES_PER_TURN,
    LEFT,
    LOOSE,
    MIDDLE,
    PAPER,
    RIGHT,
    draw_2d,
    draw_3d,
    fitted_camera,
    turned,
)

NBA = SKELETONS["nba"]
STICKS = Skeleton("sticks", ("LeftA", "LeftB", "RightA", "RightB"), ((0, 1), (2, 3)), (-1, 0, -1, 2))


def standing() -> np.ndarray:
    """A person [16, 3] in metres who faces away from a viewer at azimuth 0: the left side on -x."""
    pose = {
        "Hip": (0, 0.9), "RHip": (0.1, 0.9), "RKnee": (0.1, 0.5), "RAnkle": (0.1, 0.0), "LHip": (-0.1, 0.9),
        "LKnee": (-0.1, 0.5), "LAnkle": (-0.1, 0.0), "Neck": (0, 1.4), "Nose": (0, 1.5), "Head": (0, 1.7),
        "LShoulder": (-0.2, 1.4), "LElbow": (-0.5, 1.4), "LWrist": (-0.8, 1.4), "RShoulder": (0.2, 1.4),
        "RElbow": (0.5, 1.4), "RWrist": (0.8, 1.4),
    }  # fmt: skip
    return np.array([(*pose[name], 0.0) for name in NBA.joints])


def clip(count: int = 40, skeleton: Skeleton = NBA, dims: int = 3, seed: int = 0) -> np.ndarray:
    """Joints [T, J, dims] that wander smoothly."""
    rng = np.random.RandomState(seed)
    waves = rng.randn(2, len(skeleton.joints), dims) * 0.5
    time = np.linspace(0, 3, count)[:, None, None]
    return waves[0] + waves[1] * np.sin(time + np.arange(len(skeleton.joints))[:, None])


def near(image: np.ndarray, colour: tuple[int, ...], tolerance: int = 40) -> np.ndarray:
    """Rows and columns [N, 2] of pixels of about one colour."""
    return np.argwhere(np.abs(image.astype(int) - colour).max(-1) <= tolerance)


def pixel_2d(x: float, y: float, size: int = 480, extent: float = 2.5) -> tuple[int, int]:
    """Row and column where a point in data units of nba belongs."""
    scale = 0.75 * size / (2 * extent)
    return round((size - 1) / 2 - y * scale), round((size - 1) / 2 + x * scale)


# 2D


def test_2d_sides_have_their_colours_x_right_y_up():
    motion = standing()[None, :, :2]
    (image,) = draw_2d(motion, NBA)
    assert image.shape == (480, 480, 3) and image.dtype == np.uint8
    for name, colour in (("LWrist", LEFT), ("LAnkle", LEFT), ("RWrist", RIGHT), ("RKnee", RIGHT), ("Head", MIDDLE)):
        assert tuple(image[pixel_2d(*motion[0, NBA.index(name)])]) == colour
    assert tuple(image[pixel_2d(-0.65, 1.4)]) == LEFT  # on the forearm, between joints
    assert tuple(image[pixel_2d(0.65, 1.4)]) == RIGHT
    assert tuple(image[pixel_2d(0.0, 1.15)]) == MIDDLE  # on the spine
    assert tuple(image[pixel_2d(-0.6, 1.7)]) == PAPER


def test_2d_left_and_right_are_told_apart():
    in_lab = [
        cv2.cvtColor(np.array([[c]], np.uint8), cv2.COLOR_RGB2LAB)[0, 0].astype(int) for c in (LEFT, RIGHT, MIDDLE)
    ]
    differences = [np.linalg.norm(a - b) for a, b in zip(in_lab, in_lab[1:] + in_lab[:1], strict=True)]
    assert min(differences) > 20 and differences[0] > 60


def test_2d_axes_do_not_follow_the_figure():
    motion = np.stack([standing()[:, :2], standing()[:, :2] + (1.0, 0)])
    first, second = draw_2d(motion, NBA)
    shift = near(second, LEFT, 5).mean(0) - near(first, LEFT, 5).mean(0)
    assert shift[0] == pytest.approx(0, abs=0.3) and shift[1] == pytest.approx(72, abs=0.3)


def test_2d_axes_widen_for_limbs_that_would_leave_but_not_for_a_ball():
    gym = SKELETONS["gymnastics"]
    motion = np.tile(np.linspace(-1, 1, 18)[:, None], (2, 1, 2))
    plain = next(draw_2d(motion, gym))
    motion[:, 17] = 50
    assert len(near(next(draw_2d(motion, gym)), LOOSE, 10)) == 0
    assert np.array_equal(next(draw_2d(motion, gym))[300:], plain[300:])
    motion[1, 10] = (9, 0)
    first, second = draw_2d(motion, gym)
    assert not np.array_equal(first[300:], plain[300:])
    assert near(second, RIGHT, 5)[:, 1].max() > 420


def test_2d_missing_joints_are_black_or_left_out():
    motion = standing()[None, :, :2]
    confidence = np.ones(motion.shape[:2])
    wrist = NBA.index("LWrist")
    confidence[0, wrist] = 0
    (image,) = draw_2d(motion, NBA, confidence=confidence)
    assert image[pixel_2d(*motion[0, wrist])].max() == 0
    assert len(near(image, (0, 0, 0), 0)) < 150
    motion = motion.copy()
    motion[0, wrist] = np.nan
    (image,) = draw_2d(motion, NBA, confidence=confidence)
    assert len(near(image, (0, 0, 0), 30)) == 0
    assert tuple(image[pixel_2d(-0.35, 1.4)]) == LEFT


def test_2d_ball_is_larger_than_a_joint():
    gym = SKELETONS["gymnastics"]
    motion = np.zeros((1, 18, 2)) + (0, -3)
    motion[0, 17] = (0, 1)
    (image,) = draw_2d(motion, gym)
    assert len(near(image, LOOSE, 5)) > 2 * len(near(image, LEFT, 5)) > 0


# 3D


def test_turned_is_the_stated_frame():
    points = np.array([[[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]])
    right, up, depth = turned(points, np.zeros(1), 0.0)
    np.testing.assert_allclose([right[0], up[0], depth[0]], np.eye(3), atol=1e-12)  # x right, y up, z away
    right, up, depth = turned(points, np.array([np.pi / 2]), 0.0)
    np.testing.assert_allclose(right[0], [0, 0, 1], atol=1e-12)  # the eye stands on +x and sees +z on the right
    np.testing.assert_allclose(depth[0], [-1, 0, 0], atol=1e-12)
    right, up, depth = turned(points, np.zeros(1), np.pi / 2)
    np.testing.assert_allclose(up[0], [0, 0, 1], atol=1e-12)  # from above, away is up
    np.testing.assert_allclose(depth[0], [0, -1, 0], atol=1e-12)


def test_3d_plus_x_is_on_the_right_and_plus_y_up_at_azimuth_0():
    image = next(draw_3d(standing()[None], NBA))
    left, right, middle = (near(image, colour, 12).mean(0) for colour in (LEFT, RIGHT, MIDDLE))
    assert left[1] < 220 < 260 < right[1]
    assert near(image, MIDDLE, 12)[:, 0].min() < near(image, LEFT, 12)[:, 0].min() < middle[0] < left[0] + 100


def test_3d_camera_goes_on_turning_over_the_repeat():
    quarter = FRAMES_PER_TURN // 4
    motion = np.tile(standing(), (quarter, 1, 1))
    motion[:, NBA.index("RElbow")] += (-0.5, 0, 0.5)  # the right arm points away from the first viewer
    motion[:, NBA.index("RWrist")] += (-0.8, 0, 0.8)
    images = list(draw_3d(motion, NBA, turns=2))
    assert len(images) == 2 * quarter
    hand = [near(images[k], RIGHT, 30)[:, 1].max() for k in (0, quarter)]
    assert hand[1] > 239 + 100 > hand[0]  # at the start of the second play the viewer stands on +x: +z is on the right
    assert not np.array_equal(images[0], images[quarter])
    fixed = list(draw_3d(motion, NBA, turns=2, azimuth=0.0))
    assert np.array_equal(fixed[0], fixed[quarter])


def test_3d_nearer_limbs_hide_those_behind_and_are_thicker():
    cross = np.array([[-1.0, 0, -0.6], [1, 2, -0.6], [-1, 2, 0.6], [1, 0, 0.6]])
    (image,) = draw_3d(cross[None], STICKS, turns=1, elevation=0.0)
    rows, columns = near(image, LEFT, 30).mean(0).round().astype(int)
    assert tuple(image[rows, columns]) == LEFT
    assert len(near(image, LEFT, 25)) > 1.15 * len(near(image, RIGHT, 45))
    (behind,) = draw_3d(cross[None], STICKS, turns=1, elevation=0.0, azimuth=np.pi)
    assert len(near(behind[rows - 2 : rows + 3, columns - 2 : columns + 3], RIGHT, 10)) > 5


def test_3d_lowest_joint_of_the_clip_stands_on_the_floor():
    motion = np.stack([standing(), standing() + (0, 0.5, 0)])
    grounded, jumping = draw_3d(motion, NBA, turns=1, azimuth=0.0)
    lifted = list(draw_3d(motion + (0, 7.0, 0), NBA, turns=1, azimuth=0.0))
    assert abs(lifted[0].astype(int) - grounded).max() <= 2
    foot = near(grounded, LEFT, 30)[:, 0].max()
    assert near(jumping, LEFT, 30)[:, 0].max() < foot - 60
    beneath = [image[foot + 4 : foot + 9, 200:280].mean(-1) for image in (grounded, jumping)]
    assert beneath[0].mean() < beneath[1].mean() - 5  # a shadow is dark where the feet touch


def test_3d_figure_stays_in_the_middle_and_the_floor_moves():
    still = np.tile(standing(), (5, 1, 1))
    walking = still + np.arange(5)[:, None, None] * (0.37, 0, 0.21)
    stays, moves = (list(draw_3d(motion, NBA, turns=1, trajectory_joints=(0,))) for motion in (still, walking))
    for image, moved in zip(stays, moves, strict=True):
        for colour in (LEFT, RIGHT):
            assert np.array_equal(near(image, colour, 25), near(moved, colour, 25))
    assert not np.array_equal(stays[4][300:], moves[4][300:])
    assert np.array_equal(stays[4][:100], moves[4][:100])


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("name", sorted(SKELETONS))
def test_3d_any_skeleton_in_any_unit_is_framed(name, unit):
    skeleton = SKELETONS[name]
    images = list(draw_3d(clip(30, skeleton) * unit, skeleton, "a title", size=200))
    assert len(images) == 60
    inked = np.concatenate([near(image, colour, 25) for image in images for colour in (LEFT, RIGHT)])
    assert inked.min() >= 8 and inked.max() < 192
    assert np.ptp(inked, axis=0).max() > 120


def test_fitted_camera_holds_all_points_and_fills_the_picture():
    rng = np.random.RandomState(3)
    for shape in ((3, 0.2, 3), (0.1, 5, 0.1), (1, 1, 1)):
        points = np.abs(rng.rand(50, 10, 3)) * shape - np.multiply(shape, (0.5, 0, 0.5))
        azimuth = np.linspace(0, 9, 50)
        camera = fitted_camera(points, azimuth, 0.3, 480)
        pixels, nearness = camera.project(points, azimuth)
        assert pixels.min() > 20 and pixels.max() < 460
        assert np.ptp(pixels.reshape(-1, 2), axis=0).max() > 380
        assert (nearness > 0.5).all()


def test_frames_can_be_picked_and_do_not_depend_on_their_neighbours():
    motion = clip(400)
    everything = list(draw_3d(motion, NBA, "long", size=96, turns=1))
    for frame in (0, 255, 256, 399):
        assert np.array_equal(next(draw_3d(motion, NBA, "long", size=96, turns=1, frames=[frame])), everything[frame])
    flat = list(draw_2d(motion[..., :2], NBA, size=96))
    assert np.array_equal(next(draw_2d(motion[..., :2], NBA, size=96, frames=[300])), flat[300])


def test_pictures_are_the_same_twice_and_do_not_share_memory():
    first, second = (list(draw_3d(clip(6), NBA, "twice", trajectory_joints=(0,))) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    before = first[1].copy()
    first[0][:] = 0
    assert np.array_equal(first[1], before)


def test_a_title_is_written_above_the_figure_and_wrapped():
    plain, short, long = (next(draw_2d(clip(1, dims=2), NBA, title)) for title in ("", "Größe", "word " * 40))
    assert (short != plain).any() and np.array_equal(short[50:], plain[50:])
    changed = np.argwhere((long != plain).any(-1))
    assert changed[:, 0].max() > 55 and changed[:, 1].min() > 10 and changed[:, 1].max() < 470


@pytest.mark.parametrize("draw,dims", [(draw_2d, 2), (draw_3d, 3)])
def test_what_cannot_be_drawn_is_named(draw, dims):
    motion = clip(4, dims=dims)
    with pytest.raises(DataError, match="nba needs"):
        next(draw(motion[:, :15], NBA))
    with pytest.raises(DataError, match="nba needs"):
        next(draw(motion[:0], NBA))
    motion[2, 4] = np.inf
    with pytest.raises(NumericError, match="LHip is not finite at frame 2"):
        next(draw(motion, NBA))


def test_tiny_cases():
    one = Skeleton("one", ("a",), (), (-1,))
    for image in (*draw_3d(np.ones((1, 1, 3)), one), *draw_2d(np.ones((1, 1, 2)), one)):
        assert len(near(image, MIDDLE, 20)) > 20


# contact sheets


@pytest.mark.parametrize("dims", [2, 3])
def test_contact_sheet_has_a_row_a_sample(tmp_path, dims):
    motions = [clip(20, dims=dims), clip(1, dims=dims), clip(33, dims=dims)]
    write_contact_sheet(tmp_path / "sheet.png", motions, NBA, columns=5, labels=["a", "b", "c"], fps=20)
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_COLOR_RGB)
    assert sheet is not None and sheet.shape == (3 * CELL, 5 * CELL, 3)
    for row in range(3):
        for column in range(5):
            cell = sheet[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
            assert len(near(cell, LEFT)) > 30 and len(near(cell, RIGHT)) > 30
    assert [entry.name for entry in tmp_path.iterdir()] == ["sheet.png"]
    before = (tmp_path / "sheet.png").read_bytes()
    write_contact_sheet(tmp_path / "sheet.png", motions, NBA, columns=5, labels=["a", "b", "c"], fps=20)
    assert (tmp_path / "sheet.png").read_bytes() == before


def test_contact_sheet_refuses_what_it_cannot_draw(tmp_path):
    for motions, labels in (([], None), ([clip(3)], ["a", "b"])):
        with pytest.raises(DataError):
            write_contact_sheet(tmp_path / "sheet.png", motions, NBA, labels=labels)
    with pytest.raises(DataError):
        write_contact_sheet(tmp_path / "sheet.png", [clip(3)[:, :4]], NBA)
    assert not list(tmp_path.iterdir())
