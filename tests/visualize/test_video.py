"""Videos: what goes in comes out, whole or not at all."""

import sys

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from utils.formats.video import frame_count, recorded, write_video
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, UsageError
from visualize.sticks.figures import draw_world


def pictures(count=12, height=64, width=96):
    """A white square that wanders to the right over a coloured ground."""
    for index in range(count):
        image = np.full((height, width, 3), (97, 206, 185), np.uint8)
        image[20:36, 4 * index : 4 * index + 16] = 255
        yield image


def read_back(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    return np.stack(frames), capture.get(cv2.CAP_PROP_FPS)


def test_mp4_reads_back_with_count_size_rate_and_colours(tmp_path):
    path = tmp_path / "a walk, ünïcode.mp4"
    write_video(path, pictures(), fps=20)
    frames, fps = read_back(path)
    assert frame_count(path) == len(frames) == 12
    assert frames.shape[1:] == (64, 96, 3)
    assert fps == 20
    for got, put in zip(frames, pictures(), strict=True):
        assert abs(got.astype(int) - put).mean() < 4
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_figure_on_its_floor_looks_as_it_was_drawn(tmp_path):
    skeleton = SKELETONS["smpl22"]
    walk = np.random.RandomState(0).randn(22, 3) * 0.3 + np.linspace(0, (0.5, 0, 1), 8)[:, None]
    put = np.stack(list(draw_world(walk, skeleton, "a walk")))
    write_video(tmp_path / "a.mp4", put, 20)
    got, _ = read_back(tmp_path / "a.mp4")
    error = (put.astype(float) - got).mean(-1) ** 2  # of brightness: colours have half the resolution
    assert error.mean((1, 2)).max() < 255**2 / 10 ** (39 / 10)  # 39 dB in each frame, of limbs everywhere
    assert b"avc1" in (tmp_path / "a.mp4").read_bytes()


def test_mp4_can_start_before_it_is_loaded(tmp_path):
    write_video(tmp_path / "a.mp4", pictures(), 20)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("height,width", [(63, 95), (64, 95), (63, 96)])
def test_odd_sides_are_padded(tmp_path, height, width):
    write_video(tmp_path / "odd.mp4", pictures(3, height, width), 20)
    frames, _ = read_back(tmp_path / "odd.mp4")
    assert frames.shape == (3, 64, 96, 3)
    assert abs(frames[:, -1, -1].astype(int) - (97, 206, 185)).max() < 8


def test_gif_reads_back(tmp_path):
    write_video(tmp_path / "a.gif", pictures(5, 63, 95), 20)
    frames, _ = read_back(tmp_path / "a.gif")
    assert frame_count(tmp_path / "a.gif") == len(frames) == 5
    assert abs(frames[2].astype(int) - list(pictures(5, 63, 95))[2]).max() < 4


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_same_frames_same_bytes(tmp_path, name):
    contents = []
    for _ in range(2):
        write_video(tmp_path / name, pictures(), 20)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_frames_that_are_views_or_reversed_are_copied(tmp_path):
    write_video(tmp_path / "a.mp4", (image[:, ::-1] for image in pictures()), 20)
    frames, _ = read_back(tmp_path / "a.mp4")
    assert frames[0, 28, -8].min() > 240
    assert frames[0, 28, 8].min() < 120


def test_recorded_frames_are_passed_on(tmp_path):
    passed = list(recorded(tmp_path / "a.mp4", pictures(), 20))
    assert all(np.array_equal(got, put) for got, put in zip(passed, pictures(), strict=True))
    write_video(tmp_path / "b.mp4", pictures(), 20)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_recording_that_is_left_leaves_nothing(tmp_path):
    recording = recorded(tmp_path / "a.mp4", pictures(), 20)
    next(recording)
    recording.close()
    assert not list(tmp_path.iterdir())


def test_no_frames_are_refused(tmp_path):
    with pytest.raises(DataError, match="no frames"):
        write_video(tmp_path / "a.mp4", [], 20)
    assert not list(tmp_path.iterdir())


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.mp4 or \.gif"):
        write_video(tmp_path / "a.avi", pictures(), 20)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((64, 94, 3), np.uint8), np.zeros((64, 96, 3), np.float32), np.zeros((64, 96), np.uint8)],
    ids=["another size", "floats", "grey"],
)
@pytest.mark.parametrize("place", [0, 2])
def test_frames_of_another_kind_are_refused(tmp_path, bad, place):
    frames = list(pictures(4))
    frames[place] = bad
    with pytest.raises(DataError, match="RGB uint8"):
        write_video(tmp_path / "a.mp4", frames, 20)
    assert not list(tmp_path.iterdir())


def test_ffmpegs_own_words_are_passed_on_and_nothing_stays(tmp_path):
    with pytest.raises(DataError, match="(?s)ffmpeg could not write.*framerate"):
        write_video(tmp_path / "a.mp4", pictures(), fps=-1)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for ffmpeg is a shell script")
@pytest.mark.parametrize("status", [0, 3])
def test_ffmpeg_that_goes_away_early(tmp_path, monkeypatch, status):
    script = tmp_path / "ffmpeg"
    script.write_text(f"#!/bin/sh\necho the disk is full >&2\nexec <&-\nexit {status}\n")
    script.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(script))
    with pytest.raises(DataError, match="the disk is full"):
        write_video(tmp_path / "a.mp4", pictures(400), 20)
    assert [entry.name for entry in tmp_path.iterdir()] == ["ffmpeg"]


def test_a_drawing_that_fails_keeps_the_old_file(tmp_path):
    def breaking():
        yield from pictures(3)
        raise ZeroDivisionError("while drawing")

    write_video(tmp_path / "a.mp4", pictures(), 20)
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(ZeroDivisionError, match="while drawing"):
        write_video(tmp_path / "a.mp4", breaking(), 20)
    assert (tmp_path / "a.mp4").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


def test_frame_count_of_what_is_no_video(tmp_path):
    with pytest.raises(MissingFileError):
        frame_count(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with pytest.raises(DataError, match="read back"):
        frame_count(tmp_path / "a.mp4")
    write_video(tmp_path / "b.mp4", pictures(), 20)
    (tmp_path / "a.mp4").write_bytes((tmp_path / "b.mp4").read_bytes()[:400])
    with pytest.raises(DataError, match="read back"):
        frame_count(tmp_path / "a.mp4")
