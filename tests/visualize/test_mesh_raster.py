"""Triangles into pixels, by OpenGL and by numpy: who covers what, smooth edges, and one picture from both."""

import sys

import numpy as np
import pytest

from utils.run.errors import MissingFileError, UsageError
from visualize.meshes.raster import open_renderer

PAPER = 250
RED, BLUE = (220, 40, 30), (20, 60, 200)


@pytest.fixture(scope="module", params=["opengl", "painter"])
def renderer(request):
    try:
        opened, note = open_renderer(request.param)
    except MissingFileError as error:
        pytest.skip(str(error))
    assert opened.name == request.param and note == ""
    yield opened
    opened.close()


def painted(renderer, pixels, faces, colours=RED, nearness=None, shape=(90, 120)) -> np.ndarray:
    """A picture of one mesh on plain paper."""
    image = np.full((*shape, 3), PAPER, np.uint8)
    pixels, faces = np.asarray(pixels, float), np.asarray(faces, np.int32)
    nearness = np.ones(len(pixels)) if nearness is None else np.asarray(nearness, float)
    renderer.paint(image, pixels, nearness, np.broadcast_to(np.asarray(colours, float), (len(pixels), 3)), faces)
    return image


def coverage(image: np.ndarray, colour=RED) -> np.ndarray:
    """How much [H, W] of each pixel is covered, 0 to 1, by its green."""
    return (PAPER - image[..., 1].astype(float)) / (PAPER - colour[1])


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two coverages."""
    return float(np.minimum(one, other).sum() / np.maximum(one, other).sum())


def sphere(centre=(60.3, 44.7), radius=33.4, rings=40, segments=60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, nearness and faces of a ball that is seen from far away."""
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, rings), np.arange(segments) * (2 * np.pi / segments), indexing="ij"
    )
    x, y, z = np.sin(polar) * np.cos(around), np.cos(polar), np.sin(polar) * np.sin(around)
    number = np.arange(rings * segments).reshape(rings, segments)
    a, b = number[:-1], number[1:]
    c, d = np.roll(b, -1, 1), np.roll(a, -1, 1)
    faces = np.concatenate([np.stack([a, d, c], -1).reshape(-1, 3), np.stack([a, c, b], -1).reshape(-1, 3)])
    pixels = np.stack([centre[0] + radius * x, centre[1] - radius * y], -1).reshape(-1, 2)
    return pixels, (2 + z).reshape(-1), faces


def disc(centre=(60.3, 44.7), radius=33.4, shape=(90, 120)) -> np.ndarray:
    """The coverage of a disc, by 8 x 8 samples a pixel."""
    fine = (np.arange(8) + 0.5) / 8 - 0.5
    y, x = (np.add.outer(np.arange(side), fine).ravel() for side in shape)
    inside = (x[None] - centre[0]) ** 2 + (y[:, None] - centre[1]) ** 2 < radius**2
    return inside.reshape(shape[0], 8, shape[1], 8).mean((1, 3))


SQUARE = ([[20.5, 70.5], [80.5, 70.5], [80.5, 10.5], [20.5, 10.5]], [[0, 1, 2], [0, 2, 3]])


def test_a_ball_covers_a_disc(renderer):
    pixels, nearness, faces = sphere()
    covered = coverage(painted(renderer, pixels, faces, nearness=nearness))
    assert overlap(covered, disc()) > 0.985
    assert covered.sum() == pytest.approx(np.pi * 33.4**2, rel=0.01)
    assert ((covered > 0.1) & (covered < 0.9)).sum() > 100  # edges are smooth
    assert covered[disc() == 1].min() > 0.99 and covered[disc() == 0].max() < 0.3


def test_pixels_are_where_they_are_said_to_be(renderer):
    covered = coverage(painted(renderer, *SQUARE))
    expected = np.zeros_like(covered)
    expected[11:71, 21:81] = 1  # the square runs from edge to edge of pixels
    np.testing.assert_allclose(covered, expected, atol=0.01)


def test_what_is_seen_from_behind_is_left_out(renderer):
    pixels, faces = SQUARE
    assert (painted(renderer, pixels, np.array(faces)[:, ::-1]) == PAPER).all()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_is_near_hides_what_is_far(renderer, order):
    near, far = np.array(SQUARE[0]), np.array(SQUARE[0]) + (20, 10)
    pixels, nearness = np.concatenate([near, far]), np.repeat([2.0, 1.0], 4)
    faces = np.concatenate([np.array(SQUARE[1]) + 4 * part for part in order])
    image = painted(renderer, pixels, faces, np.repeat([RED, BLUE], 4, 0), nearness)
    assert (image[11:71, 21:81] == RED).all()
    assert (image[72:80, 50:100] == BLUE).all()


