"""People who walk through space: who is where, what follows whom, what was given; sheets with captions."""

import cv2
import numpy as np
import pytest

from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, NumericError
from visualize.sticks.contact_sheet import CELL, MARGIN, write_world_sheet
from visualize.sticks.figures import GIVEN, MADE, MIDDLE, PAPER, THREE_QUARTER, draw_3d, draw_world

BODY = SKELETONS["smpl22"]
MIRROR = list(BODY.mirror)


def standing() -> np.ndarray:
    """A person [22, 3] in metres, right-handed, who faces +z: the left side on +x."""
    half = {
        "pelvis": (0, 0.95, 0), "spine1": (0, 1.05, 0), "spine2": (0, 1.18, 0), "spine3": (0, 1.25, 0),
        "neck": (0, 1.45, 0), "head": (0, 1.6, 0.03), "left_hip": (0.1, 0.9, 0), "left_knee": (0.11, 0.5, 0.02),
        "left_ankle": (0.11, 0.1, -0.02), "left_foot": (0.12, 0.03, 0.12), "left_collar": (0.06, 1.4, 0),
        "left_shoulder": (0.18, 1.42, 0), "left_elbow": (0.45, 1.42, 0), "left_wrist": (0.7, 1.42, 0),
    }  # fmt: skip
    left = {name.replace("left", "right"): np.multiply(at, (-1, 1, 1)) for name, at in half.items()}
    return np.array([half.get(name, left.get(name)) for name in BODY.joints], float)


def walking(count: int = 40, step: tuple[float, float] = (0.02, 0.06)) -> np.ndarray:
    """The same person [count, 22, 3], arms down by turns, on the way along x and z."""
    motion = np.tile(standing(), (count, 1, 1))
    swing = np.sin(np.arange(count) / 4)
    for side, sign in (("left", 1), ("right", -1)):
        motion[:, BODY.index(f"{side}_wrist"), 2] += 0.3 * sign * swing
        motion[:, BODY.index(f"{side}_knee"), 2] -= 0.15 * sign * swing
        motion[:, BODY.index(f"{side}_ankle"), 2] -= 0.3 * sign * swing
    motion[..., [0, 2]] += np.arange(count)[:, None, None] * step
    return motion


def near(image: np.ndarray, colour: tuple[int, ...], tolerance: int = 40) -> np.ndarray:
    """Rows and columns [N, 2] of pixels of about one colour."""
    return np.argwhere(np.abs(image.astype(int) - colour).max(-1) <= tolerance)


