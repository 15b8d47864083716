"""Pictures of sampled motion, family by family: a video of each, grids of them, a contact sheet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from data_loaders.registry import DatasetSpec
from sample.common.samples import Samples, Title, caption
from sample.common.session import Session
from utils.formats import video
from utils.run.errors import DataError
from visualize.sticks import contact_sheet, figures, grid

TIMES_PLAYED = 2  # a 3D clip of MAS in its video, while the camera goes around


@dataclass(frozen=True)
class Clip:
    """A motion to draw: points [T, J, 2 or 3], a title or one a frame, and which joints were known, [T] or [T, J]."""

    points: np.ndarray
    title: Title
    known: np.ndarray | None = None


@dataclass(frozen=True)
class Drawing:
    """Videos that show some `rows` of the samples: `write(folder, clips)` writes them and reads them back."""

    rows: Sequence[int]
    write: Callable[[Path, Sequence[Clip]], None]


@dataclass(frozen=True)
class Pictures:
    """How a family is drawn.

    `clips(session, samples)` are those of some samples, `drawings(session, count, samples)` the videos of `count`
    samples of which those given are the first, `sheet(path, session, clips, inputs)` the contact sheet of all.
    """

    clips: Callable[[Session, Samples], list[Clip]]
    drawings: Callable[[Session, int, Samples], list[Drawing]]
    sheet: Callable[[Path, Session, Sequence[Clip], Sequence[Clip]], None]


def inputs_of(samples: Samples) -> list[Clip]:
    """The motions that were edited."""
    clips = [(clip.float().numpy(), f"input: {title}") for clip, title in samples.inputs]
    return [Clip(points, title, np.ones(len(points), bool)) for points, title in clips]


# ---- in the world: a camera that follows; samples in rows and repetitions in columns of a grid


def _clips_in_world(session: Session, samples: Samples) -> list[Clip]:
    joints, lengths = samples.joints(session).float(), samples.lengths.tolist()
    known = [None] * len(lengths) if samples.known is None else list(samples.known.numpy())
    return [
        Clip(clip[:length].numpy(), title, None if mask is None else mask[:length])
        for clip, length, title, mask in zip(joints, lengths, samples.titles, known, strict=True)
    ]


def _grids_in_world(session: Session, count: int, samples: Samples) -> list[Drawing]:
    columns, inputs = count // session.sampling.num_repetitions, inputs_of(samples)
    drawings = []
    for shown in grid.grids_of(columns):
        rows = [row for sample in shown for row in range(sample, count, columns)]
        edited = [inputs[sample] for sample in shown] if inputs else []
        drawings.append(Drawing(rows, partial(_write_grid, session, shown, edited)))
    return drawings


def _write_grid(
    session: Session, numbers: Sequence[int], inputs: Sequence[Clip], folder: Path, clips: Sequence[Clip]
) -> None:
    """The videos of up to three samples, whose clips come sample after sample, and their grid."""
    skeleton, repetitions = session.spec.skeleton, session.sampling.num_repetitions
    names = ("row", "col") if session.data.cond == "no_cond" else ("sample", "rep")

    def draw(clip: Clip) -> Iterator[np.ndarray]:
        return figures.draw_world(clip.points, skeleton, clip.title, given=clip.known)

    videos = [draw(clip) for clip in clips]
    rows = [videos[first : first + repetitions] for first in range(0, len(videos), repetitions)]
    for name in grid.write_grid(folder, numbers, rows, session.spec.fps, names, [draw(clip) for clip in inputs]):
        video.frame_count(folder / name)


def _sheet_in_world(path: Path, session: Session, clips: Sequence[Clip], inputs: Sequence[Clip]) -> None:
    """What was edited leads the row of its sample."""
    if inputs:
        clips = [clip for s, edited in enumerate(inputs) for clip in (edited, *clips[s :: len(inputs)])]
    known = [clip.known for clip in clips if clip.known is not None]
    contact_sheet.write_world_sheet(
        path, [clip.points for clip in clips], session.spec.skeleton, [caption(clip.title) for clip in clips],
        fps=session.spec.fps, given=known or None,
    )  # fmt: skip


# ---- views: 2D motion as it is, 3D motion of several views under a camera that goes around it


def _clips_of_views(session: Session, samples: Samples) -> list[Clip]:
    points = samples.features.numpy().astype(np.float32)
    rows = zip(points, samples.lengths.tolist(), samples.titles, strict=True)
    return [Clip(clip[:length], caption(title)) for clip, length, title in rows]


def _videos_of_views(session: Session, count: int, samples: Samples) -> list[Drawing]:
    drawings = [Drawing([row], partial(_write_view, session, row)) for row in range(count)]
    if session.sampling.show_input_motions and samples.data:
        drawings += [Drawing([], partial(_write_data, session, samples.data, row)) for row in range(count)]
    return drawings


def _write_view(session: Session, row: int, folder: Path, clips: Sequence[Clip]) -> None:
    path = folder / f"result_{row}.mp4"
    write_video(path, clips[0].points, session.spec, caption(clips[0].title))
    check_frames(path, frames_shown(clips[0].points))


def _write_data(session: Session, data: Mapping[str, Tensor], row: int, folder: Path, _: Sequence[Clip]) -> None:
    """A motion of the data whose length a sample took, unseen joints marked."""
    path, length = folder / f"input_motions_{row}.mp4", int(data["lengths"][row])
    motion, mask = session.to_data(data["motion"][row]).numpy(), data["mask"][row].numpy()
    write_video(path, motion[:length], session.spec, "", mask[:length, :, 0])
    check_frames(path, length)


def _sheet_of_views(path: Path, session: Session, clips: Sequence[Clip], inputs: Sequence[Clip]) -> None:
    spec = session.spec
    points = [clip.points for clip in clips]
    contact_sheet.write_contact_sheet(path, points, spec.skeleton, fps=spec.fps, trajectory_joints=spec.trajectory)


def write_video(
    path: Path, motion: np.ndarray, spec: DatasetSpec, title: str, confidence: np.ndarray | None = None
) -> None:
    """One clip: 2D as it is, 3D twice under a camera that goes around."""
    if motion.shape[-1] == 2:
        frames = figures.draw_2d(motion, spec.skeleton, title, confidence=confidence)
    else:
        frames = figures.draw_3d(motion, spec.skeleton, title, trajectory_joints=spec.trajectory, turns=TIMES_PLAYED)
    video.write_video(path, frames, spec.fps)


def frames_shown(motion: np.ndarray) -> int:
    """Frames of the video of a clip."""
    return len(motion) * (TIMES_PLAYED if motion.shape[-1] == 3 else 1)


def check_frames(path: Path, frames: int) -> None:
    """Read a video back: it is there and has so many frames. Raises MissingFileError or DataError."""
    found = video.frame_count(path)
    if found != frames:
        raise DataError(f"{path.name} reads back with {found} frames instead of {frames}: nothing was kept")


WORLD = Pictures(_clips_in_world, _grids_in_world, _sheet_in_world)
VIEWS = Pictures(_clips_of_views, _videos_of_views, _sheet_of_views)
