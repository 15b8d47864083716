"""Bodies in motion to the files that people's tools open; each is read back before it counts as written."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.formats import bvh, csv, glb, hik, obj, smpl_motion, smpl_params, usd
from utils.geometry.body import BodyMotion, joints_of, vertices_of
from utils.run.errors import DataError, UsageError
from utils.run.files import atomic_path
from visualize import blender, page, video
from visualize.mesh_video import draw_body

CLOSE = 1e-3  # metres: how far joints that are read back may be from those that were written


@dataclass(frozen=True)
class Format:
    """How files of a kind end, are written, and are looked at when they are there.

    `write` takes the motions of one file; `look` gives the number of frames, and the positions of joints or vertices
    [T, N, 3], or of those of one frame, as far as the file tells them, beside those that it should tell.
    """

    ending: str
    write: Callable[[Path, Sequence[BodyMotion]], None]
    look: Callable[[Path, BodyMotion, int], tuple[int, np.ndarray, np.ndarray]]
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
            yield folder / f"{stem}{form.ending}", form, motions
        else:
            yield from ((folder / f"{motion.name}{form.ending}", form, [motion]) for motion in motions)


def check(path: Path, form: Format, motions: Sequence[BodyMotion]) -> None:
    """Raise DataError unless a file holds the frames that were written, and joints where they were."""
    for number, motion in enumerate(motions):
        frames, found, wanted = form.look(path, motion, number)
        asked = len(smpl_motion.at_rate(motion, form.fps).root) if form.fps else len(motion.root)
        if frames != asked:
            raise DataError(f"{path} reads back as {frames} frames of {motion.name}, not {asked}")
        off = np.abs(found - wanted).max(initial=0.0) if found.shape == wanted.shape else np.inf
        if not off <= CLOSE:
            raise DataError(f"{path} reads back with joints of {motion.name} {off:.3g} m from where they were")


def _of_bodies(read: Callable[[Path], list[BodyMotion]]) -> Callable[..., tuple[int, np.ndarray, np.ndarray]]:
    def look(path: Path, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
        found = read(path)[number]
        return (
            len(found.root),
            _joints(joints_of(found)[0], found.body.joints, motion.body.joints),
            joints_of(motion)[0],
        )

    return look


def _of_points(read: Callable[[Path], Any]) -> Callable[..., tuple[int, np.ndarray, np.ndarray]]:
    def look(path: Path, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
        found = read(path)
        return len(found.positions), _joints(found.positions, found.joints, motion.body.joints), joints_of(motion)[0]

    return look


def _joints(positions: np.ndarray, names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Positions in the order of wanted joints, which a file may have written in another."""
    return positions[:, [names.index(name) for name in wanted]] if set(wanted) <= set(names) else positions


def _of_parameters(path: Path, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    found = smpl_motion.to_motion(smpl_motion.read(path), motion.body)
    return len(found.root), joints_of(found)[0][:, :22], joints_of(motion)[0][:, :22]


def _of_addon(path: Path, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    return _of_parameters(path, smpl_motion.at_rate(motion, smpl_motion.ADDON_RATE), number)


def _of_published(path: Path, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    vertices = smpl_params.read(path)["vertices"].transpose(2, 0, 1)
    return len(vertices), vertices, vertices_of(motion)


def _of_objs(path: Path, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    frames = sorted(path.glob("frame*.obj"))
    return len(frames), obj.read(path / f"frame{len(frames) - 1:03d}.obj")[0], vertices_of(motion)[-1]


def _of_angles(path: Path, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    angles, root = hik.read(path)[number]
    wanted = np.concatenate([*hik.content([motion])["thetas"], motion.root[:, None]], axis=1)
    return len(angles), np.concatenate([angles, root[:, None]], axis=1), wanted


def _of_video(path: Path, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    return video.frame_count(path), motion.root, motion.root


def _of_blender(path: Path, motion: BodyMotion, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    return len(motion.root) if path.stat().st_size else 0, motion.root, motion.root


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
    "glb": Format(".glb", glb.write, _of_bodies(glb.read)),
    "bvh": Format(".bvh", _each(bvh.write), _of_points(bvh.read)),
    "html": Format(".html", page.write_page, _of_bodies(page.read), together=True),
    "mp4": Format("_mesh.mp4", _film, _of_video),
    "npz": Format(".npz", _each(smpl_motion.write), _of_parameters, need=_JOINTS_OF_SMPL),
    "smplx": Format(
        "_smplx.npz", _each(smpl_motion.write, "smplx"), _of_addon, fps=smpl_motion.ADDON_RATE, need=_JOINTS_OF_SMPL
    ),
    "params": Format("_smpl_params.npy", _each(smpl_params.write), _of_published, need=_JOINTS_OF_SMPL),
    "obj": Format("_obj", _each(obj.write_sequence), _of_objs),
    "usd": Format(".usdc", usd.write, _of_bodies(usd.read), need=lambda _: usd.usd_core()),
    "hik": Format("_hik.json", hik.write, _of_angles, need=_JOINTS_OF_SMPL),
    "csv": Format(".csv", _each(csv.write), _of_points(csv.read)),
    "fbx": Format(".fbx", _through_blender, _of_blender, need=lambda _: blender.command("")),
    "abc": Format(".abc", _through_blender, _of_blender, need=lambda _: blender.command("")),
}
