"""Bodies on a floor: who is where, from which side the light comes, where the shadow lies, what the camera follows."""

import dataclasses
import sys

import cv2
import numpy as np
import pytest

from body.capsules import capsule_body
from utils.formats.video import frame_count
from utils.geometry.body import Body, BodyMotion
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, NumericError
from visualize.meshes.raster import open_renderer
from visualize.meshes.video import draw_body, write_body_sheet
from visualize.sticks.contact_sheet import CELL, MARGIN
from visualize.sticks.figures import LOOSE
from visualize.sticks.floor import PAPER
from visualize.sticks.grid import write_grid

JOINTS = ("pelvis", "chest", "head", "left_hand", "left_foot", "right_foot")
PARENTS = (-1, 0, 1, 1, 0, 0)
REST = np.array(
    [(0, 0.9, 0), (0, 1.4, 0), (0, 1.65, 0), (0.7, 1.4, 0), (0.12, 0.06, 0.05), (-0.12, 0.06, 0.05)], np.float32
)
SIZE = 240


@pytest.fixture(scope="module")
def painter():
    return open_renderer("painter")[0]


@pytest.fixture(scope="module")
def opengl():
    try:
        renderer, _ = open_renderer("opengl")
    except MissingFileError as error:
        pytest.skip(str(error))
    yield renderer
    renderer.close()


def standing(count: int = 1, step: tuple[float, float, float] = (0, 0, 0)) -> BodyMotion:
    """Someone with a left arm only, on the floor, who goes a step [3] (metres) a frame."""
    body = capsule_body(JOINTS, PARENTS, REST, "one arm")
    rotations = np.tile(np.eye(3, dtype=np.float32), (count, len(JOINTS), 1, 1))
    root = REST[0] - (0, body.vertices[:, 1].min(), 0) + np.arange(count)[:, None] * np.array(step)
    return BodyMotion(body, rotations, root.astype(np.float32), 20.0, "one arm")


def ball(height: float, radius: float = 0.5) -> BodyMotion:
    """A ball of one joint with its middle at a height."""
    body = capsule_body(("middle",), (-1,), np.zeros((1, 3), np.float32), "ball")
    scale = radius / np.abs(body.vertices).max()
    body = dataclasses.replace(body, vertices=body.vertices * np.float32(scale))
    return BodyMotion(body, np.eye(3, dtype=np.float32)[None, None], np.float32([[0, height, 0]]), 20.0, "ball")


def flesh(image: np.ndarray) -> np.ndarray:
    """Which pixels [H, W] show the body: it alone has a hue."""
    return np.ptp(image.astype(int), axis=-1) > 23


def places(image: np.ndarray) -> np.ndarray:
    """Rows and columns [N, 2] of the body."""
    return np.argwhere(flesh(image))


def darkness(image: np.ndarray) -> np.ndarray:
    """How much [H, W] darker than paper the picture is outside the body and its smooth edge."""
    return np.where(
        cv2.dilate(flesh(image).astype(np.uint8), np.ones((5, 5), np.uint8)), 0, PAPER[0] - image[..., 0].astype(int)
    )


def test_who_faces_z_looks_at_the_viewer(painter):
    (front,) = draw_body(standing(), size=SIZE, azimuth=0.0, renderer=painter)
    (back,) = draw_body(standing(), size=SIZE, azimuth=np.pi, renderer=painter)
    middle = (SIZE - 1) / 2
    assert places(front)[:, 1].max() - middle > 1.8 * (middle - places(front)[:, 1].min())  # the left arm at the right
    assert middle - places(back)[:, 1].min() > 1.8 * (places(back)[:, 1].max() - middle)


def test_the_side_is_seen_from_the_left(painter):
    body = capsule_body(("pelvis", "nose"), (-1, 0), np.float32([[0, 0.5, 0], [0, 0.5, 0.5]]), "nose")
    motion = BodyMotion(body, np.tile(np.eye(3, dtype=np.float32), (1, 2, 1, 1)), np.float32([[0, 0.5, 0]]), 20.0)
    (side,) = draw_body(motion, size=SIZE, azimuth=np.pi / 2, renderer=painter)
    columns = places(side)[:, 1] - (SIZE - 1) / 2
    assert -columns.min() > 2 * columns.max()  # +z on the left, as for stick figures


def test_the_whole_body_is_in_the_picture_and_fills_it(painter):
    for azimuth in (0.0, 0.6, np.pi / 2, 3.0):
        (image,) = draw_body(standing(), "a title\nand more", SIZE, azimuth, renderer=painter)
        rows, columns = places(image).T
        assert rows.min() > 0.05 * SIZE and rows.max() < 0.97 * SIZE and np.ptp(rows) > 0.6 * SIZE
        assert columns.min() > 0.03 * SIZE and columns.max() < 0.97 * SIZE