def sides(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns [N, 2] of the left limbs (teal) and of the right ones (blue), in any haze."""
    red, green, blue = np.moveaxis(image.astype(int), -1, 0)
    clear = np.ptp(image.astype(int), axis=-1) > 25
    return np.argwhere(clear & (green > blue + 5)), np.argwhere(clear & (blue > green + 5))


def inked(image: np.ndarray) -> np.ndarray:
    """Rows and columns [N, 2] of all limbs that have a side."""
    return np.concatenate(sides(image))


def told_apart(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns [N, 2] of what is drawn as given (blue) and as made (orange)."""
    excess = image[..., 2].astype(int) - image[..., 0]
    return np.argwhere(excess > 50), np.argwhere(excess < -50)


def test_who_faces_z_looks_at_the_viewer():
    (front,) = draw_world(standing()[None], BODY, azimuth=0.0)
    left, right = (places.mean(0) for places in sides(front))
    assert left[1] > 239 + 50 > 239 - 50 > right[1]  # the left hand on the right of the picture: no mirror image
    head = near(front, MIDDLE, 12)[:, 0].min()
    assert head < left[0] and inked(front)[:, 0].max() > left[0] + 100
    (back,) = draw_world(standing()[None], BODY, azimuth=np.pi)
    left, right = (places.mean(0) for places in sides(back))
    assert left[1] < right[1] - 100


def test_azimuth_goes_from_z_to_x():
    motion = standing()[None].copy()
    motion[0, BODY.index("left_wrist")] = (0.45, 1.42, 0.6)  # the left forearm forwards, along +z
    (side,) = draw_world(motion, BODY, azimuth=np.pi / 2)  # the eye on +x: +z is on the left of the picture
    assert sides(side)[0][:, 1].min() < 239 - 70


def test_by_default_the_viewer_stands_half_in_front():
    motion = walking(3)
    for default, told in zip(draw_world(motion, BODY), draw_world(motion, BODY, azimuth=THREE_QUARTER), strict=True):
        assert np.array_equal(default, told)
    assert 0 < THREE_QUARTER < np.pi / 4


def test_a_mirrored_person_gives_the_mirrored_picture():
    motion = walking(5)
    mirrored = (motion * (-1, 1, 1))[:, MIRROR]
    one, other = (list(draw_world(clip, BODY, size=200, azimuth=a)) for clip, a in ((motion, 0.3), (mirrored, -0.3)))
    for image, reflected in zip(one, other, strict=True):
        for this, there in zip(sides(image), reversed(sides(reflected)), strict=True):
            assert len(this) == pytest.approx(len(there), rel=0.08)
            np.testing.assert_allclose(this.mean(0), there.mean(0) * (1, -1) + (0, 199), atol=0.7)
            assert abs(this[:, 1].mean() - 99.5) > 10


def test_it_is_draw_3d_of_the_other_handedness_when_nobody_moves():
    motion = standing()[None]
    (world,) = draw_world(motion, BODY, "a title", azimuth=0.4)
    (camera_frame,) = draw_3d(motion * (1, 1, -1), BODY, "a title", trajectory_joints=(0,), turns=1, azimuth=0.4)
    assert np.array_equal(world, camera_frame)


@pytest.mark.parametrize("speed", [0.0, 0.06, 0.3, 3.0])
def test_the_camera_keeps_the_root_in_the_middle(speed):
    """Even someone who starts at full speed, or leaps away, stays within the middle third."""
    motion = walking(60, (0, 0))
    motion[30:, :, 0] += speed * np.arange(30)[:, None]
    motion[45:, :, 2] -= 10 * speed
    for image in draw_world(motion, BODY, size=240, azimuth=0.0, frames=[0, *range(24, 60, 3)]):
        trunk = near(image, MIDDLE, 25)
        assert 80 < trunk[:, 1].mean() < 160
        assert inked(image).min() > 4 and inked(image).max() < 236
        assert np.ptp(inked(image)[:, 0]) > 80  # and is not made small for it


def test_the_camera_does_not_shake_with_the_hips():
    still = np.tile(standing(), (60, 1, 1))
    shaking = still.copy()
    shaking[..., 0] += 0.03 * (-1) ** np.arange(60)[:, None]
    images = list(draw_world(shaking, BODY, azimuth=0.0, frames=range(20, 30)))
    columns = [near(image, MIDDLE, 12)[:, 1].mean() for image in images]
    assert abs(np.diff(columns)).min() > 5  # the figure shakes
    floor = [image[300:, :60].astype(int) for image in images]
    assert max(abs(a - b).max() for a, b in zip(floor, floor[1:], strict=False)) <= 8  # not the floor


def test_the_floor_passes_below_who_walks_and_the_way_is_drawn():
    walk = walking(40, (0.0, 0.06))
    still = walk - (walk[:, :1] - walk[:1, :1]) * (1, 0, 1)
    moving, resting = (list(draw_world(motion, BODY, frames=[20, 24, 35])) for motion in (walk, still))
    assert not np.array_equal(moving[0][440:], moving[1][440:])
    assert np.array_equal(resting[0][440:], resting[1][440:])
    dark = [(images[2][200:340, 320:].max(-1) < 210).sum() for images in (moving, resting)]
    assert dark[0] > 60 > dark[1]  # the way behind whoever comes towards the viewer


def test_what_was_given_is_blue_and_what_was_made_is_orange():
    given = np.array([True, True, False, False])
    for image, shown in zip(draw_world(walking(4), BODY, size=240, given=given), given, strict=True):
        counts = [len(places) for places in told_apart(image)]
        assert min(counts) == 0 and counts[not shown] > 1500
    for palette in (GIVEN, MADE):
        assert len(set(palette.values())) == 4


def test_joints_can_be_given_one_by_one():
    given = np.zeros((3, 22), bool)
    lower = [BODY.index(f"{side}_{name}") for side in ("left", "right") for name in ("hip", "knee", "ankle", "foot")]
    given[:, lower] = True
    for image in draw_world(walking(3), BODY, given=given, azimuth=0.0):
        blue, orange = told_apart(image)
        assert len(blue) > 1500 and len(orange) > 1500
        assert abs(blue[:, 0].min() - orange[:, 0].max()) < 20
    given[:] = np.arange(22) == BODY.index("left_elbow")
    for image in draw_world(walking(3), BODY, given=given, azimuth=0.0):
        assert 30 < len(told_apart(image)[0]) < 300  # a dot: limbs between a given and a made joint were made


@pytest.mark.parametrize("given", [np.ones(3, bool), np.ones((4, 21), bool), np.ones((4, 22, 1), bool)])
def test_what_is_given_must_fit(given):
    with pytest.raises(DataError, match="given has shape"):
        next(draw_world(walking(4), BODY, given=given))


def test_every_frame_can_have_its_own_title():
    motion = walking(4)
    mixed = list(draw_world(motion, BODY, ["walks", "walks", "waves", "waves"]))
    for title, frames in (("walks", (0, 1)), ("waves", (2, 3))):
        alone = list(draw_world(motion, BODY, title))
        assert all(np.array_equal(mixed[frame], alone[frame]) for frame in frames)
    assert not np.array_equal(mixed[0][:40], mixed[2][:40])
    with pytest.raises(DataError, match="3 titles for 4 frames"):
        next(draw_world(motion, BODY, ["a", "b", "c"]))


@pytest.mark.parametrize("name", ["smpl22", "smpl24", "kit21", "nba"])
@pytest.mark.parametrize("unit", [0.01, 1.0, 1000.0])
def test_any_skeleton_in_any_unit_is_framed(name, unit):
    rng = np.random.RandomState(0)
    skeleton = SKELETONS[name]
    motion = rng.randn(1, len(skeleton.joints), 3) * 0.4 + 0.05 * rng.randn(12, len(skeleton.joints), 3).cumsum(0)
    for image in draw_world(motion * unit, skeleton, size=160):
        assert inked(image).min() >= 4 and inked(image).max() < 156
        assert np.ptp(inked(image), axis=0).max() > 70


def test_frames_can_be_picked():
    motion = walking(300)
    everything = list(draw_world(motion, BODY, "far", size=64))
    for frame in (0, 255, 256, 299):
        assert np.array_equal(next(draw_world(motion, BODY, "far", size=64, frames=[frame])), everything[frame])


def test_what_cannot_be_drawn_is_named():
    motion = walking(4)
    with pytest.raises(DataError, match="smpl22 needs"):
        next(draw_world(motion[:, :21], BODY))
    motion[2, 4, 1] = np.nan
    with pytest.raises(NumericError, match="left_knee is not finite at frame 2"):
        next(draw_world(motion, BODY))


def test_one_frame_and_two():
    for count in (1, 2):
        assert len(list(draw_world(walking(count), BODY, size=96))) == count


# sheets


def read(path) -> np.ndarray:
    sheet = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert sheet is not None
    return sheet


def test_a_sheet_has_captions_at_the_left_and_figures_at_the_right(tmp_path):
    motions = [walking(20), walking(1), walking(33, (0.5, 0.1))]
    captions = ["a person walks", "", "word " * 60]
    write_world_sheet(tmp_path / "sheet.png", motions, BODY, captions, columns=4)
    sheet = read(tmp_path / "sheet.png")
    assert sheet.shape == (3 * CELL, MARGIN + 4 * CELL, 3)
    for row in range(3):
        cells = sheet[row * CELL : (row + 1) * CELL - 1]
        written = (cells[:, :MARGIN] != PAPER).any(-1)
        assert written.any() == bool(captions[row]) and not written[:, -4:].any() and not written[:8].any()
        for column in range(4):
            cell = cells[:, MARGIN + column * CELL : MARGIN + (column + 1) * CELL]
            assert all(len(places) > 30 for places in sides(cell))
            middle = inked(cell)[:, 1]
            assert 45 < middle.mean() < 135
    assert [entry.name for entry in tmp_path.iterdir()] == ["sheet.png"]


def test_a_sheet_shows_what_was_given(tmp_path):
    given = [np.arange(20) < 7]
    write_world_sheet(tmp_path / "sheet.png", [walking(20)], BODY, ["a"], columns=2, given=given)
    first, last = np.split(read(tmp_path / "sheet.png")[:, MARGIN:], 2, axis=1)
    for cell, counts in ((first, (1, 0)), (last, (0, 1))):
        assert [len(places) > 500 for places in told_apart(cell)] == list(map(bool, counts))


def test_a_sheet_refuses_what_it_cannot_draw(tmp_path):
    for motions, captions in (([], []), ([walking(3)], ["a", "b"]), ([walking(3)[:, :4]], ["a"])):
        with pytest.raises(DataError):
            write_world_sheet(tmp_path / "sheet.png", motions, BODY, captions)
    assert not list(tmp_path.iterdir())
