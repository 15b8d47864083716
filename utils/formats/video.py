"""Pictures into an mp4 or gif: raw frames through a pipe to the ffmpeg binary that imageio-ffmpeg brings along."""

import contextlib
import itertools
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import cv2
import imageio_ffmpeg
import numpy as np

from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.files import atomic_path

# Flat drawings gain little from B-frames, small partitions, sub-pixel motion, arithmetic coding and a look ahead, which
# take half of the time of x264's faster presets; they need adaptive quantisation and the deblocking filter, or shadows
# fall apart. ffmpeg cannot see the format in a temporary name, so it is told.
_X264 = "partitions=i4x4:aq-mode=1:aq-strength=0.4:deblock=0,0"
_MP4 = f"-c:v libx264 -preset ultrafast -crf 27 -x264-params {_X264} -movflags +faststart -f mp4"
_GIF = "-filter_complex split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=none -f gif"
_FORMATS = {".mp4": ("yuv420p", _MP4), ".gif": ("rgb24", _GIF)}
DECODER = 64 << 20  # bytes that a decoder of video may take, its threads with it


def write_video(path: str | Path, frames: Iterable[np.ndarray], fps: float, threads: int = 1) -> None:
    """Write RGB uint8 pictures [H, W, 3] of one size as H.264 `.mp4` or palette `.gif`, whole or not at all.

    An mp4 has even sides: the last row and column are repeated where they are odd. The same frames give the same
    bytes. Raises UsageError for another suffix, DataError where there is no frame, a frame is not such a picture, or
    ffmpeg fails (with its own words); what `frames` raises passes through.
    """
    for _ in recorded(path, frames, fps, threads):
        pass


def recorded(path: str | Path, frames: Iterable[np.ndarray], fps: float, threads: int = 1) -> Iterator[np.ndarray]:
    """Pass the frames on while they are written as by `write_video`: the file appears when the last one was taken."""
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"cannot write a video to {path.name}: the name must end in {' or '.join(_FORMATS)}")
    pixels, encoder = _FORMATS[path.suffix.lower()]
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise DataError(f"there are no frames to write to {path}")
    height, width = (side + side % 2 if pixels == "yuv420p" else side for side in first.shape[:2])
    source = f"-f rawvideo -pix_fmt {pixels} -s {width}x{height} -framerate {fps} -i -"
    few = f"-threads {threads} -filter_complex_threads {threads}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *f"-y -loglevel error {few} {source} {encoder} {few}".split()]
    with (
        atomic_path(path) as temporary,
        _ffmpeg([*command, "-fflags", "+bitexact", str(temporary.resolve())], path) as pipe,
    ):
        for frame in itertools.chain([first], frames):
            pipe.write(_raw(frame, first.shape, pixels).data)
            yield frame


def frame_count(path: str | Path) -> int:
    """How many frames a video holds, by its header; the first one is decoded to see that it reads back.

    Raises MissingFileError or DataError, and MemoryError where there is not what a decoder takes.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path} does not exist")
    capture = cv2.VideoCapture(str(path))
    try:
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if count < 1 or not capture.read()[0]:
            np.empty(DECODER, np.uint8)  # without it, a decoder fails as if the file were no video
            raise DataError(f"{path} does not read back as a video")
        return count
    finally:
        capture.release()


def _raw(frame: np.ndarray, shape: tuple[int, ...], pixels: str) -> np.ndarray:
    """The bytes of a frame as ffmpeg expects them. Raises DataError for a frame of another kind or shape."""
    if frame.shape != shape or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise DataError(f"a video frame must be RGB uint8 of one size, not {frame.dtype} {frame.shape} after {shape}")
    if pixels == "rgb24":
        return np.ascontiguousarray(frame)
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)  # a third of the time that ffmpeg takes for it


@contextlib.contextmanager
def _ffmpeg(command: list[str], path: Path) -> Iterator[IO[bytes]]:
    """The pipe into a running ffmpeg, which has ended well on leaving. Raises DataError with its words otherwise."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words)
        assert process.stdin is not None
        broken = True
        try:
            # A broken pipe says only that ffmpeg has gone; why, it has written to its stderr.
            with contextlib.suppress(BrokenPipeError), process.stdin:
                yield process.stdin
                broken = False
            failed = process.wait() != 0 or broken
        finally:
            process.kill()
            process.wait()
        if failed:
            words.seek(0)
            said = " ".join(words.read().decode(errors="replace").split())
            raise DataError(f"ffmpeg could not write {path}: {said or f'exit status {process.returncode}'}")
