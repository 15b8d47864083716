"""Several videos in one: samples in rows, repetitions in columns, each drawn once for the grid and its own file."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from utils.formats.video import recorded, write_video
from utils.run.errors import DataError

CELL = 240  # half of a picture of 480: to halve costs a twentieth of going down to 300, as published
ROWS = 3  # samples in a grid, as published


def grids_of(samples: int) -> list[range]:
    """The numbers of the samples in each grid."""
    return [range(start, min(start + ROWS, samples)) for start in range(0, samples, ROWS)]


def write_grid(
    folder: str | Path,
    numbers: Sequence[int],
    samples: Sequence[Sequence[Iterable[np.ndarray]]],
    fps: float,
    names: tuple[str, str] = ("sample", "rep"),
    inputs: Sequence[Iterable[np.ndarray]] = (),
) -> list[str]:
    """Write `sample00_rep00.mp4` for every video samples[s][r], by the samples' `numbers`, and `samples_00_to_02.mp4`.

    `inputs`, one a sample, are what was edited: `input_motions_00.mp4`, at the left of its row of the grid.
    The videos, of square RGB uint8 pictures, are drawn as they are written, side by side. Returns the names of the
    files. Raises DataError, and what the videos raise.
    """
    folder, (sample, repetition), rows, written = Path(folder), names, [], []
    for row, (number, videos) in enumerate(zip(numbers, samples, strict=True)):
        files = [f"{sample}{number:02d}_{repetition}{column:02d}.mp4" for column in range(len(videos))]
        if inputs:
            files, videos = [f"input_motions_{number:02d}.mp4", *files], [inputs[row], *videos]
        rows.append([recorded(folder / file, video, fps) for file, video in zip(files, videos, strict=True)])
        written += files
    written.append(f"{sample}s_{numbers[0]:02d}_to_{numbers[-1]:02d}.mp4")
    write_video(folder / written[-1], tile(rows), fps)
    return written


def tile(rows: Sequence[Sequence[Iterable[np.ndarray]]], cell: int = CELL) -> Iterator[np.ndarray]:
    """Yield pictures [rows * cell, columns * cell, 3] to the end of the longest video; one that has ended stands still.

    Each of `rows` has as many videos of square RGB uint8 pictures, which are taken one at a time from all. Raises
    DataError for rows of several lengths, or a video without a picture; what the videos raise passes through.
    """
    videos = [iter(video) for row in rows for video in row]
    if not videos or len({len(row) for row in rows}) > 1:
        raise DataError(f"a grid needs videos, as many in each row, not {[len(row) for row in rows]}")
    columns, running = len(rows[0]), dict(enumerate(videos))
    grid = np.empty((len(rows) * cell, columns * cell, 3), np.uint8)
    with contextlib.ExitStack() as ends:
        for video in videos:
            ends.callback(getattr(video, "close", bool))
        for place, video in enumerate(videos):
            if not _show(video, grid, place, columns, cell):
                raise DataError(f"video {place} of a grid has no picture")
        while running:
            yield grid.copy()
            running = {place: video for place, video in running.items() if _show(video, grid, place, columns, cell)}


def _show(video: Iterator[np.ndarray], grid: np.ndarray, place: int, columns: int, cell: int) -> bool:
    """Put the next picture of a video into its cell of the grid; False where there is none left."""
    picture = next(video, None)
    if picture is not None:
        down, right = (cell * step for step in divmod(place, columns))
        small = cv2.resize(picture, (cell, cell), interpolation=cv2.INTER_AREA)
        grid[down : down + cell, right : right + cell] = small
    return picture is not None
