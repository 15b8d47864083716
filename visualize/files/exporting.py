"""Bodies in motion to the files that people's tools open; each is read back before it counts as written."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.formats import bvh, csv, glb, hik, obj, smpl_motion, smpl_params, usd, video
from utils.formats.smpl_motion import SmplMotion
from utils.geometry.body import BodyMotion, joints_of, vertices_of
from utils.geometry.motion import Motion
from utils.run.errors import DataError, UsageError
from utils.run.files import atomic_path
from utils.run.names import file_name, file_names, inside
from visualize.files import blender
from visualize.meshes.video import draw_body
from visualize.page import html as page

CLOSE = 1e-3  # metres: how far joints that are read back may be from those that were written


Look = Callable[[Any, BodyMotion, int], tuple[int, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Format:
    """How files of a kind end, are written, read, and looked at when they are there.

    `write` takes the motions of one file, `read` gives what it holds. Of that `look` tells, for one of the motions and
    its number, the frames, and the positions of joints or vertices [T, N, 3] (or those of one frame, or what else the
    file tells of them) beside those that should be there.
    """

    ending: str
    write: Callable[[Path, Sequence[BodyMotion]], None]
    read: Callable[[Path], Any]
    look: Look
    together: bool = False
    fps: float = 0.0  # the rate that the motion is brought to; 0: its own
    need: Callable[[BodyMotion], object] = lambda motion: None  # raises where the file cannot be written


def export(
    motions: Sequence[BodyMotion], formats: Sequence[str], folder: Path, stem: str, overwrite: bool = False
) -> list[Path]:
    """Write motions in some of `FORMATS` into a folder: `<name><ending>` each, `<stem><ending>` for all together.

    Nothing is written if one of the files exists and may not be replaced, or cannot be made. Returns the paths. Raises
    UsageError, what writers raise, and DataError for a file that does not read back as what was written.
    """
    todo = list(files(motions, formats, folder, stem))
    for path, _, _ in todo:
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already; choose another folder or add --overwrite to replace it")
    for _, form, some in todo:
        for motion in some:
            form.need(motion)
    folder.mkdir(parents=True, exist_ok=True)
    for path, form, some in todo:
        if path.is_dir():
            shutil.rmtree(path)
        form.write(path, some)
        check(path, form, some)
    return [path for path, _, _ in todo]


def files(
    motions: Sequence[BodyMotion], formats: Sequence[str], folder: Path, stem: str
) -> Iterator[tuple[Path, Format, Sequence[BodyMotion]]]:
    """Each file to write, with its format and what goes into it. Raises UsageError for motions of one name."""
    names = [motion.name for motion in motions]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two motions are called {twice}, so their files would be one: choose with --samples")
    for form in (TABLE[name] for name in dict.fromkeys(formats)):
        if form.together:
            yield inside(folder, f"{file_name(stem)}{form.ending}"), form, motions
        else:
            plain = zip(file_names(names), motions, strict=True)
            yield from ((inside(folder, f"{name}{form.ending}"), form, [motion]) for name, motion in plain)


def check(path: Path, form: Format, motions: Sequence[BodyMotion]) -> None:
    """Raise DataError unless a file holds the frames that were written, and joints where they were."""
    content = form.read(path)
    for number, motion in enumerate(motions):
        frames, found, wanted = form.look(content, motion, number)
        asked = len(smpl_motion.at_rate(motion, form.fps).root) if form.fps else len(motion.root)
        if frames != asked:
            raise DataError(f"{path} reads back as {frames} frames of {motion.name}, not {asked}")
        off = np.abs(found - wanted).max(initial=0.0) if found.shape == wanted.shape else np.inf
        if not off <= CLOSE:
            raise DataError(f"{path} reads back with joints of {motion.name} {off:.3g} m from where they were")


def _of_bodies(found: list[BodyMotion], motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    body = found[number]
    return len(body.root), _joints(joints_of(body)[0], body.body.joints, motion.body.joints), joints_of(motion)[0]


def _of_points(found: Motion, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    return len(found.positions), _joints(found.positions, found.joints, motion.body.joints), joints_of(motion)[0]


def _joints(positions: np.ndarray, names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Positions in the order of wanted joints, which a file may have written in another."""
    return positions[:, [names.index(name) for name in wanted]] if set(wanted) <= set(names) else positions