def test_what_crosses_is_cut_at_the_right_place(renderer):
    """Two squares through each other: one comes nearer to the right, the other to the left."""
    pixels, nearness = np.array(SQUARE[0] * 2), np.array([1, 3, 3, 1, 3, 1, 1, 3.0])
    faces = np.concatenate([SQUARE[1], np.array(SQUARE[1]) + 4])
    image = painted(renderer, pixels, faces, np.repeat([RED, BLUE], 4, 0), nearness)
    assert (image[12:70, 22:49] == BLUE).all() and (image[12:70, 52:80] == RED).all()


def test_neighbours_leave_no_gaps_and_do_not_overlap(renderer):
    rng = np.random.default_rng(5)
    grid = np.stack(np.meshgrid(np.linspace(5, 110, 61), np.linspace(5, 80, 41)), -1)
    grid[1:-1, 1:-1] += rng.uniform(-0.6, 0.6, (39, 59, 2))
    number = np.arange(61 * 41).reshape(41, 61)
    a, b, c, d = number[1:, :-1], number[1:, 1:], number[:-1, 1:], number[:-1, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    image = painted(renderer, grid.reshape(-1, 2), faces, nearness=rng.uniform(1, 2, 61 * 41))
    assert (image[6:80, 6:110] == RED).all()


def test_colours_run_from_corner_to_corner(renderer):
    image = painted(renderer, *SQUARE, colours=[[0, 40, 9], [240, 40, 9], [240, 40, 9], [0, 40, 9]])
    np.testing.assert_allclose(image[40, 21:81, 0], (np.arange(60) + 0.5) * 4, atol=1.1)
    assert (image[12:70, 22:80, 2] == 9).all()


def test_what_leaves_the_picture_is_cut_off(renderer):
    pixels, nearness, faces = sphere()
    whole = painted(renderer, pixels + 40, faces, nearness=nearness, shape=(200, 220))
    for shift in ((-40, -40), (20, 10)):
        part = painted(renderer, pixels + 40 + shift, faces, nearness=nearness, shape=(90, 120))
        moved = np.roll(whole, shift[::-1], (0, 1))[:90, :120]
        assert np.abs(part.astype(int) - moved).mean() < 0.05
    assert (painted(renderer, pixels + 500, faces, nearness=nearness) == PAPER).all()
    assert (painted(renderer, pixels - 500, faces, nearness=nearness) == PAPER).all()


@pytest.mark.parametrize("shape", [(1, 1), (33, 77), (511, 301)])
def test_any_size(renderer, shape):
    pixels, faces = np.array(SQUARE[0]) * 20 - 600, SQUARE[1]  # larger than the picture
    assert (painted(renderer, pixels, faces, shape=shape) == RED).all()


def test_the_same_picture_again_whatever_was_drawn_between(renderer):
    ball = sphere()
    first = painted(renderer, ball[0], ball[2], nearness=ball[1])
    painted(renderer, *SQUARE, shape=(300, 280))
    pixels, nearness, faces = sphere(radius=70, rings=9)
    painted(renderer, pixels, faces, nearness=nearness, shape=(300, 280))
    assert np.array_equal(first, painted(renderer, ball[0], ball[2], nearness=ball[1]))
    other, _ = open_renderer(renderer.name)  # two that are open at once do not disturb each other
    assert np.array_equal(first, painted(other, ball[0], ball[2], nearness=ball[1]))
    assert np.array_equal(first, painted(renderer, ball[0], ball[2], nearness=ball[1]))
    other.close()
    assert np.array_equal(first, painted(renderer, ball[0], ball[2], nearness=ball[1]))


def test_both_ways_agree(renderer):
    painter, _ = open_renderer("painter")
    pixels, nearness, faces = sphere(rings=25, segments=40)
    colours = np.stack([pixels[:, 0], pixels[:, 1], 80 * nearness], axis=1)
    one, other = (painted(way, pixels, faces, colours, nearness) for way in (renderer, painter))
    assert np.abs(one.astype(int) - other).mean() < 0.5
    assert overlap(coverage(one, (0, 0, 0)) > 0.5, coverage(other, (0, 0, 0)) > 0.5) > 0.98


def test_without_moderngl_the_painter_serves(monkeypatch):
    monkeypatch.setitem(sys.modules, "moderngl", None)
    fallen, note = open_renderer()
    assert fallen.name == "painter" and "moderngl" in note and "slower" in note
    with pytest.raises(MissingFileError, match="pip install moderngl"):
        open_renderer("opengl")


def test_without_a_driver_the_painter_serves(monkeypatch):
    moderngl = pytest.importorskip("moderngl")

    def refuse(*_, **__):
        raise Exception("libEGL.so.1 not found")

    monkeypatch.setattr(moderngl, "create_context", refuse)
    fallen, note = open_renderer()
    assert fallen.name == "painter" and "libEGL.so.1 not found" in note


def test_another_renderer_is_refused():
    with pytest.raises(UsageError, match="vulkan.*auto, opengl, painter"):
        open_renderer("vulkan")