def test_the_light_comes_from_above_and_from_the_left(painter):
    (image,) = draw_body(ball(0.5), size=SIZE, azimuth=1.0, renderer=painter)
    rows, columns = places(image).T
    brightness, height, width = image[rows, columns].mean(-1), np.ptp(rows), np.ptp(columns)
    row, column = (rows - rows.min()) / height, (columns - columns.min()) / width
    top, bottom, left, right = (brightness[part].mean() for part in (row < 0.3, row > 0.7, column < 0.3, column > 0.7))
    assert top > bottom + 20 and left > right + 5


def test_the_shadow_lies_on_the_floor_below(painter):
    low, high = (next(draw_body(ball(at), size=SIZE, colour=(90, 200, 20), renderer=painter)) for at in (0.5, 1.05))
    foot = places(low)[:, 0].max()
    dark = darkness(low)
    assert dark.max() > 60
    rows, columns = np.argwhere(dark > 45).T
    assert abs(rows.mean() - foot) < 0.15 * SIZE and rows.min() > places(low)[:, 0].mean()
    assert abs(columns.mean() - places(low)[:, 1].mean()) < 0.25 * SIZE
    assert dark[: SIZE // 3].max() < 8 and dark[:, :20].max() < 40  # none in the air, none far away
    assert darkness(high).max() < dark.max() - 5  # the higher, the fainter
    assert places(high)[:, 0].max() < np.argwhere(darkness(high) > 30)[:, 0].max()  # and the floor is seen below


def test_the_floor_is_at_zero_unless_the_body_never_comes_near(painter):
    motion = standing()
    (on_floor,) = draw_body(motion, size=SIZE, renderer=painter)

    def raised(by: float) -> np.ndarray:
        moved = dataclasses.replace(motion, root=motion.root + np.float32((0, by, 0)))
        return next(draw_body(moved, size=SIZE, renderer=painter)).astype(int)

    for by in (-0.9, 4.0):  # centred on the root; somewhere up in a scene
        assert np.abs(raised(by) - on_floor).mean() < 0.05
    for by in (-0.03, 0.2):
        assert np.abs(raised(by) - on_floor).mean() > 0.3


def test_the_camera_follows_and_the_floor_passes(painter):
    motion = standing(50, (0.03, 0, 0.05))
    images = list(draw_body(motion, size=SIZE, frames=[10, 25, 40], renderer=painter))
    for image in images:
        assert abs(places(image)[:, 1].mean() - places(images[0])[:, 1].mean()) < 3
    still = list(draw_body(standing(50), size=SIZE, frames=[10, 40], renderer=painter))
    assert np.array_equal(*still)
    assert (darkness(images[0]) - darkness(images[2]) != 0).mean() > 0.02  # grid and path have moved


def test_both_renderers_show_the_same_body(painter, opengl):
    motion = standing(3, (0.1, 0, 0))
    ways = (draw_body(motion, "both", 301, renderer=renderer) for renderer in (painter, opengl))
    for one, other in zip(*ways, strict=True):
        a, b = flesh(one), flesh(other)
        assert (a & b).sum() / (a | b).sum() > 0.98
        assert np.abs(one.astype(int) - other).mean() < 0.6


@pytest.mark.parametrize("kind", ["painter", "opengl"])
def test_the_same_bytes_twice(kind, request):
    renderer = request.getfixturevalue(kind)
    motion = standing(20, (0.1, 0, 0))
    first, again = (list(draw_body(motion, "twice", 96, renderer=renderer)) for _ in range(2))
    assert np.array_equal(first, again)
    picked = list(draw_body(motion, "twice", 96, frames=[19, 3, 17], renderer=renderer))
    assert np.array_equal(picked, [first[19], first[3], first[17]])


def test_drawn_by_turns_as_drawn_alone(opengl):
    motions = standing(4, (0.1, 0, 0)), dataclasses.replace(ball(0.6), name="ball")
    alone = [list(draw_body(motion, size=80, renderer=opengl)) for motion in (motions[0], motions[0], motions[1])]
    turns = [draw_body(motions[0], size=80, renderer=opengl), draw_body(motions[0], size=80)]
    for first, second, expected in zip(*turns, alone[0], strict=True):
        assert np.array_equal(first, expected) and np.array_equal(second, expected)
        assert np.array_equal(next(draw_body(motions[1], size=80, renderer=opengl)), alone[2][0])


def test_without_opengl_it_paints(monkeypatch, painter):
    monkeypatch.setitem(sys.modules, "moderngl", None)
    motion = standing()
    assert np.array_equal(list(draw_body(motion, size=97)), list(draw_body(motion, size=97, renderer=painter)))


@pytest.mark.parametrize("size", [33, 101, 512])
def test_any_size_of_a_clip_of_one_frame(painter, size):
    (image,) = draw_body(standing(), "odd", size, renderer=painter)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8
    assert 0.02 < flesh(image).mean() < 0.5


def test_contacts_are_tinted_where_they_are_asked_for(painter):
    motion = standing(2)
    contacts = np.zeros((2, len(JOINTS)), bool)
    contacts[1, 4] = True
    distance = np.linalg.norm(motion.body.vertices[:, None] - motion.body.rest, axis=-1)
    weights = np.eye(len(JOINTS), dtype=np.float32)[distance.argmin(1)]
    motion = dataclasses.replace(motion, body=dataclasses.replace(motion.body, weights=weights))
    told = dataclasses.replace(motion, contacts=contacts)
    orange = [
        np.argwhere(image[..., 0] > image[..., 2].astype(int) + 20)
        for image in draw_body(told, size=SIZE, azimuth=0.0, contacts=True, renderer=painter)
    ]
    assert LOOSE[0] > LOOSE[2] and motion.body.joints[4] == "left_foot"
    assert len(orange[0]) == 0 and len(orange[1]) > 20
    assert orange[1][:, 0].min() > SIZE / 2 < orange[1][:, 1].mean()  # low, and the left foot stands at the right
    plain = draw_body(motion, size=SIZE, azimuth=0.0, renderer=painter)
    assert np.array_equal(list(plain), list(draw_body(told, size=SIZE, azimuth=0.0, renderer=painter)))


def test_a_body_moved_by_its_pose_alone_is_drawn(painter):
    """Directions of a pose shift the vertices, as in SMPL: the outline that the camera fits counts them in."""
    motion = standing()
    body = motion.body
    directions = np.zeros((len(body.vertices), 3, 9 * (len(JOINTS) - 1)), np.float32)
    directions[:, 0, 9 * 2 + 4] = -2.0  # the fifth entry of the hand's R - I, which is -1 below
    turned = motion.rotations.copy()
    turned[0, 3] = np.diag([1.0, 0.0, 0.0])
    moved = dataclasses.replace(motion, body=dataclasses.replace(body, pose_directions=directions), rotations=turned)
    (image,) = draw_body(moved, size=SIZE, azimuth=0.0, renderer=painter)
    columns = places(image)[:, 1]
    assert columns.min() > 0.6 * SIZE and columns.max() < 0.97 * SIZE


def test_what_is_not_finite_is_refused(painter):
    motion = standing(5)
    root, rotations = motion.root.copy(), motion.rotations.copy()
    root[3, 1], rotations[2, 4, 0, 0] = np.nan, np.inf
    for broken, frame in ((dict(root=root), 3), (dict(rotations=rotations), 2)):
        with pytest.raises(NumericError, match=f"one arm is not finite at frame {frame}"):
            next(draw_body(dataclasses.replace(motion, **broken), renderer=painter))


def test_what_does_not_fit_is_refused(painter):
    motion = standing(5)
    for broken in (dict(root=motion.root[:4]), dict(rotations=motion.rotations[:, :3]), dict(root=motion.root[:0])):
        with pytest.raises(DataError, match=r"one arm needs \(frames, 6, 3, 3\)"):
            next(draw_body(dataclasses.replace(motion, **broken), renderer=painter))
    with pytest.raises(DataError, match="16 is the least"):
        next(draw_body(motion, size=3, renderer=painter))


def test_a_sheet_has_a_row_a_motion(tmp_path, painter):
    path = tmp_path / "sheet.png"
    motions = [standing(9, (0.05, 0, 0)), ball(0.5)]
    write_body_sheet(path, motions, ["someone walks", "a ball"], columns=3, renderer=painter)
    sheet = cv2.imread(str(path))[..., ::-1]
    assert sheet.shape == (2 * CELL, MARGIN + 3 * CELL, 3)
    for row in range(2):
        for column in range(3):
            start = MARGIN + column * CELL
            assert flesh(sheet[row * CELL : (row + 1) * CELL, start : start + CELL]).sum() > 500
    named = tmp_path / "named.png"
    write_body_sheet(named, motions, columns=3, renderer=painter)
    assert named.read_bytes() != path.read_bytes()


def test_a_sheet_that_cannot_be_drawn_leaves_nothing(tmp_path, painter):
    broken = dataclasses.replace(standing(3), root=np.full((3, 3), np.nan, np.float32))
    for motions, captions, error in (
        ([], [], DataError),
        ([standing()], ["a", "b"], DataError),
        ([broken], None, NumericError),
    ):
        with pytest.raises(error):
            write_body_sheet(tmp_path / "sheet.png", motions, captions, renderer=painter)
    assert list(tmp_path.iterdir()) == []


def test_bodies_side_by_side_through_the_grid(tmp_path, painter):
    motions = [standing(6), standing(4, (0.1, 0, 0))]
    samples = [[draw_body(motion, size=64, renderer=painter) for motion in motions]]
    names = write_grid(tmp_path, range(len(samples)), samples, 20.0)
    assert [frame_count(tmp_path / name) for name in names] == [6, 4, 6]


def test_a_tree_of_another_kind(painter):
    skeleton = SKELETONS["nba"]
    rest = np.random.default_rng(4).uniform(0, 1.5, (len(skeleton.joints), 3)).astype(np.float32)
    body: Body = capsule_body(skeleton.joints, skeleton.parents, rest, "nba")
    still = np.tile(np.eye(3, dtype=np.float32), (2, len(body.joints), 1, 1))
    for image in draw_body(BodyMotion(body, still, np.tile(body.rest[:1], (2, 1)), 20.0), size=90, renderer=painter):
        assert flesh(image).mean() > 0.01
