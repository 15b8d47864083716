"""Grids: every cell in its place, a video that has ended stands still, one drawing for the grid and its own file."""

import cv2
import numpy as np
import pytest

from utils.formats.video import frame_count
from utils.run.errors import DataError
from visualize.sticks.grid import CELL, grids_of, tile, write_grid


def pictures(shade: int, count: int, size: int = 96):
    """Pictures [size, size, 3] of one colour that gets lighter by 4 a frame."""
    for index in range(count):
        yield np.full((size, size, 3), (shade + 4 * index, 255 - shade, shade), np.uint8)


def cell(grid: np.ndarray, row: int, column: int, side: int) -> np.ndarray:
    return grid[row * side : (row + 1) * side, column * side : (column + 1) * side]


def test_each_video_has_its_cell_and_stands_still_when_it_has_ended():
    lengths = [[3, 1, 7], [5, 5, 2]]
    rows = [[pictures(20 * (3 * r + c), lengths[r][c]) for c in range(3)] for r in range(2)]
    grids = list(tile(rows, 32))
    assert len(grids) == 7 and all(grid.shape == (64, 96, 3) and grid.dtype == np.uint8 for grid in grids)
    for time, grid in enumerate(grids):
        for r in range(2):
            for c in range(3):
                shade = 20 * (3 * r + c)
                last = shade + 4 * min(time, lengths[r][c] - 1)
                assert (cell(grid, r, c, 32) == (last, 255 - shade, shade)).all()


def test_pictures_shrink_by_their_means():
    rng = np.random.RandomState(0)
    image = rng.randint(0, 256, (480, 480, 3)).astype(np.uint8)
    (grid,) = tile([[[image]]])
    assert grid.shape == (CELL, CELL, 3) and CELL % 2 == 0
    means = image.reshape(240, 2, 240, 2, 3).mean((1, 3))
    assert abs(grid - means).max() <= 1


def test_pictures_are_taken_one_at_a_time():
    taken = []

    def counted(name):
        for index, picture in enumerate(pictures(0, 4)):
            taken.append((name, index))
            yield picture

    grids = tile([[counted("a"), counted("b")]], 32)
    next(grids)
    next(grids)
    assert taken == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_grids_do_not_share_memory():
    first, second = tile([[pictures(0, 2)]], 32)
    before = second.copy()
    first[:] = 9
    assert np.array_equal(second, before)


@pytest.mark.parametrize(
    "rows", [[], [[]], [[pictures(0, 1)], []], [[pictures(0, 1), pictures(0, 1)], [pictures(0, 1)]]]
)
def test_rows_must_be_equally_long(rows):
    with pytest.raises(DataError, match="as many in each row"):
        next(tile(rows))


def test_a_video_without_pictures_is_named():
    with pytest.raises(DataError, match="video 1 of a grid has no picture"):
        next(tile([[pictures(0, 2), pictures(0, 0)]]))


def drawn(samples: int, repetitions: int, count=4):
    """Videos, and how often each picture of them was drawn."""
    times = {}

    def counted(place):
        for index, picture in enumerate(pictures(20 * place[0] + 5 * place[1], count + place[0])):
            times[place, index] = times.get((place, index), 0) + 1
            yield picture

    return [[counted((s, r)) for r in range(repetitions)] for s in range(samples)], times


def write_samples(folder, videos, fps, names=("sample", "rep")):
    """All grids of some samples."""
    parts = grids_of(len(videos))
    return [name for part in parts for name in write_grid(folder, part, videos[part.start : part.stop], fps, names)]


def test_samples_are_drawn_once_for_their_files_and_the_grids(tmp_path):
    videos, times = drawn(4, 2)
    names = write_samples(tmp_path, videos, 20)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    frames = {f"sample{s:02d}_rep{r:02d}.mp4": 4 + s for s in range(4) for r in range(2)}
    frames |= {"samples_00_to_02.mp4": 6, "samples_03_to_03.mp4": 7}
    assert {name: frame_count(tmp_path / name) for name in names} == frames
    assert set(times.values()) == {1} and len(times) == sum(4 + s for s in range(4)) * 2
    capture = cv2.VideoCapture(str(tmp_path / "samples_00_to_02.mp4"))
    image = capture.read()[1][..., ::-1].astype(int)
    assert image.shape == (3 * CELL, 2 * CELL, 3)
    for s in range(3):
        for r in range(2):
            shade = 20 * s + 5 * r
            assert abs(cell(image, s, r, CELL).mean((0, 1)) - (shade, 255 - shade, shade)).max() < 6


def test_unconditional_samples_have_other_names(tmp_path):
    names = write_samples(tmp_path, drawn(1, 1)[0], 20, ("row", "col"))
    assert names == ["row00_col00.mp4", "rows_00_to_00.mp4"]


def test_the_same_samples_give_the_same_bytes(tmp_path):
    contents = []
    for _ in range(2):
        names = write_samples(tmp_path, drawn(2, 1)[0], 20)
        contents.append([(tmp_path / name).read_bytes() for name in names])
    assert contents[0] == contents[1]


def test_a_drawing_that_fails_leaves_no_unfinished_file(tmp_path):
    def breaking():
        yield from pictures(0, 2)
        raise ZeroDivisionError("while drawing")

    with pytest.raises(ZeroDivisionError, match="while drawing") as failure:
        write_samples(tmp_path, [[pictures(0, 9), breaking(), pictures(0, 1)]], 20)
    assert failure.traceback  # which holds on to the videos
    assert [path.name for path in tmp_path.iterdir()] in ([], ["sample00_rep02.mp4"])
