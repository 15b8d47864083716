"""Pictures into an mp4 or gif: raw RGB through a pipe to the ffmpeg binary that imageio-ffmpeg brings along."""

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

_EVEN = "pad=ceil(iw/2)*2:ceil(ih/2)*2"  # 4:2:0 colour needs even sides
_ENCODERS = {
    # Without B-frames encoding costs a quarter less time, and players step through frames in the order of time.
    ".mp4": f"-vf {_EVEN} -c:v libx264 -preset veryfast -crf 20 -bf 0 -pix_fmt yuv420p -movflags +faststart -f mp4",
    ".gif": "-filter_complex split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=none -f gif",
}


def write_video(path: str | Path, frames: Iterable[np.ndarray], fps: float, threads: int = 1) -> None:
    """Write RGB uint8 pictures [H, W, 3] of one size as H.264 `.mp4` or palette `.gif`, whole or not at all.

    The same frames give the same bytes. Raises UsageError for another suffix, DataError where there is no frame, a
    frame is not such a picture, or ffmpeg fails (with its own words); what `frames` raises passes through.
    """
    path = Path(path)
    if path.suffix.lower() not in _ENCODERS:
        raise UsageError(f"cannot write a video to {path.name}: the name must end in {' or '.join(_ENCODERS)}")
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise DataError(f"no frames to write to {path}")
    height, width = _checked(first, first.shape).shape[:2]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-threads", str(threads)]
    command += ["-filter_threads", str(threads), "-filter_complex_threads", str(threads)]
    command += f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -framerate {fps:g} -i -".split()
    command += [*_ENCODERS[path.suffix.lower()].split(), "-threads", str(threads), "-fflags", "+bitexact"]
    with atomic_path(path) as temporary, _ffmpeg([*command, str(temporary.resolve())], path) as pipe:
        for frame in itertools.chain([first], frames):
            pipe.write(np.ascontiguousarray(_checked(frame, first.shape)).data)


def frame_count(path: str | Path) -> int:
    """How many frames a video holds, from its header and the first frame, which is decoded to see that it can be.

    Raises MissingFileError or DataError.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path} does not exist")
    capture = cv2.VideoCapture(str(path))
    try:
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if count < 1 or not capture.read()[0]:
            raise DataError(f"{path} does not read back as a video")
        return count
    finally:
        capture.release()


def _checked(frame: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if frame.ndim != 3 or frame.shape != shape or shape[2] != 3 or frame.dtype != np.uint8:
        raise DataError(f"a video frame must be RGB uint8 of one size, not {frame.dtype} {frame.shape} after {shape}")
    return frame


@contextlib.contextmanager
def _ffmpeg(command: list[str], path: Path) -> Iterator[IO[bytes]]:
    """The pipe into a running ffmpeg; on leaving it has ended well, or DataError tells what it said."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words)
        assert process.stdin is not None
        try:
            # A pipe that breaks says only that ffmpeg has gone; why, it has written to its own stderr.
            with contextlib.suppress(BrokenPipeError):
                yield process.stdin
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            failed = process.wait() != 0
        finally:
            process.kill()
            process.wait()
        if failed:
            words.seek(0)
            said = " ".join(words.read().decode(errors="replace").split())
            raise DataError(f"ffmpeg could not write {path}: {said or f'exit status {process.returncode}'}")