def _of_parameters(found: SmplMotion, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    made = smpl_motion.to_motion(found, motion.body)
    return len(made.root), joints_of(made)[0][:, :22], joints_of(motion)[0][:, :22]


def _of_addon(found: SmplMotion, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    return _of_parameters(found, smpl_motion.at_rate(motion, smpl_motion.ADDON_RATE), number)


def _of_published(found: dict[str, Any], motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    vertices = found["vertices"].transpose(2, 0, 1)
    return len(vertices), vertices, vertices_of(motion)


def _read_objs(folder: Path) -> tuple[int, np.ndarray]:
    """How many meshes there are, and the vertices of the last."""
    frames = len(list(folder.glob("frame*.obj")))
    return frames, obj.read(folder / f"frame{frames - 1:03d}.obj")[0]


def _of_objs(found: tuple[int, np.ndarray], motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    return *found, vertices_of(motion)[-1]


def _of_angles(
    found: list[tuple[np.ndarray, np.ndarray]], motion: BodyMotion, number: int
) -> tuple[int, np.ndarray, np.ndarray]:
    angles, root = found[number]
    wanted = np.concatenate([*hik.content([motion])["thetas"], motion.root[:, None]], axis=1)
    return len(angles), np.concatenate([angles, root[:, None]], axis=1), wanted


def _of_video(found: int, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    return found, motion.root, motion.root


def _of_blender(found: int, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    return len(motion.root) if found else 0, motion.root, motion.root


def _size(path: Path) -> int:
    return path.stat().st_size


def _through_blender(path: Path, motions: Sequence[BodyMotion]) -> None:
    """Write a GLB, and let Blender turn it into the file. Raises MissingFileError or DataError."""
    with tempfile.TemporaryDirectory() as scratch, atomic_path(path) as temporary:
        source, made = Path(scratch, "motion.glb"), Path(scratch, f"made{path.suffix}")
        glb.write(source, motions)
        blender.convert(source, made)
        shutil.copyfile(made, temporary)


def _film(path: Path, motions: Sequence[BodyMotion]) -> None:
    video.write_video(path, draw_body(motions[0], motions[0].text), motions[0].fps)


def _each(write: Callable[..., None], *how: str) -> Callable[[Path, Sequence[BodyMotion]], None]:
    """The writer of one motion as one of several."""
    return lambda path, motions: write(path, motions[0], *how)


_JOINTS_OF_SMPL = smpl_motion.smpl_rotations
TABLE: dict[str, Format] = {
    "glb": Format(".glb", glb.write, glb.read, _of_bodies),
    "bvh": Format(".bvh", _each(bvh.write), bvh.read, _of_points),
    "html": Format(".html", page.write_page, page.read, _of_bodies, together=True),
    "mp4": Format("_mesh.mp4", _film, video.frame_count, _of_video),
    "npz": Format(".npz", _each(smpl_motion.write), smpl_motion.read, _of_parameters, need=_JOINTS_OF_SMPL),
    "smplx": Format(
        "_smplx.npz", _each(smpl_motion.write, "smplx"), smpl_motion.read, _of_addon,
        fps=smpl_motion.ADDON_RATE, need=_JOINTS_OF_SMPL,
    ),
    "params": Format(
        "_smpl_params.npy", _each(smpl_params.write), smpl_params.read, _of_published, need=_JOINTS_OF_SMPL
    ),
    "obj": Format("_obj", _each(obj.write_sequence), _read_objs, _of_objs),
    "usd": Format(".usdc", usd.write, usd.read, _of_bodies, need=lambda _: usd.usd_core()),
    "hik": Format("_hik.json", hik.write, hik.read, _of_angles, need=_JOINTS_OF_SMPL),
    "csv": Format(".csv", _each(csv.write), csv.read, _of_points),
    "fbx": Format(".fbx", _through_blender, _size, _of_blender, need=lambda _: blender.command("")),
    "abc": Format(".abc", _through_blender, _size, _of_blender, need=lambda _: blender.command("")),
}  # fmt: skip
